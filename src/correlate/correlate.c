/* The stage: takes records in the order entities, edges, changes, signals, alerts,
 * commands, so that a link or change of the same push already counts for a signal. */
#include "correlate/correlate.h"

#include "config/config.h"
#include "correlate/correlate_int.h"
#include "model/entity.h"

#include <stdlib.h>

#define FORGET_EVERY QL_MIN(10)
#define FORGET_CROWDED QL_MIN(1) /* ... in a topology that is nearly full */
#define WAIT_WHILE_OPEN QL_MIN(6 * 60)
#define RESOLVED_BURNING_KEPT QL_MIN(24 * 60)

/* ---- signals ---- */

static struct co_member *signal_member(struct ql_correlate *co, const struct ql_signal *signal)
{
    struct co_member *m = ql_co_member_add(co, QL_MEMBER_SIGNAL, signal->id, (ql_id){ 0 });
    if (m != NULL) {
        m->entity = signal->entity;
        m->series = signal->series;
        m->since = signal->onset;
        m->surprise = signal->surprise;
        m->signal_kind = (uint8_t)signal->kind;
        m->importance = (uint8_t)signal->importance;
        m->symptom = ql_metric_is_symptom(ql_metric_kind_of(signal->metric));
        ql_co_member_texts(m, signal->metric, signal->labels);
    }
    return m;
}

/* Signals of unknown entities stand together by metric name, alerts by alert name. */
static uint64_t member_key(const struct co_member *m)
{
    return m->entity.v != 0 ? m->entity.v : ql_hash64(m->name, m->name_bytes);
}

static void signal_settle(struct ql_correlate *co, struct co_member *m)
{
    if (!ql_co_settle(co, m, member_key(m)) && !ql_co_wait_put(co, m, member_key(m))) {
        ql_co_member_forget(co, m, (ql_id){ 0 });
    }
}

static void signal_open(struct ql_correlate *co, const struct ql_signal *signal)
{
    ql_stat_add(co->raw_total, 1);
    struct co_member *m = signal_member(co, signal);
    if (m != NULL) {
        signal_settle(co, m);
    }
}

/* One that waits may have become strong enough to stand alone. */
static bool waiting_is_ready(const struct ql_correlate *co, const struct co_member *m)
{
    struct ql_rule_evidence alone = {
        .series_count = ql_co_opens_with(m),
        .surprise_max = m->surprise,
        .symptom = m->symptom != 0,
        .lasted = ql_co_lasts(m) ? ql_time_since(co->now, m->since) : (ql_duration){ 0 },
    };
    ql_co_importance(m, &alone);
    return ql_rule_opens(&alone, co->join) != NULL;
}

static void signal_update(struct ql_correlate *co, struct co_member *m,
                          const struct ql_signal *signal)
{
    m->surprise = signal->surprise > m->surprise ? signal->surprise : m->surprise;
    if (ql_co_incident_of_member(co, m) == CO_WAITING && waiting_is_ready(co, m)) {
        ql_co_wait_take(co, m);
        signal_settle(co, m);
    }
}

static void signal_close(struct ql_correlate *co, struct co_member *m, ql_time at)
{
    const uint32_t row = ql_co_incident_of_member(co, m);
    if (!ql_co_lasts(m)) {
        return;
    }
    ql_co_member_end(co, m, at);
    if (row != CO_WAITING) {
        co->incidents[row].told.updated = co->now;
        ql_co_tell_member(co, m);
    }
}

static void signal_take(struct ql_correlate *co, const struct ql_signal *signal)
{
    struct co_member *m = ql_co_member_find(co, QL_MEMBER_SIGNAL, signal->id, (ql_id){ 0 });
    if (m == NULL && signal->phase == QL_PHASE_OPEN) {
        signal_open(co, signal);
    } else if (m != NULL && signal->phase == QL_PHASE_CLOSE) {
        signal_close(co, m, signal->at);
    } else if (m != NULL) {
        signal_update(co, m, signal);
    }
}

/* ---- alerts ---- */

static ql_time alert_expires(const struct ql_correlate *co, const struct ql_alert *alert)
{
    const bool told = alert->ends.ns != QL_TIME_NONE.ns && ql_time_before(co->now, alert->ends);
    return told ? alert->ends : QL_TIME_NONE;
}

static void alert_open(struct ql_correlate *co, const struct ql_alert *alert)
{
    struct co_member *m = ql_co_member_add(co, QL_MEMBER_ALERT, alert->id, (ql_id){ 0 });
    if (m == NULL) {
        return;
    }
    const bool known = alert->starts.ns != QL_TIME_NONE.ns &&
                       ql_time_before(alert->starts, co->now);
    m->entity = alert->entity;
    m->since = known ? alert->starts : co->now;
    m->expires = alert_expires(co, alert);
    ql_co_member_texts(m, alert->name, alert->labels);
    if (!ql_co_settle(co, m, member_key(m))) {
        ql_co_member_forget(co, m, (ql_id){ 0 });
    }
}

/* The incident looks for ended alerts no later than its first one may end. */
static void alert_extend(struct ql_correlate *co, struct co_member *m, struct co_incident *in,
                         const struct ql_alert *alert)
{
    m->expires = alert_expires(co, alert);
    if (m->expires.ns != QL_TIME_NONE.ns && (in->expires_first.ns == QL_TIME_NONE.ns ||
                                             ql_time_before(m->expires, in->expires_first))) {
        in->expires_first = m->expires;
    }
}

/* Fires again after it had ended: the member lasts again, its incident lives again. */
static void alert_again(struct ql_correlate *co, struct co_member *m, struct co_incident *in,
                        const struct ql_alert *alert)
{
    if (!ql_co_active(in) && !ql_co_remembered(co, in)) {
        ql_co_member_free(co, m);
        alert_open(co, alert);
        return;
    }
    if (!ql_co_active(in)) {
        ql_co_reopen(co, in);
    }
    ql_co_member_again(co, m, ql_time_before(m->ended, alert->starts) ? alert->starts : co->now);
    alert_extend(co, m, in, alert);
    in->told.updated = co->now;
    in->grew = 1;
    ql_co_tell_member(co, m);
}

static void alert_ended(struct ql_correlate *co, struct co_member *m, struct co_incident *in,
                        const struct ql_alert *alert)
{
    const bool past = alert->ends.ns != QL_TIME_NONE.ns && !ql_time_before(co->now, alert->ends);
    if (ql_co_lasts(m)) {
        ql_co_member_end(co, m, past ? alert->ends : co->now);
        in->told.updated = co->now;
        ql_co_tell_member(co, m);
    }
}

/* The same alert again: the same member. */
static void alert_refresh(struct ql_correlate *co, struct co_member *m,
                          const struct ql_alert *alert)
{
    struct co_incident *in = &co->incidents[ql_co_incident_of_member(co, m)];
    in->told.raw_count++;
    if (!alert->firing) {
        alert_ended(co, m, in, alert);
    } else if (ql_co_lasts(m)) {
        alert_extend(co, m, in, alert);
    } else {
        alert_again(co, m, in, alert);
    }
}

static void alert_take(struct ql_correlate *co, const struct ql_alert *alert)
{
    ql_stat_add(co->raw_total, 1);
    struct co_member *m = ql_co_member_find(co, QL_MEMBER_ALERT, alert->id, (ql_id){ 0 });
    if (m != NULL) {
        alert_refresh(co, m, alert);
    } else if (alert->firing) {
        alert_open(co, alert);
    } /* the end of an alert that nobody holds open says nothing */
}

/* ---- people ---- */

static void command_ack(struct ql_correlate *co, const struct ql_command *command,
                        struct co_incident *in)
{
    in->told.state = QL_INCIDENT_ACKNOWLEDGED;
    in->told.updated = co->now;
    ql_co_by_set(in, command->by);
    ql_co_tell_pending(co);
    ql_co_tell_incident(co, in, QL_INC_ACKED);
    ql_co_tell_audit(co, command, "ack", "acknowledged");
}

static void incident_resolve(struct ql_correlate *co, struct co_incident *in, ql_str by)
{
    in->told.state = QL_INCIDENT_RESOLVED;
    in->told.resolved = in->told.updated = co->now;
    ql_co_by_set(in, by);
    ql_co_tell_pending(co);
    ql_co_tell_incident(co, in, QL_INC_RESOLVED);
}

static void command_take(struct ql_correlate *co, const struct ql_command *command)
{
    if (command->kind != QL_COMMAND_ACK && command->kind != QL_COMMAND_RESOLVE) {
        return;
    }
    struct co_incident *in = ql_co_incident_find(co, command->incident);
    if (in == NULL) {
        ql_co_tell_audit(co, command, ql_command_kind_text(command->kind),
                         "refused: no such open incident");
    } else if (!ql_co_active(in)) {
        ql_co_tell_audit(co, command, ql_command_kind_text(command->kind),
                         "refused: the incident is resolved");
    } else if (command->kind == QL_COMMAND_ACK) {
        command_ack(co, command, in);
    } else {
        incident_resolve(co, in, command->by);
        ql_co_tell_audit(co, command, "resolve", "resolved by a person");
    }
}

/* ---- time passes ---- */

static void expire_alerts(struct ql_correlate *co, struct co_incident *in)
{
    ql_time first = QL_TIME_NONE;
    for (uint32_t p = in->place_first; p != 0; p = co->places[p - 1].incident_next) {
        for (uint32_t at = co->places[p - 1].member_first; at != 0;
             at = co->members[at - 1].next) {
            struct co_member *m = &co->members[at - 1];
            if (!ql_co_lasts(m) || m->expires.ns == QL_TIME_NONE.ns) {
                continue;
            }
            if (!ql_time_before(co->now, m->expires)) {
                ql_co_member_end(co, m, m->expires);
                ql_co_tell_member(co, m);
                in->told.updated = co->now;
            } else if (first.ns == QL_TIME_NONE.ns || ql_time_before(m->expires, first)) {
                first = m->expires;
            }
        }
    }
    in->expires_first = first;
}

static void incident_tick(struct ql_correlate *co, struct co_incident *in)
{
    if (in->expires_first.ns != QL_TIME_NONE.ns && !ql_time_before(co->now, in->expires_first)) {
        expire_alerts(co, in);
    }
    const bool quiet = in->open_count == 0 && in->quiet_since.ns != QL_TIME_NONE.ns;
    if (ql_co_active(in)) {
        if (quiet && ql_time_since(co->now, in->quiet_since).ns >= co->close.ns) {
            incident_resolve(co, in, QL_STR("engine"));
        } else if (in->raw_told != in->told.raw_count &&
                   ql_time_since(co->now, in->told_at).ns >= CO_TELL.ns) {
            in->grew = 1;
        }
        return;
    }
    const ql_duration kept = in->open_count > 0 ? RESOLVED_BURNING_KEPT : CO_REOPEN;
    if (ql_time_since(co->now, in->told.resolved).ns > kept.ns) {
        ql_co_incident_free(co, in);
    }
}

static bool waiting_is_over(const struct ql_correlate *co, const struct co_member *m)
{
    return ql_co_lasts(m) ? ql_time_since(co->now, m->since).ns > WAIT_WHILE_OPEN.ns
                          : ql_time_since(co->now, m->ended).ns > co->join.ns;
}

static void waiting_tick(struct ql_correlate *co)
{
    for (uint32_t i = 0; i < co->waiting_count;) {
        struct co_member *m = &co->members[co->waiting[i]];
        if (waiting_is_over(co, m)) {
            ql_co_wait_take(co, m);
            ql_co_member_forget(co, m, (ql_id){ 0 });
        } else if (waiting_is_ready(co, m)) {
            const uint32_t before = co->waiting_count;
            ql_co_wait_take(co, m);
            signal_settle(co, m);
            i = co->waiting_count < before ? 0 : i + 1; /* others may have followed it */
        } else {
            i++;
        }
    }
}

/* Edges that are old, and entities that nothing refers to: who stands in an incident or waits
 * for one is kept. */
static void topology_tick(struct ql_correlate *co)
{
    const ql_duration every =
        ql_topology_crowded(co->topology) ? FORGET_CROWDED : FORGET_EVERY;
    if (ql_time_since(co->now, co->expired_at).ns >= every.ns) {
        for (uint32_t i = 0; i < co->place_used; i++) {
            if (co->places[i].member_count > 0) {
                ql_topology_keep(co->topology, co->places[i].entity);
            }
        }
        ql_topology_expire(co->topology, co->now);
        ql_stat_add(co->forgotten_total, ql_topology_forget(co->topology, co->idle_s));
        co->expired_at = co->now;
    }
    ql_stat_set(co->entities_gauge, ql_topology_count(co->topology));
}

static void co_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct ql_correlate *co = stage;
    int64_t open_count = 0;
    co->now = now;
    co->bus = bus;
    waiting_tick(co);
    for (uint32_t i = 0; i < co->incident_used; i++) {
        if (co->incidents[i].used) {
            incident_tick(co, &co->incidents[i]);
        }
        open_count += co->incidents[i].used && ql_co_active(&co->incidents[i]);
    }
    ql_co_tell_pending(co);
    topology_tick(co);
    ql_stat_set(co->open_gauge, open_count);
    co->bus = NULL;
}

/* ---- the contract ---- */

static void topology_take(struct ql_correlate *co, const struct ql_batch *bus)
{
    ql_topology_advance(co->topology, co->now);
    for (uint32_t i = 0; i < bus->entities.count; i++) {
        const struct ql_entity_seen *seen = &bus->entities.at[i];
        if (ql_topology_see(co->topology, seen->id, seen->name) != QL_OK) {
            ql_stat_add(co->drop_topology, 1);
        }
    }
    for (uint32_t i = 0; i < bus->edges.count; i++) {
        if (ql_topology_link(co->topology, &bus->edges.at[i]) != QL_OK) {
            ql_stat_add(co->drop_topology, 1);
        }
        ql_co_edge_seen(co, &bus->edges.at[i]);
    }
}

static void co_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct ql_correlate *co = stage;
    co->now = now;
    co->bus = bus;
    topology_take(co, bus);
    for (uint32_t i = 0; i < bus->changes.count; i++) {
        ql_co_change_seen(co, &bus->changes.at[i]);
    }
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        signal_take(co, &bus->signals.at[i]);
    }
    for (uint32_t i = 0; i < bus->alerts.count; i++) {
        alert_take(co, &bus->alerts.at[i]);
    }
    for (uint32_t i = 0; i < bus->commands.count; i++) {
        command_take(co, &bus->commands.at[i]);
    }
    ql_co_tell_pending(co);
    co->bus = NULL;
}

static void link_configured(struct ql_correlate *co, const struct ql_config *config)
{
    for (uint32_t i = 0; i < config->edge_count; i++) {
        const char *names[2] = { config->edges[i].caller, config->edges[i].callee };
        ql_entity_id ids[2];
        for (int side = 0; side < 2; side++) {
            struct ql_buf name;
            ql_buf_init(&name, 1024);
            ql_entity_of_name(ql_str_of(names[side]), &name);
            ids[side] = ql_entity_id_of(ql_buf_view(&name));
            if (ql_topology_see(co->topology, ids[side], ql_buf_view(&name)) != QL_OK) {
                ql_stat_add(co->drop_topology, 1);
            }
            ql_buf_fini(&name);
        }
        const struct ql_edge edge = { .caller = ids[0], .callee = ids[1],
                                      .source = QL_EDGE_CONFIG };
        if (ql_topology_link(co->topology, &edge) != QL_OK) {
            ql_stat_add(co->drop_topology, 1);
        }
    }
}

static ql_err co_adopt_config(void *stage, const struct ql_config *config)
{
    struct ql_correlate *co = stage;
    co->join = (ql_duration){ (int64_t)(config->join_s * 1e9) };
    co->close = (ql_duration){ (int64_t)(config->close_s * 1e9) };
    co->hops_max = config->hops_max;
    co->idle_s = config->series_idle_s;
    link_configured(co, config);
    return co->join.ns > 0 ? QL_OK : QL_E_CONFIG;
}

static void stats_open(struct ql_correlate *co, struct ql_stats *stats)
{
    static const char dropped[] = "ql_records_dropped_total";
    static const char dropped_help[] = "Records refused or dropped, by source and reason.";
    struct { struct ql_stat_cell **cell; const char *labels; } drops[] = {
        { &co->drop_incident, "source=\"correlate\",reason=\"incidents_full\"" },
        { &co->drop_member, "source=\"correlate\",reason=\"members_full\"" },
        { &co->drop_waiting, "source=\"correlate\",reason=\"waiting_full\"" },
        { &co->drop_topology, "source=\"correlate\",reason=\"topology_full\"" },
        { &co->drop_bus, "source=\"correlate\",reason=\"bus_full\"" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(drops); i++) {
        *drops[i].cell =
            ql_stats_cell(stats, QL_STAT_COUNTER, dropped, dropped_help, drops[i].labels);
    }
    co->raw_total = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_correlate_raw_total",
                                  "Signals opened and alert deliveries received.", "");
    co->opened_total = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_incidents_opened_total",
                                     "Incidents opened.", "");
    co->merged_total = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_incidents_merged_total",
                                     "Incidents merged into an older one.", "");
    co->forgotten_total = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_names_retired_total",
                                        "Names forgotten after nothing referred to them for long.",
                                        "of=\"entities\",shard=\"core\"");
    co->entities_gauge = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_names",
                                       "Names known, by what they are of.",
                                       "of=\"entities\",shard=\"core\"");
    co->open_gauge = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_incidents_active",
                                   "Incidents open or acknowledged.", "");
}

static void co_close(void *stage)
{
    struct ql_correlate *co = stage;
    if (co != NULL) {
        ql_co_tables_free(co);
        free(co);
    }
}

static ql_err co_open(const struct ql_stage_env *env, void **ret_stage)
{
    QL_ASSERT(env->topology != NULL);
    struct ql_correlate *co = calloc(1, sizeof *co);
    if (co == NULL) {
        return QL_E_MEMORY;
    }
    co->topology = env->topology;
    stats_open(co, env->stats);
    ql_err err = ql_co_tables_new(co);
    if (err == QL_OK) {
        err = co_adopt_config(co, env->config);
    }
    if (err != QL_OK) {
        co_close(co);
        return err;
    }
    *ret_stage = co;
    return QL_OK;
}

const struct ql_stage_type ql_correlate_stage = {
    .name = "correlate",
    .reads = QL_LIST_BIT(entities) | QL_LIST_BIT(edges) | QL_LIST_BIT(changes) |
             QL_LIST_BIT(signals) | QL_LIST_BIT(alerts) | QL_LIST_BIT(commands),
    .writes = QL_LIST_BIT(incidents) | QL_LIST_BIT(members) | QL_LIST_BIT(audits),
    .state_version = CO_STATE_VERSION,
    .open = co_open,
    .close = co_close,
    .push = co_push,
    .tick = co_tick,
    .adopt_config = co_adopt_config,
    .save = ql_co_save,
    .load = ql_co_load,
};

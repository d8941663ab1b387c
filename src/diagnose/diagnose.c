/* The stage: which incidents are followed, and when windows are asked for. */
#include "diagnose/diagnose.h"

#include "base/pages.h"
#include "config/config.h"
#include "diagnose/diagnose_int.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BYTES_MAX ((size_t)256 << 20)
#define GREW_AFTER QL_S(15)
#define RECOVERY_PEAK_MIN 3u
#define ONSET_BEFORE_OPENED_MAX QL_MIN(30) /* an alert may have fired for days */

/* ---- incidents ---- */

static struct di_incident *incident_find(struct ql_diagnose *di, ql_id id)
{
    for (uint32_t i = 0; i < DI_INCIDENTS_MAX; i++) {
        if (di->incidents[i].id.v == id.v) {
            return &di->incidents[i];
        }
    }
    return NULL;
}

static struct di_incident *incident_get(struct ql_diagnose *di, ql_id id)
{
    struct di_incident *in = incident_find(di, id);
    if (in == NULL) {
        in = incident_find(di, (ql_id){ 0 });
        if (in == NULL) {
            ql_stat_add(di->drop_incident, 1);
            return NULL;
        }
        *in = (struct di_incident){ .id = id, .asked = QL_TIME_NONE };
    }
    return in;
}

static void incident_take(struct ql_diagnose *di, const struct ql_incident *told)
{
    if (told->state == QL_INCIDENT_RESOLVED) {
        struct di_incident *gone = incident_find(di, told->id);
        if (gone != NULL) {
            gone->id = (ql_id){ 0 };
        }
        return;
    }
    struct di_incident *in = incident_get(di, told->id);
    if (in == NULL) {
        return;
    }
    const ql_time floor =
        ql_time_add(told->opened, (ql_duration){ -ONSET_BEFORE_OPENED_MAX.ns });
    in->onset = ql_time_before(told->onset, floor) ? floor : told->onset;
    const uint32_t count = told->alert_count + told->signal_count;
    in->grew = in->grew || count != in->member_count || told->event == QL_INC_REOPENED;
    in->member_count = count;
}

static void member_count(struct di_incident *in, const struct ql_member *member)
{
    if (member->ended.ns == QL_TIME_NONE.ns) {
        in->lasting++;
    } else if (in->lasting > 0) {
        in->lasting--;
    }
    in->lasting_peak = in->lasting > in->lasting_peak ? in->lasting : in->lasting_peak;
}

/* Once most of what was odd has ended, the newest values are those of the recovery: the
 * ranking of the fault stands as it was last told. */
static bool incident_recovers(const struct di_incident *in)
{
    return in->lasting_peak >= RECOVERY_PEAK_MIN && in->lasting * 2 <= in->lasting_peak;
}

static void since_take(struct di_incident *in, const struct ql_member *member)
{
    if (member->ended.ns == QL_TIME_NONE.ns && in->since_count < DI_SINCES_MAX) {
        in->sinces[in->since_count++] = member->since;
    }
}

ql_time ql_di_noticed(const struct di_incident *in)
{
    uint32_t wanted = in->since_count / 4;
    ql_time noticed = in->onset;
    for (uint32_t i = 0; i < in->since_count; i++) {
        uint32_t earlier = 0;
        for (uint32_t k = 0; k < in->since_count; k++) {
            earlier += in->sinces[k].ns < in->sinces[i].ns ||
                       (in->sinces[k].ns == in->sinces[i].ns && k < i);
        }
        noticed = earlier == wanted ? in->sinces[i] : noticed;
    }
    return ql_time_before(noticed, in->onset) ? in->onset : noticed;
}

/* One row for each entity and kind: the first of its members stands for all. */
static void member_take(struct ql_diagnose *di, const struct ql_member *member)
{
    struct di_incident *in =
        member->incident.v == 0 ? NULL : incident_find(di, member->incident);
    const bool is_alert = member->kind == QL_MEMBER_ALERT;
    if (in == NULL || member->kind == QL_MEMBER_CHANGE || member->entity.v == 0) {
        return;
    }
    member_count(in, member);
    since_take(in, member);
    for (uint32_t i = 0; i < DI_MEMBER_ENTITIES_MAX; i++) {
        struct di_member *row = &in->members[i];
        if (row->entity.v == member->entity.v && row->is_alert == is_alert) {
            return;
        }
        if (row->entity.v == 0) {
            *row = (struct di_member){ .entity = member->entity, .since = member->since,
                                       .is_alert = is_alert };
            row->name_bytes = (uint8_t)(member->name.bytes < sizeof row->name
                                            ? member->name.bytes
                                            : sizeof row->name);
            memcpy(row->name, member->name.at, row->name_bytes);
            return;
        }
    }
}

static void change_take(struct ql_diagnose *di, const struct ql_change *change)
{
    struct di_change *row = &di->changes[di->change_next];
    di->change_next = (di->change_next + 1) % DI_CHANGES_MAX;
    di->change_count += di->change_count < DI_CHANGES_MAX;
    *row = (struct di_change){ .entity = change->entity, .at = change->at };
    const int bytes = snprintf(row->text, sizeof row->text, "%.*s%s%.*s",
                               QL_STR_ARG(change->kind), change->summary.bytes > 0 ? ": " : "",
                               QL_STR_ARG(change->summary));
    row->text_bytes = (uint8_t)(bytes < (int)sizeof row->text ? bytes : (int)sizeof row->text - 1);
}

static void di_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct ql_diagnose *di = stage;
    for (uint32_t i = 0; i < bus->changes.count; i++) {
        change_take(di, &bus->changes.at[i]);
    }
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        incident_take(di, &bus->incidents.at[i]);
    }
    for (uint32_t i = 0; i < bus->members.count; i++) {
        member_take(di, &bus->members.at[i]);
    }
    for (uint32_t i = 0; i < DI_INCIDENTS_MAX; i++) {
        struct di_incident *in = &di->incidents[i];
        if (in->id.v != 0 && in->waits) {
            in->waits = 0;
            if (!incident_recovers(in)) {
                ql_di_answer(di, in, now, bus);
            }
        }
    }
}

/* ---- asking ---- */

static bool ask_is_due(const struct di_incident *in, ql_time now)
{
    static const int64_t again_s[] = { 30, 120, 300, 600 };
    if (in->asked.ns == QL_TIME_NONE.ns) {
        return true;
    }
    if (incident_recovers(in)) {
        return false;
    }
    const uint32_t last = QL_COUNT_OF(again_s) - 1;
    const uint32_t at = in->ask_count - 1 < last ? in->ask_count - 1 : last;
    const int64_t since = ql_time_since(now, in->asked).ns;
    return since >= again_s[at] * QL_NS_PER_S || (in->grew && since >= GREW_AFTER.ns);
}

static void ask(struct ql_diagnose *di, struct di_incident *in, ql_time now, struct ql_batch *bus)
{
    ql_entity_id entities[DI_ENTITIES_MAX];
    const uint32_t count = ql_di_entities(di, in, entities);
    for (uint32_t i = 0; i < count; i++) {
        struct ql_window_request *request = ql_batch_add_window_request(bus);
        if (request == NULL) {
            ql_stat_add(di->drop_bus, 1);
            break;
        }
        *request = (struct ql_window_request){
            .incident = in->id, .entity = entities[i], .onset = in->onset,
            .from = ql_time_add(in->onset, (ql_duration){ -di->baseline.ns }) };
    }
    in->asked = now;
    in->ask_count++;
    in->grew = 0;
    in->waits = 1;
}

static void di_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct ql_diagnose *di = stage;
    for (uint32_t i = 0; i < DI_INCIDENTS_MAX; i++) {
        struct di_incident *in = &di->incidents[i];
        if (in->id.v != 0 && !in->waits && ask_is_due(in, now)) {
            ask(di, in, now, bus);
        }
    }
}

/* ---- the contract ---- */

static void di_adopt(void *stage, const struct ql_model_set *set)
{
    ((struct ql_diagnose *)stage)->model = *set;
}

static ql_err di_adopt_config(void *stage, const struct ql_config *config)
{
    ((struct ql_diagnose *)stage)->baseline =
        (ql_duration){ (int64_t)(config->baseline_s * 1e9) };
    return QL_OK;
}

static struct ql_stat_cell *drop_cell(struct ql_stats *stats, const char *labels)
{
    return ql_stats_cell(stats, QL_STAT_COUNTER, "ql_records_dropped_total",
                         "Records refused or dropped, by source and reason.", labels);
}

static void di_close(void *stage)
{
    struct ql_diagnose *di = stage;
    if (di != NULL) {
        ql_pages_free(di->incidents, DI_INCIDENTS_MAX * sizeof *di->incidents);
        ql_pages_free(di->changes, DI_CHANGES_MAX * sizeof *di->changes);
        ql_pages_free(di->hops, DI_ENTITIES_MAX * sizeof *di->hops);
        ql_arena_fini(&di->arena);
        free(di);
    }
}

static ql_err di_open(const struct ql_stage_env *env, void **ret_stage)
{
    QL_ASSERT(env->topology != NULL);
    struct ql_diagnose *di = calloc(1, sizeof *di);
    if (di == NULL) {
        return QL_E_MEMORY;
    }
    di->topology = env->topology;
    ql_arena_init(&di->arena, ARENA_BYTES_MAX);
    di->incidents = ql_pages_new(DI_INCIDENTS_MAX * sizeof *di->incidents);
    di->changes = ql_pages_new(DI_CHANGES_MAX * sizeof *di->changes);
    di->hops = ql_pages_new(DI_ENTITIES_MAX * sizeof *di->hops);
    if (di->incidents == NULL || di->changes == NULL || di->hops == NULL) {
        di_close(di);
        return QL_E_MEMORY;
    }
    di->drop_incident = drop_cell(env->stats, "source=\"diagnose\",reason=\"incidents_full\"");
    di->drop_series = drop_cell(env->stats, "source=\"diagnose\",reason=\"series_full\"");
    di->drop_bus = drop_cell(env->stats, "source=\"diagnose\",reason=\"bus_full\"");
    di->drop_memory = drop_cell(env->stats, "source=\"diagnose\",reason=\"memory\"");
    di->ranked_total = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_diagnoses_total",
                                     "Rankings made.", "");
    di->unsure_total = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_diagnoses_unsure_total",
                                     "Rankings not written because they were not sure.", "");
    const ql_err err = di_adopt_config(di, env->config);
    if (err != QL_OK) {
        di_close(di);
        return err;
    }
    *ret_stage = di;
    return QL_OK;
}

const struct ql_stage_type ql_diagnose_stage = {
    .name = "diagnose",
    .reads = QL_LIST_BIT(incidents) | QL_LIST_BIT(members) | QL_LIST_BIT(windows) |
             QL_LIST_BIT(signals) | QL_LIST_BIT(changes) | QL_LIST_BIT(edges),
    .writes = QL_LIST_BIT(window_requests) | QL_LIST_BIT(causes),
    .state_version = 3,
    .open = di_open,
    .close = di_close,
    .push = di_push,
    .tick = di_tick,
    .adopt = di_adopt,
    .adopt_config = di_adopt_config,
    .save = ql_di_save,
    .load = ql_di_load,
};

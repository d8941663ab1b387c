#include "act/act.h"

#include "act/act_int.h"
#include "base/pages.h"
#include "topology/topology.h"

#include <stdio.h>
#include <stdlib.h>

ql_id ql_act_id(const struct ql_act_key *key)
{
    const uint64_t words[5] = { key->incident.v, key->entity.v,
                                ql_hash64(key->runbook.at, key->runbook.bytes), key->attempt,
                                key->step };
    const uint64_t hash = ql_hash64(words, sizeof(words));
    return (ql_id){ hash == 0 ? 1 : hash };
}

static void act_close(void *stage)
{
    struct ql_act *act = stage;
    if (act == NULL) {
        return;
    }
    ql_pages_free(act->cases, QL_ACT_CASES_MAX * sizeof(*act->cases));
    ql_pages_free(act->members, AC_MEMBERS_MAX * sizeof(*act->members));
    ql_pages_free(act->ledgers, AC_LEDGERS_MAX * sizeof(*act->ledgers));
    ql_pages_free(act->runs, (QL_ACT_RUNS_MAX + 1) * sizeof(*act->runs));
    ql_map64_fini(&act->case_of);
    ql_map64_fini(&act->member_of);
    ql_map64_fini(&act->series_of);
    ql_map64_fini(&act->ledger_of);
    free(act);
}

static struct ql_stat_cell *act_drop_cell(struct ql_stats *stats, const char *labels)
{
    return ql_stats_cell(stats, QL_STAT_COUNTER, "ql_records_dropped_total",
                         "Records refused or dropped, by source and reason.", labels);
}

static void act_cells(struct ql_act *act, struct ql_stats *stats)
{
    for (uint32_t i = 0; i < QL_ACTION_STATE_COUNT; i++) {
        char labels[64];
        (void)snprintf(labels, sizeof(labels), "state=\"%s\"",
                       ql_action_state_text((enum ql_action_state)i));
        act->states[i] = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_actions_total",
                                       "Actions that came to a state.", labels);
    }
    act->drop_case = act_drop_cell(stats, "source=\"act\",reason=\"incidents_full\"");
    act->drop_member = act_drop_cell(stats, "source=\"act\",reason=\"members_full\"");
    act->drop_ledger = act_drop_cell(stats, "source=\"act\",reason=\"ledgers_full\"");
    act->drop_bus = act_drop_cell(stats, "source=\"act\",reason=\"bus_full\"");
}

static ql_err act_open(const struct ql_stage_env *env, void **ret_stage)
{
    struct ql_act *act = calloc(1, sizeof(*act));
    QL_ASSERT(env->topology != NULL);
    if (act == NULL) {
        return QL_E_MEMORY;
    }
    act->config = env->config;
    act->topology = env->topology;
    ql_map64_init(&act->case_of, QL_ACT_CASES_MAX);
    ql_map64_init(&act->member_of, AC_MEMBERS_MAX);
    ql_map64_init(&act->series_of, AC_MEMBERS_MAX);
    ql_map64_init(&act->ledger_of, AC_LEDGERS_MAX);
    act->cases = ql_pages_new(QL_ACT_CASES_MAX * sizeof(*act->cases));
    act->members = ql_pages_new(AC_MEMBERS_MAX * sizeof(*act->members));
    act->ledgers = ql_pages_new(AC_LEDGERS_MAX * sizeof(*act->ledgers));
    act->runs = ql_pages_new((QL_ACT_RUNS_MAX + 1) * sizeof(*act->runs));
    if (act->cases == NULL || act->members == NULL || act->ledgers == NULL || act->runs == NULL) {
        act_close(act);
        return QL_E_MEMORY;
    }
    act_cells(act, env->stats);
    *ret_stage = act;
    return QL_OK;
}

/* Signals before members before causes: what a run needs is known when it is asked for.
 * People before outcomes: an approval given twice must not lift a stop that the outcome of
 * the first one brings in the same tick. */
static void act_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct ql_act *act = stage;
    act->bus = bus;
    act->now = now;
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        ql_ac_incident_seen(act, &bus->incidents.at[i]);
    }
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        ql_ac_signal_seen(act, &bus->signals.at[i]);
    }
    for (uint32_t i = 0; i < bus->members.count; i++) {
        ql_ac_member_seen(act, &bus->members.at[i]);
    }
    for (uint32_t i = 0; i < bus->causes.count; i++) {
        ql_ac_cause_seen(act, &bus->causes.at[i]);
    }
    for (uint32_t i = 0; i < bus->commands.count; i++) {
        ql_ac_command_seen(act, &bus->commands.at[i]);
    }
    for (uint32_t i = 0; i < bus->outcomes.count; i++) {
        ql_ac_outcome_seen(act, &bus->outcomes.at[i]);
    }
    act->bus = NULL;
}

static void act_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct ql_act *act = stage;
    act->bus = bus;
    act->now = now;
    for (uint32_t i = 0; i < QL_ACT_RUNS_MAX && act->run_count > 0; i++) {
        if (act->runs[i].used) {
            ql_topology_keep(act->topology, act->runs[i].entity);
            ql_ac_run_tick(act, &act->runs[i]);
        }
    }
    for (uint32_t i = 0; i < QL_ACT_CASES_MAX && act->case_of.count > 0; i++) {
        struct ac_case *c = &act->cases[i];
        if (!c->used) {
            continue;
        }
        ql_topology_keep(act->topology, c->suspect);
        if (c->pending) {
            ql_ac_propose(act, c);
        }
        if (!c->active && c->run == 0) {
            ql_ac_case_drop(act, c);
        }
    }
    act->bus = NULL;
}

static ql_err act_adopt_config(void *stage, const struct ql_config *config)
{
    struct ql_act *act = stage;
    act->config = config;
    for (uint32_t i = 0; i < QL_ACT_CASES_MAX; i++) {
        struct ac_case *c = &act->cases[i];
        c->pending = c->used && c->active && c->run == 0; /* a new runbook may fit */
    }
    return QL_OK;
}

const struct ql_stage_type ql_act_stage = {
    .name = "act",
    .reads = QL_LIST_BIT(incidents) | QL_LIST_BIT(members) | QL_LIST_BIT(signals) |
             QL_LIST_BIT(causes) | QL_LIST_BIT(commands) | QL_LIST_BIT(outcomes),
    .writes = QL_LIST_BIT(actions) | QL_LIST_BIT(audits),
    .state_version = 4,
    .open = act_open,
    .close = act_close,
    .push = act_push,
    .tick = act_tick,
    .adopt = NULL,
    .adopt_config = act_adopt_config,
    .save = ql_ac_save,
    .load = ql_ac_load,
};

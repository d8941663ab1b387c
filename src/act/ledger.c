#include "act/act_int.h"
#include "topology/topology.h"

static bool ledger_has_run(const struct ql_act *act, const struct ac_ledger *ledger)
{
    for (uint32_t i = 0; i < QL_ACT_RUNS_MAX; i++) {
        if (act->runs[i].used && act->runs[i].ledger == ql_ac_ledger_row(act, ledger) + 1) {
            return true;
        }
    }
    return false;
}

static bool ledger_is_idle(const struct ql_act *act, const struct ac_ledger *ledger)
{
    return !ledger->stopped && ql_ac_ledger_strikes(ledger, act->now) == 0 &&
           ql_ac_ledger_starts(ledger, act->now) == 0 && !ledger_has_run(act, ledger);
}

/* Of an entity that is forgotten: its strikes and its stop are about nobody. */
static bool ledger_is_orphan(const struct ql_act *act, const struct ac_ledger *ledger)
{
    if (ql_topology_name(act->topology, ledger->entity).bytes > 0 ||
        ql_ac_ledger_starts(ledger, act->now) > 0 || ledger_has_run(act, ledger)) {
        return false;
    }
    for (uint32_t i = 0; i < QL_ACT_CASES_MAX; i++) {
        const struct ac_case *c = &act->cases[i];
        if (c->used && c->escalated_ledger == ql_ac_ledger_row(act, ledger) + 1) {
            return false; /* a person may lift it yet */
        }
    }
    return true;
}

/* The one that was needed longest ago of those that may go. */
static struct ac_ledger *ledger_oldest(struct ql_act *act,
                                       bool (*may_go)(const struct ql_act *act,
                                                      const struct ac_ledger *ledger))
{
    struct ac_ledger *oldest = NULL;
    for (uint32_t i = 0; i < AC_LEDGERS_MAX; i++) {
        struct ac_ledger *ledger = &act->ledgers[i];
        if ((oldest == NULL || ledger->touched.ns < oldest->touched.ns) && may_go(act, ledger)) {
            oldest = ledger;
        }
    }
    return oldest;
}

/* The lowest free row, else an idle one, else one whose entity is gone. */
static struct ac_ledger *ledger_free_row(struct ql_act *act)
{
    for (uint32_t i = 0; i < AC_LEDGERS_MAX; i++) {
        if (!act->ledgers[i].used) {
            return &act->ledgers[i];
        }
    }
    struct ac_ledger *oldest = ledger_oldest(act, ledger_is_idle);
    oldest = oldest != NULL ? oldest : ledger_oldest(act, ledger_is_orphan);
    if (oldest != NULL) {
        (void)ql_map64_drop(&act->ledger_of, oldest->key);
    }
    return oldest;
}

static uint64_t ledger_key(ql_entity_id entity, ql_str runbook)
{
    const uint64_t words[2] = { entity.v, ql_hash64(runbook.at, runbook.bytes) };
    const uint64_t key = ql_hash64(words, sizeof(words));
    return key == 0 ? 1 : key; /* 0 is "none" in ac_case.done */
}

struct ac_ledger *ql_ac_ledger(struct ql_act *act, ql_entity_id entity, ql_str runbook)
{
    const uint64_t key = ledger_key(entity, runbook);
    const uint32_t row = ql_map64_get(&act->ledger_of, key);
    if (row != QL_MAP_NONE) {
        act->ledgers[row].touched = act->now;
        return &act->ledgers[row];
    }
    struct ac_ledger *ledger = ledger_free_row(act);
    if (ledger == NULL ||
        ql_map64_put(&act->ledger_of, key, ql_ac_ledger_row(act, ledger)) != QL_OK) {
        ql_stat_add(act->drop_ledger, 1);
        return NULL;
    }
    *ledger = (struct ac_ledger){ .key = key, .entity = entity, .used = 1, .touched = act->now,
                                  .ended = QL_TIME_NONE, .succeeded = QL_TIME_NONE };
    return ledger;
}

static uint32_t ledger_count(const int64_t *starts, uint32_t count, ql_time now)
{
    uint32_t recent = 0;
    for (uint32_t i = 0; i < count; i++) {
        recent += starts[i] > now.ns - AC_HOUR.ns;
    }
    return recent;
}

uint32_t ql_ac_ledger_starts(const struct ac_ledger *ledger, ql_time now)
{
    return ledger_count(ledger->starts, ledger->start_count, now);
}

uint32_t ql_ac_all_starts(const struct ql_act *act, ql_time now)
{
    return ledger_count(act->starts, act->start_count, now);
}

void ql_ac_ledger_start(struct ql_act *act, struct ac_ledger *ledger)
{
    ledger->starts[ledger->start_next] = act->now.ns;
    ledger->start_next = (uint16_t)((ledger->start_next + 1) % AC_ENTITY_STARTS_MAX);
    ledger->start_count += ledger->start_count < AC_ENTITY_STARTS_MAX;
    act->starts[act->start_next] = act->now.ns;
    act->start_next = (act->start_next + 1) % AC_STARTS_MAX;
    act->start_count += act->start_count < AC_STARTS_MAX;
}

ql_duration ql_ac_ledger_backoff(const struct ac_ledger *ledger)
{
    const uint32_t doublings = ledger->strikes < 1 ? 0 : ledger->strikes - 1;
    return (ql_duration){ AC_BACKOFF.ns << (doublings < 6 ? doublings : 6) };
}

uint32_t ql_ac_ledger_strikes(const struct ac_ledger *ledger, ql_time now)
{
    if (ledger->succeeded.ns == QL_TIME_NONE.ns) {
        return ledger->strikes;
    }
    return now.ns - ledger->succeeded.ns < AC_RELAPSE.ns ? ledger->strikes + 1 : 0;
}

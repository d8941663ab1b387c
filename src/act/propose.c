#include "act/act_int.h"
#include "topology/topology.h"

/* Backtracks to the last '*' only, so it takes O(pattern * text) at most. */
bool ql_ac_glob(const char *pattern, ql_str text)
{
    const char *star = NULL;
    size_t at = 0, star_at = 0;
    while (at < text.bytes) {
        if (*pattern == '*') {
            star = pattern++;
            star_at = at;
        } else if (*pattern != '\0' && (*pattern == '?' || *pattern == text.at[at])) {
            pattern++;
            at++;
        } else if (star != NULL) {
            pattern = star + 1;
            at = ++star_at;
        } else {
            return false;
        }
    }
    while (*pattern == '*') {
        pattern++;
    }
    return *pattern == '\0';
}

const struct ql_runbook *ql_ac_match(const struct ql_config *config, ql_str entity, ql_str metric)
{
    for (uint32_t i = 0; i < config->runbook_count; i++) {
        const struct ql_runbook *runbook = &config->runbooks[i];
        if (runbook->mode != QL_ACT_OFF && ql_ac_glob(runbook->entity, entity) &&
            ql_ac_glob(runbook->metric, metric)) {
            return runbook;
        }
    }
    return NULL;
}

const struct ql_runbook *ql_ac_runbook(const struct ql_config *config, ql_str name)
{
    for (uint32_t i = 0; i < config->runbook_count; i++) {
        if (ql_str_eq(name, ql_str_of(config->runbooks[i].name))) {
            return &config->runbooks[i];
        }
    }
    return NULL;
}

/* The run as it would be, in the scratch row. */
static struct ac_run *propose_draft(struct ql_act *act, const struct ac_case *c,
                                    const struct ac_ledger *ledger,
                                    const struct ql_runbook *runbook)
{
    struct ac_run *run = &act->runs[QL_ACT_RUNS_MAX];
    memset(run, 0, offsetof(struct ac_run, triggers));
    run->incident = c->incident;
    run->entity = c->suspect;
    run->case_row = ql_ac_case_row(act, c) + 1;
    run->ledger = ql_ac_ledger_row(act, ledger) + 1;
    run->attempt = ledger->attempts + 1;
    run->attempts_max = runbook->attempts_max;
    run->state = QL_ACTION_PROPOSED;
    run->verify = (ql_duration){ (int64_t)(runbook->verify_s * 1e9) };
    run->dry_run = runbook->dry_run;
    return run;
}

static void propose_refuse(struct ql_act *act, struct ac_case *c, struct ac_ledger *ledger,
                           struct ac_run *draft, enum ac_gate gate, ql_str why)
{
    const ql_id id = ql_ac_run_id(draft, 0);
    const bool stops = ql_ac_gate_again(gate) == AC_STOPS;
    if (ql_ac_gate_again(gate) == AC_HOLDS) {
        c->pending = 1;
        return;
    }
    c->pending = ql_ac_gate_again(gate) == AC_WAITS;
    if (c->told.v == id.v && c->told_gate == (uint8_t)gate) {
        return; /* said already */
    }
    c->told = id;
    c->told_gate = (uint8_t)gate;
    draft->state = ql_ac_move(draft->state, stops ? AC_STOP : AC_REFUSE);
    ql_ac_tell_step(act, draft, 0, &(struct ac_tell){ draft->state, why, QL_STR("engine"), false });
    if (stops) {
        ledger->stopped = 1;
        ledger->escalated = id;
        c->escalated = id;
        c->escalated_ledger = ql_ac_ledger_row(act, ledger) + 1;
        ql_ac_case_done(c, ledger->key);
    }
}

static void propose_accept(struct ql_act *act, struct ac_case *c, struct ac_ledger *ledger,
                           const struct ac_run *draft, const struct ql_runbook *runbook,
                           ql_str why)
{
    uint32_t row = 0;
    while (act->runs[row].used) {
        row++;
    }
    QL_ASSERT(row < QL_ACT_RUNS_MAX);
    struct ac_run *run = &act->runs[row];
    *run = *draft;
    run->used = 1;
    act->run_count++;
    c->run = row + 1;
    c->pending = 0;
    ledger->attempts++;
    ledger->strikes = ql_ac_ledger_strikes(ledger, act->now);
    ledger->succeeded = QL_TIME_NONE;
    ql_ac_run_begin(act, run, runbook, why);
}

void ql_ac_propose(struct ql_act *act, struct ac_case *c)
{
    QL_ASSERT(c->used);
    if (c->run != 0) {
        return; /* asked again when that run has ended */
    }
    if (!c->active || c->suspect.v == 0 || act->config->act_mode == QL_ACT_OFF) {
        c->pending = 0;
        return;
    }
    const ql_str entity = ql_topology_name(act->topology, c->suspect);
    const struct ql_runbook *runbook =
        ql_ac_match(act->config, entity, (ql_str){ c->metric, c->metric_bytes });
    struct ac_ledger *ledger =
        runbook == NULL ? NULL : ql_ac_ledger(act, c->suspect, ql_str_of(runbook->name));
    const bool had_its_run = c->succeeded.ns != QL_TIME_NONE.ns;
    if (ledger == NULL || ql_ac_case_is_done(c, ledger->key) ||
        (had_its_run && ql_ac_case_triggers(act, c, NULL) == 0)) {
        c->pending = 0;
        return;
    }
    struct ql_buf why;
    enum ac_gate gate = AC_GATE_name;
    const struct ac_proposal proposal = { .act = act, .c = c, .runbook = runbook,
                                          .ledger = ledger, .entity = c->suspect,
                                          .entity_name = entity };
    struct ac_run *draft = propose_draft(act, c, ledger, runbook);
    ql_buf_init(&why, 4096);
    if (ql_ac_render(draft, runbook, entity) != QL_OK) {
        propose_refuse(act, c, ledger, draft, gate,
                       QL_STR("refused: the commands are longer than 8 KiB"));
    } else if (!ql_ac_gates(&proposal, &why, &gate)) {
        propose_refuse(act, c, ledger, draft, gate, ql_buf_view(&why));
    } else {
        propose_accept(act, c, ledger, draft, runbook, ql_buf_view(&why));
    }
    ql_buf_fini(&why);
}

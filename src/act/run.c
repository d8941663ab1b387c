#include "act/act_int.h"
#include "topology/topology.h"

#include <stdio.h>

#define RUN_LATE QL_S(5)

/* ---- the listed moves ------------------------------------------------------------ */

static const struct { enum ql_action_state from; enum ac_event event; enum ql_action_state to; }
    run_moves[] = {
#define QL_MOVE(from, event, to) { QL_ACTION_##from, AC_##event, QL_ACTION_##to },
#include "act/moves.def"
    };

enum ql_action_state ql_ac_move(enum ql_action_state from, enum ac_event event)
{
    for (uint32_t i = 0; i < QL_COUNT_OF(run_moves); i++) {
        if (run_moves[i].from == from && run_moves[i].event == event) {
            return run_moves[i].to;
        }
    }
    QL_ASSERT(false && "a move that moves.def lists");
    return from;
}

bool ql_ac_is_live(enum ql_action_state state)
{
    return state == QL_ACTION_PROPOSED || state == QL_ACTION_AWAITING ||
           state == QL_ACTION_RUNNING || state == QL_ACTION_VERIFYING;
}

ql_id ql_ac_run_id(const struct ac_run *run, uint32_t step)
{
    return ql_act_id(&(struct ql_act_key){ .incident = run->incident, .entity = run->entity,
                                           .runbook = ql_ac_text(run, run->runbook),
                                           .attempt = run->attempt, .step = step });
}

static void run_tell(struct ql_act *act, const struct ac_run *run, uint32_t step, ql_str reason,
                     ql_str by)
{
    ql_ac_tell_step(act, run, step, &(struct ac_tell){ run->state, reason, by, false });
}

/* ---- ends -------------------------------------------------------------------------- */

static void run_release(struct ql_act *act, struct ac_run *run)
{
    struct ac_case *c = &act->cases[run->case_row - 1];
    QL_ASSERT(run->used);
    QL_ASSERT(c->used);
    c->run = 0;
    run->used = 0;
    act->run_count--;
}

/* The last strike: the runbook stops on this entity. */
static void run_stop(struct ql_act *act, struct ac_run *run, struct ac_case *c,
                     struct ac_ledger *ledger)
{
    char text[256];
    const uint32_t step = run->step;
    (void)snprintf(text, sizeof(text),
                   "%u of %u strikes: the runbook stops on this entity; approve this action to "
                   "let it try again",
                   ledger->strikes, run->attempts_max);
    ledger->stopped = 1;
    run->state = ql_ac_move(run->state, AC_STOP);
    run_tell(act, run, step, ql_str_of(text), QL_STR("engine"));
    ledger->escalated = ql_ac_run_id(run, step);
    c->escalated = ledger->escalated;
    c->escalated_ledger = run->ledger;
    ql_ac_case_done(c, ledger->key);
}

static void run_count_end(struct ql_act *act, struct ac_run *run)
{
    struct ac_case *c = &act->cases[run->case_row - 1];
    struct ac_ledger *ledger = &act->ledgers[run->ledger - 1];
    switch (run->state) {
    case QL_ACTION_SUCCEEDED:
        ledger->ended = act->now;
        ledger->succeeded = act->now;
        c->succeeded = act->now;
        break;
    case QL_ACTION_FAILED:
    case QL_ACTION_INEFFECTIVE:
        ledger->ended = act->now;
        ledger->strikes++;
        c->pending = c->active;
        if (ledger->strikes >= run->attempts_max) {
            run_stop(act, run, c, ledger);
        }
        break;
    default: ql_ac_case_done(c, ledger->key); break; /* a person, or nobody, said no */
    }
}

/* Every step that was started ends with the run. */
void ql_ac_run_end(struct ql_act *act, struct ac_run *run, enum ac_event event, ql_str reason,
                   ql_str by)
{
    run->state = ql_ac_move(run->state, event);
    QL_ASSERT(!ql_ac_is_live(run->state));
    for (uint32_t step = 0; step <= run->step; step++) {
        run_tell(act, run, step, reason, by);
    }
    run_count_end(act, run);
    run_release(act, run);
}

void ql_ac_run_incident_over(struct ql_act *act, struct ac_run *run, const char *how)
{
    if (run->state == QL_ACTION_AWAITING) {
        ql_ac_run_end(act, run, AC_EXPIRE, ql_str_of(how), QL_STR("engine"));
    }
}

/* ---- start and steps -------------------------------------------------------------- */

static void run_dispatch(struct ql_act *act, struct ac_run *run, ql_str reason, ql_str by)
{
    QL_ASSERT(run->state == QL_ACTION_RUNNING);
    QL_ASSERT(!run->dry_run);
    const ql_duration grace = { (int64_t)(act->config->outcome_grace_s * 1e9) };
    run->deadline = ql_time_add(ql_time_add(act->now, run->steps[run->step].timeout), grace);
    run->overdue = 0;
    ql_ac_tell_step(act, run, run->step, &(struct ac_tell){ run->state, reason, by, true });
}

static void run_start(struct ql_act *act, struct ac_run *run, ql_str reason, ql_str by)
{
    const struct ac_case *c = &act->cases[run->case_row - 1];
    run->state = ql_ac_move(run->state, AC_START);
    run->started = act->now;
    run->trigger_count = ql_ac_case_triggers(act, c, run->triggers);
    QL_ASSERT(run->trigger_count > 0);
    ql_ac_ledger_start(act, &act->ledgers[run->ledger - 1]);
    run_dispatch(act, run, reason, by);
}

void ql_ac_run_begin(struct ql_act *act, struct ac_run *run, const struct ql_runbook *runbook,
                     ql_str why)
{
    const ql_str engine = QL_STR("engine");
    const enum ql_act_mode mode = ql_ac_mode(act->config, runbook);
    run_tell(act, run, 0, why, engine);
    if (mode == QL_ACT_OBSERVE) { /* a proposal is all that this mode makes */
        ql_ac_case_done(&act->cases[run->case_row - 1], act->ledgers[run->ledger - 1].key);
        run_release(act, run);
    } else if (run->dry_run) {
        ql_ac_run_end(act, run, AC_SHOW, QL_STR("dry run: this would run now"), engine);
    } else if (mode == QL_ACT_APPROVE) {
        run->state = ql_ac_move(run->state, AC_ASK);
        run->deadline = ql_time_add(act->now,
                                    (ql_duration){ (int64_t)(runbook->approval_s * 1e9) });
        run_tell(act, run, 0, QL_STR("a person must approve: mode approve"), engine);
    } else {
        run_start(act, run, QL_STR("started: mode auto"), engine);
    }
}

static void run_step_done(struct ql_act *act, struct ac_run *run)
{
    char text[128];
    const bool last = run->step + 1 == run->step_count;
    const ql_str engine = QL_STR("engine");
    if (last) {
        run->state = ql_ac_move(run->state, AC_DONE);
        run->deadline = ql_time_add(act->now, run->verify);
        (void)snprintf(text, sizeof(text),
                       "exit status 0; waiting up to %.0f s for %u signal%s to close",
                       ql_duration_s(run->verify), run->trigger_count,
                       run->trigger_count == 1 ? "" : "s");
        run_tell(act, run, run->step, ql_str_of(text), engine);
        return;
    }
    ql_ac_tell_step(act, run, run->step,
                    &(struct ac_tell){ QL_ACTION_VERIFYING,
                                       QL_STR("exit status 0; the next step follows"), engine,
                                       false });
    run->state = ql_ac_move(run->state, AC_NEXT);
    run->step++;
    run_dispatch(act, run, QL_STR("the step before ended with exit status 0"), engine);
}

/* The last line of what the command said, for the reason; the whole is in the log. */
static ql_str run_last_line(ql_str output)
{
    while (output.bytes > 0 && (unsigned char)output.at[output.bytes - 1] <= ' ') {
        output.bytes--;
    }
    size_t begin = output.bytes;
    while (begin > 0 && output.at[begin - 1] != '\n' && output.bytes - begin < 200) {
        begin--;
    }
    return (ql_str){ output.at + begin, output.bytes - begin };
}

static void run_step_failed(struct ql_act *act, struct ac_run *run,
                            const struct ql_outcome *outcome)
{
    char text[320];
    const ql_str said = run_last_line(outcome->output);
    if (outcome->timed_out) {
        (void)snprintf(text, sizeof(text), "ended after its timeout of %.0f s%s%.*s",
                       ql_duration_s(run->steps[run->step].timeout),
                       said.bytes > 0 ? ": " : "", QL_STR_ARG(said));
    } else {
        (void)snprintf(text, sizeof(text), "exit status %d%s%.*s", (int)outcome->exit_code,
                       said.bytes > 0 ? ": " : "", QL_STR_ARG(said));
    }
    ql_ac_run_end(act, run, AC_FAIL, ql_str_of(text), QL_STR("engine"));
}

void ql_ac_outcome_seen(struct ql_act *act, const struct ql_outcome *outcome)
{
    for (uint32_t i = 0; i < QL_ACT_RUNS_MAX; i++) {
        struct ac_run *run = &act->runs[i];
        if (!run->used || run->state != QL_ACTION_RUNNING ||
            ql_ac_run_id(run, run->step).v != outcome->action.v) {
            continue;
        }
        if (outcome->exit_code == 0 && !outcome->timed_out) {
            run_step_done(act, run);
        } else {
            run_step_failed(act, run, outcome);
        }
        return;
    }
    ql_ac_tell_audit(act, (ql_id){ 0 }, outcome->action, QL_STR("engine"), "outcome ignored",
                     QL_STR("no running step has this id"));
}

/* ---- people ----------------------------------------------------------------------- */

static struct ac_run *run_awaiting(struct ql_act *act, ql_id action)
{
    for (uint32_t i = 0; i < QL_ACT_RUNS_MAX; i++) {
        struct ac_run *run = &act->runs[i];
        if (run->used && run->state == QL_ACTION_AWAITING &&
            ql_ac_run_id(run, 0).v == action.v) {
            return run;
        }
    }
    return NULL;
}

static void run_approve(struct ql_act *act, struct ac_run *run, ql_str by)
{
    struct ac_case *c = &act->cases[run->case_row - 1];
    struct ql_buf why;
    enum ac_gate gate = AC_GATE_mode;
    const struct ac_proposal proposal = {
        .act = act, .c = c, .ledger = &act->ledgers[run->ledger - 1], .self = run,
        .runbook = ql_ac_runbook(act->config, ql_ac_text(run, run->runbook)),
        .entity = run->entity, .entity_name = ql_topology_name(act->topology, run->entity),
    };
    ql_buf_init(&why, 4096);
    if (ql_ac_gates(&proposal, &why, &gate)) {
        run_start(act, run, QL_STR("approved"), by);
    } else {
        ql_ac_run_end(act, run, AC_REFUSE, ql_buf_view(&why), by);
    }
    ql_buf_fini(&why);
}

/* The ledger that this action stopped: as its incident remembers it, or, when that is over,
 * as the newest that it stopped. */
static struct ac_ledger *run_stopped_by(struct ql_act *act, ql_id action)
{
    for (uint32_t i = 0; i < QL_ACT_CASES_MAX; i++) {
        const struct ac_case *c = &act->cases[i];
        if (c->used && c->escalated.v == action.v) {
            return &act->ledgers[c->escalated_ledger - 1];
        }
    }
    for (uint32_t i = 0; i < AC_LEDGERS_MAX; i++) {
        if (act->ledgers[i].used && act->ledgers[i].escalated.v == action.v) {
            return &act->ledgers[i];
        }
    }
    return NULL;
}

/* Incidents that wait at the stopped runbook may ask again: a person looked just now. */
static void run_reopen_cases(struct ql_act *act, const struct ac_ledger *ledger)
{
    for (uint32_t i = 0; i < QL_ACT_CASES_MAX; i++) {
        struct ac_case *c = &act->cases[i];
        if (!c->used || c->escalated.v == 0 ||
            c->escalated_ledger != ql_ac_ledger_row(act, ledger) + 1) {
            continue;
        }
        c->escalated = (ql_id){ 0 };
        c->told = (ql_id){ 0 };
        c->pending = c->active;
        c->evidence_at = act->now;
        for (uint32_t k = 0; k < AC_DONE_MAX; k++) {
            c->done[k] = c->done[k] == ledger->key ? 0 : c->done[k];
        }
    }
}

/* A person lets a stopped runbook try again on its entity. */
static bool run_lift(struct ql_act *act, const struct ql_command *command, ql_str by)
{
    struct ac_ledger *ledger =
        command->action.v == 0 ? NULL : run_stopped_by(act, command->action);
    if (ledger == NULL || !ledger->stopped) {
        return false;
    }
    ledger->stopped = 0;
    ledger->strikes = 0;
    ledger->ended = QL_TIME_NONE;
    ledger->succeeded = QL_TIME_NONE;
    ledger->escalated = (ql_id){ 0 };
    run_reopen_cases(act, ledger);
    ql_ac_tell_audit(act, command->incident, command->action, by, "stop lifted",
                     QL_STR("the runbook may try again on this entity"));
    return true;
}

void ql_ac_command_seen(struct ql_act *act, const struct ql_command *command)
{
    if (command->kind != QL_COMMAND_APPROVE && command->kind != QL_COMMAND_REJECT) {
        return;
    }
    const bool approve = command->kind == QL_COMMAND_APPROVE;
    const ql_str by = command->by.bytes > 0 ? command->by : QL_STR("unknown");
    struct ac_run *run = run_awaiting(act, command->action);
    if (run != NULL && approve) {
        run_approve(act, run, by);
    } else if (run != NULL) {
        ql_ac_run_end(act, run, AC_REJECT,
                      command->note.bytes > 0 ? command->note : QL_STR("rejected"), by);
    } else if (!approve || !run_lift(act, command, by)) {
        ql_ac_tell_audit(act, command->incident, command->action, by,
                         approve ? "approve ignored" : "reject ignored",
                         QL_STR("the action does not await it"));
    }
}

/* ---- signals and time ------------------------------------------------------------- */

static void run_trigger_news(struct ac_trigger *t, ql_id id, const struct ql_signal *signal,
                             bool open)
{
    const bool lapsed = signal != NULL && signal->lapsed;
    if (t->id.v == id.v) {
        t->open = open;
        t->silent |= lapsed; /* it ended because nobody can tell any more */
        return;
    }
    if (signal == NULL || !ql_series_id_eq(t->series, signal->series)) {
        return;
    }
    if (signal->kind == QL_SIGNAL_ABSENCE) {
        t->silent = open || lapsed;
    } else if (open && !t->open) { /* the same series is odd again, under a new id */
        t->open = 1;
        t->silent = 0;
        t->id = id;
    }
}

void ql_ac_run_signal(struct ql_act *act, ql_id id, const struct ql_signal *signal, bool open)
{
    if (act->run_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < QL_ACT_RUNS_MAX; i++) {
        struct ac_run *run = &act->runs[i];
        if (!run->used || (run->state != QL_ACTION_RUNNING && run->state != QL_ACTION_VERIFYING)) {
            continue;
        }
        for (uint32_t t = 0; t < run->trigger_count; t++) {
            run_trigger_news(&run->triggers[t], id, signal, open);
        }
    }
}

static void run_verify(struct ql_act *act, struct ac_run *run)
{
    char text[160];
    uint32_t open = 0, silent = 0;
    for (uint32_t t = 0; t < run->trigger_count; t++) {
        open += run->triggers[t].open;
        silent += run->triggers[t].silent;
    }
    if (open == 0 && silent == 0) {
        (void)snprintf(text, sizeof(text),
                       "recovered: %u of %u signals closed, data present, %.0f s after the start",
                       run->trigger_count, run->trigger_count,
                       ql_duration_s(ql_time_since(act->now, run->started)));
        ql_ac_run_end(act, run, AC_RECOVER, ql_str_of(text), QL_STR("engine"));
    } else if (act->now.ns >= run->deadline.ns) {
        (void)snprintf(text, sizeof(text),
                       "no recovery within %.0f s: %u of %u signals still open, %u without data",
                       ql_duration_s(run->verify), open, run->trigger_count, silent);
        ql_ac_run_end(act, run, AC_GIVE_UP, ql_str_of(text), QL_STR("engine"));
    }
}

void ql_ac_run_tick(struct ql_act *act, struct ac_run *run)
{
    if (run->state == QL_ACTION_VERIFYING) {
        run_verify(act, run);
        return;
    }
    if (act->now.ns < run->deadline.ns) {
        return;
    }
    if (run->state == QL_ACTION_AWAITING) {
        ql_ac_run_end(act, run, AC_EXPIRE, QL_STR("nobody approved it in time"),
                      QL_STR("engine"));
        return;
    }
    QL_ASSERT(run->state == QL_ACTION_RUNNING);
    if (!run->overdue) { /* time leapt over a full disk: the outcome comes right behind the tick */
        run->overdue = 1;
        run->deadline = ql_time_add(act->now, RUN_LATE);
        return;
    }
    /* What the step did is unknown: a person decides whether it may be done again. */
    ql_ac_case_done(&act->cases[run->case_row - 1], act->ledgers[run->ledger - 1].key);
    ql_ac_run_end(act, run, AC_FAIL,
                  QL_STR("no word from the step in time; what it did is unknown, so it is not "
                         "tried again here"),
                  QL_STR("engine"));
}

#include "act/act_int.h"

#include <stdio.h>

void ql_ac_tell_audit(struct ql_act *act, ql_id incident, ql_id action, ql_str actor,
                      const char *what, ql_str detail)
{
    struct ql_audit *audit = ql_batch_add_audit(act->bus);
    if (audit == NULL) {
        ql_stat_add(act->drop_bus, 1);
        return;
    }
    audit->at = act->now;
    audit->incident = incident;
    audit->action = action;
    audit->actor = ql_batch_text(act->bus, actor);
    audit->what = ql_batch_text(act->bus, ql_str_of(what));
    audit->detail = ql_batch_text(act->bus, detail);
}

static void tell_audit_step(struct ql_act *act, const struct ac_run *run, uint32_t step,
                            const struct ql_action *action)
{
    char what[64];
    struct ql_buf detail;
    ql_buf_init(&detail, 4096 + AC_TEXT_BYTES);
    (void)snprintf(what, sizeof(what), "action %s", ql_action_state_text(action->state));
    (void)ql_buf_printf(&detail, "%.*s / %.*s: %.*s", QL_STR_ARG(action->runbook),
                        QL_STR_ARG(action->step), QL_STR_ARG(action->reason));
    if (action->dispatch) {
        (void)ql_buf_printf(&detail, " [%.*s]",
                            QL_STR_ARG(ql_ac_text(run, run->steps[step].command)));
    }
    ql_ac_tell_audit(act, run->incident, action->id, action->by, what, ql_buf_view(&detail));
    ql_buf_fini(&detail);
}

void ql_ac_tell_step(struct ql_act *act, const struct ac_run *run, uint32_t step,
                     const struct ac_tell *tell)
{
    QL_ASSERT(step < run->step_count);
    ql_stat_add(act->states[tell->state], 1);
    struct ql_action *action = ql_batch_add_action(act->bus);
    if (action == NULL) { /* a step that is not dispatched ends at its deadline */
        ql_stat_add(act->drop_bus, 1);
        return;
    }
    const struct ac_step *s = &run->steps[step];
    const ql_str runbook = ql_ac_text(run, run->runbook);
    *action = (struct ql_action){
        .id = ql_ac_run_id(run, step),
        .incident = run->incident,
        .entity = run->entity,
        .runbook = ql_batch_text(act->bus, runbook),
        .step = ql_batch_text(act->bus, ql_ac_text(run, s->name)),
        .state = tell->state,
        .at = act->now,
        .dispatch = tell->dispatch,
        .dry_run = run->dry_run,
        .command = ql_batch_text(act->bus, ql_ac_text(run, s->command)),
        .argv = ql_batch_text(act->bus, ql_ac_text(run, s->argv)),
        .timeout = s->timeout,
        .reason = ql_batch_text(act->bus, tell->reason),
        .by = ql_batch_text(act->bus, tell->by),
    };
    if (tell->dispatch && (action->argv.bytes == 0 || action->argv.bytes != s->argv.bytes)) {
        action->dispatch = false; /* no room for the command: nothing is run */
        ql_stat_add(act->drop_bus, 1);
    }
    tell_audit_step(act, run, step, action);
}

/* Stories of single runs: what passes and what is refused. How a run ends: run_test.c. '!' after a
 * state in an expectation marks the one record that is dispatched. */
#include "act/act_test.h"

static const char auto_yaml[] =
    "act: {mode: auto}\n"
    "runbooks:\n"
    "- name: restart\n"
    "  entity: service/check*\n"
    "  metric: db_*\n"
    "  mode: auto\n"
    "  steady: 0s\n"
    "  verify: 2m\n"
    "  steps:\n"
    "  - {name: drain, run: [/bin/ctl, drain, '{name}'], timeout: 10s}\n"
    "  - {name: restart, run: [/bin/ctl, restart, '{entity}', 'in {incident}']}\n";

/* ---- the main road ------------------------------------------------------------------ */

static void auto_runs_both_steps_and_sees_recovery(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, auto_yaml);
    rig_trouble(&rig, 7, 100);
    rig_tick(&rig, 1);
    rig_expect(&rig, "proposed,running!");
    const struct ql_action first = *rig_last(&rig);
    assert_true(ql_str_eq(first.command, QL_STR("/bin/ctl drain checkout")));
    assert_true(ql_str_eq(first.argv, QL_STR("/bin/ctl\0drain\0checkout\0")));
    assert_int_equal(first.timeout.ns, QL_S(10).ns);
    assert_int_equal(rig.bus.audits.count, 2);
    rig_outcome(&rig, first.id, 0);
    ql_batch_reset(&rig.bus);
    rig_outcome(&rig, first.id, 0);
    rig_tick(&rig, 1);
    rig_expect(&rig, "verifying,running!");
    const struct ql_action second = *rig_last(&rig);
    assert_true(second.id.v != first.id.v);
    assert_true(ql_str_eq(second.command, QL_STR("/bin/ctl restart service/checkout 'in 7'")));
    ql_batch_reset(&rig.bus);
    rig_outcome(&rig, second.id, 0);
    (void)rig_step(&rig, 1, "verifying");
    (void)rig_step(&rig, 30, "");
    rig_member(&rig, 7, 100, "service/checkout", false);
    (void)rig_step(&rig, 1, "succeeded,succeeded");
    (void)rig_step(&rig, 3600, "");
    rig_close(&rig);
}

/* Nothing is said before the time; a suspect that changes begins anew. */
static void a_suspect_must_be_steady(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "act: {mode: auto}\n"
                   "runbooks:\n"
                   "- {name: r, entity: 'service/*', mode: auto, steady: 60s,\n"
                   "   steps: [{name: go, run: [/b/x]}]}\n");
    rig_incident(&rig, 1, QL_INC_OPENED, "service/web");
    rig_member(&rig, 1, 100, "service/web", true);
    rig_cause(&rig, 1, "service/web", "m", 0.9);
    (void)rig_step(&rig, 1, "");
    (void)rig_step(&rig, 50, "");
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    (void)rig_step(&rig, 1, "");
    (void)rig_step(&rig, 50, "");
    rig_cause(&rig, 1, "service/checkout", "other", 0.9); /* the same entity */
    (void)rig_step(&rig, 1, "");
    (void)rig_step(&rig, 10, "proposed,running!");
    rig_close(&rig);
}

static void approval_starts_and_silence_expires(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "approve", "auto", false);
    rig_trouble(&rig, 1, 100);
    ql_id id = rig_step(&rig, 1, "proposed,awaiting approval");
    rig_command(&rig, QL_COMMAND_APPROVE, id);
    rig_tick(&rig, 60);
    rig_expect(&rig, "running!");
    assert_true(ql_str_eq(rig_last(&rig)->by, QL_STR("ana")));
    ql_batch_reset(&rig.bus);
    rig_command(&rig, QL_COMMAND_APPROVE, id); /* twice starts nothing twice */
    rig_command(&rig, QL_COMMAND_REJECT, id);
    (void)rig_step(&rig, 1, "");
    rig_close(&rig);

    rig_open_one(&rig, "approve", "auto", false);
    rig_trouble(&rig, 1, 100);
    id = rig_step(&rig, 1, "proposed,awaiting approval");
    (void)rig_step(&rig, 3599, "");
    (void)rig_step(&rig, 1, "expired");
    rig_command(&rig, QL_COMMAND_APPROVE, id); /* too late */
    (void)rig_step(&rig, 1, "");
    rig_cause(&rig, 1, "service/checkout", "db_connections", 0.9);
    (void)rig_step(&rig, 1, ""); /* and it is not asked again for this incident */
    rig_close(&rig);
}

/* Hours in which nothing else names the suspect: the incident may still ask about it. */
static void a_suspect_keeps_the_name(void **state)
{
    struct rig rig;
    (void)state;
    rig_open_one(&rig, "approve", "auto", false);
    ql_topology_advance(rig.topology, rig.now);
    rig_trouble(&rig, 1, 100);
    (void)rig_step(&rig, 1, "proposed,awaiting approval");
    for (int minute = 0; minute < 180; minute++) {
        ql_batch_reset(&rig.bus);
        rig_tick(&rig, 60);
        ql_topology_advance(rig.topology, rig.now);
    }
    assert_int_equal(ql_topology_forget(rig.topology, 3600.0), 2);
    const ql_entity_id suspect = ql_entity_id_of(QL_STR("service/checkout"));
    assert_true(ql_str_eq(ql_topology_name(rig.topology, suspect), QL_STR("service/checkout")));
    rig_close(&rig);
}

static void a_rejected_run_never_starts(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "approve", "approve", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,awaiting approval");
    rig_command(&rig, QL_COMMAND_REJECT, id);
    (void)rig_step(&rig, 1, "rejected");
    rig_command(&rig, QL_COMMAND_APPROVE, id);
    rig_cause(&rig, 1, "service/checkout", "db_connections", 0.95);
    (void)rig_step(&rig, 1, "");
    rig_incident(&rig, 1, QL_INC_RESOLVED, "service/checkout");
    (void)rig_step(&rig, 600, "");
    rig_close(&rig);
}

static void an_incident_that_ends_takes_its_question_along(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "approve", "approve", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,awaiting approval");
    rig_incident(&rig, 1, QL_INC_RESOLVED, "service/checkout");
    (void)rig_step(&rig, 1, "expired");
    rig_command(&rig, QL_COMMAND_APPROVE, id);
    (void)rig_step(&rig, 1, "");
    rig_close(&rig);
}

/* ---- modes ---------------------------------------------------------------------------- */

static const struct { const char *mode, *ceiling; bool dry_run; const char *states; }
    mode_rows[] = {
        { "auto", "auto", false, "proposed,running!" },
        { "auto", "approve", false, "proposed,awaiting approval" },
        { "approve", "auto", false, "proposed,awaiting approval" },
        { "auto", "observe", false, "proposed" },
        { "observe", "auto", false, "proposed" },
        { "auto", "off", false, "" },
        { "off", "auto", false, "" },
        { "auto", "auto", true, "proposed,dry run" },
        { "approve", "auto", true, "proposed,dry run" },
        { "observe", "auto", true, "proposed" },
    };

static void the_lower_mode_holds(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(mode_rows); i++) {
        struct rig rig;
        rig_open_one(&rig, mode_rows[i].mode, mode_rows[i].ceiling, mode_rows[i].dry_run);
        rig_trouble(&rig, 1, 100);
        (void)rig_step(&rig, 1, mode_rows[i].states);
        rig_close(&rig);
    }
}

static void a_lowered_ceiling_binds_what_waits(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "approve", "approve", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,awaiting approval");
    struct ql_config *lower = test_config("act: {mode: observe}\n");
    assert_int_equal(ql_act_stage.adopt_config(rig.stage, lower), QL_OK);
    rig_command(&rig, QL_COMMAND_APPROVE, id);
    (void)rig_step(&rig, 1, "refused");
    rig_close(&rig);
    ql_config_free(lower);
}

/* ---- gates ------------------------------------------------------------------------------ */

static void low_confidence_is_refused_once_and_can_grow(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_incident(&rig, 1, QL_INC_OPENED, "service/checkout");
    rig_member(&rig, 1, 100, "service/checkout", true);
    rig_cause(&rig, 1, "service/checkout", "m", 0.3);
    rig_tick(&rig, 1);
    rig_expect(&rig, "refused");
    assert_true(ql_str_eq(rig_last(&rig)->reason,
                          QL_STR("refused by gate 'confidence': confidence 0.30 is under the "
                                 "0.50 asked")));
    const ql_id id = rig_last(&rig)->id;
    ql_batch_reset(&rig.bus);
    rig_cause(&rig, 1, "service/checkout", "m", 0.4);
    (void)rig_step(&rig, 1, "");
    rig_cause(&rig, 1, "service/checkout", "m", 0.85);
    const ql_id started = rig_step(&rig, 1, "proposed,running!");
    assert_int_equal(started.v, id.v); /* the same attempt, now passed */
    rig_close(&rig);
}

static void without_an_open_signal_nothing_can_be_verified(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_incident(&rig, 1, QL_INC_OPENED, "service/checkout");
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    (void)rig_step(&rig, 1, "refused");
    rig_member(&rig, 1, 100, "service/web", true); /* neither suspect nor symptom */
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    (void)rig_step(&rig, 1, "");
    rig_member(&rig, 1, 101, "service/checkout", true);
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    (void)rig_step(&rig, 1, "proposed,running!");
    rig_close(&rig);
}

static void evidence_holds_for_a_while_when_its_signals_are_heard(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 2, 200); /* holds the entity for a while */
    const ql_id id = rig_step(&rig, 1, "proposed,running!");
    rig_trouble(&rig, 1, 100);
    (void)rig_step(&rig, 1, "refused");
    rig_outcome(&rig, id, 0);
    (void)rig_step(&rig, 30, "verifying");
    rig_member(&rig, 2, 200, "service/checkout", false);
    (void)rig_step(&rig, 200, "succeeded,proposed,running!");
    rig_close(&rig);

    rig_open_one(&rig, "approve", "approve", false);
    rig_trouble(&rig, 2, 200); /* holds it for an hour */
    (void)rig_step(&rig, 1, "proposed,awaiting approval");
    rig_trouble(&rig, 1, 100);
    (void)rig_step(&rig, 1, "refused");
    rig_tick(&rig, 3599);
    rig_expect(&rig, "expired,refused");
    assert_true(ql_str_eq(rig_last(&rig)->reason,
                          QL_STR("refused by gate 'fresh evidence': evidence 3599 s old (at most "
                                 "120 s)")));
    rig_close(&rig);
}

static void signals_without_data_start_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_incident(&rig, 1, QL_INC_OPENED, "service/checkout");
    rig_member(&rig, 1, 101, "service/checkout", true);
    (void)rig_step(&rig, 1, "");
    rig_absence(&rig, 101, true);
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    rig_tick(&rig, 1);
    rig_expect(&rig, "refused");
    assert_true(ql_str_eq(rig_last(&rig)->reason,
                          QL_STR("refused by gate 'verifiable': the open signals get no data any "
                                 "more: recovery could not be seen")));
    rig_close(&rig);
}

static const struct { const char *name; bool safe; } name_rows[] = {
    { "service/checkout", true }, { "host/10.0.0.7:9100", true }, { "pod/a_b-c.d@e", true },
    { "service/a;rm -rf", false }, { "service/$(x)", false }, { "service/-rf", false },
    { "service/a b", false }, { "service/", false }, { "", false }, { "service/\xC3\xA9", false },
    { "service/a\nb", false }, { "-x/a", false }, { "service/..", false }, { "service/.", false },
    { "service/../../x", false }, { "service/a/..", false }, { "service/a/b", false },
    { "service//a", false }, { "/a", false }, { "../a", false }, { "service/a/", false },
    { "..", false }, { "-x", false }, { "service/--now", false },
    { "a", true }, { "service/..a", true }, { "service/a..b", true }, { "service/.hidden", true },
};

static void names_from_outside_are_held_to_safe_letters(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(name_rows); i++) {
        assert_int_equal(ql_ac_name_is_safe(ql_str_of(name_rows[i].name)), name_rows[i].safe);
    }
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    (void)rig_entity(&rig, "service/$(reboot)");
    rig_incident(&rig, 1, QL_INC_OPENED, "service/$(reboot)");
    rig_member(&rig, 1, 101, "service/$(reboot)", true);
    rig_cause(&rig, 1, "service/$(reboot)", "m", 0.9);
    (void)rig_step(&rig, 1, "refused");
    rig_close(&rig);
}

static void one_run_holds_an_entity(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,running!");
    rig_trouble(&rig, 2, 200);
    (void)rig_step(&rig, 1, "refused");
    rig_outcome(&rig, id, 0);
    rig_member(&rig, 1, 100, "service/checkout", false);
    /* The first succeeded; the second waited and is asked again by itself. */
    (void)rig_step(&rig, 1, "verifying,succeeded,proposed,running!");
    rig_close(&rig);
}

static void runs_of_an_hour_are_limited(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig, "act: {mode: auto, runs_per_hour_max: 2}\n"
                   "runbooks:\n"
                   "- {name: r, entity: 'service/*', mode: auto, steady: 0s,\n"
                   "   steps: [{name: go, run: [/b/x]}]}\n");
    const char *const entities[] = { "service/checkout", "service/payments", "service/web" };
    for (uint64_t i = 0; i < 3; i++) {
        rig_incident(&rig, i + 1, QL_INC_OPENED, entities[i]);
        rig_member(&rig, i + 1, i + 100, entities[i], true);
        rig_cause(&rig, i + 1, entities[i], "m", 0.9);
    }
    (void)rig_step(&rig, 1, "proposed,running!,proposed,running!,refused");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(auto_runs_both_steps_and_sees_recovery),
        cmocka_unit_test(a_suspect_must_be_steady),
        cmocka_unit_test(approval_starts_and_silence_expires),
        cmocka_unit_test(a_suspect_keeps_the_name),
        cmocka_unit_test(a_rejected_run_never_starts),
        cmocka_unit_test(an_incident_that_ends_takes_its_question_along),
        cmocka_unit_test(the_lower_mode_holds),
        cmocka_unit_test(a_lowered_ceiling_binds_what_waits),
        cmocka_unit_test(low_confidence_is_refused_once_and_can_grow),
        cmocka_unit_test(without_an_open_signal_nothing_can_be_verified),
        cmocka_unit_test(evidence_holds_for_a_while_when_its_signals_are_heard),
        cmocka_unit_test(signals_without_data_start_nothing),
        cmocka_unit_test(names_from_outside_are_held_to_safe_letters),
        cmocka_unit_test(one_run_holds_an_entity),
        cmocka_unit_test(runs_of_an_hour_are_limited),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

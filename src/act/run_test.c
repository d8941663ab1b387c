/* Stories of how runs end: with a failure, without a word, without data, with a success that lasts
 * and with one that does not. '!' after a state in an expectation marks the one record that is
 * dispatched. */
#include "act/act_test.h"

static void a_failed_step_ends_the_run_and_two_stop_it(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    ql_id id = rig_step(&rig, 1, "proposed,running!");
    rig_outcome(&rig, id, 3);
    rig_tick(&rig, 1);
    rig_expect(&rig, "failed,refused"); /* the second: back-off */
    assert_true(ql_str_eq(rig.bus.actions.at[0].reason, QL_STR("exit status 3: last line")));
    ql_batch_reset(&rig.bus);
    (void)rig_step(&rig, 59, "");
    (void)rig_step(&rig, 1, "proposed,running!");
    id = ql_act_id(&(struct ql_act_key){
        .incident = { 1 }, .entity = ql_entity_id_of(QL_STR("service/checkout")),
        .runbook = QL_STR("restart"), .attempt = 2 });
    rig_outcome(&rig, id, 1);
    const ql_id stopped = rig_step(&rig, 1, "failed,escalated");
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    (void)rig_step(&rig, 3600, "");
    /* The next incident is told that a person must look. */
    rig_trouble(&rig, 2, 200);
    (void)rig_step(&rig, 1, "escalated");
    rig_restart(&rig);
    rig_command(&rig, QL_COMMAND_APPROVE, stopped);
    /* Until a person says otherwise; then both incidents ask, and one has it. */
    (void)rig_step(&rig, 1, "proposed,running!,refused");
    rig_close(&rig);
}

/* The stop outlives its incident, and so does the way to lift it. */
static void a_stop_can_be_lifted_after_its_incident(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    ql_id id = rig_step(&rig, 1, "proposed,running!");
    rig_outcome(&rig, id, 1);
    (void)rig_step(&rig, 1, "failed,refused");
    id = rig_step(&rig, 60, "proposed,running!");
    rig_outcome(&rig, id, 1);
    const ql_id stopped = rig_step(&rig, 1, "failed,escalated");
    rig_incident(&rig, 1, QL_INC_RESOLVED, "service/checkout");
    (void)rig_step(&rig, 4000, "");
    rig_command(&rig, QL_COMMAND_APPROVE, stopped);
    (void)rig_step(&rig, 1, "");
    rig_trouble(&rig, 2, 200);
    (void)rig_step(&rig, 1, "proposed,running!");
    rig_close(&rig);
}

/* Every row is a stop that waits for a person: of entities that are gone the one that was needed
 * longest ago makes room, of those that are there none does. */
static void stops_of_who_is_gone_make_room(void **state)
{
    enum { ROWS = AC_LEDGERS_MAX, GONE = 3 };
    struct rig rig;
    (void)state;
    rig_open(&rig, "{}");
    rig_tick(&rig, 7200);
    struct ql_act *act = rig.stage;
    for (uint32_t i = 0; i < ROWS; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "pod/%u", i);
        const ql_entity_id id =
            i < GONE ? ql_entity_id_of(ql_str_of(name)) : rig_entity(&rig, name);
        struct ac_ledger *ledger = ql_ac_ledger(act, id, QL_STR("restart"));
        assert_non_null(ledger);
        ledger->stopped = 1;
        ledger->touched.ns -= i == 1 ? 60 : 0;
    }
    act->cases[5] = (struct ac_case){ .incident = { 9 }, .used = 1, .active = 1,
                                      .escalated_ledger = 2 + 1 };
    rig_restart(&rig);
    act = rig.stage;
    static const uint32_t rows[] = { 1, 0 }; /* the second's is in an open question */
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ac_ledger *ledger = ql_ac_ledger(act, (ql_entity_id){ 77 + i }, QL_STR("fix"));
        assert_non_null(ledger);
        assert_int_equal(ledger - act->ledgers, rows[i]);
        assert_int_equal(ledger->stopped, 0);
        act->ledgers[rows[i]].stopped = 1;
        assert_int_equal(ql_topology_see(rig.topology, (ql_entity_id){ 77 + i },
                                         QL_STR("pod/new")), QL_OK);
    }
    assert_null(ql_ac_ledger(act, (ql_entity_id){ 99 }, QL_STR("fix")));
    assert_int_equal(ql_stats_sum(rig.stats, "ql_records_dropped_total", "ledgers_full"), 1);
    rig_close(&rig);
}

static void no_word_from_a_step_is_a_failure_that_is_not_retried(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,running!");
    (void)rig_step(&rig, 39, "");
    (void)rig_step(&rig, 1, "");
    (void)rig_step(&rig, 4, "");
    (void)rig_step(&rig, 1, "failed");
    rig_outcome(&rig, id, 0); /* too late */
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    (void)rig_step(&rig, 600, "");
    rig_close(&rig);
}

/* While a disk is full there is no tick, and the outcome waits: the tick that finds room again
 * comes first, maybe an hour later. */
static void an_outcome_behind_a_leap_of_time_counts(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,running!");
    (void)rig_step(&rig, 3600, "");
    rig_outcome(&rig, id, 0);
    (void)rig_step(&rig, 1, "verifying");
    rig_close(&rig);
}

static void missing_data_is_not_recovery(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,running!");
    rig_outcome(&rig, id, 0);
    (void)rig_step(&rig, 1, "verifying");
    rig_absence(&rig, 100, true);
    (void)rig_step(&rig, 10, "");
    rig_member(&rig, 1, 100, "service/checkout", false); /* given up, not recovered */
    (void)rig_step(&rig, 10, "");
    (void)rig_step(&rig, 280, "ineffective,refused");
    rig_close(&rig);
}

/* What an action deleted cannot be judged any more, as a replica of four: nothing was repaired. */
static void what_lapses_is_not_recovery(void **state)
{
    static const struct { bool lapsed, absent; const char *end; } rows[] = {
        { false, false, "succeeded" },
        { true, false, "ineffective,refused" },
        { true, true, "ineffective,refused" },
        { false, true, "ineffective,refused" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct rig rig;
        rig_open_one(&rig, "auto", "auto", false);
        rig_trouble(&rig, 1, 100);
        const ql_id id = rig_step(&rig, 1, "proposed,running!");
        rig_outcome(&rig, id, 0);
        (void)rig_step(&rig, 1, "verifying");
        rig_member(&rig, 1, 100, "service/checkout", false);
        rig.bus.signals.at[rig.bus.signals.count - 1].lapsed = rows[i].lapsed;
        if (rows[i].absent) { /* it was silent, and that too was given up */
            rig_absence(&rig, 100, true);
            rig_absence(&rig, 100, false);
            rig.bus.signals.at[rig.bus.signals.count - 1].lapsed = true;
        }
        (void)rig_step(&rig, 10, rows[i].lapsed || rows[i].absent ? "" : "succeeded");
        (void)rig_step(&rig, 290, rows[i].lapsed || rows[i].absent ? rows[i].end : "");
        rig_close(&rig);
    }
}

static void data_that_comes_back_calm_is_recovery(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,running!");
    rig_outcome(&rig, id, 0);
    (void)rig_step(&rig, 1, "verifying");
    rig_absence(&rig, 100, true);
    (void)rig_step(&rig, 10, "");
    rig_absence(&rig, 100, false);
    rig_restart(&rig);
    (void)rig_step(&rig, 10, "");
    rig_member(&rig, 1, 100, "service/checkout", false);
    (void)rig_step(&rig, 10, "succeeded");
    rig_close(&rig);
}

/* An incident comes, its run succeeds, and it is over. */
static void rig_repair(struct rig *rig, uint64_t incident, uint64_t signal)
{
    rig_trouble(rig, incident, signal);
    const ql_id id = rig_step(rig, 1, "proposed,running!");
    rig_outcome(rig, id, 0);
    (void)rig_step(rig, 1, "verifying");
    rig_member(rig, incident, signal, "service/checkout", false);
    (void)rig_step(rig, 30, "succeeded");
    rig_incident(rig, incident, QL_INC_RESOLVED, "service/checkout");
}

/* A leak: each restart helps for a while. It is not restarted for ever. */
static void a_success_that_does_not_last_counts_against_it(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    uint64_t signal = 100;
    for (uint64_t incident = 1; incident <= 2; incident++) {
        rig_repair(&rig, incident, signal++);
        (void)rig_step(&rig, 600, "");
    }
    rig_trouble(&rig, 3, signal);
    rig_tick(&rig, 1);
    rig_expect(&rig, "escalated");
    const ql_id stopped = rig_last(&rig)->id;
    ql_batch_reset(&rig.bus);
    rig_command(&rig, QL_COMMAND_APPROVE, stopped);
    (void)rig_step(&rig, 1, "proposed,running!");
    rig_close(&rig);
}

static void a_success_that_lasts_clears_the_strikes(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    uint64_t signal = 100;
    for (uint64_t incident = 1; incident <= 5; incident++) {
        rig_repair(&rig, incident, signal++);
        (void)rig_step(&rig, 4000, "");
    }
    rig_close(&rig);
}

static void an_open_incident_is_not_fixed_twice_after_a_success(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "auto", "auto", false);
    rig_trouble(&rig, 1, 100);
    const ql_id id = rig_step(&rig, 1, "proposed,running!");
    rig_outcome(&rig, id, 0);
    rig_member(&rig, 1, 101, "service/checkout", true); /* joined while it ran */
    (void)rig_step(&rig, 1, "verifying");
    rig_member(&rig, 1, 100, "service/checkout", false);
    (void)rig_step(&rig, 30, "succeeded");
    rig_cause(&rig, 1, "service/checkout", "m", 0.9); /* the other is still closing */
    (void)rig_step(&rig, 30, "");
    rig_close(&rig);
}

/* Found by random_test: the second suspect's run once had the id of the first one's. */
static void another_suspect_is_another_action(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "approve", "approve", false);
    rig_trouble(&rig, 1, 100);
    const ql_id first = rig_step(&rig, 1, "proposed,awaiting approval");
    rig_command(&rig, QL_COMMAND_REJECT, first);
    rig_cause(&rig, 1, "service/payments", "m", 0.9);
    const ql_id second = rig_step(&rig, 1, "rejected,proposed,awaiting approval");
    assert_true(first.v != second.v);
    rig_close(&rig);
}

static void a_merged_incident_gives_its_signals_away(void **state)
{
    (void)state;
    struct rig rig;
    rig_open_one(&rig, "approve", "approve", false);
    rig_trouble(&rig, 2, 100);
    (void)rig_step(&rig, 1, "proposed,awaiting approval");
    rig_incident(&rig, 1, QL_INC_OPENED, "service/web");
    rig_incident(&rig, 2, QL_INC_MERGED, "service/checkout");
    rig.bus.incidents.at[1].merged_into.v = 1;
    rig_member(&rig, 1, 100, "service/checkout", true);
    rig_cause(&rig, 1, "service/checkout", "m", 0.9);
    (void)rig_step(&rig, 1, "expired,proposed,awaiting approval");
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_step_ends_the_run_and_two_stop_it),
        cmocka_unit_test(a_stop_can_be_lifted_after_its_incident),
        cmocka_unit_test(stops_of_who_is_gone_make_room),
        cmocka_unit_test(no_word_from_a_step_is_a_failure_that_is_not_retried),
        cmocka_unit_test(an_outcome_behind_a_leap_of_time_counts),
        cmocka_unit_test(missing_data_is_not_recovery),
        cmocka_unit_test(what_lapses_is_not_recovery),
        cmocka_unit_test(data_that_comes_back_calm_is_recovery),
        cmocka_unit_test(a_success_that_does_not_last_counts_against_it),
        cmocka_unit_test(a_success_that_lasts_clears_the_strikes),
        cmocka_unit_test(an_open_incident_is_not_fixed_twice_after_a_success),
        cmocka_unit_test(another_suspect_is_another_action),
        cmocka_unit_test(a_merged_incident_gives_its_signals_away),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

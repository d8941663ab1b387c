/* command_test - what stands in the journal reads back as it was written. */
#include "wire/wire_test.h"

static const struct ql_wire_limits limits = { .body_bytes_max = 1 << 20 };

static ql_err own_decode(enum ql_door door, ql_str body, struct ql_batch *batch,
                         struct ql_reject *reject)
{
    const struct ql_wire_input in = { .door = door, .format = QL_FORMAT_OWN, .body = body };
    *reject = (struct ql_reject){ 0 };
    ql_batch_reset(batch);
    return ql_wire_decode(&in, &limits, batch, reject);
}

static void commands_there_and_back(void **state)
{
    (void)state;
    struct ql_buf out;
    struct ql_batch batch;
    struct ql_reject reject;
    ql_buf_init(&out, 1 << 16);
    ql_batch_init(&batch, 1 << 20);
    for (int kind = 0; kind < QL_COMMAND_COUNT; kind++) {
        const struct ql_command command = {
            .kind = (enum ql_command_kind)kind, .incident = { UINT64_MAX }, .action = { 7 },
            .verdict = QL_VERDICT_RIGHT_CAUSE, .entity = QL_STR("service/checkout"),
            .by = QL_STR("ann"), .note = QL_STR("l\x00ine"), .at = { -5 },
        };
        assert_int_equal(ql_wire_command_write(&command, &out), QL_OK);
    }
    assert_int_equal(own_decode(QL_DOOR_COMMAND, ql_buf_view(&out), &batch, &reject), QL_OK);
    assert_int_equal(batch.commands.count, QL_COMMAND_COUNT);
    for (uint32_t i = 0; i < batch.commands.count; i++) {
        const struct ql_command *got = &batch.commands.at[i];
        assert_int_equal(got->kind, i);
        assert_true(got->incident.v == UINT64_MAX && got->action.v == 7 && got->at.ns == -5);
        assert_int_equal(got->verdict, QL_VERDICT_RIGHT_CAUSE);
        assert_true(ql_str_eq(got->entity, QL_STR("service/checkout")));
        assert_true(ql_str_eq(got->by, QL_STR("ann")) && ql_str_eq(got->note, QL_STR("l\x00ine")));
    }
    for (size_t cut = 1; cut < out.bytes / QL_COMMAND_COUNT; cut++) {
        assert_int_equal(own_decode(QL_DOOR_COMMAND, (ql_str){ out.at, cut }, &batch, &reject),
                         QL_E_MALFORMED);
        assert_int_equal(reject.counts[QL_REASON_MALFORMED], 1);
    }
    ql_batch_fini(&batch);
    ql_buf_fini(&out);
}

static void outcomes_there_and_back(void **state)
{
    (void)state;
    struct ql_buf out;
    struct ql_batch batch;
    struct ql_reject reject;
    const struct ql_outcome outcome = { .action = { 9 }, .at = { 123 }, .exit_code = -1,
                                        .timed_out = true, .output = QL_STR("no route") };
    ql_buf_init(&out, 1 << 16);
    ql_batch_init(&batch, 1 << 20);
    assert_int_equal(ql_wire_outcome_write(&outcome, &out), QL_OK);
    assert_int_equal(own_decode(QL_DOOR_OUTCOME, ql_buf_view(&out), &batch, &reject), QL_OK);
    assert_int_equal(batch.outcomes.count, 1);
    const struct ql_outcome *got = &batch.outcomes.at[0];
    assert_true(got->action.v == 9 && got->at.ns == 123 && got->timed_out);
    assert_int_equal(got->exit_code, -1);
    assert_true(ql_str_eq(got->output, outcome.output));
    for (size_t cut = 1; cut < out.bytes; cut++) {
        assert_int_equal(own_decode(QL_DOOR_OUTCOME, (ql_str){ out.at, cut }, &batch, &reject),
                         QL_E_MALFORMED);
    }
    ql_batch_fini(&batch);
    ql_buf_fini(&out);
}

static void what_is_no_command(void **state)
{
    (void)state;
    static const ql_str bad[] = { { "\x02\x00\x00", 3 }, { "\x01\xFF\x00", 3 },
                                  { "\x01\x00\x09", 3 } };
    struct ql_batch batch;
    struct ql_reject reject;
    ql_batch_init(&batch, 1 << 20);
    for (size_t i = 0; i < QL_COUNT_OF(bad); i++) {
        assert_int_equal(own_decode(QL_DOOR_COMMAND, bad[i], &batch, &reject), QL_E_MALFORMED);
    }
    assert_int_equal(own_decode(QL_DOOR_COMMAND, (ql_str){ "", 0 }, &batch, &reject), QL_OK);
    ql_batch_fini(&batch);
}

static void names_of_doors_and_reasons(void **state)
{
    (void)state;
    struct ql_reject reject = { 0 };
    assert_string_equal(ql_door_name(QL_DOOR_REMOTE_WRITE), "remote_write");
    assert_string_equal(ql_door_name(QL_DOOR_OUTCOME), "outcome");
    assert_string_equal(ql_door_name((enum ql_door)0), "unknown");
    assert_string_equal(ql_reason_text(QL_REASON_DUPLICATE_LABEL), "duplicate_label");
    assert_string_equal(ql_reason_text(QL_REASON_NOT_FINITE), "not_finite");
    ql_reject_add(&reject, QL_REASON_OLD, "first %d", 1);
    ql_reject_add(&reject, QL_REASON_OLD, "second");
    ql_reject_add(&reject, QL_REASON_FUTURE, "third");
    assert_string_equal(reject.text, "first 1");
    assert_int_equal(reject.total, 3);
    assert_int_equal(reject.counts[QL_REASON_OLD], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(commands_there_and_back), cmocka_unit_test(outcomes_there_and_back),
        cmocka_unit_test(what_is_no_command), cmocka_unit_test(names_of_doors_and_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

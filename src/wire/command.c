/* command.c - people's commands and the actuator's outcomes in their journal form.
 *
 * One record is a version byte and its fields, fixed-width little-endian; a body holds
 * any number of them. This form stands in journals: a new field needs a new version,
 * and old versions stay readable.
 */
#include "wire/wire_int.h"

enum { COMMAND_VERSION = 1, OUTCOME_VERSION = 1 };

ql_err ql_wire_command_write(const struct ql_command *command, struct ql_buf *out)
{
    QL_ASSERT((unsigned)command->kind < QL_COMMAND_COUNT);
    QL_ASSERT((unsigned)command->verdict <= QL_VERDICT_RIGHT_CAUSE);
    (void)ql_buf_u8(out, COMMAND_VERSION);
    (void)ql_buf_u8(out, (uint8_t)command->kind);
    (void)ql_buf_u8(out, (uint8_t)command->verdict);
    (void)ql_buf_u64(out, command->incident.v);
    (void)ql_buf_u64(out, command->action.v);
    (void)ql_buf_i64(out, command->at.ns);
    (void)ql_buf_lstr(out, command->entity);
    (void)ql_buf_lstr(out, command->by);
    return ql_buf_lstr(out, command->note);
}

ql_err ql_wire_outcome_write(const struct ql_outcome *outcome, struct ql_buf *out)
{
    (void)ql_buf_u8(out, OUTCOME_VERSION);
    (void)ql_buf_u64(out, outcome->action.v);
    (void)ql_buf_i64(out, outcome->at.ns);
    (void)ql_buf_u32(out, (uint32_t)outcome->exit_code);
    (void)ql_buf_u8(out, outcome->timed_out);
    return ql_buf_lstr(out, outcome->output);
}

static bool command_read(struct ql_reader *r, struct ql_command *ret_command)
{
    const uint8_t version = ql_reader_u8(r), kind = ql_reader_u8(r), verdict = ql_reader_u8(r);
    if (version != COMMAND_VERSION || kind >= QL_COMMAND_COUNT ||
        verdict > QL_VERDICT_RIGHT_CAUSE) {
        return false;
    }
    struct ql_command command = { .kind = (enum ql_command_kind)kind,
                                  .verdict = (enum ql_verdict)verdict };
    command.incident.v = ql_reader_u64(r);
    command.action.v = ql_reader_u64(r);
    command.at.ns = ql_reader_i64(r);
    command.entity = ql_reader_lstr(r);
    command.by = ql_reader_lstr(r);
    command.note = ql_reader_lstr(r);
    *ret_command = command;
    return !r->failed;
}

static bool outcome_read(struct ql_reader *r, struct ql_outcome *ret_outcome)
{
    if (ql_reader_u8(r) != OUTCOME_VERSION) {
        return false;
    }
    struct ql_outcome outcome = { .action.v = ql_reader_u64(r) };
    outcome.at.ns = ql_reader_i64(r);
    outcome.exit_code = (int32_t)ql_reader_u32(r);
    const uint8_t timed_out = ql_reader_u8(r);
    outcome.timed_out = timed_out == 1;
    outcome.output = ql_reader_lstr(r);
    *ret_outcome = outcome;
    return !r->failed && timed_out <= 1;
}

static ql_err command_refuse(const struct ql_wire_job *job, ql_err err, const char *what)
{
    ql_reject_add(job->reject, err == QL_E_FULL ? QL_REASON_TOO_LARGE : QL_REASON_MALFORMED,
                  "%s: %s", ql_door_name(job->in->door), what);
    return err;
}

ql_err ql_command_decode(const struct ql_wire_job *job)
{
    struct ql_reader r = ql_reader_of(job->body);
    while (ql_reader_left(&r) > 0) {
        struct ql_command command;
        if (!command_read(&r, &command)) {
            return command_refuse(job, QL_E_MALFORMED, "cut off, or of an unknown version or kind");
        }
        struct ql_command *added = ql_batch_add_command(job->out);
        if (added == NULL) {
            return command_refuse(job, QL_E_FULL, "more commands than one batch holds");
        }
        *added = command;
    }
    return QL_OK;
}

ql_err ql_outcome_decode(const struct ql_wire_job *job)
{
    struct ql_reader r = ql_reader_of(job->body);
    while (ql_reader_left(&r) > 0) {
        struct ql_outcome outcome;
        if (!outcome_read(&r, &outcome)) {
            return command_refuse(job, QL_E_MALFORMED, "cut off, or of an unknown version");
        }
        struct ql_outcome *added = ql_batch_add_outcome(job->out);
        if (added == NULL) {
            return command_refuse(job, QL_E_FULL, "more outcomes than one batch holds");
        }
        *added = outcome;
    }
    return QL_OK;
}

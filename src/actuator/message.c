#include "actuator/message.h"

#include "actuator/actuator.h"

#define MESSAGE_REQUEST 1u
#define MESSAGE_RESPONSE 2u

static uint32_t message_word_count(ql_str argv)
{
    uint32_t count = 0;
    for (size_t i = 0; i < argv.bytes; i++) {
        count += argv.at[i] == '\0';
    }
    return count;
}

static bool message_request_is_fine(const struct ql_request *request)
{
    const uint32_t words = message_word_count(request->argv);
    return request->action.v != 0 && request->timeout.ns > 0 &&
           request->timeout.ns <= QL_REQUEST_TIMEOUT_MAX.ns && request->argv.bytes > 0 &&
           request->argv.at[0] == '/' && request->argv.at[request->argv.bytes - 1] == '\0' &&
           words <= QL_REQUEST_WORDS_MAX &&
           request->argv.bytes <= QL_REQUEST_BYTES_MAX - 64;
}

ql_err ql_request_write(const struct ql_request *request, struct ql_buf *out)
{
    if (!message_request_is_fine(request)) {
        return QL_E_RANGE;
    }
    (void)ql_buf_u32(out, (uint32_t)(1 + 8 + 8 + 1 + 4 + request->argv.bytes));
    (void)ql_buf_u8(out, MESSAGE_REQUEST);
    (void)ql_buf_u64(out, request->action.v);
    (void)ql_buf_i64(out, request->timeout.ns);
    (void)ql_buf_u8(out, request->dry_run);
    (void)ql_buf_lstr(out, request->argv);
    return ql_buf_check(out);
}

/* The body of one message, or an empty one when it is not all there yet. */
static ql_err message_frame(ql_str bytes, uint32_t bytes_max, ql_str *ret_body)
{
    struct ql_reader in = ql_reader_of(bytes);
    *ret_body = (ql_str){ "", 0 };
    if (bytes.bytes < 4) {
        return QL_OK;
    }
    const uint32_t length = ql_reader_u32(&in);
    if (length == 0 || length > bytes_max) {
        return QL_E_MALFORMED;
    }
    if (ql_reader_left(&in) >= length) {
        *ret_body = (ql_str){ bytes.at + 4, length };
    }
    return QL_OK;
}

ql_err ql_request_read(ql_str bytes, struct ql_request *ret_request, size_t *ret_used)
{
    ql_str body;
    const ql_err err = message_frame(bytes, QL_REQUEST_BYTES_MAX, &body);
    if (err != QL_OK || body.bytes == 0) {
        *ret_used = 0;
        return err;
    }
    struct ql_reader in = ql_reader_of(body);
    struct ql_request request;
    const uint8_t kind = ql_reader_u8(&in);
    request.action.v = ql_reader_u64(&in);
    request.timeout.ns = ql_reader_i64(&in);
    const uint8_t dry_run = ql_reader_u8(&in);
    request.dry_run = dry_run != 0;
    request.argv = ql_reader_lstr(&in);
    if (in.failed || ql_reader_left(&in) != 0 || kind != MESSAGE_REQUEST || dry_run > 1 ||
        !message_request_is_fine(&request)) {
        return QL_E_MALFORMED;
    }
    *ret_request = request;
    *ret_used = 4 + body.bytes;
    return QL_OK;
}

ql_err ql_response_write(const struct ql_outcome *outcome, struct ql_buf *out)
{
    QL_ASSERT(outcome->output.bytes <= QL_ACTUATOR_OUTPUT_MAX);
    (void)ql_buf_u32(out, (uint32_t)(1 + 8 + 4 + 1 + 8 + 4 + outcome->output.bytes));
    (void)ql_buf_u8(out, MESSAGE_RESPONSE);
    (void)ql_buf_u64(out, outcome->action.v);
    (void)ql_buf_u32(out, (uint32_t)outcome->exit_code);
    (void)ql_buf_u8(out, outcome->timed_out);
    (void)ql_buf_i64(out, outcome->at.ns);
    (void)ql_buf_lstr(out, outcome->output);
    return ql_buf_check(out);
}

ql_err ql_response_read(ql_str bytes, struct ql_outcome *ret_outcome, size_t *ret_used)
{
    ql_str body;
    const ql_err err = message_frame(bytes, QL_RESPONSE_BYTES_MAX, &body);
    if (err != QL_OK || body.bytes == 0) {
        *ret_used = 0;
        return err;
    }
    struct ql_reader in = ql_reader_of(body);
    struct ql_outcome outcome;
    const uint8_t kind = ql_reader_u8(&in);
    outcome.action.v = ql_reader_u64(&in);
    outcome.exit_code = (int32_t)ql_reader_u32(&in);
    outcome.timed_out = ql_reader_u8(&in) != 0;
    outcome.at.ns = ql_reader_i64(&in);
    outcome.output = ql_reader_lstr(&in);
    if (in.failed || ql_reader_left(&in) != 0 || kind != MESSAGE_RESPONSE ||
        outcome.output.bytes > QL_ACTUATOR_OUTPUT_MAX) {
        return QL_E_MALFORMED;
    }
    *ret_outcome = outcome;
    *ret_used = 4 + body.bytes;
    return QL_OK;
}

uint32_t ql_request_words(const struct ql_request *request,
                          char *ret_words[QL_REQUEST_WORDS_MAX + 1])
{
    uint32_t count = 0;
    for (size_t at = 0; at < request->argv.bytes && count < QL_REQUEST_WORDS_MAX;) {
        ret_words[count] = (char *)(uintptr_t)(request->argv.at + at); /* exec takes char * */
        at += strlen(ret_words[count++]) + 1;
    }
    ret_words[count] = NULL;
    return count;
}

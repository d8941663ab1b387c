/* message.h - what daemon and actuator say to each other: length, then fixed little-endian.
 *
 * Each message is a u32 length and that many bytes. A request is { u8 kind 1, u64 action,
 * i64 timeout ns, u8 dry_run, argv }, a response { u8 kind 2, u64 action, i32 exit status,
 * u8 timed out, i64 at ns, output }; argv and output are u32 length and bytes, argv is
 * NUL-terminated words.
 *
 * Ownership     what is read borrows from the input.
 * Errors        QL_E_MALFORMED: the stream cannot be trusted any more. Reading half a
 *               message is no error: *ret_used is 0 then.
 * Bounds        requests 32 KiB, responses 64 KiB of output.
 */
#ifndef QL_ACTUATOR_MESSAGE_H
#define QL_ACTUATOR_MESSAGE_H

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

#define QL_REQUEST_BYTES_MAX 32768u
#define QL_RESPONSE_BYTES_MAX (65536u + 64u)
#define QL_REQUEST_WORDS_MAX 64u
#define QL_REQUEST_TIMEOUT_MAX QL_S(86400)

struct ql_request {
    ql_id action;
    ql_duration timeout;
    bool dry_run;
    ql_str argv; /* words, each ended by NUL; the first an absolute path */
};

/* QL_E_RANGE: not a request that a reader would take. */
QL_MUST_USE ql_err ql_request_write(const struct ql_request *request, struct ql_buf *out);
QL_MUST_USE ql_err ql_request_read(ql_str bytes, struct ql_request *ret_request,
                                   size_t *ret_used);
QL_MUST_USE ql_err ql_response_write(const struct ql_outcome *outcome, struct ql_buf *out);
QL_MUST_USE ql_err ql_response_read(ql_str bytes, struct ql_outcome *ret_outcome,
                                    size_t *ret_used);
/* Points `ret_words` into argv, with NULL after the last; returns their number. */
uint32_t ql_request_words(const struct ql_request *request,
                          char *ret_words[QL_REQUEST_WORDS_MAX + 1]);

#endif

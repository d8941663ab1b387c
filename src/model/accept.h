/* accept.h - the one slot through which anything from outside enters the engine.
 *
 * A door decodes a request into a batch taken from the engine's pool and submits both
 * the batch and the bytes it came from. The engine gives them one place in the order of
 * all inputs, journals the bytes, and calls done() once they are durable (or refused):
 * only then may the door acknowledge.
 *
 * Ownership     submit takes the batch in every case. `bytes` and `origin` are borrowed
 *               for the call only.
 * Bounds        submit may wait up to two seconds while too many bytes are in flight.
 * Threads       any. done() runs on the journal's thread: it must not block.
 * Errors        submit: QL_E_FULL (queue full: answer 503 with Retry-After, never 429, on
 *               which Prometheus drops its data), QL_E_IO (journal cannot be written, e.g.
 *               disk full: 503), QL_E_CLOSED (shutting down: 503). On error done() is not
 *               called.
 */
#ifndef QL_MODEL_ACCEPT_H
#define QL_MODEL_ACCEPT_H

#include "base/base.h"
#include "model/batch.h"

struct ql_submission {
    uint16_t door;          /* enum ql_door */
    uint8_t encoding, format;
    ql_time accepted;
    ql_str origin, bytes;   /* as in struct ql_wire_input */
    struct ql_batch *batch; /* decoded from exactly these bytes */
    void (*done)(void *context, ql_err err); /* may be NULL */
    void *context;
};

struct ql_accept {
    void *host;
    /* An empty batch, or NULL when all are in flight (answer 503). */
    struct ql_batch *(*batch_take)(void *host);
    void (*batch_give_back)(void *host, struct ql_batch *batch); /* unused after all */
    QL_MUST_USE ql_err (*submit)(void *host, const struct ql_submission *submission);
};

#endif

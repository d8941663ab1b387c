/* receive.h - the doors: requests of senders become batches in the engine, and senders are
 * told in their own protocol what became of them.
 *
 * A door looks at content type and encoding, decodes on the server's thread (wire), hands
 * batch and bytes to the accept slot and answers when the engine says they are durable.
 * What each sender is told stands in the table of reply.c; it is never 2xx for something
 * that is not in the journal.
 *
 * Units         body_bytes_max: after decompression.
 * Ownership     the routes are borrowed and live as long as the doors. Free the doors after
 *               the server has stopped and the engine has called every done().
 * Threads       the doors' handlers run on the server's pool, their answers on the journal's.
 * Errors        new: QL_E_MEMORY.
 * Bounds        one small allocation a request; the batch is the engine's.
 * Metrics       ql_records_accepted_total{source}; ql_records_dropped_total{source,reason}.
 *
 * Adding one    a row in receive.c (path, door, reply style), and the wire format it needs.
 */
#ifndef QL_RECEIVE_RECEIVE_H
#define QL_RECEIVE_RECEIVE_H

#include "base/base.h"
#include "base/stat.h"
#include "http/http.h"
#include "model/accept.h"

struct ql_receive_env {
    const struct ql_accept *accept; /* borrowed for the doors' life */
    size_t body_bytes_max;
    struct ql_stats *stats;
};

struct ql_receive;
QL_MUST_USE ql_err ql_receive_new(const struct ql_receive_env *env, struct ql_receive **ret_receive);
/* How far from now the engine takes samples: senders are told what is outside. Until the first
 * call nothing is. May be called at any time; holds for requests that come later. */
void ql_receive_set_window(struct ql_receive *receive, double ahead_s, double behind_s);
void ql_receive_free(struct ql_receive *receive); /* NULL is fine */
/* Rows to add to the server's table. */
const struct ql_http_route *ql_receive_routes(const struct ql_receive *receive,
                                              uint32_t *ret_count);

#endif

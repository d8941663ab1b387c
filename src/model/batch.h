/* batch.h - one bus of typed record lists that the stages pass along.
 *
 * A door fills the first lists; each stage reads lists that stand before it and
 * appends to its own (stage.h). Nothing is copied between stages. The same struct
 * serves a request in a shard and a tick in the core.
 *
 * Ownership     the batch owns its lists, its arena and one reference to `body`.
 *               Texts of records point into the arena or the body.
 * Errors        add functions return NULL at the list's maximum or without memory;
 *               the caller counts what it could not add.
 * Bounds        each list has a maximum (below); reset keeps storage, but of a list that is
 *               over a mebibyte and was hardly used.
 * Threads       one thread at a time.
 */
#ifndef QL_MODEL_BATCH_H
#define QL_MODEL_BATCH_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

/* A request's bytes, shared by the batches that were split from it. */
struct ql_blob;
struct ql_blob *ql_blob_take(char *at, size_t bytes); /* owns malloc'd bytes; NULL: no memory */
struct ql_blob *ql_blob_ref(struct ql_blob *blob);
void ql_blob_unref(struct ql_blob *blob); /* NULL is fine */
ql_str ql_blob_view(const struct ql_blob *blob);

/* X(list, singular, type, count_max): the order is the order of the pipeline. */
#define QL_BATCH_MAP(X)                                                                \
    X(runs, run, struct ql_run, 4000000)                                               \
    X(samples, sample, struct ql_sample, 8000000)                                      \
    X(logs, log, struct ql_log, 1000000)                                               \
    X(spans, span, struct ql_span, 1000000)                                            \
    X(alerts_in, alert_in, struct ql_alert_in, 100000)                                 \
    X(changes_in, change_in, struct ql_change_in, 100000)                              \
    X(commands, command, struct ql_command, 100000)                                    \
    X(outcomes, outcome, struct ql_outcome, 100000)                                    \
    X(findings, finding, struct ql_finding, 100000)                                    \
    X(points, point, struct ql_point, 16000000)                                        \
    X(retired, retired_one, struct ql_retired, 1000000)                                \
    X(edges, edge, struct ql_edge, 1000000)                                            \
    X(entities, entity, struct ql_entity_seen, 1000000)                                \
    X(alerts, alert, struct ql_alert, 100000)                                          \
    X(changes, change, struct ql_change, 100000)                                       \
    X(signals, signal, struct ql_signal, 1000000)                                      \
    X(bands, band, struct ql_band, 16000000)                                           \
    X(slo_parts, slo_part, struct ql_slo_part, 1000000)                                \
    X(incidents, incident, struct ql_incident, 100000)                                 \
    X(members, member, struct ql_member, 1000000)                                      \
    X(window_requests, window_request, struct ql_window_request, 100000)               \
    X(windows, window, struct ql_window, 1000000)                                      \
    X(causes, cause, struct ql_cause, 100000)                                          \
    X(actions, action, struct ql_action, 100000)                                       \
    X(audits, audit, struct ql_audit, 100000)

enum ql_list {
#define X(list, one, type, max) QL_LIST_##list,
    QL_BATCH_MAP(X)
#undef X
    QL_LIST_COUNT
};
#define QL_LIST_BIT(list) (UINT32_C(1) << QL_LIST_##list)

struct ql_batch {
#define X(list, one, type, max)                                                        \
    struct { type *at; uint32_t count, capacity; } list;
    QL_BATCH_MAP(X)
#undef X
    struct ql_arena arena;
    struct ql_blob *body;   /* may be NULL */
    uint64_t sequence;      /* of the journal record it came from; 0: none yet */
    ql_time accepted;       /* when the door took it */
    uint32_t source;        /* enum ql_door of wire.h, for counters */
    size_t flight_bytes;    /* the engine's: what it counts for while in flight */
    int cell_extreme;       /* asked of a read of history: a cell's greatest (1), least (-1) or mean */
    int64_t cell_ms;        /* a read of history: its widest cell; 0: every sample is there */
    bool behind;            /* a read of history: rows of it wait for the disk; ask again later */
};

void ql_batch_init(struct ql_batch *batch, size_t arena_bytes_max);
void ql_batch_fini(struct ql_batch *batch);
void ql_batch_reset(struct ql_batch *batch);
uint32_t ql_batch_count(const struct ql_batch *batch, enum ql_list list);
const char *ql_list_name(enum ql_list list);

/* ql_batch_add_run(b), ql_batch_add_sample(b), ...: a zeroed new last element or NULL. */
#define X(list, one, type, max) type *ql_batch_add_##one(struct ql_batch *batch);
QL_BATCH_MAP(X)
#undef X
/* Room for `count` more elements at once, not zeroed; NULL when there is none. */
struct ql_run *ql_batch_more_runs(struct ql_batch *batch, uint32_t count);
struct ql_sample *ql_batch_more_samples(struct ql_batch *batch, uint32_t count);
struct ql_point *ql_batch_more_points(struct ql_batch *batch, uint32_t count);

/* Copies a text into the batch's arena. { "", 0 } when there is no room. */
ql_str ql_batch_text(struct ql_batch *batch, ql_str s);
ql_str ql_batch_printf(struct ql_batch *batch, const char *format, ...) QL_PRINTF(2, 3);

/* Deep copies of single records with their texts, for whoever collects records. */
QL_MUST_USE ql_err ql_batch_copy_signal(struct ql_batch *to, const struct ql_signal *from);
QL_MUST_USE ql_err ql_batch_copy_alert_in(struct ql_batch *to, const struct ql_alert_in *from);
QL_MUST_USE ql_err ql_batch_copy_change_in(struct ql_batch *to, const struct ql_change_in *from);
QL_MUST_USE ql_err ql_batch_copy_command(struct ql_batch *to, const struct ql_command *from);
QL_MUST_USE ql_err ql_batch_copy_outcome(struct ql_batch *to, const struct ql_outcome *from);
QL_MUST_USE ql_err ql_batch_copy_finding(struct ql_batch *to, const struct ql_finding *from);
QL_MUST_USE ql_err ql_batch_copy_entity(struct ql_batch *to, const struct ql_entity_seen *from);

/* A hash of the records [from, count) of one list, texts by content: the digest that
 * replay compares. Independent of addresses and padding. */
uint64_t ql_batch_digest(const struct ql_batch *batch, enum ql_list list, uint32_t from,
                         uint64_t seed);

#endif

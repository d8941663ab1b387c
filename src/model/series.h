/* series.h - every known series of one shard: found by hash, named by a dense index.
 *
 * The raw hash of a run's label bytes finds a known series without looking at its
 * labels; only a miss parses them, makes the canonical block and finds or adds the
 * series by its canonical id. Label pairs are interned, so a series costs four bytes
 * a label plus its share of the distinct pairs.
 *
 * A series that is dropped gives its index to a later one; whoever keeps something by index has
 * let go of it before (`retired` of batch.h).
 *
 * Units         types and families as in record.h.
 * Ownership     the table owns everything; rows are borrowed until the table is freed
 *               (rows never move: the array is reserved at its maximum and touched lazily),
 *               texts until a series is added or dropped.
 * Threads       one shard's thread. Only normalise and enrich change rows.
 * Errors        add: QL_E_FULL (series_max, or label store full), else as ql_labels_check().
 * Bounds        lookup O(1); about 130 B a series with ten labels (ql_series_bytes() tells).
 * Determinism   indexes are given in order of first sight, freed ones first, the newest freed
 *               before the others; a save keeps that order.
 */
#ifndef QL_MODEL_SERIES_H
#define QL_MODEL_SERIES_H

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

struct ql_series {
    ql_series_id id;
    ql_entity_id entity;       /* set by enrich; 0 until then */
    ql_time last_at;           /* newest accepted sample, any kind */
    double last_raw;           /* its raw value (counters) */
    uint32_t labels_at;        /* private to series.c */
    uint16_t label_count;
    uint8_t type;              /* enum ql_metric_type as told or learnt */
    uint8_t flags;             /* QL_SERIES_* */
    uint32_t family;           /* interned metric name */
    uint32_t step_ms;          /* typical distance of samples; 0 while unknown */
    uint32_t seen_count;       /* samples accepted, saturating */
    uint32_t learn;            /* private to normalise (type learning) */
};
_Static_assert(sizeof(struct ql_series) == 64, "one cache line, no hidden padding");
#define QL_SERIES_STALE 1u     /* a hole was emitted and nothing came since */
#define QL_SERIES_DERIVED 2u   /* made by normalise from spans or logs */
#define QL_SERIES_ENRICHED 4u  /* enrich has looked for its entity */
#define QL_SERIES_FREE 8u      /* no series: the index waits for one */
#define QL_SERIES_FRESH 16u    /* a sample came since enrich last looked */

struct ql_series_table;

QL_MUST_USE ql_err ql_series_table_new(uint32_t series_max, struct ql_series_table **ret_table);
void ql_series_table_free(struct ql_series_table *table);
/* From now on no more than `series_max` at once, which is at most what the table was made for;
 * what is more stays. */
void ql_series_limit(struct ql_series_table *table, uint32_t series_max);
uint32_t ql_series_max(const struct ql_series_table *table);       /* at once */
uint32_t ql_series_index_max(const struct ql_series_table *table); /* every index is below */

/* Index of the series whose block hashed to `raw`, or QL_MAP_NONE. */
uint32_t ql_series_find_raw(const struct ql_series_table *table, ql_hash128 raw);
/* For whoever looks up many: fetch what finding will touch, then, a little later, the row that it
 * is likely to be (QL_MAP_NONE: no idea), which finding compares with. */
void ql_series_prefetch_raw(const struct ql_series_table *table, ql_hash128 raw);
uint32_t ql_series_guess_raw(const struct ql_series_table *table, ql_hash128 raw);
uint32_t ql_series_find(const struct ql_series_table *table, ql_series_id id);
/* The slow path after a miss: checks, canonicalises, finds or adds, and remembers `raw`. */
QL_MUST_USE ql_err ql_series_add(struct ql_series_table *table, ql_hash128 raw, ql_str labels,
                                 enum ql_metric_type type, uint32_t *ret_index, bool *ret_new);

/* Indexes below were given; some may be free by now. */
uint32_t ql_series_count(const struct ql_series_table *table);
uint32_t ql_series_live(const struct ql_series_table *table); /* of them, not free */
bool ql_series_is_live(const struct ql_series_table *table, uint32_t index);
/* Forgets live series. Many at once are cheaper than one after the other. */
void ql_series_drop(struct ql_series_table *table, const uint32_t *indexes, uint32_t count);
struct ql_series *ql_series_at(const struct ql_series_table *table, uint32_t index);
/* Appends the canonical block. */
ql_err ql_series_labels(const struct ql_series_table *table, uint32_t index, struct ql_buf *out);
ql_str ql_series_name(const struct ql_series_table *table, uint32_t index); /* metric name */
/* Value of one label; "" if absent. */
ql_str ql_series_label(const struct ql_series_table *table, uint32_t index, ql_str name);
size_t ql_series_bytes(const struct ql_series_table *table); /* memory in use, all told */

/* A saved table begins with its index_max, as a u32; one that is loaded into one with a lower
 * index_max is QL_E_FULL. */
QL_MUST_USE ql_err ql_series_save(const struct ql_series_table *table, struct ql_buf *out);
QL_MUST_USE ql_err ql_series_load(struct ql_series_table *table, struct ql_reader *in);

#endif

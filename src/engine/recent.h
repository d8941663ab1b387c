/* recent.h - the newest samples of every series of a shard, compressed, in memory.
 *
 * Each series has an open chunk, the one sealed before it, a few recorded bands, and one
 * judged value for each of the last 32 slots of two minutes. A chunk that seals is handed on (to
 * history). Windows for diagnosis are read from here, so they need no file and replay
 * exactly: the last minutes from the chunks, the hour before from the slots.
 *
 * Units         chunks: raw values as they arrived; readers turn counters into rates.
 *               slots: judged values, to 8 bits of mantissa (0.4 %), enough for a median;
 *               bands: how far their edges are from what is expected, the same.
 * Ownership     new/free; rows never move.
 * Threads       one shard's thread.
 * Errors        none: a sample that cannot be kept is counted by the caller (returns false).
 * Bounds        QL_RECENT_ROW_BYTES a series; two chunks hold 90 to 170 few-digit values, or
 *               about 26 that use all bits of a double.
 */
#ifndef QL_ENGINE_RECENT_H
#define QL_ENGINE_RECENT_H

#include "model/batch.h"
#include "model/series.h"
#include "store/history.h"

#define QL_RECENT_BANDS 3u
#define QL_RECENT_SLOTS 32u
#define QL_RECENT_SLOT_MS INT64_C(120000)
#define QL_RECENT_SLOT_EMPTY 0x7fffu     /* a NaN, which no judged value is */
/* Halves are the top halves of floats. */
struct ql_recent_band { uint32_t after_ms; float expected; uint16_t below, above; };
struct ql_recent_row {
    uint32_t slot_newest;                /* number of the newest slot since 1970; 0: none yet */
    uint8_t band_count, band_stride, band_skip, pad;
    struct ql_chunk open;
    int64_t sealed_first_ms;             /* what reading the chunk before it needs */
    uint16_t sealed_count, sealed_bits;
    struct ql_recent_band bands[QL_RECENT_BANDS]; /* of the open chunk, oldest first */
    uint8_t sealed_data[QL_CHUNK_DATA_BYTES];
    uint16_t slots[QL_RECENT_SLOTS];     /* slot n stands at n % 32; halves */
};
#define QL_RECENT_ROW_BYTES sizeof(struct ql_recent_row)
_Static_assert(QL_RECENT_ROW_BYTES == 384, "whole cache lines; the first one is the busy one");

struct ql_recent;
QL_MUST_USE ql_err ql_recent_new(uint32_t series_max, struct ql_recent **ret_recent);
void ql_recent_free(struct ql_recent *recent);
/* Called with each chunk that seals; may be NULL (replay). */
void ql_recent_on_seal(struct ql_recent *recent,
                       void (*seal)(void *context, const struct ql_history_row *row),
                       void *context);
/* Records the points (all but a HOLE that no stale marker made) and bands of a bus. */
void ql_recent_record(struct ql_recent *recent, const struct ql_series_table *table,
                      const struct ql_batch *bus);
/* Appends the raw samples in [from, to] to out->samples; returns how many. */
uint32_t ql_recent_samples(const struct ql_recent *recent, uint32_t series, ql_time from,
                           ql_time to, struct ql_batch *out);
/* The oldest sample that is kept; QL_TIME_NONE: none is. */
ql_time ql_recent_oldest(const struct ql_recent *recent, uint32_t series);
/* Appends judged values in [from, to]: slots first, then the samples of the chunks. */
uint32_t ql_recent_window(const struct ql_recent *recent, uint32_t series,
                          enum ql_metric_type type, ql_time from, ql_time to,
                          struct ql_batch *out);
void ql_recent_bands(const struct ql_recent *recent, uint32_t series, ql_time from, ql_time to,
                     struct ql_batch *out);
/* Hands the open chunk of one to the seal callback and forgets it. */
void ql_recent_forget(struct ql_recent *recent, const struct ql_series_table *table,
                      uint32_t series);
/* Hands every open chunk to the seal callback as it stands: before a clean shutdown. */
void ql_recent_flush(struct ql_recent *recent, const struct ql_series_table *table);
QL_MUST_USE ql_err ql_recent_save(const struct ql_recent *recent, uint32_t series_count,
                                  struct ql_buf *out);
QL_MUST_USE ql_err ql_recent_load(struct ql_recent *recent, struct ql_reader *in);

#endif

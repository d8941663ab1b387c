/* chunk.h - a fixed piece of one series' samples, compressed as they arrive.
 *
 * Times are kept as delta of delta in milliseconds. Values that are decimal numbers with
 * few digits are kept as differences of scaled integers in adaptive Rice codes, sums of such
 * numbers with their rounding error beside it, others as XOR of doubles (Pelkonen et al.,
 * Gorilla, VLDB 2015). The chunk chooses by its first value and changes scale or form by
 * itself when a value does not fit.
 *
 * Units        times are kept to the millisecond, floored; they lie within 292 years of 1970.
 * Ownership    plain bytes, no pointers: may be copied, stored and read back later.
 * Errors       read: QL_E_MALFORMED for bytes that are no chunk.
 * Bounds       QL_CHUNK_BYTES each; append O(1). At regular steps a chunk holds about 88
 *              samples of a counter or a two-digit gauge (1.7 B each), 420 of a constant, 13
 *              random doubles (chunk_bench prints what it is). The size is what two of them
 *              may cost a series in memory.
 * Determinism  exact: read gives back the doubles that were appended, bit for bit
 *              (NaN payloads included).
 */
#ifndef QL_STORE_CHUNK_H
#define QL_STORE_CHUNK_H

#include "base/base.h"
#include "model/record.h"

#define QL_CHUNK_BYTES 152u
#define QL_CHUNK_DATA_BYTES (QL_CHUNK_BYTES - 40u)
struct ql_chunk {
    int64_t first_ms, last_ms;
    uint16_t count, bits;           /* samples held; bits of `data` used */
    uint8_t mode, scale;            /* from here on private to chunk.c: the coder's state */
    int16_t ulps;                   /* near-decimal mode: the last value's distance */
    uint64_t last;                  /* scaled integer or bits of the double, by mode */
    int32_t last_delta_ms;
    uint32_t spread;                /* running mean of the codes, times 8; XOR: the window */
    uint8_t data[QL_CHUNK_DATA_BYTES];
};
_Static_assert(sizeof(struct ql_chunk) == QL_CHUNK_BYTES, "stored as bytes");

void ql_chunk_init(struct ql_chunk *chunk);
/* False when it does not fit (or time does not increase by 1 ms .. 24 days): the caller
 * seals this chunk and appends to a fresh one, which always takes a first sample. */
bool ql_chunk_append(struct ql_chunk *chunk, struct ql_sample sample);
/* Decodes all samples; `bytes` is a whole chunk or its first ql_chunk_used() bytes. At
 * most ql_chunk count_max samples are written; returns how many through ret_count. */
#define QL_CHUNK_SAMPLES_MAX 1280u
QL_MUST_USE ql_err ql_chunk_read(const void *chunk, size_t bytes,
                                 struct ql_sample ret_samples[QL_CHUNK_SAMPLES_MAX],
                                 uint32_t *ret_count);
size_t ql_chunk_used(const struct ql_chunk *chunk); /* header and used data, in bytes */

/* Streams: a chunk that is drained whenever it is full goes on as one run of bits that may be
 * longer than a chunk. drain moves its full bytes (at most QL_CHUNK_DATA_BYTES) out; the rest, of
 * less than eight bits, is the last byte of the stream. */
bool ql_chunk_is_xor(const struct ql_chunk *chunk); /* it found no decimals, and looks no more */
size_t ql_chunk_drain(struct ql_chunk *chunk, void *ret_bytes);
#define QL_CHUNK_STREAM_BYTES_MAX 1024u
/* Decodes `count` samples, which the caller has made room for. */
QL_MUST_USE ql_err ql_chunk_read_stream(int64_t first_ms, uint32_t count, uint32_t bits,
                                        ql_str data, struct ql_sample *ret_samples);

#endif

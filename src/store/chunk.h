/* chunk.h - a fixed piece of one series' samples, compressed as they arrive.
 *
 * Times are kept as delta of delta in milliseconds; values that are decimal numbers with
 * few digits as scaled-integer deltas, others as XOR of doubles (Pelkonen et al., Gorilla,
 * VLDB 2015); the chunk switches by itself and is exact in both forms.
 *
 * Units        times are kept to the millisecond, floored.
 * Ownership    plain bytes, no pointers: may be copied, stored and read back later.
 * Errors       read: QL_E_MALFORMED for bytes that are no chunk.
 * Bounds       QL_CHUNK_BYTES each; append O(1). At 10-15 s steps and few-digit values
 *              a chunk holds 60 to 100 samples.
 * Determinism  exact: read gives back the doubles that were appended, bit for bit
 *              (NaN payloads included).
 */
#ifndef QL_STORE_CHUNK_H
#define QL_STORE_CHUNK_H

#include "base/base.h"
#include "model/record.h"

#define QL_CHUNK_BYTES 192u
struct ql_chunk {
    int64_t first_ms, last_ms;
    double last_value;
    uint16_t count, bits;           /* samples held; bits of `data` used */
    uint8_t mode, scale, pad[2];
    int32_t last_delta_ms;
    uint8_t xor_leading, xor_meaning, pad2[2];
    uint8_t data[QL_CHUNK_BYTES - 40];
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

#endif

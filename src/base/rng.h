/* rng.h - seeded streams of pseudo-random numbers (xoshiro256**, Blackman and Vigna 2018).
 *
 * A stream is named: the same seed and name give the same numbers whatever other
 * streams do, so adding a draw in one place changes nothing elsewhere.
 *
 * Threads       a stream belongs to one thread.
 * Determinism   integers only inside; doubles by exact scaling of 53 bits.
 */
#ifndef QL_BASE_RNG_H
#define QL_BASE_RNG_H

#include "base/base.h"

struct ql_rng { uint64_t s[4]; };

void ql_rng_init(struct ql_rng *rng, uint64_t seed, const char *stream_name);
uint64_t ql_rng_u64(struct ql_rng *rng);
uint64_t ql_rng_below(struct ql_rng *rng, uint64_t bound); /* [0, bound), unbiased; bound > 0 */
double ql_rng_ratio(struct ql_rng *rng);                   /* [0, 1) */
double ql_rng_normal(struct ql_rng *rng); /* mean 0, deviation 1; for tests and generators */

#endif

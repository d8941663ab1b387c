/* rng.c - xoshiro256** seeded by splitmix64 (both by Blackman and Vigna).
 *
 * Good for     reproducible tests, generators and load; 1 ns a number.
 * Bad for      secrets: the state follows from a few outputs.
 */
#include "base/rng.h"

#include <math.h>

static uint64_t rng_rotate(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

static uint64_t rng_splitmix(uint64_t *state)
{
    uint64_t z = (*state += UINT64_C(0x9E3779B97F4A7C15));
    z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
    return z ^ (z >> 31);
}

void ql_rng_init(struct ql_rng *rng, uint64_t seed, const char *stream_name)
{
    uint64_t state = seed;
    QL_ASSERT(stream_name != NULL);
    /* Mixed before the name is added, so that seeds 1 and 2 share no stream by chance. */
    state = rng_splitmix(&state) ^ ql_hash64(stream_name, strlen(stream_name));
    for (size_t i = 0; i < QL_COUNT_OF(rng->s); i++) {
        rng->s[i] = rng_splitmix(&state);
    }
}

uint64_t ql_rng_u64(struct ql_rng *rng)
{
    uint64_t *s = rng->s;
    const uint64_t result = rng_rotate(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rng_rotate(s[3], 45);
    return result;
}

uint64_t ql_rng_below(struct ql_rng *rng, uint64_t bound)
{
    QL_ASSERT(bound > 0);
    /* Numbers below 2^64 mod bound would make small results more likely: draw again. */
    const uint64_t uneven = (0 - bound) % bound;
    uint64_t drawn;
    do {
        drawn = ql_rng_u64(rng);
    } while (drawn < uneven);
    return drawn % bound;
}

double ql_rng_ratio(struct ql_rng *rng)
{
    return (double)(ql_rng_u64(rng) >> 11) * 0x1.0p-53;
}

/* Marsaglia's polar method; the second number of each pair is not kept, so that the
 * state stays four words. */
double ql_rng_normal(struct ql_rng *rng)
{
    for (;;) {
        const double x = 2.0 * ql_rng_ratio(rng) - 1.0;
        const double y = 2.0 * ql_rng_ratio(rng) - 1.0;
        const double square = x * x + y * y;
        if (square > 0.0 && square < 1.0) {
            return x * sqrt(-2.0 * log(square) / square);
        }
    }
}

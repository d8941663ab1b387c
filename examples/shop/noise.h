/* noise.h - chance without state: every draw is a function of (seed, step, who, what).
 *
 * So a restart that comes one step later changes what it must change and nothing else:
 * no other draw moves, and two runs of one seed see the same weather. */
#ifndef SHOP_NOISE_H
#define SHOP_NOISE_H

#include <stdint.h>

struct shop_noise { uint64_t seed; uint32_t step; };

uint64_t shop_noise_bits(struct shop_noise noise, uint32_t who, uint32_t what);
double shop_noise_uniform(struct shop_noise noise, uint32_t who, uint32_t what); /* [0,1) */
double shop_noise_normal(struct shop_noise noise, uint32_t who, uint32_t what);  /* N(0,1) */
/* Poisson below a mean of 30, its normal approximation above. */
uint32_t shop_noise_count(struct shop_noise noise, uint32_t who, uint32_t what, double mean);

#endif

#include "noise.h"

#include <math.h>

/* The finaliser of SplitMix64: a bijection that leaves no visible pattern in its input. */
static uint64_t noise_mix(uint64_t x)
{
    x += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t shop_noise_bits(struct shop_noise noise, uint32_t who, uint32_t what)
{
    return noise_mix(noise_mix(noise_mix(noise.seed) ^ noise.step) ^
                     (((uint64_t)who << 32) | what));
}

double shop_noise_uniform(struct shop_noise noise, uint32_t who, uint32_t what)
{
    return (double)(shop_noise_bits(noise, who, what) >> 11) * 0x1p-53;
}

double shop_noise_normal(struct shop_noise noise, uint32_t who, uint32_t what)
{
    const double u = shop_noise_uniform(noise, who, what);
    const double v = shop_noise_uniform(noise, who, what ^ 0x80000000u);
    return sqrt(-2.0 * log(1.0 - u)) * cos(2.0 * M_PI * v);
}

uint32_t shop_noise_count(struct shop_noise noise, uint32_t who, uint32_t what, double mean)
{
    if (mean <= 0) {
        return 0;
    }
    if (mean > 30) {
        const double draw = mean + sqrt(mean) * shop_noise_normal(noise, who, what);
        return draw < 0.5 ? 0 : (uint32_t)(draw + 0.5);
    }
    double left = shop_noise_uniform(noise, who, what), share = exp(-mean);
    uint32_t n = 0;
    while (left >= share && n < 200) {
        left -= share;
        n++;
        share *= mean / n;
    }
    return n;
}

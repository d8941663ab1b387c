/* downsample.c - M4. */
#include "api/downsample.h"

#include <math.h>

struct stretch {
    uint32_t first, lowest, highest, last;
};

static void stretch_see(struct stretch *s, const struct ql_sample *samples, uint32_t at)
{
    const double value = samples[at].value;
    s->last = at;
    if (isnan(samples[s->lowest].value) || value < samples[s->lowest].value) {
        s->lowest = at;
    }
    if (isnan(samples[s->highest].value) || value > samples[s->highest].value) {
        s->highest = at;
    }
}

/* Copies the up to four samples down to `to`, which never passes what is unread. */
static uint32_t stretch_keep(const struct stretch *s, struct ql_sample *samples, uint32_t to)
{
    const uint32_t low = s->lowest < s->highest ? s->lowest : s->highest;
    const uint32_t high = s->lowest < s->highest ? s->highest : s->lowest;
    const uint32_t picks[4] = { s->first, low, high, s->last };
    for (uint32_t i = 0; i < 4; i++) {
        if (i == 0 || picks[i] != picks[i - 1]) {
            QL_ASSERT(to <= picks[i]);
            samples[to++] = samples[picks[i]];
        }
    }
    return to;
}

uint32_t ql_downsample(struct ql_sample *samples, uint32_t count, uint32_t count_max)
{
    QL_ASSERT(count_max >= 4);
    if (count <= count_max) {
        return count;
    }
    const uint32_t stretches = count_max / 4;
    const int64_t start_ns = samples[0].at.ns;
    const int64_t width_ns = (samples[count - 1].at.ns - start_ns) / stretches + 1;
    uint32_t to = 0, at = 0;
    while (at < count) {
        const int64_t index = (samples[at].at.ns - start_ns) / width_ns;
        struct stretch s = { .first = at, .lowest = at, .highest = at, .last = at };
        for (at++; at < count && (samples[at].at.ns - start_ns) / width_ns == index; at++) {
            stretch_see(&s, samples, at);
        }
        to = stretch_keep(&s, samples, to);
    }
    return to;
}

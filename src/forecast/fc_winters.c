/* fc_winters - additive smoothing of a level and two seasons with an AR(1) error.
 *
 * Method       Taylor 2003 (double seasonal Holt-Winters without trend). The path of level
 *              and seasons does not depend on the error's own memory, so one pass over
 *              the series tries all of them; the best setting so far stands at every origin.
 * Bounds       60 passes, O(60 (n + origins * steps)).
 */
#include "forecast/fc_int.h"

#include <math.h>

#define WINTERS_MEMORIES 5u
static const double winters_memory[WINTERS_MEMORIES] = { 0.0, 0.5, 0.8, 0.9, 0.97 };

struct winters {
    const struct ql_fc *fc;
    double *short_start, *long_start; /* seasons as they were over the first seasons */
    double *short_now, *long_now;
    double level;                     /* at the start */
    double least[QL_FC_ORIGINS_MAX];  /* error of the best setting at each origin */
    uint32_t p1, p2;                  /* at least 1 */
};
struct winters_rates { double level, first, second; };

static ql_err winters_open(struct winters *w)
{
    const size_t both = (size_t)w->p1 + w->p2;
    double *room = ql_arena_take(w->fc->scratch, 2 * both * sizeof(*room));
    if (room == NULL) {
        return QL_E_MEMORY;
    }
    w->short_start = room;
    w->long_start = room + w->p1;
    w->short_now = room + both;
    w->long_now = w->short_now + w->p1;
    memset(room, 0, 2 * both * sizeof(*room));
    return QL_OK;
}

/* Mean over whole first seasons of y minus what is known already, by place in the season. */
static void winters_season(const struct winters *w, uint32_t n, uint32_t p, double *ret)
{
    const uint32_t whole = n / p * p;
    for (uint32_t i = 0; i < whole && p > 1; i++) {
        const double known = w->level + (p == w->p1 ? 0.0 : w->short_start[i % w->p1]);
        ret[i % p] += (w->fc->y[i] - known) / (double)(whole / p);
    }
}

static void winters_start(struct winters *w)
{
    const uint32_t longest = w->p2 > w->p1 ? w->p2 : w->p1;
    uint32_t n = longest > 1 ? 2 * longest : 10;
    n = n < w->fc->origins[0] ? n : w->fc->origins[0];
    for (uint32_t i = 0; i < n; i++) {
        w->level += w->fc->y[i] / (double)n;
    }
    winters_season(w, n, w->p1, w->short_start);
    winters_season(w, n, w->p2, w->long_start);
}

static void winters_tell(struct winters *w, uint32_t k, double level, double e, double memory,
                         double *out)
{
    const uint32_t o = w->fc->origins[k];
    double fading = e;
    for (uint32_t j = 0; j < w->fc->steps; j++) {
        fading *= memory;
        out[k * w->fc->steps + j] = level + w->short_now[(o + j) % w->p1] +
                                    w->long_now[(o + j) % w->p2] + fading;
    }
}

static void winters_pass(struct winters *w, struct winters_rates r, double *out)
{
    const struct ql_fc *fc = w->fc;
    double level = w->level, before = 0.0, errors[WINTERS_MEMORIES] = { 0 };
    uint32_t k = 0, a = 0, b = 0;
    memcpy(w->short_now, w->short_start, w->p1 * sizeof(double));
    memcpy(w->long_now, w->long_start, w->p2 * sizeof(double));
    const uint32_t burn = w->p2 > w->p1 ? w->p2 : w->p1;
    for (uint32_t t = 0;; t++) {
        if (t == fc->origins[k]) {
            for (uint32_t m = 0; m < WINTERS_MEMORIES; m++) {
                if (errors[m] < w->least[k]) {
                    w->least[k] = errors[m];
                    winters_tell(w, k, level, before, winters_memory[m], out);
                }
            }
            if (++k == fc->origin_count) {
                return;
            }
        }
        const double e = fc->y[t] - (level + w->short_now[a] + w->long_now[b]);
        for (uint32_t m = 0; m < WINTERS_MEMORIES && t >= burn; m++) {
            errors[m] += fabs(e - winters_memory[m] * before);
        }
        level += r.level * e;
        w->short_now[a] += r.first * e;
        w->long_now[b] += r.second * e;
        before = e;
        a = a + 1 == w->p1 ? 0 : a + 1;
        b = b + 1 == w->p2 ? 0 : b + 1;
    }
}

ql_err ql_fc_winters(const struct ql_fc *fc, double *out)
{
    static const double levels[] = { 0.001, 0.01, 0.05, 0.15, 0.4 };
    static const double firsts[] = { 0.01, 0.1, 0.25 };
    static const double seconds[] = { 0.05, 0.15, 0.3, 0.5 };
    struct winters w = { .fc = fc, .p1 = fc->p1 ? fc->p1 : 1, .p2 = fc->p2 ? fc->p2 : 1 };
    if (fc->origins[0] < 2 * ql_fc_longest(fc) || fc->origins[0] < 10) {
        return QL_E_UNSUPPORTED;
    }
    const ql_err err = winters_open(&w);
    if (err != QL_OK) {
        return err;
    }
    for (uint32_t k = 0; k < QL_FC_ORIGINS_MAX; k++) {
        w.least[k] = INFINITY;
    }
    winters_start(&w);
    for (size_t i = 0; i < QL_COUNT_OF(levels); i++) {
        for (size_t j = 0; j < (fc->p1 ? QL_COUNT_OF(firsts) : 1u); j++) {
            for (size_t m = 0; m < (fc->p2 ? QL_COUNT_OF(seconds) : 1u); m++) {
                const struct winters_rates r = { levels[i], fc->p1 ? firsts[j] : 0.0,
                                                 fc->p2 ? seconds[m] : 0.0 };
                winters_pass(&w, r, out);
            }
        }
    }
    return QL_OK;
}

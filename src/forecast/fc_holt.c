/* fc_holt - level, time of day and time of week, each smoothed, with the last error fading.
 *
 * Good for     one or two seasons on a slowly moving level.
 * Bad for      seasons that change their shape at once.
 * Method       additive Holt-Winters without trend (Taylor 2003); the weights minimise the
 *              mean absolute one-step error by coordinate descent over a grid.
 * Cost         30 to 60 passes of about 5 ns a point.
 */
#include "forecast/fc_model.h"

#include <math.h>

struct holt_state { double *day, *week, level, error; };

static bool holt_start(const struct fc_series *s, const double *y, uint32_t n,
                       struct holt_state *state)
{
    const uint32_t day = s->day, week = s->week, first = week > 0 ? week : day;
    const uint32_t seen = n < 2 * first ? n : 2 * first;
    state->day = ql_arena_take(s->arena, ((size_t)day + week + 1) * sizeof(double));
    if (state->day == NULL || n < first) {
        return false;
    }
    state->week = state->day + day;
    memset(state->day, 0, ((size_t)day + week + 1) * sizeof(double));
    state->level = state->error = 0.0;
    for (uint32_t i = 0; i < first; i++) {
        state->level += y[i] / (double)first;
    }
    for (uint32_t slot = 0; slot < day; slot++) {
        double sum = 0.0;
        uint32_t count = 0;
        for (uint32_t i = slot; i < seen; i += day) {
            sum += y[i] - state->level;
            count++;
        }
        state->day[slot] = count > 0 ? sum / (double)count : 0.0;
    }
    for (uint32_t slot = 0; slot < week; slot++) {
        double sum = 0.0;
        uint32_t count = 0;
        for (uint32_t i = slot; i < seen; i += week) {
            sum += y[i] - state->level - state->day[i % day];
            count++;
        }
        state->week[slot] = count > 0 ? sum / (double)count : 0.0;
    }
    return true;
}

/* Walks over all n values; returns the mean absolute one-step error after the first week. */
static double holt_pass(const struct fc_series *s, const double *y, uint32_t n,
                        const struct fc_holt *p, struct holt_state *state)
{
    const uint32_t skip = s->week > 0 ? s->week : s->day;
    double sum = 0.0;
    uint32_t d = 0, w = 0;
    for (uint32_t t = 0; t < n; t++) {
        const double seasonal = state->day[d] + (s->week > 0 ? state->week[w] : 0.0);
        const double error = y[t] - state->level - seasonal;
        sum += t >= skip ? fabs(error - p->error * state->error) : 0.0;
        state->level += p->level * error;
        state->day[d] += p->day * error;
        if (s->week > 0) {
            state->week[w] += p->week * error;
            w = w + 1 == s->week ? 0 : w + 1;
        }
        state->error = error;
        d = d + 1 == s->day ? 0 : d + 1;
    }
    return n > skip ? sum / (double)(n - skip) : sum;
}

static double holt_cost(const struct fc_series *s, const double *y, uint32_t n,
                        const struct fc_holt *p)
{
    struct holt_state state;
    return holt_start(s, y, n, &state) ? holt_pass(s, y, n, p, &state) : INFINITY;
}

void ql_fc_holt_fit(const struct fc_series *s, const double *y, uint32_t n,
                    struct fc_holt *ret_holt)
{
    static const double levels[] = { .001, .01, .05, .15, .4 }, days[] = { .01, .05, .1, .25 };
    static const double weeks[] = { .05, .15, .3, .5 }, errors[] = { 0.0, .5, .8, .95 };
    struct fc_holt best = { .01, .05, .15, .8 };
    double least = holt_cost(s, y, n, &best);
    for (int round = 0; round < 2; round++) {
        for (uint32_t axis = 0; axis < 4; axis++) {
            const double *grid = axis == 0 ? levels : axis == 1 ? days : axis == 2 ? weeks : errors;
            const uint32_t count = axis == 0 ? QL_COUNT_OF(levels) : 4;
            for (uint32_t i = 0; i < count && (axis != 2 || s->week > 0); i++) {
                struct fc_holt tried = best;
                *(axis == 0 ? &tried.level : axis == 1 ? &tried.day
                  : axis == 2 ? &tried.week : &tried.error) = grid[i];
                const double cost = holt_cost(s, y, n, &tried);
                if (cost < least) {
                    least = cost;
                    best = tried;
                }
            }
        }
    }
    *ret_holt = best;
}

bool ql_fc_holt(const struct fc_task *task, const double *y, const struct fc_holt *holt)
{
    const struct fc_series *s = task->s;
    struct holt_state state;
    if (s->day == 0 || !holt_start(s, y, task->n, &state)) {
        return false;
    }
    (void)holt_pass(s, y, task->n, holt, &state);
    double fading = state.error;
    for (uint32_t j = 0; j < task->h; j++) {
        const uint32_t t = task->n + j;
        fading *= holt->error;
        task->out[j] = state.level + state.day[t % s->day] + fading +
                       (s->week > 0 ? state.week[t % s->week] : 0.0);
    }
    return true;
}

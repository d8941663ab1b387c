/* slo_judge - burn rates, and what they mean for the budget.
 *
 * Good for     pages that mean something: fast burns within minutes, slow ones within hours.
 * Bad for      services with a handful of events an hour, where one failure burns fast.
 * Method       multi-window, multi-burn-rate alerting (Beyer et al., The Site Reliability
 *              Workbook, 2018, ch. 5): 14.4 over 1 h uses 2 % of the budget of 30 days, 6 over
 *              6 h uses 5 %. The budget is that of a whole window at the traffic seen so far.
 */
#include "slo/slo_int.h"

#include <math.h>

const struct slo_rule slo_rules[SLO_SEVERITIES] = {
    [SLO_PAGE] = { "page", 14.4, QL_SLO_WINDOW_1H, QL_SLO_WINDOW_5M, QL_IMPORTANCE_CRITICAL,
                   12.0 },
    [SLO_TICKET] = { "ticket", 6.0, QL_SLO_WINDOW_6H, QL_SLO_WINDOW_30M, QL_IMPORTANCE_HIGH,
                     6.0 },
};

#define GONE_S_MAX (10.0 * 365.0 * 86400.0)
#define NEAR 1e-9 /* a burn of exactly the factor burns, whatever the rounding */

uint32_t slo_window_minutes(enum ql_slo_window window)
{
    static const uint32_t minutes[] = {
#define X(name, text, minutes_) minutes_,
        QL_SLO_WINDOW_MAP(X)
#undef X
    };
    return minutes[window];
}

/* The share that may be bad. */
static double allowed(const struct ql_slo *slo)
{
    return 1.0 - slo->target / 100.0;
}

static double bad_share(int64_t bad, int64_t total)
{
    const double share = bad <= 0 ? 0.0 : (double)bad / (double)total;
    return share < 1.0 ? share : 1.0;
}

static double burn_of(const struct slo_sum *sum, const struct ql_slo *slo)
{
    if (sum->total <= 0) {
        return sum->covered > 0 ? 0.0 : (double)NAN;
    }
    return bad_share(sum->bad, sum->total) / allowed(slo);
}

/* Bad events against those that a whole window allows at the traffic since `first`. */
static double used_of(const struct slo_sum *sum, const struct ql_slo *slo, int64_t minutes)
{
    const double window = slo->window_s / 60.0;
    const double seen = (double)minutes < window ? (double)minutes : window;
    if (sum->total <= 0 || seen <= 0.0) {
        return (double)NAN;
    }
    return bad_share(sum->bad, sum->total) / allowed(slo) * seen / window;
}

void slo_judge(const struct slo_ring *ring, const struct ql_slo *slo, int64_t first, int64_t end,
               struct slo_view *ret_view)
{
    for (uint32_t w = 0; w < QL_SLO_WINDOWS; w++) {
        const struct slo_sum sum =
            slo_ring_minutes(ring, end, slo_window_minutes((enum ql_slo_window)w));
        ret_view->burn[w] = burn_of(&sum, slo);
        ret_view->covered[w] = sum.covered;
    }
    const struct slo_sum all = slo_ring_hours(ring, end, (uint32_t)ceil(slo->window_s / 3600.0));
    ret_view->used = first == INT64_MIN ? (double)NAN : used_of(&all, slo, end - first);
    ret_view->bad = all.bad > 0 ? (double)all.bad / QL_SLO_UNIT : 0.0;
    ret_view->total = all.total > 0 ? (double)all.total / QL_SLO_UNIT : 0.0;
    ret_view->silent = slo_ring_silent(ring, end - 1);
}

/* Until the long window knows of as much time as the short one holds, they are one. */
bool slo_burns(const struct slo_view *view, const struct slo_rule *rule)
{
    const double least = rule->factor * (1.0 - NEAR);
    return view->covered[rule->long_window] >= slo_window_minutes(rule->short_window) &&
           view->burn[rule->long_window] >= least && view->burn[rule->short_window] >= least;
}

/* A window of half an hour still burns long after all is well. */
bool slo_lasts(const struct slo_view *view, const struct slo_rule *rule)
{
    return view->burn[QL_SLO_WINDOW_5M] >= rule->factor * (1.0 - NEAR);
}

bool slo_is_calm(const struct slo_view *view, const struct slo_rule *rule)
{
    const uint32_t minutes = slo_window_minutes(rule->short_window);
    return view->burn[rule->short_window] < rule->factor * (1.0 - NEAR) && view->silent == 0 &&
           view->covered[rule->short_window] * 2 >= minutes;
}

/* Minutes without data do not end the run, but it begins with one that burns. */
int64_t slo_onset(const struct slo_ring *ring, const struct ql_slo *slo,
                  const struct slo_rule *rule, int64_t end)
{
    const int64_t oldest = end - (int64_t)slo_window_minutes(rule->long_window);
    int64_t onset = end - 1;
    for (int64_t m = end - 1; m >= oldest; m--) {
        const struct slo_minute *at = slo_ring_minute(ring, m);
        const struct slo_sum sum = { at->bad, at->total, at->covered };
        const double burn = burn_of(&sum, slo);
        if (burn < rule->factor * (1.0 - NEAR)) {
            break;
        }
        onset = isnan(burn) ? onset : m;
    }
    return onset;
}

double slo_gone_s(const struct slo_view *view, double window_s, double burn)
{
    if (view->used >= 1.0) {
        return 0.0;
    }
    const double s = burn > 0.0 ? (1.0 - view->used) * window_s / burn : (double)INFINITY;
    return s < GONE_S_MAX ? s : (double)INFINITY; /* NaN too */
}

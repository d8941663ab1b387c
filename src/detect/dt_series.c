/* dt_series - an equal-weight vote of simple experts in units of their own tails.
 *
 * Good for     any single series without knowing what it is: spikes, shifts, wrong time of
 *              day, bursts, flat lines, values never seen.
 * Bad for      odd shapes whose values and spreads are all ordinary; relations between
 *              series (fusion.h).
 * Method       exponentially weighted levels and spreads, online generalised Pareto tails
 *              (math/tail.h), pooled calibration (math/pool.h), capped sum; evidence is
 *              accumulated over points as in a one-sided CUSUM (Page 1954).
 * Baseline     what is learnt from a point is clipped, and a series that is odd learns
 *              hardly anything: an anomaly never sets its own yardstick. A level that
 *              stays for `accept` is taken as the new normal in one step.
 * Cost         about 70 ns a point in cache.
 */
#include "detect/dt_series.h"

#include "math/fastlog.h"

const struct ql_dt_params ql_dt_params_default = {
    .fast_ratio = 0.1f,
    .slow_ratio = 0.003f,
    .near_ratio = 0.18f,
    .far_ratio = 0.013f,
    .short_ratio = 0.1f,
    .long_ratio = 0.002f,
    .season_ratio = 1.0f / 12.0f,
    .season_slow_ratio = 1.0f / 48.0f,
    .season_earns = 0.65f,
    .season_day_ratio = 0.25f,
    .tail_rate = 0.002f,
    .envelope_ratio = 0.001f,
    .envelope_winsor = 6.0f,
    .level_floor_ratio = 0.005f,
    .quantum_floor_ratio = 0.5f,
    .quantum_first_ratio = 0.1f,
    .quantum_zero_ratio = 1.0f,
    .winsor = 6.0f,
    .memory_clip = 1e9f,
    .recover_count = 5,
    .hold_ratio = 0.05f,
    .tail_hold_ratio = 0.02f,
    .odd = 10.0f,
    .expert_cap = 4.0f,
    .top_extra = 2.0f,
    .attack = 0.6f,
    .release = 0.3f,
    .weights = { 1, 1, 1, 1, 1, 1, 1, 1 },
    .warm_count = 64,
    .season_warm_count = 192,
    .accept_count = 30,
    .accept_s = 14400.0f,
};

#define BAND_SURPRISE 3.0f   /* the band holds all but one in a thousand points */
#define BAND_EVIDENCE 3.0f
#define MOVES_KNOWN 3u       /* moves of a constant before its step is known to be usual */
#define ZERO_LEVEL_RATIO 0.2f
#define FIRST_MOVE_SUM 8.0f  /* most that the first one counts */
#define SERIES_FAR 1e18f        /* largest distance from the origin that is told apart */
#define SERIES_LEAST 1e-12f
#define SERIES_FLAT_LEAST 0.5f  /* QL_DT_FLAT is a ratio up to 50 */
#define SERIES_NOVEL_LEAST 0.05f /* QL_DT_NOVEL is in units of the range */
#define YOUNG_S 86400.0f        /* a series has not yet shown what its day is like */
#define YOUNG_LEVEL_RATIO 0.1f  /* of the level: what its day may do to it */
#define YOUNG_NOVEL_LEAST 0.5f
#define SEASON_DAYS_MOST 3.0f   /* of trial, however few points a day brings */
#define SEASON_ERROR_DAYS 2.0f  /* over which its error is compared with that of the slow level */
#define EVIDENCE_LEAST 0.5f
#define RISE_EVIDENCE 3.0f
#define TAIL_RATE 0.05f    /* weight of the newest excess in its mean */
#define CLAIM_MORE 1.5f   /* decades that a young series may claim beyond one in its age */
#define CLAIM_BEYOND 0.5f /* what is beyond that counts by this much */
#define SERIES_GAP_STEPS 10.0f
#define SERIES_GAP_SKIP 3u
#define POOL_REFRESH_FIRST UINT64_C(1024)
#define POOL_REFRESH UINT64_C(65536)
#define POOL_POINTS_MAX (UINT64_C(1) << 30)
#define SUM_SCALE 0.4f /* eight capped parts onto the bins of a pool */

static const struct ql_pool_prior series_expert_prior = { 2.0f, 0.75f, 30000.0f };
static const struct ql_pool_prior series_sum_prior = { 1.0f, 0.5f, 30000.0f };
static const struct ql_pool_prior series_evidence_prior = { 1.5f, 0.62f, 30000.0f };

static float absolute(float x) { return x < 0.0f ? -x : x; }
static float larger(float a, float b) { return a > b ? a : b; }
static float smaller(float a, float b) { return a < b ? a : b; }
static float clipped(float x, float most)
{
    return x > most ? most : (x < -most ? -most : x);
}

void ql_dt_pools_init(struct ql_dt_pools *pools)
{
    for (uint32_t e = 0; e < QL_DT_EXPERTS; e++) {
        ql_pool_init(&pools->experts[e], series_expert_prior);
    }
    ql_pool_init(&pools->sum, series_sum_prior);
    ql_pool_init(&pools->evidence, series_evidence_prior);
    pools->points = 0;
    pools->refresh_at = POOL_REFRESH_FIRST;
}

/* Often while young, then every POOL_REFRESH points; what is old fades by halves. */
static void pools_refresh(struct ql_dt_pools *pools)
{
    for (uint32_t e = 0; e < QL_DT_EXPERTS; e++) {
        ql_pool_refresh(&pools->experts[e], series_expert_prior, pools->points);
    }
    ql_pool_refresh(&pools->sum, series_sum_prior, pools->points);
    ql_pool_refresh(&pools->evidence, series_evidence_prior, pools->points);
    if (pools->points >= POOL_POINTS_MAX) {
        for (uint32_t e = 0; e < QL_DT_EXPERTS; e++) {
            ql_pool_halve(&pools->experts[e]);
        }
        ql_pool_halve(&pools->sum);
        ql_pool_halve(&pools->evidence);
        pools->points /= 2;
    }
    const uint64_t more = pools->points < POOL_REFRESH ? pools->points : POOL_REFRESH;
    pools->refresh_at = pools->points + more;
}

struct series_now {              /* one point, worked out once */
    float y, least, gain;
    float profile;               /* expectation of the slab */
    bool has_profile;            /* there is one, a day old */
    float usual;                 /* what QL_DT_RANGE and the seasonal experts compare with: the
                                    profile where it says more than the slow level, else that */
    float residuals[QL_DT_EXPERTS];
    float leasts[QL_DT_EXPERTS];
};

static void series_start(struct ql_dt_series *s, const struct ql_dt_input *in)
{
    *s = (struct ql_dt_series){ .last_ns = in->at_ns, .origin = in->value };
}

/* Weight of the newest point: 1/n while the history is short, then as configured. */
static float ratio_at(const struct ql_dt_series *s, float ratio)
{
    const float first = 1.0f / ((float)s->count + 1.0f);
    return ratio > first ? ratio : first;
}

/* Before its first day is over a level that climbs with the hours is no news: what is asked
 * of the experts of level and range is then a good part of the level, not of the noise.
 * A constant has no such day. */
static void series_young(const struct ql_dt_series *s, uint32_t step_ms, struct series_now *now)
{
    if (step_ms == 0 || s->moves < MOVES_KNOWN ||
        (float)s->count * (float)step_ms >= YOUNG_S * 1000.0f) {
        return;
    }
    const float least = YOUNG_LEVEL_RATIO * absolute((float)s->origin + s->slow);
    static const uint32_t lanes[] = { QL_DT_SHIFT, QL_DT_RANGE, QL_DT_SEASON,
                                      QL_DT_SEASON_SLOW };
    for (uint32_t i = 0; i < QL_COUNT_OF(lanes); i++) {
        now->leasts[lanes[i]] = larger(now->leasts[lanes[i]], least);
    }
    now->leasts[QL_DT_NOVEL] = YOUNG_NOVEL_LEAST;
}

static void series_residuals(const struct ql_dt_series *s, struct series_now *now)
{
    float *r = now->residuals;
    const float spike = absolute(now->y - s->fast);
    r[QL_DT_SPIKE] = spike;
    r[QL_DT_SHIFT] = absolute(s->near - s->far);
    r[QL_DT_RANGE] = absolute(now->y - now->usual);
    r[QL_DT_SEASON] = absolute(s->season_short);
    r[QL_DT_SEASON_SLOW] = absolute(s->season_long);
    r[QL_DT_VOLATILE] = s->spread_short;
    r[QL_DT_FLAT] = 1.0f / (s->spread_short / (s->spread_long + SERIES_LEAST) + 0.02f);
    const float range = larger(s->top - s->bottom, now->least);
    const float beyond = larger(now->y - s->top, s->bottom - now->y);
    r[QL_DT_NOVEL] = beyond > 0.0f ? beyond / range : 0.0f;
    for (uint32_t e = 0; e < QL_DT_EXPERTS; e++) {
        now->leasts[e] = now->least;
    }
    now->leasts[QL_DT_SHIFT] *= 0.5f;
    now->leasts[QL_DT_SEASON] *= 0.5f;
    now->leasts[QL_DT_SEASON_SLOW] *= 0.5f;
    now->leasts[QL_DT_VOLATILE] *= 0.5f;
    now->leasts[QL_DT_FLAT] = SERIES_FLAT_LEAST;
    now->leasts[QL_DT_NOVEL] = SERIES_NOVEL_LEAST;
}

/* The experts that average include the newest point, so they move before they are read. */
static void series_follow(struct ql_dt_series *s, const struct ql_dt_params *p,
                          struct series_now *now)
{
    const float most = s->count < p->warm_count
                           ? 2.0f * SERIES_FAR
                           : p->memory_clip * larger(s->spread_long, now->least);
    const float far = clipped(now->y - s->fast, most);
    const float y = s->fast + far;
    s->near += ratio_at(s, p->near_ratio) * (y - s->near);
    s->spread_short += ratio_at(s, p->short_ratio) * (absolute(far) - s->spread_short);
    const float off = y - now->usual;
    s->season_short += ratio_at(s, p->season_ratio) * (off - s->season_short);
    s->season_long += ratio_at(s, p->season_slow_ratio) * (off - s->season_long);
}

static void series_learn(struct ql_dt_series *s, const struct ql_dt_params *p,
                         const struct series_now *now, float speed)
{
    const float y = now->y;
    const float most = p->winsor * larger(s->spread_long, now->least);
    const bool young = s->count < p->warm_count;
    const float fast = young ? y - s->fast : clipped(y - s->fast, most);
    const float slow = young ? y - s->slow : clipped(y - s->slow, 2.0f * most);
    const float far = young ? s->near - s->far : clipped(s->near - s->far, 2.0f * most);
    s->spread_long += speed * ratio_at(s, p->long_ratio) *
                      (smaller(absolute(fast), young ? SERIES_FAR : most) - s->spread_long);
    s->fast += speed * ratio_at(s, p->fast_ratio) * fast;
    s->slow += speed * ratio_at(s, p->slow_ratio) * slow;
    s->far += speed * ratio_at(s, p->far_ratio) * far;
    const float grow = young ? SERIES_FAR : p->envelope_winsor * larger(s->spread_long, now->least);
    s->top += y > s->top ? smaller(y - s->top, grow)
                         : -speed * p->envelope_ratio * (s->top - s->slow);
    s->bottom -= y < s->bottom ? smaller(s->bottom - y, grow)
                               : -speed * p->envelope_ratio * (s->slow - s->bottom);
}

/* A level that lasts is taken over as it stands; the tails keep their width. */
static void series_accept(struct ql_dt_series *s)
{
    s->fast = s->near;
    s->slow = s->near;
    s->far = s->near;
    s->season_short = 0.0f;
    s->season_long = 0.0f;
    s->evidence = 0.0f;
    s->odd_run = 0;
}

static float series_claim(float surprise, float claim)
{
    return surprise <= claim ? surprise : claim + CLAIM_BEYOND * (surprise - claim);
}

static const struct ql_dt_pools *commons_asked(const struct ql_dt_commons *c)
{
    return c->family != NULL && c->family->points >= QL_DT_FAMILY_POINTS ? c->family : c->all;
}

/* log10 of how many points an expert averages over: so much less it has seen. */
static const float series_span_decades[QL_DT_EXPERTS] = {
    [QL_DT_SHIFT] = 1.0f,  [QL_DT_RANGE] = 0.3f, [QL_DT_SEASON] = 1.0f, [QL_DT_SEASON_SLOW] = 1.6f,
    [QL_DT_VOLATILE] = 1.0f, [QL_DT_FLAT] = 1.0f,
};

static void series_score(struct ql_dt_series *s, const struct ql_dt_params *p,
                         const struct ql_dt_commons *c, const struct series_now *now,
                         struct ql_dt_verdict *v)
{
    const struct ql_dt_pools *asked = commons_asked(c);
    const bool odd = s->evidence > p->odd;
    const float speed = odd ? p->tail_hold_ratio : 1.0f;
    const float gain = speed * now->gain, rate = speed * TAIL_RATE;
    /* A young series may not claim more than its age: one in n, a little more. */
    const float claim = CLAIM_MORE + ql_log10f((float)s->count);
    float best = -1.0f;
    uint32_t over = ql_tails_step(&s->tails, now->residuals, gain);
    v->sum = 0.0f;
    v->lead = QL_DT_SPIKE;
    memset(v->parts, 0, sizeof(v->parts));
    while (over != 0) {
        const uint32_t e = (uint32_t)__builtin_ctz(over);
        over &= over - 1;
        const float r = now->residuals[e], least = now->leasts[e];
        if (s->season_warm > 0 && (e == QL_DT_SEASON || e == QL_DT_SEASON_SLOW)) {
            continue;
        }
        const float raw = ql_tail_excess(&s->tails, e, r, least);
        ql_tail_learn_excess(&s->tails, e, r, gain, rate, least);
        const float honest = series_claim(ql_pool_map(&asked->experts[e], raw),
                                          claim - series_span_decades[e]);
        const float part = p->weights[e] * smaller(honest, p->expert_cap);
        if (!odd) {
            ql_pool_count(&c->all->experts[e], raw);
            if (c->family != NULL) {
                ql_pool_count(&c->family->experts[e], raw);
            }
        }
        v->parts[e] = part;
        v->sum += part;
        if (p->weights[e] * honest > best) {
            best = p->weights[e] * honest;
            v->lead = (uint8_t)e;
        }
    }
    v->sum += p->top_extra * larger(best - p->expert_cap, 0.0f);
}

static void pools_count(struct ql_dt_pools *pools, float sum, float crest, bool odd)
{
    if (crest > 0.0f) {
        ql_pool_count(&pools->evidence, crest * SUM_SCALE);
    }
    if (odd) {
        return;
    }
    pools->points++;
    if (sum > 0.0f) {
        ql_pool_count(&pools->sum, sum * SUM_SCALE);
    }
    if (pools->points >= pools->refresh_at) {
        pools_refresh(pools);
    }
}

static void series_weigh(struct ql_dt_series *s, const struct ql_dt_params *p,
                         const struct ql_dt_commons *c, int64_t at_ns, struct ql_dt_verdict *v)
{
    const struct ql_dt_pools *asked = commons_asked(c);
    const bool odd = s->evidence > p->odd;
    v->surprise = v->sum > 0.0f ? ql_pool_map(&asked->sum, v->sum * SUM_SCALE) : 0.0f;
    const float weight = v->sum > s->evidence ? p->attack : p->release;
    float evidence = s->evidence + weight * (v->sum - s->evidence);
    evidence = evidence < EVIDENCE_LEAST ? 0.0f : evidence;
    /* The onset is when the evidence last rose from none, or from little: a lone wobble some
     * minutes before must not date it. While a signal is open it stays, and with it its id. */
    const bool rose = (s->evidence <= 0.0f && evidence > 0.0f) ||
                      (s->evidence <= RISE_EVIDENCE && evidence > RISE_EVIDENCE);
    if (rose && (s->flags & QL_DT_OPEN) == 0) {
        s->rise_ns = at_ns;
    }
    /* An excursion counts once, by its crest: what is calibrated is how often one opens. */
    const float ended = evidence <= 0.0f ? s->crest : 0.0f;
    s->crest = evidence <= 0.0f ? 0.0f : larger(s->crest, evidence);
    s->evidence = evidence;
    v->evidence = evidence;
    v->evidence_surprise =
        evidence > 0.0f ? ql_pool_map(&asked->evidence, evidence * SUM_SCALE) : 0.0f;
    pools_count(c->all, v->sum, ended, odd);
    if (c->family != NULL) {
        pools_count(c->family, v->sum, ended, odd);
    }
}

static float series_center(const struct ql_dt_series *s, const struct series_now *now,
                           uint32_t lead)
{
    switch (lead) {
    case QL_DT_SHIFT: return s->far;
    case QL_DT_RANGE:
    case QL_DT_NOVEL:
    case QL_DT_SEASON:
    case QL_DT_SEASON_SLOW: return now->usual;
    default: return s->fast;
    }
}

static void series_band(const struct ql_dt_series *s, const struct series_now *now,
                        struct ql_dt_verdict *v)
{
    const uint32_t lane = v->lead == QL_DT_FLAT || v->lead == QL_DT_VOLATILE ? QL_DT_SPIKE
                          : v->lead == QL_DT_NOVEL                           ? QL_DT_RANGE
                                                                             : v->lead;
    const float center = series_center(s, now, v->lead);
    const float half = ql_tail_residual(&s->tails, lane, BAND_SURPRISE, now->leasts[lane]);
    v->has_band = true;
    v->expected = s->origin + (double)center;
    v->lower = v->expected - (double)half;
    v->upper = v->expected + (double)half;
    /* What was never negative is not expected to be. */
    if (v->lower < 0.0 && v->expected >= 0.0 && s->origin + (double)s->bottom >= 0.0) {
        v->lower = 0.0;
    }
}

/* Least spread believed in. A value that moves by whole steps (a count, a rate of few
 * events) is not odd for making one; but a constant's first few moves say nothing yet of
 * what is usual, unless it counts something rare from zero: there the first is expected. */
static float series_least(const struct ql_dt_series *s, const struct ql_dt_params *p)
{
    const bool from_zero = absolute((float)s->origin + s->slow) < ZERO_LEVEL_RATIO * s->quantum;
    const float steps = from_zero               ? p->quantum_zero_ratio
                        : s->moves < MOVES_KNOWN ? p->quantum_first_ratio
                                                 : p->quantum_floor_ratio;
    return larger(p->level_floor_ratio * absolute((float)s->origin + s->slow),
                  steps * s->quantum) + SERIES_LEAST;
}

static void series_move(struct ql_dt_series *s, float y)
{
    const float step = absolute(y - s->last);
    if (step > 0.0f) {
        s->quantum = s->quantum > 0.0f ? smaller(s->quantum, step) : step;
        s->moves = (uint8_t)(s->moves + (s->moves < UINT8_MAX));
    }
}

void ql_dt_series_expect(const struct ql_dt_series *s, const struct ql_dt_params *p,
                         struct ql_dt_verdict *ret_verdict)
{
    struct series_now now = { .y = s->last, .least = series_least(s, p), .usual = s->slow };
    series_residuals(s, &now);
    *ret_verdict = (struct ql_dt_verdict){ .lead = QL_DT_SPIKE };
    series_band(s, &now, ret_verdict);
}

/* How many steps passed, and what a gap means for the next points. */
static void series_gap(struct ql_dt_series *s, int64_t from_ns, int64_t at_ns, uint32_t step_ms)
{
    const float steps =
        step_ms == 0 ? 1.0f : (float)(at_ns - from_ns) / 1e6f / (float)step_ms;
    if (steps > SERIES_GAP_STEPS) {
        s->skip = SERIES_GAP_SKIP;
    }
}

void ql_dt_series_pass(struct ql_dt_series *s, int64_t since_ns, int64_t at_ns, uint32_t step_ms)
{
    if (s->count > 0) {
        series_gap(s, since_ns, at_ns, step_ms);
        s->last_ns = at_ns;
    }
}

/* About the edge of the band of an expert (BAND_SURPRISE), without a logarithm. */
static float series_edge(const struct ql_dt_series *s, const struct series_now *now, uint32_t e)
{
    return s->tails.quantile[e] + 2.0f * larger(s->tails.mean[e], now->leasts[e]);
}

/* Whether this value by itself is ordinary: the averages need long to forget. */
static bool series_calm(const struct ql_dt_series *s, const struct series_now *now)
{
    const float *r = now->residuals;
    return r[QL_DT_SPIKE] <= series_edge(s, now, QL_DT_SPIKE) &&
           r[QL_DT_RANGE] <= series_edge(s, now, QL_DT_RANGE) &&
           r[QL_DT_FLAT] <= series_edge(s, now, QL_DT_FLAT) &&
           r[QL_DT_NOVEL] <= series_edge(s, now, QL_DT_NOVEL) &&
           absolute(now->y - now->usual) <= 2.0f * series_edge(s, now, QL_DT_SEASON);
}

/* Back to normal: what the averages still hold of the anomaly is dropped. */
static void series_recover(struct ql_dt_series *s, const struct series_now *now)
{
    s->near = s->fast;
    s->spread_short = smaller(s->spread_short, s->spread_long);
    s->season_short = s->season_long = now->y - now->usual;
    s->evidence = 0.0f;
    s->calm_run = 0;
    s->odd_run = 0;
}

/* How long a series has been odd, and when that makes it the new normal. */
static void series_persist(struct ql_dt_series *s, const struct ql_dt_params *p,
                           const struct series_now *now, uint32_t step_ms,
                           struct ql_dt_verdict *v)
{
    if (s->evidence <= p->odd) {
        s->odd_run = 0;
        s->calm_run = 0;
        return;
    }
    s->calm_run = (uint16_t)(series_calm(s, now) ? s->calm_run + 1 : 0);
    if (s->calm_run >= p->recover_count) {
        series_recover(s, now);
        return;
    }
    s->odd_run = (uint16_t)(s->odd_run < UINT16_MAX ? s->odd_run + 1 : UINT16_MAX);
    const float age_s = (float)s->odd_run * (float)step_ms / 1000.0f;
    if (s->odd_run >= p->accept_count && (step_ms == 0 || age_s >= p->accept_s)) {
        series_accept(s);
        v->shifted = true;
    }
}

/* What is compared from here on is measured anew. The range tail goes on at the scale of the
 * new errors: it must not be blind meanwhile. The seasonal ones average, and errors that
 * follow each other less shrink more by that: they warm again. */
static void series_season_turn(struct ql_dt_series *s, const struct ql_dt_params *p, bool is)
{
    const float season = s->season_error + SERIES_LEAST, slow = s->slow_error + SERIES_LEAST;
    ql_tail_scale(&s->tails, QL_DT_RANGE, is ? season / slow : slow / season);
    s->flags ^= QL_DT_SEASONAL;
    s->season_warm = (uint8_t)p->season_warm_count;
    s->season_short = s->season_long = 0.0f;
}

/* A profile is used while its error is clearly smaller than that of the slow level: over days,
 * as it is better at some hours than at others, and after a whole day of trial at least. Where
 * it says nothing it is no better. */
static void series_season_choose(struct ql_dt_series *s, const struct ql_dt_params *p, float day,
                                 struct series_now *now)
{
    const float age = (float)s->season_count - day;
    const float ratio = larger(1.0f / (age + 1.0f), 1.0f / (SEASON_ERROR_DAYS * day));
    const float told = now->has_profile ? now->profile : s->slow;
    s->season_error += ratio * (absolute(now->y - told) - s->season_error);
    s->slow_error += ratio * (absolute(now->y - s->slow) - s->slow_error);
    const bool was = (s->flags & QL_DT_SEASONAL) != 0;
    const float most = was ? 1.0f : p->season_earns;
    const float trial =
        larger(day, smaller((float)p->season_warm_count, SEASON_DAYS_MOST * day));
    const bool is = age > trial && s->season_error < most * s->slow_error;
    if (is != was) {
        series_season_turn(s, p, is);
        now->usual = is ? told : s->slow;
    }
}

/* A profile is asked from its second day on: on the first it only repeats what came. At an
 * hour it has not seen (the first Saturday) it expects nothing. An anomaly does not decide
 * whether it is used: a holiday would throw away what tells it. */
static void series_season(struct ql_dt_series *s, const struct ql_dt_params *p,
                          const struct ql_dt_slab *slab, struct ql_dt_slot slot, uint32_t step_ms,
                          struct series_now *now)
{
    const float day = step_ms == 0 ? 1440.0f : 86400000.0f / (float)step_ms;
    const bool old = (float)s->season_count >= day;
    now->has_profile = old && ql_dt_slab_expect(slab, slot, &now->profile);
    if ((s->flags & QL_DT_SEASONAL) != 0) {
        now->usual = now->has_profile ? now->profile : now->y;
    }
    if (old && s->evidence <= p->odd) {
        series_season_choose(s, p, day, now);
    }
}

/* The seasonal lanes warm again whenever what they compare with has changed. */
static void series_season_warm(struct ql_dt_series *s, const struct ql_dt_params *p,
                               const struct series_now *now)
{
    for (uint32_t e = QL_DT_SEASON; e <= QL_DT_SEASON_SLOW; e++) {
        if (s->season_warm == p->season_warm_count) {
            ql_tail_start(&s->tails, e);
        }
        ql_tail_warm(&s->tails, e, now->residuals[e]);
        if (s->season_warm == 1) {
            ql_tail_settle(&s->tails, e, now->leasts[e]);
        }
    }
    s->season_warm--;
}

static void series_warm(struct ql_dt_series *s, const struct ql_dt_params *p,
                        const struct series_now *now)
{
    if (s->count == p->warm_count) {
        s->season_warm = (uint8_t)p->season_warm_count; /* these average for longer */
    }
    for (uint32_t e = 0; e < QL_DT_EXPERTS; e++) {
        if (s->count == p->warm_count) {
            ql_tail_settle(&s->tails, e, now->leasts[e]);
        } else if (s->count >= p->warm_count / 8) {
            ql_tail_warm(&s->tails, e, now->residuals[e]);
        }
    }
}

static void series_judge(struct ql_dt_series *s, const struct ql_dt_params *p,
                         const struct ql_dt_commons *commons, const struct series_now *now,
                         const struct ql_dt_input *in, struct ql_dt_verdict *v)
{
    series_score(s, p, commons, now, v);
    if (s->moves == 0) {
        v->sum = smaller(v->sum, FIRST_MOVE_SUM); /* once is not yet anything */
    }
    if (s->skip > 0) {
        s->skip--;
        v->sum = 0.0f;
    }
    if (in->want_band || s->evidence + v->sum > BAND_EVIDENCE) {
        series_band(s, now, v);
    }
    series_weigh(s, p, commons, in->at_ns, v);
}

void ql_dt_series_step(struct ql_dt_series *s, const struct ql_dt_params *p,
                       const struct ql_dt_commons *commons, const struct ql_dt_input *in,
                       struct ql_dt_verdict *ret_verdict)
{
    struct ql_dt_verdict *v = ret_verdict;
    if (s->count == 0) {
        series_start(s, in);
    }
    series_gap(s, s->last_ns, in->at_ns, in->step_ms);
    struct series_now now = { .y = clipped((float)(in->value - s->origin), SERIES_FAR) };
    now.least = series_least(s, p);
    now.gain = larger(4.0f * p->tail_rate, 50.0f / ((float)s->count + 1.0f));
    now.usual = s->slow;
    struct ql_dt_slot slot = { 0, 0 };
    if (commons->slab != NULL) {
        slot = ql_dt_slot_of(in->at_ns + in->shift_ns);
        series_season(s, p, commons->slab, slot, in->step_ms, &now);
    }
    series_follow(s, p, &now);
    series_residuals(s, &now);
    series_young(s, in->step_ms, &now);

    if (s->season_warm > 0) {
        series_season_warm(s, p, &now);
    }
    v->judged = s->count > p->warm_count;
    v->shifted = v->has_band = false;
    v->seasonal = (s->flags & QL_DT_SEASONAL) != 0;
    const float speed = s->evidence > p->odd ? p->hold_ratio : 1.0f;
    if (v->judged) {
        series_judge(s, p, commons, &now, in, v);
    } else {
        series_warm(s, p, &now);
    }
    series_persist(s, p, &now, in->step_ms, v);
    series_learn(s, p, &now, speed);
    if (commons->slab != NULL) {
        s->season_count++;
        const float per_slot = in->step_ms == 0 ? 1.0f : 900000.0f / (float)in->step_ms;
        ql_dt_slab_learn(commons->slab, slot, now.y,
                         speed * p->season_day_ratio / larger(per_slot, 1.0f));
    }
    series_move(s, now.y);
    s->last = now.y;
    s->last_ns = in->at_ns;
    s->count = s->count < UINT32_MAX ? s->count + 1 : UINT32_MAX;
}

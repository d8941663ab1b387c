/* fusion - ridge reconstruction residuals over the metrics of an entity.
 *
 * Good for     machines, pods and services whose metrics move together: load that does not
 *              reach the disk, memory that no longer follows traffic.
 * Bad for      metrics that have nothing to do with each other (it is then an n-sigma rule).
 * Method       z standardised by running mean and deviation, R their correlation. The
 *              remainder e = rho (R + rho I)^-1 z is principal components analysis with a
 *              soft edge: directions that vary much are explained, rare ones are kept. Then
 *              u_j = |e_j| / (q98_j + 1), score = sqrt(mean u_j^2), mean of the last five.
 * Baseline     rows whose score is odd are not learnt.
 * Cost         a matrix-vector product a row; the inverse again every 512 learnt rows.
 */
#include "detect/fusion.h"

#include "math/solve.h"
#include "math/tail.h"

#include <math.h>
#include <stdlib.h>

enum {
    BLOCK = 64,             /* metrics that are related to each other */
    ROWS_FIRST = 64,        /* learnt before anything is judged */
    REFIT_ROWS = 512,
    MEAN_ROWS = 5,
    LANE_GROUPS = BLOCK / QL_TAIL_LANES
};
#define RHO 0.3
#define Z_MAX 50.0
#define U_MAX 20.0f
#define UNIT 1.0f           /* least remainder that counts as one */
#define RANGE_FLOOR 0.05    /* deviation never below this share of the range ... */
#define LEVEL_FLOOR 0.01    /* ... nor of the mean */
#define FORGET (1.0 / 20000.0)
#define ODD_SURPRISE 3.0f
#define Z_LEARN 10.0

struct fusion_block {
    uint32_t first, count;
    double mean[BLOCK], low[BLOCK], high[BLOCK], scale[BLOCK];
    double moment[BLOCK][BLOCK];    /* running covariance in the metrics' own units */
    float remain[BLOCK][BLOCK];     /* rho (R + rho I)^-1 */
    float z[BLOCK], u[BLOCK], explained[BLOCK];
    struct ql_tails tails[LANE_GROUPS];
};

struct ql_fusion {
    uint32_t metrics, block_count;
    uint64_t rows;                  /* learnt */
    uint64_t settled;               /* rows that went into the quantiles */
    uint64_t fit_at;                /* of rows */
    bool fitted;
    float recent[MEAN_ROWS];
    uint32_t recent_count, recent_at;
    struct ql_tails score_tail;     /* lane 0 */
    struct fusion_block blocks[];
};

ql_err ql_fusion_new(uint32_t metrics, struct ql_fusion **ret_fusion)
{
    if (metrics == 0 || metrics > QL_FUSION_METRICS_MAX) {
        return QL_E_RANGE;
    }
    const uint32_t blocks = (metrics + BLOCK - 1) / BLOCK;
    struct ql_fusion *f = calloc(1, sizeof(*f) + blocks * sizeof(f->blocks[0]));
    if (f == NULL) {
        return QL_E_MEMORY;
    }
    f->metrics = metrics;
    f->block_count = blocks;
    f->fit_at = ROWS_FIRST;
    for (uint32_t b = 0; b < blocks; b++) {
        const uint32_t first = (uint32_t)((uint64_t)metrics * b / blocks);
        const uint32_t next = (uint32_t)((uint64_t)metrics * (b + 1) / blocks);
        f->blocks[b].first = first;
        f->blocks[b].count = next - first;
    }
    *ret_fusion = f;
    return QL_OK;
}

void ql_fusion_free(struct ql_fusion *fusion)
{
    free(fusion);
}

/* ---- learning ------------------------------------------------------------------- */

static double clipped(double x, double most)
{
    return x > most ? most : (x < -most ? -most : x);
}

/* A missing value, or one far out once the block is fitted, moves nothing far. */
static double block_value(const struct ql_fusion *f, const struct fusion_block *b, uint32_t j,
                          double x)
{
    if (!isfinite(x)) {
        return b->mean[j];
    }
    return f->fitted ? b->mean[j] + clipped(x - b->mean[j], Z_LEARN * b->scale[j]) : x;
}

static void block_learn(const struct ql_fusion *f, struct fusion_block *b, const double *row,
                        double weight)
{
    double before[BLOCK], after[BLOCK];
    for (uint32_t j = 0; j < b->count; j++) {
        const double x = f->rows == 0 && isfinite(row[b->first + j])
                             ? row[b->first + j]
                             : block_value(f, b, j, row[b->first + j]);
        b->low[j] = f->rows == 0 || x < b->low[j] ? x : b->low[j];
        b->high[j] = f->rows == 0 || x > b->high[j] ? x : b->high[j];
        before[j] = x - b->mean[j];
        b->mean[j] += weight * before[j];
        after[j] = x - b->mean[j];
    }
    for (uint32_t i = 0; i < b->count; i++) {
        const double part = weight * after[i];
        for (uint32_t j = 0; j <= i; j++) {
            b->moment[i][j] += part * before[j] - weight * b->moment[i][j];
        }
    }
}

void ql_fusion_learn(struct ql_fusion *f, const double *row)
{
    const double first = 1.0 / (double)(f->rows + 1);
    const double weight = first > FORGET ? first : FORGET;
    for (uint32_t b = 0; b < f->block_count; b++) {
        block_learn(f, &f->blocks[b], row, weight);
    }
    f->rows++;
}

static void block_fit(struct fusion_block *b)
{
    double r[BLOCK * BLOCK], scratch[BLOCK * BLOCK];
    const uint32_t n = b->count;
    for (uint32_t j = 0; j < n; j++) {
        const double floor = RANGE_FLOOR * (b->high[j] - b->low[j]) +
                             LEVEL_FLOOR * fabs(b->mean[j]) + 1e-9;
        const double deviation = sqrt(b->moment[j][j] > 0.0 ? b->moment[j][j] : 0.0);
        b->scale[j] = deviation > floor ? deviation : floor;
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            r[i * n + j] = r[j * n + i] = b->moment[i][j] / (b->scale[i] * b->scale[j]);
        }
        r[i * n + i] += RHO;
    }
    if (!ql_invert_spd(r, n, scratch)) {
        return; /* rounding only: the factor before stays in use */
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j < n; j++) {
            b->remain[i][j] = (float)(RHO * r[i * n + j]);
        }
    }
}

void ql_fusion_fit(struct ql_fusion *f)
{
    if (f->rows < 2) {
        return;
    }
    for (uint32_t b = 0; b < f->block_count; b++) {
        block_fit(&f->blocks[b]);
    }
    f->fitted = true;
    f->fit_at = f->rows + (f->rows < REFIT_ROWS ? f->rows : REFIT_ROWS);
}

/* ---- judging -------------------------------------------------------------------- */

static float *block_remainders(struct fusion_block *b, const double *row, float *e)
{
    for (uint32_t j = 0; j < b->count; j++) {
        const double x = row[b->first + j];
        b->z[j] = isfinite(x) ? (float)clipped((x - b->mean[j]) / b->scale[j], Z_MAX) : 0.0f;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        float sum = 0.0f;
        for (uint32_t j = 0; j < b->count; j++) {
            sum += b->remain[i][j] * b->z[j];
        }
        e[i] = isfinite(row[b->first + i]) ? sum : 0.0f;
        b->explained[i] = b->z[i] - e[i];
    }
    return e;
}

/* Sum of u^2 of the block; learns the usual remainders. */
static float block_judge(struct fusion_block *b, const double *row, float gain)
{
    _Alignas(16) float e[BLOCK] = { 0 };
    float sum = 0.0f;
    (void)block_remainders(b, row, e);
    for (uint32_t g = 0; g * QL_TAIL_LANES < b->count; g++) {
        struct ql_tails *t = &b->tails[g];
        float *r = &e[g * QL_TAIL_LANES];
        for (uint32_t lane = 0; lane < QL_TAIL_LANES; lane++) {
            r[lane] = fabsf(r[lane]);
            const uint32_t j = g * QL_TAIL_LANES + lane;
            if (j < b->count) {
                const float u = r[lane] / (t->quantile[lane] + UNIT);
                b->u[j] = u < U_MAX ? u : U_MAX;
                sum += b->u[j] * b->u[j];
            }
        }
        if (gain <= 0.0f) {
            continue;
        }
        uint32_t over = ql_tails_step(t, r, gain);
        for (; over != 0; over &= over - 1) {
            const uint32_t lane = (uint32_t)__builtin_ctz(over);
            ql_tail_learn_excess(t, lane, r[lane], gain, 0.05f, 1e-3f);
        }
    }
    return sum;
}

static float fusion_gain(uint64_t rows)
{
    const float first = 50.0f / ((float)rows + 1.0f);
    return first > 0.008f ? first : 0.008f;
}

static float fusion_mean(struct ql_fusion *f, float score)
{
    f->recent[f->recent_at] = score;
    f->recent_at = (f->recent_at + 1) % MEAN_ROWS;
    f->recent_count += f->recent_count < MEAN_ROWS;
    float sum = 0.0f;
    for (uint32_t i = 0; i < f->recent_count; i++) {
        sum += f->recent[i];
    }
    return sum / (float)f->recent_count;
}

static float fusion_judge(struct ql_fusion *f, const double *row, float gain)
{
    float sum = 0.0f;
    for (uint32_t b = 0; b < f->block_count; b++) {
        sum += block_judge(&f->blocks[b], row, gain);
    }
    return fusion_mean(f, sqrtf(sum / (float)f->metrics));
}

static void fusion_tail_learn(struct ql_fusion *f, float score, float gain)
{
    const float residuals[QL_TAIL_LANES] = { score };
    if (f->settled < ROWS_FIRST) {
        ql_tail_warm(&f->score_tail, 0, score);
    } else if (f->settled == ROWS_FIRST) {
        ql_tail_settle(&f->score_tail, 0, 0.01f);
    } else if ((ql_tails_step(&f->score_tail, residuals, gain) & 1u) != 0) {
        ql_tail_learn_excess(&f->score_tail, 0, score, gain, 0.05f, 0.01f);
    }
    f->settled++;
}

void ql_fusion_settle(struct ql_fusion *f, const double *row)
{
    if (f->fitted) {
        const float gain = fusion_gain(f->settled);
        fusion_tail_learn(f, fusion_judge(f, row, gain), gain);
    }
}

static void fusion_lead(const struct ql_fusion *f, struct ql_fusion_verdict *v)
{
    float most = -1.0f;
    for (uint32_t i = 0; i < f->block_count; i++) {
        const struct fusion_block *b = &f->blocks[i];
        for (uint32_t j = 0; j < b->count; j++) {
            if (b->u[j] <= most) {
                continue;
            }
            most = b->u[j];
            const struct ql_tails *t = &b->tails[j / QL_TAIL_LANES];
            const double half = (double)(t->quantile[j % QL_TAIL_LANES] + UNIT) * b->scale[j];
            v->lead = b->first + j;
            v->expected = b->mean[j] + (double)b->explained[j] * b->scale[j];
            v->lower = v->expected - half;
            v->upper = v->expected + half;
        }
    }
}

void ql_fusion_step(struct ql_fusion *f, const double *row, bool learn,
                    struct ql_fusion_verdict *ret_verdict)
{
    struct ql_fusion_verdict *v = ret_verdict;
    *v = (struct ql_fusion_verdict){ .judged = f->fitted && f->settled > ROWS_FIRST };
    if (f->fitted) {
        v->score = fusion_judge(f, row, 0.0f);
        v->surprise = v->score > f->score_tail.quantile[0] && v->judged
                          ? ql_tail_excess(&f->score_tail, 0, v->score, 0.01f)
                          : 0.0f;
        fusion_lead(f, v);
    }
    if (!learn) {
        return;
    }
    if (f->fitted && v->surprise < ODD_SURPRISE) {
        const float gain = fusion_gain(f->settled);
        for (uint32_t b = 0; b < f->block_count; b++) {
            (void)block_judge(&f->blocks[b], row, gain);
        }
        fusion_tail_learn(f, v->score, gain);
    }
    if (v->surprise < ODD_SURPRISE) {
        ql_fusion_learn(f, row);
        if (f->rows >= f->fit_at) {
            ql_fusion_fit(f);
        }
    }
}

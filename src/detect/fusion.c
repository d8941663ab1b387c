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

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK = QL_FUSION_BLOCK,             /* metrics that are related to each other */
    ROWS_FIRST = 64,        /* learnt before anything is judged */
    REFIT_ROWS = 512,
    MEAN_ROWS = 5
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

/* Everything lies in one piece of memory that can be copied: offsets, no pointers. */
struct ql_fusion {
    uint32_t metrics, block_count;
    uint64_t rows;                  /* learnt */
    uint64_t settled;               /* rows that went into the quantiles */
    uint64_t fit_at;                /* of rows */
    uint32_t fitted;
    float recent[MEAN_ROWS];
    uint32_t recent_count, recent_at;
    struct ql_tails score_tail;     /* lane 0 */
    uint64_t area[];                /* of the blocks, one after the other */
};

/* A block's parts, found again for each use. Symmetric matrices are kept as the lower
 * triangle, row by row. */
struct fusion_block {
    uint32_t first, count;
    double *mean;
    struct ql_tails *tails;         /* one for eight metrics */
    float *low, *high, *scale;
    float *moment;                  /* running covariance in the metrics' own units */
    float *e;                       /* remainders of the row that was judged last */
    int16_t *remain;                /* rho (R + rho I)^-1, whose elements lie within 1 */
};
#define REMAIN_ONE 32767.0f

static uint32_t triangle(uint32_t i) { return i * (i + 1) / 2; }

static size_t block_words(uint32_t count)
{
    const size_t halves = 2 * ((size_t)triangle(count) + 4 * (size_t)count) + triangle(count);
    const size_t lanes = ((size_t)count + QL_TAIL_LANES - 1) / QL_TAIL_LANES;
    return (size_t)count + lanes * sizeof(struct ql_tails) / 8 + (halves + 3) / 4;
}
_Static_assert(sizeof(struct ql_tails) % 8 == 0, "tails fill whole words");

static uint32_t block_first(uint32_t metrics, uint32_t blocks, uint32_t b)
{
    return (uint32_t)((uint64_t)metrics * b / blocks);
}

static struct fusion_block block_at(struct ql_fusion *f, uint32_t index)
{
    uint64_t *at = f->area;
    for (uint32_t b = 0; b < index; b++) {
        at += block_words(block_first(f->metrics, f->block_count, b + 1) -
                          block_first(f->metrics, f->block_count, b));
    }
    const uint32_t first = block_first(f->metrics, f->block_count, index);
    const uint32_t n = block_first(f->metrics, f->block_count, index + 1) - first;
    struct fusion_block block = { .first = first, .count = n };
    block.mean = (double *)(void *)at;
    block.tails = (struct ql_tails *)(void *)(block.mean + n);
    block.low = (float *)(void *)(block.tails + (n + QL_TAIL_LANES - 1) / QL_TAIL_LANES);
    block.high = block.low + n;
    block.scale = block.high + n;
    block.e = block.scale + n;
    block.moment = block.e + n;
    block.remain = (int16_t *)(void *)(block.moment + triangle(n));
    return block;
}

size_t ql_fusion_bytes(uint32_t metrics)
{
    const uint32_t blocks = (metrics + BLOCK - 1) / BLOCK;
    size_t words = 0;
    for (uint32_t b = 0; b < blocks; b++) {
        words += block_words(block_first(metrics, blocks, b + 1) - block_first(metrics, blocks, b));
    }
    return sizeof(struct ql_fusion) + words * 8;
}

struct ql_fusion *ql_fusion_place(void *memory, uint32_t metrics)
{
    QL_ASSERT(metrics > 0 && metrics <= QL_FUSION_METRICS_MAX);
    struct ql_fusion *f = memory;
    memset(f, 0, ql_fusion_bytes(metrics));
    f->metrics = metrics;
    f->block_count = (metrics + BLOCK - 1) / BLOCK;
    f->fit_at = ROWS_FIRST;
    return f;
}

ql_err ql_fusion_new(uint32_t metrics, struct ql_fusion **ret_fusion)
{
    if (metrics == 0 || metrics > QL_FUSION_METRICS_MAX) {
        return QL_E_RANGE;
    }
    void *memory = malloc(ql_fusion_bytes(metrics));
    if (memory == NULL) {
        return QL_E_MEMORY;
    }
    *ret_fusion = ql_fusion_place(memory, metrics);
    return QL_OK;
}

void ql_fusion_free(struct ql_fusion *fusion)
{
    free(fusion);
}

bool ql_fusion_holds(const struct ql_fusion *f, uint32_t metrics)
{
    return f->metrics == metrics && f->block_count == (metrics + BLOCK - 1) / BLOCK &&
           f->recent_count <= MEAN_ROWS && f->recent_at < MEAN_ROWS && f->fitted <= 1;
}

/* ---- learning ------------------------------------------------------------------- */

static double clipped(double x, double most)
{
    return x > most ? most : (x < -most ? -most : x);
}

/* The largest float for what lies beyond: an infinite range or scale would make all others NaN. */
static float narrowed(double x)
{
    return (float)clipped(x, (double)FLT_MAX);
}

/* A missing value, or one far out once the block is fitted, moves nothing far. */
static double block_value(const struct ql_fusion *f, const struct fusion_block *b, uint32_t j,
                          double x)
{
    if (!isfinite(x)) {
        return b->mean[j];
    }
    return f->fitted != 0 ? b->mean[j] + clipped(x - b->mean[j], Z_LEARN * (double)b->scale[j]) : x;
}

static void block_learn(const struct ql_fusion *f, struct fusion_block *b, const double *row,
                        double weight)
{
    double before[BLOCK], after[BLOCK];
    for (uint32_t j = 0; j < b->count; j++) {
        const double x = f->rows == 0 && isfinite(row[b->first + j])
                             ? row[b->first + j]
                             : block_value(f, b, j, row[b->first + j]);
        const float narrow = narrowed(x);
        b->low[j] = f->rows == 0 || narrow < b->low[j] ? narrow : b->low[j];
        b->high[j] = f->rows == 0 || narrow > b->high[j] ? narrow : b->high[j];
        before[j] = x - b->mean[j];
        b->mean[j] += weight * before[j];
        after[j] = x - b->mean[j];
    }
    for (uint32_t i = 0; i < b->count; i++) {
        const double part = weight * after[i];
        float *moment = &b->moment[triangle(i)];
        for (uint32_t j = 0; j <= i; j++) {
            moment[j] += (float)(part * before[j] - weight * (double)moment[j]);
        }
    }
}

void ql_fusion_learn(struct ql_fusion *f, const double *row)
{
    const double first = 1.0 / (double)(f->rows + 1);
    const double weight = first > FORGET ? first : FORGET;
    for (uint32_t b = 0; b < f->block_count; b++) {
        struct fusion_block block = block_at(f, b);
        block_learn(f, &block, row, weight);
    }
    f->rows++;
}

static void block_fit(struct fusion_block *b)
{
    double r[BLOCK * BLOCK], scratch[BLOCK * BLOCK];
    const uint32_t n = b->count;
    for (uint32_t j = 0; j < n; j++) {
        const double floor = RANGE_FLOOR * ((double)b->high[j] - (double)b->low[j]) +
                             LEVEL_FLOOR * fabs(b->mean[j]) + 1e-9;
        const double variance = (double)b->moment[triangle(j) + j];
        const double deviation = sqrt(variance > 0.0 ? variance : 0.0);
        b->scale[j] = narrowed(deviation > floor ? deviation : floor);
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            r[i * n + j] = r[j * n + i] =
                (double)b->moment[triangle(i) + j] / ((double)b->scale[i] * (double)b->scale[j]);
        }
        r[i * n + i] += RHO;
    }
    if (!ql_invert_spd(r, n, scratch)) {
        return; /* rounding only: the factor before stays in use */
    }
    for (uint32_t i = 0; i < n; i++) {
        for (uint32_t j = 0; j <= i; j++) {
            const double share = clipped(RHO * r[i * n + j], 1.0) * (double)REMAIN_ONE;
            b->remain[triangle(i) + j] = (int16_t)(share < 0.0 ? share - 0.5 : share + 0.5);
        }
    }
}

void ql_fusion_fit(struct ql_fusion *f)
{
    if (f->rows < 2) {
        return;
    }
    for (uint32_t b = 0; b < f->block_count; b++) {
        struct fusion_block block = block_at(f, b);
        block_fit(&block);
    }
    f->fitted = 1;
    f->fit_at = f->rows + (f->rows < REFIT_ROWS ? f->rows : REFIT_ROWS);
}

/* ---- judging -------------------------------------------------------------------- */

/* A missing value is where it usually is. */
static float block_z(const struct fusion_block *b, uint32_t j, double x)
{
    return isfinite(x) ? (float)clipped((x - b->mean[j]) / (double)b->scale[j], Z_MAX) : 0.0f;
}

static void block_remainders(struct fusion_block *b, const double *row)
{
    float z[BLOCK], e[BLOCK] = { 0 };
    for (uint32_t j = 0; j < b->count; j++) {
        z[j] = block_z(b, j, row[b->first + j]);
    }
    for (uint32_t i = 0; i < b->count; i++) {
        const int16_t *remain = &b->remain[triangle(i)];
        float sum = (float)remain[i] * z[i];
        for (uint32_t j = 0; j < i; j++) {
            sum += (float)remain[j] * z[j];
            e[j] += (float)remain[j] * z[i];
        }
        e[i] += sum;
    }
    for (uint32_t i = 0; i < b->count; i++) {
        b->e[i] = isfinite(row[b->first + i]) ? e[i] * (1.0f / REMAIN_ONE) : 0.0f;
    }
}

/* The remainder in units of what is usual. */
static float block_u(const struct fusion_block *b, uint32_t j)
{
    const float usual = b->tails[j / QL_TAIL_LANES].quantile[j % QL_TAIL_LANES];
    const float u = fabsf(b->e[j]) / (usual + UNIT);
    return u < U_MAX ? u : U_MAX;
}

/* Sum of u^2 of the block. */
static float block_judge(struct fusion_block *b, const double *row)
{
    float sum = 0.0f;
    block_remainders(b, row);
    for (uint32_t j = 0; j < b->count; j++) {
        const float u = block_u(b, j);
        sum += u * u;
    }
    return sum;
}

/* Learns the usual remainders of the row that was judged last. */
static void block_settle(struct fusion_block *b, float gain)
{
    for (uint32_t g = 0; g * QL_TAIL_LANES < b->count; g++) {
        _Alignas(32) float r[QL_TAIL_LANES] = { 0 };
        for (uint32_t j = g * QL_TAIL_LANES; j < b->count && j < (g + 1) * QL_TAIL_LANES; j++) {
            r[j % QL_TAIL_LANES] = fabsf(b->e[j]);
        }
        struct ql_tails *t = &b->tails[g];
        uint32_t over = ql_tails_step(t, r, gain);
        for (; over != 0; over &= over - 1) {
            const uint32_t lane = (uint32_t)__builtin_ctz(over);
            ql_tail_learn_excess(t, lane, r[lane], gain, 0.05f, 1e-3f);
        }
    }
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

static float fusion_judge(struct ql_fusion *f, const double *row)
{
    float sum = 0.0f;
    for (uint32_t b = 0; b < f->block_count; b++) {
        struct fusion_block block = block_at(f, b);
        sum += block_judge(&block, row);
    }
    return fusion_mean(f, sqrtf(sum / (float)f->metrics));
}

/* What was usual, of the row that was judged last. */
static void fusion_learn_usual(struct ql_fusion *f, float score)
{
    const float gain = fusion_gain(f->settled);
    for (uint32_t b = 0; b < f->block_count; b++) {
        struct fusion_block block = block_at(f, b);
        block_settle(&block, gain);
    }
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
    if (f->fitted != 0) {
        fusion_learn_usual(f, fusion_judge(f, row));
    }
}

static void fusion_lead(struct ql_fusion *f, const double *row, struct ql_fusion_verdict *v)
{
    float most = -1.0f;
    for (uint32_t i = 0; i < f->block_count; i++) {
        const struct fusion_block b = block_at(f, i);
        for (uint32_t j = 0; j < b.count; j++) {
            const float u = block_u(&b, j);
            if (u <= most) {
                continue;
            }
            most = u;
            const struct ql_tails *t = &b.tails[j / QL_TAIL_LANES];
            const double scale = (double)b.scale[j];
            const double half = (double)(t->quantile[j % QL_TAIL_LANES] + UNIT) * scale;
            const float explained = block_z(&b, j, row[b.first + j]) - b.e[j];
            v->lead = b.first + j;
            v->expected = b.mean[j] + (double)explained * scale;
            v->lower = v->expected - half;
            v->upper = v->expected + half;
        }
    }
}

void ql_fusion_step(struct ql_fusion *f, const double *row, bool learn,
                    struct ql_fusion_verdict *ret_verdict)
{
    struct ql_fusion_verdict *v = ret_verdict;
    *v = (struct ql_fusion_verdict){ .judged = f->fitted != 0 && f->settled > ROWS_FIRST };
    if (f->fitted != 0) {
        v->score = fusion_judge(f, row);
        v->surprise = v->score > f->score_tail.quantile[0] && v->judged
                          ? ql_tail_excess(&f->score_tail, 0, v->score, 0.01f)
                          : 0.0f;
        fusion_lead(f, row, v);
    }
    if (!learn) {
        return;
    }
    if (f->fitted != 0 && v->surprise < ODD_SURPRISE) {
        fusion_learn_usual(f, v->score);
    }
    if (v->surprise < ODD_SURPRISE) {
        ql_fusion_learn(f, row);
        if (f->rows >= f->fit_at) {
            ql_fusion_fit(f);
        }
    }
}

float ql_fusion_share(struct ql_fusion *f, uint32_t metric)
{
    float sum = 0.0f, own = 0.0f;
    for (uint32_t i = 0; i < f->block_count; i++) {
        const struct fusion_block b = block_at(f, i);
        for (uint32_t j = 0; j < b.count; j++) {
            const float u = block_u(&b, j), part = u * u;
            sum += part;
            own = b.first + j == metric ? part : own;
        }
    }
    return sum > 0.0f ? own / sum : 0.0f;
}

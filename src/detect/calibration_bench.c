/* calibration_bench - how often points of normal time claim to be one in ten thousand.
 *
 * Reads blocks of series from standard input (bench/calibration writes them), judges all of
 * them together, as one instance would, in order of time, and prints for every block and in
 * all how many unlabelled points raised an alarm at a surprise, as a ratio of what that
 * surprise says. A point while the series is odd already raises nothing new; the last line
 * but one counts those too: oddness comes in runs, so it is far above one.
 *
 * A block is: "QLCB", rows, columns, step in seconds, number of the set (u32 each), seconds
 * of the first row (i64), a name of 32 bytes; then for each row its columns and a label
 * (double; label not 0: left out of the count; NaN: missing). */
#include "detect/dt_judge.h"

#include "base/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BLOCKS_MAX = 64, LEVELS = 4, FAMILY_SPREAD = 1000 };

struct header {
    char magic[4];
    uint32_t rows, columns, step_s, set;
    uint32_t pad;
    int64_t start_s;
    char name[32];
};
struct block {
    struct header h;
    double *cells;
    uint32_t series_first;
    uint64_t points, reached[LEVELS], repeated[LEVELS], opened;
};

static bool block_read(struct block *b)
{
    if (fread(&b->h, sizeof(b->h), 1, stdin) != 1) {
        return false;
    }
    if (memcmp(b->h.magic, "QLCB", 4) != 0 || b->h.rows == 0 || b->h.columns == 0) {
        (void)fprintf(stderr, "calibration_bench: standard input holds no block here\n");
        exit(2);
    }
    const size_t count = (size_t)b->h.rows * (b->h.columns + 1);
    b->cells = malloc(count * sizeof(double));
    if (b->cells == NULL || fread(b->cells, sizeof(double), count, stdin) != count) {
        (void)fprintf(stderr, "calibration_bench: a block is cut short\n");
        exit(2);
    }
    return true;
}

static void row_judge(struct ql_dt_judge *judge, struct block *b, uint32_t row)
{
    const double *cells = b->cells + (size_t)row * (b->h.columns + 1);
    const bool normal = !(cells[b->h.columns] > 0.0);
    const int64_t at_s = b->h.start_s + (int64_t)row * b->h.step_s;
    for (uint32_t c = 0; c < b->h.columns; c++) {
        if (!isfinite(cells[c])) {
            continue;
        }
        const struct ql_dt_input in = { .at_ns = at_s * QL_NS_PER_S, .value = cells[c],
                                        .step_ms = b->h.step_s * 1000 };
        struct ql_dt_verdict v;
        const struct ql_dt_series *state = &judge->states[b->series_first + c];
        const bool odd = state->evidence > ql_dt_params_default.odd ||
                         (state->flags & QL_DT_OPEN) != 0;
        const uint32_t family = b->h.set * FAMILY_SPREAD + c;
        const enum ql_dt_change change =
            ql_dt_judge_value(judge, b->series_first + c, family, &in, &v);
        if (!v.judged || !normal) {
            continue;
        }
        b->points++;
        b->opened += change == QL_DT_OPENED;
        for (uint32_t level = 0; level < LEVELS; level++) {
            const bool reached = v.surprise >= (float)(level + 2);
            b->reached[level] += reached && !odd;
            b->repeated[level] += reached;
        }
    }
}

static void block_print(const struct block *b)
{
    (void)printf("%-24.32s %9llu", b->h.name, (unsigned long long)b->points);
    for (uint32_t level = 0; level < LEVELS; level++) {
        const double nominal = (double)b->points * pow(10.0, -(double)(level + 2));
        (void)printf("  %8.2f", (double)b->reached[level] / nominal);
    }
    (void)printf("  %6llu\n", (unsigned long long)b->opened);
}

static void block_add(struct block *all, const struct block *b)
{
    all->points += b->points;
    all->opened += b->opened;
    for (uint32_t level = 0; level < LEVELS; level++) {
        all->reached[level] += b->reached[level];
        all->repeated[level] += b->repeated[level];
    }
}

int main(void)
{
    static struct block blocks[BLOCKS_MAX];
    uint32_t count = 0, series = 0, rows_most = 0;
    while (count < BLOCKS_MAX && block_read(&blocks[count])) {
        blocks[count].series_first = series;
        series += blocks[count].h.columns;
        rows_most = blocks[count].h.rows > rows_most ? blocks[count].h.rows : rows_most;
        count++;
    }
    struct ql_dt_judge judge;
    if (count == 0 || ql_dt_judge_init(&judge, series, 10.0) != QL_OK) {
        (void)fprintf(stderr, "calibration_bench: nothing to judge\n");
        return 2;
    }
    const int64_t began = ql_clock_cpu_ns();
    for (uint32_t row = 0; row < rows_most; row++) {
        ql_dt_judge_threshold(&judge);
        for (uint32_t i = 0; i < count; i++) {
            if (row < blocks[i].h.rows) {
                row_judge(&judge, &blocks[i], row);
            }
        }
    }
    const double spent_ns = (double)(ql_clock_cpu_ns() - began);
    struct block all = { .h.name = "all" };
    (void)printf("observed / nominal         points      1e-2      1e-3      1e-4      1e-5  opened\n");
    for (uint32_t i = 0; i < count; i++) {
        block_print(&blocks[i]);
        block_add(&all, &blocks[i]);
        free(blocks[i].cells);
    }
    block_print(&all);
    memcpy(all.reached, all.repeated, sizeof(all.reached));
    (void)snprintf(all.h.name, sizeof(all.h.name), "all, repeats too");
    block_print(&all);
    (void)printf("%u series, %.0f ns of CPU a point\n", series, spent_ns / (double)all.points);
    ql_dt_judge_fini(&judge);
    return 0;
}

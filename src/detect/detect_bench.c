/* detect_bench - CPU time of the stage a point, with as many series as asked (100,000); a
 * second argument, not "groups", switches groups off; a third is a number of tenants, up to 10.
 *
 * Each round pushes one point of every series in batches of 10,000, as a remote write
 * sender does; the first rounds only warm. */
#include "base/clock.h"
#include "base/rng.h"
#include "detect/detect_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 10000, WARM_ROUNDS = 240, ROUNDS = 40, STEP_S = 15 };

static void series_fill(struct ql_series_table *table, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        char text[128];
        (void)snprintf(text, sizeof(text), "metric_%u{instance=\"i%u\"}", i % 100, i / 100);
        (void)test_series_add(table, text, STEP_S, 1 + i / 100);
    }
}

/* A tenant for each last digit of the instance. */
static void tenants_fill(struct ql_config *config, uint32_t count)
{
    static struct ql_tenant tenants[10];
    static char texts[10][2][40];
    for (uint32_t i = 0; i < count && i < QL_COUNT_OF(tenants); i++) {
        (void)snprintf(texts[i][0], sizeof(texts[i][0]), "t%u", i);
        (void)snprintf(texts[i][1], sizeof(texts[i][1]), "{instance=~\".*%u\"}", i);
        tenants[i] = (struct ql_tenant){ texts[i][0], texts[i][1], 1.0 };
        config->tenant_count = i + 1;
    }
    config->tenants = tenants;
}

struct bench { void *stage; struct ql_batch batch; struct ql_rng rng; uint32_t signals; };

static int64_t round_push(struct bench *b, uint32_t series, uint32_t round)
{
    int64_t spent = 0;
    for (uint32_t first = 0; first < series; first += BATCH) {
        const uint32_t count = series - first < BATCH ? series - first : BATCH;
        const ql_time at = { ((int64_t)1767571200 + (int64_t)round * STEP_S) * QL_NS_PER_S };
        ql_batch_reset(&b->batch);
        struct ql_point *points = ql_batch_more_points(&b->batch, count);
        for (uint32_t i = 0; i < count; i++) {
            points[i] = (struct ql_point){ .at = at, .series = first + i };
            points[i].value = 100.0 + 5.0 * ql_rng_normal(&b->rng);
        }
        const int64_t start = ql_clock_cpu_ns();
        ql_detect_stage.push(b->stage, at, &b->batch);
        ql_detect_stage.tick(b->stage, at, &b->batch);
        spent += ql_clock_cpu_ns() - start;
        b->signals += b->batch.signals.count;
    }
    return spent;
}

int main(int argc, char **argv)
{
    const uint32_t series = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 100000;
    struct ql_config *config;
    struct ql_series_table *table;
    struct bench b = { 0 };
    if (ql_config_default(&config) != QL_OK || ql_series_table_new(series, &table) != QL_OK) {
        return 1;
    }
    config->series_max = series;
    config->detect_groups = argc <= 2 || strcmp(argv[2], "groups") == 0;
    tenants_fill(config, argc > 3 ? (uint32_t)strtoul(argv[3], NULL, 10) : 0);
    series_fill(table, series);
    b.stage = test_stage_open(config, table, ql_stats_new(256));
    ql_batch_init(&b.batch, 64 << 20);
    ql_rng_init(&b.rng, 1, "bench");
    int64_t spent = 0;
    for (uint32_t round = 0; round < WARM_ROUNDS + ROUNDS; round++) {
        const int64_t one = round_push(&b, series, round);
        spent += round >= WARM_ROUNDS ? one : 0;
    }
    const double ns = (double)spent / ((double)series * ROUNDS);
    (void)printf("detect: %u series, %.0f ns a point, %.2f M points a second, %u signals\n", series,
                 ns, 1000.0 / ns, b.signals);
    ql_detect_stage.close(b.stage);
    ql_batch_fini(&b.batch);
    return 0;
}

/* slo_bench - CPU time of the counting stage a point: of series that no SLO counts, and of
 * series that count on both sides of one; and of the core's judging of 256 SLOs a minute. */
#include "base/clock.h"
#include "config/config.h"
#include "model/labels.h"
#include "model/series.h"
#include "slo/slo.h"
#include "topology/topology.h"

#include <stdio.h>
#include <stdlib.h>

enum { SERIES = 100000, COUNTED = 20000, BATCH = 10000, ROUNDS = 40, STEP_S = 15, SLOS = 256 };
#define START_S INT64_C(1767571200)

static void series_fill(struct ql_series_table *table)
{
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    for (uint32_t i = 0; i < SERIES; i++) {
        char text[128];
        uint32_t index;
        bool added;
        (void)snprintf(text, sizeof(text), "%s{code=\"500\",pod=\"p%u\",service=\"s%u\"}",
                       i < COUNTED ? "requests_total" : "other_total", i, i % SLOS);
        ql_buf_reset(&block);
        if (ql_labels_parse(ql_str_of(text), &block) != QL_OK ||
            ql_series_add(table, ql_hash128_of(block.at, block.bytes), ql_buf_view(&block),
                          QL_METRIC_COUNTER, &index, &added) != QL_OK) {
            abort();
        }
        ql_series_at(table, index)->entity.v = 1 + i % SLOS;
    }
    ql_buf_fini(&block);
}

static struct ql_config *config_make(void)
{
    struct ql_buf yaml, why;
    struct ql_config *config;
    ql_buf_init(&yaml, 1 << 20);
    ql_buf_init(&why, 1 << 20);
    (void)ql_buf_printf(&yaml, "limits: {series_max: %u}\nslos:\n", (unsigned)SERIES);
    for (uint32_t i = 0; i < SLOS; i++) {
        (void)ql_buf_printf(&yaml, "  - {name: s%u, target: 99.9, "
                            "bad: 'requests_total{code=~\"5..\",service=\"s%u\"}', "
                            "total: 'requests_total{service=\"s%u\"}'}\n",
                            i, i, i);
    }
    if (ql_config_parse(ql_buf_view(&yaml), "bench", &config, &why) != QL_OK) {
        abort();
    }
    ql_buf_fini(&yaml);
    ql_buf_fini(&why);
    return config;
}

struct bench { void *count, *core; struct ql_batch batch; int64_t spent[2], judged; };

static int64_t points_push(struct bench *b, uint32_t first, uint32_t count, ql_time at,
                           uint32_t round)
{
    ql_batch_reset(&b->batch);
    struct ql_point *points = ql_batch_more_points(&b->batch, count);
    for (uint32_t i = 0; i < count; i++) {
        points[i] = (struct ql_point){ .at = at, .series = first + i, .value = 1.0,
                                       .raw = 15.0 * round };
    }
    const int64_t start = ql_clock_cpu_ns();
    ql_slo_count_stage.push(b->count, at, &b->batch);
    return ql_clock_cpu_ns() - start;
}

static void round_run(struct bench *b, uint32_t round)
{
    const ql_time at = { (START_S + (int64_t)round * STEP_S) * QL_NS_PER_S };
    for (uint32_t first = 0; first < SERIES; first += BATCH) {
        const int64_t spent = points_push(b, first, BATCH, at, round);
        b->spent[first < COUNTED] += round > 0 ? spent : 0; /* the first one matches them all */
    }
    ql_batch_reset(&b->batch);
    ql_slo_count_stage.tick(b->count, at, &b->batch);
    const int64_t start = ql_clock_cpu_ns();
    ql_slo_stage.push(b->core, at, &b->batch);
    ql_slo_stage.tick(b->core, at, &b->batch);
    b->judged += ql_clock_cpu_ns() - start;
}

int main(void)
{
    struct ql_config *config = config_make();
    struct ql_series_table *table;
    struct ql_topology *topology;
    struct bench b = { 0 };
    if (ql_series_table_new(SERIES, &table) != QL_OK || ql_topology_new(&topology) != QL_OK) {
        return 1;
    }
    series_fill(table);
    const struct ql_stage_env env = { .config = config, .series = table, .topology = topology,
                                      .stats = ql_stats_new(4096), .shard_count = 1 };
    if (ql_slo_count_stage.open(&env, &b.count) != QL_OK ||
        ql_slo_stage.open(&env, &b.core) != QL_OK) {
        return 1;
    }
    ql_batch_init(&b.batch, 64 << 20);
    for (uint32_t round = 0; round <= ROUNDS; round++) {
        round_run(&b, round);
    }
    (void)printf("slo: %.1f ns a point that no SLO counts, %.0f ns one that counts twice, "
                 "%.2f ms a minute for %d SLOs in the core\n",
                 (double)b.spent[0] / ((double)(SERIES - COUNTED) * ROUNDS),
                 (double)b.spent[1] / ((double)COUNTED * ROUNDS),
                 (double)b.judged / 1e6 / (ROUNDS * STEP_S / 60.0), SLOS);
    ql_slo_count_stage.close(b.count);
    ql_slo_stage.close(b.core);
    ql_batch_fini(&b.batch);
    return 0;
}

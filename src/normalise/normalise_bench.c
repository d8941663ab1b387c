/* normalise_bench - nanoseconds a sample: known series, one sample a run, as remote write
 * sends them; new series; and a tick of an idle table.
 *
 * usage: normalise_normalise_bench [SERIES]  (default 100000) */
#include "base/clock.h"
#include "config/config.h"
#include "model/labels.h"
#include "model/series.h"
#include "normalise/normalise.h"

#include <stdio.h>
#include <stdlib.h>

enum { BATCH = 10000, ROUNDS = 20 };

static ql_str *blocks_make(struct ql_arena *arena, uint32_t count)
{
    ql_str *blocks = calloc(count, sizeof(*blocks));
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    for (uint32_t i = 0; blocks != NULL && i < count; i++) {
        char text[400];
        const int bytes = snprintf(text, sizeof(text),
            "%s{cluster=\"prod-eu-%u\",container=\"app-%u\",instance=\"10.0.0.%u:9100\","
            "job=\"kubernetes-pods\",method=\"GET\",namespace=\"team-%u\","
            "pod=\"checkout-service-%08x\",status=\"200\",zone=\"shard-%u\"}",
            i % 2 == 0 ? "queue_depth" : "http_requests_total", i / 100000, i / 50 % 7,
            i / 1000, i / 50 % 40, i / 50 * 2654435761u, i % 50);
        ql_buf_reset(&block);
        QL_ASSERT(ql_labels_parse((ql_str){ text, (size_t)bytes }, &block) == QL_OK);
        blocks[i] = ql_arena_str(arena, ql_buf_view(&block));
    }
    ql_buf_fini(&block);
    return blocks;
}

static void batch_fill(struct ql_batch *bus, const ql_str *blocks, const ql_hash128 *hashes,
                       uint32_t from, uint32_t count, int round)
{
    ql_batch_reset(bus);
    bus->source = 1;
    struct ql_run *runs = ql_batch_more_runs(bus, count);
    struct ql_sample *samples = ql_batch_more_samples(bus, count);
    QL_ASSERT(runs != NULL && samples != NULL);
    for (uint32_t i = 0; i < count; i++) {
        runs[i] = (struct ql_run){ .raw = hashes[from + i], .labels = blocks[from + i],
                                   .sample_first = i, .sample_count = 1 };
        samples[i] = (struct ql_sample){ ql_time_from_ms(1767603600000 + round * 10000),
                                         (double)(round * (int)(i % 200)) };
    }
}

int main(int argc, char **argv)
{
    int64_t series = 100000;
    struct ql_config *config;
    struct ql_series_table *table;
    struct ql_batch bus;
    struct ql_arena arena;
    void *stage;
    if (argc > 1 && ql_str_to_i64(ql_str_of(argv[1]), &series) != QL_OK) {
        return 2;
    }
    ql_arena_init(&arena, (size_t)4 << 30);
    QL_ASSERT(ql_config_default(&config) == QL_OK);
    config->series_max = (uint32_t)series + 1000;
    config->series_new_per_min_max = UINT32_MAX;
    QL_ASSERT(ql_series_table_new(config->series_max, &table) == QL_OK);
    struct ql_stats *stats = ql_stats_new(1000);
    const struct ql_stage_env env = { .config = config, .series = table, .stats = stats };
    QL_ASSERT(ql_normalise_stage.open(&env, &stage) == QL_OK);
    ql_batch_init(&bus, 1 << 20);
    ql_str *blocks = blocks_make(&arena, (uint32_t)series);
    ql_hash128 *hashes = calloc((size_t)series, sizeof(*hashes));
    QL_ASSERT(blocks != NULL && hashes != NULL);
    for (int64_t i = 0; i < series; i++) {
        hashes[i] = ql_hash128_of(blocks[i].at, blocks[i].bytes);
    }
    for (int round = 0; round < ROUNDS; round++) {
        int64_t spent_ns = 0;
        for (int64_t from = 0; from < series; from += BATCH) {
            const uint32_t count = (uint32_t)(series - from < BATCH ? series - from : BATCH);
            batch_fill(&bus, blocks, hashes, (uint32_t)from, count, round);
            const ql_time now = ql_time_from_ms(1767603600000 + round * 10000);
            const int64_t begin = ql_clock_cpu_ns();
            ql_normalise_stage.push(stage, now, &bus);
            spent_ns += ql_clock_cpu_ns() - begin;
            QL_ASSERT(bus.points.count == count);
        }
        if (round < 3 || round == ROUNDS - 1) {
            printf("round %2d: %6.1f ns a sample (%s)\n", round, (double)spent_ns / (double)series,
                   round == 0 ? "new series" : "known series");
        }
    }
    const int64_t begin = ql_clock_cpu_ns();
    for (int tick = 0; tick < 40; tick++) {
        ql_batch_reset(&bus);
        ql_normalise_stage.tick(stage, ql_time_from_ms(1767603600000 + ROUNDS * 10000 + tick * 1000),
                                &bus);
    }
    printf("tick:     %6.1f us, no series silent\n", (double)(ql_clock_cpu_ns() - begin) / 40e3);
    printf("series:   %6.1f B each in the table\n",
           (double)ql_series_bytes(table) / (double)ql_series_count(table));
    ql_normalise_stage.close(stage);
    ql_series_table_free(table);
    ql_batch_fini(&bus);
    ql_stats_free(stats);
    ql_config_free(config);
    ql_arena_fini(&arena);
    free(blocks);
    free(hashes);
    return 0;
}

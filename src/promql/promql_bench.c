/* promql_bench - CPU time of a query over one series and a day, without its storage: a
 * sample each 15 s, asked for every minute. */
#include "base/clock.h"
#include "model/labels.h"
#include "promql/promql.h"

#include <stdio.h>
#include <stdlib.h>

enum { SAMPLES = 5760, ROUNDS = 200 };

struct bench { ql_str labels; struct ql_sample samples[SAMPLES]; };

static ql_err bench_find(void *host, const struct ql_matcher *matchers, uint32_t count,
                         int64_t from_ms, int64_t to_ms, uint32_t count_max,
                         struct ql_arena *arena, struct ql_promql_series **ret_series,
                         uint32_t *ret_count)
{
    const struct bench *bench = host;
    (void)matchers, (void)count, (void)from_ms, (void)to_ms, (void)count_max;
    *ret_series = ql_arena_take(arena, sizeof(**ret_series));
    *ret_count = *ret_series != NULL ? 1 : 0;
    if (*ret_series != NULL) {
        (*ret_series)[0] = (struct ql_promql_series){ bench->labels, { 0, 0, 0 } };
    }
    return QL_OK;
}

static ql_err bench_read(void *host, const struct ql_promql_series *series, int64_t from_ms,
                         int64_t to_ms, const struct ql_sample **ret_samples,
                         uint32_t *ret_count)
{
    const struct bench *bench = host;
    (void)series, (void)from_ms, (void)to_ms;
    *ret_samples = bench->samples;
    *ret_count = SAMPLES;
    return QL_OK;
}

static double query_ms(struct bench *bench, const char *query)
{
    const struct ql_promql_source source = { bench, bench_find, bench_read };
    const struct ql_promql_grid grid = { 0, (SAMPLES - 1) * 15000, 60000 };
    const int64_t start = ql_clock_cpu_ns();
    for (int i = 0; i < ROUNDS; i++) {
        struct ql_promql *expression;
        struct ql_promql_error error;
        struct ql_promql_result result;
        if (ql_promql_parse(ql_str_of(query), &expression, &error) != QL_OK ||
            ql_promql_eval(expression, &source, &grid, &result, &error) != QL_OK) {
            (void)fprintf(stderr, "%s: %s\n", query, error.text);
            exit(1);
        }
        ql_promql_result_fini(&result);
        ql_promql_free(expression);
    }
    return (double)(ql_clock_cpu_ns() - start) / 1e6 / ROUNDS;
}

int main(void)
{
    static const char *const queries[] = { "x", "rate(x[5m])", "avg_over_time(x[1h])",
                                           "quantile_over_time(0.9, x[10m])",
                                           "sum by (a) (rate(x[5m])) > 0" };
    static struct bench bench;
    struct ql_buf labels;
    ql_buf_init(&labels, QL_LABELS_BYTES_MAX);
    if (ql_labels_parse(QL_STR("x{a=\"1\",job=\"j\"}"), &labels) != QL_OK) {
        return 1;
    }
    bench.labels = ql_buf_view(&labels);
    for (int i = 0; i < SAMPLES; i++) {
        bench.samples[i] = (struct ql_sample){ ql_time_from_ms((int64_t)i * 15000), i % 997 * 1.5 };
    }
    for (size_t i = 0; i < QL_COUNT_OF(queries); i++) {
        (void)printf("promql: %-36s %7.3f ms of CPU (one series, a day, 1440 steps)\n",
                     queries[i], query_ms(&bench, queries[i]));
    }
    ql_buf_fini(&labels);
    return 0;
}

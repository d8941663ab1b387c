/* Any text as an expression: it parses and can be evaluated over a small source, or says why
 * not, with a place in the text. */
#include "model/labels.h"
#include "promql/promql.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes);

enum { SERIES = 3, SAMPLES = 40 };

struct fuzz_source { ql_str labels[SERIES]; struct ql_sample samples[SAMPLES]; };

static ql_err fuzz_find(void *host, const struct ql_matcher *matchers, uint32_t count,
                        int64_t from_ms, int64_t to_ms, uint32_t count_max,
                        struct ql_arena *arena, struct ql_promql_series **ret_series,
                        uint32_t *ret_count)
{
    const struct fuzz_source *source = host;
    QL_ASSERT(count > 0 && from_ms <= to_ms && count_max >= SERIES);
    struct ql_promql_series *series = ql_arena_take(arena, SERIES * sizeof(*series));
    QL_ASSERT(series != NULL);
    for (uint32_t i = 0; i < SERIES; i++) {
        series[i] = (struct ql_promql_series){ source->labels[i], { i, 0, 0 } };
    }
    *ret_series = series;
    *ret_count = matchers[0].value.bytes % (SERIES + 1);
    return QL_OK;
}

static ql_err fuzz_read(void *host, const struct ql_promql_series *series, int64_t from_ms,
                        int64_t to_ms, const struct ql_sample **ret_samples, uint32_t *ret_count)
{
    const struct fuzz_source *source = host;
    const uint32_t first = (uint32_t)series->handle[0] * 5;
    QL_ASSERT(from_ms <= to_ms);
    *ret_samples = source->samples + first;
    *ret_count = SAMPLES - first;
    return QL_OK;
}

static void source_fill(struct fuzz_source *source, struct ql_buf *blocks)
{
    static const char *const texts[SERIES] = { "x{a=\"1\",le=\"1\"}", "x{a=\"2\",le=\"+Inf\"}",
                                               "y{a=\"1\",b=\"z\"}" };
    for (uint32_t i = 0; i < SERIES; i++) {
        ql_buf_init(&blocks[i], QL_LABELS_BYTES_MAX);
        QL_ASSERT(ql_labels_parse(ql_str_of(texts[i]), &blocks[i]) == QL_OK);
        source->labels[i] = ql_buf_view(&blocks[i]);
    }
    for (uint32_t i = 0; i < SAMPLES; i++) {
        source->samples[i] = (struct ql_sample){
            ql_time_from_ms((int64_t)i * 15000), i % 11 == 10 ? ql_stale_marker() : i % 7 * 1.5 };
    }
}

static void evaluate(const struct ql_promql *expression, int64_t step_ms)
{
    struct fuzz_source host;
    struct ql_buf blocks[SERIES];
    struct ql_promql_error error;
    struct ql_promql_result result;
    const struct ql_promql_source source = { &host, fuzz_find, fuzz_read };
    const struct ql_promql_grid grid = { 200000, 500000, step_ms };
    source_fill(&host, blocks);
    if (ql_promql_eval(expression, &source, &grid, &result, &error) == QL_OK) {
        for (uint32_t i = 0; i < result.row_count; i++) {
            bool canonical = false;
            QL_ASSERT(ql_labels_check(result.rows[i].labels, &canonical) == QL_OK);
            QL_ASSERT(canonical);
        }
        ql_promql_result_fini(&result);
    } else {
        QL_ASSERT(error.text[0] != '\0');
    }
    for (uint32_t i = 0; i < SERIES; i++) {
        ql_buf_fini(&blocks[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes)
{
    struct ql_promql *expression;
    struct ql_promql_error error;
    struct ql_arena arena;
    const struct ql_matcher *matchers;
    uint32_t count;
    const ql_str text = { (const char *)at, bytes };
    if (ql_promql_parse(text, &expression, &error) == QL_OK) {
        evaluate(expression, 0);
        evaluate(expression, 30000);
        ql_promql_free(expression);
    } else {
        QL_ASSERT(error.text[0] != '\0' && strlen(error.text) < sizeof(error.text));
        QL_ASSERT(error.err == QL_E_MEMORY || (error.line > 0 && error.column > 0));
    }
    ql_arena_init(&arena, 1 << 20);
    if (ql_promql_parse_selector(text, &arena, &matchers, &count, &error) == QL_OK) {
        QL_ASSERT(count > 0 && matchers[0].name.bytes > 0);
    }
    ql_arena_fini(&arena);
    return 0;
}

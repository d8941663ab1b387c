/* detect_test.h - for tests and benches only: a series in a table, and the stage over it.
 *
 * Without cmocka, so that a bench can use it: what fails is an assertion of the program.
 */
#ifndef QL_DETECT_DETECT_TEST_H
#define QL_DETECT_DETECT_TEST_H

#include "config/config.h"
#include "detect/detect.h"
#include "model/labels.h"
#include "model/series.h"

/* Adds the gauge `text`, such as `up{job="a"}`; entity 0: none is known. Returns its index. */
static inline uint32_t test_series_add(struct ql_series_table *series, const char *text,
                                       uint32_t step_s, uint64_t entity)
{
    struct ql_buf block;
    uint32_t index = 0;
    bool added = false;
    ql_buf_init(&block, 4096);
    ql_err err = ql_labels_parse(ql_str_of(text), &block);
    QL_ASSERT(err == QL_OK);
    const ql_str labels = ql_buf_view(&block);
    err = ql_series_add(series, ql_hash128_of(labels.at, labels.bytes), labels, QL_METRIC_GAUGE,
                        &index, &added);
    QL_ASSERT(err == QL_OK && added);
    ql_series_at(series, index)->step_ms = step_s * 1000u;
    ql_series_at(series, index)->entity.v = entity;
    ql_buf_fini(&block);
    return index;
}

/* A stage of its own over all of the series; ql_detect_stage.close() takes it down. */
static inline void *test_stage_open(const struct ql_config *config,
                                    struct ql_series_table *series, struct ql_stats *stats)
{
    const struct ql_stage_env env = { .config = config, .series = series, .stats = stats,
                                      .shard_count = 1 };
    void *stage = NULL;
    const ql_err err = ql_detect_stage.open(&env, &stage);
    QL_ASSERT(err == QL_OK);
    return stage;
}

/* The stage from its own checkpoint, as after a restart; the one given is gone. */
static inline void *test_stage_again(void *stage, const struct ql_config *config,
                                     struct ql_series_table *series, struct ql_stats *stats)
{
    struct ql_buf saved;
    ql_buf_init(&saved, 64 << 20);
    ql_err err = ql_detect_stage.save(stage, &saved);
    QL_ASSERT(err == QL_OK);
    ql_detect_stage.close(stage);
    stage = test_stage_open(config, series, stats);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    err = ql_detect_stage.load(stage, ql_detect_stage.state_version, &in);
    QL_ASSERT(err == QL_OK && ql_reader_left(&in) == 0);
    ql_buf_fini(&saved);
    return stage;
}

#endif

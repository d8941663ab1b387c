/* normalise_test.h - for tests only: the stage with a bus and a table of series in hand; times pass
 * tick by tick. */
#ifndef QL_NORMALISE_NORMALISE_TEST_H
#define QL_NORMALISE_NORMALISE_TEST_H

#include "base/rng.h"
#include "model/entity.h"
#include "model/labels.h"
#include "normalise/normalise.h"
#include "normalise/normalise_int.h"
#include "wire/wire.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define VERSION ql_normalise_stage.state_version
enum { SERIES_MAX = 5000, SOURCE = QL_DOOR_REMOTE_WRITE };
static const int64_t start_s = 1767603600;

struct fixture {
    struct ql_config *config;
    struct ql_stats *stats;
    struct ql_series_table *table;
    void *stage;
    struct ql_batch bus;
};

static inline void fixture_open_shard(struct fixture *f, uint32_t shard_count)
{
    assert_int_equal(ql_config_default(&f->config), QL_OK);
    f->config->series_max = SERIES_MAX;
    f->stats = ql_stats_new(500);
    assert_int_equal(ql_series_table_new(SERIES_MAX, &f->table), QL_OK);
    const struct ql_stage_env env = {
        .config = f->config, .series = f->table, .stats = f->stats, .shard_count = shard_count
    };
    assert_int_equal(ql_normalise_stage.open(&env, &f->stage), QL_OK);
    ql_batch_init(&f->bus, 64 << 20);
}

static inline void fixture_open(struct fixture *f) { fixture_open_shard(f, 1); }

static inline void fixture_close(struct fixture *f)
{
    ql_normalise_stage.close(f->stage);
    ql_series_table_free(f->table);
    ql_batch_fini(&f->bus);
    ql_stats_free(f->stats);
    ql_config_free(f->config);
}

static inline void bus_begin(struct fixture *f)
{
    ql_batch_reset(&f->bus);
    f->bus.source = SOURCE;
}

static inline void bus_sample(struct fixture *f, const char *labels, enum ql_metric_type type,
                              ql_time at, double value)
{
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(labels), &block), QL_OK);
    struct ql_run *run = ql_batch_add_run(&f->bus);
    struct ql_sample *sample = ql_batch_add_sample(&f->bus);
    run->labels = ql_batch_text(&f->bus, ql_buf_view(&block));
    run->raw = ql_hash128_of(run->labels.at, run->labels.bytes);
    run->type = type;
    run->sample_first = f->bus.samples.count - 1;
    run->sample_count = 1;
    *sample = (struct ql_sample){ at, value };
    ql_buf_fini(&block);
}

static inline ql_time at_s(double s)
{
    return (ql_time){ (start_s * 1000 + (int64_t)(s * 1000.0)) * 1000000 };
}

static inline int64_t dropped(const struct fixture *f, const char *reason)
{
    char labels[64];
    (void)snprintf(labels, sizeof(labels), "reason=\"%s\"", reason);
    return ql_stats_sum(f->stats, "ql_records_dropped_total", labels);
}

/* As the engine ticks: every stage gets the bus of the tick by push before. */
static inline void stage_tick(struct fixture *f, double s)
{
    ql_normalise_stage.push(f->stage, at_s(s), &f->bus);
    ql_normalise_stage.tick(f->stage, at_s(s), &f->bus);
}

static inline double number_of(const char *text)
{
    char *end;
    const double value = strtod(text, &end);
    assert_true(end != text);
    return value;
}

#endif

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

static inline void fixture_open_wide(struct fixture *f, uint32_t shard_count, uint32_t series_max)
{
    assert_int_equal(ql_config_default(&f->config), QL_OK);
    f->config->series_max = series_max;
    f->stats = ql_stats_new(500);
    assert_int_equal(ql_series_table_new(series_max, &f->table), QL_OK);
    const struct ql_stage_env env = {
        .config = f->config, .series = f->table, .stats = f->stats, .shard_count = shard_count
    };
    assert_int_equal(ql_normalise_stage.open(&env, &f->stage), QL_OK);
    ql_batch_init(&f->bus, 64 << 20);
}

static inline void fixture_open_shard(struct fixture *f, uint32_t shard_count)
{
    fixture_open_wide(f, shard_count, SERIES_MAX);
}

static inline void fixture_open(struct fixture *f) { fixture_open_wide(f, 1, SERIES_MAX); }

static inline void fixture_close(struct fixture *f)
{
    ql_normalise_stage.close(f->stage);
    ql_series_table_free(f->table);
    ql_batch_fini(&f->bus);
    ql_stats_free(f->stats);
    ql_config_free(f->config);
}

/* The same stage, from what it saves. */
static inline void fixture_checkpoint(struct fixture *f)
{
    struct ql_buf table, stage;
    ql_buf_init(&table, 64 << 20);
    ql_buf_init(&stage, 64 << 20);
    assert_int_equal(ql_series_save(f->table, &table), QL_OK);
    assert_int_equal(ql_normalise_stage.save(f->stage, &stage), QL_OK);
    const uint32_t series_max = f->config->series_max;
    fixture_close(f);
    fixture_open_wide(f, 1, series_max);
    struct ql_reader table_in = ql_reader_of(ql_buf_view(&table));
    struct ql_reader stage_in = ql_reader_of(ql_buf_view(&stage));
    assert_int_equal(ql_series_load(f->table, &table_in), QL_OK);
    assert_int_equal(ql_normalise_stage.load(f->stage, VERSION, &stage_in), QL_OK);
    assert_int_equal(ql_reader_left(&stage_in), 0);
    ql_buf_fini(&table);
    ql_buf_fini(&stage);
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

static inline struct ql_span *bus_span(struct fixture *f, const char *service, uint64_t id,
                                       uint64_t parent, double start, double duration_ms)
{
    struct ql_span *span = ql_batch_add_span(&f->bus);
    span->trace_id[0] = 1;
    span->span_id = id;
    span->parent_id = parent;
    span->start = at_s(start);
    span->duration = (ql_duration){ (int64_t)(duration_ms * 1e6) };
    span->service = ql_batch_text(&f->bus, ql_str_of(service));
    span->kind = 2;
    return span;
}

/* The points of one metric, as "end:value" in seconds from the start. */
static inline const char *metric_points(const struct fixture *f, const char *labels)
{
    static char out[1000];
    struct ql_buf text, block;
    ql_buf_init(&text, 4096);
    ql_buf_init(&block, 4096);
    out[0] = '\0';
    for (uint32_t i = 0; i < f->bus.points.count; i++) {
        const struct ql_point *p = &f->bus.points.at[i];
        ql_buf_reset(&text);
        ql_buf_reset(&block);
        assert_int_equal(ql_series_labels(f->table, p->series, &block), QL_OK);
        assert_int_equal(ql_labels_text(ql_buf_view(&block), &text), QL_OK);
        if (strcmp(text.at, labels) == 0) {
            const size_t used = strlen(out);
            (void)snprintf(out + used, sizeof(out) - used, "%lld:%.4g ",
                           (long long)(p->at.ns / QL_NS_PER_S - start_s), p->value);
        }
    }
    ql_buf_fini(&text);
    ql_buf_fini(&block);
    return out;
}

#endif

/* slo_test.h - for tests only: shards and a core of the SLO stages, minutes of traffic for them,
 * and the signals that come of it.
 *
 *   minutes  tokens: 0*90 ninety minutes without errors, 2.5*10 ten with 2.5 % of errors, _*20
 *            silence, z*20 samples without traffic, s*20 the error series alone are silent,
 *            R the counters restart, M the series end with a stale marker, C a checkpoint,
 *            D a change of service/checkout, X one of another service
 *
 * Two pods of one service count 300 requests a minute each, sampled every 30 s, and a gauge
 * that is 900 for that share of its values, else 100; one more tells the same as rates and as
 * increments.
 */
#ifndef QL_SLO_SLO_TEST_H
#define QL_SLO_SLO_TEST_H

#include "slo/slo.h"

#include "base/stat.h"
#include "config/config_test.h"
#include "model/entity.h"
#include "model/labels.h"
#include "model/series.h"
#include "slo/slo_int.h"
#include "topology/topology.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SHARDS_MAX = 3, SERIES = 10, STEP_S = 30, EVENTS_MAX = 32 };
#define START_S INT64_C(1767571200)

#define BAD "target: 99.9, bad: 'requests_total{code=\"500\"}', total: requests_total"
#define GOOD "target: 99.9, good: 'requests_total{code!=\"500\"}', total: requests_total"
#define RATES "target: 99.9, bad: errors_per_second, total: requests_per_second"
#define DELTAS "target: 99.9, bad: errors_since, total: requests_since"
#define SLOW "target: 99, match: latency_ms, above: 500"

#define POLICY(match, fields) "{name: night, match: '" match "', " fields "}"
#define BURNS "{__name__=\"slo_burn_rate\"}"

/* ---- a world ----------------------------------------------------------------------- */

struct shard { struct ql_series_table *series; void *stage; struct ql_batch batch; };
struct world {
    struct ql_config *config;
    struct ql_stats *stats;
    struct ql_topology *topology;
    struct shard shards[SHARDS_MAX];
    uint32_t shard_count;
    uint32_t indexes[SERIES];
    void *core;
    struct ql_batch bus;
};

enum tells { TELLS_GOOD, TELLS_BAD, TELLS_SLOW, TELLS_RATE, TELLS_BAD_RATE, TELLS_DELTA,
             TELLS_BAD_DELTA };
static const struct { const char *text; enum ql_metric_type type; enum tells tells; }
series_rows[SERIES] = {
#define REQUESTS(code, pod)                                                                    \
    "requests_total{code=\"" code "\",pod=\"" pod "\",service=\"checkout\"}", QL_METRIC_COUNTER
    { REQUESTS("200", "a"), TELLS_GOOD },
    { REQUESTS("500", "a"), TELLS_BAD },
    { "latency_ms{pod=\"a\",service=\"checkout\"}", QL_METRIC_GAUGE, TELLS_SLOW },
    { REQUESTS("200", "b"), TELLS_GOOD },
    { REQUESTS("500", "b"), TELLS_BAD },
#undef REQUESTS
    { "latency_ms{pod=\"b\",service=\"checkout\"}", QL_METRIC_GAUGE, TELLS_SLOW },
    { "requests_per_second{service=\"checkout\"}", QL_METRIC_GAUGE, TELLS_RATE },
    { "errors_per_second{service=\"checkout\"}", QL_METRIC_GAUGE, TELLS_BAD_RATE },
    { "requests_since{service=\"checkout\"}", QL_METRIC_DELTA, TELLS_DELTA },
    { "errors_since{service=\"checkout\"}", QL_METRIC_DELTA, TELLS_BAD_DELTA },
};

static inline struct ql_config *config_of(const char *slos)
{
    char yaml[4096];
    (void)snprintf(yaml, sizeof(yaml), "limits: {series_max: 1000}\n%s", slos);
    return test_config(yaml);
}

static inline struct ql_config *config_ruled(const char *slo, const char *policies)
{
    char slos[2048];
    (void)snprintf(slos, sizeof(slos), "slos: [{name: shop checkout, %s}]\npolicies: [%s]\n",
                   slo, policies != NULL ? policies : "");
    return config_of(slos);
}

static inline struct ql_config *config_one(const char *slo)
{
    return config_ruled(slo, NULL);
}

static inline void series_make(struct world *w, uint32_t number)
{
    struct ql_series_table *table = w->shards[number % w->shard_count].series;
    struct ql_buf block;
    bool added;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(series_rows[number].text), &block), QL_OK);
    const ql_str labels = ql_buf_view(&block);
    assert_int_equal(ql_series_add(table, ql_hash128_of(labels.at, labels.bytes), labels,
                                   series_rows[number].type, &w->indexes[number], &added), QL_OK);
    struct ql_series *row = ql_series_at(table, w->indexes[number]);
    row->entity = ql_entity_id_of(QL_STR("service/checkout"));
    row->step_ms = STEP_S * 1000;
    ql_buf_fini(&block);
}

static inline void world_open(struct world *w, struct ql_config *config, uint32_t shards)
{
    *w = (struct world){ .config = config, .shard_count = shards, .stats = ql_stats_new(256) };
    const ql_str name = QL_STR("service/checkout");
    assert_int_equal(ql_topology_new(&w->topology), QL_OK);
    assert_int_equal(ql_topology_see(w->topology, ql_entity_id_of(name), name), QL_OK);
    ql_batch_init(&w->bus, 1 << 20);
    const struct ql_stage_env core = { .config = config, .topology = w->topology,
                                       .stats = w->stats, .shard_count = 1 };
    assert_int_equal(ql_slo_stage.open(&core, &w->core), QL_OK);
    for (uint32_t i = 0; i < shards; i++) {
        struct shard *shard = &w->shards[i];
        assert_int_equal(ql_series_table_new(1000, &shard->series), QL_OK);
        ql_batch_init(&shard->batch, 1 << 20);
        const struct ql_stage_env env = { .config = config, .series = shard->series,
                                          .stats = w->stats, .shard_index = i,
                                          .shard_count = shards };
        assert_int_equal(ql_slo_count_stage.open(&env, &shard->stage), QL_OK);
    }
    for (uint32_t i = 0; i < SERIES; i++) {
        series_make(w, i);
    }
}

static inline void world_close(struct world *w)
{
    for (uint32_t i = 0; i < w->shard_count; i++) {
        ql_slo_count_stage.close(w->shards[i].stage);
        ql_series_table_free(w->shards[i].series);
        ql_batch_fini(&w->shards[i].batch);
    }
    ql_slo_stage.close(w->core);
    ql_batch_fini(&w->bus);
    ql_topology_free(w->topology);
    ql_stats_free(w->stats);
    ql_config_free(w->config);
}

static inline void stage_again(const struct ql_stage_type *type, const struct ql_stage_env *env,
                               void **stage)
{
    struct ql_buf saved, again;
    ql_buf_init(&saved, 64 << 20);
    ql_buf_init(&again, 64 << 20);
    assert_int_equal(type->save(*stage, &saved), QL_OK);
    type->close(*stage);
    assert_int_equal(type->open(env, stage), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(type->load(*stage, type->state_version, &in), QL_OK);
    assert_int_equal(ql_reader_left(&in), 0);
    assert_int_equal(type->save(*stage, &again), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&saved), ql_buf_view(&again)));
    ql_buf_fini(&saved);
    ql_buf_fini(&again);
}

static inline void world_checkpoint(struct world *w)
{
    const struct ql_stage_env core = { .config = w->config, .topology = w->topology,
                                       .stats = w->stats, .shard_count = 1 };
    stage_again(&ql_slo_stage, &core, &w->core);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        const struct ql_stage_env env = { .config = w->config, .series = w->shards[i].series,
                                          .stats = w->stats, .shard_index = i,
                                          .shard_count = w->shard_count };
        stage_again(&ql_slo_count_stage, &env, &w->shards[i].stage);
    }
}

/* ---- minutes in, events out -------------------------------------------------------- */

struct event {
    enum ql_phase phase;
    char severity[8];
    uint32_t at;
    ql_time onset;
    enum ql_importance importance;
    ql_entity_id entity;
    char why[240];
};
struct run {
    struct world *w;
    uint32_t step;               /* of the next samples */
    double counts[SERIES];
    bool silent[SERIES];
    uint32_t slow;
    bool checkpoints;
    struct event events[EVENTS_MAX];
    uint32_t event_count, update_count;
    uint64_t digest;
};

static inline ql_time run_now(const struct run *run, int64_t more_s)
{
    return (ql_time){ (START_S + (int64_t)run->step * STEP_S + more_s) * QL_NS_PER_S };
}

static inline void run_take(struct run *run)
{
    const struct ql_batch *bus = &run->w->bus;
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        const struct ql_signal *s = &bus->signals.at[i];
        assert_int_equal(s->kind, QL_SIGNAL_BURN_RATE);
        assert_true(s->lower <= s->expected && s->expected <= s->upper && s->id.v != 0);
        run->update_count += s->phase == QL_PHASE_UPDATE;
        if (s->phase != QL_PHASE_UPDATE && run->event_count < EVENTS_MAX) {
            struct event *e = &run->events[run->event_count++];
            const ql_str severity = ql_labels_get(s->labels, QL_STR("severity"));
            *e = (struct event){ .phase = s->phase, .at = run->step * STEP_S / 60,
                                 .onset = s->onset, .importance = s->importance,
                                 .entity = s->entity };
            (void)snprintf(e->severity, sizeof(e->severity), "%.*s", QL_STR_ARG(severity));
            (void)snprintf(e->why, sizeof(e->why), "%.*s", QL_STR_ARG(s->why));
        }
    }
    run->digest = ql_batch_digest(bus, QL_LIST_signals, 0, run->digest);
    run->digest = ql_batch_digest(bus, QL_LIST_entities, 0, run->digest);
}

static inline int part_order(const void *a, const void *b)
{
    const struct ql_slo_part *x = a, *y = b;
    return x->slo != y->slo         ? (x->slo < y->slo ? -1 : 1)
           : x->minute != y->minute ? (x->minute < y->minute ? -1 : 1)
                                    : (x->entity.v > y->entity.v) - (x->entity.v < y->entity.v);
}

/* As the engine does: every shard's tick, then the core's with what they said, in order. */
static inline void run_tick(struct run *run, int64_t more_s)
{
    struct world *w = run->w;
    const ql_time now = run_now(run, more_s);
    ql_batch_reset(&w->bus);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        struct ql_batch *batch = &w->shards[i].batch;
        batch->points.count = 0;
        ql_slo_count_stage.tick(w->shards[i].stage, now, batch);
        for (uint32_t k = 0; k < batch->slo_parts.count; k++) {
            *ql_batch_add_slo_part(&w->bus) = batch->slo_parts.at[k];
        }
        ql_batch_reset(batch);
    }
    if (w->bus.slo_parts.count > 1) {
        qsort(w->bus.slo_parts.at, w->bus.slo_parts.count, sizeof(*w->bus.slo_parts.at),
              part_order);
    }
    ql_slo_stage.push(w->core, now, &w->bus);
    ql_slo_stage.tick(w->core, now, &w->bus);
    run_take(run);
}

static inline void run_point(struct run *run, uint32_t number, enum ql_point_kind kind, double raw)
{
    struct ql_batch *batch = &run->w->shards[number % run->w->shard_count].batch;
    struct ql_point *p = ql_batch_add_point(batch);
    assert_non_null(p);
    *p = (struct ql_point){ .at = run_now(run, 0), .series = run->w->indexes[number],
                            .kind = kind, .raw = raw,
                            .value = series_rows[number].type == QL_METRIC_GAUGE ? raw : 0.0 };
}

/* Of 25 % every fourth value is slow. */
static inline double series_value(struct run *run, uint32_t number, double requests, double errors,
                                  double percent)
{
    switch (series_rows[number].tells) {
    case TELLS_GOOD: return run->counts[number] += requests - errors;
    case TELLS_BAD: return run->counts[number] += errors;
    case TELLS_SLOW: return (double)(run->slow++ % 4) * 25.0 < percent ? 900.0 : 100.0;
    case TELLS_RATE: return requests / STEP_S;
    case TELLS_BAD_RATE: return errors / STEP_S;
    case TELLS_DELTA: return requests;
    case TELLS_BAD_DELTA: return errors;
    }
    return 0.0;
}

static inline void run_series(struct run *run, uint32_t number, char what, double percent)
{
    const double requests = what == 'z' ? 0.0 : 150.0, errors = requests * percent / 100.0;
    const enum tells tells = series_rows[number].tells;
    if (what == '_' || (what == 's' && tells == TELLS_BAD)) {
        if (!run->silent[number]) {
            run_point(run, number, QL_POINT_HOLE, (double)NAN);
        }
        run->silent[number] = true;
        return;
    }
    if (what == 'M') {
        run_point(run, number, QL_POINT_HOLE, ql_stale_marker());
        run->silent[number] = true;
        return;
    }
    run->silent[number] = false;
    run_point(run, number, QL_POINT_VALUE,
              series_value(run, number, requests, errors, percent));
}

/* Samples on the step, a tick right behind them and one when the minute may be judged. */
static inline void run_step(struct run *run, char what, double percent)
{
    run->step++;
    for (uint32_t i = 0; i < SERIES; i++) {
        run_series(run, i, what, percent);
    }
    for (uint32_t i = 0; i < run->w->shard_count; i++) {
        struct shard *shard = &run->w->shards[i];
        ql_slo_count_stage.push(shard->stage, run_now(run, 0), &shard->batch);
    }
    run_tick(run, 1);
    run_tick(run, 16);
}

static inline void run_change(struct run *run, const char *entity)
{
    struct ql_batch *bus = &run->w->bus;
    ql_batch_reset(bus);
    struct ql_change *change = ql_batch_add_change(bus);
    assert_non_null(change);
    *change = (struct ql_change){ .entity = ql_entity_id_of(ql_str_of(entity)),
                                  .at = run_now(run, 0) };
    ql_slo_stage.push(run->w->core, run_now(run, 0), bus);
}

/* What letters in capitals do takes no time. */
static inline void run_at_once(struct run *run, char what)
{
    if (what == 'D' || what == 'X') {
        run_change(run, what == 'D' ? "service/checkout" : "service/search");
    }
    if (what == 'C' && run->checkpoints) {
        world_checkpoint(run->w);
    }
    if (what == 'R') {
        memset(run->counts, 0, sizeof(run->counts));
    }
    for (uint32_t i = 0; what == 'M' && i < SERIES; i++) {
        if (series_rows[i].tells != TELLS_BAD) {
            continue;
        }
        struct shard *shard = &run->w->shards[i % run->w->shard_count];
        run_series(run, i, 'M', 0.0);
        ql_slo_count_stage.push(shard->stage, run_now(run, 0), &shard->batch);
        shard->batch.points.count = 0;
    }
}

static inline void run_minutes(struct run *run, const char *minutes)
{
    while (*minutes != '\0') {
        char *end;
        const char what = *minutes;
        if (strchr(" CRMDX", what) != NULL) {
            run_at_once(run, what);
            minutes++;
            continue;
        }
        const bool number = what >= '0' && what <= '9';
        const double percent = number ? strtod(minutes, &end) : 0.0;
        minutes = number ? end : minutes + 1;
        const unsigned long count = *minutes == '*' ? strtoul(minutes + 1, &end, 10) : 1;
        minutes = *minutes == '*' ? end : minutes;
        for (unsigned long i = 0; i < count * 60 / STEP_S; i++) {
            run_step(run, number ? '0' : what, percent);
        }
    }
}

#endif

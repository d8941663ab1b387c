/* slo_test - one row, one story: an SLO, minutes of traffic, the signals that must come of them.
 *
 *   slo      the fields of one SLO
 *   minutes  tokens: 0*90 ninety minutes without errors, 2.5*10 ten with 2.5 % of errors, _*20
 *            silence, z*20 samples without traffic, s*20 the error series alone are silent,
 *            R the counters restart, M the series end with a stale marker, C a checkpoint,
 *            D a change of service/checkout, X one of another service
 *   want     "open page @from-to" and "close ticket @from-to" in order, by the minute
 *   policies the policies of the file; NULL: none
 *
 * Two pods of one service count 300 requests a minute each, sampled every 30 s, and a gauge
 * that is 900 for that share of its values, else 100; one more tells the same as rates and as
 * increments. Every row runs on one shard, on three,
 * and with a checkpoint wherever C stands; all three must say the same.
 */
#include "slo/slo.h"

#include "base/stat.h"
#include "config/config.h"
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

static const struct row { const char *story, *slo, *minutes, *want, *policies; } rows[] = {
    { "no burn", BAD, "0*120 C 0*120", "" },
    { "errors within the budget", BAD, "0.1*120 C 0.1*300", "" },
    { "all fails: a page within two minutes", BAD, "0*90 100*10 C 0*20",
      "open page @91-92 open ticket @91-92 close page @104-106" },
    { "the same from good events", GOOD, "0*90 100*10 C 0*20",
      "open page @91-92 open ticket @91-92 close page @104-106" },
    { "the same from rates", RATES, "0*90 100*10 C 0*20",
      "open page @91-92 open ticket @91-92 close page @104-106" },
    { "the same from increments", DELTAS, "0*90 100*10 C 0*20",
      "open page @91-92 open ticket @91-92 close page @104-106" },
    { "rates of a tenth: a silence is not filled", RATES, "0*90 10*30 _*10 C 0*20",
      "open ticket @96-97 open page @98-100 close page @132-134 close ticket @147-151" },
    { "a tenth fails: a page within ten", BAD, "0*90 10*30 C 0*20",
      "open ticket @96-97 open page @98-100 close page @124-126" },
    { "a slow burn is a ticket, no page", BAD, "0*400 1*300 C 0*60",
      "open ticket @614-618 close ticket @713-720" },
    { "a slow burn below both", BAD, "0*400 0.5*300", "" },
    { "two bad minutes in an hour of 1 % errors that are long over", BAD, "0*400 3*3 0*90", "" },
    { "silence is no recovery", BAD, "0*90 100*5 _*20 C _*40 100*2 0*20",
      "open page @91-92 open ticket @91-92 close page @160-162" },
    { "silence that began calm is no recovery either", BAD, "0*90 100*5 0*1 _*30 C _*30 0*20",
      "open page @91-92 open ticket @91-92 close page @156-158 close ticket @156-158" },
    { "a day of silence is given up", BAD, "0*90 100*5 _*700 C _*800",
      "open page @91-92 open ticket @91-92 close page @1535-1537 close ticket @1535-1537" },
    { "no traffic, but samples: calm", BAD, "0*90 100*5 z*5 C z*20",
      "open page @91-92 open ticket @91-92 close page @100-101" },
    { "the error series went silent: held up for an hour", BAD, "0*90 100*5 s*20 C s*70",
      "open page @91-92 open ticket @91-92 close page @154-157 close ticket @154-157" },
    { "the series ended: calm without them", BAD, "0*90 100*5 M s*20 C s*20",
      "open page @91-92 open ticket @91-92 close page @99-101 close ticket @124-126" },
    { "a restart of the counters is no burn", BAD, "0*90 R C 0*90 R 0*10", "" },
    { "errors right after a restart count", BAD, "0*90 R 100*5 C 0*20",
      "open page @91-92 open ticket @91-92 close page @99-101" },
    { "bad from the start: not before five minutes are known", BAD, "100*20 C 0*8",
      "open page @5-6 close page @24-26" },
    { "a bad minute long before five are known", BAD, "100*1 _*60 0*3", "" },
    { "slow values", SLOW, "0*90 100*40 C 0*20",
      "open ticket @95-97 open page @98-100 close page @134-136" },
    { "slow values, too few", SLOW, "0*400 25*5 C 0*90", "" },
    { "silence of slow values is no recovery", SLOW, "0*90 100*20 _*10 C _*10 0*4",
      "open ticket @95-97 open page @98-100 close page @132-134" },
    /* Minute 90 is 01:30. */
    { "a window holds, and what outlasts it is told", BAD, "0*90 100*5 C 100*15 0*20",
      "open page @100-101 open ticket @100-101 close page @114-116",
      POLICY(BURNS, "mute: ['01:00-01:40']") },
    { "another window does not", BAD, "0*90 100*20 0*20",
      "open page @91-92 open ticket @91-92 close page @114-116",
      POLICY(BURNS, "mute: ['02:00-02:40']") },
    { "over before the window ends: never told", BAD, "0*90 100*10 C 0*80", "",
      POLICY(BURNS, "mute: ['01:00-02:40']") },
    { "told before the window: goes on as it is", BAD, "0*90 100*10 C 0*20",
      "open page @91-92 open ticket @91-92 close page @104-106",
      POLICY(BURNS, "mute: ['01:35-03:00']") },
    { "silent when the window ends: told when it burns again", BAD,
      "0*90 100*5 _*20 C _*20 100*3 0*10",
      "open page @136-138 open ticket @136-138 close page @142-144",
      POLICY(BURNS, "mute: ['01:00-02:00']") },
    { "given up in the window", BAD, "0*90 100*5 _*700 C _*800 0*10", "",
      POLICY(BURNS, "mute: ['daily 00:00-24:00']") },
    { "tickets are switched off", BAD, "0*90 100*10 C 0*20",
      "open page @91-92 close page @104-106",
      POLICY("{severity=\"ticket\"}", "detector: off") },
    { "those of another SLO are", BAD, "0*90 100*10 C 0*20",
      "open page @91-92 open ticket @91-92 close page @104-106",
      POLICY("{slo=\"shop search\"}", "detector: off") },
    { "what holds the series that count does not hold the SLO", BAD, "0*90 100*10 C 0*20",
      "open page @91-92 open ticket @91-92 close page @104-106",
      POLICY("{service=\"checkout\"}", "detector: off") },
    { "a deploy holds for its time", BAD, "0*89 D 0*1 100*5 C 100*15 0*20",
      "open page @104-105 open ticket @104-105 close page @114-116",
      POLICY("{slo=\"shop checkout\"}", "mute_after_change: 15m") },
    { "a deploy, and over before its time is", BAD, "0*89 D 0*1 100*5 C 0*60", "",
      POLICY("{slo=\"shop checkout\"}", "mute_after_change: 15m") },
    { "the deploy of another service does not", BAD, "0*89 X 0*1 100*20 0*20",
      "open page @91-92 open ticket @91-92 close page @114-116",
      POLICY("{slo=\"shop checkout\"}", "mute_after_change: 15m") },
};

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

static struct ql_config *config_of(const char *slos)
{
    struct ql_config *config;
    char yaml[4096];
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    (void)snprintf(yaml, sizeof(yaml), "limits: {series_max: 1000}\n%s", slos);
    if (ql_config_parse(ql_str_of(yaml), "row", &config, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
    return config;
}

static struct ql_config *config_ruled(const char *slo, const char *policies)
{
    char slos[2048];
    (void)snprintf(slos, sizeof(slos), "slos: [{name: shop checkout, %s}]\npolicies: [%s]\n",
                   slo, policies != NULL ? policies : "");
    return config_of(slos);
}

static struct ql_config *config_one(const char *slo)
{
    return config_ruled(slo, NULL);
}

static void series_make(struct world *w, uint32_t number)
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

static void world_open(struct world *w, struct ql_config *config, uint32_t shards)
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

static void world_close(struct world *w)
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

static void stage_again(const struct ql_stage_type *type, const struct ql_stage_env *env,
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

static void world_checkpoint(struct world *w)
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

static ql_time run_now(const struct run *run, int64_t more_s)
{
    return (ql_time){ (START_S + (int64_t)run->step * STEP_S + more_s) * QL_NS_PER_S };
}

static void run_take(struct run *run)
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

static int part_order(const void *a, const void *b)
{
    const struct ql_slo_part *x = a, *y = b;
    return x->slo != y->slo         ? (x->slo < y->slo ? -1 : 1)
           : x->minute != y->minute ? (x->minute < y->minute ? -1 : 1)
                                    : (x->entity.v > y->entity.v) - (x->entity.v < y->entity.v);
}

/* As the engine does: every shard's tick, then the core's with what they said, in order. */
static void run_tick(struct run *run, int64_t more_s)
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

static void run_point(struct run *run, uint32_t number, enum ql_point_kind kind, double raw)
{
    struct ql_batch *batch = &run->w->shards[number % run->w->shard_count].batch;
    struct ql_point *p = ql_batch_add_point(batch);
    assert_non_null(p);
    *p = (struct ql_point){ .at = run_now(run, 0), .series = run->w->indexes[number],
                            .kind = kind, .raw = raw,
                            .value = series_rows[number].type == QL_METRIC_GAUGE ? raw : 0.0 };
}

/* Of 25 % every fourth value is slow. */
static double series_value(struct run *run, uint32_t number, double requests, double errors,
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

static void run_series(struct run *run, uint32_t number, char what, double percent)
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
static void run_step(struct run *run, char what, double percent)
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

static void run_change(struct run *run, const char *entity)
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
static void run_at_once(struct run *run, char what)
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

static void run_minutes(struct run *run, const char *minutes)
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

static bool want_holds(const struct run *run, const char *want)
{
    for (uint32_t i = 0; i < run->event_count; i++) {
        const struct event *e = &run->events[i];
        char phase[8], severity[8];
        unsigned from, to;
        int used = 0;
        if (sscanf(want, " %7s %7s @%u-%u%n", phase, severity, &from, &to, &used) != 4 ||
            strcmp(phase, e->phase == QL_PHASE_OPEN ? "open" : "close") != 0 ||
            strcmp(severity, e->severity) != 0 || e->at < from || e->at > to) {
            return false;
        }
        want += used;
    }
    return want[strspn(want, " ")] == '\0';
}

static void run_print(const struct run *run, const struct row *row)
{
    print_message("%s\n  want %s\n", row->story, row->want);
    for (uint32_t i = 0; i < run->event_count; i++) {
        const struct event *e = &run->events[i];
        print_message("  got %s %s @%u: %s\n", e->phase == QL_PHASE_OPEN ? "open" : "close",
                      e->severity, e->at, e->why);
    }
}

static void stories(void **state)
{
    (void)state;
    uint32_t failed = 0;
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        uint64_t digests[3];
        for (uint32_t way = 0; way < 3; way++) {
            struct world w;
            world_open(&w, config_ruled(rows[i].slo, rows[i].policies), way == 1 ? 3 : 1);
            struct run run = { .w = &w, .checkpoints = way == 2 };
            run_minutes(&run, rows[i].minutes);
            digests[way] = run.digest;
            if (way == 0 && !want_holds(&run, rows[i].want)) {
                run_print(&run, &rows[i]);
                failed++;
            }
            world_close(&w);
        }
        if (digests[0] != digests[1] || digests[0] != digests[2]) {
            print_message("%s: %s say something else\n", rows[i].story,
                          digests[0] != digests[1] ? "three shards" : "checkpoints");
            failed++;
        }
    }
    assert_int_equal(failed, 0);
}

/* ---- single truths ------------------------------------------------------------------ */

/* Both windows must burn; calm needs half of the short window and nothing silent. */
static void two_windows_judge(void **state)
{
    static const struct {
        double burn_1h, burn_5m;
        uint32_t covered_1h, covered_5m, silent;
        bool burns, calm;
    } judged[] = {
        { 20.0, 20.0, 60, 5, 0, true, false },  { 14.4, 14.4, 60, 5, 0, true, false },
        { 20.0, 14.3, 60, 5, 0, false, true },  { 14.3, 100.0, 60, 5, 0, false, false },
        { 20.0, 20.0, 4, 4, 0, false, false },  { 20.0, 20.0, 5, 1, 0, true, false },
        { 20.0, 0.0, 60, 3, 0, false, true },   { 20.0, 0.0, 60, 2, 0, false, false },
        { 20.0, 0.0, 60, 5, 1, false, false },  { 20.0, (double)NAN, 60, 0, 0, false, false },
        { (double)NAN, (double)NAN, 0, 0, 0, false, false },
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(judged); i++) {
        struct slo_view view = { .silent = judged[i].silent };
        view.burn[QL_SLO_WINDOW_1H] = judged[i].burn_1h;
        view.burn[QL_SLO_WINDOW_5M] = judged[i].burn_5m;
        view.covered[QL_SLO_WINDOW_1H] = judged[i].covered_1h;
        view.covered[QL_SLO_WINDOW_5M] = judged[i].covered_5m;
        if (slo_burns(&view, &slo_rules[SLO_PAGE]) != judged[i].burns ||
            slo_is_calm(&view, &slo_rules[SLO_PAGE]) != judged[i].calm) {
            fail_msg("row %u", i);
        }
    }
}

static void budgets_end_when_they_do(void **state)
{
    static const struct { double used, burn, want; } ends[] = {
        { 0.0, 1.0, 2592000.0 }, { 0.5, 14.4, 90000.0 }, { 1.0, 0.0, 0.0 }, { 1.5, 3.0, 0.0 },
        { 0.5, 0.0, (double)INFINITY }, { 0.5, 1e-12, (double)INFINITY },
        { 0.5, (double)NAN, (double)INFINITY }, { (double)NAN, 3.0, (double)INFINITY },
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(ends); i++) {
        const struct slo_view view = { .used = ends[i].used };
        const double s = slo_gone_s(&view, 2592000.0, ends[i].burn);
        assert_true(isinf(ends[i].want) ? isinf(s) : fabs(s - ends[i].want) < 1e-3);
    }
}

static void signals_say_what_matters(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, config_one(BAD), 1);
    struct run run = { .w = &w };
    run_minutes(&run, "0*90 100*10");
    assert_int_equal(run.event_count, 2);
    assert_int_equal(run.update_count, 5); /* each when it burns twice as fast as told */
    assert_string_equal(
        run.events[0].why,
        "SLO shop checkout: burn rate 16.7x over 1h and 200x over 5m (page at 14.4x); 2.33 % of "
        "the error budget of 30 d (target 99.9 %) is used, all of it in 1.8 d at this rate "
        "(2026-01-06T19:42Z)");
    assert_int_equal(run.events[0].importance, QL_IMPORTANCE_CRITICAL);
    assert_int_equal(run.events[1].importance, QL_IMPORTANCE_HIGH);
    assert_true(run.events[0].entity.v == ql_entity_id_of(QL_STR("service/checkout")).v);
    assert_true(run.events[0].onset.ns == (START_S + 90 * 60) * QL_NS_PER_S);
    uint32_t count;
    uint64_t version;
    const struct ql_slo_state *slo = ql_slo_states(w.core, &count, &version);
    assert_int_equal(count, 1);
    assert_string_equal(slo->name, "shop checkout");
    assert_string_equal(slo->entity, "service/checkout");
    assert_true(slo->page && slo->ticket);
    assert_true(fabs(slo->burn[QL_SLO_WINDOW_5M] - 1000.0) < 1e-6);
    assert_true(fabs(slo->bad - 6000.0) < 1e-3 && fabs(slo->total - 59700.0) < 1e-3);
    assert_true(slo->gone.ns > slo->at.ns && slo->budget_left < 0.8 && slo->budget_left > 0.7);
    assert_int_equal(ql_stats_sum(w.stats, "ql_slo_burn_rate_milli", "window=\"5m\""), 1000000);
    assert_int_equal(ql_stats_sum(w.stats, "ql_slo_dropped_total", ""), 0);
    world_close(&w);
}

/* Samples far apart still fill short windows; an hour back is the most. */
static void increases_are_spread(void **state)
{
    static const struct {
        enum ql_metric_type type;
        int64_t gap_s;
        double raw;
        uint32_t parts;
        double each, total;
    } spread[] = {
        { QL_METRIC_COUNTER, 300, 1100.0, 5, 20.0, 100.0 },
        { QL_METRIC_COUNTER, 60, 1100.0, 1, 100.0, 100.0 },
        { QL_METRIC_COUNTER, 90, 1100.0, 2, 0.0, 100.0 },
        { QL_METRIC_COUNTER, 10800, 1100.0, 60, 100.0 / 60.0, 100.0 },
        { QL_METRIC_COUNTER, 60, 40.0, 1, 40.0, 40.0 }, /* it restarted */
        { QL_METRIC_UNKNOWN, 60, 1100.0, 1, 100.0, 100.0 },
        { QL_METRIC_UNKNOWN, 60, 40.0, 1, 0.0, 0.0 },   /* or it is a gauge */
        { QL_METRIC_COUNTER, 60, 1e300, 1, 4398046511104.0, 4398046511104.0 },
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(spread); i++) {
        struct world w;
        world_open(&w, config_one(BAD), 1);
        struct shard *shard = &w.shards[0];
        double sum = 0.0;
        ql_series_at(shard->series, 0)->type = (uint8_t)spread[i].type;
        for (int64_t k = 0; k < 2; k++) {
            struct ql_point *p = ql_batch_add_point(&shard->batch);
            *p = (struct ql_point){ .at = { (START_S + k * spread[i].gap_s) * QL_NS_PER_S },
                                    .raw = k == 0 ? 1000.0 : spread[i].raw };
        }
        ql_slo_count_stage.push(shard->stage, shard->batch.points.at[1].at, &shard->batch);
        ql_slo_count_stage.tick(shard->stage, shard->batch.points.at[1].at, &shard->batch);
        assert_int_equal(shard->batch.slo_parts.count, spread[i].parts);
        for (uint32_t k = 0; k < spread[i].parts; k++) {
            const struct ql_slo_part *part = &shard->batch.slo_parts.at[k];
            const double total = (double)part->total / QL_SLO_UNIT;
            assert_true(part->covered == 1 && part->bad == 0);
            assert_true(spread[i].each <= 0.0 || fabs(total - spread[i].each) < 1e-5);
            sum += total;
        }
        assert_true(fabs(sum - spread[i].total) < 1e-9);
        world_close(&w);
    }
}

/* Who counted most of the bad events lately, not ever. */
static void the_worst_entity_is_named(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, config_one(BAD), 1);
    struct run run = { .w = &w };
    for (uint32_t minute = 0; minute < 320; minute++) {
        const int64_t bad[2] = { minute >= 30 && minute < 35 ? 50 : 0, minute >= 316 ? 50 : 0 };
        ql_batch_reset(&w.bus);
        for (uint32_t i = 0; i < 2; i++) {
            *ql_batch_add_slo_part(&w.bus) = (struct ql_slo_part){
                .slo = w.config->slos[0].key, .entity = { 10 + i }, .covered = 1,
                .minute = START_S / 60 + minute, .total = 100 * (int64_t)QL_SLO_UNIT,
                .bad = bad[i] * (int64_t)QL_SLO_UNIT };
        }
        run.step = 2 * (minute + 1);
        ql_slo_stage.push(w.core, run_now(&run, 16), &w.bus);
        ql_slo_stage.tick(w.core, run_now(&run, 16), &w.bus);
        run_take(&run);
    }
    assert_true(run.event_count >= 4);
    assert_int_equal(run.events[0].entity.v, 10);
    assert_int_equal(run.events[run.event_count - 1].phase, QL_PHASE_OPEN);
    assert_int_equal(run.events[run.event_count - 1].entity.v, 11);
    world_close(&w);
}

static const struct ql_slo_state *core_minutes(struct run *run, uint32_t minutes, int64_t bad)
{
    struct world *w = run->w;
    uint32_t count;
    uint64_t version;
    for (uint32_t i = 0; i < minutes; i++) {
        ql_batch_reset(&w->bus);
        *ql_batch_add_slo_part(&w->bus) = (struct ql_slo_part){
            .slo = w->config->slos[0].key, .entity = { 10 }, .covered = 1,
            .minute = START_S / 60 + run->step / 2, .total = 1000 * (int64_t)QL_SLO_UNIT,
            .bad = bad * (int64_t)QL_SLO_UNIT };
        run->step += 2;
        ql_slo_stage.push(w->core, run_now(run, 16), &w->bus);
        ql_slo_stage.tick(w->core, run_now(run, 16), &w->bus);
        run_take(run);
    }
    return ql_slo_states(w->core, &count, &version);
}

/* At a burn rate of one the budget lasts its window; what is older than that is forgiven. */
static void a_budget_lasts_its_window(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, config_one(BAD), 1);
    struct run run = { .w = &w };
    const uint32_t day = 1440;
    const struct ql_slo_state *slo = core_minutes(&run, 3 * day, 1);
    assert_true(fabs(slo->budget_left - 0.9) < 1e-3);
    assert_true(fabs((double)(slo->gone.ns - slo->at.ns) / 1e9 / 86400.0 - 27.0) < 0.1);
    slo = core_minutes(&run, 27 * day, 1);
    assert_true(fabs(slo->budget_left) < 1e-2);
    slo = core_minutes(&run, 3 * day, 2);
    assert_true(fabs(slo->budget_left + 0.1) < 1e-2);
    assert_true(slo->gone.ns == slo->at.ns);
    slo = core_minutes(&run, 15 * day, 0);
    assert_true(fabs(slo->budget_left - 0.4) < 1e-2);
    assert_true(slo->gone.ns == QL_TIME_NONE.ns && fabs(slo->total - 43200e3) < 61e3);
    slo = core_minutes(&run, 15 * day, 0);
    assert_true(fabs(slo->budget_left - 1.0) < 1e-2);
    assert_int_equal(run.event_count, 0); /* none of it was fast */
    world_close(&w);
}

/* ---- reloads ------------------------------------------------------------------------ */

static void adopt(struct world *w, struct ql_config *config)
{
    assert_int_equal(ql_slo_stage.adopt_config(w->core, config), QL_OK);
    for (uint32_t i = 0; i < w->shard_count; i++) {
        assert_int_equal(ql_slo_count_stage.adopt_config(w->shards[i].stage, config), QL_OK);
    }
    ql_config_free(w->config);
    w->config = config;
}

static void a_new_target_keeps_what_was_counted(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, config_one("target: 90, bad: 'requests_total{code=\"500\"}', "
                              "total: requests_total"), 3);
    struct run run = { .w = &w };
    run_minutes(&run, "0*90 5*30");
    assert_int_equal(run.event_count, 0);
    adopt(&w, config_of("slos:\n - {name: new, target: 99, match: latency_ms, above: 5000}\n"
                        " - {name: shop checkout, " BAD ", entity: cart}\n"));
    run_minutes(&run, "5*2");
    assert_int_equal(run.event_count, 2);
    assert_non_null(strstr(run.events[0].why, "SLO shop checkout"));
    assert_true(run.events[0].entity.v == ql_entity_id_of(QL_STR("service/cart")).v);
    assert_true(run.events[0].onset.ns == (START_S + 90 * 60) * QL_NS_PER_S);
    world_close(&w);
}

static void what_is_taken_out_is_closed(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, config_one(BAD), 1);
    struct run run = { .w = &w };
    run_minutes(&run, "0*90 100*5");
    assert_int_equal(run.event_count, 2);
    adopt(&w, config_of(""));
    run_minutes(&run, "100*1");
    assert_int_equal(run.event_count, 4);
    assert_int_equal(run.events[3].phase, QL_PHASE_CLOSE);
    assert_non_null(strstr(run.events[3].why, "taken out of the configuration, not recovered"));
    adopt(&w, config_one(BAD)); /* begins anew, and the time between counts for nothing */
    run_minutes(&run, "0*20");
    assert_int_equal(run.event_count, 4);
    world_close(&w);
}

/* ---- policies ----------------------------------------------------------------------- */

static bool is_held(const struct world *w)
{
    uint32_t count;
    uint64_t version;
    const struct ql_slo_state *slo = ql_slo_states(w->core, &count, &version);
    assert_int_equal(count, 1);
    assert_true(!slo->held || (!slo->page && !slo->ticket));
    return slo->held;
}

/* Shown as held and counted once a signal; told with its onset when a new file lets it out. */
static void what_is_held_is_shown_and_counted(void **state)
{
    (void)state;
    static const char held[] = "ql_detect_held_total";
    struct world w;
    world_open(&w, config_ruled(BAD, POLICY(BURNS, "detector: off")), 1);
    struct run run = { .w = &w };
    run_minutes(&run, "0*90");
    assert_false(is_held(&w));
    run_minutes(&run, "100*5");
    assert_true(is_held(&w));
    assert_int_equal(run.event_count, 0);
    assert_int_equal(ql_stats_sum(w.stats, held, ""), 2);
    assert_int_equal(ql_stats_sum(w.stats, held, "kind=\"burn rate\",policy=\"night\","
                                                 "reason=\"detector\""), 2);
    assert_int_equal(ql_stats_sum(w.stats, "ql_slo_signals_total", ""), 0);
    adopt(&w, config_ruled(BAD, POLICY("{severity=\"page\"}", "importance: low")));
    run_minutes(&run, "100*1");
    assert_false(is_held(&w));
    assert_int_equal(run.event_count, 2);
    assert_int_equal(ql_stats_sum(w.stats, "ql_detect_told_late_total", ""), 2);
    assert_int_equal(run.events[0].importance, QL_IMPORTANCE_LOW);
    assert_non_null(strstr(run.events[0].why, " (importance low, policy night)"));
    assert_int_equal(run.events[1].importance, QL_IMPORTANCE_HIGH);
    assert_null(strstr(run.events[1].why, "importance"));
    assert_true(run.events[0].onset.ns == (START_S + 90 * 60) * QL_NS_PER_S);
    world_close(&w);
}

/* Half a checkpoint is refused, whatever half. */
static void damaged_states_are_refused(void **state)
{
    (void)state;
    const struct ql_stage_type *const types[] = { &ql_slo_stage, &ql_slo_count_stage };
    for (uint32_t t = 0; t < QL_COUNT_OF(types); t++) {
        struct world w;
        struct ql_buf saved;
        ql_buf_init(&saved, 1 << 20);
        world_open(&w, config_one(BAD), 1);
        struct run run = { .w = &w };
        run_minutes(&run, "0*10 100*5");
        assert_int_equal(types[t]->save(t == 0 ? w.core : w.shards[0].stage, &saved), QL_OK);
        for (size_t bytes = 0; bytes < saved.bytes; bytes += 1 + bytes / 16) {
            void *stage;
            const struct ql_stage_env env = { .config = w.config, .series = w.shards[0].series,
                                              .topology = w.topology, .stats = w.stats,
                                              .shard_count = 1 };
            assert_int_equal(types[t]->open(&env, &stage), QL_OK);
            struct ql_reader in = ql_reader_of((ql_str){ saved.at, bytes });
            assert_int_equal(types[t]->load(stage, types[t]->state_version, &in),
                             QL_E_MALFORMED);
            assert_int_equal(types[t]->load(stage, types[t]->state_version + 1, &in),
                             QL_E_VERSION);
            types[t]->close(stage);
        }
        ql_buf_fini(&saved);
        world_close(&w);
    }
}

/* ---- rings -------------------------------------------------------------------------- */

static void rings_keep_and_forget(void **state)
{
    (void)state;
    struct slo_ring *ring = calloc(1, sizeof(*ring));
    const int64_t now = 29459520; /* minutes; a full hour */
    assert_non_null(ring);
    slo_ring_advance(ring, now);
    const struct ql_slo_part part = { .minute = now, .bad = 1, .total = 2, .covered = 1 };
    struct ql_slo_part other = part;
    assert_true(slo_ring_add(ring, &part));
    other.minute = now + SLO_AHEAD;
    assert_true(slo_ring_add(ring, &other));
    other.minute = now + SLO_AHEAD + 1;
    assert_false(slo_ring_add(ring, &other));
    other.minute = now - 400; /* too old for its minute, not for its hour */
    assert_true(slo_ring_add(ring, &other));
    other.minute = now - SLO_HOURS * 60;
    assert_false(slo_ring_add(ring, &other));
    assert_int_equal(slo_ring_minutes(ring, now + 1, 360).total, 2);
    assert_int_equal(slo_ring_minutes(ring, now, 360).total, 0);
    assert_int_equal(slo_ring_hours(ring, now + 1, 24).total, 4);
    slo_ring_advance(ring, now + 390);
    assert_int_equal(slo_ring_minutes(ring, now + 1, 360).total, 2);
    slo_ring_advance(ring, now + 520);
    assert_int_equal(slo_ring_minutes(ring, now + 1, 360).total, 0);
    assert_int_equal(slo_ring_hours(ring, now + 520, 720).total, 6);
    slo_ring_advance(ring, now + SLO_HOURS * 60);
    assert_int_equal(slo_ring_hours(ring, now + 60, 24).total, 0);
    free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(two_windows_judge),
        cmocka_unit_test(budgets_end_when_they_do),
        cmocka_unit_test(signals_say_what_matters),
        cmocka_unit_test(increases_are_spread),
        cmocka_unit_test(the_worst_entity_is_named),
        cmocka_unit_test(a_budget_lasts_its_window),
        cmocka_unit_test(a_new_target_keeps_what_was_counted),
        cmocka_unit_test(what_is_taken_out_is_closed),
        cmocka_unit_test(what_is_held_is_shown_and_counted),
        cmocka_unit_test(damaged_states_are_refused),
        cmocka_unit_test(rings_keep_and_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

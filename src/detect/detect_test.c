/* detect_test - one row, one story: points as a person would say them, and the signals
 * that must come of them.
 *
 *   points   a run of tokens, each VALUE[*count]:
 *              10        the value 10
 *              ~10/2     10 with normal noise of deviation 2
 *              10>50/2   a ramp from 10 to 50 with noise 2
 *              ^10>50/2  a day: 50 at noon, 10 at midnight, with noise 2
 *              _         a hole    !  a counter reset
 *   want     signals in order, each PHASE kind @from-to (point numbers, inclusive);
 *            phases are open and close; `?` is any kind; "" is silence
 */
#include "detect/detect_test.h"

#include "base/rng.h"
#include "detect/dt_signal.h"
#include "model/model_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* A day of five minutes, or of half hours: 80 from nine to six, 20 at night. */
#define WORK_5 "~20/1*108 ~80/1*108 ~20/1*72 "
#define WORK_30 "~20/1*18 ~80/1*18 ~20/1*12 "
#define FIRST_5 "open ?@108-110 close ?@150-170 open ?@240-260 close ?@264-280 "
#define FOUR(day) day day day day

enum { POINTS_MAX = 8192, EVENTS_MAX = 64 };

struct row {
    const char *story;
    int step_s;
    const char *points;
    const char *want;
};

static const struct row rows[] = {
    { "flat noise is silent", 10, "~100/5*2000", "" },
    { "a constant is silent", 10, "42*1000", "" },
    { "counts that are mostly zero are silent", 10,
      "0*40 1 0*60 1*2 0*30 2 0*50 1 0*70 1 0*20 1 0*90 1 0*60", "" },
    { "the first event ever is no news", 10, "0*400 0.1 0*300 0.1*2 0*100", "" },
    { "a constant that changed and stays is", 10, "1*400 0*12 1*40",
      "open ?@401-403 close ?@413-440" },
    { "errors that come and stay are", 10, "0*400 0.1 0*50 8*12 0*60",
      "open ?@451-454 close ?@464-500" },
    { "one spike", 10, "~100/5*300 900*4 ~100/5*100", "open ?@300-302 close ?@304-330" },
    { "one dip", 10, "~100/5*300 5*4 ~100/5*100", "open ?@300-302 close ?@304-330" },
    { "useful after twenty minutes of life", 15, "~100/5*80 600*8 ~100/5*60",
      "open ?@80-84 close ?@88-130" },
    { "a lasting shift is one signal, accepted in time", 60,
      "~100/5*600 ~300/5*400", "open ?@600-603 close level shift@838-870" },
    { "a leak is found on its way", 10, "~10/1*400 10>60/1*120", "open ?@400-440" },
    { "a hole does not recover", 10, "~100/5*300 900*6 _ 900*6 ~100/5*80",
      "open ?@300-302 open absence@306-306 close absence@307-307 close ?@313-345" },
    { "silence is absence, and ends with the next value", 10, "~100/5*100 _ ~100/5*40",
      "open absence@100-100 close absence@101-101" },
    { "silence of what hardly ever spoke is nothing", 10, "5*10 _ 5*10 _ 5*10", "" },
    { "a counter reset is not scored", 10, "~100/5*200 ! ~100/5*100", "" },
    { "a daily shape is silent", 900, "^100>500/5*1344", "" },
    { "a square day is news only once", 300, FOUR(WORK_5) FOUR(WORK_5) FOUR(WORK_5), FIRST_5 },
    { "a day without its peak is news", 300,
      FOUR(WORK_5) FOUR(WORK_5) WORK_5 "~20/1*288 " WORK_5,
      FIRST_5 "open seasonal miss@2700-2704 close ?@2800-2850" },
    { "so is one at half its height", 300,
      FOUR(WORK_5) FOUR(WORK_5) WORK_5 "~20/1*108 ~50/1*108 ~20/1*72 " WORK_5,
      FIRST_5 "open seasonal miss@2700-2704 close ?@2800-2850" },
    { "so is one at night", 300,
      FOUR(WORK_5) FOUR(WORK_5) WORK_5 "~20/1*12 ~80/1*30 ~20/1*66 ~80/1*108 ~20/1*72",
      FIRST_5 "open ?@2604-2606 close ?@2634-2690" },
    { "the first weekend is no miss", 300,
      FOUR(WORK_5) WORK_5 "~20/1*576 " WORK_5 WORK_5, FIRST_5 },
    { "the second has to be like it", 300,
      FOUR(WORK_5) WORK_5 "~20/1*576 " FOUR(WORK_5) WORK_5 WORK_5,
      FIRST_5 "open ?@3564-3567 close ?@3672-3720" },
    { "half hours have days too", 1800,
      FOUR(WORK_30) FOUR(WORK_30) FOUR(WORK_30) "~20/1*48 " WORK_30,
      "open seasonal miss@594-597 close ?@612-645" },
};

struct world {
    struct ql_config *config;
    struct ql_series_table *series;
    struct ql_stats *stats;
    void *stage;
    uint32_t index;
};

static void world_open(struct world *w, int step_s)
{
    assert_int_equal(ql_config_default(&w->config), QL_OK);
    w->config->series_max = 1000;
    w->config->signals_per_day = 0.1; /* its share as one of a hundred series */
    assert_int_equal(ql_series_table_new(1000, &w->series), QL_OK);
    w->stats = ql_stats_new(256);
    w->stage = test_stage_open(w->config, w->series, w->stats);
    w->index = test_series_add(w->series, "checkout_p99_ms{service=\"checkout\"}",
                               (uint32_t)step_s, 0);
}

static void world_close(struct world *w)
{
    ql_detect_stage.close(w->stage);
    ql_series_table_free(w->series);
    ql_stats_free(w->stats);
    ql_config_free(w->config);
}

/* ---- the little language -------------------------------------------------------- */

struct token { char what; double from, to, noise; unsigned long count; };

static const char *token_parse(const char *at, struct token *t)
{
    char *end;
    *t = (struct token){ .what = '=', .count = 1 };
    if (strchr("_!~^", *at) != NULL) {
        t->what = *at++;
    }
    if (t->what != '_' && t->what != '!') {
        t->from = t->to = strtod(at, &end);
        at = end;
        if (*at == '>') {
            t->to = strtod(at + 1, &end);
            t->what = t->what == '=' ? '>' : t->what;
            at = end;
        }
        if (*at == '/') {
            t->noise = strtod(at + 1, &end);
            at = end;
        }
    }
    if (*at == '*') {
        t->count = strtoul(at + 1, &end, 10);
        at = end;
    }
    return at;
}

static double day_shape(const struct token *t, int64_t at_s)
{
    double hour = (double)(at_s % 86400) / 3600.0;
    hour = hour < 12.0 ? hour / 12.0 : (24.0 - hour) / 12.0;
    return t->from + (t->to - t->from) * hour;
}

static uint32_t points_parse(const struct row *row, uint64_t seed, uint32_t series,
                             struct ql_point *out)
{
    struct ql_rng rng;
    ql_rng_init(&rng, seed, row->story);
    uint32_t count = 0;
    for (const char *at = row->points; *at != '\0';) {
        struct token t;
        if (*at == ' ') {
            at++;
            continue;
        }
        at = token_parse(at, &t);
        for (unsigned long i = 0; i < t.count; i++) {
            assert_true(count < POINTS_MAX);
            const int64_t at_s = INT64_C(1767571200) + (int64_t)count * row->step_s; /* a Monday */
            struct ql_point *p = &out[count++];
            *p = (struct ql_point){ .at = { at_s * QL_NS_PER_S }, .series = series };
            p->kind = t.what == '_' ? QL_POINT_HOLE : t.what == '!' ? QL_POINT_RESET : QL_POINT_VALUE;
            p->value = t.what == '^' ? day_shape(&t, at_s)
                                     : t.from + (t.to - t.from) * (double)i / (double)t.count;
            p->value += t.noise * ql_rng_normal(&rng);
        }
    }
    return count;
}

/* ---- what came out -------------------------------------------------------------- */

struct event { enum ql_phase phase; enum ql_signal_kind kind; uint32_t at; ql_id id; char why[160]; };

static uint64_t batch_push(struct world *w, struct ql_batch *batch, const struct ql_point *point,
                           uint64_t digest)
{
    ql_batch_reset(batch);
    struct ql_point *to = ql_batch_add_point(batch);
    assert_non_null(to);
    *to = *point;
    ql_detect_stage.tick(w->stage, point->at, batch);
    ql_detect_stage.push(w->stage, point->at, batch);
    digest = ql_batch_digest(batch, QL_LIST_signals, 0, digest);
    return ql_batch_digest(batch, QL_LIST_bands, 0, digest);
}

static void signal_check(const struct row *row, const struct ql_signal *s)
{
    if (!(s->lower <= s->expected && s->expected <= s->upper)) {
        fail_msg("%s: band %g %g %g", row->story, s->lower, s->expected, s->upper);
    }
    assert_true(s->onset.ns <= s->at.ns);
    assert_true(s->why.bytes > 20);
    assert_true(s->labels.bytes > 0);
    assert_true(ql_str_eq(s->metric, QL_STR("checkout_p99_ms")));
}

static uint32_t events_of(const struct row *row, struct world *w, const struct ql_point *points,
                          uint32_t from, uint32_t to, struct event *events, uint64_t *digest)
{
    struct ql_batch batch;
    ql_batch_init(&batch, 1 << 20);
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++) {
        *digest = batch_push(w, &batch, &points[i], *digest);
        for (uint32_t k = 0; k < batch.signals.count; k++) {
            const struct ql_signal *s = &batch.signals.at[k];
            signal_check(row, s);
            if (s->phase != QL_PHASE_UPDATE && count < EVENTS_MAX) {
                struct event *e = &events[count++];
                *e = (struct event){ .phase = s->phase, .kind = s->kind, .at = i, .id = s->id };
                (void)snprintf(e->why, sizeof(e->why), "%.*s", QL_STR_ARG(s->why));
            }
        }
    }
    ql_batch_fini(&batch);
    return count;
}

static void events_print(const struct row *row, const struct event *events, uint32_t count)
{
    print_message("%s\n  want %s\n  got ", row->story, row->want);
    for (uint32_t i = 0; i < count; i++) {
        print_message(" %s %s@%u [%s]", events[i].phase == QL_PHASE_OPEN ? "open" : "close",
                      ql_signal_kind_text(events[i].kind), events[i].at, events[i].why);
    }
    print_message("\n");
}

static bool event_is(const struct event *e, const char *want, int *ret_used)
{
    char phase[8], kind[32];
    unsigned from, to;
    if (sscanf(want, " %7s %31[^@]@%u-%u%n", phase, kind, &from, &to, ret_used) != 4) {
        return false;
    }
    return strcmp(phase, e->phase == QL_PHASE_OPEN ? "open" : "close") == 0 &&
           (strcmp(kind, "?") == 0 || strcmp(kind, ql_signal_kind_text(e->kind)) == 0) &&
           e->at >= from && e->at <= to;
}

static bool events_hold(const struct row *row, const struct event *events, uint32_t count)
{
    const char *want = row->want;
    for (uint32_t i = 0; i < count; i++) {
        int used = 0;
        if (!event_is(&events[i], want, &used)) {
            return false;
        }
        want += used;
    }
    return want[strspn(want, " ")] == '\0';
}

static struct ql_point points[POINTS_MAX];

static void stories(void **state)
{
    (void)state;
    uint32_t failed = 0;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct world w;
            struct event events[EVENTS_MAX];
            uint64_t digest = 0;
            world_open(&w, rows[i].step_s);
            const uint32_t n = points_parse(&rows[i], seed, w.index, points);
            const uint32_t count = events_of(&rows[i], &w, points, 0, n, events, &digest);
            if (!events_hold(&rows[i], events, count)) {
                print_message("seed %u: ", (unsigned)seed);
                events_print(&rows[i], events, count);
                failed++;
            }
            world_close(&w);
        }
    }
    assert_int_equal(failed, 0);
}

/* The same input gives the same bytes, and a checkpoint in the middle changes nothing. */
static void repeatable(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct world a, b, c;
        struct event events[EVENTS_MAX];
        uint64_t digest_a = 0, digest_b = 0;
        world_open(&a, rows[i].step_s);
        world_open(&b, rows[i].step_s);
        world_open(&c, rows[i].step_s);
        const uint32_t n = points_parse(&rows[i], 1, a.index, points);
        (void)events_of(&rows[i], &a, points, 0, n, events, &digest_a);
        (void)events_of(&rows[i], &b, points, 0, n * 2 / 3, events, &digest_b);
        struct ql_buf saved;
        ql_buf_init(&saved, 16 << 20);
        assert_int_equal(ql_detect_stage.save(b.stage, &saved), QL_OK);
        struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
        assert_int_equal(ql_detect_stage.load(c.stage, ql_detect_stage.state_version, &in), QL_OK);
        (void)events_of(&rows[i], &c, points, n * 2 / 3, n, events, &digest_b);
        if (digest_a != digest_b) {
            fail_msg("%s: digests differ", rows[i].story);
        }
        ql_buf_fini(&saved);
        world_close(&a);
        world_close(&b);
        world_close(&c);
    }
}

static void damaged_checkpoints_are_refused(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, 10);
    struct ql_buf saved;
    ql_buf_init(&saved, 16 << 20);
    assert_int_equal(ql_detect_stage.save(w.stage, &saved), QL_OK);
    for (size_t cut = 0; cut < saved.bytes; cut += 997) {
        struct ql_reader in = ql_reader_of((ql_str){ saved.at, cut });
        assert_int_equal(ql_detect_stage.load(w.stage, ql_detect_stage.state_version, &in),
                         QL_E_MALFORMED);
    }
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_detect_stage.load(w.stage, 99, &in), QL_E_VERSION);
    ql_buf_fini(&saved);
    world_close(&w);
}

/* Only a series with a daily profile is told that its hour is unusual. */
static void kinds_of_leads(void **state)
{
    (void)state;
    static const struct {
        enum ql_dt_expert lead;
        bool seasonal;
        float spike;
        enum ql_signal_kind kind;
    } kinds[] = {
        { QL_DT_SPIKE, false, 1, QL_SIGNAL_SPIKE },
        { QL_DT_SHIFT, true, 0, QL_SIGNAL_LEVEL_SHIFT },
        { QL_DT_RANGE, false, 1, QL_SIGNAL_RANGE },
        { QL_DT_RANGE, true, 1, QL_SIGNAL_RANGE },
        { QL_DT_RANGE, false, 0, QL_SIGNAL_DRIFT },
        { QL_DT_RANGE, true, 0, QL_SIGNAL_SEASONAL },
        { QL_DT_SEASON, false, 0, QL_SIGNAL_DRIFT },
        { QL_DT_SEASON, true, 0, QL_SIGNAL_SEASONAL },
        { QL_DT_SEASON_SLOW, false, 0, QL_SIGNAL_DRIFT },
        { QL_DT_SEASON_SLOW, true, 0, QL_SIGNAL_SEASONAL },
    };
    for (size_t i = 0; i < QL_COUNT_OF(kinds); i++) {
        const struct ql_dt_verdict v = { .lead = (uint8_t)kinds[i].lead,
                                         .seasonal = kinds[i].seasonal,
                                         .parts[QL_DT_SPIKE] = kinds[i].spike };
        if (ql_dt_kind_of(&v) != kinds[i].kind) {
            fail_msg("row %zu: %s", i, ql_signal_kind_text(ql_dt_kind_of(&v)));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kinds_of_leads),
        cmocka_unit_test(stories),
        cmocka_unit_test(repeatable),
        cmocka_unit_test(damaged_checkpoints_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

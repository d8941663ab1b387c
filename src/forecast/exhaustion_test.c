/* One story a row: looks that follow each other, and the signals that must come of them. */
#include "forecast/exhaustion.h"

#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

enum { LOOKS_MAX = 12 };
#define BEGIN_S INT64_C(1767571200)
#define EVERY_S 900

struct look { double full, used; uint32_t tests, right; };
static const struct {
    const char *story;
    struct look looks[LOOKS_MAX]; /* a used of 0 ends the list; -1 is a look without this one */
    const char *want;             /* o and c at the looks where it opens and closes */
} rows[] = {
    { "likely twice opens once", { { .9, 50, 20, 18 }, { .9, 51, 20, 18 }, { .95, 52, 20, 18 } },
      ".o." },
    { "once is not enough", { { .9, 50, 20, 18 }, { .3, 51, 20, 18 }, { .9, 52, 20, 18 } }, "..." },
    { "a bad record is not believed", { { .9, 50, 20, 9 }, { .9, 51, 20, 9 }, { .9, 52, 20, 9 } },
      "..." },
    { "a first claim must be sure", { { .8, 50, 0, 0 }, { .8, 51, 0, 0 }, { .8, 52, 0, 0 } }, "..." },
    { "and is then believed", { { .95, 50, 0, 0 }, { .95, 51, 0, 0 }, { .95, 52, 0, 0 } }, ".o." },
    { "unlikely twice closes",
      { { .9, 50, 20, 18 }, { .9, 51, 20, 18 }, { .1, 51, 20, 18 }, { .1, 51, 20, 18 } }, ".o.c" },
    { "freed closes at once",
      { { .9, 70, 20, 18 }, { .9, 71, 20, 18 }, { .3, 40, 20, 18 }, { .3, 41, 20, 18 } }, ".oc." },
    { "to and fro about a half does not flap",
      { { .6, 70, 20, 18 }, { .4, 70, 20, 18 }, { .6, 70, 20, 18 }, { .6, 71, 20, 18 },
        { .4, 71, 20, 18 }, { .6, 72, 20, 18 }, { .4, 72, 20, 18 }, { .6, 72, 20, 18 } }, "...o...." },
    { "a worse record later closes nothing",
      { { .9, 50, 20, 18 }, { .9, 51, 20, 18 }, { .9, 52, 20, 2 } }, ".o." },
    { "silence closes nothing for hours",
      { { .9, 50, 20, 18 }, { .9, 51, 20, 18 }, { 0, -1, 0, 0 }, { 0, -1, 0, 0 },
        { .9, 52, 20, 18 } }, ".o..." },
};

struct world {
    struct ql_config *config;
    struct ql_stats *stats;
    void *stage;
    struct ql_batch bus;
    char got[64];
};

static void world_open(struct world *w, double signals_per_day)
{
    *w = (struct world){ 0 };
    assert_int_equal(ql_config_default(&w->config), QL_OK);
    w->config->signals_per_day = signals_per_day;
    w->stats = ql_stats_new(64);
    const struct ql_stage_env env = { .config = w->config, .stats = w->stats, .shard_count = 1 };
    assert_int_equal(ql_exhaustion_stage.open(&env, &w->stage), QL_OK);
    ql_batch_init(&w->bus, 1 << 20);
}

static void world_close(struct world *w)
{
    ql_exhaustion_stage.close(w->stage);
    ql_batch_fini(&w->bus);
    ql_stats_free(w->stats);
    ql_config_free(w->config);
}

static void outlook_add(struct world *w, const struct look *look, uint64_t series, ql_time at)
{
    struct ql_outlook *o = ql_batch_add_outlook(&w->bus);
    assert_non_null(o);
    *o = (struct ql_outlook){
        .series.h = { 1, series }, .entity = QL_STR("service/db"), .metric = QL_STR("pool_used"),
        .labels = QL_STR("l"), .at = at, .horizon = QL_S(86400), .used = look->used,
        .limit = 100.0, .full = look->full, .early = { at.ns + QL_S(3600).ns },
        .middle = { at.ns + QL_S(7200).ns }, .late = QL_TIME_NONE, .tests = look->tests,
        .right = look->right,
    };
}

static char world_look(struct world *w, const struct look *look, uint32_t index)
{
    const ql_time at = { (BEGIN_S + (int64_t)index * EVERY_S) * QL_NS_PER_S };
    ql_batch_reset(&w->bus);
    if (look->used > 0.0) {
        outlook_add(w, look, 7, at);
    }
    ql_exhaustion_stage.push(w->stage, at, &w->bus);
    ql_exhaustion_stage.tick(w->stage, at, &w->bus);
    assert_true(w->bus.signals.count <= 1);
    return w->bus.signals.count == 0                         ? '.'
           : w->bus.signals.at[0].phase == QL_PHASE_OPEN     ? 'o'
                                                             : 'c';
}

static void stories(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (uint32_t cut = 0; cut < 2; cut++) {
            struct world w;
            world_open(&w, 10.0);
            uint32_t n = 0;
            for (; n < LOOKS_MAX && (rows[i].looks[n].used > 0.0 || rows[i].looks[n].used < 0.0);
                 n++) {
                if (cut == 1) { /* a checkpoint before every look changes nothing */
                    struct ql_buf saved;
                    ql_buf_init(&saved, 16 << 20);
                    assert_int_equal(ql_exhaustion_stage.save(w.stage, &saved), QL_OK);
                    const struct ql_stage_env env = { .config = w.config, .stats = w.stats };
                    ql_exhaustion_stage.close(w.stage);
                    assert_int_equal(ql_exhaustion_stage.open(&env, &w.stage), QL_OK);
                    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
                    assert_int_equal(ql_exhaustion_stage.load(w.stage, 1, &in), QL_OK);
                    ql_buf_fini(&saved);
                }
                w.got[n] = world_look(&w, &rows[i].looks[n], n);
            }
            if (strcmp(w.got, rows[i].want) != 0) {
                fail_msg("%s: %s, not %s", rows[i].story, w.got, rows[i].want);
            }
            world_close(&w);
        }
    }
}

static void it_says_what_when_and_how_sure(void **state)
{
    (void)state;
    static const struct look look = { .93, 57, 20, 17 };
    struct world w;
    world_open(&w, 10.0);
    assert_int_equal(world_look(&w, &look, 0), '.');
    assert_int_equal(world_look(&w, &look, 1), 'o');
    const struct ql_signal *s = &w.bus.signals.at[0];
    const char want[] = "pool_used is 57 % used and full by 2026-01-05T02:15Z (10 % by "
                        "2026-01-05T01:15Z, 90 % by never): 93 % sure within 24 h; such a "
                        "claim was right 17 of 20 times";
    if (!ql_str_eq(s->why, ql_str_of(want))) {
        fail_msg("%.*s", QL_STR_ARG(s->why));
    }
    assert_int_equal(s->kind, QL_SIGNAL_EXHAUSTION);
    assert_int_equal(s->onset.ns, BEGIN_S * QL_NS_PER_S);
    world_close(&w);
}

/* Fifty claims of 62.5 % cost .375 each: a budget of two false ones a day tells five at once. */
static void the_budget_is_kept(void **state)
{
    (void)state;
    struct world w;
    uint32_t told = 0;
    world_open(&w, 10.0);
    for (uint32_t i = 0; i < 5; i++) {
        const ql_time at = { (BEGIN_S + (int64_t)i * EVERY_S) * QL_NS_PER_S };
        ql_batch_reset(&w.bus);
        for (uint64_t series = 1; series <= 50; series++) {
            outlook_add(&w, &(struct look){ .625, 60, 20, 18 }, series, at);
        }
        ql_exhaustion_stage.push(w.stage, at, &w.bus);
        told += w.bus.signals.count;
    }
    assert_int_equal(told, 5);
    assert_int_equal(ql_stats_sum(w.stats, "ql_exhaustion_total", "held"), 45);
    /* A day later there is room for five more. */
    const ql_time later = { (BEGIN_S + 86400) * QL_NS_PER_S };
    ql_batch_reset(&w.bus);
    for (uint64_t series = 1; series <= 50; series++) {
        outlook_add(&w, &(struct look){ .625, 60, 20, 18 }, series, later);
    }
    ql_exhaustion_stage.push(w.stage, later, &w.bus);
    assert_int_equal(w.bus.signals.count, 5);
    world_close(&w);
}

static void a_day_of_silence_gives_up(void **state)
{
    (void)state;
    static const struct look look = { .93, 57, 20, 17 }, none = { 0, -1, 0, 0 };
    struct world w;
    world_open(&w, 10.0);
    assert_int_equal(world_look(&w, &look, 0), '.');
    assert_int_equal(world_look(&w, &look, 1), 'o');
    assert_int_equal(world_look(&w, &none, 97), '.');
    assert_int_equal(world_look(&w, &none, 98), 'c');
    assert_int_equal(world_look(&w, &none, 99), '.');
    world_close(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(it_says_what_when_and_how_sure),
        cmocka_unit_test(the_budget_is_kept),
        cmocka_unit_test(a_day_of_silence_gives_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

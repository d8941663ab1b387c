/* slo_test - one row, one story: an SLO, minutes of traffic, the signals that must come of them.
 *
 *   slo      the fields of one SLO
 *   minutes  tokens of slo_test.h
 *   want     "open page @from-to" and "close ticket @from-to" in order, by the minute
 *   policies the policies of the file; NULL: none
 *
 * Every row runs on one shard, on three, and with a checkpoint wherever C stands; all three must
 * say the same.
 */
#include "slo/slo_test.h"

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

/* ---- minutes in, events out -------------------------------------------------------- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stories),
        cmocka_unit_test(signals_say_what_matters),
        cmocka_unit_test(the_worst_entity_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

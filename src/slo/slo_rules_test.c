/* slo_rules_test - other settings while it runs, policies that hold signals back, and states that
 * are damaged.
 */
#include "slo/slo_test.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_target_keeps_what_was_counted),
        cmocka_unit_test(what_is_taken_out_is_closed),
        cmocka_unit_test(what_is_held_is_shown_and_counted),
        cmocka_unit_test(damaged_states_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* nm_names_test - services and peers that come and go: their names make room for new ones. */
#include "normalise/normalise_test.h"

/* A minute's new services, each calling a new host; the first service of all goes on. */
struct churn { int every_s, services, hosts; double idle_s; };
struct churned { uint64_t digest; int64_t services_most, peers_most, cardinality, peers_full; };

static void churn_step(struct fixture *f, const struct churn *churn, int step)
{
    const double now = (double)step * churn->every_s;
    bus_begin(f);
    (void)bus_span(f, "always", 1 + (uint64_t)step, 0, now - 1.0, 10.0);
    for (int i = 0; i < churn->services; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "job-%d-%d", step, i);
        (void)bus_span(f, name, 1000000 + (uint64_t)step * 100 + (uint64_t)i, 0, now - 1.0, 10.0);
    }
    for (int i = 0; i < churn->hosts; i++) {
        struct ql_span *span = bus_span(f, "always", 1 + (uint64_t)step, 0, now - 1.0, 10.0);
        span->peer = ql_batch_printf(&f->bus, "host-%d-%d", step, i);
    }
    stage_tick(f, now);
}

/* What the engine does with those: it gives their indexes to others. */
static void churn_retire(struct fixture *f)
{
    for (uint32_t i = 0; i < f->bus.retired.count; i++) {
        ql_series_drop(f->table, &f->bus.retired.at[i].series, 1);
    }
}

static void churn_run(const struct churn *churn, int steps, int checkpoint_every,
                      struct churned *churned)
{
    struct fixture f;
    *churned = (struct churned){ .digest = 0 };
    fixture_open_wide(&f, 1, 400000);
    for (int step = 0; step < steps; step++) {
        f.config->series_idle_s = churn->idle_s;
        churn_step(&f, churn, step);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_points, 0, churned->digest);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_edges, 0, churned->digest);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_retired, 0, churned->digest);
        churned->digest = ql_batch_digest(&f.bus, QL_LIST_entities, 0, churned->digest);
        churn_retire(&f);
        const int64_t services = ql_stats_sum(f.stats, "ql_names", "of=\"services\"");
        const int64_t peers = ql_stats_sum(f.stats, "ql_names", "of=\"peers\"");
        churned->services_most =
            services > churned->services_most ? services : churned->services_most;
        churned->peers_most = peers > churned->peers_most ? peers : churned->peers_most;
        churned->cardinality += dropped(&f, "cardinality");
        churned->peers_full += dropped(&f, "peers_full");
        if (checkpoint_every != 0 && step % checkpoint_every == checkpoint_every - 1) {
            fixture_checkpoint(&f);
        }
    }
    assert_true(ql_shared_find(&((struct nm *)f.stage)->services.names, QL_STR("always")) !=
                QL_MAP_NONE);
    fixture_close(&f);
}

static void names_make_room(void **state)
{
    static const struct {
        const char *story;
        struct churn churn;
        int steps;
        bool full;
    } rows[] = {
        { "two weeks of a service and three hosts an hour, known for a week",
          { 3600, 1, 3, 7.0 * 86400.0 }, 14 * 24, false },
        { "three weeks of ten hosts in ten minutes, in a room for a day and a half of them",
          { 600, 0, 10, 7.0 * 86400.0 }, 21 * 144, false },
        { "five days of five services and a host in five minutes, in a room for three days of them",
          { 300, 5, 1, 7.0 * 86400.0 }, 5 * 288, false },
        { "more hosts in a quarter of an hour than there is room for",
          { 60, 0, 90, 7.0 * 86400.0 }, 60, true },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct churned whole, parts;
        churn_run(&rows[i].churn, rows[i].steps, 0, &whole);
        print_message("%s: at most %lld services, %lld peers\n", rows[i].story,
                      (long long)whole.services_most, (long long)whole.peers_most);
        assert_true(whole.services_most <= NM_SERVICES_MAX && whole.peers_most <= NM_PEERS_MAX);
        assert_int_equal(whole.cardinality, 0);
        assert_int_equal(whole.peers_full > 0, rows[i].full);
        churn_run(&rows[i].churn, rows[i].steps, rows[i].steps / 7 + 1, &parts);
        assert_true(parts.digest == whole.digest);
    }
}

/* The number of a name that went is another's: what was kept by it is not taken for theirs. */
static void a_number_that_went_calls_nobody(void **state)
{
    struct fixture f;
    struct nm *nm;
    (void)state;
    fixture_open(&f);
    f.config->series_idle_s = 3600.0;
    bus_begin(&f);
    (void)bus_span(&f, "gone", 1, 0, 0.5, 10.0);
    ql_normalise_stage.push(f.stage, at_s(1.0), &f.bus);
    nm = f.stage;
    const uint32_t number = ql_shared_find(&nm->services.names, QL_STR("gone"));
    for (double s = 60.0; s < 3.0 * 86400.0; s += 60.0) {
        bus_begin(&f);
        ql_normalise_stage.tick(f.stage, at_s(s), &f.bus);
        churn_retire(&f);
    }
    assert_int_equal(ql_shared_find(&nm->services.names, QL_STR("gone")), QL_MAP_NONE);
    assert_int_equal(ql_stats_sum(f.stats, "ql_names_retired_total", "of=\"services\""), 1);
    const double now = 3.0 * 86400.0;
    bus_begin(&f);
    ql_normalise_stage.tick(f.stage, at_s(now - 5.0), &f.bus);
    bus_begin(&f);
    (void)bus_span(&f, "other", 2, 0, now - 0.5, 10.0);
    (void)bus_span(&f, "child", 3, 1, now - 0.5, 10.0); /* of the span of who is gone */
    ql_normalise_stage.push(f.stage, at_s(now), &f.bus);
    assert_int_equal(ql_shared_find(&nm->services.names, QL_STR("other")), number);
    ql_normalise_stage.tick(f.stage, at_s(now + 30.0), &f.bus);
    assert_int_equal(f.bus.edges.count, 0);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"other\"}"),
                        "259190:0 259200:0.1 259210:0 259220:0 ");
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_make_room),
        cmocka_unit_test(a_number_that_went_calls_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

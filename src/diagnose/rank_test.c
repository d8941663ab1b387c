/* Small hand-made incidents: who is named, as what, and when nobody must be. */
#include "base/rng.h"
#include "diagnose/rank.h"
#include "model/model_set.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT 390u      /* an hour before, five minutes after, every 10 s */
#define AT_S 3600
#define ENTITIES_MAX 40u
#define SERIES_MAX 200u

/* A case being written down. */
struct desk {
    struct ql_case c;
    struct ql_arena arena;
    struct ql_rng rng;
    ql_str entities[ENTITIES_MAX];
    struct ql_case_series series[SERIES_MAX];
    struct ql_case_edge edges[200];
    struct ql_case_alert alerts[ENTITIES_MAX];
    struct ql_case_change changes[4];
    struct ql_case_span spans[4000];
    struct ql_case_log logs[4000];
    ql_str operations[8];
    struct ql_model_set model;
    struct ql_rank_cause *causes;
    uint32_t cause_count;
};

static struct desk *desk_new(uint64_t seed, const char *names)
{
    struct desk *d = calloc(1, sizeof *d);
    assert_non_null(d);
    ql_arena_init(&d->arena, (size_t)1 << 30);
    ql_rng_init(&d->rng, seed, "desk");
    d->c = (struct ql_case){ .at = { AT_S * QL_NS_PER_S }, .entities = d->entities,
                             .series = d->series, .edges = d->edges, .alerts = d->alerts,
                             .changes = d->changes, .spans = d->spans, .logs = d->logs,
                             .operations = d->operations, .symptom_entity = QL_CASE_NONE,
                             .symptom_metric = { "", 0 }, .model = &d->model };
    for (const char *at = names; *at != '\0';) {
        const size_t bytes = strcspn(at, " ");
        d->entities[d->c.entity_count++] = (ql_str){ at, bytes };
        at += bytes + (at[bytes] == ' ');
    }
    return d;
}

static void desk_free(struct desk *d)
{
    ql_arena_fini(&d->arena);
    free(d);
}

static uint32_t number(const struct desk *d, const char *name)
{
    for (uint32_t i = 0; i < d->c.entity_count; i++) {
        if (ql_str_eq(d->entities[i], ql_str_of(name))) {
            return i;
        }
    }
    fail_msg("no entity %s", name);
    return 0;
}

static void calls(struct desk *d, const char *caller, const char *callee)
{
    d->edges[d->c.edge_count++] =
        (struct ql_case_edge){ number(d, caller), number(d, callee) };
}

/* `level` with noise of `noise`, moving to `after` over `ramp_s` from `from_s` after AT_S. */
struct shape { double level, noise, after; int from_s; double ramp_s; };

static void series(struct desk *d, const char *entity, const char *metric, struct shape s)
{
    struct ql_sample *samples = ql_arena_take(&d->arena, COUNT * sizeof *samples);
    for (uint32_t i = 0; i < COUNT; i++) {
        const double into = (double)((int)i * 10 - AT_S - s.from_s);
        double value = s.level + s.noise * ql_rng_normal(&d->rng);
        if (into >= 0.0) {
            value += (s.ramp_s > 0.0 && into < s.ramp_s ? into / s.ramp_s : 1.0) *
                     (s.after - s.level);
        }
        samples[i] = (struct ql_sample){ { (int64_t)i * 10 * QL_NS_PER_S },
                                         value > 0.0 ? value : 0.0 };
    }
    d->series[d->c.series_count++] =
        (struct ql_case_series){ number(d, entity), COUNT, ql_str_of(metric), samples };
}

static void quiet(struct desk *d, const char *entity)
{
    series(d, entity, "request_latency_p90", (struct shape){ 0.05, 0.004, 0.05, 0, 0 });
    series(d, entity, "cpu_ratio", (struct shape){ 0.3, 0.03, 0.3, 0, 0 });
    series(d, entity, "memory_bytes", (struct shape){ 1e8, 1e6, 1e8, 0, 0 });
    series(d, entity, "requests_rate", (struct shape){ 50, 4, 50, 0, 0 });
}

static const struct ql_rank_cause *judge(struct desk *d)
{
    assert_int_equal(ql_rank(&d->c, &d->arena, &d->causes, &d->cause_count), QL_OK);
    for (uint32_t i = 0; i < d->cause_count && i < 4; i++) {
        const struct ql_rank_cause *cause = &d->causes[i];
        print_message("  %u %.*s %.*s %.2f conf %.2f %s: %.*s\n", (unsigned)i + 1,
                      QL_STR_ARG(d->entities[cause->entity]), QL_STR_ARG(cause->metric),
                      cause->score, cause->confidence, ql_cause_role_text(cause->role),
                      QL_STR_ARG(cause->evidence));
        assert_true(cause->confidence >= 0.0 && cause->confidence <= 1.0);
        assert_true(cause->evidence.bytes > 0);
        assert_true(i == 0 || cause->score <= d->causes[i - 1].score);
    }
    return d->cause_count == 0 ? NULL : &d->causes[0];
}

static void assert_names(const struct desk *d, const struct ql_rank_cause *cause,
                         const char *entity, const char *metric)
{
    assert_non_null(cause);
    assert_true(ql_str_eq(d->entities[cause->entity], ql_str_of(entity)));
    if (metric != NULL) {
        assert_true(ql_str_eq(cause->metric, ql_str_of(metric)));
    }
}

/* The shop: checkout leaks connections; its callers wait; its callees are fine. */
static struct desk *leak(uint64_t seed, int late_s)
{
    struct desk *d = desk_new(seed, "frontend checkout payment catalogue search");
    calls(d, "frontend", "checkout");
    calls(d, "frontend", "search");
    calls(d, "checkout", "payment");
    calls(d, "checkout", "catalogue");
    quiet(d, "payment");
    quiet(d, "catalogue");
    quiet(d, "search");
    series(d, "checkout", "db_connections_in_use",
           (struct shape){ 12, 1, 100, -180 - late_s, 400 });
    series(d, "checkout", "request_latency_p90", (struct shape){ 0.1, 0.01, 2.0, -late_s, 120 });
    series(d, "checkout", "requests_failed_rate", (struct shape){ 0.1, 0.05, 8, 30 - late_s, 60 });
    series(d, "checkout", "cpu_ratio", (struct shape){ 0.3, 0.03, 0.36, -late_s, 60 });
    series(d, "checkout", "requests_rate", (struct shape){ 50, 4, 48, -late_s, 0 });
    series(d, "frontend", "request_latency_p90", (struct shape){ 0.2, 0.02, 2.2, -late_s, 120 });
    series(d, "frontend", "requests_failed_rate", (struct shape){ 0.1, 0.05, 8, 30 - late_s, 60 });
    series(d, "frontend", "cpu_ratio", (struct shape){ 0.4, 0.04, 0.4, 0, 0 });
    series(d, "frontend", "requests_rate", (struct shape){ 100, 6, 98, -late_s, 0 });
    return d;
}

static void a_leak_in_the_middle_is_named_with_its_pool(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        struct desk *d = leak(seed, 0);
        print_message("seed %u\n", (unsigned)seed);
        const struct ql_rank_cause *cause = judge(d);
        assert_names(d, cause, "checkout", "db_connections_in_use");
        assert_int_equal(cause->role, QL_CAUSE_STATE_CHANGE);
        assert_true(cause->confidence >= 0.6);
        assert_true(cause->onset.ns < d->c.at.ns);
        assert_int_equal(d->causes[1].entity, number(d, "frontend"));
        assert_int_equal(d->causes[1].role, QL_CAUSE_IMPACT);
        desk_free(d);
    }
}

static void noticed_late_it_is_still_named(void **state)
{
    (void)state;
    for (int late_s = 60; late_s <= 240; late_s += 60) {
        struct desk *d = leak(3, late_s);
        print_message("%d s late\n", late_s);
        assert_names(d, judge(d), "checkout", "db_connections_in_use");
        desk_free(d);
    }
}

/* Eight quiet services of a chain; `names` is filled for desk_new. */
static struct desk *quiet_shop(uint64_t seed)
{
    static const char *const names = "s0 s1 s2 s3 s4 s5 s6 s7";
    struct desk *d = desk_new(seed, names);
    for (int i = 0; i < 8; i++) {
        char name[4], next[4];
        (void)snprintf(name, sizeof name, "s%d", i);
        (void)snprintf(next, sizeof next, "s%d", i + 1);
        if (i < 7) {
            calls(d, name, next);
        }
        quiet(d, name);
    }
    return d;
}

static void without_a_fault_nobody_is_blamed(void **state)
{
    (void)state;
    uint32_t named = 0;
    for (uint64_t seed = 1; seed <= 100; seed++) {
        struct desk *d = quiet_shop(seed);
        assert_int_equal(ql_rank(&d->c, &d->arena, &d->causes, &d->cause_count), QL_OK);
        named += d->cause_count > 0 && d->causes[0].confidence >= QL_RANK_CONFIDENCE_MIN;
        desk_free(d);
    }
    print_message("seeds 1..100: %u quiet hours with somebody to blame\n", (unsigned)named);
    assert_true(named <= 2);
}

static void thin_traffic_does_not_win_against_impact(void **state)
{
    (void)state;
    struct desk *d = desk_new(5, "frontend search rare");
    calls(d, "frontend", "search");
    calls(d, "frontend", "rare");
    series(d, "frontend", "latency_average", (struct shape){ 0.2, 0.02, 0.6, 0, 0 });
    series(d, "frontend", "requests_rate", (struct shape){ 1000, 20, 1000, 0, 0 });
    series(d, "search", "latency_average", (struct shape){ 0.05, 0.005, 0.45, 0, 0 });
    series(d, "search", "requests_rate", (struct shape){ 900, 20, 900, 0, 0 });
    series(d, "rare", "latency_average", (struct shape){ 0.05, 0.002, 9.0, 0, 0 });
    series(d, "rare", "requests_rate", (struct shape){ 0.5, 0.1, 0.5, 0, 0 });
    d->c.symptom_entity = number(d, "frontend");
    d->c.symptom_metric = QL_STR("latency_average");
    assert_names(d, judge(d), "search", "latency_average");
    desk_free(d);
}

static void a_slow_callee_explains_the_whole_chain(void **state)
{
    (void)state;
    struct desk *d = desk_new(6, "a b c d");
    calls(d, "a", "b");
    calls(d, "b", "c");
    calls(d, "c", "d");
    static const char *const names[] = { "a", "b", "c", "d" };
    for (int i = 0; i < 4; i++) {
        const double level = 0.4 - 0.1 * i;
        series(d, names[i], "request_latency_p90",
               (struct shape){ level, 0.05 * level, level + 1.0, 0, 0 });
        series(d, names[i], "requests_rate", (struct shape){ 50, 4, 50, 0, 0 });
    }
    const struct ql_rank_cause *cause = judge(d);
    assert_names(d, cause, "d", "request_latency_p90");
    assert_int_equal(cause->role, QL_CAUSE_FIRST_SYMPTOM);
    desk_free(d);
}

static void a_hidden_node_is_found_through_its_callers(void **state)
{
    (void)state;
    struct desk *d = desk_new(7, "orders carts users database search");
    calls(d, "orders", "database");
    calls(d, "carts", "database");
    calls(d, "users", "database");
    calls(d, "orders", "search");
    quiet(d, "search");
    static const char *const names[] = { "orders", "carts", "users" };
    for (int i = 0; i < 3; i++) {
        series(d, names[i], "request_latency_p90", (struct shape){ 0.1, 0.01, 1.5, 0, 0 });
        series(d, names[i], "cpu_ratio", (struct shape){ 0.3, 0.03, 0.3, 0, 0 });
    }
    assert_names(d, judge(d), "database", NULL);
    desk_free(d);
}

static void clients_that_wait_point_at_what_they_share(void **state)
{
    (void)state;
    struct desk *d = desk_new(8, "frontend checkout currency ads email");
    calls(d, "frontend", "checkout");
    calls(d, "frontend", "currency");
    calls(d, "frontend", "ads");
    calls(d, "checkout", "currency");
    calls(d, "checkout", "email");
    static const char *const callers[] = { "frontend", "checkout" };
    for (int i = 0; i < 2; i++) {
        series(d, callers[i], "client_latency_p90", (struct shape){ 0.05, 0.005, 0.8, 0, 0 });
        series(d, callers[i], "server_latency_p90", (struct shape){ 0.4, 0.04, 2.0, 0, 0 });
    }
    quiet(d, "currency");
    quiet(d, "ads");
    quiet(d, "email");
    assert_names(d, judge(d), "currency", NULL);
    desk_free(d);
}

static void a_router_is_named_by_alerts_alone(void **state)
{
    (void)state;
    for (int router_alerts = 0; router_alerts < 2; router_alerts++) {
        struct desk *d = desk_new(9, "e0 e1 e2 e3 e4 e5 e6 e7 e8 e9 router");
        for (uint32_t i = 0; i < 10u + (uint32_t)router_alerts; i++) {
            d->alerts[d->c.alert_count++] = (struct ql_case_alert){
                { (AT_S + (int64_t)i) * QL_NS_PER_S }, i,
                i < 10 ? QL_STR("InterfaceDown") : QL_STR("RouterDown") };
            if (i < 10) {
                d->edges[d->c.edge_count++] = (struct ql_case_edge){ i, 10 };
            }
        }
        assert_names(d, judge(d), "router", NULL);
        desk_free(d);
    }
}

static void a_change_or_a_confirmed_past_tips_a_tie(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct desk *d = desk_new(10, "a b");
        series(d, "a", "cpu_ratio", (struct shape){ 0.3, 0.03, 0.8, 0, 0 });
        series(d, "b", "memory_ratio", (struct shape){ 0.3, 0.03, 0.7, 0, 0 });
        if (how == 1) {
            d->changes[d->c.change_count++] = (struct ql_case_change){
                { (AT_S - 300) * QL_NS_PER_S }, 1, QL_STR("deploy: release 42") };
        } else if (how == 2) {
            d->model.prior_count = 1;
            d->model.priors[0] = (struct ql_cause_prior){
                ql_hash64("memory_ratio", strlen("memory_ratio")), 4.0f, 0.0f };
        }
        assert_names(d, judge(d), how == 0 ? "a" : "b", NULL);
        desk_free(d);
    }
}

/* ---- spans and logs ---- */

enum { FRONT, CHECKOUT, PAYMENT };

static void span(struct desk *d, double start_s, uint64_t id, uint64_t parent, uint32_t entity,
                 double duration_ms)
{
    d->spans[d->c.span_count++] = (struct ql_case_span){
        .start = { (int64_t)(start_s * 1e9) }, .id = id, .parent = parent,
        .duration_ms = duration_ms, .entity = entity, .operation = entity };
}

/* front calls checkout, checkout calls payment: 100 requests before, 100 after. */
static struct desk *traces(uint64_t seed, double gap_ms, double work_ms)
{
    struct desk *d = desk_new(seed, "front checkout payment");
    d->operations[FRONT] = QL_STR("GET /");
    d->operations[CHECKOUT] = QL_STR("POST /checkout");
    d->operations[PAYMENT] = QL_STR("POST /pay");
    for (uint32_t i = 0; i < 200; i++) {
        const bool fault = i >= 100;
        const double start = AT_S - 300.0 + 3.0 * i, wobble = 0.5 * ql_rng_ratio(&d->rng);
        const double pay = 5.0 + wobble, work = 8.0 + wobble + (fault ? work_ms : 0.0);
        const double gap = 1.0 + wobble + (fault ? gap_ms : 0.0); /* before checkout */
        const uint64_t id = 10 * (i + 1);
        span(d, start, id + 1, 0, FRONT, 4.0 + gap + work + pay + 1.0);
        span(d, start + 0.001, id + 2, id + 1, FRONT, gap + work + pay + 1.0); /* the client */
        span(d, start + 0.001 + gap / 2e3, id + 3, id + 2, CHECKOUT, work + pay + 1.0);
        span(d, start + 0.004 + gap / 2e3, id + 4, id + 3, PAYMENT, pay);
    }
    return d;
}

static void spans_tell_a_slow_network_from_slow_work(void **state)
{
    (void)state;
    static const struct { const char *story; double gap_ms, work_ms; const char *says; } rows[] = {
        { "the way to checkout is slow", 200.0, 0.0, "beyond its own work" },
        { "checkout works longer", 0.0, 200.0, "in itself" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct desk *d = traces(11 + i, rows[i].gap_ms, rows[i].work_ms);
        print_message("%s\n", rows[i].story);
        const struct ql_rank_cause *cause = judge(d);
        assert_names(d, cause, "checkout", "span:POST /checkout");
        assert_non_null(memmem(cause->evidence.at, cause->evidence.bytes, rows[i].says,
                               strlen(rows[i].says)));
        desk_free(d);
    }
}

static void new_errors_in_a_log_speak_for_their_writer(void **state)
{
    (void)state;
    struct desk *d = desk_new(12, "front checkout payment");
    static char texts[1000][64];
    for (uint32_t i = 0; i < 1000; i++) {
        const double at = AT_S - 300.0 + 0.6 * i;
        const bool odd = i >= 500 && i % 10 == 0;
        (void)snprintf(texts[i], sizeof texts[i],
                       odd ? "payment %u refused: connection pool exhausted"
                           : "handled request %u in 12 ms",
                       (unsigned)i);
        d->logs[d->c.log_count++] = (struct ql_case_log){
            { (int64_t)(at * 1e9) }, odd ? PAYMENT : i % 3, ql_str_of(texts[i]) };
    }
    const struct ql_rank_cause *cause = judge(d);
    assert_names(d, cause, "payment", NULL);
    assert_true(ql_str_starts(cause->metric, QL_STR("log:payment")));
    assert_int_equal(d->cause_count, 1); /* numbers that vary make no new message */
    desk_free(d);
}

static void an_empty_case_has_no_cause(void **state)
{
    (void)state;
    struct desk *d = desk_new(13, "");
    assert_null(judge(d));
    desk_free(d);
    d = desk_new(13, "a b");
    calls(d, "a", "b");
    assert_null(judge(d));
    desk_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_leak_in_the_middle_is_named_with_its_pool),
        cmocka_unit_test(noticed_late_it_is_still_named),
        cmocka_unit_test(without_a_fault_nobody_is_blamed),
        cmocka_unit_test(thin_traffic_does_not_win_against_impact),
        cmocka_unit_test(a_slow_callee_explains_the_whole_chain),
        cmocka_unit_test(a_hidden_node_is_found_through_its_callers),
        cmocka_unit_test(clients_that_wait_point_at_what_they_share),
        cmocka_unit_test(a_router_is_named_by_alerts_alone),
        cmocka_unit_test(a_change_or_a_confirmed_past_tips_a_tie),
        cmocka_unit_test(spans_tell_a_slow_network_from_slow_work),
        cmocka_unit_test(new_errors_in_a_log_speak_for_their_writer),
        cmocka_unit_test(an_empty_case_has_no_cause),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

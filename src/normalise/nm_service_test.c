/* nm_service_test - what spans and logs of services become: rates, durations, calls; and a day of
 * all that comes in, from any checkpoint. */
#include "normalise/normalise_test.h"

/* ---- spans and logs ----------------------------------------------------------------- */

static void spans_become_rates_and_durations(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    for (uint32_t i = 0; i < 100; i++) {
        struct ql_span *span = bus_span(&f, "cart", i + 1, 0, 3.0, i < 90 ? 10.0 : 500.0);
        span->error = i < 5;
    }
    bus_span(&f, "cart", 1000, 1, 3.0, 10.0)->kind = 3; /* a client span is no request */
    bus_span(&f, "cart", 1001, 0, 12.0, 20.0);          /* the next window */
    ql_normalise_stage.push(f.stage, at_s(13.0), &f.bus);
    ql_normalise_stage.tick(f.stage, at_s(19.0), &f.bus);
    assert_int_equal(f.bus.points.count, 0); /* still open: senders export in batches */
    ql_normalise_stage.tick(f.stage, at_s(41.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"cart\"}"),
                        "10:10 20:0.1 30:0 ");
    assert_string_equal(metric_points(&f, "service_errors_per_second{service=\"cart\"}"),
                        "10:0.5 20:0 30:0 ");
    assert_string_equal(metric_points(&f, "service_duration_ms{service=\"cart\"}"),
                        "10:59 20:20 ");
    const char *p95 = metric_points(&f, "service_duration_p95_ms{service=\"cart\"}");
    assert_int_equal(strncmp(p95, "10:", 3), 0);
    assert_true(fabs(number_of(p95 + 3) - 500.0) < 30.0);
    assert_int_equal(ql_series_at(f.table, 0)->flags, QL_SERIES_DERIVED | QL_SERIES_FRESH);
    fixture_close(&f);
}

/* A clock that is an hour off counts by arrival: nothing is lost. */
static void late_and_early_spans_count_in_the_nearest_window(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    bus_span(&f, "a", 1, 0, -3600.0, 10.0);
    bus_span(&f, "a", 2, 0, 3600.0, 10.0);
    ql_normalise_stage.push(f.stage, at_s(5.0), &f.bus);
    ql_normalise_stage.tick(f.stage, at_s(25.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"a\"}"),
                        "0:0.1 10:0.1 ");
    fixture_close(&f);
}

/* The daemon was down for an hour: what was counted comes out, zeros are not made up. */
static void no_zeros_for_a_pause(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    bus_span(&f, "a", 1, 0, 5.0, 10.0);
    ql_normalise_stage.push(f.stage, at_s(5.1), &f.bus);
    ql_normalise_stage.tick(f.stage, at_s(3600.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"a\"}"),
                        "0:0 10:0.1 20:0 ");
    bus_begin(&f);
    ql_normalise_stage.tick(f.stage, at_s(3610.0), &f.bus);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"a\"}"), "3600:0 ");
    fixture_close(&f);
}

static void quantiles_are_near(void **state)
{
    static const double rows[] = { 1.0, 5e3, 1e5, 12.5e6, 333e6, 2e9, 60e9, 1e13 };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        uint32_t buckets[NM_BUCKET_COUNT] = { 0 };
        buckets[nm_bucket_of((uint64_t)rows[i])] = 100;
        const double got = nm_bucket_quantile_ns(buckets, 100, 0.5);
        assert_true(fabs(got - rows[i]) <= rows[i] * 0.07 + 1024.0);
    }
    assert_int_equal(nm_bucket_of(UINT64_MAX), NM_BUCKET_COUNT - 1);
    for (uint64_t ns = 0; ns < 10000000; ns += 777) {
        assert_true(nm_bucket_of(ns) <= nm_bucket_of(ns + 777));
    }
}

static void logs_become_rates_by_severity(void **state)
{
    static const struct { uint8_t number; const char *name; } rows[] = {
        { 0, "unset" }, { 1, "trace" }, { 4, "trace" }, { 5, "debug" },  { 9, "info" },
        { 13, "warn" }, { 17, "error" }, { 21, "fatal" }, { 24, "fatal" }, { 25, "unset" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct fixture f;
        char labels[100];
        fixture_open(&f);
        bus_begin(&f);
        for (int k = 0; k < 30; k++) {
            struct ql_log *log = ql_batch_add_log(&f.bus);
            *log = (struct ql_log){ .at = at_s(5.0), .severity = rows[i].number };
            log->service = QL_STR("cart");
        }
        ql_normalise_stage.push(f.stage, at_s(5.0), &f.bus);
        ql_normalise_stage.tick(f.stage, at_s(35.0), &f.bus);
        (void)snprintf(labels, sizeof(labels),
                       "log_records_per_second{service=\"cart\",severity=\"%s\"}", rows[i].name);
        assert_string_equal(metric_points(&f, labels), "0:0 10:3 20:0 ");
        fixture_close(&f);
    }
}

/* One row: spans as they arrive, edges as "caller>callee calls/errors". */
struct call_span { const char *service; uint64_t id, parent; const char *peer; bool error; };

static void edges_render(const struct fixture *f, char *out, size_t out_bytes)
{
    static const char *const names[] = { "service/a", "service/b", "service/c" };
    out[0] = '\0';
    for (uint32_t i = 0; i < f->bus.edges.count; i++) {
        const struct ql_edge *e = &f->bus.edges.at[i];
        char from = '?', to = '?';
        for (uint32_t k = 0; k < QL_COUNT_OF(names); k++) {
            const ql_entity_id id = ql_entity_id_of(ql_str_of(names[k]));
            from = id.v == e->caller.v ? (char)('a' + (int)k) : from;
            to = id.v == e->callee.v ? (char)('a' + (int)k) : to;
        }
        const size_t used = strlen(out);
        (void)snprintf(out + used, out_bytes - used, "%c>%c %u/%u ", from, to, e->calls, e->errors);
    }
}

static void calls_become_edges(void **state)
{
    static const struct { const char *story; struct call_span spans[5]; const char *want; } rows[] = {
        { "parent first", { { "a", 1, 0, "", false }, { "b", 2, 1, "", false } }, "a>b 1/0 " },
        { "child first", { { "b", 2, 1, "", true }, { "a", 1, 0, "", false } }, "a>b 1/1 " },
        { "two children wait", { { "b", 2, 1, "", false }, { "c", 3, 1, "", false },
          { "a", 1, 0, "", false } }, "a>b 1/0 a>c 1/0 " },
        { "inside one service", { { "a", 1, 0, "", false }, { "a", 2, 1, "", false } }, "" },
        { "by name", { { "a", 1, 0, "b", true } }, "a>b 1/1 " },
        { "by name and by pair is one call",
          { { "a", 1, 0, "b", false }, { "b", 2, 1, "", false } }, "a>b 1/0 " },
        { "through three", { { "c", 3, 2, "", true }, { "b", 2, 1, "", true },
          { "a", 1, 0, "", true } }, "b>c 1/1 a>b 1/1 " },
        { "nobody's child", { { "b", 2, 77, "", false } }, "" },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct fixture f;
        char got[200];
        fixture_open(&f);
        bus_begin(&f);
        ql_normalise_stage.tick(f.stage, at_s(0.0), &f.bus);
        for (size_t k = 0; rows[i].spans[k].service != NULL; k++) {
            const struct call_span *s = &rows[i].spans[k];
            struct ql_span *span = bus_span(&f, s->service, s->id, s->parent, 1.0, 10.0);
            span->peer = ql_str_of(s->peer);
            span->error = s->error;
        }
        ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
        ql_normalise_stage.tick(f.stage, at_s(11.0), &f.bus);
        edges_render(&f, got, sizeof(got));
        if (strcmp(got, rows[i].want) != 0) {
            fail_msg("%s: want \"%s\" got \"%s\"", rows[i].story, rows[i].want, got);
        }
        /* Whoever stands in an edge has a name; and an edge is told once a window. */
        assert_true(f.bus.edges.count == 0 || f.bus.entities.count >= 2);
        bus_begin(&f);
        ql_normalise_stage.tick(f.stage, at_s(21.0), &f.bus);
        assert_int_equal(f.bus.edges.count, 0);
        fixture_close(&f);
    }
}

static void too_many_services_are_counted(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    for (uint32_t i = 0; i < NM_SERVICES_MAX + 10; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "s%u", i);
        bus_span(&f, name, i + 1, 0, 1.0, 10.0);
    }
    ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
    assert_int_equal(dropped(&f, "cardinality"), 10);
    fixture_close(&f);
}

/* ---- the same day twice, and from a checkpoint in the middle ------------------------ */

static void day_step(struct fixture *f, struct ql_rng *rng, int step, uint64_t *digest)
{
    bus_begin(f);
    for (int i = 0; i < 40; i++) {
        char name[40];
        const uint64_t pick = ql_rng_below(rng, 60);
        (void)snprintf(name, sizeof(name), "m%u%s", (unsigned)pick, pick % 3 == 0 ? "_total" : "");
        const double value = ql_rng_below(rng, 50) == 0 ? nm_stale_marker()
                                                        : floor(ql_rng_ratio(rng) * 100.0);
        bus_sample(f, name, QL_METRIC_UNKNOWN, at_s(step * 7.0 - ql_rng_ratio(rng)), value);
    }
    for (uint64_t i = 0; i < 30; i++) {
        char service[8];
        (void)snprintf(service, sizeof(service), "s%u", (unsigned)ql_rng_below(rng, 8));
        const uint64_t id = ql_rng_below(rng, 500) + 1, parent = ql_rng_below(rng, 500);
        struct ql_span *span =
            bus_span(f, service, id, parent, step * 7.0 - 5.0, 1000.0 * ql_rng_ratio(rng));
        span->error = ql_rng_below(rng, 10) == 0;
        span->peer = ql_rng_below(rng, 9) == 0 ? QL_STR("db") : QL_STR("");
        struct ql_log *log = ql_batch_add_log(&f->bus);
        *log = (struct ql_log){ .at = span->start, .severity = (uint8_t)ql_rng_below(rng, 25) };
        log->service = span->service;
    }
    ql_normalise_stage.push(f->stage, at_s(step * 7.0), &f->bus);
    ql_normalise_stage.tick(f->stage, at_s(step * 7.0 + 3.0), &f->bus);
    *digest = ql_batch_digest(&f->bus, QL_LIST_points, 0, *digest);
    *digest = ql_batch_digest(&f->bus, QL_LIST_edges, 0, *digest);
    *digest = ql_batch_digest(&f->bus, QL_LIST_entities, 0, *digest);
}

/* A service that calls thousands of hosts takes no room from services that come later, and what
 * was called before it told anything of itself is a service all the same. */
static void peers_keep_out_no_service(void **state)
{
    struct fixture f;
    char name[32];
    (void)state;
    fixture_open(&f);
    bus_begin(&f);
    ql_normalise_stage.tick(f.stage, at_s(0.0), &f.bus);
    for (uint32_t i = 0; i < NM_SERVICES_MAX + 100; i++) {
        (void)snprintf(name, sizeof(name), "10.0.%u.%u", i / 256, i % 256);
        bus_span(&f, "crawler", i + 1, 0, 1.0, 10.0)->peer = ql_batch_text(&f.bus, ql_str_of(name));
    }
    ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
    assert_int_equal(dropped(&f, "peers_full"), NM_SERVICES_MAX + 100 - NM_PEERS_MAX);
    assert_int_equal(dropped(&f, "cardinality"), 0);
    fixture_checkpoint(&f);
    bus_begin(&f);
    for (uint32_t i = 1; i < NM_SERVICES_MAX; i++) {
        (void)snprintf(name, sizeof(name), i == 1 ? "10.0.0.0" : "late%u", i);
        bus_span(&f, name, 10000 + i, 0, 1.0, 10.0)->peer = QL_STR("crawler");
    }
    bus_span(&f, "one too many", 20000, 0, 1.0, 10.0);
    bus_span(&f, "crawler", 20001, 0, 1.0, 10.0)->peer = QL_STR("db"); /* its room was given back */
    ql_normalise_stage.push(f.stage, at_s(2.0), &f.bus);
    assert_int_equal(dropped(&f, "cardinality"), 1);
    assert_int_equal(dropped(&f, "peers_full"), 0);
    bus_begin(&f); /* of four series a service, the table here has room for the first thousand's */
    stage_tick(&f, 30.0);
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"late1000\"}"),
                        "0:0 10:0.1 20:0 ");
    assert_string_equal(metric_points(&f, "service_requests_per_second{service=\"10.0.0.0\"}"),
                        "0:0 10:0.1 20:0 ");
    fixture_close(&f);
}

static uint64_t day_run(uint64_t seed, int checkpoint_every)
{
    struct fixture f;
    struct ql_rng rng;
    uint64_t digest = 0;
    ql_rng_init(&rng, seed, "day");
    fixture_open(&f);
    for (int step = 0; step < 300; step++) {
        day_step(&f, &rng, step, &digest);
        if (checkpoint_every != 0 && step % checkpoint_every == checkpoint_every - 1) {
            fixture_checkpoint(&f);
        }
    }
    fixture_close(&f);
    return digest;
}

static void a_day_repeats_from_any_checkpoint(void **state)
{
    const uint64_t seed = 29;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    const uint64_t digest = day_run(seed, 0);
    assert_true(digest == day_run(seed, 0));
    assert_true(digest == day_run(seed, 97));
    assert_true(digest == day_run(seed, 10));
    assert_true(digest != day_run(seed + 1, 0));
}

static void broken_checkpoints_are_refused(void **state)
{
    struct fixture f;
    struct ql_buf saved;
    struct ql_rng rng;
    uint64_t digest = 0;
    (void)state;
    ql_rng_init(&rng, 1, "broken");
    ql_buf_init(&saved, 64 << 20);
    fixture_open(&f);
    for (int step = 0; step < 5; step++) {
        day_step(&f, &rng, step, &digest);
    }
    assert_int_equal(ql_normalise_stage.save(f.stage, &saved), QL_OK);
    fixture_close(&f);
    for (size_t cut = 0; cut < saved.bytes; cut += 1 + saved.bytes / 50) {
        fixture_open(&f);
        struct ql_reader in = ql_reader_of((ql_str){ saved.at, cut });
        assert_int_equal(ql_normalise_stage.load(f.stage, VERSION, &in), QL_E_MALFORMED);
        fixture_close(&f);
    }
    fixture_open(&f);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_normalise_stage.load(f.stage, VERSION + 1, &in), QL_E_VERSION);
    fixture_close(&f);
    ql_buf_fini(&saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_become_rates_and_durations),
        cmocka_unit_test(late_and_early_spans_count_in_the_nearest_window),
        cmocka_unit_test(no_zeros_for_a_pause),
        cmocka_unit_test(quantiles_are_near),
        cmocka_unit_test(logs_become_rates_by_severity),
        cmocka_unit_test(calls_become_edges),
        cmocka_unit_test(too_many_services_are_counted),
        cmocka_unit_test(peers_keep_out_no_service),
        cmocka_unit_test(a_day_repeats_from_any_checkpoint),
        cmocka_unit_test(broken_checkpoints_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

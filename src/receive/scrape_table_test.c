/* scrape_table_test - targets get their labels, and a place in time that they keep. */
#include "receive/scrape_int.h"

#include "model/labels.h"

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const char *targets[] = { "127.0.0.1:9100", "b:80" };
static const char *label_names[] = { "zone", "job" }, *label_values[] = { "eu", "own" };
static const char *bad_names[] = { "zone", "zone" };

static struct ql_scrape scrape_make(void)
{
    return (struct ql_scrape){ .job = "node", .path = "/metrics", .scheme = "http",
                               .targets = targets, .target_count = 2, .interval_s = 15,
                               .timeout_s = 10 };
}

static void origin_check(const struct scrape_target *target, const char *want)
{
    struct ql_buf text;
    ql_buf_init(&text, 4096);
    (void)ql_labels_text(ql_buf_view(&target->origin), &text);
    assert_string_equal(text.at, want);
    ql_buf_fini(&text);
}

static void test_labels(void **state)
{
    struct ql_scrape scrapes[] = { scrape_make(), scrape_make() };
    struct ql_config config = { .scrapes = scrapes, .scrape_count = 2 };
    struct scrape_table table;
    char why[256];
    (void)state;
    scrapes[1].target_count = 1;
    scrapes[1].label_names = label_names;
    scrapes[1].label_values = label_values;
    scrapes[1].label_count = 2;
    assert_int_equal(ql_scrape_table_new(&config, (ql_time){ 0 }, &table, why, sizeof(why)), QL_OK);
    assert_int_equal(table.count, 3);
    assert_string_equal(table.at[1].url, "http://b:80/metrics");
    assert_int_equal(table.at[1].timeout_ms, 10000);
    origin_check(&table.at[0], "{instance=\"127.0.0.1:9100\",job=\"node\"}");
    origin_check(&table.at[1], "{instance=\"b:80\",job=\"node\"}");
    origin_check(&table.at[2], "{instance=\"127.0.0.1:9100\",job=\"own\",zone=\"eu\"}");
    ql_scrape_table_free(&table);
}

static void test_bad_labels(void **state)
{
    struct ql_scrape scrapes[] = { scrape_make() };
    struct ql_config config = { .scrapes = scrapes, .scrape_count = 1 };
    struct scrape_table table = { .count = 77 };
    char why[256] = "";
    (void)state;
    scrapes[0].label_names = bad_names;
    scrapes[0].label_values = label_values;
    scrapes[0].label_count = 2;
    assert_int_equal(ql_scrape_table_new(&config, (ql_time){ 0 }, &table, why, sizeof(why)),
                     QL_E_CONFIG);
    assert_non_null(strstr(why, "job 'node', target '127.0.0.1:9100'"));
    assert_int_equal(table.count, 77);
}

static void test_places(void **state)
{
    struct ql_scrape scrapes[] = { scrape_make() };
    struct ql_config config = { .scrapes = scrapes, .scrape_count = 1 };
    const int64_t starts[] = { 0, 1, 14999999999, 15000000000, 1767225600123456789, -20000000000 };
    int64_t offsets[2] = { -1, -1 };
    char why[256];
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(starts); i++) {
        struct scrape_table table;
        const ql_time now = { starts[i] };
        assert_int_equal(ql_scrape_table_new(&config, now, &table, why, sizeof(why)), QL_OK);
        for (uint32_t t = 0; t < table.count; t++) {
            const struct scrape_target *target = &table.at[t];
            assert_true(target->due_ns > now.ns);
            assert_true(target->due_ns <= now.ns + target->interval_ns);
            /* Turns are the same ones, whenever the program was started. */
            const int64_t place = ((target->due_ns % 15000000000) + 15000000000) % 15000000000;
            assert_true(offsets[t] < 0 || offsets[t] == place);
            offsets[t] = place;
            const ql_time due = { target->due_ns };
            assert_int_equal(ql_scrape_next_ns(target, due), due.ns + target->interval_ns);
        }
        assert_int_equal(ql_scrape_due_ns(&table), table.at[0].due_ns < table.at[1].due_ns
                                                       ? table.at[0].due_ns
                                                       : table.at[1].due_ns);
        ql_scrape_table_free(&table);
    }
    assert_int_not_equal(offsets[0], offsets[1]); /* they do not all come at once */
}

static void test_none(void **state)
{
    struct ql_config config = { .scrape_count = 0 };
    struct scrape_table table;
    char why[256];
    (void)state;
    assert_int_equal(ql_scrape_table_new(&config, (ql_time){ 0 }, &table, why, sizeof(why)), QL_OK);
    assert_int_equal(ql_scrape_due_ns(&table), INT64_MAX);
    ql_scrape_table_free(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_labels),
        cmocka_unit_test(test_bad_labels),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

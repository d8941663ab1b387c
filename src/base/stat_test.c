/* stat_test - the same name is the same cell, nothing is counted nowhere. */
#include "base/stat.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void renders_sorted_exposition(void **state)
{
    struct ql_buf out;
    (void)state;
    struct ql_stats *stats = ql_stats_new(10);
    ql_buf_init(&out, 10000);
    ql_stat_add(ql_stats_cell(stats, QL_STAT_COUNTER, "z_total", "Last.", "a=\"2\""), 5);
    ql_stat_set(ql_stats_cell(stats, QL_STAT_GAUGE, "a_bytes", "First.", ""), -3);
    ql_stat_add(ql_stats_cell(stats, QL_STAT_COUNTER, "z_total", "Last.", "a=\"1\""), 1);
    ql_stat_add(ql_stats_cell(stats, QL_STAT_COUNTER, "z_total", "Last.", "a=\"2\""), 2);
    assert_int_equal(ql_stats_render(stats, &out), QL_OK);
    assert_string_equal(out.at, "# HELP a_bytes First.\n# TYPE a_bytes gauge\na_bytes -3\n"
                                "# HELP z_total Last.\n# TYPE z_total counter\n"
                                "z_total{a=\"1\"} 1\nz_total{a=\"2\"} 7\n");
    assert_int_equal(ql_stats_sum(stats, "z_total", ""), 8);
    assert_int_equal(ql_stats_sum(stats, "z_total", "a=\"2\""), 7);
    assert_int_equal(ql_stats_sum(stats, "none", ""), 0);
    ql_buf_fini(&out);
    ql_stats_free(stats);
    ql_stats_free(NULL);
}

static void overflow_is_counted(void **state)
{
    char wide[200];
    struct ql_buf out;
    (void)state;
    memset(wide, 'x', sizeof(wide) - 1);
    wide[sizeof(wide) - 1] = '\0';
    struct ql_stats *stats = ql_stats_new(1);
    ql_buf_init(&out, 10000);
    ql_stat_add(ql_stats_cell(stats, QL_STAT_COUNTER, "a_total", "A.", wide), 1);
    ql_stat_add(ql_stats_cell(stats, QL_STAT_COUNTER, "a_total", "A.", ""), 1);
    ql_stat_add(ql_stats_cell(stats, QL_STAT_COUNTER, "b_total", "B.", ""), 1);
    assert_int_equal(ql_stats_render(stats, &out), QL_OK);
    assert_non_null(strstr(out.at, "a_total 1\n"));
    assert_non_null(strstr(out.at, "ql_stats_overflow_total 2\n"));
    assert_null(strstr(out.at, "b_total"));
    ql_buf_fini(&out);
    ql_stats_free(stats);
}

enum { THREAD_COUNT = 3, ADD_COUNT = 20000 };

static void *adder_run(void *context)
{
    struct ql_stat_cell *cell =
        ql_stats_cell(context, QL_STAT_COUNTER, "shared_total", "Shared.", "");
    for (int i = 0; i < ADD_COUNT; i++) {
        ql_stat_add(cell, 1);
    }
    return NULL;
}

static void threads_share_a_cell(void **state)
{
    pthread_t threads[THREAD_COUNT];
    struct ql_buf out;
    (void)state;
    struct ql_stats *stats = ql_stats_new(10);
    ql_buf_init(&out, 10000);
    for (int t = 0; t < THREAD_COUNT; t++) {
        assert_int_equal(pthread_create(&threads[t], NULL, adder_run, stats), 0);
    }
    assert_int_equal(ql_stats_render(stats, &out), QL_OK); /* while they add */
    for (int t = 0; t < THREAD_COUNT; t++) {
        (void)pthread_join(threads[t], NULL);
    }
    assert_int_equal(ql_stats_sum(stats, "shared_total", ""), THREAD_COUNT * ADD_COUNT);
    ql_buf_fini(&out);
    ql_stats_free(stats);
}

static void lists_the_cells_of_one_metric(void **state)
{
    (void)state;
    struct ql_stat_shown shown[4];
    struct ql_stats *stats = ql_stats_new(10);
    ql_stat_set(ql_stats_cell(stats, QL_STAT_GAUGE, "a", "A.", "k=\"2\""), 7);
    ql_stat_set(ql_stats_cell(stats, QL_STAT_GAUGE, "ab", "AB.", "k=\"3\""), 8);
    ql_stat_set(ql_stats_cell(stats, QL_STAT_GAUGE, "a", "A.", "k=\"1\""), -9);
    assert_int_equal(ql_stats_list(stats, "a", shown, 4), 2);
    assert_string_equal(shown[0].labels, "k=\"2\"");
    assert_int_equal(shown[0].value, 7);
    assert_string_equal(shown[1].labels, "k=\"1\"");
    assert_int_equal(shown[1].value, -9);
    assert_int_equal(ql_stats_list(stats, "a", shown, 1), 1);
    assert_int_equal(ql_stats_list(stats, "b", shown, 4), 0);
    ql_stats_free(stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(renders_sorted_exposition),
        cmocka_unit_test(overflow_is_counted),
        cmocka_unit_test(lists_the_cells_of_one_metric),
        cmocka_unit_test(threads_share_a_cell),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

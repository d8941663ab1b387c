/* limits_test - pairs that are limits, and names that only look like it. */
#include "forecast/limits.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct row { const char *metric, *limit; bool is; enum ql_limit_kind kind; };
static const struct row rows[] = {
    { "node_filesystem_avail_bytes", "node_filesystem_size_bytes", true, QL_LIMIT_FREE },
    { "process_open_fds", "process_max_fds", true, QL_LIMIT_USED },
    { "db_pool_used", "db_pool_max", true, QL_LIMIT_USED },
    { "db_pool", "db_pool_limit", true, QL_LIMIT_USED },
    { "queue_in_use", "queue_capacity", true, QL_LIMIT_USED },
    { "db_pool_wait_seconds", "db_pool_max", false, QL_LIMIT_USED },
    { "db_pool_max", "db_pool_max", false, QL_LIMIT_USED },
    { "process_open_fds", "node_filefd_maximum", false, QL_LIMIT_USED },
    { "db_pool_used", "db_max", false, QL_LIMIT_USED },
    { "latency", "_max", false, QL_LIMIT_USED },
    { "", "", false, QL_LIMIT_USED },
};

static void pairs_are_known(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        enum ql_limit_kind kind = QL_LIMIT_USED;
        const ql_str metric = ql_str_of(rows[i].metric), limit = ql_str_of(rows[i].limit);
        assert_int_equal(ql_limit_of(metric, limit, &kind), rows[i].is);
        assert_int_equal(kind, rows[i].kind);
        if (rows[i].is) {
            assert_true(ql_limit_name(limit));
        }
    }
    assert_false(ql_limit_name(QL_STR("up")));
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(pairs_are_known) };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Whose budget a series is on: the first tenant that matches, else the default. */
#include "config/policy.h"
#include "config/tenant.h"
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

static const char tenants_yaml[] =
    "detect: {signals_per_day: 3}\n"
    "tenants:\n"
    "  - {name: payments, match: '{team=\"payments\"}', signals_per_day: 5}\n"
    "  - {name: checks, match: '{__name__=~\"probe_.*\"}', signals_per_day: 0.5}\n"
    "  - {name: shop, match: '{team=~\"pay.*|shop\"}', signals_per_day: 20}\n";

static const struct { const char *series, *budget; uint32_t tenant; } rows[] = {
    { "latency_ms{team=\"payments\"}", "budget: payments  (5 signals a day)\n", 1 },
    { "probe_success{team=\"payments\"}", "budget: payments  (5 signals a day)\n", 1 },
    { "probe_success{team=\"shop\"}", "budget: checks  (0.5 signals a day)\n", 2 },
    { "latency_ms{team=\"payroll\"}", "budget: shop  (20 signals a day)\n", 3 },
    { "latency_ms{team=\"search\"}", "budget: default  (3 signals a day)\n", 0 },
    { "latency_ms", "budget: default  (3 signals a day)\n", 0 },
};

static void the_first_that_matches_takes_it(void **state)
{
    (void)state;
    struct ql_config *config;
    struct ql_tenant_set *set;
    struct ql_buf text, block;
    ql_buf_init(&text, 65536);
    ql_buf_init(&block, 65536);
    assert_int_equal(ql_config_parse(ql_str_of(tenants_yaml), "t", &config, &text), QL_OK);
    assert_int_equal(ql_tenant_set_open(config, &set), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_buf_reset(&block);
        ql_buf_reset(&text);
        assert_int_equal(ql_labels_parse(ql_str_of(rows[i].series), &block), QL_OK);
        assert_int_equal(ql_tenant_find(set, ql_buf_view(&block)), rows[i].tenant);
        assert_int_equal(ql_policy_explain(config, ql_str_of(rows[i].series), &text), QL_OK);
        if (!ql_str_ends(ql_buf_view(&text), ql_str_of(rows[i].budget))) {
            fail_msg("%s: %.*s", rows[i].series, QL_STR_ARG(ql_buf_view(&text)));
        }
    }
    ql_tenant_set_close(set);
    ql_config_free(config);
    ql_buf_fini(&text);
    ql_buf_fini(&block);
}

static void without_tenants_nothing_is_said(void **state)
{
    (void)state;
    struct ql_config *config;
    struct ql_buf text;
    ql_buf_init(&text, 65536);
    assert_int_equal(ql_config_default(&config), QL_OK);
    assert_int_equal(ql_policy_explain(config, QL_STR("up"), &text), QL_OK);
    assert_true(text.bytes > 0);
    assert_int_equal(ql_tenant_explain(config, QL_STR(""), &text), QL_OK);
    assert_false(ql_str_ends(ql_buf_view(&text), QL_STR("a day)\n")));
    ql_config_free(config);
    ql_buf_fini(&text);
}

/* One more than may be is refused whole, and says where the list stands. */
static void there_is_a_most(void **state)
{
    (void)state;
    for (uint32_t count = QL_CONFIG_TENANTS_MAX; count <= QL_CONFIG_TENANTS_MAX + 1; count++) {
        struct ql_config *config = NULL;
        struct ql_buf yaml, why;
        ql_buf_init(&yaml, 65536);
        ql_buf_init(&why, 65536);
        (void)ql_buf_text(&yaml, "tenants:\n");
        for (uint32_t i = 0; i < count; i++) {
            (void)ql_buf_printf(&yaml, "  - {name: t%u, match: up, signals_per_day: 1}\n", i);
        }
        const ql_err err = ql_config_parse(ql_buf_view(&yaml), "t", &config, &why);
        if (count <= QL_CONFIG_TENANTS_MAX) {
            assert_int_equal(err, QL_OK);
            assert_int_equal(config->tenant_count, count);
        } else {
            assert_int_equal(err, QL_E_CONFIG);
            assert_true(ql_str_starts(ql_buf_view(&why), QL_STR(
                "t:2:3: 65 entries under 'tenants'; allowed: at most 64\n")));
        }
        ql_config_free(config);
        ql_buf_fini(&yaml);
        ql_buf_fini(&why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_that_matches_takes_it),
        cmocka_unit_test(without_tenants_nothing_is_said),
        cmocka_unit_test(there_is_a_most),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Walks, distances, life of edges and the way through a checkpoint. */
#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define E(n) ((ql_entity_id){ (n) })

static struct ql_edge call(uint64_t caller, uint64_t callee, int64_t at_s)
{
    return (struct ql_edge){ .caller = E(caller), .callee = E(callee),
                             .at = { at_s * QL_NS_PER_S }, .calls = 1,
                             .source = QL_EDGE_SPAN };
}

/* 1 -> 2 -> 3 -> 4, 1 -> 5 -> 3, 9 -> 10: two parts that do not touch. */
static const uint64_t graph[][2] = { { 1, 5 }, { 1, 2 }, { 2, 3 }, { 3, 4 }, { 5, 3 }, { 9, 10 } };

static struct ql_topology *graph_new(void)
{
    struct ql_topology *t = NULL;
    assert_int_equal(ql_topology_new(&t), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(graph); i++) {
        const struct ql_edge e = call(graph[i][0], graph[i][1], 100);
        assert_int_equal(ql_topology_link(t, &e), QL_OK);
    }
    return t;
}

/* "1@0 2@1 5@1" */
static void walk_text(const struct ql_topology *t, uint64_t from, enum ql_direction direction,
                      uint32_t hops, uint32_t visit_max, char *out, size_t bytes)
{
    struct ql_hop hop[16];
    const uint32_t count = ql_topology_walk(t, E(from), direction, hops, hop, visit_max);
    size_t used = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < count; i++) {
        used += (size_t)snprintf(out + used, bytes - used, "%s%u@%u", i == 0 ? "" : " ",
                                 (unsigned)hop[i].id.v, (unsigned)hop[i].distance);
    }
}

static void walks_go_breadth_first_in_order_of_id(void **state)
{
    (void)state;
    static const struct {
        const char *story;
        uint64_t from;
        enum ql_direction direction;
        uint32_t hops, visit_max;
        const char *want;
    } rows[] = {
        { "what it calls", 1, QL_CALLEES, 1, 16, "1@0 2@1 5@1" },
        { "all it calls", 1, QL_CALLEES, 9, 16, "1@0 2@1 5@1 3@2 4@3" },
        { "who calls it", 3, QL_CALLERS, 1, 16, "3@0 2@1 5@1" },
        { "both ways", 3, QL_BOTH, 1, 16, "3@0 2@1 4@1 5@1" },
        { "both ways, two hops", 2, QL_BOTH, 2, 16, "2@0 1@1 3@1 5@2 4@2" },
        { "no hop", 1, QL_BOTH, 0, 16, "1@0" },
        { "a bound on visits", 1, QL_CALLEES, 9, 3, "1@0 2@1 5@1" },
        { "a bound of one", 1, QL_CALLEES, 9, 1, "1@0" },
        { "nobody known", 77, QL_BOTH, 2, 16, "77@0" },
        { "the unknown entity", 0, QL_BOTH, 2, 16, "" },
    };
    struct ql_topology *t = graph_new();
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char got[128];
        walk_text(t, rows[i].from, rows[i].direction, rows[i].hops, rows[i].visit_max, got,
                  sizeof got);
        print_message("%s\n", rows[i].story);
        assert_string_equal(got, rows[i].want);
    }
    ql_topology_free(t);
}

static void distances_ignore_direction(void **state)
{
    (void)state;
    static const struct { uint64_t a, b; uint32_t hops, want; } rows[] = {
        { 1, 1, 2, 0 }, { 1, 2, 2, 1 }, { 2, 1, 2, 1 }, { 1, 3, 2, 2 },
        { 1, 4, 2, 3 }, { 1, 4, 5, 3 }, { 2, 5, 2, 2 }, { 1, 9, 5, 6 },
    };
    struct ql_topology *t = graph_new();
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        assert_int_equal(ql_topology_distance(t, E(rows[i].a), E(rows[i].b), rows[i].hops),
                         rows[i].want);
    }
    ql_topology_free(t);
}

static void names_stay_as_first_told(void **state)
{
    (void)state;
    struct ql_topology *t = graph_new();
    assert_int_equal(ql_topology_name(t, E(1)).bytes, 0);
    assert_int_equal(ql_topology_see(t, E(1), QL_STR("service/front")), QL_OK);
    assert_int_equal(ql_topology_see(t, E(1), QL_STR("service/other")), QL_OK);
    assert_int_equal(ql_topology_see(t, E(0), QL_STR("nobody")), QL_OK);
    assert_true(ql_str_eq(ql_topology_name(t, E(1)), QL_STR("service/front")));
    assert_int_equal(ql_topology_name(t, E(4242)).bytes, 0);
    ql_topology_free(t);
}

struct edges { uint32_t count, calls; uint64_t last_caller, last_callee; };

static void edges_take(void *context, const struct ql_edge *e)
{
    struct edges *got = context;
    assert_true(e->caller.v > got->last_caller ||
                (e->caller.v == got->last_caller && e->callee.v > got->last_callee));
    *got = (struct edges){ got->count + 1, got->calls + e->calls, e->caller.v, e->callee.v };
}

static struct edges edges_of(const struct ql_topology *t)
{
    struct edges got = { 0 };
    ql_topology_edges(t, edges_take, &got);
    return got;
}

static void edges_expire_after_a_day_but_configured_ones_never(void **state)
{
    (void)state;
    struct ql_topology *t = graph_new();
    struct ql_edge configured = call(2, 3, 0);
    configured.source = QL_EDGE_CONFIG;
    configured.calls = 0;
    assert_int_equal(ql_topology_link(t, &configured), QL_OK);
    const struct ql_edge fresh = call(1, 5, 50000);
    assert_int_equal(ql_topology_link(t, &fresh), QL_OK);
    assert_int_equal(edges_of(t).count, 6);
    assert_int_equal(edges_of(t).calls, 7); /* the repeat counted, no second edge */

    ql_topology_expire(t, (ql_time){ (100 + 24 * 3600) * QL_NS_PER_S });
    assert_int_equal(edges_of(t).count, 6);
    ql_topology_expire(t, (ql_time){ (101 + 24 * 3600) * QL_NS_PER_S });
    assert_int_equal(edges_of(t).count, 2);
    char got[128];
    walk_text(t, 3, QL_BOTH, 1, 16, got, sizeof got);
    assert_string_equal(got, "3@0 2@1");

    const struct ql_edge again = call(3, 4, 90000); /* takes a freed place */
    assert_int_equal(ql_topology_link(t, &again), QL_OK);
    walk_text(t, 3, QL_BOTH, 1, 16, got, sizeof got);
    assert_string_equal(got, "3@0 2@1 4@1");
    ql_topology_free(t);
}

/* ---- forgetting ---- */

#define HOUR_S INT64_C(3600)

/* Time passes as ticks come: a minute each. */
static void hours_pass(struct ql_topology *t, int64_t *now_s, int64_t hours)
{
    for (int64_t i = 0; i < hours * 60; i++) {
        *now_s += 60;
        ql_topology_advance(t, (ql_time){ *now_s * QL_NS_PER_S });
    }
}

static void see(struct ql_topology *t, uint64_t id)
{
    char name[32];
    (void)snprintf(name, sizeof(name), "pod/%u", (unsigned)id);
    assert_int_equal(ql_topology_see(t, E(id), ql_str_of(name)), QL_OK);
}

static void who_is_not_referred_to_is_forgotten(void **state)
{
    enum { SEEN_ONCE = 1, SEEN_AGAIN, KEPT, CALLER, CALLEE, CONFIGURED, ITS_CALLEE, COUNT = 7 };
    static const struct { int64_t hours; const char *left; } rows[] = {
        { 1, "1234567" }, { 22, "1234567" }, { 1, "234567" }, { 24, "67" },
    };
    struct ql_topology *t = NULL;
    struct ql_edge configured = call(CONFIGURED, ITS_CALLEE, 0);
    int64_t now_s = 1000000;
    (void)state;
    assert_int_equal(ql_topology_new(&t), QL_OK);
    ql_topology_advance(t, (ql_time){ now_s * QL_NS_PER_S });
    configured.source = QL_EDGE_CONFIG;
    assert_int_equal(ql_topology_link(t, &configured), QL_OK);
    for (uint64_t id = 1; id <= COUNT; id++) {
        see(t, id);
    }
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char left[COUNT + 1] = "";
        hours_pass(t, &now_s, rows[i].hours);
        if (i == 0) {
            const struct ql_edge e = call(CALLER, CALLEE, now_s);
            assert_int_equal(ql_topology_link(t, &e), QL_OK);
            see(t, SEEN_AGAIN);
            ql_topology_keep(t, E(KEPT));
        }
        ql_topology_expire(t, (ql_time){ now_s * QL_NS_PER_S });
        const uint32_t before = ql_topology_count(t);
        const uint32_t went = ql_topology_forget(t, 24.0 * HOUR_S);
        assert_int_equal(before - went, ql_topology_count(t));
        for (uint64_t id = 1; id <= COUNT; id++) {
            const bool named = ql_topology_name(t, E(id)).bytes > 0;
            (void)snprintf(left + strlen(left), sizeof(left) - strlen(left), "%s",
                           named ? (const char[]){ (char)('0' + id), '\0' } : "");
        }
        assert_string_equal(left, rows[i].left);
        assert_int_equal(ql_topology_count(t), strlen(rows[i].left));
    }
    see(t, SEEN_ONCE); /* it is back, in a place that was free */
    assert_true(ql_str_eq(ql_topology_name(t, E(SEEN_ONCE)), QL_STR("pod/1")));
    ql_topology_free(t);
}

/* A jump of a year in which no tick came is a minute at most. */
static void nobody_is_forgotten_while_the_daemon_is_away(void **state)
{
    struct ql_topology *t = NULL;
    (void)state;
    assert_int_equal(ql_topology_new(&t), QL_OK);
    ql_topology_advance(t, (ql_time){ 1000 * QL_NS_PER_S });
    see(t, 1);
    ql_topology_advance(t, (ql_time){ (1000 + 365 * 24 * HOUR_S) * QL_NS_PER_S });
    assert_int_equal(ql_topology_forget(t, (double)HOUR_S), 0);
    ql_topology_free(t);
}

/* A thousand new ones an hour for a thousand hours, ten times as many as there may be, though
 * each may stay for a month: the oldest go, those of the last hour never, saved or not. */
static void a_crowded_table_forgets_the_oldest_first(void **state)
{
    enum { AN_HOUR = 1000, HOURS = 1000 };
    struct ql_topology *t = NULL;
    struct ql_buf saved;
    int64_t now_s = 1000000;
    (void)state;
    ql_buf_init(&saved, 1 << 24);
    assert_int_equal(ql_topology_new(&t), QL_OK);
    for (uint64_t hour = 0; hour < HOURS; hour++) {
        hours_pass(t, &now_s, 1);
        (void)ql_topology_forget(t, 30.0 * 24.0 * HOUR_S);
        for (uint64_t i = 0; i < AN_HOUR; i++) {
            see(t, 1 + hour * AN_HOUR + i);
        }
        assert_true(ql_topology_count(t) <= 91000);
        assert_true(hour < 95 || ql_topology_count(t) > 30000);
        assert_int_equal(ql_topology_name(t, E(1 + hour * AN_HOUR)).bytes > 0, 1);
        if (hour % 97 == 96) { /* the same table, in other places */
            ql_buf_reset(&saved);
            const uint32_t count = ql_topology_count(t);
            assert_int_equal(ql_topology_save(t, &saved), QL_OK);
            ql_topology_free(t);
            assert_int_equal(ql_topology_new(&t), QL_OK);
            struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
            assert_int_equal(ql_topology_load(t, &in), QL_OK);
            assert_int_equal(ql_topology_count(t), count);
        }
    }
    ql_topology_free(t);
    ql_buf_fini(&saved);
}

static void edges_from_nobody_and_to_itself_are_nothing(void **state)
{
    (void)state;
    static const uint64_t rows[][2] = { { 0, 1 }, { 1, 0 }, { 7, 7 } };
    struct ql_topology *t = NULL;
    assert_int_equal(ql_topology_new(&t), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_edge e = call(rows[i][0], rows[i][1], 1);
        assert_int_equal(ql_topology_link(t, &e), QL_OK);
    }
    assert_int_equal(edges_of(t).count, 0);
    ql_topology_free(t);
}

static void a_checkpoint_gives_the_same_table(void **state)
{
    (void)state;
    struct ql_topology *t = graph_new(), *back = NULL;
    struct ql_buf first, second;
    ql_buf_init(&first, 1 << 20);
    ql_buf_init(&second, 1 << 20);
    assert_int_equal(ql_topology_see(t, E(3), QL_STR("service/cart")), QL_OK);
    assert_int_equal(ql_topology_save(t, &first), QL_OK);
    assert_int_equal(ql_topology_new(&back), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&first));
    assert_int_equal(ql_topology_load(back, &in), QL_OK);
    assert_int_equal(ql_topology_save(back, &second), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&first), ql_buf_view(&second)));

    for (size_t cut = 0; cut < first.bytes; cut++) { /* every truncation is refused */
        struct ql_topology *broken = NULL;
        assert_int_equal(ql_topology_new(&broken), QL_OK);
        in = ql_reader_of((ql_str){ first.at, cut });
        assert_int_not_equal(ql_topology_load(broken, &in), QL_OK);
        ql_topology_free(broken);
    }
    ql_topology_free(back);
    ql_topology_free(t);
    ql_buf_fini(&first);
    ql_buf_fini(&second);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(walks_go_breadth_first_in_order_of_id),
        cmocka_unit_test(distances_ignore_direction),
        cmocka_unit_test(names_stay_as_first_told),
        cmocka_unit_test(edges_expire_after_a_day_but_configured_ones_never),
        cmocka_unit_test(who_is_not_referred_to_is_forgotten),
        cmocka_unit_test(nobody_is_forgotten_while_the_daemon_is_away),
        cmocka_unit_test(a_crowded_table_forgets_the_oldest_first),
        cmocka_unit_test(edges_from_nobody_and_to_itself_are_nothing),
        cmocka_unit_test(a_checkpoint_gives_the_same_table),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

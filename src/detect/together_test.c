/* What opens because many are odd at once, and that it opens nothing on normal ticks. */
#include "base/rng.h"
#include "detect/dt_together.h"
#include "math/fastlog.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { NEAR_MAX = 8, SERIES = 100 };

static const struct {
    const char *story;
    uint32_t alone;
    struct { uint32_t series; float surprise; } near[NEAR_MAX];
    uint32_t open;      /* bits: series with an open signal */
    uint32_t want;
} rows[] = {
    { "one alone stays below", 0, { { 1, 4.9f } }, 0, 0 },
    { "two at twice the level", 0, { { 1, 4.8f }, { 2, 4.75f } }, 0, 2 },
    { "the second is too far down for two", 0, { { 1, 4.8f }, { 2, 4.6f } }, 0, 0 },
    { "beside one that opened alone", 1, { { 1, 4.75f } }, 0, 1 },
    { "beside eight, nine times the level", 8, { { 1, 4.1f } }, 0, 1 },
    { "and not a little less", 8, { { 1, 4.0f } }, 0, 0 },
    { "the weakest carries the others", 0,
      { { 1, 4.5f }, { 2, 4.5f }, { 3, 4.5f }, { 4, 4.41f } }, 0, 4 },
    { "a series counts once", 0, { { 1, 4.8f }, { 1, 4.75f } }, 0, 0 },
    { "what opened meanwhile is among the others", 1, { { 1, 4.9f }, { 2, 4.75f } }, 2, 1 },
    { "nothing near", 3, { { 0, 0.0f } }, 0, 0 },
};

static void the_rule_by_rows(void **state)
{
    (void)state;
    static struct ql_dt_series states[SERIES];
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_dt_together t;
        assert_int_equal(ql_dt_together_open(&t), QL_OK);
        for (uint32_t s = 0; s < 32; s++) {
            states[s].flags = (rows[i].open >> s & 1) != 0 ? QL_DT_OPEN : 0;
        }
        t.alone[1] = rows[i].alone;
        t.alone[0] = 100; /* what another tenant opens eases nothing */
        for (uint32_t k = 0; k < NEAR_MAX && rows[i].near[k].surprise > 0.0f; k++) {
            const struct ql_dt_near near = { .series = rows[i].near[k].series, .tenant = 1,
                                             .past = rows[i].near[k].surprise - 5.0f,
                                             .in = { .at_ns = k } };
            ql_dt_together_note(&t, 2, &near);
        }
        const uint32_t got = ql_dt_together_pick(&t, states);
        if (got != rows[i].want) {
            fail_msg("%s: %u open, not %u", rows[i].story, got, rows[i].want);
        }
        assert_int_equal(ql_dt_together_pick(&t, states), 0);
        ql_dt_together_close(&t);
    }
}

/* A tenant that fills its part of the room leaves the others theirs. */
static void a_storm_of_one_leaves_room(void **state)
{
    (void)state;
    enum { TENANTS = QL_DT_TENANTS_MAX, PART = QL_DT_NEAR_MAX / QL_DT_TENANTS_MAX };
    static struct ql_dt_series states[QL_DT_NEAR_MAX + TENANTS * PART];
    struct ql_dt_together t;
    assert_int_equal(ql_dt_together_open(&t), QL_OK);
    for (uint32_t tenant = TENANTS; tenant-- > 0;) {
        const uint32_t came = tenant == TENANTS - 1 ? QL_DT_NEAR_MAX : PART;
        for (uint32_t i = 0; i < came; i++) {
            const struct ql_dt_near near = { .series = tenant * PART + i, .tenant = tenant,
                                             .past = -0.9f };
            ql_dt_together_note(&t, TENANTS, &near);
        }
    }
    assert_int_equal(ql_dt_together_pick(&t, states), TENANTS * PART);
    for (uint32_t i = 0; i < TENANTS * PART; i++) {
        assert_int_equal(t.near[i].tenant, i / PART);
    }
    ql_dt_together_close(&t);
}

/* Simes: of independent normal points, ticks with any signal are as many as are allowed. */
static void normal_ticks_open_no_more(void **state)
{
    (void)state;
    enum { TICKS = 40000 };
    static struct ql_dt_series states[SERIES];
    const float threshold = 3.0f; /* of 100 points: one tick in ten */
    struct ql_dt_together t;
    struct ql_rng rng;
    uint32_t any = 0;
    ql_rng_init(&rng, 7, "together");
    assert_int_equal(ql_dt_together_open(&t), QL_OK);
    for (uint32_t s = 0; s < SERIES; s++) {
        states[s].flags = 0;
    }
    for (uint32_t tick = 0; tick < TICKS; tick++) {
        for (uint32_t s = 0; s < SERIES; s++) {
            const float surprise = -ql_log10f((float)(1.0 - ql_rng_ratio(&rng)));
            const struct ql_dt_near near = { .series = s, .past = surprise - threshold,
                                             .in = { .at_ns = tick } };
            if (surprise >= threshold) {
                t.alone[0]++;
            } else if (near.past >= -QL_DT_NEAR_DECADES) {
                ql_dt_together_note(&t, 1, &near);
            }
        }
        const bool alone = t.alone[0] > 0;
        any += ql_dt_together_pick(&t, states) > 0 || alone;
    }
    (void)printf("seed 7: %u of %u ticks\n", any, (unsigned)TICKS);
    assert_true(any > TICKS / 10 * 0.9 && any < TICKS / 10 * 1.1);
    ql_dt_together_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_rule_by_rows),
        cmocka_unit_test(a_storm_of_one_leaves_room),
        cmocka_unit_test(normal_ticks_open_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

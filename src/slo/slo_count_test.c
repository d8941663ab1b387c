/* slo_count_test - what is counted, for how long it is kept, and what is judged from it.
 */
#include "slo/slo_test.h"

/* ---- single truths ------------------------------------------------------------------ */

/* Both windows must burn; calm needs half of the short window and nothing silent. */
static void two_windows_judge(void **state)
{
    static const struct {
        double burn_1h, burn_5m;
        uint32_t covered_1h, covered_5m, silent;
        bool burns, calm;
    } judged[] = {
        { 20.0, 20.0, 60, 5, 0, true, false },  { 14.4, 14.4, 60, 5, 0, true, false },
        { 20.0, 14.3, 60, 5, 0, false, true },  { 14.3, 100.0, 60, 5, 0, false, false },
        { 20.0, 20.0, 4, 4, 0, false, false },  { 20.0, 20.0, 5, 1, 0, true, false },
        { 20.0, 0.0, 60, 3, 0, false, true },   { 20.0, 0.0, 60, 2, 0, false, false },
        { 20.0, 0.0, 60, 5, 1, false, false },  { 20.0, (double)NAN, 60, 0, 0, false, false },
        { (double)NAN, (double)NAN, 0, 0, 0, false, false },
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(judged); i++) {
        struct slo_view view = { .silent = judged[i].silent };
        view.burn[QL_SLO_WINDOW_1H] = judged[i].burn_1h;
        view.burn[QL_SLO_WINDOW_5M] = judged[i].burn_5m;
        view.covered[QL_SLO_WINDOW_1H] = judged[i].covered_1h;
        view.covered[QL_SLO_WINDOW_5M] = judged[i].covered_5m;
        if (slo_burns(&view, &slo_rules[SLO_PAGE]) != judged[i].burns ||
            slo_is_calm(&view, &slo_rules[SLO_PAGE]) != judged[i].calm) {
            fail_msg("row %u", i);
        }
    }
}

static void budgets_end_when_they_do(void **state)
{
    static const struct { double used, burn, want; } ends[] = {
        { 0.0, 1.0, 2592000.0 }, { 0.5, 14.4, 90000.0 }, { 1.0, 0.0, 0.0 }, { 1.5, 3.0, 0.0 },
        { 0.5, 0.0, (double)INFINITY }, { 0.5, 1e-12, (double)INFINITY },
        { 0.5, (double)NAN, (double)INFINITY }, { (double)NAN, 3.0, (double)INFINITY },
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(ends); i++) {
        const struct slo_view view = { .used = ends[i].used };
        const double s = slo_gone_s(&view, 2592000.0, ends[i].burn);
        assert_true(isinf(ends[i].want) ? isinf(s) : fabs(s - ends[i].want) < 1e-3);
    }
}

/* Samples far apart still fill short windows; an hour back is the most. */
static void increases_are_spread(void **state)
{
    static const struct {
        enum ql_metric_type type;
        int64_t gap_s;
        double raw;
        uint32_t parts;
        double each, total;
    } spread[] = {
        { QL_METRIC_COUNTER, 300, 1100.0, 5, 20.0, 100.0 },
        { QL_METRIC_COUNTER, 60, 1100.0, 1, 100.0, 100.0 },
        { QL_METRIC_COUNTER, 90, 1100.0, 2, 0.0, 100.0 },
        { QL_METRIC_COUNTER, 10800, 1100.0, 60, 100.0 / 60.0, 100.0 },
        { QL_METRIC_COUNTER, 60, 40.0, 1, 40.0, 40.0 }, /* it restarted */
        { QL_METRIC_UNKNOWN, 60, 1100.0, 1, 100.0, 100.0 },
        { QL_METRIC_UNKNOWN, 60, 40.0, 1, 0.0, 0.0 },   /* or it is a gauge */
        { QL_METRIC_COUNTER, 60, 1e300, 1, 4398046511104.0, 4398046511104.0 },
    };
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(spread); i++) {
        struct world w;
        world_open(&w, config_one(BAD), 1);
        struct shard *shard = &w.shards[0];
        double sum = 0.0;
        ql_series_at(shard->series, 0)->type = (uint8_t)spread[i].type;
        for (int64_t k = 0; k < 2; k++) {
            struct ql_point *p = ql_batch_add_point(&shard->batch);
            *p = (struct ql_point){ .at = { (START_S + k * spread[i].gap_s) * QL_NS_PER_S },
                                    .raw = k == 0 ? 1000.0 : spread[i].raw };
        }
        ql_slo_count_stage.push(shard->stage, shard->batch.points.at[1].at, &shard->batch);
        ql_slo_count_stage.tick(shard->stage, shard->batch.points.at[1].at, &shard->batch);
        assert_int_equal(shard->batch.slo_parts.count, spread[i].parts);
        for (uint32_t k = 0; k < spread[i].parts; k++) {
            const struct ql_slo_part *part = &shard->batch.slo_parts.at[k];
            const double total = (double)part->total / QL_SLO_UNIT;
            assert_true(part->covered == 1 && part->bad == 0);
            assert_true(spread[i].each <= 0.0 || fabs(total - spread[i].each) < 1e-5);
            sum += total;
        }
        assert_true(fabs(sum - spread[i].total) < 1e-9);
        world_close(&w);
    }
}

static const struct ql_slo_state *core_minutes(struct run *run, uint32_t minutes, int64_t bad)
{
    struct world *w = run->w;
    uint32_t count;
    uint64_t version;
    for (uint32_t i = 0; i < minutes; i++) {
        ql_batch_reset(&w->bus);
        *ql_batch_add_slo_part(&w->bus) = (struct ql_slo_part){
            .slo = w->config->slos[0].key, .entity = { 10 }, .covered = 1,
            .minute = START_S / 60 + run->step / 2, .total = 1000 * (int64_t)QL_SLO_UNIT,
            .bad = bad * (int64_t)QL_SLO_UNIT };
        run->step += 2;
        ql_slo_stage.push(w->core, run_now(run, 16), &w->bus);
        ql_slo_stage.tick(w->core, run_now(run, 16), &w->bus);
        run_take(run);
    }
    return ql_slo_states(w->core, &count, &version);
}

/* At a burn rate of one the budget lasts its window; what is older than that is forgiven. */
static void a_budget_lasts_its_window(void **state)
{
    (void)state;
    struct world w;
    world_open(&w, config_one(BAD), 1);
    struct run run = { .w = &w };
    const uint32_t day = 1440;
    const struct ql_slo_state *slo = core_minutes(&run, 3 * day, 1);
    assert_true(fabs(slo->budget_left - 0.9) < 1e-3);
    assert_true(fabs((double)(slo->gone.ns - slo->at.ns) / 1e9 / 86400.0 - 27.0) < 0.1);
    slo = core_minutes(&run, 27 * day, 1);
    assert_true(fabs(slo->budget_left) < 1e-2);
    slo = core_minutes(&run, 3 * day, 2);
    assert_true(fabs(slo->budget_left + 0.1) < 1e-2);
    assert_true(slo->gone.ns == slo->at.ns);
    slo = core_minutes(&run, 15 * day, 0);
    assert_true(fabs(slo->budget_left - 0.4) < 1e-2);
    assert_true(slo->gone.ns == QL_TIME_NONE.ns && fabs(slo->total - 43200e3) < 61e3);
    slo = core_minutes(&run, 15 * day, 0);
    assert_true(fabs(slo->budget_left - 1.0) < 1e-2);
    assert_int_equal(run.event_count, 0); /* none of it was fast */
    world_close(&w);
}

/* ---- rings -------------------------------------------------------------------------- */

static void rings_keep_and_forget(void **state)
{
    (void)state;
    struct slo_ring *ring = calloc(1, sizeof(*ring));
    const int64_t now = 29459520; /* minutes; a full hour */
    assert_non_null(ring);
    slo_ring_advance(ring, now);
    const struct ql_slo_part part = { .minute = now, .bad = 1, .total = 2, .covered = 1 };
    struct ql_slo_part other = part;
    assert_true(slo_ring_add(ring, &part));
    other.minute = now + SLO_AHEAD;
    assert_true(slo_ring_add(ring, &other));
    other.minute = now + SLO_AHEAD + 1;
    assert_false(slo_ring_add(ring, &other));
    other.minute = now - 400; /* too old for its minute, not for its hour */
    assert_true(slo_ring_add(ring, &other));
    other.minute = now - SLO_HOURS * 60;
    assert_false(slo_ring_add(ring, &other));
    assert_int_equal(slo_ring_minutes(ring, now + 1, 360).total, 2);
    assert_int_equal(slo_ring_minutes(ring, now, 360).total, 0);
    assert_int_equal(slo_ring_hours(ring, now + 1, 24).total, 4);
    slo_ring_advance(ring, now + 390);
    assert_int_equal(slo_ring_minutes(ring, now + 1, 360).total, 2);
    slo_ring_advance(ring, now + 520);
    assert_int_equal(slo_ring_minutes(ring, now + 1, 360).total, 0);
    assert_int_equal(slo_ring_hours(ring, now + 520, 720).total, 6);
    slo_ring_advance(ring, now + SLO_HOURS * 60);
    assert_int_equal(slo_ring_hours(ring, now + 60, 24).total, 0);
    free(ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_windows_judge),
        cmocka_unit_test(budgets_end_when_they_do),
        cmocka_unit_test(increases_are_spread),
        cmocka_unit_test(a_budget_lasts_its_window),
        cmocka_unit_test(rings_keep_and_forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

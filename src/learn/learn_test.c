/* What labels change, and how far they can go. */
#include "learn/learn.h"

#include "model/entity.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

struct rig { void *stage; struct ql_batch bus; ql_time now; };

static void rig_open(struct rig *rig)
{
    const struct ql_stage_env env = { .shard_count = 1 };
    assert_int_equal(ql_learn_stage.open(&env, &rig->stage), QL_OK);
    ql_batch_init(&rig->bus, 1 << 20);
    rig->now = (ql_time){ INT64_C(1767603600) * QL_NS_PER_S };
}

static void rig_close(struct rig *rig)
{
    ql_learn_stage.close(rig->stage);
    ql_batch_fini(&rig->bus);
}

static void rig_cause(struct rig *rig, uint64_t incident, uint32_t rank, const char *entity,
                      const char *metric)
{
    struct ql_cause *cause = ql_batch_add_cause(&rig->bus);
    cause->incident.v = incident;
    cause->rank = rank;
    cause->entity = ql_entity_id_of(ql_str_of(entity));
    cause->metric = ql_str_of(metric);
}

static void rig_say(struct rig *rig, uint64_t incident, enum ql_verdict verdict,
                    const char *entity)
{
    struct ql_command *command = ql_batch_add_command(&rig->bus);
    command->kind = QL_COMMAND_FEEDBACK;
    command->incident.v = incident;
    command->verdict = verdict;
    command->entity = ql_str_of(entity);
    command->by = QL_STR("ana");
}

/* One tick; adopts what is pending as the engine does. Returns the set, or NULL. */
static const struct ql_model_set *rig_tick(struct rig *rig, int seconds)
{
    rig->now = ql_time_add(rig->now, QL_S(seconds));
    ql_learn_stage.push(rig->stage, rig->now, &rig->bus);
    ql_learn_stage.tick(rig->stage, rig->now, &rig->bus);
    ql_batch_reset(&rig->bus);
    const struct ql_model_set *set = ql_learn_pending(rig->stage);
    if (set != NULL) {
        ql_learn_stage.adopt(rig->stage, set);
        assert_null(ql_learn_pending(rig->stage));
    }
    return set;
}

static const struct ql_cause_prior *prior_of(const struct ql_model_set *set, const char *metric)
{
    const uint64_t family = ql_hash64(metric, strlen(metric));
    for (uint32_t i = 0; i < set->prior_count; i++) {
        if (set->priors[i].family_hash == family) {
            return &set->priors[i];
        }
    }
    return NULL;
}

static bool near(double a, double b)
{
    return fabs(a - b) < 1e-6;
}

static void nothing_said_changes_nothing(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    rig_cause(&rig, 1, 1, "service/a", "m");
    assert_null(rig_tick(&rig, 1));
    rig_say(&rig, 1, QL_VERDICT_NONE, "");
    assert_null(rig_tick(&rig, 1));
    rig_close(&rig);
}

static const struct { enum ql_verdict verdict; const char *entity; double offset; float right_m,
    wrong_m, right_n; } verdict_rows[] = {
    { QL_VERDICT_FALSE, "", 0.15, 1, 2, 0 },
    { QL_VERDICT_TRUE, "", -0.10, 0, 0, 0 },
    { QL_VERDICT_RIGHT_CAUSE, "service/a", -0.10, 2, 1, 0 },
    { QL_VERDICT_RIGHT_CAUSE, "service/b", -0.10, 1, 2, 2 },
    { QL_VERDICT_RIGHT_CAUSE, "b", -0.10, 1, 2, 2 },
    { QL_VERDICT_RIGHT_CAUSE, "service/elsewhere", -0.10, 1, 2, 0 },
};

static void a_label_moves_what_it_is_about(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < QL_COUNT_OF(verdict_rows); i++) {
        struct rig rig;
        rig_open(&rig);
        rig_cause(&rig, 1, 1, "service/a", "m");
        rig_cause(&rig, 1, 2, "service/b", "n");
        rig_say(&rig, 1, verdict_rows[i].verdict, verdict_rows[i].entity);
        const struct ql_model_set *set = rig_tick(&rig, 1);
        assert_non_null(set);
        assert_int_equal(set->version, 1);
        assert_true(near(set->threshold_offset_decades, verdict_rows[i].offset));
        const struct ql_cause_prior *m = prior_of(set, "m"), *n = prior_of(set, "n");
        assert_int_equal(m != NULL, verdict_rows[i].right_m > 0);
        assert_int_equal(n != NULL, verdict_rows[i].right_n > 0);
        if (m != NULL) {
            assert_true(m->right == verdict_rows[i].right_m && m->wrong == verdict_rows[i].wrong_m);
        }
        if (n != NULL) {
            assert_true(n->right == verdict_rows[i].right_n);
        }
        rig_close(&rig);
    }
}

static void saying_it_again_counts_once(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    rig_say(&rig, 1, QL_VERDICT_FALSE, "");
    rig_say(&rig, 1, QL_VERDICT_FALSE, "");
    const struct ql_model_set *set = rig_tick(&rig, 1);
    assert_int_equal(set->version, 1);
    assert_true(near(set->threshold_offset_decades, 0.15));
    rig_say(&rig, 1, QL_VERDICT_TRUE, ""); /* another mind is heard */
    set = rig_tick(&rig, 1);
    assert_true(near(set->threshold_offset_decades, 0.05));
    rig_close(&rig);
}

/* A stream of "all false" cannot silence the instance at once, nor ever for good. */
static void the_offset_is_bounded_by_day_week_and_range(void **state)
{
    (void)state;
    struct rig rig;
    double day_start = 0.0, last = 0.0, week_start = 0.0;
    rig_open(&rig);
    for (uint64_t i = 1; i <= 24 * 40; i++) { /* one label an hour, forty days */
        rig_say(&rig, i, QL_VERDICT_FALSE, "");
        const struct ql_model_set *set = rig_tick(&rig, 3600);
        last = set != NULL ? set->threshold_offset_decades : last;
        if (i % 24 == 0) {
            assert_true(last - day_start <= 0.3 + 1e-6);
            day_start = last;
        }
        if (i % (24 * 7) == 0) {
            assert_true(last - week_start <= 1.0 + 1e-6);
            week_start = last;
        }
        assert_true(last <= 2.0);
    }
    assert_true(near(last, 2.0));
    rig_close(&rig);
}

static void every_label_is_audited(void **state)
{
    (void)state;
    struct rig rig;
    rig_open(&rig);
    rig_cause(&rig, 1, 1, "service/a", "db_connections");
    rig_say(&rig, 1, QL_VERDICT_FALSE, "");
    ql_learn_stage.push(rig.stage, rig.now, &rig.bus);
    assert_int_equal(rig.bus.audits.count, 1);
    assert_true(ql_str_eq(rig.bus.audits.at[0].actor, QL_STR("ana")));
    assert_true(ql_str_eq(rig.bus.audits.at[0].detail,
                          QL_STR("threshold +0.15 decades, now +0.15; 'db_connections' is the "
                                 "cause 33% of the time; model set 1")));
    rig_close(&rig);
}

static void families_past_the_maximum_push_out_the_least_known(void **state)
{
    (void)state;
    struct rig rig;
    const struct ql_model_set *set = NULL;
    rig_open(&rig);
    for (uint32_t i = 1; i <= QL_MODEL_PRIORS_MAX + 10; i++) {
        char metric[32];
        (void)snprintf(metric, sizeof(metric), "m%u", i);
        for (uint32_t k = 0; k < (i == 1 ? 3u : 1u); k++) { /* m1 is known best */
            const uint64_t incident = i * 4 + k;
            rig_cause(&rig, incident, 1, "service/a", metric);
            rig_say(&rig, incident, QL_VERDICT_RIGHT_CAUSE, "service/a");
        }
        const struct ql_model_set *made = rig_tick(&rig, 1);
        set = made != NULL ? made : set;
    }
    assert_int_equal(set->prior_count, QL_MODEL_PRIORS_MAX);
    assert_non_null(prior_of(set, "m1"));
    assert_true(prior_of(set, "m1")->right == 4.0f);
    rig_close(&rig);
}

static void a_restart_keeps_what_was_learnt_and_offers_it_again(void **state)
{
    (void)state;
    struct rig rig;
    struct ql_buf saved, again;
    ql_buf_init(&saved, 1 << 20);
    ql_buf_init(&again, 1 << 20);
    rig_open(&rig);
    rig_cause(&rig, 1, 1, "service/a", "m");
    rig_say(&rig, 1, QL_VERDICT_FALSE, "");
    assert_non_null(rig_tick(&rig, 1));
    assert_int_equal(ql_learn_stage.save(rig.stage, &saved), QL_OK);
    rig_close(&rig);
    rig_open(&rig);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_learn_stage.load(rig.stage, 1, &in), QL_OK);
    assert_int_equal(ql_learn_stage.save(rig.stage, &again), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&saved), ql_buf_view(&again)));
    const struct ql_model_set *set = rig_tick(&rig, 1);
    assert_int_equal(set->version, 1);
    rig_say(&rig, 1, QL_VERDICT_FALSE, "");
    assert_null(rig_tick(&rig, 1)); /* said before the restart */
    for (size_t cut = 0; cut < saved.bytes; cut++) { /* damaged files are told */
        void *other;
        const struct ql_stage_env env = { .shard_count = 1 };
        assert_int_equal(ql_learn_stage.open(&env, &other), QL_OK);
        in = ql_reader_of((ql_str){ saved.at, cut });
        assert_int_equal(ql_learn_stage.load(other, 1, &in), QL_E_MALFORMED);
        ql_learn_stage.close(other);
    }
    rig_close(&rig);
    ql_buf_fini(&again);
    ql_buf_fini(&saved);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_said_changes_nothing),
        cmocka_unit_test(a_label_moves_what_it_is_about),
        cmocka_unit_test(saying_it_again_counts_once),
        cmocka_unit_test(the_offset_is_bounded_by_day_week_and_range),
        cmocka_unit_test(every_label_is_audited),
        cmocka_unit_test(families_past_the_maximum_push_out_the_least_known),
        cmocka_unit_test(a_restart_keeps_what_was_learnt_and_offers_it_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* exhaust_test - findings as rows in virtual time: when one becomes a signal, and when not. */
#include "forecast/exhaust.h"

#include "config/config.h"
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define PASS_S 900
#define START_S 1700000000

struct bed {
    struct ql_config *config;
    struct ql_stats *stats;
    void *stage;
    struct ql_batch bus;
    struct ql_buf labels;
    char said[600];             /* '.', 'o' opened, 'c' closed: one a pass */
    char why[600];
    uint64_t id;
};

static void bed_open(struct bed *bed)
{
    memset(bed, 0, sizeof(*bed));
    assert_int_equal(ql_config_default(&bed->config), QL_OK);
    bed->stats = ql_stats_new(64);
    const struct ql_stage_env env = { .config = bed->config, .stats = bed->stats,
                                      .shard_count = 1 };
    assert_int_equal(ql_exhaust_stage.open(&env, &bed->stage), QL_OK);
    ql_batch_init(&bed->bus, 1 << 20);
    ql_buf_init(&bed->labels, 4096);
    assert_int_equal(ql_labels_parse(QL_STR("pool_used{service=\"db\"}"), &bed->labels), QL_OK);
}

static void bed_close(struct bed *bed)
{
    ql_exhaust_stage.close(bed->stage);
    ql_batch_fini(&bed->bus);
    ql_buf_fini(&bed->labels);
    ql_stats_free(bed->stats);
    ql_config_free(bed->config);
}

/* A letter a pass: what the look-ahead said, and what became of it. */
struct letter { char letter; double full, used; uint32_t tests, right; enum ql_finding_kind kind; };
static const struct letter letters[] = {
    { '-', 0.01, 68, 20, 17, QL_FINDING_AHEAD }, { 'm', 0.60, 60, 20, 17, QL_FINDING_AHEAD },
    { 'H', 0.90, 70, 20, 17, QL_FINDING_AHEAD }, { 'p', 0.90, 70, 20, 10, QL_FINDING_AHEAD },
    { 's', 0.90, 70, 3, 3, QL_FINDING_AHEAD },   { 'F', 1.00, 97, 20, 17, QL_FINDING_FULL },
    { 'l', 0.30, 70, 20, 17, QL_FINDING_AHEAD }, { 'f', 0.30, 40, 20, 17, QL_FINDING_AHEAD },
    { 'E', 1.00, -5000, 20, 20, QL_FINDING_EXPIRY },
    { 'e', 0.00, -900000, 20, 20, QL_FINDING_EXPIRY },
};

static ql_time bed_time(uint32_t pass)
{
    return (ql_time){ (START_S + (int64_t)pass * PASS_S) * QL_NS_PER_S };
}

static void bed_find(struct bed *bed, char letter, ql_time now)
{
    for (size_t i = 0; i < QL_COUNT_OF(letters); i++) {
        const struct letter *l = &letters[i];
        struct ql_finding *f = l->letter == letter ? ql_batch_add_finding(&bed->bus) : NULL;
        if (f != NULL) {
            *f = (struct ql_finding){
                .series = { { 1, 2 } }, .labels = ql_buf_view(&bed->labels),
                .limit_name = QL_STR("pool_max"), .kind = l->kind, .at = now, .used = l->used,
                .limit = 100, .full = l->full, .horizon_s = 86400, .early_s = 3600,
                .middle_s = 7200, .late_s = 10800, .tests = l->tests, .right = l->right };
        }
    }
}

/* '_' is a pass without a word about it. */
static void bed_pass(struct bed *bed, char letter, uint32_t pass)
{
    const ql_time now = bed_time(pass);
    ql_batch_reset(&bed->bus);
    bed_find(bed, letter, now);
    ql_exhaust_stage.push(bed->stage, now, &bed->bus);
    ql_exhaust_stage.tick(bed->stage, now, &bed->bus);
    bed->said[pass] = '.';
    assert_true(bed->bus.signals.count <= 1);
    if (bed->bus.signals.count == 1) {
        const struct ql_signal *signal = &bed->bus.signals.at[0];
        bed->said[pass] = signal->phase == QL_PHASE_OPEN ? 'o' : 'c';
        assert_int_equal(signal->kind, QL_SIGNAL_EXHAUSTION);
        assert_true(ql_str_eq(signal->metric, QL_STR("pool_used")));
        assert_true(signal->entity.v != 0);
        assert_true(signal->phase == QL_PHASE_OPEN || signal->id.v == bed->id);
        bed->id = signal->id.v;
        assert_true(signal->surprise >= 0.0 && signal->surprise < 1.4);
        (void)snprintf(bed->why, sizeof(bed->why), "%.*s", QL_STR_ARG(signal->why));
    }
}

static void bed_save_and_load(struct bed *bed)
{
    struct ql_buf state;
    ql_buf_init(&state, 1 << 20);
    assert_int_equal(ql_exhaust_stage.save(bed->stage, &state), QL_OK);
    ql_exhaust_stage.close(bed->stage);
    const struct ql_stage_env env = { .config = bed->config, .stats = bed->stats,
                                      .shard_count = 1 };
    assert_int_equal(ql_exhaust_stage.open(&env, &bed->stage), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&state));
    assert_int_equal(ql_exhaust_stage.load(bed->stage, 1, &in), QL_OK);
    assert_int_equal(ql_reader_left(&in), 0);
    struct ql_reader cut = ql_reader_of((ql_str){ state.at, state.bytes - 1 });
    void *other;
    assert_int_equal(ql_exhaust_stage.open(&env, &other), QL_OK);
    assert_int_not_equal(ql_exhaust_stage.load(other, 1, &cut), QL_OK);
    ql_exhaust_stage.close(other);
    ql_buf_fini(&state);
}

struct row { const char *what, *findings, *said; };
static const struct row rows[] = {
    { "three in a row open once", "--HHHHHH", "....o..." },
    { "two are too few", "HH-HH-HH", "........" },
    { "below the bar", "mmmmmmmm", "........" },
    { "a poor record", "pppppppp", "........" },
    { "a short record", "ssssssss", "........" },
    { "full already is no forecast", "FFFFFFFF", "........" },
    { "but keeps open what is", "HHHFFFFF", "..o....." },
    { "clearly over for three closes", "HHH----", "..o..c." },
    { "not clearly over stays", "HHHllll-l", "..o......" },
    { "freed closes at once", "HHHf---", "..oc..." },
    { "no flapping: the second opens late", "HHH---HHH---HHHHHHHHHHHHH",
      "..o..c.................o." },
    { "a certificate, renewed", "eeEEEeee", "....o..c" },
};

static void when_a_finding_becomes_a_signal(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (int restarts = 0; restarts < 2; restarts++) {
            struct bed bed;
            bed_open(&bed);
            for (uint32_t pass = 0; rows[i].findings[pass] != '\0'; pass++) {
                bed_pass(&bed, rows[i].findings[pass], pass);
                if (restarts > 0) {
                    bed_save_and_load(&bed);
                }
            }
            if (strcmp(bed.said, rows[i].said) != 0) {
                fail_msg("%s: %s gave %s, not %s", rows[i].what, rows[i].findings, bed.said,
                         rows[i].said);
            }
            bed_close(&bed);
        }
    }
}

static void the_sentence_names_times_and_record(void **state)
{
    (void)state;
    static const char *const parts[] = {
        "pool_used is at 70 % of 100 (pool_max)", "within 24 h with 90 %",
        "10 % by 2023-11-14T23:43:20.000Z", "50 % by 2023-11-15T00:43:20.000Z",
        "90 % by 2023-11-15T01:43:20.000Z", "right 17 of 20 times",
    };
    struct bed bed;
    bed_open(&bed);
    for (uint32_t pass = 0; pass < 3; pass++) {
        bed_pass(&bed, 'H', pass);
    }
    for (size_t i = 0; i < QL_COUNT_OF(parts); i++) {
        if (strstr(bed.why, parts[i]) == NULL) {
            fail_msg("'%s' is not in '%s'", parts[i], bed.why);
        }
    }
    bed_close(&bed);
}

static void silence_of_a_day_closes(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed);
    uint32_t closed = 0;
    for (uint32_t pass = 0; pass < 110; pass++) {
        bed_pass(&bed, pass < 3 ? 'H' : '_', pass);
        closed = bed.said[pass] == 'c' ? pass : closed;
    }
    assert_int_equal(closed, 2 + 86400 / PASS_S + 1);
    bed_close(&bed);
}

static void the_same_look_twice_counts_once(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed);
    for (uint32_t i = 0; i < 10; i++) {
        bed_pass(&bed, 'H', 0);
        assert_int_equal(bed.said[0], '.');
    }
    bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_a_finding_becomes_a_signal),
        cmocka_unit_test(the_sentence_names_times_and_record),
        cmocka_unit_test(silence_of_a_day_closes),
        cmocka_unit_test(the_same_look_twice_counts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* exhaust_test - findings as rows in virtual time: when one becomes a signal, and when not. */
#include "forecast/exhaust_test.h"

#include "model/entity.h"

/* `policy` are the fields of one for {service="db"}; NULL: there is none. */
static void bed_open(struct bed *bed, const char *policy)
{
    char yaml[512] = "";
    if (policy != NULL) {
        (void)snprintf(yaml, sizeof(yaml),
                       "policies: [{name: night, match: '{service=\"db\"}', %s}]\n", policy);
    }
    bed_open_for(bed, yaml, "pool_used{service=\"db\"}");
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

/* Between two passes: somebody changed an entity. */
static void bed_change(struct bed *bed, const char *entity, uint32_t pass)
{
    ql_batch_reset(&bed->bus);
    struct ql_change *change = ql_batch_add_change(&bed->bus);
    assert_non_null(change);
    *change = (struct ql_change){ .entity = ql_entity_id_of(ql_str_of(entity)),
                                  .at = bed_time(pass) };
    ql_exhaust_stage.push(bed->stage, bed_time(pass), &bed->bus);
    assert_int_equal(bed->bus.signals.count, 0);
}

/* '_' is a pass without a word about it. */
static void bed_pass(struct bed *bed, char letter, uint32_t pass)
{
    ql_batch_reset(&bed->bus);
    bed_find(bed, letter, bed_time(pass));
    const struct ql_signal *signal = bed_hear(bed, pass, QL_SIGNAL_EXHAUSTION);
    assert_true(signal == NULL || (ql_str_eq(signal->metric, QL_STR("pool_used")) &&
                                   signal->surprise >= 0.0 && signal->surprise < 1.4));
}

/* D and X take no time: a change of service/db, and of another service. */
struct row { const char *what, *findings, *said, *policy; };
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
    /* The passes are at 22:13, 22:28, 22:43 (when three in a row open), 22:58, 23:13, 23:28 ... */
    { "a window holds, and what outlasts it is told", "HHHHHHH", ".....o.",
      "mute: ['22:30-23:20']" },
    { "another window does not", "HHHHHHH", "..o....", "mute: ['22:50-23:20']" },
    { "over before the window ends: never told, and no calm after", "HHH---HHHH", "........o.",
      "mute: ['22:30-23:20']" },
    { "when the window ends it is not likely, but later again", "HHHlllHH", "......o.",
      "mute: ['22:30-23:20']" },
    { "full when the window ends", "HHHFFFF", ".....o.", "mute: ['22:30-23:20']" },
    { "told before a window goes on as it is", "HHHH---", "..o...c", "mute: ['22:50-23:59']" },
    { "switched off", "HHHHHH---HHHHHH", "...............", "detector: off" },
    { "switched on", "HHHHHH", "..o...", "detector: on" },
    { "a deploy holds for its time", "HDHHHHHH", ".....o.", "mute_after_change: 1h" },
    { "that of another service does not", "HXHHHHHH", "..o....", "mute_after_change: 1h" },
    { "without such a policy no deploy does", "HDHHHHHH", "..o....", "importance: low" },
    { "directions and ranges say nothing here", "HHH", "..o",
      "direction: down, min_absolute: 1000, valid_range: [0, 1]" },
};

/* A letter a pass; D and X before it. */
static void bed_findings(struct bed *bed, const char *findings, bool restarts)
{
    for (uint32_t pass = 0; *findings != '\0'; findings++) {
        if (*findings == 'D' || *findings == 'X') {
            bed_change(bed, *findings == 'D' ? "service/db" : "service/cart", pass);
        } else {
            bed_pass(bed, *findings, pass++);
        }
        if (restarts) {
            bed_restart(bed);
        }
    }
}

static void when_a_finding_becomes_a_signal(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (int restarts = 0; restarts < 2; restarts++) {
            struct bed bed;
            bed_open(&bed, rows[i].policy);
            bed_findings(&bed, rows[i].findings, restarts > 0);
            bed_assert_said(&bed, rows[i].what, rows[i].findings, rows[i].said);
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
    bed_open(&bed, NULL);
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
    bed_open(&bed, NULL);
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
    bed_open(&bed, NULL);
    for (uint32_t i = 0; i < 10; i++) {
        bed_pass(&bed, 'H', 0);
        assert_int_equal(bed.said[0], '.');
    }
    bed_close(&bed);
}

/* Counted by reason, policy and kind when it is held first, and once when it comes out. */
static void what_is_held_is_counted(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed, "mute: ['22:30-23:20'], importance: high");
    bed_findings(&bed, "HHHHH", false);
    const char name[] = "ql_detect_held_total";
    assert_int_equal(ql_stats_sum(bed.stats, name, ""), 1);
    assert_int_equal(ql_stats_sum(bed.stats, name, "kind=\"exhaustion\",policy=\"night\""), 1);
    assert_int_equal(ql_stats_sum(bed.stats, name, "reason=\"mute\""), 1);
    assert_int_equal(ql_stats_sum(bed.stats, "ql_detect_told_late_total", ""), 0);
    assert_int_equal(ql_stats_sum(bed.stats, "ql_exhaustion_signals_total", ""), 0);
    bed_pass(&bed, 'H', 5);
    assert_int_equal(bed.said[5], 'o');
    assert_int_equal(ql_stats_sum(bed.stats, name, ""), 1);
    assert_int_equal(ql_stats_sum(bed.stats, "ql_detect_told_late_total", ""), 1);
    assert_int_equal(bed.onset.ns, bed_time(0).ns);
    assert_int_equal(bed.importance, QL_IMPORTANCE_HIGH);
    assert_non_null(strstr(bed.why, " (importance high, policy night)"));
    bed_close(&bed);
}

/* A file that is read again holds for what is held already, and lets it out. */
static void another_file_lets_it_out(void **state)
{
    (void)state;
    struct bed bed;
    bed_open(&bed, "detector: off");
    bed_findings(&bed, "HHHH", false);
    struct ql_config *config = test_config("");
    assert_int_equal(ql_exhaust_stage.adopt_config(bed.stage, config), QL_OK);
    ql_config_free(bed.config);
    bed.config = config;
    bed_pass(&bed, 'H', 4);
    assert_string_equal(bed.said, "....o");
    assert_int_equal(bed.importance, QL_IMPORTANCE_NORMAL);
    assert_null(strstr(bed.why, "importance"));
    bed_close(&bed);
}

/* More are switched off than signals may be open: one that is not still finds its place. */
static void what_is_held_takes_no_place(void **state)
{
    (void)state;
    struct bed bed;
    struct ql_buf other;
    bed_open(&bed, "detector: off");
    ql_buf_init(&other, 4096);
    assert_int_equal(ql_labels_parse(QL_STR("pool_used{service=\"cart\"}"), &other), QL_OK);
    for (uint32_t pass = 0; pass < 3; pass++) {
        ql_batch_reset(&bed.bus);
        for (uint32_t i = 0; i < QL_EXHAUST_OPEN_MAX + 10; i++) {
            bed_find(&bed, 'H', bed_time(pass));
            bed.bus.findings.at[i].series.h.low = i;
        }
        bed_find(&bed, 'H', bed_time(pass));
        struct ql_finding *last = &bed.bus.findings.at[bed.bus.findings.count - 1];
        last->series.h.low = 1u << 20;
        last->labels = ql_buf_view(&other);
        ql_exhaust_stage.push(bed.stage, bed_time(pass), &bed.bus);
    }
    assert_int_equal(bed.bus.signals.count, 1);
    assert_int_equal(ql_stats_sum(bed.stats, "ql_exhaustion_dropped_total", ""), 0);
    assert_int_equal(ql_stats_sum(bed.stats, "ql_detect_held_total", "reason=\"detector\""),
                     QL_EXHAUST_OPEN_MAX + 10);
    ql_buf_fini(&other);
    bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(when_a_finding_becomes_a_signal),
        cmocka_unit_test(the_sentence_names_times_and_record),
        cmocka_unit_test(silence_of_a_day_closes),
        cmocka_unit_test(the_same_look_twice_counts_once),
        cmocka_unit_test(what_is_held_is_counted),
        cmocka_unit_test(another_file_lets_it_out),
        cmocka_unit_test(what_is_held_takes_no_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

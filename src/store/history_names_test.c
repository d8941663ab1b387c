/* history_names_test - what forgotten series were called is found by selector, by time and by id. */
#include "store/history_test.h"

#include "model/labels.h"
#include "model/selector.h"

/* A series that is forgotten: its number, labels, last sample and when it is, in days. */
struct gone { uint64_t number; const char *text; double last_d, forgotten_d; };
static const struct gone gone[] = {
    { 1, "up{job=\"a\"}", 0.5, 1.5 },
    { 2, "up{job=\"b\"}", 1.2, 3.2 },
    { 3, "cpu{pod=\"p1\"}", 1.4, 3.2 },
    { 4, "cpu{pod=\"p2\"}", 3.9, 4.5 },
    { 1, "up{job=\"a\"}", 4.2, 4.6 }, /* it came back, and is forgotten again */
};

static void name_put(struct fixture *f, const struct gone *g)
{
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(g->text), &block), QL_OK);
    const struct ql_series_info info = {
        .id = series_of(g->number), .labels = ql_buf_view(&block), .entity = QL_STR(""),
        .type = QL_METRIC_COUNTER, .step_ms = 15000, .last_at = at_s((int64_t)(g->last_d * DAY_S)) };
    assert_int_equal(ql_history_append_name(f->history, &info,
                                            at_s((int64_t)(g->forgotten_d * DAY_S))), QL_OK);
    ql_buf_fini(&block);
}

/* Numbers of what is found, each a digit, in the order of numbers. */
static void names_expect(struct fixture *f, const char *selector_text, double from_d,
                         uint32_t count_max, const char *expected)
{
    struct ql_series_info infos[8];
    struct ql_selector selector;
    struct ql_arena texts;
    char why[QL_SELECTOR_WHY_BYTES], found[16] = "";
    uint32_t count = 0;
    ql_arena_init(&texts, 1 << 16);
    assert_int_equal(ql_selector_parse(ql_str_of(selector_text), &selector, why), QL_OK);
    assert_int_equal(ql_history_names(f->history, &selector, at_s((int64_t)(from_d * DAY_S)),
                                      count_max, &texts, infos, &count), QL_OK);
    assert_true(count <= count_max);
    for (uint64_t number = 1; number < 9; number++) {
        for (uint32_t i = 0; i < count; i++) {
            if (ql_series_id_eq(infos[i].id, series_of(number))) {
                (void)snprintf(found + strlen(found), sizeof(found) - strlen(found), "%d",
                               (int)number);
                assert_true(ql_selector_matches(&selector, infos[i].labels));
                assert_int_equal(infos[i].step_ms, 15000);
                assert_int_equal(infos[i].type, QL_METRIC_COUNTER);
            }
        }
    }
    if (strcmp(found, expected) != 0) {
        fail_msg("%s from day %g: '%s', not '%s'", selector_text, from_d, found, expected);
    }
    ql_selector_fini(&selector);
    ql_arena_fini(&texts);
}

struct names_row { const char *selector; double from_d; uint32_t count_max; const char *expected; };
static const struct names_row names_rows[] = {
    { "{}", -9, 8, "1234" },
    { "up", -9, 8, "12" },
    { "up", 1, 8, "12" },                      /* 1 for what it was later */
    { "up{job=\"a\"}", 4, 8, "1" },
    { "up", 4.3, 8, "" },                      /* forgotten later, but ended before */
    { "cpu{pod=~\"p.\"}", 1.3, 8, "34" },
    { "cpu", 1.5, 8, "4" },
    { "{__name__=~\"u.*\"}", -9, 8, "12" },
    { "{job=\"b\"}", -9, 8, "2" },
    { "nothing", -9, 8, "" },
};

static void names_all(struct fixture *f)
{
    for (size_t i = 0; i < QL_COUNT_OF(names_rows); i++) {
        const struct names_row *row = &names_rows[i];
        names_expect(f, row->selector, row->from_d, row->count_max, row->expected);
    }
}

static void assert_name(struct fixture *f, uint64_t number, double last_d)
{
    struct ql_series_info info;
    struct ql_arena texts;
    ql_arena_init(&texts, 1 << 16);
    const ql_err err = ql_history_name(f->history, series_of(number), &texts, &info);
    assert_int_equal(err, last_d > 0.0 ? QL_OK : QL_E_NOT_FOUND);
    if (err == QL_OK) {
        assert_true(info.last_at.ns == at_s((int64_t)(last_d * DAY_S)).ns);
        assert_true(info.labels.bytes > 0);
    }
    ql_arena_fini(&texts);
}

static void forgotten_series_are_found(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < QL_COUNT_OF(gone); i++) {
        name_put(&f, &gone[i]); /* found while it waits, too */
    }
    names_all(&f);
    fixture_reopen(&f, &keep_raw);
    names_all(&f);
    assert_name(&f, 1, 4.2);
    assert_name(&f, 2, 1.2);
    assert_name(&f, 7, 0.0);
    names_expect(&f, "{}", -9, 4, "1234");
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_names_cut_total", ""), 0);
    fixture_fini(&f);
}

static uint32_t names_count(struct fixture *f, uint32_t count_max)
{
    struct ql_series_info infos[8];
    struct ql_selector selector;
    struct ql_arena texts;
    char why[QL_SELECTOR_WHY_BYTES];
    uint32_t count = 0;
    ql_arena_init(&texts, 1 << 16);
    assert_int_equal(ql_selector_parse(QL_STR("{}"), &selector, why), QL_OK);
    assert_int_equal(ql_history_names(f->history, &selector, at_s(-DAY_S), count_max, &texts, infos,
                                      &count), QL_OK);
    ql_selector_fini(&selector);
    ql_arena_fini(&texts);
    return count;
}

static void no_more_than_asked_for(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    for (size_t i = 0; i < QL_COUNT_OF(gone); i++) {
        name_put(&f, &gone[i]);
    }
    for (uint32_t most = 1; most < 8; most++) {
        assert_int_equal(names_count(&f, most), most < 4 ? most : 4);
    }
    fixture_fini(&f);
}

/* A name makes no day older or newer than it is, packs nothing anew, and goes with its file. */
static void names_go_with_their_days(void **state)
{
    const struct ql_history_limits days = { .days = 3.0 };
    struct fixture f;
    (void)state;
    fixture_init(&f);
    samples_put(&f, 1, 0, DAY_S / 2, value_wave);
    samples_put(&f, 1, DAY_S + 3600, DAY_S + 7 * 3600, value_wave); /* the first day is due */
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 1);
    name_put(&f, &gone[0]);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 1);
    assert_raw(&f, 1, 0, DAY_S / 2, value_wave);
    assert_name(&f, 1, 0.5);
    fixture_reopen(&f, &days);
    assert_name(&f, 1, 0.5);
    samples_put(&f, 2, 6 * DAY_S, 6 * DAY_S + 3600, value_wave);
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    assert_name(&f, 1, 0.0);
    fixture_fini(&f);
}

static int64_t tables_of_names(const struct fixture *f)
{
    char path[QL_HISTORY_PATH_BYTES];
    sqlite3 *db;
    int64_t count = -1;
    assert_true(ql_history_day_path(f->dir, start_s / DAY_S + 1, path));
    assert_int_equal(ql_db_open(path, QL_DB_READ, &db), QL_OK);
    assert_int_equal(ql_db_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'names'", 0,
                                  &count), QL_OK);
    ql_db_close(db);
    return count;
}

/* A day without names, as older builds have them, has no room for them either, and takes them. */
static void days_without_names(void **state)
{
    struct fixture f;
    (void)state;
    fixture_init(&f);
    samples_put(&f, 1, DAY_S, DAY_S + 3600, value_wave);
    assert_name(&f, 1, 0.0);
    assert_int_equal(tables_of_names(&f), 0);
    fixture_reopen(&f, &keep_raw);
    name_put(&f, &gone[0]);
    assert_name(&f, 1, 0.5);
    assert_int_equal(tables_of_names(&f), 1);
    assert_raw(&f, 1, DAY_S, DAY_S + 3600, value_wave);
    fixture_fini(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forgotten_series_are_found),
        cmocka_unit_test(no_more_than_asked_for),
        cmocka_unit_test(names_go_with_their_days),
        cmocka_unit_test(days_without_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* survey_test - what has a limit among a handful of series, over a view made by hand. */
#include "forecast/survey.h"

#include "config/config.h"
#include "model/selector.h"
#include "model/view_test.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW_S INT64_C(1700006400) /* a multiple of 600 */

struct fake_series { const char *text; double value; };
static const struct fake_series fakes[] = { /* sorted by name, as a view answers */
    { "db_free{service=\"db\"}", 30 },      { "db_size{service=\"db\"}", 100 },
    { "db_size{service=\"other\"}", 500 },  { "pool_max{service=\"a\"}", 50 },
    { "pool_max{service=\"b\"}", -1 },      { "pool_used{service=\"a\"}", 40 },
    { "pool_used{service=\"b\"}", 40 },     { "probe_ssl_earliest_cert_expiry{i=\"w\"}", 0 },
    { "queue_depth{service=\"jobs\"}", 10 },
};

static const char *fake_text(uint32_t number) { return fakes[number].text; }

static ql_err fake_find(void *host, const struct ql_matcher *matchers, uint32_t matcher_count,
                        uint32_t count_max, struct ql_arena *texts,
                        struct ql_series_info **ret_infos, uint32_t *ret_count)
{
    (void)host;
    (void)matchers;
    (void)matcher_count;
    assert_true(count_max >= QL_COUNT_OF(fakes));
    *ret_infos = test_infos(QL_COUNT_OF(fakes), fake_text, texts);
    *ret_count = QL_COUNT_OF(fakes);
    return QL_OK;
}

/* Five days up to a minute ago; a stale marker stands at the very end. */
static ql_err fake_read(void *host, ql_series_id id, ql_time from, ql_time to,
                        struct ql_batch *out)
{
    (void)host;
    for (int64_t at = NOW_S - 5 * 86400; at < NOW_S; at += 300) {
        const double value = id.h.low == 7 ? (double)NOW_S + 7200.0 : fakes[id.h.low].value;
        if (at * QL_NS_PER_S >= from.ns && at * QL_NS_PER_S <= to.ns) {
            struct ql_sample *sample = ql_batch_add_sample(out);
            assert_non_null(sample);
            *sample = (struct ql_sample){ { at * QL_NS_PER_S }, value };
        }
    }
    struct ql_sample *stale = ql_batch_add_sample(out);
    assert_non_null(stale);
    *stale = (struct ql_sample){ { (NOW_S - 1) * QL_NS_PER_S }, ql_stale_marker() };
    return QL_OK;
}

static ql_time fake_now(void *host)
{
    (void)host;
    return (ql_time){ NOW_S * QL_NS_PER_S + 5 };
}

static const char yaml[] =
    "resources:\n"
    "  - {name: jobs, match: queue_depth, limit: 20}\n"
    "  - {name: tablespace, match: db_free, limit_match: db_size, counts: free}\n"
    "  - {name: nobody, match: no_such, limit: 5}\n"
    "  - {name: two at once, match: queue_depth, limit_match: db_size}\n";

struct row { const char *limit_name; uint32_t series; bool judged; double used, limit; };
static const struct row rows[] = {
    { "jobs", 8, true, 10, 20 },
    { "tablespace", 0, true, 70, 100 },
    { "pool_max", 5, true, 40, 50 },
    { "pool_max", 6, false, 0, -1 }, /* -1: no limit */
    { "its end", 7, true, -7200, 1 },
};

static void what_has_a_limit(void **state)
{
    (void)state;
    const struct ql_view view = { .series_find = fake_find, .series_read = fake_read,
                                  .now = fake_now };
    struct ql_config *config;
    struct ql_survey survey;
    struct ql_selector all;
    struct ql_buf text;
    char why[QL_SELECTOR_WHY_BYTES];
    ql_buf_init(&text, 4096);
    assert_int_equal(ql_config_parse(ql_str_of(yaml), "y", &config, &text), QL_OK);
    assert_int_equal(ql_selector_parse(QL_STR("{}"), &all, why), QL_OK);
    assert_int_equal(ql_survey_open(&view, config, 86400.0, &survey), QL_OK);
    assert_int_equal(ql_survey_find(&survey, &all), QL_OK);
    assert_int_equal(survey.pair_count, QL_COUNT_OF(rows));
    assert_false(survey.more);
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_surveyed *pair = &survey.pairs[i];
        assert_int_equal(ql_survey_judge(&survey, pair), QL_OK);
        if (pair->series->id.h.low != rows[i].series || pair->judged != rows[i].judged ||
            !ql_str_eq(pair->limit_name, ql_str_of(rows[i].limit_name)) ||
            (pair->judged && (pair->used != rows[i].used || pair->limit != rows[i].limit))) {
            fail_msg("row %u: %.*s of %s: %g of %g", i, QL_STR_ARG(pair->limit_name),
                     fakes[pair->series->id.h.low].text, pair->used, pair->limit);
        }
    }
    assert_true(survey.pairs[4].capacity.full == 1.0);
    ql_survey_close(&survey);
    ql_selector_fini(&all);
    ql_config_free(config);
    ql_buf_fini(&text);
}

static void means_leave_out_what_is_no_value(void **state)
{
    (void)state;
    static double cells[QL_SURVEY_CELLS];
    const double values[] = { 1.0, ql_stale_marker(), 3.0, NAN, INFINITY };
    struct ql_batch batch;
    ql_batch_init(&batch, 1 << 16);
    for (size_t i = 0; i < QL_COUNT_OF(values); i++) {
        struct ql_sample *sample = ql_batch_add_sample(&batch);
        assert_non_null(sample);
        *sample = (struct ql_sample){ { 1000 - 10 + (int64_t)i }, values[i] };
    }
    ql_survey_means(&batch, (ql_time){ 1000 }, 100, cells);
    assert_true(cells[QL_SURVEY_CELLS - 1] == 2.0);
    assert_true(isnan(cells[QL_SURVEY_CELLS - 2]));
    ql_batch_fini(&batch);
}

/* ---- disks ------------------------------------------------------------------------------ */

#define CTL(device, id)                                                                     \
    "smartctl_device_attribute{attribute_id=\"" id "\",attribute_name=\"n" id                \
    "\",attribute_value_type=\"raw\",device=\"" device "\"}"
#define MON(name, disk) "smartmon_" name "_raw_value{disk=\"" disk "\"}"

/* before_s: how long ago its newest value came; below 0: never. */
struct counter { const char *text; double value; int64_t before_s; bool ended; };
static const struct counter counters[] = { /* sorted as a view answers */
    { CTL("sda", "197"), 12, 60, false },
    { CTL("sda", "5"), 3, 60, false },
    { CTL("sda", "9"), 40000, 60, false },
    { CTL("sdb", "197"), 0, 60, false },
    { CTL("sdb", "5"), 0, 60, false },
    { CTL("sdc", "5"), 7, 120, true },                  /* the disk is gone */
    { CTL("sdd", "5"), 7, -1, false },                  /* long gone */
    { MON("command_timeout", "/dev/sda"), 2, 5 * 3600, false },
    { MON("current_pending_sector", "/dev/sda"), 0, 3 * 3600, false },
    { MON("reallocated_sector_ct", "/dev/sda"), 0, 3 * 3600, false },
    { MON("reported_uncorrect", "/dev/sdb"), 1, 60, false },
};

static const char *counter_text(uint32_t number) { return counters[number].text; }

static ql_err counter_find(void *host, const struct ql_matcher *matchers, uint32_t matcher_count,
                           uint32_t count_max, struct ql_arena *texts,
                           struct ql_series_info **ret_infos, uint32_t *ret_count)
{
    (void)host, (void)matchers, (void)matcher_count;
    assert_true(count_max >= QL_COUNT_OF(counters));
    *ret_infos = test_infos(QL_COUNT_OF(counters), counter_text, texts);
    *ret_count = QL_COUNT_OF(counters);
    return QL_OK;
}

static void counter_sample(struct ql_batch *out, ql_time from, ql_time to, int64_t ns, double value)
{
    if (ns >= from.ns && ns <= to.ns) {
        struct ql_sample *sample = ql_batch_add_sample(out);
        assert_non_null(sample);
        *sample = (struct ql_sample){ { ns }, value };
    }
}

/* Another value before the newest, and a NaN behind it. */
static ql_err counter_raw(void *host, ql_series_id id, ql_time from, ql_time to,
                          struct ql_batch *out)
{
    (void)host;
    const struct counter *c = &counters[id.h.low];
    const int64_t at = (NOW_S - c->before_s) * QL_NS_PER_S;
    if (c->before_s < 0) {
        return QL_E_NOT_FOUND;
    }
    counter_sample(out, from, to, at - 300 * QL_NS_PER_S, c->value + 100.0);
    counter_sample(out, from, to, at, c->value);
    counter_sample(out, from, to, at + QL_NS_PER_S, c->ended ? ql_stale_marker() : NAN);
    return QL_OK;
}

struct disk_row { uint32_t series; bool judged; double full, smart[QL_DISK_COUNTERS]; };
static const struct disk_row disk_rows[] = {
    { 1, true, 1, { 3, -1, -1, 12, -1 } },
    { 4, true, 0, { 0, -1, -1, 0, -1 } },
    { 5, false, 0, { -1, -1, -1, -1, -1 } },
    { 6, false, 0, { -1, -1, -1, -1, -1 } },
    { 9, true, 0, { 0, -1, -1, 0, -1 } },   /* its timeouts are of a disk before it */
    { 10, true, 1, { -1, 1, -1, -1, -1 } },
};

static void disks_among_them(const struct ql_view *view, const struct ql_config *config,
                             uint32_t wanted)
{
    struct ql_survey survey;
    struct ql_selector all;
    char why[QL_SELECTOR_WHY_BYTES];
    assert_int_equal(ql_selector_parse(QL_STR("{}"), &all, why), QL_OK);
    assert_int_equal(ql_survey_open(view, config, 86400.0, &survey), QL_OK);
    assert_int_equal(ql_survey_find(&survey, &all), QL_OK);
    assert_int_equal(survey.pair_count, wanted);
    for (uint32_t i = 0; i < survey.pair_count; i++) {
        const struct disk_row *row = &disk_rows[i];
        struct ql_surveyed *disk = &survey.pairs[i];
        assert_int_equal(disk->source, QL_SURVEY_DISK);
        assert_int_equal(ql_survey_judge(&survey, disk), QL_OK);
        if (disk->series->id.h.low != row->series || disk->judged != row->judged ||
            disk->capacity.full != row->full ||
            memcmp(disk->smart, row->smart, sizeof(row->smart)) != 0) {
            fail_msg("disk %u, of series %s", i, counters[disk->series->id.h.low].text);
        }
        if (disk->judged) {
            assert_true(disk->at.ns == (NOW_S - counters[row->series].before_s) * QL_NS_PER_S);
            assert_true((disk->used > 0.0) == (row->full > 0.0));
        }
    }
    ql_survey_close(&survey);
    ql_selector_fini(&all);
}

static void which_disks_there_are(void **state)
{
    (void)state;
    const struct ql_view view = { .series_find = counter_find, .series_raw = counter_raw,
                                  .now = fake_now };
    struct ql_config *config;
    struct ql_buf why;
    ql_buf_init(&why, 4096);
    disks_among_them(&view, NULL, QL_COUNT_OF(disk_rows));
    assert_int_equal(ql_config_parse(QL_STR("forecast: {disks: false}\n"), "y", &config, &why),
                     QL_OK);
    disks_among_them(&view, config, 0);
    ql_config_free(config);
    ql_buf_fini(&why);
}

/* ---- ends --------------------------------------------------------------------------------- */

#define DAY_S 86400.0

/* What has an end in `left_d` days and is known for `known_d`. It was renewed every `every_d`
 * days (0: never), the last time so long ago that it is over when it should have been again. */
struct end_row {
    const char *story;
    double left_d, known_d, every_d, valid_d;
    double most_d;         /* forecast.expiry_horizon */
    double horizon_d, full;
};
static const struct end_row end_rows[] = {
    { "told two weeks ahead", 10, 30, 0, 0, 14, 14, 1 },
    { "or what was asked for", 10, 30, 0, 0, 7, 7, 0 },
    { "and never less than of everything", 0.5, 30, 0, 0, 1, 1, 1 },
    { "not yet near", 20, 30, 0, 0, 14, 14, 0 },
    { "renewed a month before each end", 25, 30, 60, 90, 14, 14, 0 },
    { "known too short for so old a claim", 10, 5, 0, 0, 14, 1.75, 0 },
    { "known for hours", 0.5, 0.3, 0, 0, 14, 1, 1 },
    { "renewed three days before, and now not", 1.5, 30, 4, 7, 14, 1.75, 1 },
    { "renewed on the last day, and soon again", 1.2, 30, 4, 5, 14, 1, 0 },
};
static const struct end_row *end_row;

static const char *end_text(uint32_t number)
{
    (void)number;
    return "x509_cert_not_after{host=\"w\"}";
}

static ql_err end_find(void *host, const struct ql_matcher *matchers, uint32_t matcher_count,
                       uint32_t count_max, struct ql_arena *texts,
                       struct ql_series_info **ret_infos, uint32_t *ret_count)
{
    (void)host, (void)matchers, (void)matcher_count;
    assert_true(count_max >= 1);
    *ret_infos = test_infos(1, end_text, texts);
    *ret_count = 1;
    return QL_OK;
}

static ql_err end_read(void *host, ql_series_id id, ql_time from, ql_time to, struct ql_batch *out)
{
    (void)host, (void)id;
    const struct end_row *r = end_row;
    for (double at = (double)NOW_S - r->known_d * DAY_S; at < (double)NOW_S; at += 300.0) {
        double end = (double)NOW_S + r->left_d * DAY_S;
        while (r->every_d > 0.0 && at < end - r->valid_d * DAY_S) {
            end -= r->every_d * DAY_S; /* the one before it */
        }
        const int64_t ns = (int64_t)at * QL_NS_PER_S;
        if (ns >= from.ns && ns <= to.ns) {
            struct ql_sample *sample = ql_batch_add_sample(out);
            assert_non_null(sample);
            *sample = (struct ql_sample){ { ns }, end };
        }
    }
    return QL_OK;
}

static void ends_are_told_as_far_ahead_as_their_record_is_good(void **state)
{
    (void)state;
    const struct ql_view view = { .series_find = end_find, .series_read = end_read,
                                  .now = fake_now };
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector all;
    assert_int_equal(ql_selector_parse(QL_STR("{}"), &all, why), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(end_rows); i++) {
        struct ql_survey survey;
        end_row = &end_rows[i];
        assert_int_equal(ql_survey_open(&view, NULL, DAY_S, &survey), QL_OK);
        survey.expiry_horizon_s = end_row->most_d * DAY_S;
        assert_int_equal(ql_survey_find(&survey, &all), QL_OK);
        assert_int_equal(survey.pair_count, 1);
        const struct ql_surveyed *end = &survey.pairs[0];
        assert_int_equal(ql_survey_judge(&survey, &survey.pairs[0]), QL_OK);
        if (!end->judged || end->horizon_s != end_row->horizon_d * DAY_S ||
            end->capacity.full != end_row->full) {
            fail_msg("%s: full %g within %g days, right %u of %u", end_row->story,
                     end->capacity.full, end->horizon_s / DAY_S, end->capacity.right,
                     end->capacity.tests);
        }
        ql_survey_close(&survey);
    }
    ql_selector_fini(&all);
}

/* ---- more than it keeps ------------------------------------------------------------------- */

enum { MANY = QL_SURVEY_PAIRS_MAX + 500 };

static const char *many_text(uint32_t number)
{
    static char text[64];
    (void)snprintf(text, sizeof(text), "x509_cert_not_after{host=\"w%u\"}", number);
    return text;
}

static ql_err many_find(void *host, const struct ql_matcher *matchers, uint32_t matcher_count,
                        uint32_t count_max, struct ql_arena *texts,
                        struct ql_series_info **ret_infos, uint32_t *ret_count)
{
    (void)host, (void)matchers, (void)matcher_count;
    assert_true(count_max >= MANY);
    *ret_infos = test_infos(MANY, many_text, texts);
    *ret_count = MANY;
    return QL_OK;
}

struct many_row { uint32_t skip, count, first; };
static const struct many_row many_rows[] = {
    { 0, QL_SURVEY_PAIRS_MAX, 0 },
    { 300, QL_SURVEY_PAIRS_MAX, 300 },
    { QL_SURVEY_PAIRS_MAX, 500, QL_SURVEY_PAIRS_MAX },
    { MANY, 0, 0 },
};

static void what_is_left_out_is_counted_and_can_be_had(void **state)
{
    (void)state;
    const struct ql_view view = { .series_find = many_find, .now = fake_now };
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector all;
    assert_int_equal(ql_selector_parse(QL_STR("{}"), &all, why), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(many_rows); i++) {
        const struct many_row *row = &many_rows[i];
        struct ql_survey survey;
        assert_int_equal(ql_survey_open(&view, NULL, DAY_S, &survey), QL_OK);
        survey.skip = row->skip;
        assert_int_equal(ql_survey_find(&survey, &all), QL_OK);
        assert_int_equal(survey.pair_count, row->count);
        assert_int_equal(survey.pairs_found, MANY);
        assert_true(survey.more);
        assert_true(row->count == 0 || survey.pairs[0].series->id.h.low == row->first);
        ql_survey_close(&survey);
    }
    ql_selector_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_has_a_limit),
        cmocka_unit_test(which_disks_there_are),
        cmocka_unit_test(ends_are_told_as_far_ahead_as_their_record_is_good),
        cmocka_unit_test(what_is_left_out_is_counted_and_can_be_had),
        cmocka_unit_test(means_leave_out_what_is_no_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

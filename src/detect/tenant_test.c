/* Tenants keep their budgets to themselves, and families of metrics their quotas. */
#include "base/rng.h"
#include "config/config.h"
#include "detect/dt_judge.h"
#include "model/labels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { SERIES_MAX = 700, STEP_S = 300, DAY_POINTS = 86400 / STEP_S, DAYS = 42, SETTLED = 20 };
enum { FAMILIES = 5, PARTIES = 3, FLAP_POINTS = 6 };
#define FLAP_SIZE 6.0 /* mean, in deviations: some are hardly one, some are plain */
#define MONDAY INT64_C(1767571200)

/* A party is the series of one tenant, or of one family of metrics. */
struct party {
    const char *team;           /* label; "" for none */
    uint32_t series;
    uint32_t family;            /* of the first; the others follow round */
    uint32_t families;
    double flaps_per_day;       /* of each series: real excursions, of any size */
};
struct fleet {
    struct ql_dt_judge judge;
    struct ql_series_table *series;
    struct ql_config *config;
    struct ql_rng rng[PARTIES];
    uint32_t count, party[SERIES_MAX], family[SERIES_MAX];
    double level[SERIES_MAX], walk[SERIES_MAX], flap[SERIES_MAX];
    uint32_t flap_end[SERIES_MAX];
    uint32_t opened[PARTIES], families[FAMILIES + 1];
};

static void fleet_adopt(struct fleet *f, const char *yaml)
{
    struct ql_config *config;
    struct ql_dt_tenants_next next;
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    if (ql_config_parse(ql_str_of(yaml), "test", &config, &why) != QL_OK) {
        fail_msg("%.*s", QL_STR_ARG(ql_buf_view(&why)));
    }
    ql_buf_fini(&why);
    assert_int_equal(ql_dt_tenants_prepare(config, &next), QL_OK);
    ql_dt_tenants_adopt(&f->judge.tenants, &next, config, f->series, 1.0);
    ql_config_free(f->config);
    f->config = config;
}

static void fleet_add(struct fleet *f, uint32_t party, const struct party *p)
{
    for (uint32_t i = 0; i < p->series; i++) {
        char text[80];
        struct ql_buf block;
        uint32_t index;
        bool added;
        ql_buf_init(&block, 4096);
        (void)snprintf(text, sizeof(text), "m{i=\"%u\",team=\"%s\"}", f->count, p->team);
        assert_int_equal(ql_labels_parse(ql_str_of(text), &block), QL_OK);
        const ql_str labels = ql_buf_view(&block);
        assert_int_equal(ql_series_add(f->series, ql_hash128_of(labels.at, labels.bytes), labels,
                                       QL_METRIC_GAUGE, &index, &added), QL_OK);
        ql_buf_fini(&block);
        ql_series_at(f->series, index)->step_ms = STEP_S * 1000;
        f->party[index] = party;
        f->family[index] = p->family + i % p->families;
        f->level[index] = 50.0 + 200.0 * ql_rng_ratio(&f->rng[party]);
        f->count++;
    }
}

static void fleet_open(struct fleet *f, const char *yaml, const struct party *parties,
                       uint32_t count, uint64_t seed)
{
    *f = (struct fleet){ 0 };
    assert_int_equal(ql_series_table_new(SERIES_MAX, &f->series), QL_OK);
    assert_int_equal(ql_dt_judge_init(&f->judge, SERIES_MAX, 1.0), QL_OK);
    fleet_adopt(f, yaml);
    for (uint32_t p = 0; p < count; p++) {
        ql_rng_init(&f->rng[p], seed + p, "tenants"); /* each its own: none hears another */
        fleet_add(f, p, &parties[p]);
    }
}

static void fleet_close(struct fleet *f)
{
    ql_dt_judge_fini(&f->judge);
    ql_series_table_free(f->series);
    ql_config_free(f->config);
}

/* Four kinds of normal life, and on top what the party does. */
static double fleet_value(struct fleet *f, uint32_t i, const struct party *p, uint32_t point)
{
    struct ql_rng *rng = &f->rng[f->party[i]];
    const double z = ql_rng_normal(rng), level = f->level[i];
    const double when = ql_rng_ratio(rng), size = -FLAP_SIZE * log(1.0 - ql_rng_ratio(rng));
    if (when * DAY_POINTS < p->flaps_per_day) {
        f->flap[i] = size;
        f->flap_end[i] = point + FLAP_POINTS;
    }
    const double spike = point < f->flap_end[i] ? f->flap[i] : 0.0;
    f->walk[i] += 0.05 * (-f->walk[i]) + 0.3 * z;
    switch (i % 4) {
    case 0: return level + 0.05 * level * (z + spike);
    case 1: return level * exp(0.4 * (z + spike / 4.0));
    case 2: return level + 0.1 * level * (f->walk[i] + spike);
    default:
        return level * (1.0 + 0.5 * sin(2 * M_PI * (double)(point % DAY_POINTS) / DAY_POINTS)) +
               0.05 * level * (z + spike);
    }
}

static void fleet_opened(struct fleet *f, uint32_t series, uint32_t point)
{
    if (point >= SETTLED * DAY_POINTS) {
        f->opened[f->party[series]]++;
        f->families[f->family[series]]++;
    }
}

static void fleet_live(struct fleet *f, const struct party *parties, uint32_t flaps_from)
{
    for (uint32_t point = 0; point < DAYS * DAY_POINTS; point++) {
        const int64_t at_ns = (MONDAY + (int64_t)point * STEP_S) * QL_NS_PER_S;
        const uint32_t together = ql_dt_judge_together(&f->judge);
        for (uint32_t i = 0; i < together; i++) {
            fleet_opened(f, f->judge.together.near[i].series, point);
        }
        ql_dt_judge_sweep(&f->judge, f->count);
        ql_dt_judge_threshold(&f->judge);
        for (uint32_t i = 0; i < f->count; i++) {
            struct party p = parties[f->party[i]];
            struct ql_dt_verdict v;
            p.flaps_per_day = point >= flaps_from * DAY_POINTS ? p.flaps_per_day : 0.0;
            const struct ql_dt_input in = { at_ns, fleet_value(f, i, &p, point), STEP_S * 1000,
                                            false };
            ql_dt_judge_find(&f->judge, i);
            if (ql_dt_judge_value(&f->judge, i, f->family[i], &in, &v) == QL_DT_OPENED) {
                fleet_opened(f, i, point);
            }
        }
    }
}

static double daily(uint32_t opened) { return (double)opened / (DAYS - SETTLED); }

static void within_a_fifth(double came, double wanted)
{
    assert_true(came >= 0.8 * wanted && came <= 1.2 * wanted);
}

/* ---- tenants ---------------------------------------------------------------------- */

static const char two_tenants[] =
    "detect: {signals_per_day: 4}\n"
    "tenants:\n"
    "  - {name: big, match: '{team=\"big\"}', signals_per_day: 12}\n"
    "  - {name: small, match: '{team=~\"sm.*\"}', signals_per_day: 6}\n";

/* Whatever one of them does, the others are judged as if it were not there; all they share is
 * the room for daily profiles. */
static void each_tenant_keeps_its_budget(void **state)
{
    (void)state;
    static const struct { const char *story; double flaps[PARTIES]; } rows[] = {
        { "all are calm", { 0.0, 0.0, 0.0 } },
        { "the small one is noisy", { 0.0, 3.0, 0.0 } },
        { "the big one is noisy", { 3.0, 0.0, 0.0 } },
    };
    static const double wanted[PARTIES] = { 12.0, 6.0, 4.0 };
    static const uint32_t tenants[PARTIES] = { 1, 2, 0 };
    struct { uint32_t opened; double threshold; } calm[PARTIES];
    for (uint32_t row = 0; row < QL_COUNT_OF(rows); row++) {
        static struct fleet f;
        const double *flaps = rows[row].flaps;
        const struct party parties[PARTIES] = {
            { "big", 480, 0, 5, flaps[0] },
            { "small", 60, 0, 5, flaps[1] },
            { "", 120, 0, 5, flaps[2] },
        };
        fleet_open(&f, two_tenants, parties, PARTIES, 11);
        fleet_live(&f, parties, 0);
        for (uint32_t p = 0; p < PARTIES; p++) {
            const struct ql_dt_tenant *t = &f.judge.tenants.at[tenants[p]];
            (void)printf("seed 11, %s: %s %.0f a day wanted, %.2f came, threshold %.2f, control "
                         "%.2f\n", rows[row].story, t->name, wanted[p], daily(f.opened[p]),
                         t->threshold, t->budget.control);
            within_a_fifth(daily(f.opened[p]), wanted[p]);
            if (row == 0) {
                calm[p].opened = f.opened[p];
                calm[p].threshold = t->threshold;
            } else if (flaps[p] <= 0.0) {
                assert_true(fabs((double)f.opened[p] - (double)calm[p].opened) <=
                            0.02 * calm[p].opened);
                assert_true(fabs(t->threshold - calm[p].threshold) < 0.05);
            } else {
                assert_true(t->threshold > calm[p].threshold);
            }
        }
        fleet_close(&f);
    }
}

/* ---- families --------------------------------------------------------------------- */

static void a_family_does_not_silence_the_others(void **state)
{
    (void)state;
    /* The last row knows no families: the same fleet, to see what they are good for. */
    static const struct { const char *story; double flaps; uint32_t family; } rows[] = {
        { "a calm family", 0.0, 4 },
        { "a wild family", 2.0, 4 },
        { "the same, no families", 2.0, 0 },
    };
    double others[3] = { 0 }, all[3] = { 0 };
    for (uint32_t row = 0; row < QL_COUNT_OF(rows); row++) {
        static struct fleet f;
        const struct party parties[] = {
            { "", 560, 0, rows[row].family > 0 ? 4 : 1, 0.0 },
            { "", 30, rows[row].family, 1, rows[row].flaps },
        };
        fleet_open(&f, "detect: {signals_per_day: 10}\n", parties, 2, 21);
        fleet_live(&f, parties, SETTLED);
        const struct ql_dt_tenant *t = &f.judge.tenants.at[0];
        others[row] = daily(f.opened[0]);
        all[row] = others[row] + daily(f.opened[1]);
        (void)printf("seed 21, %s: 10 a day wanted, %.2f came, %.2f of the others, threshold "
                     "%.2f, control %.2f, family's %.2f\n", rows[row].story, all[row], others[row],
                     t->threshold, t->budget.control, t->budget.quotas[4].control);
        fleet_close(&f);
    }
    within_a_fifth(all[0], 10.0);
    within_a_fifth(all[1], 10.0);
    assert_true(others[1] >= 0.8 * others[0]);
    assert_true(others[2] < 0.6 * others[0]);
}

/* ---- a new list, and a checkpoint -------------------------------------------------- */

static const struct party three_teams[PARTIES] = {
    { "a", 40, 0, 5, 0.0 }, { "b", 40, 0, 5, 0.0 }, { "", 40, 0, 5, 0.0 },
};
#define BOTH                                                                                   \
    "tenants: [{name: a, match: '{team=\"a\"}', signals_per_day: 5}, "                         \
    "{name: b, match: '{team=\"b\"}', signals_per_day: 5}]\n"
#define TURNED                                                                                 \
    "tenants: [{name: b, match: '{team=\"b\"}', signals_per_day: 5}, "                         \
    "{name: a, match: '{team=\"a\"}', signals_per_day: 7}, "                                   \
    "{name: c, match: '{team=\"\"}', signals_per_day: 1}]\n"

static void points_push(struct fleet *f, uint32_t from, uint32_t to, uint32_t series)
{
    for (uint32_t point = from; point < to; point++) {
        const int64_t at_ns = (MONDAY + (int64_t)point * STEP_S) * QL_NS_PER_S;
        (void)ql_dt_judge_together(&f->judge);
        ql_dt_judge_sweep(&f->judge, f->count);
        ql_dt_judge_threshold(&f->judge);
        for (uint32_t i = 0; i < series; i++) {
            const struct ql_dt_input in = {
                at_ns, fleet_value(f, i, &three_teams[f->party[i]], point), STEP_S * 1000, false
            };
            struct ql_dt_verdict v;
            ql_dt_judge_find(&f->judge, i);
            (void)ql_dt_judge_value(&f->judge, i, f->family[i], &in, &v);
        }
    }
}

static void tenants_are(const struct fleet *f, const char *const wanted[PARTIES])
{
    for (uint32_t i = 0; i < f->count; i++) {
        assert_string_equal(ql_dt_judge_tenant(&f->judge, i)->name, wanted[f->party[i]]);
    }
    double rates = 0.0;
    for (uint32_t i = 0; i < f->judge.tenants.count; i++) {
        rates += f->judge.tenants.at[i].rate;
    }
    assert_int_equal(f->judge.tenants.known, f->judge.active_count);
    assert_true(fabs(rates - (double)f->judge.active_count * DAY_POINTS) < 1e-6);
}

static void a_new_list_reaches_known_series(void **state)
{
    (void)state;
    static struct fleet f;
    static const char *const both[] = { "a", "b", "default" }, *const turned[] = { "a", "b", "c" },
                            *const none[] = { "default", "default", "default" };
    fleet_open(&f, BOTH, three_teams, PARTIES, 31);
    points_push(&f, 0, 200, f.count);
    tenants_are(&f, both);
    f.judge.tenants.at[1].budget.control = 0.25;
    f.judge.tenants.at[2].budget.control = 0.5;
    fleet_adopt(&f, BOTH);
    tenants_are(&f, both); /* the same list: nobody is looked up again */
    fleet_adopt(&f, TURNED);
    assert_int_equal(f.judge.tenants.known, 0);
    assert_int_equal(f.judge.tenants.at[3].pools[0].points, f.judge.tenants.at[0].pools[0].points);
    assert_true(f.judge.tenants.at[3].pools[0].points > 0); /* c starts with what is known */
    assert_true(f.judge.tenants.at[1].budget.control >= 0.5); /* b, under its name */
    assert_true(f.judge.tenants.at[2].budget.control <= 0.0); /* another budget, anew */
    ql_dt_judge_threshold(&f.judge);
    assert_true(f.judge.tenants.at[3].threshold >= 4.5); /* not as if it had no series */
    assert_true(f.judge.tenants.at[3].budget.points_per_day >= 120.0 * DAY_POINTS * 0.99);
    points_push(&f, 200, 201, 60); /* half of them are silent: the sweep finds these */
    tenants_are(&f, turned);
    points_push(&f, 201, 202, f.count);
    for (uint32_t i = 1; i <= 3; i++) {
        const double points = f.judge.tenants.at[i].budget.points_per_day;
        assert_true(fabs(points - 40.0 * DAY_POINTS) < 40.0 * DAY_POINTS * 0.01);
    }
    fleet_adopt(&f, "{}");
    assert_int_equal(f.judge.tenants.count, 1);
    for (uint32_t i = 0; i < f.count; i++) {
        assert_string_equal(ql_dt_judge_tenant(&f.judge, i)->name, none[0]);
    }
    fleet_close(&f);
}

static void a_checkpoint_keeps_whose_is_what(void **state)
{
    (void)state;
    static struct fleet f, same, other;
    static const char *const both[] = { "a", "b", "default" }, *const turned[] = { "a", "b", "c" };
    struct ql_buf saved, again;
    ql_buf_init(&saved, 16 << 20);
    ql_buf_init(&again, 16 << 20);
    fleet_open(&f, BOTH, three_teams, PARTIES, 32);
    fleet_open(&same, BOTH, three_teams, PARTIES, 32);
    fleet_open(&other, TURNED, three_teams, PARTIES, 32);
    points_push(&f, 0, 300, f.count);
    assert_int_equal(ql_dt_judge_save(&f.judge, f.count, &saved), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_dt_judge_load(&same.judge, &in), QL_OK);
    tenants_are(&same, both);
    for (uint32_t i = 0; i < f.judge.tenants.count; i++) {
        assert_memory_equal(f.judge.tenants.at[i].rules, same.judge.tenants.at[i].rules,
                            sizeof(same.judge.tenants.at[i].rules));
    }
    assert_int_equal(ql_dt_judge_save(&same.judge, f.count, &again), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&saved), ql_buf_view(&again)));
    in = ql_reader_of(ql_buf_view(&saved)); /* the list was changed while it was down */
    assert_int_equal(ql_dt_judge_load(&other.judge, &in), QL_OK);
    assert_memory_equal(&other.judge.tenants.at[1].budget, &f.judge.tenants.at[2].budget,
                        sizeof(f.judge.tenants.at[2].budget));
    points_push(&other, 300, 301, other.count);
    tenants_are(&other, turned);
    saved.at[saved.bytes - 1] = 4; /* there are a, b and the default */
    in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_dt_judge_load(&same.judge, &in), QL_E_MALFORMED);
    fleet_close(&f);
    fleet_close(&same);
    fleet_close(&other);
    ql_buf_fini(&saved);
    ql_buf_fini(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_tenant_keeps_its_budget),
        cmocka_unit_test(a_family_does_not_silence_the_others),
        cmocka_unit_test(a_new_list_reaches_known_series),
        cmocka_unit_test(a_checkpoint_keeps_whose_is_what),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

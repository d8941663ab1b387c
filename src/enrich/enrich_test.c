/* enrich_test - whose series it is, whose alert, and that nobody is told twice. */
#include "config/config.h"
#include "enrich/enrich.h"
#include "model/entity.h"
#include "model/labels.h"
#include "model/series.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
    struct ql_config *config;
    struct ql_stats *stats;
    struct ql_series_table *table;
    void *stage;
    struct ql_batch bus;
};

static void fixture_open(struct fixture *f)
{
    assert_int_equal(ql_config_default(&f->config), QL_OK);
    f->config->series_max = 200000;
    f->stats = ql_stats_new(100);
    assert_int_equal(ql_series_table_new(f->config->series_max, &f->table), QL_OK);
    const struct ql_stage_env env = { .config = f->config, .series = f->table, .stats = f->stats };
    assert_int_equal(ql_enrich_stage.open(&env, &f->stage), QL_OK);
    ql_batch_init(&f->bus, 256 << 20);
}

static void fixture_close(struct fixture *f)
{
    ql_enrich_stage.close(f->stage);
    ql_series_table_free(f->table);
    ql_batch_fini(&f->bus);
    ql_stats_free(f->stats);
    ql_config_free(f->config);
}

static ql_str bus_labels(struct fixture *f, const char *text)
{
    struct ql_buf block;
    ql_buf_init(&block, 100000);
    assert_int_equal(ql_labels_parse(ql_str_of(text), &block), QL_OK);
    const ql_str kept = ql_batch_text(&f->bus, ql_buf_view(&block));
    ql_buf_fini(&block);
    return kept;
}

static uint32_t bus_point(struct fixture *f, const char *text)
{
    uint32_t index;
    bool is_new;
    const ql_str labels = bus_labels(f, text);
    assert_int_equal(ql_series_add(f->table, ql_hash128_of(labels.at, labels.bytes), labels,
                                   QL_METRIC_GAUGE, &index, &is_new), QL_OK);
    ql_batch_add_point(&f->bus)->series = index;
    return index;
}

static void entities_render(const struct fixture *f, char *out, size_t out_bytes)
{
    out[0] = '\0';
    for (uint32_t i = 0; i < f->bus.entities.count; i++) {
        const struct ql_entity_seen *seen = &f->bus.entities.at[i];
        const size_t used = strlen(out);
        assert_true(ql_entity_id_of(seen->name).v == seen->id.v);
        (void)snprintf(out + used, out_bytes - used, "%.*s ", QL_STR_ARG(seen->name));
    }
}

static void series_get_their_entity_once(void **state)
{
    static const struct { const char *labels, *told; } rows[] = {
        { "g{service=\"cart\",instance=\"10.0.0.1:80\"}", "service/cart " },
        { "h{service=\"cart\"}", "" },
        { "g{service=\"cart\",instance=\"10.0.0.1:80\"}", "" },
        { "g{instance=\"10.0.0.1:80\"}", "host/10.0.0.1:80 " },
        { "g{colour=\"red\"}", "" },
        { "g{colour=\"red\"}", "" },
    };
    struct fixture f;
    (void)state;
    fixture_open(&f);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char got[200];
        ql_batch_reset(&f.bus);
        const uint32_t index = bus_point(&f, rows[i].labels);
        ql_enrich_stage.push(f.stage, (ql_time){ 0 }, &f.bus);
        entities_render(&f, got, sizeof(got));
        assert_string_equal(got, rows[i].told);
        const bool known = strstr(rows[i].labels, "colour") == NULL;
        assert_int_equal(ql_series_at(f.table, index)->entity.v != 0, known);
    }
    fixture_close(&f);
}

/* The core has alerts and changes, but no series. */
static void the_core_has_no_table(void **state)
{
    struct fixture f;
    void *core;
    (void)state;
    fixture_open(&f);
    const struct ql_stage_env env = { .config = f.config, .stats = f.stats };
    assert_int_equal(ql_enrich_stage.open(&env, &core), QL_OK);
    (void)bus_point(&f, "g{service=\"cart\"}");
    ql_batch_add_alert_in(&f.bus)->labels = bus_labels(&f, "{alertname=\"A\"}");
    ql_enrich_stage.push(core, (ql_time){ 0 }, &f.bus);
    assert_int_equal(f.bus.alerts.count, 1);
    assert_int_equal(f.bus.entities.count, 0);
    ql_enrich_stage.close(core);
    fixture_close(&f);
}

static void alerts_say_whose_and_whether(void **state)
{
    static const struct { const char *labels; int64_t ends; const char *entity, *name, *severity;
                          bool firing; } rows[] = {
        { "{alertname=\"Slow\",service=\"cart\",severity=\"page\"}", 100, "service/cart", "Slow",
          "page", true },
        { "{alertname=\"Slow\",service=\"cart\",severity=\"page\"}", 50, "service/cart", "Slow",
          "page", false },
        { "{alertname=\"Down\",instance=\"db1\"}", 51, "host/db1", "Down", "", true },
        { "{alertname=\"Odd\"}", 51, "", "Odd", "", true },
        { "{service=\"cart\"}", 51, "service/cart", "", "", true },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct fixture f;
        fixture_open(&f);
        struct ql_alert_in *in = ql_batch_add_alert_in(&f.bus);
        in->labels = bus_labels(&f, rows[i].labels);
        in->starts = (ql_time){ 10 };
        in->ends = (ql_time){ rows[i].ends };
        in->annotations = bus_labels(&f, "{summary=\"it is slow\"}");
        ql_enrich_stage.push(f.stage, (ql_time){ 50 }, &f.bus);
        ql_enrich_stage.tick(f.stage, (ql_time){ 50 }, &f.bus); /* as the engine does */
        assert_int_equal(f.bus.alerts.count, 1);
        const struct ql_alert *alert = &f.bus.alerts.at[0];
        assert_true(alert->id.v == ql_hash64(in->labels.at, in->labels.bytes));
        assert_true(alert->entity.v == ql_entity_id_of(ql_str_of(rows[i].entity)).v);
        assert_true(ql_str_eq(alert->name, ql_str_of(rows[i].name)));
        assert_true(ql_str_eq(alert->severity, ql_str_of(rows[i].severity)));
        assert_true(ql_str_eq(alert->annotations, in->annotations));
        assert_int_equal(alert->firing, rows[i].firing);
        assert_true(alert->starts.ns == 10);
        assert_int_equal(f.bus.entities.count, rows[i].entity[0] != '\0');
        fixture_close(&f);
    }
}

static struct ql_change_in *bus_change(struct fixture *f, int64_t at, const char *entity,
                                       const char *kind, const char *summary)
{
    struct ql_change_in *in = ql_batch_add_change_in(&f->bus);
    *in = (struct ql_change_in){ .at = { at }, .entity = ql_str_of(entity), .kind = ql_str_of(kind),
                                 .summary = ql_str_of(summary), .link = QL_STR("http://x") };
    return in;
}

static void changes_have_ids_by_content(void **state)
{
    struct fixture f;
    char got[200];
    (void)state;
    fixture_open(&f);
    (void)bus_change(&f, 1, "cart", "deploy", "v2");
    (void)bus_change(&f, 1, "service/cart", "deploy", "v2"); /* the same, spelt out */
    (void)bus_change(&f, 2, "cart", "deploy", "v2");
    (void)bus_change(&f, 1, "host/a", "deploy", "v2");
    (void)bus_change(&f, 1, "cart", "deployv", "2");
    (void)bus_change(&f, 1, "", "deploy", "v2");
    ql_enrich_stage.push(f.stage, (ql_time){ 50 }, &f.bus);
    assert_int_equal(f.bus.changes.count, 6);
    const struct ql_change *c = f.bus.changes.at;
    assert_true(c[0].id.v == c[1].id.v);
    for (uint32_t i = 1; i < 6; i++) {
        for (uint32_t k = 0; k < i; k++) {
            assert_true(c[i].id.v != c[k].id.v || (k == 0 && i == 1));
        }
    }
    assert_true(c[5].entity.v == 0);
    assert_true(ql_str_eq(c[0].link, QL_STR("http://x")));
    entities_render(&f, got, sizeof(got));
    assert_string_equal(got, "service/cart host/a ");
    fixture_close(&f);
}

/* What normalise told in the same bus is not told again. */
static void told_entities_are_remembered(void **state)
{
    struct fixture f;
    (void)state;
    fixture_open(&f);
    struct ql_entity_seen *seen = ql_batch_add_entity(&f.bus);
    seen->name = QL_STR("service/cart");
    seen->id = ql_entity_id_of(seen->name);
    (void)bus_point(&f, "g{service=\"cart\"}");
    ql_enrich_stage.push(f.stage, (ql_time){ 0 }, &f.bus);
    assert_int_equal(f.bus.entities.count, 1);
    fixture_close(&f);
}

static void a_checkpoint_keeps_who_was_told(void **state)
{
    struct fixture f;
    struct ql_buf saved;
    (void)state;
    ql_buf_init(&saved, 1 << 20);
    fixture_open(&f);
    (void)bus_point(&f, "g{service=\"cart\"}");
    (void)bus_point(&f, "g{service=\"shop\"}");
    ql_enrich_stage.push(f.stage, (ql_time){ 0 }, &f.bus);
    assert_int_equal(f.bus.entities.count, 2);
    assert_int_equal(ql_enrich_stage.save(f.stage, &saved), QL_OK);
    fixture_close(&f);
    for (size_t cut = 0; cut <= saved.bytes; cut++) {
        fixture_open(&f);
        struct ql_reader in = ql_reader_of((ql_str){ saved.at, cut });
        const ql_err err = ql_enrich_stage.load(f.stage, ql_enrich_stage.state_version, &in);
        assert_int_equal(err, cut == saved.bytes ? QL_OK : QL_E_MALFORMED);
        if (err == QL_OK) {
            (void)bus_point(&f, "g{service=\"cart\"}");
            (void)bus_point(&f, "g{service=\"new\"}");
            ql_enrich_stage.push(f.stage, (ql_time){ 0 }, &f.bus);
            assert_int_equal(f.bus.entities.count, 1);
            assert_true(ql_str_eq(f.bus.entities.at[0].name, QL_STR("service/new")));
        }
        fixture_close(&f);
    }
    ql_buf_fini(&saved);
}

/* Samples go on: the entity is named again within half an hour, and not more often than every
 * quarter; without samples it is not, and comes back with them. */
static void who_gets_samples_is_named_again(void **state)
{
    enum { TICK_S = 10, HOUR = 360, ROUNDS = 4 };
    static const uint32_t least[ROUNDS] = { 2, 2, 0, 2 }, most[ROUNDS] = { 5, 5, 1, 5 };
    struct fixture f;
    (void)state;
    fixture_open(&f);
    const uint32_t index = bus_point(&f, "g{service=\"cart\"}");
    int64_t now_s = 1000000;
    for (uint32_t round = 0; round < ROUNDS; round++) {
        uint32_t told = 0;
        for (uint32_t i = 0; i < HOUR; i++, now_s += TICK_S) {
            if (round != 2) {
                ql_batch_add_point(&f.bus)->series = index;
                ql_series_at(f.table, index)->flags |= QL_SERIES_FRESH; /* as normalise does */
            }
            ql_enrich_stage.push(f.stage, (ql_time){ now_s * QL_NS_PER_S }, &f.bus);
            ql_enrich_stage.tick(f.stage, (ql_time){ now_s * QL_NS_PER_S }, &f.bus);
            told += f.bus.entities.count;
            ql_batch_reset(&f.bus);
        }
        if (told < least[round] || told > most[round]) {
            fail_msg("hour %u: told %u times", round, told);
        }
    }
    fixture_close(&f);
}

/* Ten times as many as can be remembered at once, but not at once. */
static void those_told_long_ago_make_room(void **state)
{
    enum { A_TICK = 1000, TICKS = 1000 };
    struct fixture f;
    (void)state;
    fixture_open(&f);
    for (uint32_t tick = 0; tick < TICKS; tick++) {
        const ql_time now = { (1000000 + (int64_t)tick * 30) * QL_NS_PER_S };
        ql_batch_reset(&f.bus);
        for (uint32_t i = 0; i < A_TICK; i++) {
            char name[32];
            (void)snprintf(name, sizeof(name), "host/%u", tick * A_TICK + i);
            struct ql_change_in *in = ql_batch_add_change_in(&f.bus);
            *in = (struct ql_change_in){ .at = now, .kind = QL_STR("boot") };
            in->entity = ql_batch_text(&f.bus, ql_str_of(name));
        }
        ql_enrich_stage.push(f.stage, now, &f.bus);
        ql_enrich_stage.tick(f.stage, now, &f.bus);
        assert_int_equal(f.bus.entities.count, A_TICK);
    }
    assert_int_equal(ql_stats_sum(f.stats, "ql_records_dropped_total", ""), 0);
    fixture_close(&f);
}

static void too_many_entities_are_used_but_not_told(void **state)
{
    enum { MANY = 100050 };
    struct fixture f;
    (void)state;
    fixture_open(&f);
    for (uint32_t i = 0; i < MANY; i++) {
        char text[64];
        (void)snprintf(text, sizeof(text), "g{service=\"s%u\"}", i);
        (void)bus_point(&f, text);
    }
    ql_enrich_stage.push(f.stage, (ql_time){ 0 }, &f.bus);
    assert_int_equal(f.bus.entities.count, 100000);
    assert_true(ql_series_at(f.table, MANY - 1)->entity.v != 0);
    assert_int_equal(ql_stats_sum(f.stats, "ql_records_dropped_total", "entities"), 50);
    fixture_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(series_get_their_entity_once),
        cmocka_unit_test(the_core_has_no_table),
        cmocka_unit_test(alerts_say_whose_and_whether),
        cmocka_unit_test(changes_have_ids_by_content),
        cmocka_unit_test(told_entities_are_remembered),
        cmocka_unit_test(a_checkpoint_keeps_who_was_told),
        cmocka_unit_test(who_gets_samples_is_named_again),
        cmocka_unit_test(those_told_long_ago_make_room),
        cmocka_unit_test(too_many_entities_are_used_but_not_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

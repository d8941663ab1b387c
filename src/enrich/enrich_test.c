/* enrich_test - entities from labels, once each; alerts and changes resolved; state kept. */
#include "enrich/enrich.h"

#include "model/entity.h"
#include "model/labels.h"
#include "model/series.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct room {
    struct ql_stats *stats;
    struct ql_series_table *series;
    struct ql_batch bus;
    struct ql_buf block;
    void *stage;
};

static void room_open(struct room *room)
{
    memset(room, 0, sizeof(*room));
    room->stats = ql_stats_new(64);
    assert_int_equal(ql_series_table_new(100, &room->series), QL_OK);
    ql_batch_init(&room->bus, 1 << 20);
    ql_buf_init(&room->block, 1 << 16);
    const struct ql_stage_env env = { .series = room->series, .stats = room->stats,
                                      .shard_count = 1 };
    assert_int_equal(ql_enrich_stage.open(&env, &room->stage), QL_OK);
}

static void room_close(struct room *room)
{
    ql_enrich_stage.close(room->stage);
    ql_series_table_free(room->series);
    ql_batch_fini(&room->bus);
    ql_buf_fini(&room->block);
    ql_stats_free(room->stats);
}

static ql_str block_of(struct room *room, const char *text)
{
    ql_buf_reset(&room->block);
    assert_int_equal(ql_labels_parse(ql_str_of(text), &room->block), QL_OK);
    return ql_batch_text(&room->bus, ql_buf_view(&room->block));
}

static void a_point_of(struct room *room, const char *text)
{
    const ql_str block = block_of(room, text);
    uint32_t index;
    bool is_new;
    assert_int_equal(ql_series_add(room->series, ql_hash128_of(block.at, block.bytes), block,
                                   QL_METRIC_GAUGE, &index, &is_new), QL_OK);
    ql_batch_add_point(&room->bus)->series = index;
}

static void every_entity_is_told_once(void **state)
{
    (void)state;
    struct room room;
    room_open(&room);
    a_point_of(&room, "cpu{service=\"cart\"}");
    a_point_of(&room, "mem{service=\"cart\"}");
    a_point_of(&room, "mem{service=\"web\"}");
    a_point_of(&room, "lonely");
    ql_enrich_stage.push(room.stage, (ql_time){ 0 }, &room.bus);
    assert_int_equal(room.bus.entities.count, 2);
    assert_true(ql_str_eq(room.bus.entities.at[0].name, QL_STR("service/cart")));
    assert_true(ql_str_eq(room.bus.entities.at[1].name, QL_STR("service/web")));
    const uint64_t cart = ql_entity_id_of(QL_STR("service/cart")).v;
    assert_int_equal(ql_series_at(room.series, 0)->entity.v, cart);
    assert_int_equal(ql_series_at(room.series, 1)->entity.v, cart);
    assert_int_equal(ql_series_at(room.series, 3)->entity.v, 0);

    /* What was told is still told after a save and load. */
    struct ql_buf saved;
    void *other;
    ql_buf_init(&saved, 1 << 16);
    const struct ql_stage_env env = { .series = room.series, .stats = room.stats };
    assert_int_equal(ql_enrich_stage.save(room.stage, &saved), QL_OK);
    assert_int_equal(ql_enrich_stage.open(&env, &other), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_enrich_stage.load(other, 99, &in), QL_E_VERSION);
    in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_enrich_stage.load(other, ql_enrich_stage.state_version, &in), QL_OK);
    ql_batch_reset(&room.bus);
    a_point_of(&room, "disk{service=\"cart\"}");
    ql_enrich_stage.push(other, (ql_time){ 0 }, &room.bus);
    assert_int_equal(room.bus.entities.count, 0);
    assert_int_equal(ql_series_at(room.series, 4)->entity.v, cart);
    ql_enrich_stage.close(other);
    ql_buf_fini(&saved);
    room_close(&room);
}

static void alerts_and_changes_find_their_entity(void **state)
{
    (void)state;
    static const struct { const char *story, *labels, *entity; int64_t ends_s; bool firing; } rows[] = {
        { "until later", "{alertname=\"A\",service=\"cart\",severity=\"page\"}", "service/cart", 60, true },
        { "already over", "{alertname=\"A\",instance=\"h:1\"}", "host/h:1", 9, false },
        { "about nothing known", "{alertname=\"A\"}", "", 60, true },
    };
    struct room room;
    room_open(&room);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_batch_reset(&room.bus);
        *ql_batch_add_alert_in(&room.bus) = (struct ql_alert_in){
            .labels = block_of(&room, rows[i].labels), .ends = { rows[i].ends_s * QL_NS_PER_S } };
        ql_enrich_stage.push(room.stage, (ql_time){ 10 * QL_NS_PER_S }, &room.bus);
        assert_int_equal(room.bus.alerts.count, 1);
        const struct ql_alert *alert = &room.bus.alerts.at[0];
        assert_int_equal(alert->firing, rows[i].firing);
        assert_true(ql_str_eq(alert->name, QL_STR("A")));
        assert_int_equal(alert->entity.v, ql_entity_id_of(ql_str_of(rows[i].entity)).v);
    }
    ql_batch_reset(&room.bus);
    *ql_batch_add_change_in(&room.bus) = (struct ql_change_in){
        .entity = QL_STR("web"), .kind = QL_STR("deploy"), .summary = QL_STR("v2") };
    ql_enrich_stage.push(room.stage, (ql_time){ 0 }, &room.bus);
    assert_int_equal(room.bus.changes.count, 1);
    assert_int_equal(room.bus.changes.at[0].entity.v, ql_entity_id_of(QL_STR("service/web")).v);
    assert_int_equal(room.bus.entities.count, 1);
    room_close(&room);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_entity_is_told_once),
        cmocka_unit_test(alerts_and_changes_find_their_entity),
    };
    return cmocka_run_group_tests_name("enrich/enrich", tests, NULL, NULL);
}

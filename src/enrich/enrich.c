#include "enrich/enrich.h"

#include "base/map.h"
#include "model/entity.h"
#include "model/labels.h"
#include "model/series.h"

#include <stdlib.h>

#define STATE_VERSION 1u

struct enrich_stage {
    struct ql_series_table *series; /* NULL in the core */
    struct ql_map64 told;           /* entities whose name was written */
    struct ql_buf labels, name;
    struct ql_stat_cell *dropped;
};

static void enrich_close(void *stage)
{
    struct enrich_stage *e = stage;
    if (e == NULL) {
        return;
    }
    ql_map64_fini(&e->told);
    ql_buf_fini(&e->labels);
    ql_buf_fini(&e->name);
    free(e);
}

static ql_err enrich_open(const struct ql_stage_env *env, void **ret_stage)
{
    struct enrich_stage *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return QL_E_MEMORY;
    }
    e->series = env->series;
    ql_map64_init(&e->told, QL_ENRICH_ENTITIES_MAX);
    ql_buf_init(&e->labels, QL_LABELS_BYTES_MAX);
    ql_buf_init(&e->name, QL_LABELS_BYTES_MAX);
    e->dropped = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_enrich_dropped_total",
                               "Records that found no room while they were enriched.", "");
    *ret_stage = e;
    return QL_OK;
}

/* The id of "kind/name" in e->name; writes the name when it was not told before. */
static ql_entity_id enrich_tell(struct enrich_stage *e, struct ql_batch *bus)
{
    const ql_entity_id id = ql_entity_id_of(ql_buf_view(&e->name));
    if (id.v == 0 || ql_map64_get(&e->told, id.v) != QL_MAP_NONE) {
        return id;
    }
    struct ql_entity_seen *seen = ql_batch_add_entity(bus);
    if (seen == NULL) {
        ql_stat_add(e->dropped, 1);
        return id;
    }
    *seen = (struct ql_entity_seen){ id, ql_batch_text(bus, ql_buf_view(&e->name)) };
    (void)!ql_map64_put(&e->told, id.v, 1); /* full: it will be told again, which is harmless */
    return id;
}

static ql_entity_id enrich_labels(struct enrich_stage *e, ql_str labels, struct ql_batch *bus)
{
    ql_buf_reset(&e->name);
    if (!ql_entity_of_labels(labels, &e->name)) {
        return (ql_entity_id){ 0 };
    }
    return enrich_tell(e, bus);
}

static void enrich_series(struct enrich_stage *e, uint32_t index, struct ql_batch *bus)
{
    struct ql_series *series = ql_series_at(e->series, index);
    ql_buf_reset(&e->labels);
    (void)ql_series_labels(e->series, index, &e->labels);
    series->entity = enrich_labels(e, ql_buf_view(&e->labels), bus);
    series->flags |= QL_SERIES_ENRICHED;
}

static void enrich_alert(struct enrich_stage *e, ql_time now, const struct ql_alert_in *in,
                         struct ql_batch *bus)
{
    const ql_entity_id entity = enrich_labels(e, in->labels, bus);
    struct ql_alert *alert = ql_batch_add_alert(bus);
    if (alert == NULL) {
        ql_stat_add(e->dropped, 1);
        return;
    }
    *alert = (struct ql_alert){
        .id = { ql_hash64(in->labels.at, in->labels.bytes) },
        .entity = entity,
        .name = ql_labels_get(in->labels, QL_STR("alertname")),
        .labels = in->labels,
        .annotations = in->annotations,
        .severity = ql_labels_get(in->labels, QL_STR("severity")),
        .starts = in->starts,
        .ends = in->ends,
        .firing = in->ends.ns > now.ns,
    };
}

static void enrich_change(struct enrich_stage *e, const struct ql_change_in *in,
                          struct ql_batch *bus)
{
    ql_buf_reset(&e->name);
    ql_entity_of_name(in->entity, &e->name);
    const ql_entity_id entity = enrich_tell(e, bus);
    const uint64_t parts[4] = { (uint64_t)in->at.ns, entity.v,
                                ql_hash64(in->kind.at, in->kind.bytes),
                                ql_hash64(in->summary.at, in->summary.bytes) };
    struct ql_change *change = ql_batch_add_change(bus);
    if (change == NULL) {
        ql_stat_add(e->dropped, 1);
        return;
    }
    *change = (struct ql_change){ .id = { ql_hash64(parts, sizeof(parts)) }, .entity = entity,
                                  .at = in->at, .kind = in->kind, .summary = in->summary,
                                  .source = in->source, .link = in->link };
}

static void enrich_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct enrich_stage *e = stage;
    for (uint32_t i = 0; e->series != NULL && i < bus->points.count; i++) {
        const uint32_t index = bus->points.at[i].series;
        if ((ql_series_at(e->series, index)->flags & QL_SERIES_ENRICHED) == 0) {
            enrich_series(e, index, bus);
        }
    }
    for (uint32_t i = 0; i < bus->alerts_in.count; i++) {
        enrich_alert(e, now, &bus->alerts_in.at[i], bus);
    }
    for (uint32_t i = 0; i < bus->changes_in.count; i++) {
        enrich_change(e, &bus->changes_in.at[i], bus);
    }
}

static void enrich_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    (void)stage;
    (void)now;
    (void)bus;
}

static int enrich_order(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* In order of id: the table's own order must not show in a checkpoint. */
static ql_err enrich_save(const void *stage, struct ql_buf *out)
{
    const struct enrich_stage *e = stage;
    uint64_t *ids = calloc(e->told.count > 0 ? e->told.count : 1, sizeof(*ids));
    uint32_t count = 0;
    if (ids == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < e->told.capacity; i++) {
        if (e->told.slots[i].used != 0) {
            ids[count++] = e->told.slots[i].key;
        }
    }
    QL_ASSERT(count == e->told.count);
    qsort(ids, count, sizeof(*ids), enrich_order);
    (void)ql_buf_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        (void)ql_buf_u64(out, ids[i]);
    }
    free(ids);
    return ql_buf_check(out);
}

static ql_err enrich_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct enrich_stage *e = stage;
    if (version != STATE_VERSION) {
        return QL_E_VERSION;
    }
    const uint32_t count = ql_reader_u32(in);
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        const ql_err err = ql_map64_put(&e->told, ql_reader_u64(in), 1);
        if (err != QL_OK) {
            return err;
        }
    }
    return in->failed ? QL_E_MALFORMED : QL_OK;
}

const struct ql_stage_type ql_enrich_stage = {
    .name = "enrich",
    .reads = QL_LIST_BIT(points) | QL_LIST_BIT(alerts_in) | QL_LIST_BIT(changes_in),
    .writes = QL_LIST_BIT(entities) | QL_LIST_BIT(alerts) | QL_LIST_BIT(changes),
    .state_version = STATE_VERSION,
    .open = enrich_open,
    .close = enrich_close,
    .push = enrich_push,
    .tick = enrich_tick,
    .save = enrich_save,
    .load = enrich_load,
};

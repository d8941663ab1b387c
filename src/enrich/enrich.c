#include "enrich/enrich.h"

#include "base/map.h"
#include "base/pages.h"
#include "model/awake.h"
#include "model/entity.h"
#include "model/labels.h"
#include "model/series.h"

#include <stdlib.h>

enum { ENTITIES_MAX = 100000, ENTITY_NAME_BYTES_MAX = QL_LABELS_BYTES_MAX + 16 };
#define LET_GO_EVERY QL_MIN(5)

/* An entity that was told less than QL_AWAKE_TELL ago, or will be let go at the next look. */
struct told { uint64_t id; int64_t at_ns; };

struct enrich {
    struct ql_series_table *table; /* borrowed; NULL in the core, where no points pass */
    struct ql_map64 told_of;       /* entity ids -> place in `told` */
    struct told *told;
    uint32_t told_count;
    struct ql_awake awake;
    int64_t let_go_ns, swept_ns;   /* of awake: the last look, and the last step of the sweep */
    uint32_t cursor;               /* the series that the sweep comes to next */
    struct ql_buf labels, name, key;
    struct ql_stat_cell *untold, *unwritten;
};

static void enrich_close(void *stage)
{
    struct enrich *e = stage;
    if (e != NULL) {
        ql_pages_free(e->told, ENTITIES_MAX * sizeof(*e->told));
        ql_map64_fini(&e->told_of);
        ql_buf_fini(&e->labels);
        ql_buf_fini(&e->name);
        ql_buf_fini(&e->key);
        free(e);
    }
}

static struct ql_stat_cell *enrich_cell(struct ql_stats *stats, const char *labels)
{
    return ql_stats_cell(stats, QL_STAT_COUNTER, "ql_records_dropped_total",
                         "Records that were refused or dropped.", labels);
}

static ql_err enrich_open(const struct ql_stage_env *env, void **ret_stage)
{
    QL_ASSERT(env->stats != NULL);
    struct enrich *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return QL_E_MEMORY;
    }
    e->table = env->series;
    e->told = ql_pages_new(ENTITIES_MAX * sizeof(*e->told));
    ql_map64_init(&e->told_of, ENTITIES_MAX);
    ql_awake_init(&e->awake);
    ql_buf_init(&e->labels, QL_LABELS_BYTES_MAX);
    ql_buf_init(&e->name, ENTITY_NAME_BYTES_MAX);
    ql_buf_init(&e->key, 1 << 20);
    e->untold = enrich_cell(env->stats, "source=\"entities\",reason=\"cardinality\"");
    e->unwritten = enrich_cell(env->stats, "source=\"enrich\",reason=\"batch_full\"");
    if (e->told == NULL) {
        enrich_close(e);
        return QL_E_MEMORY;
    }
    *ret_stage = e;
    return QL_OK;
}

/* ---- entities --------------------------------------------------------------------- */

static bool entity_is_due(const struct enrich *e, ql_entity_id id)
{
    const uint32_t at = ql_map64_get(&e->told_of, id.v);
    return at == QL_MAP_NONE || e->awake.ns - e->told[at].at_ns >= QL_AWAKE_TELL.ns;
}

/* It is told now. False when there is no room to remember that. */
static bool entity_remember(struct enrich *e, ql_entity_id id)
{
    uint32_t at = ql_map64_get(&e->told_of, id.v);
    if (at == QL_MAP_NONE) {
        at = e->told_count;
        if (ql_map64_put(&e->told_of, id.v, at) != QL_OK) {
            ql_stat_add(e->untold, 1);
            return false;
        }
        e->told_count++;
    }
    e->told[at] = (struct told){ id.v, e->awake.ns };
    return true;
}

/* What was told long ago is told again by whatever refers to it: its row says nothing more. */
static void entities_let_go(struct enrich *e)
{
    for (uint32_t i = 0; i < e->told_count;) {
        if (e->awake.ns - e->told[i].at_ns < QL_AWAKE_TELL.ns) {
            i++;
            continue;
        }
        (void)ql_map64_drop(&e->told_of, e->told[i].id);
        e->told[i] = e->told[--e->told_count];
        if (i < e->told_count) {
            const ql_err err = ql_map64_put(&e->told_of, e->told[i].id, i);
            QL_ASSERT(err == QL_OK); /* it has a place already */
        }
    }
    e->let_go_ns = e->awake.ns;
}

/* The id of the entity whose name stands in e->name, told unless it was lately. */
static ql_entity_id entity_tell(struct enrich *e, struct ql_batch *bus)
{
    const ql_str name = ql_buf_view(&e->name);
    const ql_entity_id id = ql_entity_id_of(name);
    if (id.v != 0 && entity_is_due(e, id) && entity_remember(e, id)) {
        struct ql_entity_seen *seen = ql_batch_add_entity(bus);
        if (seen == NULL) {
            ql_stat_add(e->unwritten, 1);
            return id;
        }
        *seen = (struct ql_entity_seen){ .id = id, .name = ql_batch_text(bus, name) };
    }
    return id;
}

static ql_entity_id entity_of_labels(struct enrich *e, ql_str labels, struct ql_batch *bus)
{
    ql_buf_reset(&e->name);
    return ql_entity_of_labels(labels, &e->name) ? entity_tell(e, bus) : (ql_entity_id){ 0 };
}

static ql_entity_id entity_of_name(struct enrich *e, ql_str name, struct ql_batch *bus)
{
    ql_buf_reset(&e->name);
    ql_entity_of_name(name, &e->name);
    return ql_buf_check(&e->name) == QL_OK ? entity_tell(e, bus) : (ql_entity_id){ 0 };
}

/* Labels that name no entity are asked once. */
static void series_resolve(struct enrich *e, uint32_t index, struct ql_batch *bus)
{
    struct ql_series *row = ql_series_at(e->table, index);
    ql_buf_reset(&e->labels);
    if (ql_series_labels(e->table, index, &e->labels) == QL_OK) {
        row->entity = entity_of_labels(e, ql_buf_view(&e->labels), bus);
    }
    row->flags |= QL_SERIES_ENRICHED;
}

/* The next few series, as many as time has passed: those that had a sample name their entity now
 * and then, so that whoever forgets what is not named keeps those. */
static void series_sweep(struct enrich *e, struct ql_batch *bus)
{
    const uint32_t count = ql_series_count(e->table);
    const double share =
        (double)(e->awake.ns - e->swept_ns) / (double)QL_AWAKE_TELL.ns;
    const uint32_t most = share < 1.0 ? (uint32_t)((double)count * share) + 1 : count;
    for (uint32_t i = 0; i < most && i < count; i++) {
        e->cursor = e->cursor + 1 < count ? e->cursor + 1 : 0;
        struct ql_series *row = ql_series_at(e->table, e->cursor);
        const bool fresh = (row->flags & QL_SERIES_FRESH) != 0;
        row->flags &= (uint8_t)~QL_SERIES_FRESH;
        if (fresh && row->entity.v != 0 && entity_is_due(e, row->entity)) {
            series_resolve(e, e->cursor, bus);
        }
    }
    e->swept_ns = e->awake.ns;
}

/* ---- alerts and changes ------------------------------------------------------------ */

static uint64_t id_of(uint64_t hash)
{
    return hash == 0 ? 1 : hash; /* 0 means none */
}

static void alert_push(struct enrich *e, ql_time now, const struct ql_alert_in *in,
                       struct ql_batch *bus)
{
    const ql_entity_id entity = entity_of_labels(e, in->labels, bus);
    struct ql_alert *alert = ql_batch_add_alert(bus);
    if (alert == NULL) {
        ql_stat_add(e->unwritten, 1);
        return;
    }
    *alert = (struct ql_alert){
        .id = { id_of(ql_hash64(in->labels.at, in->labels.bytes)) },
        .entity = entity,
        .name = ql_labels_get(in->labels, QL_STR("alertname")),
        .labels = in->labels,
        .annotations = in->annotations,
        .severity = ql_labels_get(in->labels, QL_STR("severity")),
        .starts = in->starts,
        .ends = in->ends,
        .firing = ql_time_before(now, in->ends),
    };
}

static ql_id change_id(struct enrich *e, const struct ql_change_in *in, ql_entity_id entity)
{
    ql_buf_reset(&e->key);
    (void)ql_buf_i64(&e->key, in->at.ns);
    (void)ql_buf_u64(&e->key, entity.v);
    (void)ql_buf_lstr(&e->key, in->kind);
    (void)ql_buf_lstr(&e->key, in->summary);
    const ql_str key = ql_buf_view(&e->key);
    return (ql_id){ id_of(ql_hash64(key.at, key.bytes)) };
}

static void change_push(struct enrich *e, const struct ql_change_in *in, struct ql_batch *bus)
{
    const ql_entity_id entity = entity_of_name(e, in->entity, bus);
    struct ql_change *change = ql_batch_add_change(bus);
    if (change == NULL) {
        ql_stat_add(e->unwritten, 1);
        return;
    }
    *change = (struct ql_change){
        .id = change_id(e, in, entity),
        .entity = entity,
        .at = in->at,
        .kind = in->kind,
        .summary = in->summary,
        .source = in->source,
        .link = in->link,
    };
}

/* ---- the stage -------------------------------------------------------------------- */

static void enrich_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct enrich *e = stage;
    const uint32_t told = bus->entities.count;
    ql_awake_advance(&e->awake, now);
    for (uint32_t i = 0; i < told; i++) {
        (void)entity_remember(e, bus->entities.at[i].id);
    }
    for (uint32_t i = 0; e->table != NULL && i < bus->points.count; i++) {
        const uint32_t index = bus->points.at[i].series;
        if ((ql_series_at(e->table, index)->flags & QL_SERIES_ENRICHED) == 0) {
            series_resolve(e, index, bus);
        }
    }
    for (uint32_t i = 0; i < bus->alerts_in.count; i++) {
        alert_push(e, now, &bus->alerts_in.at[i], bus);
    }
    for (uint32_t i = 0; i < bus->changes_in.count; i++) {
        change_push(e, &bus->changes_in.at[i], bus);
    }
}

static void enrich_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct enrich *e = stage;
    ql_awake_advance(&e->awake, now);
    if (e->awake.ns - e->let_go_ns >= LET_GO_EVERY.ns) {
        entities_let_go(e);
    }
    if (e->table != NULL) {
        series_sweep(e, bus);
    }
}

static ql_err enrich_adopt_config(void *stage, const struct ql_config *config)
{
    (void)stage; /* it has no settings */
    (void)config;
    return QL_OK;
}

static ql_err enrich_save(const void *stage, struct ql_buf *out)
{
    const struct enrich *e = stage;
    ql_awake_save(&e->awake, out);
    (void)ql_buf_i64(out, e->let_go_ns);
    (void)ql_buf_i64(out, e->swept_ns);
    (void)ql_buf_u32(out, e->cursor);
    (void)ql_buf_u32(out, e->told_count);
    for (uint32_t i = 0; i < e->told_count; i++) {
        (void)ql_buf_u64(out, e->told[i].id);
        (void)ql_buf_i64(out, e->told[i].at_ns);
    }
    return ql_buf_check(out);
}

static ql_err enrich_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct enrich *e = stage;
    if (version != ql_enrich_stage.state_version) {
        return QL_E_VERSION;
    }
    ql_awake_load(&e->awake, in);
    e->let_go_ns = ql_reader_i64(in);
    e->swept_ns = ql_reader_i64(in);
    e->cursor = ql_reader_u32(in);
    const uint32_t count = ql_reader_u32(in);
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        const uint64_t id = ql_reader_u64(in);
        const int64_t at_ns = ql_reader_i64(in);
        if (in->failed || at_ns < 0 || at_ns > e->awake.ns ||
            ql_map64_get(&e->told_of, id) != QL_MAP_NONE ||
            ql_map64_put(&e->told_of, id, i) != QL_OK) {
            return QL_E_MALFORMED; /* twice, or more than there may be */
        }
        e->told[e->told_count++] = (struct told){ id, at_ns };
    }
    in->failed = in->failed || e->let_go_ns > e->awake.ns || e->swept_ns > e->awake.ns ||
                 e->let_go_ns < 0 || e->swept_ns < 0;
    return in->failed ? QL_E_MALFORMED : QL_OK;
}

const struct ql_stage_type ql_enrich_stage = {
    .name = "enrich",
    .reads = QL_LIST_BIT(points) | QL_LIST_BIT(alerts_in) | QL_LIST_BIT(changes_in) |
             QL_LIST_BIT(entities),
    .writes = QL_LIST_BIT(entities) | QL_LIST_BIT(alerts) | QL_LIST_BIT(changes),
    .state_version = 2,
    .open = enrich_open,
    .close = enrich_close,
    .push = enrich_push,
    .tick = enrich_tick,
    .adopt_config = enrich_adopt_config,
    .save = enrich_save,
    .load = enrich_load,
};

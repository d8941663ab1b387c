#include "model/series.h"

#include "base/map.h"
#include "base/pages.h"
#include "base/shared.h"
#include "model/labels.h"

#include <stdlib.h>

/* On average series have about ten labels; a table full of longer ones fills up sooner
 * and then refuses, which normalise counts. */
#define SERIES_LABELS_MEAN_MAX 24u
#define SERIES_PAIRS_PER_SERIES_MAX 4u
#define SERIES_PAIR_BYTES_MAX ((size_t)4 << 30)
#define SERIES_LABELS_FREED_MIN 65536u
#define SERIES_ALIASES_MAX 2u /* raw forms remembered a series, on average */

struct ql_series_table {
    uint32_t index_max, series_max, count, live;
    uint32_t free_head;           /* 1 + index; 0: none. A free row's labels_at is the next */
    struct ql_series *rows;
    uint32_t *labels;             /* pair numbers, series after series */
    uint32_t labels_used, labels_max, labels_freed;
    size_t rows_ready, labels_ready;
    struct ql_map_tag by_id;      /* the rows have the ids */
    struct ql_map128 aliases;     /* hashes of blocks that came in another form */
    struct ql_shared pairs;       /* one label field as it stands in a block */
    struct ql_shared names;       /* metric names: families */
    struct ql_buf scratch;
};

ql_err ql_series_table_new(uint32_t series_max, struct ql_series_table **ret_table)
{
    QL_ASSERT(series_max > 0);
    struct ql_series_table *table = calloc(1, sizeof(*table));
    if (table == NULL) {
        return QL_E_MEMORY;
    }
    const uint64_t labels = (uint64_t)series_max * SERIES_LABELS_MEAN_MAX;
    table->index_max = table->series_max = series_max;
    table->labels_max = labels > UINT32_MAX ? UINT32_MAX : (uint32_t)labels;
    table->rows = ql_pages_new((size_t)series_max * sizeof(*table->rows));
    table->labels = ql_pages_new((size_t)table->labels_max * sizeof(*table->labels));
    ql_map_tag_init(&table->by_id, series_max);
    ql_map128_init(&table->aliases, series_max * SERIES_ALIASES_MAX);
    ql_shared_init(&table->pairs, series_max * SERIES_PAIRS_PER_SERIES_MAX, SERIES_PAIR_BYTES_MAX);
    ql_shared_init(&table->names, series_max, SERIES_PAIR_BYTES_MAX);
    ql_buf_init(&table->scratch, QL_LABELS_BYTES_MAX * 2);
    if (table->rows == NULL || table->labels == NULL) {
        ql_series_table_free(table);
        return QL_E_MEMORY;
    }
    *ret_table = table;
    return QL_OK;
}

void ql_series_table_free(struct ql_series_table *table)
{
    if (table == NULL) {
        return;
    }
    ql_pages_free(table->rows, (size_t)table->index_max * sizeof(*table->rows));
    ql_pages_free(table->labels, (size_t)table->labels_max * sizeof(*table->labels));
    ql_map_tag_fini(&table->by_id);
    ql_map128_fini(&table->aliases);
    ql_shared_fini(&table->pairs);
    ql_shared_fini(&table->names);
    ql_buf_fini(&table->scratch);
    free(table);
}

uint32_t ql_series_find(const struct ql_series_table *table, ql_series_id id)
{
    uint32_t cursor = 0, index;
    do {
        index = ql_map_tag_next(&table->by_id, id.h, &cursor);
    } while (index != QL_MAP_NONE && !ql_hash128_eq(table->rows[index].id.h, id.h));
    return index;
}

uint32_t ql_series_find_raw(const struct ql_series_table *table, ql_hash128 raw)
{
    const uint32_t index = ql_series_find(table, (ql_series_id){ raw });
    return index != QL_MAP_NONE || table->aliases.count == 0
               ? index
               : ql_map128_get(&table->aliases, raw);
}

void ql_series_prefetch_raw(const struct ql_series_table *table, ql_hash128 raw)
{
    ql_map_tag_prefetch(&table->by_id, raw);
    if (table->aliases.count > 0) {
        ql_map128_prefetch(&table->aliases, raw);
    }
}

uint32_t ql_series_guess_raw(const struct ql_series_table *table, ql_hash128 raw)
{
    uint32_t cursor = 0;
    const uint32_t index = ql_map_tag_next(&table->by_id, raw, &cursor);
    if (index != QL_MAP_NONE) {
        __builtin_prefetch(&table->rows[index], 1);
    }
    return index;
}

/* ---- adding ------------------------------------------------------------------------- */

static size_t series_labels_bytes(const struct ql_series_table *table)
{
    return (size_t)table->labels_max * sizeof(*table->labels);
}

/* Moves the labels of live series together; without memory for it they stay as they are. */
static void series_labels_move(struct ql_series_table *table)
{
    uint32_t *labels = ql_pages_new(series_labels_bytes(table));
    uint32_t used = 0;
    if (labels == NULL) {
        return;
    }
    for (uint32_t i = 0; i < table->count; i++) {
        struct ql_series *s = &table->rows[i];
        if ((s->flags & QL_SERIES_FREE) == 0) {
            memcpy(labels + used, table->labels + s->labels_at, s->label_count * sizeof(*labels));
            s->labels_at = used;
            used += s->label_count;
        }
    }
    ql_pages_free(table->labels, series_labels_bytes(table));
    table->labels = labels;
    table->labels_used = used;
    table->labels_freed = 0;
    table->labels_ready = 0;
}

static void series_pairs_drop(struct ql_series_table *table, uint32_t at, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ql_shared_drop(&table->pairs, table->labels[at + i]);
    }
}

/* Takes the pairs of a canonical block behind the used labels; nothing is kept on failure. */
static ql_err series_intern(struct ql_series_table *table, ql_str block, uint16_t *ret_count)
{
    struct ql_label label;
    uint16_t count = 0;
    ql_err err = QL_OK;
    if (table->labels_max - table->labels_used < QL_LABELS_COUNT_MAX && table->labels_freed > 0) {
        series_labels_move(table);
    }
    const uint32_t most = table->labels_max - table->labels_used < QL_LABELS_COUNT_MAX
                              ? table->labels_max
                              : table->labels_used + QL_LABELS_COUNT_MAX;
    ql_pages_ready(table->labels, series_labels_bytes(table), &table->labels_ready,
                   most * sizeof(*table->labels));
    for (size_t at = 0, before = 0; err == QL_OK && ql_labels_next(block, &at, &label);
         before = at) {
        uint32_t number;
        err = table->labels_used + count == table->labels_max
                  ? QL_E_FULL
                  : ql_shared_take(&table->pairs, (ql_str){ block.at + before, at - before },
                                   &number);
        if (err == QL_OK) {
            table->labels[table->labels_used + count] = number;
            count++;
        }
    }
    if (err != QL_OK) {
        series_pairs_drop(table, table->labels_used, count);
        return err;
    }
    *ret_count = count;
    return QL_OK;
}

/* A row without a series behind the others, for an index that was never given. */
static struct ql_series *series_row_new(struct ql_series_table *table)
{
    ql_pages_ready(table->rows, (size_t)table->index_max * sizeof(*table->rows),
                   &table->rows_ready, (size_t)(table->count + 1) * sizeof(*table->rows));
    return &table->rows[table->count++];
}

static ql_err series_insert(struct ql_series_table *table, ql_series_id id, ql_str block,
                            enum ql_metric_type type, uint32_t *ret_index)
{
    uint16_t label_count = 0;
    uint32_t family = 0;
    const uint32_t index = table->free_head != 0 ? table->free_head - 1 : table->count;
    if (table->live >= table->series_max || index == table->index_max) {
        return QL_E_FULL;
    }
    ql_err err = series_intern(table, block, &label_count);
    if (err != QL_OK) {
        return err;
    }
    err = ql_shared_take(&table->names, ql_labels_get(block, QL_STR("__name__")), &family);
    if (err == QL_OK) {
        err = ql_map_tag_add(&table->by_id, id.h, index);
        if (err != QL_OK) {
            ql_shared_drop(&table->names, family);
        }
    }
    if (err != QL_OK) {
        series_pairs_drop(table, table->labels_used, label_count);
        return err;
    }
    if (index == table->count) {
        (void)series_row_new(table);
    } else {
        table->free_head = table->rows[index].labels_at;
    }
    table->rows[index] = (struct ql_series){
        .id = id,
        .last_at = QL_TIME_NONE,
        .labels_at = table->labels_used,
        .label_count = label_count,
        .type = (uint8_t)type,
        .family = family,
    };
    table->labels_used += label_count;
    table->live++;
    *ret_index = index;
    return QL_OK;
}

ql_err ql_series_add(struct ql_series_table *table, ql_hash128 raw, ql_str labels,
                     enum ql_metric_type type, uint32_t *ret_index, bool *ret_new)
{
    bool canonical;
    ql_series_id id = { raw };
    ql_err err = ql_labels_check(labels, &canonical);
    if (err == QL_OK && ql_labels_get(labels, QL_STR("__name__")).bytes == 0) {
        err = QL_E_MALFORMED;
    }
    if (err == QL_OK && !canonical) {
        ql_buf_reset(&table->scratch);
        err = ql_labels_canonical(labels, &table->scratch);
        labels = ql_buf_view(&table->scratch);
        id.h = ql_hash128_of(labels.at, labels.bytes);
    }
    if (err != QL_OK) {
        return err;
    }
    uint32_t index = ql_series_find(table, id);
    const bool is_new = index == QL_MAP_NONE;
    if (is_new) {
        err = series_insert(table, id, labels, type, &index);
        if (err != QL_OK) {
            return err;
        }
    }
    if (!ql_hash128_eq(raw, id.h)) {
        /* Without room for the alias the series is still found, only more slowly. */
        (void)!ql_map128_put(&table->aliases, raw, index);
    }
    *ret_index = index;
    *ret_new = is_new;
    return QL_OK;
}

/* ---- forgetting --------------------------------------------------------------------- */

/* Dropping moves later entries up to here, so a place is looked at until it stays. */
static void series_aliases_drop(struct ql_series_table *table)
{
    for (uint32_t i = 0; i < table->aliases.capacity; i++) {
        const struct ql_map128_slot *slot = &table->aliases.slots[i];
        while (slot->used != 0 && !ql_series_is_live(table, slot->value)) {
            (void)ql_map128_drop(&table->aliases, slot->key);
        }
    }
}

void ql_series_drop(struct ql_series_table *table, const uint32_t *indexes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        QL_ASSERT(ql_series_is_live(table, indexes[i]));
        struct ql_series *s = &table->rows[indexes[i]];
        const bool known = ql_map_tag_drop(&table->by_id, s->id.h, indexes[i]);
        QL_ASSERT(known);
        series_pairs_drop(table, s->labels_at, s->label_count);
        ql_shared_drop(&table->names, s->family);
        table->labels_freed += s->label_count;
        *s = (struct ql_series){ .flags = QL_SERIES_FREE, .last_at = QL_TIME_NONE,
                                 .labels_at = table->free_head };
        table->free_head = indexes[i] + 1;
        table->live--;
    }
    if (count > 0 && table->aliases.count > 0) {
        series_aliases_drop(table);
    }
    if (table->labels_freed > SERIES_LABELS_FREED_MIN &&
        table->labels_freed > table->labels_used / 2) {
        series_labels_move(table);
    }
}

void ql_series_limit(struct ql_series_table *table, uint32_t series_max)
{
    QL_ASSERT(series_max > 0 && series_max <= table->index_max);
    table->series_max = series_max;
}

/* ---- asking ------------------------------------------------------------------------- */

uint32_t ql_series_max(const struct ql_series_table *table)
{
    return table->series_max;
}

uint32_t ql_series_index_max(const struct ql_series_table *table)
{
    return table->index_max;
}

uint32_t ql_series_live(const struct ql_series_table *table)
{
    return table->live;
}

bool ql_series_is_live(const struct ql_series_table *table, uint32_t index)
{
    return index < table->count && (table->rows[index].flags & QL_SERIES_FREE) == 0;
}

uint32_t ql_series_count(const struct ql_series_table *table)
{
    return table->count;
}

struct ql_series *ql_series_at(const struct ql_series_table *table, uint32_t index)
{
    QL_ASSERT(index < table->count);
    return &table->rows[index];
}

ql_err ql_series_labels(const struct ql_series_table *table, uint32_t index, struct ql_buf *out)
{
    const struct ql_series *s = ql_series_at(table, index);
    for (uint32_t i = 0; i < s->label_count; i++) {
        (void)ql_buf_str(out, ql_shared_text(&table->pairs, table->labels[s->labels_at + i]));
    }
    return ql_buf_check(out);
}

ql_str ql_series_name(const struct ql_series_table *table, uint32_t index)
{
    return ql_shared_text(&table->names, ql_series_at(table, index)->family);
}

ql_str ql_series_label(const struct ql_series_table *table, uint32_t index, ql_str name)
{
    const struct ql_series *s = ql_series_at(table, index);
    for (uint32_t i = 0; i < s->label_count; i++) {
        const ql_str pair = ql_shared_text(&table->pairs, table->labels[s->labels_at + i]);
        struct ql_label label;
        size_t at = 0;
        if (ql_labels_next(pair, &at, &label) && ql_str_eq(label.name, name)) {
            return label.value;
        }
    }
    return (ql_str){ "", 0 };
}

size_t ql_series_bytes(const struct ql_series_table *table)
{
    return sizeof(*table) + (size_t)table->count * sizeof(struct ql_series) +
           (size_t)table->labels_used * sizeof(uint32_t) +
           (size_t)table->by_id.capacity * sizeof(struct ql_map_tag_slot) +
           (size_t)table->aliases.capacity * sizeof(struct ql_map128_slot) +
           ql_shared_bytes(&table->pairs) + ql_shared_bytes(&table->names);
}

/* ---- state -------------------------------------------------------------------------- */

static void series_save_one(const struct ql_series_table *table, uint32_t index,
                            struct ql_buf *labels, struct ql_buf *out)
{
    const struct ql_series *s = &table->rows[index];
    (void)ql_buf_u8(out, s->flags);
    if ((s->flags & QL_SERIES_FREE) != 0) {
        (void)ql_buf_u32(out, s->labels_at);
        return;
    }
    ql_buf_reset(labels);
    (void)ql_series_labels(table, index, labels);
    (void)ql_buf_lstr(out, ql_buf_view(labels));
    (void)ql_buf_u64(out, s->entity.v);
    (void)ql_buf_i64(out, s->last_at.ns);
    (void)ql_buf_f64(out, s->last_raw);
    (void)ql_buf_u8(out, s->type);
    (void)ql_buf_u32(out, s->step_ms);
    (void)ql_buf_u32(out, s->seen_count);
    (void)ql_buf_u32(out, s->learn);
}

/* The number of a name is what its family goes by elsewhere, so names keep theirs. */
ql_err ql_series_save(const struct ql_series_table *table, struct ql_buf *out)
{
    struct ql_buf labels;
    ql_buf_init(&labels, QL_LABELS_BYTES_MAX);
    (void)ql_buf_u32(out, table->index_max);
    (void)ql_buf_u32(out, table->count);
    (void)ql_buf_u32(out, table->free_head);
    (void)ql_shared_save(&table->names, out);
    for (uint32_t i = 0; i < table->count; i++) {
        series_save_one(table, i, &labels, out);
    }
    ql_buf_fini(&labels);
    return ql_buf_check(out);
}

static ql_err series_load_one(struct ql_series_table *table, uint32_t want, struct ql_reader *in)
{
    uint32_t index;
    bool is_new = false;
    const uint8_t flags = ql_reader_u8(in);
    if ((flags & QL_SERIES_FREE) != 0) {
        *series_row_new(table) = (struct ql_series){ .flags = QL_SERIES_FREE,
                                                     .last_at = QL_TIME_NONE,
                                                     .labels_at = ql_reader_u32(in) };
        return in->failed ? QL_E_MALFORMED : QL_OK;
    }
    const ql_str labels = ql_reader_lstr(in);
    if (in->failed) {
        return QL_E_MALFORMED;
    }
    const ql_err err = ql_series_add(table, ql_hash128_of(labels.at, labels.bytes), labels,
                                     QL_METRIC_UNKNOWN, &index, &is_new);
    if (err != QL_OK || !is_new || index != want) {
        return err != QL_OK ? err : QL_E_MALFORMED;
    }
    struct ql_series *s = &table->rows[index];
    s->flags = flags;
    s->entity.v = ql_reader_u64(in);
    s->last_at.ns = ql_reader_i64(in);
    s->last_raw = ql_reader_f64(in);
    s->type = ql_reader_u8(in);
    s->step_ms = ql_reader_u32(in);
    s->seen_count = ql_reader_u32(in);
    s->learn = ql_reader_u32(in);
    return QL_OK;
}

/* The chain of free rows has each of them once. */
static bool series_free_holds(const struct ql_series_table *table, uint32_t free_head)
{
    uint32_t left = table->count - table->live, next = free_head;
    while (next != 0 && left > 0 && next <= table->count &&
           !ql_series_is_live(table, next - 1)) {
        next = table->rows[next - 1].labels_at;
        left--;
    }
    return next == 0 && left == 0;
}

ql_err ql_series_load(struct ql_series_table *table, struct ql_reader *in)
{
    QL_ASSERT(table->count == 0);
    const uint32_t index_max = ql_reader_u32(in);
    const uint32_t count = ql_reader_u32(in), free_head = ql_reader_u32(in);
    const uint32_t series_max = table->series_max;
    if (in->failed || count > index_max) {
        return QL_E_MALFORMED;
    }
    if (index_max > table->index_max) {
        return QL_E_FULL;
    }
    ql_err err = ql_shared_load(&table->names, in);
    table->series_max = table->index_max; /* what is there comes back, be it too many by now */
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        err = series_load_one(table, i, in);
    }
    table->series_max = series_max;
    if (err == QL_OK && (in->failed || !ql_shared_all_held(&table->names) ||
                         !series_free_holds(table, free_head))) {
        err = QL_E_MALFORMED;
    }
    table->free_head = err == QL_OK ? free_head : 0;
    return err;
}

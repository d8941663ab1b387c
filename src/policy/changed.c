#include "policy/changed.h"

#include "base/pages.h"

#define KEPT_NS ((int64_t)86400 * QL_NS_PER_S) /* the longest mute_after_change */
#define ROWS_BYTES (QL_CHANGED_MAX * sizeof(struct ql_changed_row))

void ql_changed_init(struct ql_changed *changed, struct ql_stat_cell *dropped)
{
    *changed = (struct ql_changed){ .dropped = dropped };
    ql_map64_init(&changed->of, QL_CHANGED_MAX);
}

ql_err ql_changed_activate(struct ql_changed *changed)
{
    if (changed->rows == NULL) {
        changed->rows = ql_pages_new(ROWS_BYTES);
    }
    return changed->rows == NULL ? QL_E_MEMORY : QL_OK;
}

void ql_changed_fini(struct ql_changed *changed)
{
    ql_pages_free(changed->rows, ROWS_BYTES);
    ql_map64_fini(&changed->of);
    *changed = (struct ql_changed){ 0 };
}

void ql_changed_note(struct ql_changed *changed, ql_entity_id entity, ql_time at)
{
    QL_ASSERT(changed->rows != NULL);
    if (entity.v == 0) {
        return;
    }
    uint32_t index = ql_map64_get(&changed->of, entity.v);
    if (index == QL_MAP_NONE) {
        index = changed->count;
        if (index == QL_CHANGED_MAX || ql_map64_put(&changed->of, entity.v, index) != QL_OK) {
            ql_stat_add(changed->dropped, 1);
            return;
        }
        changed->rows[changed->count++] = (struct ql_changed_row){ entity.v, INT64_MIN };
    }
    struct ql_changed_row *row = &changed->rows[index];
    row->at_ns = at.ns > row->at_ns ? at.ns : row->at_ns;
}

void ql_changed_sweep(struct ql_changed *changed, ql_time now)
{
    for (uint32_t i = 0; i < changed->count;) {
        if (changed->rows[i].at_ns >= now.ns - KEPT_NS) {
            i++;
            continue;
        }
        (void)ql_map64_drop(&changed->of, changed->rows[i].entity);
        changed->rows[i] = changed->rows[--changed->count];
        if (i < changed->count) {
            const ql_err err = ql_map64_put(&changed->of, changed->rows[i].entity, i);
            QL_ASSERT(err == QL_OK); /* it has a place already */
        }
    }
}

bool ql_changed_within(const struct ql_changed *changed, ql_entity_id entity, int64_t for_ns,
                       ql_time at)
{
    const uint32_t index =
        for_ns == 0 || entity.v == 0 ? QL_MAP_NONE : ql_map64_get(&changed->of, entity.v);
    return index != QL_MAP_NONE && changed->rows[index].at_ns <= at.ns &&
           changed->rows[index].at_ns > at.ns - for_ns; /* senders date changes as they like */
}

ql_err ql_changed_save(const struct ql_changed *changed, struct ql_buf *out)
{
    (void)ql_buf_u32(out, changed->count);
    return ql_buf_put(out, changed->rows, changed->count * sizeof(*changed->rows));
}

ql_err ql_changed_load(struct ql_changed *changed, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > QL_CHANGED_MAX) {
        return QL_E_MALFORMED;
    }
    if (count == 0) {
        return QL_OK;
    }
    if (ql_changed_activate(changed) != QL_OK) {
        return QL_E_MEMORY;
    }
    if (!ql_reader_copy(in, changed->rows, count * sizeof(*changed->rows))) {
        return QL_E_MALFORMED;
    }
    for (changed->count = 0; changed->count < count; changed->count++) {
        const uint64_t entity = changed->rows[changed->count].entity;
        if (ql_map64_get(&changed->of, entity) != QL_MAP_NONE ||
            ql_map64_put(&changed->of, entity, changed->count) != QL_OK) {
            return QL_E_MALFORMED;
        }
    }
    return QL_OK;
}

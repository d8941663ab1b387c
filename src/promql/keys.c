/* keys.c - label blocks as keys: subsets of them, groups of equal ones, rows that became equal. */
#include "model/labels.h"
#include "promql/promql_int.h"

#include <stdlib.h>

/* ---- subsets ------------------------------------------------------------------------- */

static bool key_keeps(ql_str name, const struct pq_names *names, bool listed, bool name_too)
{
    if (name_too && ql_str_eq(name, QL_STR("__name__"))) {
        return false;
    }
    return (names != NULL && pq_names_has(names, name)) == listed;
}

/* A block is a run of fields in the order of their names, so fields are copied as they stand. */
static ql_str key_subset(struct ql_arena *arena, ql_str block, const struct pq_names *names,
                         bool listed, bool name_too)
{
    char *out = ql_arena_take(arena, block.bytes > 0 ? block.bytes : 1);
    size_t at = 0, used = 0;
    struct ql_label label;
    if (out == NULL) {
        return (ql_str){ NULL, 0 };
    }
    for (size_t from = 0; ql_labels_next(block, &at, &label); from = at) {
        if (key_keeps(label.name, names, listed, name_too)) {
            memcpy(out + used, block.at + from, at - from);
            used += at - from;
        }
    }
    return (ql_str){ out, used };
}

ql_str pq_labels_keep(struct ql_arena *arena, ql_str block, const struct pq_names *names)
{
    return key_subset(arena, block, names, true, false);
}

ql_str pq_labels_drop(struct ql_arena *arena, ql_str block, const struct pq_names *names,
                      bool name_too)
{
    return key_subset(arena, block, names, false, name_too);
}

/* ---- groups -------------------------------------------------------------------------- */

struct key_entry { ql_str key; uint32_t index; };

static int key_order(const void *a, const void *b)
{
    const struct key_entry *x = a, *y = b;
    const int order = ql_str_cmp(x->key, y->key);
    return order != 0 ? order : x->index < y->index ? -1 : x->index > y->index;
}

bool pq_group(struct ql_arena *arena, const ql_str *keys, uint32_t count, uint32_t *ret_groups,
              uint32_t *ret_group_count)
{
    struct key_entry *entries = ql_arena_take(arena, (count + 1) * sizeof(*entries));
    if (entries == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        entries[i] = (struct key_entry){ keys[i], i };
    }
    qsort(entries, count, sizeof(*entries), key_order);
    /* First every key gets the index of its first equal, then those get numbers in order. */
    for (uint32_t i = 0, first = 0; i < count; i++) {
        if (i > 0 && !ql_str_eq(entries[i].key, entries[i - 1].key)) {
            first = i;
        }
        ret_groups[entries[i].index] = entries[first].index;
    }
    uint32_t groups = 0;
    for (uint32_t i = 0; i < count; i++) {
        ret_groups[i] = ret_groups[i] == i ? groups++ : ret_groups[ret_groups[i]];
    }
    *ret_group_count = groups;
    return true;
}

/* ---- rows that became alike ---------------------------------------------------------- */

static bool row_is_empty(const struct pq_eval *e, const struct ql_promql_row *row)
{
    for (uint32_t s = 0; s < e->steps; s++) {
        if (!ql_promql_is_absent(row->values[s])) {
            return false;
        }
    }
    return true;
}

static bool rows_join(const struct pq_eval *e, struct ql_promql_row *to,
                      const struct ql_promql_row *from)
{
    for (uint32_t s = 0; s < e->steps; s++) {
        if (ql_promql_is_absent(from->values[s])) {
            continue;
        }
        if (!ql_promql_is_absent(to->values[s])) {
            return false;
        }
        to->values[s] = from->values[s];
    }
    return true;
}

bool pq_merge(struct pq_eval *e, const struct pq_node *node, struct pq_value *value, bool strict)
{
    ql_str *keys = pq_take(e, node, value->count + 1, sizeof(*keys));
    uint32_t *groups = pq_take(e, node, value->count + 1, sizeof(*groups));
    uint32_t kept = 0, group_count = 0;
    if (keys == NULL || groups == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < value->count; i++) {
        if (!row_is_empty(e, &value->rows[i])) {
            keys[kept] = value->rows[i].labels;
            value->rows[kept++] = value->rows[i];
        }
    }
    value->count = kept;
    if (!pq_group(e->arena, keys, kept, groups, &group_count)) {
        return pq_eval_fail(e, node, QL_E_MEMORY, "no memory");
    }
    if (group_count == kept) {
        return true;
    }
    /* The first of a group stands at or before its number, so rows move down only. */
    for (uint32_t i = 0, seen = 0; i < kept; i++) {
        if (groups[i] == seen) {
            value->rows[seen++] = value->rows[i];
        } else if (strict || !rows_join(e, &value->rows[groups[i]], &value->rows[i])) {
            return pq_eval_fail(e, node, QL_E_RANGE,
                                "vector cannot contain metrics with the same labelset");
        }
    }
    value->count = group_count;
    return true;
}

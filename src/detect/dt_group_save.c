/* dt_group_save - groups in a checkpoint: rows as they are, who is where, and fusions behind. */
#include "detect/dt_group.h"

ql_err ql_dt_groups_save(const struct ql_dt_groups *g, struct ql_buf *out)
{
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        (void)ql_buf_u32(out, g->counts[k]);
        (void)ql_buf_u32(out, g->free_head[k]);
        (void)ql_buf_put(out, g->groups[k], (size_t)g->counts[k] * sizeof(*g->groups[k]));
        (void)ql_buf_u64(out, g->pool_points[k]);
        (void)ql_buf_u64(out, g->pool_refresh_at[k]);
        (void)ql_buf_put(out, &g->pools[k], sizeof(g->pools[k]));
        (void)ql_buf_u32(out, g->open_of[k].count);
        for (uint32_t i = 0; i < g->open_of[k].capacity; i++) {
            const struct ql_map64_slot *slot = &g->open_of[k].slots[i];
            if (slot->used != 0) {
                (void)ql_buf_u64(out, slot->key);
                (void)ql_buf_u32(out, slot->value);
            }
        }
    }
    for (uint32_t i = 0; i < g->counts[QL_DT_GROUP_ENTITY]; i++) {
        const struct ql_dt_group *group = &g->groups[QL_DT_GROUP_ENTITY][i];
        if (group->sealed != 0) {
            (void)ql_buf_put(out, ql_dt_group_fusion(g, i), ql_fusion_bytes(group->count));
        }
    }
    return ql_buf_check(out);
}

static bool load_group(struct ql_dt_groups *g, uint32_t kind, uint32_t index)
{
    const struct ql_dt_group *group = &g->groups[kind][index];
    if (group->count > QL_DT_GROUP_MAX || (group->count > 0 && group->step_ms == 0)) {
        return false;
    }
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->members[i] == QL_DT_GROUP_GONE && group->sealed != 0) {
            continue;
        }
        if (group->members[i] >= g->series_max) {
            return false;
        }
        g->members[group->members[i]].of[kind] = 1 + index * QL_DT_GROUP_MAX + i;
    }
    return true;
}

/* Who has no member is free, and the chain of the free has each once. */
static bool load_free(struct ql_dt_groups *g, uint32_t kind, uint32_t free_head)
{
    uint32_t left = 0, next = free_head;
    for (uint32_t i = 0; i < g->counts[kind]; i++) {
        left += g->groups[kind][i].count == 0;
    }
    g->live[kind] = g->counts[kind] - left;
    while (next != 0 && left > 0 && next <= g->counts[kind] &&
           g->groups[kind][next - 1].count == 0) {
        next = g->groups[kind][next - 1].members[0];
        left--;
    }
    g->free_head[kind] = free_head;
    return next == 0 && left == 0;
}

static bool load_open(struct ql_dt_groups *g, uint32_t kind, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    bool whole = !in->failed;
    ql_map64_clear(&g->open_of[kind]);
    for (uint32_t i = 0; i < count && whole && !in->failed; i++) {
        const uint64_t key = ql_reader_u64(in);
        const uint32_t value = ql_reader_u32(in);
        const uint32_t bound = (value & QL_DT_GROUP_SINGLE) != 0 ? g->series_max : g->counts[kind];
        whole = (value & ~QL_DT_GROUP_SINGLE) < bound && ql_map64_put(&g->open_of[kind], key, value) == QL_OK;
    }
    return whole && !in->failed;
}

ql_err ql_dt_groups_load(struct ql_dt_groups *g, struct ql_reader *in)
{
    bool whole = true;
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS && whole; k++) {
        const uint32_t count = ql_reader_u32(in), free_head = ql_reader_u32(in);
        whole = !in->failed && count <= g->max &&
                ql_reader_copy(in, g->groups[k], (size_t)count * sizeof(*g->groups[k]));
        g->counts[k] = whole ? count : 0;
        for (uint32_t i = 0; i < g->counts[k] && whole; i++) {
            whole = load_group(g, k, i);
        }
        whole = whole && load_free(g, k, free_head);
        g->pool_points[k] = ql_reader_u64(in);
        g->pool_refresh_at[k] = ql_reader_u64(in);
        whole = whole && ql_reader_copy(in, &g->pools[k], sizeof(g->pools[k])) &&
                load_open(g, k, in);
    }
    for (uint32_t i = 0; i < g->counts[QL_DT_GROUP_ENTITY] && whole; i++) {
        const struct ql_dt_group *group = &g->groups[QL_DT_GROUP_ENTITY][i];
        if (group->sealed != 0) {
            whole = group->count > 0;
            if (whole) {
                whole = ql_dt_group_fusion_take(g, i) &&
                        ql_reader_copy(in, ql_dt_group_fusion(g, i), ql_fusion_bytes(group->count)) &&
                        ql_fusion_holds(ql_dt_group_fusion(g, i), group->count);
            }
        }
    }
    return whole ? QL_OK : QL_E_MALFORMED;
}

/* topology_save - edges in order, and the way through a checkpoint. Places are packed there:
 * nothing that the table says depends on them. */
#include "topology/topology_int.h"

#include <stdlib.h>

static int link_cmp(const void *a, const void *b, void *context)
{
    const struct link *links = context;
    const struct ql_edge *x = &links[*(const uint32_t *)a].edge;
    const struct ql_edge *y = &links[*(const uint32_t *)b].edge;
    if (x->caller.v != y->caller.v) {
        return x->caller.v < y->caller.v ? -1 : 1;
    }
    return (x->callee.v > y->callee.v) - (x->callee.v < y->callee.v);
}

/* Numbers of the live edges by (caller, callee), in the scratch array. */
static uint32_t links_sort(const struct ql_topology *t)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < t->link_count; i++) {
        if (t->links[i].live) {
            t->near[count++] = i;
        }
    }
    qsort_r(t->near, count, sizeof *t->near, link_cmp, t->links);
    return count;
}

void ql_topology_edges(const struct ql_topology *t,
                       void (*fn)(void *context, const struct ql_edge *edge), void *context)
{
    const uint32_t count = links_sort(t);
    for (uint32_t i = 0; i < count; i++) {
        fn(context, &t->links[t->near[i]].edge);
    }
}

ql_err ql_topology_save(const struct ql_topology *t, struct ql_buf *out)
{
    ql_awake_save(&t->awake, out);
    (void)ql_buf_u32(out, t->node_of.count);
    for (uint32_t i = 0; i < t->node_count; i++) {
        if (t->nodes[i].id.v != 0) {
            (void)ql_buf_u64(out, t->nodes[i].id.v);
            (void)ql_buf_u32(out, t->nodes[i].seen_s);
            (void)ql_buf_lstr(out, ql_topology_name(t, t->nodes[i].id));
        }
    }
    const uint32_t count = links_sort(t);
    (void)ql_buf_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_edge *e = &t->links[t->near[i]].edge;
        (void)ql_buf_u64(out, e->caller.v);
        (void)ql_buf_u64(out, e->callee.v);
        (void)ql_buf_i64(out, e->at.ns);
        (void)ql_buf_u32(out, e->calls);
        (void)ql_buf_u32(out, e->errors);
        (void)ql_buf_u8(out, (uint8_t)e->source);
    }
    return ql_buf_check(out);
}

static ql_err load_edge(struct ql_topology *t, struct ql_reader *in)
{
    struct ql_edge e = { 0 };
    e.caller.v = ql_reader_u64(in); /* one by one: initialisers have no order */
    e.callee.v = ql_reader_u64(in);
    e.at.ns = ql_reader_i64(in);
    e.calls = ql_reader_u32(in);
    e.errors = ql_reader_u32(in);
    const uint8_t source = ql_reader_u8(in);
    if (in->failed || source > QL_EDGE_LABEL) {
        return QL_E_MALFORMED;
    }
    e.source = (enum ql_edge_source)source;
    /* Configuration speaks for itself: an edge that it no longer holds may grow old. */
    const bool configured = e.source == QL_EDGE_CONFIG;
    const uint32_t known = ql_map128_get(&t->link_of, ql_topology_link_key(e.caller, e.callee));
    if (configured && (known == QL_MAP_NONE || t->links[known].edge.source != QL_EDGE_CONFIG)) {
        e.source = QL_EDGE_LABEL;
    }
    uint32_t number = 0; /* its ends were last seen when their rows say */
    return ql_topology_edge_is_void(&e) ? QL_E_MALFORMED : ql_topology_link_put(t, &e, &number);
}

static ql_err load_node(struct ql_topology *t, struct ql_reader *in)
{
    const ql_entity_id id = { ql_reader_u64(in) };
    const uint32_t seen_s = ql_reader_u32(in);
    const ql_str name = ql_reader_lstr(in);
    if (in->failed || id.v == 0 || seen_s > ql_awake_s(&t->awake)) {
        return QL_E_MALFORMED;
    }
    const ql_err err = ql_topology_see(t, id, name);
    if (err == QL_OK) {
        t->nodes[ql_map64_get(&t->node_of, id.v)].seen_s = seen_s;
    }
    return err;
}

ql_err ql_topology_load(struct ql_topology *t, struct ql_reader *in)
{
    ql_err err = QL_OK;
    ql_awake_load(&t->awake, in);
    const uint32_t node_count = ql_reader_u32(in);
    for (uint32_t i = 0; i < node_count && err == QL_OK; i++) {
        err = load_node(t, in);
    }
    const uint32_t link_count = err == QL_OK ? ql_reader_u32(in) : 0;
    for (uint32_t i = 0; i < link_count && err == QL_OK; i++) {
        err = load_edge(t, in);
    }
    return err == QL_OK && in->failed ? QL_E_MALFORMED : err;
}

/* Entities stand in one array in order of first sight, edges in another with a free
 * list; each entity heads two singly linked lists through its edges (out: what it calls,
 * in: who calls it). Lists are unordered: a walk sorts the neighbours it meets, so that
 * neither the order of arrival nor a restart shows in its answer. */
#include "topology/topology.h"

#include "base/arena.h"
#include "base/map.h"
#include "base/pages.h"

#include <stdlib.h>

#define NODES_MAX 100000u
#define EDGES_MAX 500000u
#define NAMES_BYTES_MAX (16u << 20)
#define NAME_BYTES_MAX 512u
#define EDGE_KEPT QL_MIN(24 * 60)

struct node {
    ql_entity_id id;
    ql_str name;
    uint32_t out_first, in_first; /* edge number + 1; 0: none */
    uint32_t mark;                /* the last walk that came here */
    uint32_t pad;
};

struct link {
    struct ql_edge edge;
    uint32_t caller, callee;     /* node numbers */
    uint32_t out_next, in_next;  /* edge number + 1; out_next doubles as the free list */
    bool live;
};

struct ql_topology {
    struct node *nodes;
    struct link *links;
    uint32_t *near;              /* scratch: node numbers of one node's neighbours */
    struct ql_map64 node_of;     /* entity id -> node number */
    struct ql_map128 link_of;    /* hash of (caller, callee) -> edge number */
    struct ql_arena names;
    uint32_t node_count, link_count, free_first, walk;
};

ql_err ql_topology_new(struct ql_topology **ret_topology)
{
    struct ql_topology *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return QL_E_MEMORY;
    }
    ql_map64_init(&t->node_of, NODES_MAX);
    ql_map128_init(&t->link_of, EDGES_MAX);
    ql_arena_init(&t->names, NAMES_BYTES_MAX);
    t->nodes = ql_pages_new(NODES_MAX * sizeof *t->nodes);
    t->links = ql_pages_new(EDGES_MAX * sizeof *t->links);
    t->near = ql_pages_new(2 * (size_t)EDGES_MAX * sizeof *t->near);
    if (t->nodes == NULL || t->links == NULL || t->near == NULL) {
        ql_topology_free(t);
        return QL_E_MEMORY;
    }
    *ret_topology = t;
    return QL_OK;
}

void ql_topology_free(struct ql_topology *t)
{
    if (t == NULL) {
        return;
    }
    ql_pages_free(t->nodes, NODES_MAX * sizeof *t->nodes);
    ql_pages_free(t->links, EDGES_MAX * sizeof *t->links);
    ql_pages_free(t->near, 2 * (size_t)EDGES_MAX * sizeof *t->near);
    ql_map64_fini(&t->node_of);
    ql_map128_fini(&t->link_of);
    ql_arena_fini(&t->names);
    free(t);
}

static ql_err node_add(struct ql_topology *t, ql_entity_id id, uint32_t *ret_node)
{
    const uint32_t known = ql_map64_get(&t->node_of, id.v);
    if (known != QL_MAP_NONE) {
        *ret_node = known;
        return QL_OK;
    }
    if (t->node_count == NODES_MAX) {
        return QL_E_FULL;
    }
    const ql_err err = ql_map64_put(&t->node_of, id.v, t->node_count);
    if (err != QL_OK) {
        return err;
    }
    t->nodes[t->node_count] = (struct node){ .id = id };
    *ret_node = t->node_count++;
    return QL_OK;
}

ql_err ql_topology_see(struct ql_topology *t, ql_entity_id id, ql_str name)
{
    uint32_t at = 0;
    if (id.v == 0) {
        return QL_OK;
    }
    const ql_err err = node_add(t, id, &at);
    if (err != QL_OK || t->nodes[at].name.bytes != 0 || name.bytes == 0) {
        return err;
    }
    name.bytes = name.bytes < NAME_BYTES_MAX ? name.bytes : NAME_BYTES_MAX;
    const ql_str kept = ql_arena_str(&t->names, name);
    if (kept.at == NULL) {
        return QL_E_FULL;
    }
    t->nodes[at].name = kept;
    return QL_OK;
}

static ql_hash128 link_key(ql_entity_id caller, ql_entity_id callee)
{
    const uint64_t both[2] = { caller.v, callee.v };
    return ql_hash128_of(both, sizeof both);
}

static uint32_t counts_add(uint32_t a, uint32_t b)
{
    return a > UINT32_MAX - b ? UINT32_MAX : a + b;
}

/* A configured edge stays configured when spans confirm it, so that it never expires. */
static void link_refresh(struct ql_edge *have, const struct ql_edge *seen)
{
    have->at = ql_time_before(have->at, seen->at) ? seen->at : have->at;
    have->calls = counts_add(have->calls, seen->calls);
    have->errors = counts_add(have->errors, seen->errors);
    have->source = seen->source == QL_EDGE_CONFIG ? QL_EDGE_CONFIG : have->source;
}

static void link_hang(struct ql_topology *t, uint32_t number)
{
    struct link *l = &t->links[number];
    l->out_next = t->nodes[l->caller].out_first;
    t->nodes[l->caller].out_first = number + 1;
    l->in_next = t->nodes[l->callee].in_first;
    t->nodes[l->callee].in_first = number + 1;
}

static ql_err link_add(struct ql_topology *t, const struct ql_edge *edge)
{
    struct link l = { .edge = *edge, .live = true };
    if (t->free_first == 0 && t->link_count == EDGES_MAX) {
        return QL_E_FULL;
    }
    ql_err err = node_add(t, edge->caller, &l.caller);
    if (err == QL_OK) {
        err = node_add(t, edge->callee, &l.callee);
    }
    const uint32_t number = t->free_first != 0 ? t->free_first - 1 : t->link_count;
    if (err == QL_OK) {
        err = ql_map128_put(&t->link_of, link_key(edge->caller, edge->callee), number);
    }
    if (err != QL_OK) {
        return err;
    }
    if (t->free_first != 0) {
        t->free_first = t->links[number].out_next;
    } else {
        t->link_count++;
    }
    t->links[number] = l;
    link_hang(t, number);
    return QL_OK;
}

ql_err ql_topology_link(struct ql_topology *t, const struct ql_edge *edge)
{
    if (edge->caller.v == 0 || edge->callee.v == 0 || edge->caller.v == edge->callee.v) {
        return QL_OK; /* an edge from or to nobody, or to itself, says nothing */
    }
    const uint32_t known = ql_map128_get(&t->link_of, link_key(edge->caller, edge->callee));
    if (known == QL_MAP_NONE) {
        return link_add(t, edge);
    }
    QL_ASSERT(known < t->link_count);
    link_refresh(&t->links[known].edge, edge);
    return QL_OK;
}

static bool link_expired(const struct link *l, ql_time now)
{
    return l->edge.source != QL_EDGE_CONFIG &&
           ql_time_since(now, l->edge.at).ns > EDGE_KEPT.ns;
}

/* Takes the dead edges out of one list. `is_out` picks which of the two. */
static void list_sweep(struct ql_topology *t, uint32_t *first, bool is_out)
{
    uint32_t *hook = first;
    while (*hook != 0) {
        struct link *l = &t->links[*hook - 1];
        uint32_t *next = is_out ? &l->out_next : &l->in_next;
        if (l->live) {
            hook = next;
        } else {
            *hook = *next;
        }
    }
}

void ql_topology_expire(struct ql_topology *t, ql_time now)
{
    uint32_t dead_count = 0;
    for (uint32_t i = 0; i < t->link_count; i++) {
        struct link *l = &t->links[i];
        if (l->live && link_expired(l, now)) {
            l->live = false;
            dead_count++;
            t->near[dead_count - 1] = i;
            (void)ql_map128_drop(&t->link_of, link_key(l->edge.caller, l->edge.callee));
        }
    }
    if (dead_count == 0) {
        return;
    }
    for (uint32_t i = 0; i < t->node_count; i++) {
        list_sweep(t, &t->nodes[i].out_first, true);
        list_sweep(t, &t->nodes[i].in_first, false);
    }
    for (uint32_t i = 0; i < dead_count; i++) {
        t->links[t->near[i]].out_next = t->free_first;
        t->free_first = t->near[i] + 1;
    }
}

ql_str ql_topology_name(const struct ql_topology *t, ql_entity_id id)
{
    const uint32_t at = ql_map64_get(&t->node_of, id.v);
    return at == QL_MAP_NONE || t->nodes[at].name.bytes == 0 ? QL_STR("") : t->nodes[at].name;
}

struct by_id { const struct node *nodes; };

static int near_cmp(const void *a, const void *b, void *context)
{
    const struct node *nodes = ((const struct by_id *)context)->nodes;
    const uint64_t x = nodes[*(const uint32_t *)a].id.v, y = nodes[*(const uint32_t *)b].id.v;
    return (x > y) - (x < y);
}

/* Unvisited neighbours of one node, sorted, marked as visited. */
static uint32_t node_near(struct ql_topology *t, uint32_t at, enum ql_direction direction)
{
    uint32_t count = 0;
    for (uint32_t i = t->nodes[at].out_first; direction != QL_CALLERS && i != 0;
         i = t->links[i - 1].out_next) {
        struct node *n = &t->nodes[t->links[i - 1].callee];
        if (n->mark != t->walk) {
            n->mark = t->walk;
            t->near[count++] = t->links[i - 1].callee;
        }
    }
    for (uint32_t i = t->nodes[at].in_first; direction != QL_CALLEES && i != 0;
         i = t->links[i - 1].in_next) {
        struct node *n = &t->nodes[t->links[i - 1].caller];
        if (n->mark != t->walk) {
            n->mark = t->walk;
            t->near[count++] = t->links[i - 1].caller;
        }
    }
    struct by_id context = { t->nodes };
    qsort_r(t->near, count, sizeof *t->near, near_cmp, &context);
    return count;
}

/* Marks are numbers of walks; when the counter wraps, old marks are wiped. */
static void walk_begin(struct ql_topology *t)
{
    if (++t->walk == 0) {
        for (uint32_t i = 0; i < t->node_count; i++) {
            t->nodes[i].mark = 0;
        }
        t->walk = 1;
    }
}

uint32_t ql_topology_walk(const struct ql_topology *topology, ql_entity_id from,
                          enum ql_direction direction, uint32_t hops_max,
                          struct ql_hop *ret_hops, uint32_t visit_max)
{
    /* Marks and scratch are no part of what the table says, so a walk is const to callers. */
    struct ql_topology *t = (struct ql_topology *)(uintptr_t)topology;
    if (visit_max == 0 || from.v == 0) {
        return 0;
    }
    ret_hops[0] = (struct ql_hop){ from, 0 };
    uint32_t count = 1;
    const uint32_t start = ql_map64_get(&t->node_of, from.v);
    if (start == QL_MAP_NONE) {
        return count; /* known to the caller, not to the table: near itself only */
    }
    walk_begin(t);
    t->nodes[start].mark = t->walk;
    for (uint32_t i = 0; i < count && count < visit_max; i++) {
        if (ret_hops[i].distance == hops_max) {
            break;
        }
        const uint32_t at = ql_map64_get(&t->node_of, ret_hops[i].id.v);
        QL_ASSERT(at != QL_MAP_NONE);
        const uint32_t near_count = node_near(t, at, direction);
        for (uint32_t k = 0; k < near_count && count < visit_max; k++) {
            ret_hops[count++] =
                (struct ql_hop){ t->nodes[t->near[k]].id, ret_hops[i].distance + 1 };
        }
    }
    return count;
}

#define DISTANCE_VISIT_MAX 4096u

uint32_t ql_topology_distance(const struct ql_topology *t, ql_entity_id a, ql_entity_id b,
                              uint32_t hops_max)
{
    struct ql_hop hops[DISTANCE_VISIT_MAX];
    const uint32_t count = ql_topology_walk(t, a, QL_BOTH, hops_max, hops, DISTANCE_VISIT_MAX);
    for (uint32_t i = 0; i < count; i++) {
        if (hops[i].id.v == b.v) {
            return hops[i].distance;
        }
    }
    return hops_max + 1;
}

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
    (void)ql_buf_u32(out, t->node_count);
    for (uint32_t i = 0; i < t->node_count; i++) {
        (void)ql_buf_u64(out, t->nodes[i].id.v);
        (void)ql_buf_lstr(out, t->nodes[i].name);
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
    const uint32_t known = ql_map128_get(&t->link_of, link_key(e.caller, e.callee));
    if (configured && (known == QL_MAP_NONE || t->links[known].edge.source != QL_EDGE_CONFIG)) {
        e.source = QL_EDGE_LABEL;
    }
    return ql_topology_link(t, &e);
}

ql_err ql_topology_load(struct ql_topology *t, struct ql_reader *in)
{
    ql_err err = QL_OK;
    const uint32_t node_count = ql_reader_u32(in);
    for (uint32_t i = 0; i < node_count && err == QL_OK; i++) {
        const ql_entity_id id = { ql_reader_u64(in) };
        const ql_str name = ql_reader_lstr(in);
        err = in->failed || id.v == 0 ? QL_E_MALFORMED : ql_topology_see(t, id, name);
    }
    const uint32_t link_count = err == QL_OK ? ql_reader_u32(in) : 0;
    for (uint32_t i = 0; i < link_count && err == QL_OK; i++) {
        err = load_edge(t, in);
    }
    return err == QL_OK && in->failed ? QL_E_MALFORMED : err;
}

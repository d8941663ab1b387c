/* Entities stand in one array, edges in another, each with a free list; each entity heads
 * two singly linked lists through its edges (out: what it calls, in: who calls it). Lists
 * are unordered: a walk sorts the neighbours it meets, so that neither the order of arrival
 * nor the place of an entity, which a restart changes, shows in its answer. For the same
 * reason what is forgotten is chosen by age alone. */
#include "topology/topology_int.h"

#include "base/pages.h"

#include <stdlib.h>

#define NODES_MAX 100000u
#define EDGES_MAX 500000u
#define NAMES_BYTES_MAX (16u << 20)
#define NAME_BYTES_MAX 512u
#define EDGE_KEPT QL_MIN(24 * 60)

ql_err ql_topology_new(struct ql_topology **ret_topology)
{
    struct ql_topology *t = calloc(1, sizeof *t);
    if (t == NULL) {
        return QL_E_MEMORY;
    }
    ql_map64_init(&t->node_of, NODES_MAX);
    ql_map128_init(&t->link_of, EDGES_MAX);
    ql_shared_init(&t->names, NODES_MAX, NAMES_BYTES_MAX);
    ql_awake_init(&t->awake);
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
    ql_shared_fini(&t->names);
    free(t);
}

void ql_topology_advance(struct ql_topology *t, ql_time now)
{
    ql_awake_advance(&t->awake, now);
}

uint32_t ql_topology_count(const struct ql_topology *t)
{
    return t->node_of.count;
}

static ql_err node_add(struct ql_topology *t, ql_entity_id id, uint32_t *ret_node)
{
    const uint32_t known = ql_map64_get(&t->node_of, id.v);
    if (known != QL_MAP_NONE) {
        *ret_node = known;
        return QL_OK;
    }
    const uint32_t at = t->node_free != 0 ? t->node_free - 1 : t->node_count;
    const ql_err err = at == NODES_MAX ? QL_E_FULL : ql_map64_put(&t->node_of, id.v, at);
    if (err != QL_OK) {
        return err;
    }
    if (t->node_free != 0) {
        t->node_free = t->nodes[at].name;
    } else {
        t->node_count++;
    }
    t->nodes[at] = (struct node){ .id = id, .seen_s = ql_awake_s(&t->awake) };
    *ret_node = at;
    return QL_OK;
}

ql_err ql_topology_see(struct ql_topology *t, ql_entity_id id, ql_str name)
{
    uint32_t at = 0;
    if (id.v == 0) {
        return QL_OK;
    }
    ql_err err = node_add(t, id, &at);
    if (err != QL_OK) {
        return err;
    }
    t->nodes[at].seen_s = ql_awake_s(&t->awake);
    if (t->nodes[at].name == 0 && name.bytes > 0) {
        uint32_t number = 0;
        name.bytes = name.bytes < NAME_BYTES_MAX ? name.bytes : NAME_BYTES_MAX;
        err = ql_shared_take(&t->names, name, &number);
        t->nodes[at].name = err == QL_OK ? number + 1 : 0;
    }
    return err;
}

void ql_topology_keep(const struct ql_topology *t, ql_entity_id id)
{
    const uint32_t at = ql_map64_get(&t->node_of, id.v);
    if (at != QL_MAP_NONE) {
        t->nodes[at].seen_s = ql_awake_s(&t->awake);
    }
}

ql_hash128 ql_topology_link_key(ql_entity_id caller, ql_entity_id callee)
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

static void link_seen(struct ql_topology *t, uint32_t number)
{
    const struct link *l = &t->links[number];
    t->nodes[l->caller].seen_s = t->nodes[l->callee].seen_s = ql_awake_s(&t->awake);
}

static ql_err link_add(struct ql_topology *t, const struct ql_edge *edge, uint32_t *ret_number)
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
        err = ql_map128_put(&t->link_of, ql_topology_link_key(edge->caller, edge->callee), number);
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
    *ret_number = number;
    return QL_OK;
}

bool ql_topology_edge_is_void(const struct ql_edge *edge)
{
    return edge->caller.v == 0 || edge->callee.v == 0 || edge->caller.v == edge->callee.v;
}

ql_err ql_topology_link_put(struct ql_topology *t, const struct ql_edge *edge,
                            uint32_t *ret_number)
{
    const uint32_t known =
        ql_map128_get(&t->link_of, ql_topology_link_key(edge->caller, edge->callee));
    if (known == QL_MAP_NONE) {
        return link_add(t, edge, ret_number);
    }
    QL_ASSERT(known < t->link_count);
    link_refresh(&t->links[known].edge, edge);
    *ret_number = known;
    return QL_OK;
}

ql_err ql_topology_link(struct ql_topology *t, const struct ql_edge *edge)
{
    uint32_t number = 0;
    if (ql_topology_edge_is_void(edge)) {
        return QL_OK;
    }
    const ql_err err = ql_topology_link_put(t, edge, &number);
    if (err == QL_OK) {
        link_seen(t, number);
    }
    return err;
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
            (void)ql_map128_drop(&t->link_of, ql_topology_link_key(l->edge.caller, l->edge.callee));
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

/* ---- forgetting -------------------------------------------------------------------- */

static bool node_may_go(const struct ql_topology *t, const struct node *n, uint32_t idle_s)
{
    return n->id.v != 0 && n->out_first == 0 && n->in_first == 0 &&
           ql_awake_s(&t->awake) - n->seen_s >= idle_s;
}

static uint32_t nodes_that_stay(const struct ql_topology *t, uint32_t idle_s)
{
    uint32_t stay = t->node_of.count;
    for (uint32_t i = 0; i < t->node_count; i++) {
        stay -= node_may_go(t, &t->nodes[i], idle_s);
    }
    return stay;
}

static void node_free(struct ql_topology *t, uint32_t at)
{
    struct node *n = &t->nodes[at];
    (void)ql_map64_drop(&t->node_of, n->id.v);
    if (n->name != 0) {
        ql_shared_drop(&t->names, n->name - 1);
    }
    *n = (struct node){ .name = t->node_free };
    t->node_free = at + 1;
}

bool ql_topology_crowded(const struct ql_topology *t)
{
    return t->node_of.count > NODES_MAX / 10 * 9;
}

uint32_t ql_topology_forget(struct ql_topology *t, double idle_s)
{
    const uint32_t least_s = (uint32_t)(QL_AWAKE_IDLE_LEAST.ns / QL_NS_PER_S);
    const uint32_t before = t->node_of.count;
    uint32_t age_s = idle_s < 1e9 ? (uint32_t)idle_s : 1000000000u;
    age_s = age_s > least_s ? age_s : least_s;
    while (ql_topology_crowded(t) && age_s > least_s &&
           nodes_that_stay(t, age_s) > NODES_MAX / 10 * 8) {
        age_s = age_s / 2 > least_s ? age_s / 2 : least_s;
    }
    for (uint32_t i = 0; i < t->node_count; i++) {
        if (node_may_go(t, &t->nodes[i], age_s)) {
            node_free(t, i);
        }
    }
    return before - t->node_of.count;
}

ql_str ql_topology_name(const struct ql_topology *t, ql_entity_id id)
{
    const uint32_t at = ql_map64_get(&t->node_of, id.v);
    return at == QL_MAP_NONE || t->nodes[at].name == 0
               ? QL_STR("")
               : ql_shared_text(&t->names, t->nodes[at].name - 1);
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

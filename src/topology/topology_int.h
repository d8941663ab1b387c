/* topology_int.h - the tables of the topology and what its files ask of each other. */
#ifndef QL_TOPOLOGY_TOPOLOGY_INT_H
#define QL_TOPOLOGY_TOPOLOGY_INT_H

#include "base/map.h"
#include "base/shared.h"
#include "model/awake.h"
#include "topology/topology.h"

struct node {
    ql_entity_id id;              /* 0: free */
    uint32_t name;                /* number + 1; 0: none; of a free node, the next free one + 1 */
    uint32_t out_first, in_first; /* edge number + 1; 0: none */
    uint32_t mark;                /* the last walk that came here */
    uint32_t seen_s;              /* when it was last referred to, of `awake` */
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
    struct ql_shared names;
    struct ql_awake awake;
    uint32_t node_count, node_free, link_count, free_first, walk;
};

ql_hash128 ql_topology_link_key(ql_entity_id caller, ql_entity_id callee);
/* An edge from or to nobody, or to itself, says nothing. */
bool ql_topology_edge_is_void(const struct ql_edge *edge);
/* Learns or refreshes an edge; its ends are not seen by it. */
QL_MUST_USE ql_err ql_topology_link_put(struct ql_topology *t, const struct ql_edge *edge,
                                        uint32_t *ret_number);

#endif

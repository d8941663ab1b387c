/* topology.h - entities and who calls whom, with source and time last seen.
 *
 * Good for     "is this near that", "what does it call", in bounded walks.
 * Ownership    the table owns names; views are borrowed for its life.
 * Threads      the core's thread.
 * Errors       QL_E_FULL at the maxima: the caller counts it.
 * Bounds       entities 100,000; edges 500,000; a walk visits at most visit_max entities.
 * Determinism  walks go breadth first, neighbours in order of entity id.
 */
#ifndef QL_TOPOLOGY_TOPOLOGY_H
#define QL_TOPOLOGY_TOPOLOGY_H

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

struct ql_topology;

QL_MUST_USE ql_err ql_topology_new(struct ql_topology **ret_topology);
void ql_topology_free(struct ql_topology *topology);
QL_MUST_USE ql_err ql_topology_see(struct ql_topology *topology, ql_entity_id id, ql_str name);
/* Learns or refreshes; edges not seen for a day (config edges never) are dropped by expire. */
QL_MUST_USE ql_err ql_topology_link(struct ql_topology *topology, const struct ql_edge *edge);
void ql_topology_expire(struct ql_topology *topology, ql_time now);
ql_str ql_topology_name(const struct ql_topology *topology, ql_entity_id id); /* "" if unknown */

struct ql_hop { ql_entity_id id; uint32_t distance; };
enum ql_direction { QL_CALLEES, QL_CALLERS, QL_BOTH };
/* Breadth-first from `from` (distance 0, included). Returns the number written. */
uint32_t ql_topology_walk(const struct ql_topology *topology, ql_entity_id from,
                          enum ql_direction direction, uint32_t hops_max,
                          struct ql_hop *ret_hops, uint32_t visit_max);
/* Hops between two, ignoring direction; hops_max + 1 when further. */
uint32_t ql_topology_distance(const struct ql_topology *topology, ql_entity_id a, ql_entity_id b,
                              uint32_t hops_max);
/* Calls fn for every edge, by (caller, callee). */
void ql_topology_edges(const struct ql_topology *topology,
                       void (*fn)(void *context, const struct ql_edge *edge), void *context);
QL_MUST_USE ql_err ql_topology_save(const struct ql_topology *topology, struct ql_buf *out);
/* Adds to what is there. Link configured edges first: one that only the checkpoint calls
 * configured is taken as learnt, so that it expires. */
QL_MUST_USE ql_err ql_topology_load(struct ql_topology *topology, struct ql_reader *in);

#endif

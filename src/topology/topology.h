/* topology.h - entities and who calls whom, with source and time last seen.
 *
 * An entity that nothing referred to for long is forgotten with its name: no sighting, no edge,
 * and nobody who keeps it. Whoever it is about names it again when it is back.
 *
 * Good for     "is this near that", "what does it call", in bounded walks.
 * Ownership    the table owns names; views are borrowed until the next see() or forget().
 * Threads      the core's thread.
 * Errors       QL_E_FULL at the maxima: the caller counts it.
 * Bounds       entities 100,000; edges 500,000; a walk visits at most visit_max entities.
 * Determinism  walks go breadth first, neighbours in order of entity id; who is forgotten
 *              follows from the times given to advance() and from who was referred to.
 */
#ifndef QL_TOPOLOGY_TOPOLOGY_H
#define QL_TOPOLOGY_TOPOLOGY_H

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

struct ql_topology;

QL_MUST_USE ql_err ql_topology_new(struct ql_topology **ret_topology);
void ql_topology_free(struct ql_topology *topology);
/* Moves time forward; before anything else of a push or tick. */
void ql_topology_advance(struct ql_topology *topology, ql_time now);
QL_MUST_USE ql_err ql_topology_see(struct ql_topology *topology, ql_entity_id id, ql_str name);
/* Learns or refreshes; edges not seen for a day (config edges never) are dropped by expire. */
QL_MUST_USE ql_err ql_topology_link(struct ql_topology *topology, const struct ql_edge *edge);
void ql_topology_expire(struct ql_topology *topology, ql_time now);
/* Somebody still refers to it. Like a walk, it changes nothing that the table says. */
void ql_topology_keep(const struct ql_topology *topology, ql_entity_id id);
/* Forgets who has no edge and was not referred to for idle_s of awake time; in a table that is
 * nine tenths full for half of it, a quarter, ... down to an hour, until eight tenths are left.
 * Returns how many. */
uint32_t ql_topology_forget(struct ql_topology *topology, double idle_s);
bool ql_topology_crowded(const struct ql_topology *topology);
uint32_t ql_topology_count(const struct ql_topology *topology); /* entities */
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

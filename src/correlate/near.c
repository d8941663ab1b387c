/* What is near a newcomer: the entities around its own, the incidents that stand there, and those
 * that hold another part of a change which touched it. */
#include "correlate/correlate_int.h"

#include <stdlib.h>

/* ---- who is near ---- */

static void near_add(struct ql_correlate *co, uint64_t key, enum ql_rule_relation relation,
                     uint32_t hops)
{
    if (co->near_count < 3 * CO_NEAR_MAX) {
        co->near[co->near_count++] = (struct co_near){ key, relation, hops };
    }
}

static void near_walk(struct ql_correlate *co, ql_entity_id entity, enum ql_direction direction)
{
    const uint32_t count = ql_topology_walk(co->topology, entity, direction, co->hops_max,
                                            co->hops, CO_NEAR_MAX);
    for (uint32_t i = 1; i < count; i++) {
        near_add(co, co->hops[i].id.v,
                 direction == QL_CALLEES ? QL_RELATION_CALLS : QL_RELATION_CALLED,
                 co->hops[i].distance);
    }
    for (uint32_t i = 1; direction == QL_CALLEES && co->hops_max >= 2 && i < count &&
                         co->hops[i].distance == 1; i++) {
        const uint32_t back = ql_topology_walk(co->topology, co->hops[i].id, QL_CALLERS, 1,
                                               co->hops_back, CO_NEAR_MAX);
        for (uint32_t k = 1; k < back; k++) {
            if (co->hops_back[k].id.v != entity.v) {
                near_add(co, co->hops_back[k].id.v, QL_RELATION_SHARED, 2);
            }
        }
    }
}

static void near_find(struct ql_correlate *co, uint64_t key, ql_entity_id entity)
{
    co->near_count = 0;
    near_add(co, key, QL_RELATION_SAME, 0);
    if (entity.v != 0 && co->hops_max > 0) {
        near_walk(co, entity, QL_CALLEES);
        near_walk(co, entity, QL_CALLERS);
    }
}

/* ---- which incidents stand there ---- */

static void candidate_offer(struct co_candidate *list, uint32_t *count,
                            const struct co_candidate *c)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (list[i].incident == c->incident) {
            if (c->strength > list[i].strength) {
                list[i] = *c;
            }
            return;
        }
    }
    if (*count < CO_CANDIDATES_MAX) {
        list[(*count)++] = *c;
    }
}

/* An alert may have fired for days before it reached us. */
ql_time ql_co_joins_at(const struct ql_correlate *co, const struct co_member *m)
{
    const ql_time floor = ql_time_add(co->now, (ql_duration){ -2 * co->join.ns });
    return m->kind == QL_MEMBER_ALERT && ql_time_before(m->since, floor) ? floor : m->since;
}

static void candidates_at(struct ql_correlate *co, const struct co_member *m,
                          const struct co_near *near, struct co_candidate *list, uint32_t *count)
{
    for (const struct co_place *p = ql_co_place_first(co, near->key); p != NULL;
         p = ql_co_place_next(co, p)) {
        if (p->incident == CO_WAITING || !ql_co_active(&co->incidents[p->incident]) ||
            p->since_first.ns == QL_TIME_NONE.ns) {
            continue;
        }
        struct co_candidate c = { .incident = &co->incidents[p->incident], .near = *near,
                               .entity = p->entity };
        c.link = (struct ql_rule_link){
            .relation = near->relation, .hops = near->hops, .lasts = p->open_count > 0,
            .onset = ql_co_joins_at(co, m), .since_first = p->since_first,
            .since_last = p->since_last, .ended_last = p->ended_last,
        };
        c.strength = ql_rule_link(&c.link, co->join);
        if (c.strength > 0.0) {
            candidate_offer(list, count, &c);
        }
    }
}

bool ql_co_change_is_recent(const struct ql_correlate *co, const struct co_change *change)
{
    return ql_time_since(co->now, change->at).ns <= CO_CHANGE_BEFORE.ns;
}

/* Incidents that hold another part of a change which touched the newcomer's entity. */
static void candidates_by_change(struct ql_correlate *co, const struct co_member *m,
                                 struct co_candidate *list, uint32_t *count)
{
    for (uint32_t i = 0; m->entity.v != 0 && i < co->change_count; i++) {
        const struct co_change *own = &co->changes[i];
        if (own->entity.v != m->entity.v || !ql_co_change_is_recent(co, own)) {
            continue;
        }
        for (uint32_t k = 0; k < co->change_count; k++) {
            const struct co_change *other = &co->changes[k];
            struct co_incident *in = other->incident.v == 0
                                         ? NULL
                                         : ql_co_incident_find(co, other->incident);
            if (other->key != own->key || in == NULL || !ql_co_active(in)) {
                continue;
            }
            struct co_candidate c = { .incident = in, .entity = other->entity };
            c.near = (struct co_near){ other->entity.v, QL_RELATION_CHANGE, 0 };
            c.link = (struct ql_rule_link){ .relation = QL_RELATION_CHANGE,
                                            .onset = ql_co_joins_at(co, m),
                                            .since_first = in->told.onset,
                                            .since_last = in->told.updated,
                                            .ended_last = QL_TIME_NONE };
            c.strength = ql_rule_link(&c.link, co->join);
            if (c.strength > 0.0) {
                candidate_offer(list, count, &c);
            }
        }
    }
}

static int candidate_cmp(const void *a, const void *b)
{
    const struct co_candidate *x = a, *y = b;
    if (x->strength != y->strength) {
        return x->strength > y->strength ? -1 : 1;
    }
    return x->incident->told.id.v < y->incident->told.id.v ? -1 : 1;
}

uint32_t ql_co_candidates(struct ql_correlate *co, const struct co_member *m, uint64_t key,
                          struct co_candidate list[CO_CANDIDATES_MAX])
{
    uint32_t count = 0;
    near_find(co, key, m->entity);
    for (uint32_t i = 0; i < co->near_count; i++) {
        candidates_at(co, m, &co->near[i], list, &count);
    }
    candidates_by_change(co, m, list, &count);
    qsort(list, count, sizeof *list, candidate_cmp);
    return count;
}

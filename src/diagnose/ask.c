/* Which entities' data a diagnosis looks at: members first, then what they call (a cause
 * lies that way), then who calls them (whose waiting tells). */
#include "diagnose/diagnose_int.h"

#define CALLEE_HOPS 2u
#define CALLER_HOPS 1u

static void entity_add(ql_entity_id out[DI_ENTITIES_MAX], uint32_t *count, ql_entity_id entity)
{
    for (uint32_t i = 0; i < *count; i++) {
        if (out[i].v == entity.v) {
            return;
        }
    }
    if (*count < DI_ENTITIES_MAX) {
        out[(*count)++] = entity;
    }
}

static void entities_walk(const struct ql_diagnose *di, uint32_t member_count,
                          enum ql_direction direction, uint32_t hops_max,
                          ql_entity_id out[DI_ENTITIES_MAX], uint32_t *count)
{
    for (uint32_t i = 0; i < member_count; i++) {
        const uint32_t near = ql_topology_walk(di->topology, out[i], direction, hops_max,
                                               di->hops, DI_ENTITIES_MAX);
        for (uint32_t k = 1; k < near; k++) {
            entity_add(out, count, di->hops[k].id);
        }
    }
}

uint32_t ql_di_entities(const struct ql_diagnose *di, const struct di_incident *in,
                        ql_entity_id out[DI_ENTITIES_MAX])
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < DI_MEMBER_ENTITIES_MAX && in->members[i].entity.v != 0; i++) {
        entity_add(out, &count, in->members[i].entity);
    }
    const uint32_t member_count = count;
    entities_walk(di, member_count, QL_CALLEES, CALLEE_HOPS, out, &count);
    entities_walk(di, member_count, QL_CALLERS, CALLER_HOPS, out, &count);
    return count;
}

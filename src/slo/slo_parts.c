/* slo_parts - what a shard's samples say, gathered by SLO, entity and minute until the tick.
 *
 * Good for     thousands of series of a few services: the core gets a handful of sums.
 * Method       an array in the order of arrival, and a map from the hash of the three.
 */
#include "slo/slo_int.h"

#include "base/pages.h"

ql_err slo_parts_activate(struct slo_parts *p)
{
    p->at = p->at != NULL ? p->at : ql_pages_new(SLO_PARTS_MAX * sizeof(*p->at));
    return p->at == NULL ? QL_E_MEMORY : QL_OK;
}

void slo_parts_fini(struct slo_parts *p)
{
    ql_pages_free(p->at, SLO_PARTS_MAX * sizeof(*p->at));
    ql_map64_fini(&p->of);
}

void slo_parts_flush(struct slo_parts *p, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < p->count; i++) {
        struct ql_slo_part *part = ql_batch_add_slo_part(bus);
        if (part == NULL) {
            ql_stat_add(p->dropped, (int64_t)(p->count - i));
            break;
        }
        *part = p->at[i];
    }
    if (p->count > 0) {
        p->count = 0;
        ql_map64_clear(&p->of);
    }
}

/* The part of that SLO, entity and minute, new or gathered before. */
struct ql_slo_part *slo_part_at(struct slo_parts *p, uint64_t slo, ql_entity_id entity,
                                int64_t minute, struct ql_batch *bus)
{
    const uint64_t words[] = { slo, entity.v, (uint64_t)minute };
    const uint64_t key = ql_hash64(words, sizeof(words));
    const uint32_t known = ql_map64_get(&p->of, key);
    if (known != QL_MAP_NONE) {
        return &p->at[known];
    }
    if (p->count == SLO_PARTS_MAX) {
        slo_parts_flush(p, bus);
    }
    if (ql_map64_put(&p->of, key, p->count) != QL_OK) {
        ql_stat_add(p->dropped, 1);
        return NULL;
    }
    struct ql_slo_part *part = &p->at[p->count++];
    *part = (struct ql_slo_part){ .slo = slo, .entity = entity, .minute = minute };
    return part;
}

static void side_add(struct slo_parts *p, uint16_t packed, const struct slo_told *told,
                     int64_t minute, int64_t amount, struct ql_batch *bus)
{
    const struct ql_slo *slo = &p->config->slos[packed >> SLO_SIDE_BITS];
    const enum slo_side side = slo_side_of(packed);
    struct ql_slo_part *part = slo_part_at(p, slo->key, told->entity, minute, bus);
    if (part == NULL) {
        return;
    }
    if (side == SLO_SIDE_GOOD) {
        part->bad = slo_add(part->bad, -amount);
    } else if (side == SLO_SIDE_BAD) {
        part->bad = slo_add(part->bad, amount);
    } else {
        part->total = slo_add(part->total, amount);
        part->bad = slo_add(part->bad, slo->good != NULL || told->bad ? amount : 0);
        part->covered = 1;
    }
}

/* A sample on the full minute belongs to the minute that it ends. */
void slo_parts_spread(struct slo_parts *p, uint16_t packed, const struct slo_told *told,
                      struct ql_batch *bus)
{
    const int64_t last = slo_minute_of(told->at_ns - 1);
    const double span = (double)(told->at_ns - told->from_ns);
    const int64_t first = told->from_ns < told->at_ns ? slo_minute_of(told->from_ns) : last;
    int64_t before = 0;
    for (int64_t minute = first; minute <= last; minute++) {
        const double share = (double)((minute + 1) * SLO_MINUTE_NS - told->from_ns) / span;
        const int64_t upto =
            minute == last ? told->amount : (int64_t)((double)told->amount * share);
        side_add(p, packed, told, minute, upto - before, bus);
        before = upto;
    }
}

/* A value is one event in its own minute; the time since the one before it is covered. */
void slo_parts_match(struct slo_parts *p, uint16_t packed, const struct slo_told *told,
                     struct ql_batch *bus)
{
    const int64_t last = slo_minute_of(told->at_ns - 1);
    for (int64_t minute = slo_minute_of(told->from_ns); minute < last; minute++) {
        struct slo_told nothing = *told;
        nothing.bad = false;
        side_add(p, packed, &nothing, minute, 0, bus);
    }
    side_add(p, packed, told, last, (int64_t)QL_SLO_UNIT, bus);
}

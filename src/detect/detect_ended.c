/* detect_ended - a sender said that a series ended (the stale marker): is it replaced, or gone?
 *
 * Good for     rolling deploys, pods that come and go, label values that go out of use: what they
 *              leave behind is no news as long as the thing that they are of speaks on.
 * Bad for      one metric that its program stops to tell, on purpose or not.
 * Method       a series that ended waits for a while. Then it is absent if the whole entity is:
 *              no series of it has a value since. `up` and `scrape_*` are no word of the entity
 *              itself. But where those ended too, nobody looks for it any more, and a pod or a
 *              host that was taken away is not absent; a service is.
 *              With several shards each sees its own part of an entity.
 * Cost         one walk over the series table for all that ended in a quarter of a minute.
 */
#include "detect/detect_int.h"

#include "model/entity.h"
#include "model/labels.h"

#include <stdlib.h>

enum {
    ENDED_STEPS = 5,           /* of the series, that it waits at least */
    ENDED_LATE = 12            /* times the wait: nothing else comes that would tell the time */
};
#define ENDED_WAIT_NS (INT64_C(300) * QL_NS_PER_S) /* as long as a query would look back */
#define ENDED_EVERY_NS (INT64_C(15) * QL_NS_PER_S)

/* What is heard of an entity. */
struct dt_ended {
    int64_t value_ns;          /* newest value of a series that goes on; INT64_MIN: none */
    bool scraped, withdrawn;   /* somebody looks for it; one who did does no more */
};

ql_err dt_ended_open(struct dt_stage *d)
{
    ql_map64_init(&d->ended_of, DT_ENDED_MAX);
    d->ended = calloc(DT_ENDED_MAX, sizeof(*d->ended));
    return d->ended != NULL ? QL_OK : QL_E_MEMORY;
}

void dt_ended_close(struct dt_stage *d)
{
    ql_map64_fini(&d->ended_of);
    free(d->ended);
    d->ended = NULL;
}

static bool ended_is_scrape(const struct dt_stage *d, uint32_t series)
{
    const ql_str name = ql_series_name(d->series, series);
    return ql_str_eq(name, QL_STR("up")) || ql_str_starts(name, QL_STR("scrape_"));
}

/* Time is what samples say: who sends late has not said all yet. */
static bool ended_is_due(const struct dt_stage *d, uint32_t series, ql_time now)
{
    const struct ql_dt_series *s = &d->judge.states[series];
    const int64_t steps_ns = (int64_t)ql_series_at(d->series, series)->step_ms * 1000000 * ENDED_STEPS;
    const int64_t wait_ns = steps_ns > ENDED_WAIT_NS ? steps_ns : ENDED_WAIT_NS;
    return (s->flags & QL_DT_ENDED) != 0 && (d->judge.newest_ns - s->last_ns >= wait_ns ||
                                             now.ns - s->last_ns >= ENDED_LATE * wait_ns);
}

/* Notes the entities of what is due; who finds no room waits for the next look. False: none is. */
static bool ended_gather(struct dt_stage *d, ql_time now)
{
    bool due = false;
    ql_map64_clear(&d->ended_of);
    for (uint32_t i = 0; i < d->absent_count; i++) {
        if (!ended_is_due(d, d->absent[i], now)) {
            continue;
        }
        const uint64_t entity = ql_series_at(d->series, d->absent[i])->entity.v;
        const uint32_t index = d->ended_of.count;
        due = true;
        if (ql_map64_get(&d->ended_of, entity) == QL_MAP_NONE && index < DT_ENDED_MAX &&
            ql_map64_put(&d->ended_of, entity, index) == QL_OK) {
            d->ended[index] = (struct dt_ended){ .value_ns = INT64_MIN };
        }
    }
    return due;
}

static void ended_listen(struct dt_stage *d)
{
    const uint32_t count = ql_series_count(d->series);
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_series *row = ql_series_at(d->series, i);
        const uint32_t index = ql_series_is_live(d->series, i)
                                   ? ql_map64_get(&d->ended_of, row->entity.v)
                                   : QL_MAP_NONE;
        struct dt_ended *entity = index == QL_MAP_NONE ? NULL : &d->ended[index];
        const bool lives = (row->flags & QL_SERIES_STALE) == 0;
        if (entity == NULL) {
            continue;
        }
        if (ended_is_scrape(d, i)) {
            entity->scraped |= lives;
            entity->withdrawn |= !lives;
        } else if (lives && row->last_at.ns > entity->value_ns) {
            entity->value_ns = row->last_at.ns;
        }
    }
}

static bool ended_of_service(struct dt_stage *d, uint32_t series)
{
    struct ql_buf name;
    ql_buf_init(&name, QL_LABELS_BYTES_MAX);
    ql_buf_reset(&d->scratch);
    (void)ql_series_labels(d->series, series, &d->scratch);
    const bool service = ql_entity_of_labels(ql_buf_view(&d->scratch), &name) &&
                         ql_str_starts(ql_buf_view(&name), QL_STR("service/"));
    ql_buf_fini(&name);
    ql_buf_reset(&d->scratch);
    return service;
}

/* Of no known entity nobody else can tell. */
static bool ended_is_gone(struct dt_stage *d, uint32_t series, const struct dt_ended *entity)
{
    if (ended_is_scrape(d, series)) {
        return false;
    }
    if (ql_series_at(d->series, series)->entity.v == 0) {
        return true;
    }
    return entity->value_ns <= d->judge.states[series].last_ns &&
           (entity->scraped || !entity->withdrawn || ended_of_service(d, series));
}

void dt_ended_look(struct dt_stage *d, struct ql_batch *bus, ql_time now)
{
    if (now.ns < d->ended_next_ns || !ended_gather(d, now)) {
        return;
    }
    d->ended_next_ns = now.ns + ENDED_EVERY_NS;
    ended_listen(d);
    for (uint32_t i = 0; i < d->absent_count; i++) {
        const uint32_t series = d->absent[i];
        const uint64_t entity = ql_series_at(d->series, series)->entity.v;
        const uint32_t index = ql_map64_get(&d->ended_of, entity);
        struct ql_dt_series *s = &d->judge.states[series];
        if (index == QL_MAP_NONE || !ended_is_due(d, series, now)) {
            continue;
        }
        s->flags &= (uint8_t)~QL_DT_ENDED;
        if (ended_is_gone(d, series, &d->ended[index])) {
            dt_absent_begin(d, bus, series, now);
        } else {
            s->steady_run = 0;
        }
    }
}

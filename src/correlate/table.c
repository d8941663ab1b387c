/* Rows with free lists and intrusive lists; every function keeps the counts that joining
 * and resolving rely on (open members of a place and of an incident). */
#include "correlate/correlate.h"
#include "correlate/correlate_int.h"

#include "base/pages.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define ROWS(field, count) { (void **)&co->field, sizeof *co->field, (count) }

struct rows { void **at; size_t bytes, count; };

static size_t tables_list(struct ql_correlate *co, struct rows out[8])
{
    const struct rows all[] = {
        ROWS(incidents, CO_INCIDENTS_MAX), ROWS(members, CO_MEMBERS_MAX),
        ROWS(places, CO_PLACES_MAX),       ROWS(changes, CO_CHANGES_MAX),
        ROWS(waiting, CO_WAITING_MAX),     ROWS(near, 3 * CO_NEAR_MAX),
        ROWS(hops, CO_NEAR_MAX),           ROWS(hops_back, CO_NEAR_MAX),
    };
    memcpy(out, all, sizeof all);
    return QL_COUNT_OF(all);
}

ql_err ql_co_tables_new(struct ql_correlate *co)
{
    struct rows rows[8];
    const size_t count = tables_list(co, rows);
    ql_map64_init(&co->member_of, CO_MEMBERS_MAX);
    ql_map64_init(&co->place_of, CO_PLACES_MAX);
    ql_map64_init(&co->incident_of, CO_INCIDENTS_MAX);
    for (size_t i = 0; i < count; i++) {
        *rows[i].at = ql_pages_new(rows[i].bytes * rows[i].count);
        if (*rows[i].at == NULL) {
            return QL_E_MEMORY;
        }
    }
    return QL_OK;
}

void ql_co_tables_free(struct ql_correlate *co)
{
    struct rows rows[8];
    const size_t count = tables_list(co, rows);
    for (size_t i = 0; i < count; i++) {
        ql_pages_free(*rows[i].at, rows[i].bytes * rows[i].count);
    }
    ql_map64_fini(&co->member_of);
    ql_map64_fini(&co->place_of);
    ql_map64_fini(&co->incident_of);
}

/* ---- members ---- */

uint64_t ql_co_member_key(enum ql_member_kind kind, ql_id id, ql_id incident)
{
    const uint64_t parts[3] = { (uint64_t)kind, id.v, kind == QL_MEMBER_CHANGE ? incident.v : 0 };
    return ql_hash64(parts, sizeof parts);
}

struct co_member *ql_co_member_find(const struct ql_correlate *co, enum ql_member_kind kind,
                                    ql_id id, ql_id incident)
{
    const uint32_t row = ql_map64_get(&co->member_of, ql_co_member_key(kind, id, incident));
    return row == QL_MAP_NONE ? NULL : &co->members[row];
}

struct co_member *ql_co_member_add(struct ql_correlate *co, enum ql_member_kind kind, ql_id id,
                                   ql_id incident)
{
    if (co->member_free == 0 && co->member_used == CO_MEMBERS_MAX) {
        ql_stat_add(co->drop_member, 1);
        return NULL;
    }
    const uint32_t row = co->member_free != 0 ? co->member_free - 1 : co->member_used;
    if (ql_map64_put(&co->member_of, ql_co_member_key(kind, id, incident), row) != QL_OK) {
        ql_stat_add(co->drop_member, 1);
        return NULL;
    }
    if (co->member_free != 0) {
        co->member_free = co->members[row].next;
    } else {
        co->member_used++;
    }
    struct co_member *m = &co->members[row];
    *m = (struct co_member){ .id = id, .kind = (uint8_t)kind, .used = 1,
                             .ended = QL_TIME_NONE, .expires = QL_TIME_NONE };
    return m;
}

/* The incident's id is needed for the key of a change; others pass it for nothing. */
void ql_co_member_free(struct ql_correlate *co, struct co_member *m)
{
    QL_ASSERT(m->used && m->place != 0);
    const struct co_place *p = &co->places[m->place - 1];
    const ql_id incident = p->incident == CO_WAITING ? (ql_id){ 0 }
                                                     : co->incidents[p->incident].told.id;
    ql_co_member_unplace(co, m);
    (void)ql_map64_drop(&co->member_of,
                        ql_co_member_key((enum ql_member_kind)m->kind, m->id, incident));
    m->used = 0;
    m->next = co->member_free;
    co->member_free = (uint32_t)(m - co->members) + 1;
}

static uint16_t text_put(char *to, size_t room, ql_str from)
{
    const size_t bytes = from.bytes < room ? from.bytes : room;
    if (bytes > 0) {
        memcpy(to, from.at, bytes);
    }
    return (uint16_t)bytes;
}

void ql_co_member_texts(struct co_member *m, ql_str name, ql_str labels)
{
    m->name_bytes = text_put(m->name, sizeof m->name, name);
    /* Half a label block would not parse: one that does not fit is left out whole. */
    m->labels_bytes =
        labels.bytes > sizeof m->labels ? 0 : text_put(m->labels, sizeof m->labels, labels);
}

void ql_co_member_why(struct co_member *m, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const int bytes = vsnprintf(m->why, sizeof m->why, format, args);
    va_end(args);
    const size_t room = sizeof m->why - 1;
    m->why_bytes = (uint16_t)(bytes < 0 ? 0 : (size_t)bytes < room ? (size_t)bytes : room);
}

/* ---- places ---- */

struct co_place *ql_co_place_first(const struct ql_correlate *co, uint64_t key)
{
    const uint32_t first = ql_map64_get(&co->place_of, key);
    return first == QL_MAP_NONE ? NULL : &co->places[first - 1];
}

struct co_place *ql_co_place_next(const struct ql_correlate *co, const struct co_place *p)
{
    return p->key_next == 0 ? NULL : &co->places[p->key_next - 1];
}

static struct co_place *place_add(struct ql_correlate *co, uint32_t incident, uint64_t key)
{
    const uint32_t first = ql_map64_get(&co->place_of, key);
    if (co->place_free == 0 && co->place_used == CO_PLACES_MAX) {
        return NULL;
    }
    const uint32_t row = co->place_free != 0 ? co->place_free - 1 : co->place_used;
    if (ql_map64_put(&co->place_of, key, row + 1) != QL_OK) {
        return NULL;
    }
    if (co->place_free != 0) {
        co->place_free = co->places[row].key_next;
    } else {
        co->place_used++;
    }
    struct co_place *p = &co->places[row];
    *p = (struct co_place){ .key = key, .incident = incident, .ended_last = QL_TIME_NONE,
                            .since_first = QL_TIME_NONE, .since_last = QL_TIME_NONE,
                            .key_next = first == QL_MAP_NONE ? 0 : first };
    if (incident != CO_WAITING) {
        p->incident_next = co->incidents[incident].place_first;
        co->incidents[incident].place_first = row + 1;
    }
    return p;
}

static struct co_place *place_get(struct ql_correlate *co, uint32_t incident, uint64_t key)
{
    for (struct co_place *p = ql_co_place_first(co, key); p != NULL;
         p = ql_co_place_next(co, p)) {
        if (p->incident == incident) {
            return p;
        }
    }
    return place_add(co, incident, key);
}

static void place_free(struct ql_correlate *co, struct co_place *p)
{
    const uint32_t number = (uint32_t)(p - co->places) + 1;
    QL_ASSERT(p->member_count == 0);
    if (p->incident != CO_WAITING) {
        uint32_t *hook = &co->incidents[p->incident].place_first;
        while (*hook != number) {
            hook = &co->places[*hook - 1].incident_next;
        }
        *hook = p->incident_next;
    }
    const uint32_t first = ql_map64_get(&co->place_of, p->key);
    if (first == number && p->key_next == 0) {
        (void)ql_map64_drop(&co->place_of, p->key);
    } else if (first == number) { /* replaces a value that is there: cannot run out of room */
        const ql_err err = ql_map64_put(&co->place_of, p->key, p->key_next);
        QL_ASSERT(err == QL_OK);
    } else {
        uint32_t *hook = &co->places[first - 1].key_next;
        while (*hook != number) {
            hook = &co->places[*hook - 1].key_next;
        }
        *hook = p->key_next;
    }
    p->key_next = co->place_free;
    co->place_free = number;
}

static bool counts_as_open(const struct co_member *m)
{
    return m->kind != QL_MEMBER_CHANGE && ql_co_lasts(m);
}

static void place_count_open(struct ql_correlate *co, struct co_place *p, int step)
{
    p->open_count += (uint32_t)step;
    if (p->incident == CO_WAITING) {
        return;
    }
    struct co_incident *in = &co->incidents[p->incident];
    in->open_count += (uint32_t)step;
    in->quiet_since = in->open_count > 0 ? QL_TIME_NONE : co->now;
}

static void place_times(struct co_place *p, const struct co_member *m)
{
    if (m->kind == QL_MEMBER_CHANGE) {
        return; /* a change explains, it is no symptom to measure distances from */
    }
    if (p->since_first.ns == QL_TIME_NONE.ns || ql_time_before(m->since, p->since_first)) {
        p->since_first = m->since;
    }
    if (ql_time_before(p->since_last, m->since)) {
        p->since_last = m->since;
    }
    if (!ql_co_lasts(m) && ql_time_before(p->ended_last, m->ended)) {
        p->ended_last = m->ended;
    }
}

static void incident_count(struct co_incident *in, const struct co_member *m, int step)
{
    in->member_count += (uint32_t)step;
    in->told.alert_count += m->kind == QL_MEMBER_ALERT ? (uint32_t)step : 0;
    in->told.signal_count += m->kind == QL_MEMBER_SIGNAL ? (uint32_t)step : 0;
}

bool ql_co_member_place(struct ql_correlate *co, struct co_member *m, uint32_t incident,
                        uint64_t key)
{
    QL_ASSERT(m->place == 0);
    if (incident != CO_WAITING &&
        co->incidents[incident].member_count == CO_INCIDENT_MEMBERS_MAX) {
        return false;
    }
    struct co_place *p = place_get(co, incident, key);
    if (p == NULL) {
        return false;
    }
    p->entity = m->entity;
    m->place = (uint32_t)(p - co->places) + 1;
    m->next = p->member_first;
    p->member_first = (uint32_t)(m - co->members) + 1;
    p->member_count++;
    place_times(p, m);
    if (incident != CO_WAITING) {
        incident_count(&co->incidents[incident], m, 1);
        co->incidents[incident].told.entity_count += p->member_count == 1;
    }
    if (counts_as_open(m)) {
        place_count_open(co, p, 1);
    }
    return true;
}

void ql_co_member_unplace(struct ql_correlate *co, struct co_member *m)
{
    QL_ASSERT(m->place != 0);
    struct co_place *p = &co->places[m->place - 1];
    const uint32_t number = (uint32_t)(m - co->members) + 1;
    uint32_t *hook = &p->member_first;
    while (*hook != number) {
        hook = &co->members[*hook - 1].next;
    }
    *hook = m->next;
    if (counts_as_open(m)) {
        place_count_open(co, p, -1);
    }
    p->member_count--;
    if (p->incident != CO_WAITING) {
        incident_count(&co->incidents[p->incident], m, -1);
        co->incidents[p->incident].told.entity_count -= p->member_count == 0;
    }
    m->place = 0;
    if (p->member_count == 0) {
        place_free(co, p);
    }
}

void ql_co_member_end(struct ql_correlate *co, struct co_member *m, ql_time at)
{
    struct co_place *p = &co->places[m->place - 1];
    if (counts_as_open(m)) {
        m->ended = ql_time_before(at, m->since) ? m->since : at;
        place_count_open(co, p, -1);
        place_times(p, m);
    }
}

void ql_co_member_again(struct ql_correlate *co, struct co_member *m, ql_time since)
{
    struct co_place *p = &co->places[m->place - 1];
    if (!ql_co_lasts(m)) {
        m->ended = QL_TIME_NONE;
        m->since = since;
        place_times(p, m);
        place_count_open(co, p, 1);
    }
}

uint32_t ql_co_incident_of_member(const struct ql_correlate *co, const struct co_member *m)
{
    QL_ASSERT(m->place != 0);
    return co->places[m->place - 1].incident;
}

/* ---- incidents ---- */

static void incident_forget_oldest(struct ql_correlate *co)
{
    struct co_incident *oldest = NULL;
    for (uint32_t i = 0; i < co->incident_used; i++) {
        struct co_incident *in = &co->incidents[i];
        if (in->used && !ql_co_active(in) &&
            (oldest == NULL || ql_time_before(in->told.resolved, oldest->told.resolved))) {
            oldest = in;
        }
    }
    if (oldest != NULL) {
        ql_co_incident_free(co, oldest);
    }
}

void ql_correlate_ids_above(void *stage, uint64_t id)
{
    struct ql_correlate *co = stage;
    co->incident_id_last = id > co->incident_id_last ? id : co->incident_id_last;
}

struct co_incident *ql_co_incident_add(struct ql_correlate *co)
{
    if (co->incident_free == 0 && co->incident_used == CO_INCIDENTS_MAX) {
        incident_forget_oldest(co);
    }
    const bool fresh = co->incident_free == 0;
    if (fresh && co->incident_used == CO_INCIDENTS_MAX) {
        ql_stat_add(co->drop_incident, 1);
        return NULL;
    }
    const uint32_t row = fresh ? co->incident_used : co->incident_free - 1;
    if (ql_map64_put(&co->incident_of, co->incident_id_last + 1, row) != QL_OK) {
        ql_stat_add(co->drop_incident, 1);
        return NULL;
    }
    if (fresh) {
        co->incident_used++;
    } else {
        co->incident_free = co->incidents[row].place_first;
    }
    struct co_incident *in = &co->incidents[row];
    *in = (struct co_incident){ .used = 1, .quiet_since = QL_TIME_NONE, .told_at = co->now,
                                .expires_first = QL_TIME_NONE };
    in->told = (struct ql_incident){ .id = { ++co->incident_id_last }, .onset = QL_TIME_NONE,
                                     .opened = co->now,
                                     .updated = co->now, .resolved = QL_TIME_NONE };
    return in;
}

void ql_co_incident_free(struct ql_correlate *co, struct co_incident *in)
{
    while (in->place_first != 0) { /* freeing the last member of a place frees the place */
        ql_co_member_free(co, &co->members[co->places[in->place_first - 1].member_first - 1]);
    }
    (void)ql_map64_drop(&co->incident_of, in->told.id.v);
    in->used = 0;
    in->place_first = co->incident_free;
    co->incident_free = ql_co_incident_row(co, in) + 1;
}

struct co_incident *ql_co_incident_find(const struct ql_correlate *co, ql_id id)
{
    const uint32_t row = ql_map64_get(&co->incident_of, id.v);
    return row == QL_MAP_NONE ? NULL : &co->incidents[row];
}

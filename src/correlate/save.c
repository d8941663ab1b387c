/* The checkpoint: rows with their numbers, so that lists and free lists come back as they
 * were; maps are rebuilt. Fields are written one by one: no padding reaches a file. A file
 * is checked field by field on the way in, because a checkpoint may have been damaged. */
#include "correlate/correlate_int.h"

static void id_put(struct ql_buf *out, ql_series_id id)
{
    (void)ql_buf_u64(out, id.h.high);
    (void)ql_buf_u64(out, id.h.low);
}

static void member_put(struct ql_buf *out, const struct co_member *m)
{
    (void)ql_buf_u8(out, m->used);
    (void)ql_buf_u32(out, m->next);
    if (!m->used) {
        return;
    }
    (void)ql_buf_u32(out, m->place);
    (void)ql_buf_u64(out, m->id.v);
    (void)ql_buf_u64(out, m->entity.v);
    id_put(out, m->series);
    (void)ql_buf_i64(out, m->since.ns);
    (void)ql_buf_i64(out, m->joined.ns);
    (void)ql_buf_i64(out, m->ended.ns);
    (void)ql_buf_i64(out, m->expires.ns);
    (void)ql_buf_f64(out, m->surprise);
    (void)ql_buf_u8(out, m->kind);
    (void)ql_buf_u8(out, m->signal_kind);
    (void)ql_buf_u8(out, m->symptom);
    (void)ql_buf_u8(out, m->importance);
    (void)ql_buf_lstr(out, (ql_str){ m->name, m->name_bytes });
    (void)ql_buf_lstr(out, (ql_str){ m->why, m->why_bytes });
    (void)ql_buf_lstr(out, (ql_str){ m->labels, m->labels_bytes });
}

static void text_get(struct ql_reader *in, char *to, size_t room, uint16_t *ret_bytes)
{
    const ql_str s = ql_reader_lstr(in);
    if (s.bytes > room) {
        in->failed = true;
        return;
    }
    memcpy(to, s.at, s.bytes);
    *ret_bytes = (uint16_t)s.bytes;
}

static void member_get(struct ql_reader *in, struct co_member *m)
{
    m->used = ql_reader_u8(in);
    m->next = ql_reader_u32(in);
    if (!m->used) {
        return;
    }
    m->place = ql_reader_u32(in);
    m->id.v = ql_reader_u64(in);
    m->entity.v = ql_reader_u64(in);
    m->series.h.high = ql_reader_u64(in);
    m->series.h.low = ql_reader_u64(in);
    m->since.ns = ql_reader_i64(in);
    m->joined.ns = ql_reader_i64(in);
    m->ended.ns = ql_reader_i64(in);
    m->expires.ns = ql_reader_i64(in);
    m->surprise = ql_reader_f64(in);
    m->kind = ql_reader_u8(in);
    m->signal_kind = ql_reader_u8(in);
    m->symptom = ql_reader_u8(in);
    m->importance = ql_reader_u8(in);
    text_get(in, m->name, sizeof m->name, &m->name_bytes);
    text_get(in, m->why, sizeof m->why, &m->why_bytes);
    text_get(in, m->labels, sizeof m->labels, &m->labels_bytes);
}

static void place_put(struct ql_buf *out, const struct co_place *p)
{
    (void)ql_buf_u64(out, p->key);
    (void)ql_buf_u64(out, p->entity.v);
    (void)ql_buf_u32(out, p->incident);
    (void)ql_buf_u32(out, p->member_first);
    (void)ql_buf_u32(out, p->key_next);
    (void)ql_buf_u32(out, p->incident_next);
    (void)ql_buf_u32(out, p->member_count);
    (void)ql_buf_u32(out, p->open_count);
    (void)ql_buf_i64(out, p->since_first.ns);
    (void)ql_buf_i64(out, p->since_last.ns);
    (void)ql_buf_i64(out, p->ended_last.ns);
}

static void place_get(struct ql_reader *in, struct co_place *p)
{
    p->key = ql_reader_u64(in);
    p->entity.v = ql_reader_u64(in);
    p->incident = ql_reader_u32(in);
    p->member_first = ql_reader_u32(in);
    p->key_next = ql_reader_u32(in);
    p->incident_next = ql_reader_u32(in);
    p->member_count = ql_reader_u32(in);
    p->open_count = ql_reader_u32(in);
    p->since_first.ns = ql_reader_i64(in);
    p->since_last.ns = ql_reader_i64(in);
    p->ended_last.ns = ql_reader_i64(in);
}

static void incident_put(struct ql_buf *out, const struct co_incident *in)
{
    (void)ql_buf_u8(out, in->used);
    (void)ql_buf_u32(out, in->place_first);
    if (!in->used) {
        return;
    }
    (void)ql_buf_u64(out, in->told.id.v);
    (void)ql_buf_u8(out, (uint8_t)in->told.state);
    (void)ql_buf_u64(out, in->told.entity.v);
    (void)ql_buf_i64(out, in->told.onset.ns);
    (void)ql_buf_i64(out, in->told.opened.ns);
    (void)ql_buf_i64(out, in->told.updated.ns);
    (void)ql_buf_i64(out, in->told.resolved.ns);
    (void)ql_buf_u32(out, in->told.alert_count);
    (void)ql_buf_u32(out, in->told.signal_count);
    (void)ql_buf_u32(out, in->told.entity_count);
    (void)ql_buf_u32(out, in->told.raw_count);
    (void)ql_buf_u32(out, in->told.reopen_count);
    (void)ql_buf_u32(out, in->member_count);
    (void)ql_buf_u32(out, in->open_count);
    (void)ql_buf_u32(out, in->raw_told);
    (void)ql_buf_i64(out, in->quiet_since.ns);
    (void)ql_buf_i64(out, in->told_at.ns);
    (void)ql_buf_i64(out, in->expires_first.ns);
    (void)ql_buf_lstr(out, (ql_str){ in->headline, in->headline_bytes });
    (void)ql_buf_lstr(out, (ql_str){ in->by, in->by_bytes });
}

static void incident_get(struct ql_reader *in, struct co_incident *to)
{
    uint16_t headline_bytes = 0, by_bytes = 0;
    to->used = ql_reader_u8(in);
    to->place_first = ql_reader_u32(in);
    if (!to->used) {
        return;
    }
    to->told.id.v = ql_reader_u64(in);
    const uint8_t state = ql_reader_u8(in);
    in->failed = in->failed || state > QL_INCIDENT_RESOLVED;
    to->told.state = (enum ql_incident_state)state;
    to->told.entity.v = ql_reader_u64(in);
    to->told.onset.ns = ql_reader_i64(in);
    to->told.opened.ns = ql_reader_i64(in);
    to->told.updated.ns = ql_reader_i64(in);
    to->told.resolved.ns = ql_reader_i64(in);
    to->told.alert_count = ql_reader_u32(in);
    to->told.signal_count = ql_reader_u32(in);
    to->told.entity_count = ql_reader_u32(in);
    to->told.raw_count = ql_reader_u32(in);
    to->told.reopen_count = ql_reader_u32(in);
    to->member_count = ql_reader_u32(in);
    to->open_count = ql_reader_u32(in);
    to->raw_told = ql_reader_u32(in);
    to->quiet_since.ns = ql_reader_i64(in);
    to->told_at.ns = ql_reader_i64(in);
    to->expires_first.ns = ql_reader_i64(in);
    text_get(in, to->headline, sizeof to->headline, &headline_bytes);
    text_get(in, to->by, sizeof to->by, &by_bytes);
    to->headline_bytes = (uint8_t)headline_bytes;
    to->by_bytes = (uint8_t)by_bytes;
}

static void change_put(struct ql_buf *out, const struct co_change *c)
{
    (void)ql_buf_u64(out, c->id.v);
    (void)ql_buf_u64(out, c->entity.v);
    (void)ql_buf_i64(out, c->at.ns);
    (void)ql_buf_u64(out, c->key);
    (void)ql_buf_u64(out, c->incident.v);
    (void)ql_buf_lstr(out, (ql_str){ c->text, c->text_bytes });
}

static void change_get(struct ql_reader *in, struct co_change *c)
{
    uint16_t bytes = 0;
    c->id.v = ql_reader_u64(in);
    c->entity.v = ql_reader_u64(in);
    c->at.ns = ql_reader_i64(in);
    c->key = ql_reader_u64(in);
    c->incident.v = ql_reader_u64(in);
    text_get(in, c->text, sizeof c->text, &bytes);
    c->text_bytes = (uint8_t)bytes;
}

ql_err ql_co_save(const void *stage, struct ql_buf *out)
{
    const struct ql_correlate *co = stage;
    (void)ql_buf_u64(out, co->incident_id_last);
    (void)ql_buf_i64(out, co->expired_at.ns);
    (void)ql_buf_u32(out, co->incident_free);
    (void)ql_buf_u32(out, co->member_free);
    (void)ql_buf_u32(out, co->place_free);
    (void)ql_buf_u32(out, co->change_next);
    (void)ql_buf_u32(out, co->incident_used);
    for (uint32_t i = 0; i < co->incident_used; i++) {
        incident_put(out, &co->incidents[i]);
    }
    (void)ql_buf_u32(out, co->place_used);
    for (uint32_t i = 0; i < co->place_used; i++) {
        const struct co_place *p = &co->places[i];
        const bool is_head = p->member_count > 0 && ql_co_place_first(co, p->key) == p;
        place_put(out, p);
        (void)ql_buf_u8(out, is_head);
    }
    (void)ql_buf_u32(out, co->member_used);
    for (uint32_t i = 0; i < co->member_used; i++) {
        member_put(out, &co->members[i]);
    }
    (void)ql_buf_u32(out, co->waiting_count);
    for (uint32_t i = 0; i < co->waiting_count; i++) {
        (void)ql_buf_u32(out, co->waiting[i]);
    }
    (void)ql_buf_u32(out, co->change_count);
    for (uint32_t i = 0; i < co->change_count; i++) {
        change_put(out, &co->changes[i]);
    }
    return ql_buf_check(out);
}

static uint32_t count_get(struct ql_reader *in, uint32_t count_max)
{
    const uint32_t count = ql_reader_u32(in);
    in->failed = in->failed || count > count_max;
    return in->failed ? 0 : count;
}

/* Every number that will be followed later must lead to a row that exists. */
static bool rows_are_sound(const struct ql_correlate *co)
{
    bool sound = co->incident_free <= co->incident_used && co->member_free <= co->member_used &&
                 co->place_free <= co->place_used && co->change_next < CO_CHANGES_MAX;
    for (uint32_t i = 0; i < co->incident_used; i++) {
        const struct co_incident *in = &co->incidents[i];
        sound = sound &&
                in->place_first <= (in->used ? co->place_used : co->incident_used);
    }
    for (uint32_t i = 0; i < co->place_used; i++) {
        const struct co_place *p = &co->places[i];
        sound = sound && p->member_first <= co->member_used && p->key_next <= co->place_used &&
                p->incident_next <= co->place_used &&
                (p->incident == CO_WAITING || p->incident < co->incident_used);
    }
    for (uint32_t i = 0; i < co->member_used; i++) {
        const struct co_member *m = &co->members[i];
        sound = sound && m->next <= co->member_used && m->place <= co->place_used &&
                (!m->used || m->place != 0) && m->kind <= QL_MEMBER_CHANGE &&
                m->signal_kind < QL_SIGNAL_KIND_COUNT && m->importance < QL_IMPORTANCE_COUNT;
    }
    for (uint32_t i = 0; i < co->waiting_count; i++) {
        sound = sound && co->waiting[i] < co->member_used && co->members[co->waiting[i]].used;
    }
    return sound;
}

static ql_err maps_rebuild(struct ql_correlate *co)
{
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < co->incident_used && err == QL_OK; i++) {
        const struct co_incident *in = &co->incidents[i];
        err = in->used ? ql_map64_put(&co->incident_of, in->told.id.v, i) : QL_OK;
    }
    for (uint32_t i = 0; i < co->member_used && err == QL_OK; i++) {
        const struct co_member *m = &co->members[i];
        if (m->used) {
            const uint32_t row = co->places[m->place - 1].incident;
            const ql_id incident = row == CO_WAITING ? (ql_id){ 0 }
                                                     : co->incidents[row].told.id;
            err = ql_map64_put(&co->member_of,
                               ql_co_member_key((enum ql_member_kind)m->kind, m->id, incident), i);
        }
    }
    return err;
}

ql_err ql_co_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct ql_correlate *co = stage;
    if (version != CO_STATE_VERSION) {
        return QL_E_VERSION;
    }
    co->incident_id_last = ql_reader_u64(in);
    co->expired_at.ns = ql_reader_i64(in);
    co->incident_free = ql_reader_u32(in);
    co->member_free = ql_reader_u32(in);
    co->place_free = ql_reader_u32(in);
    co->change_next = ql_reader_u32(in);
    co->incident_used = count_get(in, CO_INCIDENTS_MAX);
    for (uint32_t i = 0; i < co->incident_used; i++) {
        incident_get(in, &co->incidents[i]);
    }
    co->place_used = count_get(in, CO_PLACES_MAX);
    for (uint32_t i = 0; i < co->place_used; i++) {
        struct co_place *p = &co->places[i];
        place_get(in, p);
        if (ql_reader_u8(in) != 0 && !in->failed &&
            ql_map64_put(&co->place_of, p->key, i + 1) != QL_OK) {
            return QL_E_MALFORMED;
        }
    }
    co->member_used = count_get(in, CO_MEMBERS_MAX);
    for (uint32_t i = 0; i < co->member_used; i++) {
        member_get(in, &co->members[i]);
    }
    co->waiting_count = count_get(in, CO_WAITING_MAX);
    for (uint32_t i = 0; i < co->waiting_count; i++) {
        co->waiting[i] = ql_reader_u32(in);
    }
    co->change_count = count_get(in, CO_CHANGES_MAX);
    for (uint32_t i = 0; i < co->change_count; i++) {
        change_get(in, &co->changes[i]);
    }
    if (in->failed || !rows_are_sound(co)) {
        return QL_E_MALFORMED;
    }
    return maps_rebuild(co);
}

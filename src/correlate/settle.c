/* Where a newcomer goes: it looks at the entities near its own, at the incidents that
 * stand there (near.c), and takes the strongest link; else it may bring back a resolved incident,
 * or open a new one. Whatever waits nearby and fits in time follows it. */
#include "correlate/correlate_int.h"
#include "model/labels.h"

#include <stdio.h>

/* ---- words ---- */

static void why_joined(const struct ql_correlate *co, struct co_member *m,
                       const struct co_candidate *c)
{
    char gap[32];
    const ql_str own = ql_co_short_name(co, m->entity), other = ql_co_short_name(co, c->entity);
    (void)ql_rule_gap_text(&c->link, gap);
    switch (c->near.relation) {
    case QL_RELATION_SAME:
        ql_co_member_why(m, "same %s, %s", m->entity.v == 0 ? "alert name" : "entity", gap);
        break;
    case QL_RELATION_CALLS:
        ql_co_member_why(m, "%.*s calls %.*s, %u hop%s, %s", QL_STR_ARG(own), QL_STR_ARG(other),
                         (unsigned)c->near.hops, c->near.hops == 1 ? "" : "s", gap);
        break;
    case QL_RELATION_CALLED:
        ql_co_member_why(m, "%.*s calls %.*s, %u hop%s, %s", QL_STR_ARG(other), QL_STR_ARG(own),
                         (unsigned)c->near.hops, c->near.hops == 1 ? "" : "s", gap);
        break;
    case QL_RELATION_SHARED:
        ql_co_member_why(m, "%.*s and %.*s call the same callee, %s", QL_STR_ARG(own),
                         QL_STR_ARG(other), gap);
        break;
    case QL_RELATION_CHANGE:
        ql_co_member_why(m, "the same change touched %.*s, %s", QL_STR_ARG(other), gap);
        break;
    }
}

/* ---- members enter ---- */

/* Changes at the entity shortly before its first trouble there explain; they are taken in. */
static void changes_take(struct ql_correlate *co, struct co_incident *in, ql_entity_id entity)
{
    for (uint32_t i = 0; entity.v != 0 && i < co->change_count; i++) {
        struct co_change *change = &co->changes[i];
        if (change->entity.v != entity.v || !ql_co_change_is_recent(co, change) ||
            ql_co_member_find(co, QL_MEMBER_CHANGE, change->id, in->told.id) != NULL) {
            continue;
        }
        struct co_member *m = ql_co_member_add(co, QL_MEMBER_CHANGE, change->id, in->told.id);
        if (m == NULL) {
            return;
        }
        m->entity = entity;
        m->since = m->ended = change->at;
        m->joined = co->now;
        ql_co_member_texts(m, (ql_str){ change->text, change->text_bytes }, QL_STR(""));
        const double before_s = ql_duration_s(ql_time_since(in->told.onset, change->at));
        if (before_s >= 0.0) {
            ql_co_member_why(m, "changed %.0f s before the first symptom", before_s);
        } else {
            ql_co_member_why(m, "changed during the incident");
        }
        if (!ql_co_member_place(co, m, ql_co_incident_row(co, in), entity.v)) {
            ql_stat_add(co->drop_member, 1);
            ql_co_member_forget(co, m, in->told.id);
            return;
        }
        change->incident = in->told.id;
        ql_co_tell_member(co, m);
    }
}

/* False: the incident or a table is full; the member is placeless, the repeat is counted. */
static bool enter(struct ql_correlate *co, struct co_member *m, struct co_incident *in,
                  uint64_t key)
{
    in->told.raw_count++;
    if (!ql_co_member_place(co, m, ql_co_incident_row(co, in), key)) {
        ql_stat_add(co->drop_member, 1);
        return false;
    }
    m->joined = co->now;
    if (in->told.onset.ns == QL_TIME_NONE.ns || ql_time_before(m->since, in->told.onset)) {
        in->told.onset = m->since;
    }
    if (m->expires.ns != QL_TIME_NONE.ns && (in->expires_first.ns == QL_TIME_NONE.ns ||
                                             ql_time_before(m->expires, in->expires_first))) {
        in->expires_first = m->expires;
    }
    in->told.updated = co->now;
    in->grew = 1;
    ql_co_tell_member(co, m);
    changes_take(co, in, m->entity);
    return true;
}

/* What waits near the newcomer and would have been joined by it follows it. */
static void adopt_at(struct ql_correlate *co, const struct co_member *m, struct co_incident *in,
                     const struct co_near *near)
{
    struct co_place *p = ql_co_place_first(co, near->key);
    while (p != NULL && p->incident != CO_WAITING) {
        p = ql_co_place_next(co, p);
    }
    for (uint32_t at = p == NULL ? 0 : p->member_first; at != 0;) {
        struct co_member *w = &co->members[at - 1];
        at = w->next;
        struct co_candidate c = { .near = *near, .entity = m->entity };
        c.link = (struct ql_rule_link){ .relation = near->relation, .hops = near->hops,
                                        .lasts = ql_co_lasts(w), .onset = ql_co_joins_at(co, m),
                                        .since_first = w->since, .since_last = w->since,
                                        .ended_last = w->ended };
        if (ql_rule_link(&c.link, co->join) > 0.0) {
            const uint64_t key = near->key;
            ql_co_wait_take(co, w);
            c.link.onset = w->since; /* told from the side of what follows */
            c.link.since_first = c.link.since_last = m->since;
            c.near.relation = near->relation == QL_RELATION_CALLS    ? QL_RELATION_CALLED
                              : near->relation == QL_RELATION_CALLED ? QL_RELATION_CALLS
                                                                     : near->relation;
            why_joined(co, w, &c);
            if (!enter(co, w, in, key) && !ql_co_wait_put(co, w, key)) {
                ql_co_member_forget(co, w, (ql_id){ 0 });
                return;
            }
        }
    }
}

static void adopt(struct ql_correlate *co, const struct co_member *m, struct co_incident *in)
{
    for (uint32_t i = 0; i < co->near_count; i++) {
        adopt_at(co, m, in, &co->near[i]);
    }
}

/* ---- incidents come back, merge, open ---- */

bool ql_co_remembered(const struct ql_correlate *co, const struct co_incident *in)
{
    return !ql_co_active(in) &&
           ql_time_since(co->now, in->told.resolved).ns <= CO_REOPEN.ns;
}

void ql_co_reopen(struct ql_correlate *co, struct co_incident *in)
{
    QL_ASSERT(!ql_co_active(in));
    in->told.state = QL_INCIDENT_OPEN;
    in->told.resolved = QL_TIME_NONE;
    in->told.updated = co->now;
    in->told.reopen_count++;
    in->reopened = 1;
    ql_co_by_set(in, QL_STR("engine"));
}

static bool place_has_series(const struct ql_correlate *co, const struct co_place *p,
                             ql_series_id series)
{
    for (uint32_t at = p->member_first; at != 0; at = co->members[at - 1].next) {
        const struct co_member *m = &co->members[at - 1];
        if (m->kind == QL_MEMBER_SIGNAL && ql_series_id_eq(m->series, series)) {
            return true;
        }
    }
    return false;
}

/* A series that was a member of a resolved incident turns odd again. */
static struct co_incident *comes_back(struct ql_correlate *co, const struct co_member *m,
                                      uint64_t key)
{
    for (const struct co_place *p = ql_co_place_first(co, key);
         m->kind == QL_MEMBER_SIGNAL && p != NULL; p = ql_co_place_next(co, p)) {
        if (p->incident != CO_WAITING && ql_co_remembered(co, &co->incidents[p->incident]) &&
            place_has_series(co, p, m->series)) {
            return &co->incidents[p->incident];
        }
    }
    return NULL;
}

static void merge_place(struct ql_correlate *co, struct co_incident *older, struct co_place *p)
{
    const uint64_t key = p->key;
    for (uint32_t left = p->member_count; left > 0; left--) {
        struct co_member *m = &co->members[p->member_first - 1];
        if (m->kind == QL_MEMBER_CHANGE) {
            ql_co_member_free(co, m); /* taken anew under the incident that stays */
            continue;
        }
        ql_co_member_unplace(co, m);
        if (ql_co_member_place(co, m, ql_co_incident_row(co, older), key)) {
            ql_co_tell_member(co, m);
        } else {
            ql_stat_add(co->drop_member, 1);
            ql_co_member_forget(co, m, (ql_id){ 0 });
        }
    }
}

void ql_co_merge(struct ql_correlate *co, struct co_incident *older, struct co_incident *newer)
{
    QL_ASSERT(older->told.id.v < newer->told.id.v);
    ql_co_tell_pending(co);
    const ql_time onset = newer->told.onset;
    const uint32_t raw_count = newer->told.raw_count;
    while (newer->place_first != 0) {
        struct co_place *p = &co->places[newer->place_first - 1];
        const ql_entity_id entity = p->entity;
        merge_place(co, older, p);
        changes_take(co, older, entity);
    }
    older->told.raw_count += raw_count;
    older->told.onset = ql_time_before(onset, older->told.onset) ? onset : older->told.onset;
    older->told.updated = co->now;
    older->expires_first = co->now; /* looked at afresh in the next tick */
    older->grew = 1;
    newer->told.state = QL_INCIDENT_RESOLVED;
    newer->told.resolved = newer->told.updated = co->now;
    newer->told.merged_into = older->told.id;
    ql_co_tell_incident(co, newer, QL_INC_MERGED);
    ql_co_incident_free(co, newer);
    ql_stat_add(co->merged_total, 1);
}

/* Two names of one number (busy workers and requests in flight; the requests of a gateway and
 * of the one service behind it) are judged alike to the last digit: together they say no
 * more than one. */
static bool same_number(const struct co_member *a, const struct co_member *b)
{
    return a->since.ns == b->since.ns && a->surprise <= b->surprise && a->surprise >= b->surprise;
}

static const char *opens(struct ql_correlate *co, const struct co_member *m)
{
    struct ql_rule_evidence e = { .alert = m->kind == QL_MEMBER_ALERT };
    e.series_count = m->kind == QL_MEMBER_SIGNAL && ql_co_opens_with(m);
    e.surprise_max = m->surprise;
    e.symptom = m->symptom != 0;
    ql_co_importance(m, &e);
    e.lasted = ql_co_lasts(m) ? ql_time_since(co->now, m->since) : (ql_duration){ 0 };
    for (uint32_t i = 0; i < co->near_count && e.series_count == 1; i++) {
        const struct co_place *p =
            co->near[i].hops > 1 ? NULL : ql_co_place_first(co, co->near[i].key);
        while (p != NULL && p->incident != CO_WAITING) {
            p = ql_co_place_next(co, p);
        }
        for (uint32_t at = p == NULL ? 0 : p->member_first; at != 0;
             at = co->members[at - 1].next) {
            const struct co_member *w = &co->members[at - 1];
            const int64_t gap = ql_time_since(w->since, m->since).ns;
            if (ql_co_opens_with(w) && w->importance != QL_IMPORTANCE_LOW &&
                !ql_series_id_eq(w->series, m->series) && !same_number(w, m) &&
                (gap < 0 ? -gap : gap) <= co->join.ns) {
                e.series_count = 2;
            }
        }
    }
    return ql_rule_opens(&e, co->join);
}

/* "HighLatency", "latency_ms level shift", "SLO checkout answers burn rate" */
static int headline_write(const struct co_member *m, char *out, size_t out_bytes)
{
    const ql_str name = { m->name, m->name_bytes };
    if (m->kind == QL_MEMBER_ALERT) {
        return snprintf(out, out_bytes, "%.*s", QL_STR_ARG(name));
    }
    const ql_str slo = m->signal_kind == QL_SIGNAL_BURN_RATE
                           ? ql_labels_get((ql_str){ m->labels, m->labels_bytes }, QL_STR("slo"))
                           : QL_STR("");
    const char *kind = ql_signal_kind_text((enum ql_signal_kind)m->signal_kind);
    return slo.bytes > 0 ? snprintf(out, out_bytes, "SLO %.*s %s", QL_STR_ARG(slo), kind)
                         : snprintf(out, out_bytes, "%.*s %s", QL_STR_ARG(name), kind);
}

static struct co_incident *open_for(struct ql_correlate *co, struct co_member *m, const char *why)
{
    struct co_incident *in = ql_co_incident_add(co);
    if (in == NULL) {
        return NULL;
    }
    in->told.entity = m->entity;
    in->told.state = QL_INCIDENT_OPEN;
    in->opened = 1;
    ql_co_by_set(in, QL_STR("engine"));
    const int bytes = headline_write(m, in->headline, sizeof in->headline);
    in->headline_bytes = (uint8_t)(bytes < (int)sizeof in->headline ? bytes
                                                                    : (int)sizeof in->headline - 1);
    ql_co_member_why(m, "opened the incident: %s", why);
    ql_stat_add(co->opened_total, 1);
    return in;
}

static void merge_rest(struct ql_correlate *co, const struct co_candidate *list, uint32_t count)
{
    struct co_incident *stays = list[0].incident;
    for (uint32_t i = 1; i < count && list[0].strength >= QL_RULE_MERGE_STRENGTH; i++) {
        struct co_incident *other = list[i].incident;
        if (list[i].strength < QL_RULE_MERGE_STRENGTH) {
            continue;
        }
        const bool older = stays->told.id.v < other->told.id.v;
        ql_co_merge(co, older ? stays : other, older ? other : stays);
        stays = older ? stays : other;
    }
}

bool ql_co_settle(struct ql_correlate *co, struct co_member *m, uint64_t key)
{
    struct co_candidate list[CO_CANDIDATES_MAX];
    const uint32_t count = ql_co_candidates(co, m, key, list);
    struct co_incident *in = NULL;
    if (count > 0) {
        in = list[0].incident;
        why_joined(co, m, &list[0]);
    } else if ((in = comes_back(co, m, key)) != NULL) {
        ql_co_member_why(m, "came back after the incident was resolved");
        ql_co_reopen(co, in);
    } else {
        const char *why = opens(co, m);
        in = why == NULL ? NULL : open_for(co, m, why);
    }
    if (in == NULL || !enter(co, m, in, key)) {
        if (in != NULL && in->member_count == 0) {
            ql_co_incident_free(co, in);
        }
        return false;
    }
    adopt(co, m, in);
    if (count > 1) {
        merge_rest(co, list, count);
    }
    return true;
}

/* ---- the waiting room ---- */

void ql_co_wait_take(struct ql_correlate *co, struct co_member *m)
{
    const uint32_t row = (uint32_t)(m - co->members);
    uint32_t i = 0;
    while (i < co->waiting_count && co->waiting[i] != row) {
        i++;
    }
    QL_ASSERT(i < co->waiting_count);
    memmove(&co->waiting[i], &co->waiting[i + 1],
            (co->waiting_count - i - 1) * sizeof *co->waiting);
    co->waiting_count--;
    ql_co_member_unplace(co, m);
}

bool ql_co_wait_put(struct ql_correlate *co, struct co_member *m, uint64_t key)
{
    if (co->waiting_count == CO_WAITING_MAX) {
        struct co_member *oldest = &co->members[co->waiting[0]];
        memmove(co->waiting, co->waiting + 1, (CO_WAITING_MAX - 1) * sizeof *co->waiting);
        co->waiting_count--;
        ql_co_member_free(co, oldest);
        ql_stat_add(co->drop_waiting, 1);
    }
    if (!ql_co_member_place(co, m, CO_WAITING, key)) {
        ql_stat_add(co->drop_waiting, 1);
        return false;
    }
    co->waiting[co->waiting_count++] = (uint32_t)(m - co->members);
    return true;
}

/* ---- changes and edges ---- */

static uint64_t change_key(const struct ql_change *change)
{
    /* One rollout over several services arrives as one change each: a common link names it,
     * else kind, source and summary together. */
    if (change->link.bytes > 0) {
        return ql_hash64(change->link.at, change->link.bytes);
    }
    const uint64_t parts[3] = { ql_hash64(change->kind.at, change->kind.bytes),
                                ql_hash64(change->source.at, change->source.bytes),
                                ql_hash64(change->summary.at, change->summary.bytes) };
    return ql_hash64(parts, sizeof parts);
}

void ql_co_change_seen(struct ql_correlate *co, const struct ql_change *change)
{
    struct co_change *row = &co->changes[co->change_next];
    co->change_next = (co->change_next + 1) % CO_CHANGES_MAX;
    co->change_count += co->change_count < CO_CHANGES_MAX;
    *row = (struct co_change){ .id = change->id, .entity = change->entity, .at = change->at,
                               .key = change_key(change) };
    const int bytes = snprintf(row->text, sizeof row->text, "%.*s%s%.*s",
                               QL_STR_ARG(change->kind), change->summary.bytes > 0 ? ": " : "",
                               QL_STR_ARG(change->summary));
    row->text_bytes = (uint8_t)(bytes < (int)sizeof row->text ? bytes : (int)sizeof row->text - 1);
    for (const struct co_place *p = ql_co_place_first(co, change->entity.v), *next = NULL;
         change->entity.v != 0 && p != NULL; p = next) {
        next = ql_co_place_next(co, p);
        if (p->incident != CO_WAITING && ql_co_active(&co->incidents[p->incident])) {
            co->incidents[p->incident].grew = 1;
            co->incidents[p->incident].told.updated = co->now;
            changes_take(co, &co->incidents[p->incident], change->entity);
        }
    }
}

static bool edge_merges(struct ql_correlate *co, const struct co_place *a,
                        const struct co_place *b)
{
    const struct ql_rule_link link = {
        .relation = QL_RELATION_CALLS, .hops = 1, .lasts = b->open_count > 0,
        .onset = a->since_first, .since_first = b->since_first, .since_last = b->since_last,
        .ended_last = b->ended_last,
    };
    if (a->incident == CO_WAITING || b->incident == CO_WAITING || a->incident == b->incident ||
        !ql_co_active(&co->incidents[a->incident]) ||
        !ql_co_active(&co->incidents[b->incident]) ||
        a->since_first.ns == QL_TIME_NONE.ns || b->since_first.ns == QL_TIME_NONE.ns ||
        ql_rule_link(&link, co->join) < QL_RULE_MERGE_STRENGTH) {
        return false;
    }
    struct co_incident *x = &co->incidents[a->incident], *y = &co->incidents[b->incident];
    const bool older = x->told.id.v < y->told.id.v;
    ql_co_merge(co, older ? x : y, older ? y : x);
    return true;
}

void ql_co_edge_seen(struct ql_correlate *co, const struct ql_edge *edge)
{
    const struct co_place *callers = ql_co_place_first(co, edge->caller.v);
    for (const struct co_place *a = callers; a != NULL; a = ql_co_place_next(co, a)) {
        for (const struct co_place *b = ql_co_place_first(co, edge->callee.v); b != NULL;
             b = ql_co_place_next(co, b)) {
            if (edge_merges(co, a, b)) {
                return; /* the lists changed; a further pair is seen with the next repeat */
            }
        }
    }
}

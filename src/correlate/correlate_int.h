/* correlate_int.h - the tables behind the correlate stage.
 *
 * A place is one entity inside one incident (or inside the waiting room, incident
 * CO_WAITING): it heads the list of the members there, and joining looks at places only,
 * so that a thousand alerts of one host cost one comparison each. A signal waits in the
 * waiting room until an incident takes it or it has been over for a while.
 *
 * Numbers of rows are stored plus one, 0 meaning none, so that fresh pages are empty.
 */
#ifndef QL_CORRELATE_CORRELATE_INT_H
#define QL_CORRELATE_CORRELATE_INT_H

#include "base/map.h"
#include "base/stat.h"
#include "correlate/rule.h"
#include "model/batch.h"
#include "topology/topology.h"

#define CO_INCIDENTS_MAX 1024u
#define CO_MEMBERS_MAX 32768u
#define CO_INCIDENT_MEMBERS_MAX 8192u
#define CO_PLACES_MAX 32768u
#define CO_WAITING_MAX 4096u
#define CO_CHANGES_MAX 1024u
#define CO_NEAR_MAX 1024u
#define CO_WAITING UINT32_MAX /* the "incident" of a signal that waits */

#define CO_REOPEN QL_MIN(30)       /* how long a resolved incident is remembered */
#define CO_CHANGE_BEFORE QL_MIN(30) /* a change this long before a member may matter */
#define CO_TELL QL_S(60)           /* mere repeats of alerts are told this often */

#define CO_STATE_VERSION 2u

struct co_member {
    ql_id id;
    ql_entity_id entity;
    ql_series_id series;
    ql_time since, joined, ended, expires; /* ended, expires: QL_TIME_NONE when not */
    double surprise;
    uint32_t place, next;                  /* + 1 */
    uint8_t kind, signal_kind;             /* enum ql_member_kind, enum ql_signal_kind */
    uint8_t used, symptom;                 /* callers feel this metric */
    uint16_t name_bytes, labels_bytes, why_bytes;
    uint8_t importance, pad2;              /* enum ql_importance */
    char name[128], why[176], labels[616];
};

struct co_place {
    uint64_t key;                          /* the entity, or a hash of the alert's name */
    ql_entity_id entity;
    uint32_t incident;                     /* row (not + 1), or CO_WAITING */
    uint32_t member_first;                 /* + 1 */
    uint32_t key_next, incident_next;      /* + 1; also the free list */
    uint32_t member_count, open_count;
    ql_time since_first, since_last, ended_last;
};

struct co_incident {
    struct ql_incident told;               /* texts are set when it is told */
    uint32_t place_first;                  /* + 1 */
    uint32_t member_count, open_count;
    uint32_t raw_told;
    ql_time quiet_since;                   /* since when no member is open; NONE while one is */
    ql_time told_at, expires_first;
    uint8_t used, opened, grew, reopened;  /* the last three: to be told at the end of a push */
    uint8_t headline_bytes, by_bytes, pad[2];
    char headline[160], by[64];
};

struct co_change {
    ql_id id;
    ql_entity_id entity;
    ql_time at;
    uint64_t key;                          /* the same for one change over several entities */
    ql_id incident;                        /* that took it; 0: none */
    uint8_t text_bytes;
    char text[127];
};

/* An entity near the newcomer, and how. */
struct co_near { uint64_t key; enum ql_rule_relation relation; uint32_t hops; };

struct ql_correlate {
    struct ql_topology *topology;
    ql_duration join, close;
    uint32_t hops_max;
    double idle_s;                         /* an entity nobody refers to for so long goes */

    struct co_incident *incidents;
    struct co_member *members;
    struct co_place *places;
    struct co_change *changes;             /* a ring by order of arrival */
    uint32_t *waiting;                     /* member rows (not + 1) in order of arrival */
    struct co_near *near;                  /* of the newcomer being settled */
    struct ql_hop *hops, *hops_back;       /* scratch */
    uint32_t incident_free, member_free, place_free;
    uint32_t incident_used, member_used, place_used; /* rows ever touched */
    uint32_t waiting_count, change_count, change_next, near_count;
    struct ql_map64 member_of;             /* hash of (kind, id, incident for changes) */
    struct ql_map64 place_of;              /* key -> first place + 1 */
    struct ql_map64 incident_of;           /* id -> row */
    uint64_t incident_id_last;
    ql_time expired_at;                    /* when the topology last forgot */

    struct ql_stat_cell *raw_total, *opened_total, *merged_total, *open_gauge;
    struct ql_stat_cell *forgotten_total, *entities_gauge;
    struct ql_stat_cell *drop_incident, *drop_member, *drop_waiting, *drop_topology, *drop_bus;

    struct ql_batch *bus;                  /* during push and tick */
    ql_time now;
};

/* Whether a signal may open an incident, alone or as one of two: no failing disk, unless a policy
 * says that it matters. */
static inline bool ql_co_opens_with(const struct co_member *m)
{
    return m->signal_kind != QL_SIGNAL_DISK || m->importance >= QL_IMPORTANCE_HIGH;
}

/* ---- table.c: rows and lists ---- */
QL_MUST_USE ql_err ql_co_tables_new(struct ql_correlate *co);
void ql_co_tables_free(struct ql_correlate *co);
uint64_t ql_co_member_key(enum ql_member_kind kind, ql_id id, ql_id incident);
struct co_member *ql_co_member_find(const struct ql_correlate *co, enum ql_member_kind kind,
                                    ql_id id, ql_id incident);
/* NULL when a table is full (counted). The row has its key, no place and no texts. */
struct co_member *ql_co_member_add(struct ql_correlate *co, enum ql_member_kind kind, ql_id id,
                                   ql_id incident);
void ql_co_member_free(struct ql_correlate *co, struct co_member *m);

/* What found no place: a used row without one must never be left behind. `incident` is that
 * of ql_co_member_add(). */
void ql_co_member_forget(struct ql_correlate *co, struct co_member *m, ql_id incident);
void ql_co_member_texts(struct co_member *m, ql_str name, ql_str labels);
void ql_co_member_why(struct co_member *m, const char *format, ...) QL_PRINTF(2, 3);
/* Puts a placeless member at `key` inside an incident or the waiting room. */
bool ql_co_member_place(struct ql_correlate *co, struct co_member *m, uint32_t incident,
                        uint64_t key);
void ql_co_member_unplace(struct ql_correlate *co, struct co_member *m);
void ql_co_member_end(struct ql_correlate *co, struct co_member *m, ql_time at);
void ql_co_member_again(struct ql_correlate *co, struct co_member *m, ql_time since);
uint32_t ql_co_incident_of_member(const struct ql_correlate *co, const struct co_member *m);
struct co_place *ql_co_place_first(const struct ql_correlate *co, uint64_t key);
struct co_place *ql_co_place_next(const struct ql_correlate *co, const struct co_place *p);
struct co_incident *ql_co_incident_add(struct ql_correlate *co); /* NULL: full (counted) */
void ql_co_incident_free(struct ql_correlate *co, struct co_incident *in);
struct co_incident *ql_co_incident_find(const struct ql_correlate *co, ql_id id);
static inline uint32_t ql_co_incident_row(const struct ql_correlate *co,
                                          const struct co_incident *in)
{
    return (uint32_t)(in - co->incidents);
}
static inline void ql_co_importance(const struct co_member *m, struct ql_rule_evidence *evidence)
{
    evidence->burn = m->signal_kind == QL_SIGNAL_BURN_RATE;
    evidence->low = m->importance == QL_IMPORTANCE_LOW;
    evidence->high = m->importance == QL_IMPORTANCE_HIGH || m->importance == QL_IMPORTANCE_CRITICAL;
}
static inline bool ql_co_lasts(const struct co_member *m)
{
    return m->ended.ns == QL_TIME_NONE.ns;
}
static inline bool ql_co_active(const struct co_incident *in)
{
    return in->told.state != QL_INCIDENT_RESOLVED;
}

/* ---- near.c: what is near a newcomer ---- */
#define CO_CANDIDATES_MAX 16u
struct co_candidate {
    struct co_incident *incident;
    double strength;
    struct ql_rule_link link;
    struct co_near near;
    ql_entity_id entity; /* of the place that links best */
};
/* Incidents that the newcomer may join, the strongest link first; co->near is what is around. */
uint32_t ql_co_candidates(struct ql_correlate *co, const struct co_member *m, uint64_t key,
                          struct co_candidate list[CO_CANDIDATES_MAX]);
/* When it could first have been joined: distance in time is measured from there. */
ql_time ql_co_joins_at(const struct ql_correlate *co, const struct co_member *m);
bool ql_co_change_is_recent(const struct ql_correlate *co, const struct co_change *change);

/* ---- settle.c: where a newcomer goes ---- */
/* Puts a placeless member into an incident, opening one when the rules say so, and pulls
 * after it what waits nearby; false: nothing took it, it is still placeless. */
bool ql_co_settle(struct ql_correlate *co, struct co_member *m, uint64_t key);
/* The waiting room. put: false when it is full even after the oldest left (counted). */
bool ql_co_wait_put(struct ql_correlate *co, struct co_member *m, uint64_t key);
void ql_co_wait_take(struct ql_correlate *co, struct co_member *m);
void ql_co_merge(struct ql_correlate *co, struct co_incident *older, struct co_incident *newer);
void ql_co_reopen(struct ql_correlate *co, struct co_incident *in);
bool ql_co_remembered(const struct ql_correlate *co, const struct co_incident *in);
void ql_co_change_seen(struct ql_correlate *co, const struct ql_change *change);
/* A call edge was seen: two incidents on its ends may turn out to be one. */
void ql_co_edge_seen(struct ql_correlate *co, const struct ql_edge *edge);

/* ---- tell.c: records for the bus ---- */
void ql_co_tell_member(struct ql_correlate *co, const struct co_member *m);
void ql_co_tell_incident(struct ql_correlate *co, struct co_incident *in,
                         enum ql_incident_event event);
void ql_co_tell_audit(struct ql_correlate *co, const struct ql_command *command, const char *what,
                      const char *detail);
void ql_co_tell_pending(struct ql_correlate *co); /* opened, reopened, grew; by id */
void ql_co_by_set(struct co_incident *in, ql_str by);
ql_str ql_co_short_name(const struct ql_correlate *co, ql_entity_id entity); /* "checkout" */

/* ---- save.c ---- */
QL_MUST_USE ql_err ql_co_save(const void *stage, struct ql_buf *out);
QL_MUST_USE ql_err ql_co_load(void *stage, uint32_t version, struct ql_reader *in);

#endif

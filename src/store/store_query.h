/* store_query.h - reads what the engine concluded, typed, row by row through callbacks.
 *
 * A reader is one connection to state.db. Every query sees whole ticks only; between
 * begin and end all queries of a reader see the same ticks.
 *
 * Ownership     open/close. A row and its texts are borrowed for the callback.
 * Threads       one thread at a time per reader; any number of readers.
 * Errors        QL_E_NOT_FOUND (no such file, no such row), QL_E_VERSION, QL_E_IO, QL_E_MEMORY.
 * Bounds        a list query visits at most `limit` rows, newest first, by an index.
 */
#ifndef QL_STORE_STORE_QUERY_H
#define QL_STORE_STORE_QUERY_H

#include "base/base.h"
#include "model/record.h"

struct ql_store_reader;
QL_MUST_USE ql_err ql_store_reader_open(const char *data_dir, struct ql_store_reader **ret_reader);
void ql_store_reader_close(struct ql_store_reader *reader); /* NULL is fine */
QL_MUST_USE ql_err ql_store_reader_begin(struct ql_store_reader *reader);
void ql_store_reader_end(struct ql_store_reader *reader);

/* `entity` of every row is the name, "" when it is unknown. */
struct ql_cause_row { struct ql_cause cause; ql_str entity; };

struct ql_incident_row {
    struct ql_incident incident;  /* event: not kept, always OPENED */
    ql_str entity;
    ql_time acknowledged;
    uint32_t ranking_count, awaiting_count;
    struct ql_cause_row suspect;  /* rank 0: none */
};
struct ql_incident_filter {
    uint32_t states;       /* bits 1 << enum ql_incident_state; 0: any */
    ql_entity_id entity;   /* where it was seen first, of a member or of a suspect; 0: any */
    ql_time since;         /* updated at or after; QL_TIME_NONE: any */
    uint64_t before;       /* only ids below; 0: any */
    bool merged;           /* also those merged into another */
    uint32_t limit;
};
/* A callback returns false to stop. */
QL_MUST_USE ql_err ql_query_incidents(struct ql_store_reader *reader,
                                      const struct ql_incident_filter *filter,
                                      bool (*fn)(void *context, const struct ql_incident_row *row),
                                      void *context);
/* QL_E_NOT_FOUND when there is none. */
QL_MUST_USE ql_err ql_query_incident(struct ql_store_reader *reader, ql_id id,
                                     bool (*fn)(void *context, const struct ql_incident_row *row),
                                     void *context);

struct ql_signal_row {
    struct ql_signal signal;  /* band and why of the most surprising judgement */
    ql_str entity;
    bool open;
    ql_time closed;
    double last_value;
    ql_id incident;           /* 0: none */
};
struct ql_member_row {
    struct ql_member member;
    ql_str entity;
    bool has_signal;          /* a signal that is still in the store */
    struct ql_signal_row signal;
};
QL_MUST_USE ql_err ql_query_members(struct ql_store_reader *reader, ql_id incident,
                                    bool (*fn)(void *context, const struct ql_member_row *row),
                                    void *context);
QL_MUST_USE ql_err ql_query_causes(struct ql_store_reader *reader, ql_id incident,
                                   bool (*fn)(void *context, const struct ql_cause_row *row),
                                   void *context);

struct ql_action_row { struct ql_action action; ql_str entity; ql_time created; };
struct ql_action_filter {
    ql_id incident;                /* 0: any */
    uint32_t states;               /* bits 1 << enum ql_action_state; 0: any */
    uint32_t limit;
};
QL_MUST_USE ql_err ql_query_actions(struct ql_store_reader *reader,
                                    const struct ql_action_filter *filter,
                                    bool (*fn)(void *context, const struct ql_action_row *row),
                                    void *context);
QL_MUST_USE ql_err ql_query_action(struct ql_store_reader *reader, ql_id id,
                                   bool (*fn)(void *context, const struct ql_action_row *row),
                                   void *context);
/* Every change of state of one action, oldest first; only state, at, step, reason, by. */
QL_MUST_USE ql_err ql_query_action_history(struct ql_store_reader *reader, ql_id action,
                                           bool (*fn)(void *context, const struct ql_action *row),
                                           void *context);

QL_MUST_USE ql_err ql_query_feedback(struct ql_store_reader *reader, ql_id incident,
                                     bool (*fn)(void *context, const struct ql_command *row),
                                     void *context);

/* What happened around an incident, merged from all tables, oldest first. */
struct ql_timeline_row {
    ql_time at;
    const char *kind;         /* "opened", "signal", "action", ... (docs/api.md); static */
    ql_str text, by, entity;
    ql_id ref;                /* the signal, alert, change or action; 0: none */
};
QL_MUST_USE ql_err ql_query_timeline(struct ql_store_reader *reader, ql_id incident,
                                     bool (*fn)(void *context, const struct ql_timeline_row *row),
                                     void *context);

enum ql_life { QL_LIFE_ANY, QL_LIFE_ON, QL_LIFE_OVER }; /* open or firing; closed or resolved */
struct ql_life_filter {
    enum ql_life life;
    ql_entity_id entity;      /* 0: any */
    ql_time since;            /* last seen at or after; QL_TIME_NONE: any */
    uint32_t limit;
};
QL_MUST_USE ql_err ql_query_signals(struct ql_store_reader *reader,
                                    const struct ql_life_filter *filter,
                                    bool (*fn)(void *context, const struct ql_signal_row *row),
                                    void *context);
struct ql_alert_row {
    struct ql_alert alert;
    ql_str entity;
    ql_time updated;
    uint32_t received_count;
    ql_id incident;           /* 0: none */
};
QL_MUST_USE ql_err ql_query_alerts(struct ql_store_reader *reader,
                                   const struct ql_life_filter *filter,
                                   bool (*fn)(void *context, const struct ql_alert_row *row),
                                   void *context);
struct ql_change_row { struct ql_change change; ql_str entity; };
QL_MUST_USE ql_err ql_query_changes(struct ql_store_reader *reader,
                                    const struct ql_life_filter *filter, /* life is ignored */
                                    bool (*fn)(void *context, const struct ql_change_row *row),
                                    void *context);

struct ql_entity_row { ql_entity_id id; ql_str name; ql_time first_seen, last_seen; };
QL_MUST_USE ql_err ql_query_entities(struct ql_store_reader *reader, uint32_t limit,
                                     bool (*fn)(void *context, const struct ql_entity_row *row),
                                     void *context);
struct ql_edge_row {
    ql_str caller, callee;
    enum ql_edge_source source;
    int64_t calls, errors;    /* summed over its life */
    ql_time first_seen, last_seen;
};
QL_MUST_USE ql_err ql_query_edges(struct ql_store_reader *reader, uint32_t limit,
                                  bool (*fn)(void *context, const struct ql_edge_row *row),
                                  void *context);

/* Over incidents opened in [from, to] that were not merged away:
 *   noise reduction  1 - incidents / raw_count (what went in would each have paged)
 *   MTTD  mean(opened - onset)   MTTA  mean(acknowledged - opened)
 *   MTTR  mean(resolved - onset), over those that are resolved now
 * A mean of nothing is NaN. */
struct ql_totals {
    uint64_t incidents, resolved, raw_count;
    double noise_reduction, mttd_s, mtta_s, mttr_s;
    uint64_t verdicts[QL_VERDICT_RIGHT_CAUSE + 1];  /* feedback given in the window */
    uint64_t actions[QL_ACTION_STATE_COUNT];        /* by state now, created in the window */
};
QL_MUST_USE ql_err ql_query_totals(struct ql_store_reader *reader, ql_time from, ql_time to,
                                   struct ql_totals *ret_totals);

#endif

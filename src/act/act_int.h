/* act_int.h - the tables behind the act stage.
 *
 * A case is an incident as this stage sees it: its signals and its best suspect. A ledger
 * is what happened on one entity with one runbook, kept beyond incidents: strikes, starts,
 * the stop. A run carries everything it needs as text, so that a reload of the
 * configuration changes nothing about what was shown to whoever approved it.
 *
 * Numbers of rows are stored plus one, 0 meaning none, so that fresh pages are empty.
 * A new case, ledger or run takes the lowest free row: what comes out in which order is a
 * function of which rows are used, so that a restored stage goes on as the saved one.
 */
#ifndef QL_ACT_ACT_INT_H
#define QL_ACT_ACT_INT_H

#include "act/act.h"
#include "base/map.h"
#include "config/config.h"
#include "model/record.h"

#define AC_MEMBERS_MAX 32768u
#define AC_CASE_MEMBERS_MAX 512u
#define AC_LEDGERS_MAX 4096u
#define AC_STARTS_MAX 600u          /* runs_per_hour_max goes no higher */
#define AC_ENTITY_STARTS_MAX 60u    /* runs_entity_per_hour_max neither */
#define AC_TRIGGERS_MAX 64u
#define AC_TEXT_BYTES 8192u         /* names and commands of one run */
#define AC_NAME_BYTES 256u
#define AC_DONE_MAX 4u
#define AC_HOUR QL_S(3600)
#define AC_BACKOFF QL_S(60)         /* doubles with each strike */
#define AC_RANKING_HOLDS QL_S(900)  /* diagnose asks again within this, and tells changes */
#define AC_RELAPSE QL_S(3600)       /* a success that did not last this long was none */

enum ac_gate {
#define QL_GATE(name, word, again, sentence) AC_GATE_##name,
#include "act/gates.def"
    AC_GATE_COUNT
};
enum ac_again { AC_STAYS, AC_WAITS, AC_HOLDS, AC_STOPS };
const char *ql_ac_gate_word(enum ac_gate gate);
enum ac_again ql_ac_gate_again(enum ac_gate gate);

struct ac_member {                  /* a signal of a case */
    ql_id id;
    ql_series_id series;
    ql_entity_id entity;
    ql_time since;
    uint32_t case_row, next;        /* + 1 */
    uint8_t open, silent, pad[6];
};

struct ac_case {
    ql_id incident;
    ql_entity_id symptom;           /* where the incident was first seen */
    ql_entity_id suspect;           /* of the rank-1 cause; 0: none yet */
    double confidence;
    ql_time cause_at, evidence_at;  /* when it was ranked; newest word of its signals */
    ql_time suspect_at;             /* since when it stands first */
    ql_time succeeded;              /* older signals call for nothing any more; or NONE */
    ql_id told;                     /* the action whose refusal was told last */
    ql_id escalated;                /* the action that a person may approve to go on */
    uint32_t escalated_ledger;      /* + 1 */
    uint32_t member_first;          /* + 1 */
    uint32_t run;                   /* + 1 */
    uint32_t done_next;
    uint64_t done[AC_DONE_MAX];     /* ledgers that are through with this incident */
    uint8_t used, active, pending, told_gate;
    uint16_t metric_bytes, pad;
    char metric[AC_NAME_BYTES];
};

struct ac_ledger {
    uint64_t key;                   /* hash of entity and runbook */
    ql_entity_id entity;
    ql_time touched, ended, succeeded; /* QL_TIME_NONE: never */
    ql_id escalated;                /* newest action that may be approved to lift the stop */
    uint32_t attempts, strikes;
    uint8_t used, stopped;
    uint16_t start_next;
    uint32_t start_count;
    int64_t starts[AC_ENTITY_STARTS_MAX];
};

struct ac_trigger {
    ql_id id;
    ql_series_id series;
    uint8_t open, silent, pad[6];
};

struct ac_text { uint32_t at, bytes; }; /* into ac_run.texts */
struct ac_step {
    struct ac_text name, command, argv;
    ql_duration timeout;
};

struct ac_run {
    ql_id incident;
    ql_entity_id entity;
    uint32_t case_row, ledger;      /* + 1 */
    uint32_t attempt, attempts_max;
    uint32_t step, step_count, trigger_count, text_bytes;
    enum ql_action_state state;
    ql_time deadline, started;
    ql_duration verify;
    struct ac_text runbook;
    uint8_t used, dry_run;
    uint8_t overdue;                /* the deadline of a running step has passed once */
    uint8_t pad[5];
    struct ac_trigger triggers[AC_TRIGGERS_MAX];
    struct ac_step steps[QL_CONFIG_STEPS_MAX];
    char texts[AC_TEXT_BYTES];
};

struct ql_act {
    const struct ql_config *config;
    const struct ql_topology *topology;
    struct ac_case *cases;
    struct ac_member *members;
    struct ac_ledger *ledgers;
    struct ac_run *runs;            /* one more than the maximum: the last is scratch */
    struct ql_map64 case_of;        /* incident -> row */
    struct ql_map64 member_of;      /* signal id -> row */
    struct ql_map64 series_of;      /* series -> row of one of its members */
    struct ql_map64 ledger_of;
    uint32_t member_free, member_used; /* free list, + 1; rows ever touched */
    uint32_t run_count, start_count, start_next;
    int64_t starts[AC_STARTS_MAX];
    struct ql_stat_cell *states[QL_ACTION_STATE_COUNT];
    struct ql_stat_cell *drop_case, *drop_member, *drop_ledger, *drop_bus;

    struct ql_batch *bus;           /* during push and tick */
    ql_time now;
};

/* ---- case.c: incidents, their signals, their suspect ---- */
void ql_ac_incident_seen(struct ql_act *act, const struct ql_incident *incident);
void ql_ac_member_seen(struct ql_act *act, const struct ql_member *member);
void ql_ac_signal_seen(struct ql_act *act, const struct ql_signal *signal);
void ql_ac_cause_seen(struct ql_act *act, const struct ql_cause *cause);
struct ac_case *ql_ac_case_find(const struct ql_act *act, ql_id incident);
void ql_ac_case_drop(struct ql_act *act, struct ac_case *c);
void ql_ac_case_done(struct ac_case *c, uint64_t ledger_key);
bool ql_ac_case_is_done(const struct ac_case *c, uint64_t ledger_key);
/* The signals that call for a run: open ones of the suspect and of the symptom, at most
 * AC_TRIGGERS_MAX. `ret_triggers` may be NULL to only count. */
uint32_t ql_ac_case_triggers(const struct ql_act *act, const struct ac_case *c,
                             struct ac_trigger *ret_triggers);
/* Of those, the ones whose data still comes. */
uint32_t ql_ac_case_heard(const struct ql_act *act, const struct ac_case *c);
QL_MUST_USE ql_err ql_ac_member_add(struct ql_act *act, struct ac_case *c,
                                    const struct ac_member *member);
static inline uint32_t ql_ac_case_row(const struct ql_act *act, const struct ac_case *c)
{
    return (uint32_t)(c - act->cases);
}

/* ---- ledger.c: what an entity and a runbook have been through ---- */
/* NULL when every row is needed (counted). */
struct ac_ledger *ql_ac_ledger(struct ql_act *act, ql_entity_id entity, ql_str runbook);
/* Starts in the hour before `now`, of the ledger or of all. */
uint32_t ql_ac_ledger_starts(const struct ac_ledger *ledger, ql_time now);
uint32_t ql_ac_all_starts(const struct ql_act *act, ql_time now);
void ql_ac_ledger_start(struct ql_act *act, struct ac_ledger *ledger);
ql_duration ql_ac_ledger_backoff(const struct ac_ledger *ledger);
/* Strikes as they count now: a success that did not last is one, one that lasted clears. */
uint32_t ql_ac_ledger_strikes(const struct ac_ledger *ledger, ql_time now);
static inline uint32_t ql_ac_ledger_row(const struct ql_act *act, const struct ac_ledger *ledger)
{
    return (uint32_t)(ledger - act->ledgers);
}

/* ---- gate.c ---- */
struct ac_proposal {
    const struct ql_act *act;
    const struct ac_case *c;
    const struct ql_runbook *runbook; /* NULL: no longer configured */
    const struct ac_ledger *ledger;
    const struct ac_run *self;        /* when asked again at approval, else NULL */
    ql_entity_id entity;
    ql_str entity_name;
};
/* True when all pass; `why` then names them all, else the one that refused. */
bool ql_ac_gates(const struct ac_proposal *proposal, struct ql_buf *why, enum ac_gate *ret_gate);
enum ql_act_mode ql_ac_mode(const struct ql_config *config, const struct ql_runbook *runbook);
bool ql_ac_name_is_safe(ql_str name);

/* ---- propose.c: from a case to a run ---- */
void ql_ac_propose(struct ql_act *act, struct ac_case *c);
/* First configured runbook for this entity and metric, or NULL. */
const struct ql_runbook *ql_ac_match(const struct ql_config *config, ql_str entity, ql_str metric);
const struct ql_runbook *ql_ac_runbook(const struct ql_config *config, ql_str name);
bool ql_ac_glob(const char *pattern, ql_str text); /* '*' any run, '?' one byte */

/* ---- run.c: the life of a run ---- */
enum ac_event {
    AC_REFUSE, AC_STOP, AC_SHOW, AC_ASK, AC_START, AC_REJECT, AC_EXPIRE, AC_NEXT, AC_DONE, AC_FAIL,
    AC_RECOVER, AC_GIVE_UP
};
/* Where the event leads; asserts that moves.def lists it. */
enum ql_action_state ql_ac_move(enum ql_action_state from, enum ac_event event);
bool ql_ac_is_live(enum ql_action_state state);
ql_id ql_ac_run_id(const struct ac_run *run, uint32_t step);
void ql_ac_run_begin(struct ql_act *act, struct ac_run *run, const struct ql_runbook *runbook,
                     ql_str why);
void ql_ac_run_end(struct ql_act *act, struct ac_run *run, enum ac_event event, ql_str reason,
                   ql_str by);
void ql_ac_outcome_seen(struct ql_act *act, const struct ql_outcome *outcome);
void ql_ac_command_seen(struct ql_act *act, const struct ql_command *command);
/* News about a signal, for the triggers of live runs; `signal` is NULL when only a member
 * record tells. */
void ql_ac_run_signal(struct ql_act *act, ql_id id, const struct ql_signal *signal, bool open);
void ql_ac_run_tick(struct ql_act *act, struct ac_run *run);
void ql_ac_run_incident_over(struct ql_act *act, struct ac_run *run, const char *how);

/* ---- render.c: commands as text ---- */
/* Fills names, commands and argv of a run; QL_E_FULL when they do not fit. */
QL_MUST_USE ql_err ql_ac_render(struct ac_run *run, const struct ql_runbook *runbook,
                                ql_str entity_name);
static inline ql_str ql_ac_text(const struct ac_run *run, struct ac_text text)
{
    return (ql_str){ run->texts + text.at, text.bytes };
}

/* ---- tell.c: records for the bus ---- */
struct ac_tell {
    enum ql_action_state state;
    ql_str reason, by;
    bool dispatch;
};
void ql_ac_tell_step(struct ql_act *act, const struct ac_run *run, uint32_t step,
                     const struct ac_tell *tell);
void ql_ac_tell_audit(struct ql_act *act, ql_id incident, ql_id action, ql_str actor,
                      const char *what, ql_str detail);

/* ---- save.c ---- */
QL_MUST_USE ql_err ql_ac_save(const void *stage, struct ql_buf *out);
QL_MUST_USE ql_err ql_ac_load(void *stage, uint32_t version, struct ql_reader *in);

#endif

/* record.h - the nouns: what travels between doors, stages, store and faces.
 *
 * Everything is a plain struct. Texts are borrowed slices into the batch that carries
 * the record, valid until that batch is reset; whoever keeps a record copies its texts.
 *
 * Units         ql_time and ql_duration; values in the series' base unit; `surprise`
 *               is -log10 of a calibrated probability, so 6 means one in a million.
 * Determinism   ids are functions of the input, never of addresses or clocks.
 */
#ifndef QL_MODEL_RECORD_H
#define QL_MODEL_RECORD_H

#include "base/base.h"

typedef struct { ql_hash128 h; } ql_series_id; /* XXH3-128 of the canonical label block */
typedef struct { uint64_t v; } ql_entity_id;   /* XXH3-64 of "kind/name"; 0 = unknown */
typedef struct { uint64_t v; } ql_id;          /* signals, incidents, actions; 0 = none */

static inline bool ql_series_id_eq(ql_series_id a, ql_series_id b)
{
    return ql_hash128_eq(a.h, b.h);
}

/* ---- receive -> normalise ------------------------------------------------------- */

enum ql_metric_type {
    QL_METRIC_UNKNOWN, /* the sender did not say; normalise learns it */
    QL_METRIC_COUNTER, /* cumulative, only grows, resets to near zero */
    QL_METRIC_GAUGE,
    QL_METRIC_DELTA    /* an increment since the last point */
};

struct ql_sample { ql_time at; double value; };

/* The stale marker: a NaN that says "this series ended here". Compared by its bits; no
 * arithmetic yields it. */
#define QL_STALE_BITS UINT64_C(0x7ff0000000000002)
static inline bool ql_is_stale_marker(double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return bits == QL_STALE_BITS;
}
static inline double ql_stale_marker(void)
{
    const uint64_t bits = QL_STALE_BITS;
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

/* The samples of one series in one request. */
struct ql_run {
    ql_hash128 raw;                     /* XXH3-128 of `labels` exactly as it stands */
    ql_str labels;                      /* well-formed block; canonical or not */
    uint32_t sample_first, sample_count;
    enum ql_metric_type type;
};

struct ql_log {
    ql_time at;
    uint8_t severity;                   /* OpenTelemetry severity number; 0 = unset */
    ql_str service, host, body;
};

struct ql_span {
    uint8_t trace_id[16];
    uint64_t span_id, parent_id;        /* parent 0: a root */
    ql_time start;
    ql_duration duration;
    uint8_t kind;                       /* OpenTelemetry SpanKind: 2 server, 3 client ... */
    bool error;
    ql_str service, operation, peer;    /* peer: the called service, where the span says so */
};

/* An alert or change as it came in; enrich resolves the entity. */
struct ql_alert_in {
    ql_str labels, annotations;         /* canonical blocks */
    ql_time starts, ends;               /* ends may be in the future: firing until then */
    ql_str generator_url;
};
struct ql_change_in {
    ql_time at;
    ql_str kind;                        /* deploy, config, scale, flag, ... free text */
    ql_str entity;                      /* "service/checkout" or a bare service name */
    ql_str summary, source, link;
};

/* ---- normalise -> enrich -> detect ---------------------------------------------- */

enum ql_point_kind {
    QL_POINT_VALUE,
    QL_POINT_HOLE,  /* nothing came where something should: one per silence, or a stale marker */
    QL_POINT_RESET, /* a counter fell: never scored; whether it restarted is for detect to say */
    QL_POINT_UNJUDGED /* came, but says nothing yet (a counter's first): kept, never scored */
};

struct ql_point {
    ql_time at;
    double value;   /* finite, |value| <= 1e150. VALUE: counters already as rates; RESET: the raw
                       value that it fell from, 0 unless it is sure to be a counter */
    double raw;     /* as it arrived; what history keeps. Of a HOLE the stale marker if one came */
    uint32_t series; /* index into the shard's series table */
    enum ql_point_kind kind;
};

/* A series that had no sample for long is forgotten at this tick: whoever keeps something by its
 * index lets go of it now, and the index then waits for another series. */
struct ql_retired { uint32_t series, idle_s; };

struct ql_entity_seen { ql_entity_id id; ql_str name; /* "kind/name" */ };

enum ql_edge_source { QL_EDGE_SPAN, QL_EDGE_CONFIG, QL_EDGE_LABEL };
struct ql_edge { /* caller calls callee; repeats refresh it */
    ql_entity_id caller, callee;
    ql_time at;
    uint32_t calls, errors;
    enum ql_edge_source source;
};

/* ---- detect -> correlate -------------------------------------------------------- */

/* Numbers are stored: append, never renumber. */
#define QL_SIGNAL_KIND_MAP(X)                                                         \
    X(SPIKE, 0, "spike") X(LEVEL_SHIFT, 1, "level shift") X(RANGE, 2, "out of range") \
    X(SEASONAL, 3, "seasonal miss") X(DRIFT, 4, "drift") X(VOLATILITY, 5, "volatility") \
    X(FLATLINE, 6, "flatline") X(NEVER_SEEN, 7, "never seen") X(ABSENCE, 8, "absence") \
    X(RESET, 9, "reset") X(BOUND, 10, "out of bounds") X(BURN_RATE, 11, "burn rate")  \
    X(FUSED, 12, "out of step") X(PEER, 13, "unlike its peers")                       \
    X(EXHAUSTION, 14, "exhaustion") X(DISK, 15, "failing disk")
enum ql_signal_kind {
#define X(name, number, text) QL_SIGNAL_##name = number,
    QL_SIGNAL_KIND_MAP(X)
#undef X
    QL_SIGNAL_KIND_COUNT
};
const char *ql_signal_kind_text(enum ql_signal_kind kind);

/* How much a signal matters to people, by policy. */
#define QL_IMPORTANCE_MAP(X)                                                          \
    X(NORMAL, "normal") X(LOW, "low") X(HIGH, "high") X(CRITICAL, "critical")
enum ql_importance {
#define X(name, text) QL_IMPORTANCE_##name,
    QL_IMPORTANCE_MAP(X)
#undef X
    QL_IMPORTANCE_COUNT
};
const char *ql_importance_text(enum ql_importance importance);

enum ql_phase { QL_PHASE_OPEN, QL_PHASE_UPDATE, QL_PHASE_CLOSE };

struct ql_signal {
    ql_id id;                       /* the same from OPEN to CLOSE */
    ql_series_id series;
    ql_entity_id entity;
    ql_str metric, labels;          /* metric name; canonical block */
    enum ql_signal_kind kind;
    enum ql_phase phase;
    enum ql_importance importance;
    bool lapsed;                    /* CLOSE: it cannot be judged any more; no recovery */
    ql_time onset, at;              /* first odd point; this judgement */
    double value, expected, lower, upper; /* the band `value` was judged against */
    double surprise;
    ql_str why;                     /* one sentence with numbers */
};

/* The band of one series at one time; recorded every so often, and at every point
 * while a signal is open, so that a plot shows what was judged. */
struct ql_band { ql_time at; uint32_t series; float expected, lower, upper, surprise; };

/* ---- slo ------------------------------------------------------------------------ */

/* What the series of one entity add to one SLO in one minute. Sums are whole numbers of
 * 1/QL_SLO_UNIT of an event, so that adding them is exact whatever the order. */
#define QL_SLO_UNIT 1048576.0
struct ql_slo_part {
    uint64_t slo;                   /* struct ql_slo.key of config.h */
    ql_entity_id entity;
    int64_t minute;                 /* since 1970 */
    int64_t bad, total;             /* bad may be negative: good events are taken off it */
    uint32_t covered;               /* not 0: all events were told, though there may be none */
    uint32_t silent;                /* series that went silent while they counted bad events */
};

#define QL_SLO_WINDOW_MAP(X)                                                          \
    X(5M, "5m", 5) X(30M, "30m", 30) X(1H, "1h", 60) X(6H, "6h", 360)
enum ql_slo_window {
#define X(name, text, minutes) QL_SLO_WINDOW_##name,
    QL_SLO_WINDOW_MAP(X)
#undef X
    QL_SLO_WINDOWS
};
const char *ql_slo_window_text(enum ql_slo_window window); /* "5m" */

#define QL_SLO_NAME_BYTES 65    /* with the NUL, as all texts here */
#define QL_SLO_ENTITY_BYTES 192
/* How an SLO stands: published once a minute, for people. */
struct ql_slo_state {
    char name[QL_SLO_NAME_BYTES];
    char entity[QL_SLO_ENTITY_BYTES];   /* "kind/name", "" while none is known */
    double target, window_s;            /* percent; seconds */
    double burn[QL_SLO_WINDOWS];        /* NaN: no data in that window */
    double budget_left;                 /* 1 all of it, 0 none, below 0 more than all; NaN */
    double bad, total;                  /* events in the window */
    ql_time since, at, gone;            /* first data, this judgement, when the budget is used */
    bool page, ticket;                  /* a signal is open */
    bool held;                          /* one would be, but a policy holds it */
};

struct ql_alert {
    ql_id id;                       /* XXH3-64 of the canonical labels: one alert, one id */
    ql_entity_id entity;
    ql_str name, labels, annotations, severity;
    ql_time starts, ends;
    bool firing;
};
struct ql_change { ql_id id; ql_entity_id entity; ql_time at; ql_str kind, summary, source, link; };

/* ---- correlate -> diagnose ------------------------------------------------------ */

enum ql_incident_state { QL_INCIDENT_OPEN, QL_INCIDENT_ACKNOWLEDGED, QL_INCIDENT_RESOLVED };
const char *ql_incident_state_text(enum ql_incident_state state); /* "open", ... */

enum ql_incident_event {
    QL_INC_OPENED, QL_INC_GREW, QL_INC_ACKED, QL_INC_RESOLVED, QL_INC_REOPENED, QL_INC_MERGED
};
const char *ql_incident_event_text(enum ql_incident_event event); /* "opened", ... */
struct ql_incident { /* the incident as it stands after `event` */
    ql_id id;                       /* 1, 2, 3, ... in order of opening */
    enum ql_incident_event event;
    enum ql_incident_state state;
    ql_entity_id entity;            /* where it was first seen */
    ql_time onset, opened, updated, resolved; /* resolved: QL_TIME_NONE while not */
    ql_str title, by;               /* by: "engine" or the person's name */
    uint32_t alert_count, signal_count, entity_count;
    uint32_t raw_count;             /* signals and alert deliveries that went in: the noise */
    uint32_t reopen_count;
    ql_id merged_into;              /* 0 unless MERGED */
};
enum ql_member_kind { QL_MEMBER_SIGNAL, QL_MEMBER_ALERT, QL_MEMBER_CHANGE };
struct ql_member {
    ql_id incident, id;
    enum ql_member_kind kind;
    ql_entity_id entity;
    ql_series_id series;            /* signals only */
    ql_str name, labels;
    ql_time since, joined, ended;   /* ended: QL_TIME_NONE while it lasts */
    ql_str why;                     /* why it was joined */
};

/* ---- diagnose -> act ------------------------------------------------------------ */

/* Diagnose asks; the engine has every shard answer at its next tick. */
struct ql_window_request { ql_id incident; ql_entity_id entity; ql_time from, onset; };
struct ql_window {
    ql_id incident;
    ql_series_id series;
    ql_entity_id entity;
    ql_str metric, labels;
    enum ql_metric_type type;
    uint32_t sample_first, sample_count; /* into batch.samples; judged values (rates) */
};

enum ql_cause_role { QL_CAUSE_STATE_CHANGE, QL_CAUSE_FIRST_SYMPTOM, QL_CAUSE_IMPACT };
const char *ql_cause_role_text(enum ql_cause_role role);
struct ql_cause {
    ql_id incident;
    uint32_t rank;                  /* 1 = best; a new rank 1 replaces the whole list */
    ql_entity_id entity;
    ql_series_id series;            /* of `metric`; zero for a change */
    ql_str metric;
    double score;                   /* >= 0 */
    double confidence;              /* [0,1] */
    ql_time onset;
    enum ql_cause_role role;
    ql_str evidence;                /* one sentence with numbers */
};

/* ---- act -> learn --------------------------------------------------------------- */

#define QL_ACTION_STATE_MAP(X)                                                         \
    X(PROPOSED, "proposed") X(REFUSED, "refused") X(AWAITING, "awaiting approval")     \
    X(REJECTED, "rejected") X(EXPIRED, "expired") X(RUNNING, "running")                \
    X(VERIFYING, "verifying") X(SUCCEEDED, "succeeded") X(FAILED, "failed")            \
    X(INEFFECTIVE, "ineffective") X(ESCALATED, "escalated") X(DRY_RUN, "dry run")
enum ql_action_state {
#define X(name, text) QL_ACTION_##name,
    QL_ACTION_STATE_MAP(X)
#undef X
    QL_ACTION_STATE_COUNT
};
const char *ql_action_state_text(enum ql_action_state state);

struct ql_action { /* the action as it stands; one record per change of state */
    ql_id id, incident;
    ql_entity_id entity;
    ql_str runbook, step;
    enum ql_action_state state;
    ql_time at;
    bool dispatch;                  /* true once: hand it to the actuator now */
    bool dry_run;
    ql_str command;                 /* what runs, for people; argv joined */
    ql_str argv;                    /* NUL-separated argv for the actuator */
    ql_duration timeout;
    ql_str reason;                  /* the gate that passed or refused, or what was seen */
    ql_str by;
};
struct ql_outcome { ql_id action; ql_time at; int32_t exit_code; bool timed_out; ql_str output; };

/* ---- people -> engine ----------------------------------------------------------- */

#define QL_COMMAND_MAP(X)                                                              \
    X(ACK, "ack") X(RESOLVE, "resolve") X(APPROVE, "approve") X(REJECT, "reject")      \
    X(FEEDBACK, "feedback")
enum ql_command_kind {
#define X(name, text) QL_COMMAND_##name,
    QL_COMMAND_MAP(X)
#undef X
    QL_COMMAND_COUNT
};
const char *ql_command_kind_text(enum ql_command_kind kind);

enum ql_verdict { QL_VERDICT_NONE, QL_VERDICT_TRUE, QL_VERDICT_FALSE, QL_VERDICT_RIGHT_CAUSE };
struct ql_command {
    enum ql_command_kind kind;
    ql_id incident, action;
    enum ql_verdict verdict;
    ql_str entity;                  /* RIGHT_CAUSE: "service/checkout" */
    ql_str by, note;
    ql_time at;
};

/* ---- look-ahead -> engine -------------------------------------------------------- */

/* What has a limit, and when stored history says that it will be full. Worked out outside of
 * the engine and journaled as an input, so that a replay needs no history. */
enum ql_finding_kind {
    QL_FINDING_AHEAD, QL_FINDING_FULL, QL_FINDING_EXPIRY,
    QL_FINDING_DISK,                /* a disk: full is 1 when the rule of SMART counters finds it */
    QL_FINDING_KINDS
};
#define QL_FINDING_COUNTERS 5
struct ql_finding {
    ql_series_id series;
    ql_str labels;                  /* canonical block of the series */
    ql_str limit_name;              /* what says the limit: a metric, or the settings */
    enum ql_finding_kind kind;
    ql_time at;                     /* of the newest value it rests on */
    double used, limit;             /* in the same unit; limit > 0 */
    double full, horizon_s;         /* P(full within the horizon) */
    double early_s, middle_s, late_s; /* from `at`: full by then with 10, 50, 90 %; INFINITY: never */
    uint32_t tests, right;          /* the same claim made in the past, and how often it held */
    double smart[QL_FINDING_COUNTERS]; /* DISK: raw values in the order of disk.h; -1: not there */
};
struct ql_audit { ql_time at; ql_id incident, action; ql_str actor, what, detail; };

#endif

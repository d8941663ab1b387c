/* normalise_int.h - the parts of the normalise stage and what they ask of each other.
 *
 * Ownership     each part is a struct inside struct nm: open makes it, close ends it.
 * Threads       the stage's.
 */
#ifndef QL_NORMALISE_NORMALISE_INT_H
#define QL_NORMALISE_NORMALISE_INT_H

#include "base/map.h"
#include "base/shared.h"
#include "base/stat.h"
#include "config/config.h"
#include "model/series.h"
#include "model/stage.h"

/* ---- nm_drop.c: what was refused, by source and reason ---------------------------- */

#define NM_REASON_MAP(X)                                                               \
    X(CARDINALITY, "cardinality") X(MALFORMED, "malformed") X(OLD, "too_old")          \
    X(FUTURE, "too_far_ahead") X(DUPLICATE, "duplicate") X(NOT_FINITE, "not_finite")   \
    X(BATCH_FULL, "batch_full") X(PEERS_FULL, "peers_full")
enum nm_reason {
#define X(name, text) NM_REASON_##name,
    NM_REASON_MAP(X)
#undef X
    NM_REASON_COUNT
};
/* The doors that can carry records of this stage, then what the stage itself makes. */
enum { NM_SOURCE_COUNT = 12, NM_SOURCE_DERIVED = 11 };
const char *nm_source_text(uint32_t source);

struct nm_counts {
    struct ql_stats *stats; /* borrowed */
    struct ql_stat_cell *dropped[NM_SOURCE_COUNT][NM_REASON_COUNT]; /* made when needed */
    struct ql_stat_cell *samples[NM_SOURCE_COUNT], *series[NM_SOURCE_COUNT], *holes;
    struct ql_stat_cell *names[2], *names_retired[2]; /* of peers, of services */
};
void nm_counts_init(struct nm_counts *counts, struct ql_stats *stats, uint32_t shard);
void nm_drop(struct nm_counts *counts, uint32_t source, enum nm_reason reason, uint64_t count);
void nm_count_accepted(struct nm_counts *counts, uint32_t source, uint64_t samples,
                       uint64_t series);

/* ---- nm_type.c: what a row of the series table learns from its samples ------------ */

#define NM_LEARNT UINT32_C(0x1000000) /* the type was learnt here, not told */
#define NM_MARKED UINT32_C(0x2000000) /* last_at is a stale marker's, last_raw of the value before */
#define NM_NAMED UINT32_C(0x4000000)  /* the type comes from a name that may mislead */

/* Makes a series of unknown type a counter when its name says so. */
void nm_type_of_name(struct ql_series *row, ql_str name);
/* Learns from one step; changes row->type and row->learn. */
void nm_type_learn(struct ql_series *row, double before, double after);
/* May the series still turn out to be a counter? Then its raw value is not judged. */
bool nm_type_is_open(const struct ql_series *row);
uint32_t nm_step_learn(uint32_t step, int64_t distance, uint32_t seen_count);

/* ---- nm_due.c: which series fell silent ------------------------------------------- */

enum { NM_WHEEL_COUNT = 4096 };
struct nm_life { uint32_t next, seen_s, gap_s, queued; };
struct nm_due {
    struct nm_life *lives; /* by series index */
    size_t ready;          /* bytes of it, ql_pages_ready() */
    uint32_t series_max;
    uint32_t heads[NM_WHEEL_COUNT];
    int64_t now_s;      /* newest time seen */
    int64_t paused_s;   /* time in which nobody called: it does not count as silence */
    int64_t pause_from_s, pause_to_s; /* the newest such time */
    int64_t tick_s, usual_s; /* the newest tick; usual distance of ticks */
    uint32_t swept_s;   /* every bucket up to this second is done */
};
QL_MUST_USE ql_err nm_due_init(struct nm_due *due, uint32_t series_max);
void nm_due_fini(struct nm_due *due);
/* Moves time forward; call it before anything else of a push or tick. */
void nm_due_advance(struct nm_due *due, ql_time now, bool tick);
/* Seconds of life so far, pauses left out; what seen_s and the wheel count in. */
static inline uint32_t nm_due_clock(const struct nm_due *due)
{
    return (uint32_t)(due->now_s - due->paused_s);
}
/* How much of this time was the newest pause. */
int64_t nm_due_paused_ns(const struct nm_due *due, ql_time from, ql_time to);
/* A sample of this series arrived. */
void nm_due_seen(struct nm_due *due, const struct ql_series *row, uint32_t index,
                 double absence_steps);
/* Counts as arrived, without silence being waited for: when it is born, and what is made here. */
void nm_due_touch(struct nm_due *due, uint32_t index);
static inline void nm_due_prefetch(const struct nm_due *due, uint32_t index)
{
    __builtin_prefetch(&due->lives[index], 1);
}
/* Calls fn for each series that is silent for longer than its absence by now; it must
 * not touch the wheel. The series leaves the wheel until it is seen again. */
void nm_due_sweep(struct nm_due *due, const struct ql_series_table *table, double absence_steps,
                  void (*fn)(void *context, uint32_t index), void *context);
ql_err nm_due_save(const struct nm_due *due, uint32_t series_count, struct ql_buf *out);
QL_MUST_USE ql_err nm_due_load(struct nm_due *due, uint32_t series_count, struct ql_reader *in);

/* ---- nm_service.c: rates per service from spans and logs -------------------------- */

enum {
    NM_WINDOW_S = 10,
    NM_SERVICES_MAX = 4096, /* names that spans and logs came from */
    NM_PEERS_MAX = 1024,    /* names that were only called: hosts, databases, others' services */
    NM_NAMES_MAX = NM_SERVICES_MAX + NM_PEERS_MAX,
    NM_NAME_BYTES_MAX = 512,
    NM_SLOT_COUNT = 3,     /* windows that are open at once */
    NM_BUCKET_COUNT = 256,
    NM_SEVERITY_COUNT = 7, /* unset, trace .. fatal */
    NM_RED_COUNT = 4,
    NM_SERVICE_SERIES = NM_RED_COUNT + NM_SEVERITY_COUNT
};
struct nm_red {
    uint32_t requests, errors;
    uint64_t duration_ns;
    uint32_t buckets[NM_BUCKET_COUNT];
};
struct nm_service {
    struct nm_red red[NM_SLOT_COUNT];
    uint32_t logs[NM_SLOT_COUNT][NM_SEVERITY_COUNT];
    uint32_t series[NM_SERVICE_SERIES]; /* index + 1; 0: not made yet */
    uint32_t pad;
    int64_t spans_window, logs_window;  /* newest window with any */
};
/* What is asked of every service at every window, apart from the large rows. */
struct nm_service_state {
    int64_t announced_window; /* when its entity was last written; INT64_MIN: never */
    uint8_t has_spans, severities;
    uint8_t is_service;       /* it told something itself; else a peer */
    uint8_t used;             /* else the number waits for a name */
    uint32_t seen_s;          /* when it was last told of, of nm_due_clock() */
};
struct nm_services {
    struct ql_shared names;  /* each held once */
    uint32_t counts[2];      /* names of peers, of services */
    uint32_t clock_s;        /* nm_due_clock() */
    struct nm_service *rows; /* by number in `names` */
    struct nm_service_state *states;
    int64_t closed_window;   /* INT64_MIN: no time seen yet */
    struct ql_buf scratch;
};

int64_t nm_window_of(ql_time at);
static inline ql_time nm_window_end(int64_t window)
{
    return (ql_time){ (window + 1) * NM_WINDOW_S * QL_NS_PER_S };
}
uint32_t nm_bucket_of(uint64_t duration_ns);
double nm_bucket_quantile_ns(const uint32_t buckets[NM_BUCKET_COUNT], uint32_t count, double q);

struct nm; /* below */
QL_MUST_USE ql_err nm_services_init(struct nm_services *services);
void nm_services_fini(struct nm_services *services);
void nm_services_advance(struct nm_services *services, ql_time now, uint32_t clock_s);
void nm_service_span(struct nm *nm, uint32_t number, const struct ql_span *span, ql_time now);
void nm_service_log(struct nm *nm, const struct ql_log *log, ql_time now, uint32_t source);
/* Lets go of derived series whose life was ended. */
void nm_services_forget(struct nm *nm);
void nm_services_tick(struct nm *nm, ql_time now, struct ql_batch *bus);
ql_err nm_services_save(const struct nm_services *services, struct ql_buf *out);
QL_MUST_USE ql_err nm_services_load(struct nm_services *services, uint32_t series_count,
                                    struct ql_reader *in);

/* ---- nm_names.c: which names there are --------------------------------------------- */

/* The number of a service, or of what one called; QL_MAP_NONE when there is no room. Peers
 * have a room of their own, so that many hosts cannot keep out a service. */
uint32_t nm_service_number(struct nm_services *services, ql_str name);
uint32_t nm_peer_number(struct nm_services *services, ql_str name);
bool nm_names_have_room(const struct nm_services *services, bool as_service);
bool nm_service_has_series(const struct nm_services *services, uint32_t number);
static inline bool nm_service_is_used(const struct nm_services *services, uint32_t number)
{
    return number < services->names.count && services->states[number].used != 0;
}
/* Lets go of names that nothing was told of for idle_s; where a room is nine tenths full, of those
 * not told of for longest, but never for less than least_s. True: a room is that full. */
bool nm_services_idle(struct nm *nm, double idle_s, uint32_t least_s);

/* ---- nm_calls.c: who calls whom --------------------------------------------------- */

enum { NM_CALL_SETS = 1 << 15, NM_CALL_WAYS = 4, NM_EDGES_MAX = 16384 };
struct nm_call_entry { uint64_t key; uint32_t service, error; }; /* key 0: free */
struct nm_edge {
    uint32_t caller, callee;             /* numbers of services */
    uint32_t paired, paired_errors;      /* both spans were seen */
    uint32_t named, named_errors;        /* the caller's span names the callee */
};
struct nm_calls {
    struct nm_call_entry *seen;    /* span -> its service */
    struct nm_call_entry *waiting; /* parent not seen yet -> the child's service */
    uint32_t turn;                 /* which entry of a full set goes next */
    uint32_t edge_count;
    struct nm_edge *edges;
    struct ql_map64 edge_by_pair;
    int64_t window;                /* of the edges gathered */
};
QL_MUST_USE ql_err nm_calls_init(struct nm_calls *calls);
void nm_calls_fini(struct nm_calls *calls);
void nm_calls_span(struct nm *nm, uint32_t number, const struct ql_span *span, uint32_t source);
void nm_calls_tick(struct nm *nm, ql_time now, struct ql_batch *bus);
/* Who is in a call of the present window is told of. */
void nm_calls_hold(struct nm *nm);
/* Lets go of spans of services that are used no more. */
void nm_calls_forget(struct nm *nm);
ql_err nm_calls_save(const struct nm_calls *calls, struct ql_buf *out);
QL_MUST_USE ql_err nm_calls_load(struct nm_calls *calls, const struct nm_services *services,
                                 struct ql_reader *in);

/* ---- nm_runs.c: samples to points ------------------------------------------------- */

struct nm_quota { int64_t minute; uint32_t count; };
void nm_runs_push(struct nm *nm, ql_time now, struct ql_batch *bus);
void nm_runs_tick(struct nm *nm, struct ql_batch *bus);

/* ---- nm_idle.c: which series are forgotten ------------------------------------------ */

/* Lists them in `retired` and lets go of what the stage has of them. */
void nm_idle_tick(struct nm *nm, struct ql_batch *bus);

/* ---- the stage -------------------------------------------------------------------- */

struct nm {
    const struct ql_config *config; /* borrowed */
    struct ql_series_table *table;  /* borrowed */
    struct nm_counts counts;
    struct nm_quota quotas[NM_SOURCE_COUNT]; /* new series by source */
    uint32_t shard_count;           /* each has its share of what is set for all */
    struct nm_due due;
    uint32_t idle_next_s;           /* of nm_due_clock(): the next look for what is idle */
    struct nm_services services;
    struct nm_calls calls;
    struct ql_buf scratch;
};

/* The stale marker: what the `raw` of a hole holds when one came. */
double nm_stale_marker(void);

#endif

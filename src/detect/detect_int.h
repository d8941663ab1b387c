/* detect_int.h - what the files of the stage share; detect.h is for everybody else.
 *
 *   detect.c        life, points, ticks, checkpoints
 *   detect_tell.c   signals and bands onto the bus
 *   detect_end.c    the end of what is open and cannot be judged any more
 *   detect_absent.c silence: a signal that the judge knows nothing of
 *   detect_ended.c  series that their sender ended: replaced, or gone
 *   detect_bound.c  valid ranges: another one
 *   detect_reset.c  counters that start again and again: one more
 *   detect_count.c  the cells, and whether the judgement is as good as it says
 */
#ifndef QL_DETECT_DETECT_INT_H
#define QL_DETECT_DETECT_INT_H

#include "base/buf.h"
#include "base/map.h"
#include "base/stat.h"
#include "detect/dt_calendar.h"
#include "detect/dt_change.h"
#include "detect/dt_drill.h"
#include "detect/dt_group.h"
#include "detect/dt_judge.h"
#include "detect/dt_policy.h"
#include "model/batch.h"
#include "model/series.h"

#define DT_ABSENT_MAX 65536u
#define DT_ENDED_MAX 4096u /* entities of series that ended, at one look */
#define DT_RESETS_MAX 65536u /* processes that restarted within an hour */
#define DT_RESETS_LOOP 3u    /* restarts within an hour that are told */
#define DT_FORGET_NS (INT64_C(86400) * QL_NS_PER_S)

/* Cells that shards share are told differences, against what each has told before. */
struct dt_shown {
    struct ql_dt_observed observed;
    int64_t day, days[QL_DT_TENANTS_MAX], groups[QL_DT_GROUP_KINDS], groups_full;
};

/* A process that restarted within the hour before. */
enum dt_reset_told { DT_RESET_UNTOLD, DT_RESET_HELD, DT_RESET_TOLD };
struct dt_reset {
    uint64_t key, entity;
    int64_t times[DT_RESETS_LOOP];  /* of the newest restarts, the last one at the end */
    int64_t alive_ns;               /* of the newest that keeps it, of its entity when it is told */
    int64_t onset_ns;               /* HELD, TOLD: the first restart */
    uint32_t series;                /* the counter that the signal is of */
    uint32_t last_series;           /* the counter whose fall was counted last */
    uint32_t count;                 /* restarts, since onset_ns when HELD or TOLD */
    uint32_t told;                  /* enum dt_reset_told */
};
_Static_assert(sizeof(struct dt_reset) == 72, "saved as it is, no hidden padding");
struct dt_resets {
    struct dt_reset *at;
    uint32_t count;
    struct ql_map64 of;             /* key -> index */
    struct ql_map64 told_of;        /* entity -> index of the one that tells of it */
    struct ql_buf scratch;          /* the name of an entity */
};

struct dt_stage {
    struct ql_series_table *series; /* borrowed from the engine */
    struct ql_stats *stats;         /* borrowed; for cells of tenants that come later */
    struct ql_dt_judge judge;
    struct ql_dt_policy policy;
    struct ql_dt_calendar calendar;
    struct ql_dt_changes changes;   /* of late */
    struct ql_dt_drill drill;
    struct ql_dt_groups groups;
    struct dt_shown shown;          /* what the cells below were last told */
    bool enabled;                   /* by configuration */
    bool switched;                  /* something is off, and may still be open */
    int64_t now_ns;                 /* of the call under way */
    double shard_share;             /* of every budget */
    uint32_t *absent;               /* silent series of which something is open, unordered */
    uint32_t absent_count;
    struct dt_ended *ended;         /* entities of series that their sender ended */
    struct ql_map64 ended_of;       /* entity -> index; both of one look at them */
    int64_t ended_next_ns;          /* no look before */
    struct dt_resets resets;
    struct ql_buf scratch;          /* label blocks and sentences, one at a time */
    struct ql_stat_cell *points, *opened, *closed, *recurred, *threshold, *absent_dropped;
    struct ql_stat_cell *resets_seen, *resets_dropped;
    struct ql_stat_cell *signals_dropped, *bands_dropped, *profiles, *together, *day, *budget;
    struct dt_tenant_cells {
        struct ql_stat_cell *budget, *day, *threshold, *raised;
    } tenants[QL_DT_TENANTS_MAX];
    struct ql_stat_cell *groups_cells[QL_DT_GROUP_KINDS], *groups_full;
    struct ql_stat_cell *observed_points, *reached[QL_DT_OBSERVED_LEVELS];
    struct ql_stat_cell *drills[QL_DT_DRILL_BROKEN_OFF + 1], *drill_delay, *drill_found_at;
};

/* Why a signal ends that no value has ended. */
enum dt_end_why { DT_END_NONE, DT_END_FORGOTTEN, DT_END_SILENT, DT_END_OFF, DT_END_FEW, DT_END_AWAY };
struct dt_end {
    enum dt_end_why why;
    double hours;                        /* FORGOTTEN, SILENT: without a sample, a value */
    uint32_t present, count;             /* FEW: members of the group */
};

struct dt_finding {
    uint32_t series;
    enum ql_signal_kind kind;
    enum ql_phase phase;
    int64_t onset_ns, at_ns;
    double value, surprise;
    const struct ql_dt_verdict *verdict; /* its band */
    const struct ql_dt_group_finding *group; /* of a group's signal, else NULL */
    struct dt_end end;                   /* CLOSE */
    ql_str who, seen_at;                 /* RESET: who restarts; the counter that fell last ... */
    int64_t last_ns;                     /* ... and when */
};

/* ---- telling ---------------------------------------------------------------------- */

void dt_finding_write(struct dt_stage *d, struct ql_batch *bus, const struct dt_finding *finding);
void dt_band_write(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point,
                   const struct ql_dt_verdict *v);

/* ---- silence ----------------------------------------------------------------------- */

void dt_absent_open(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *hole);
void dt_absent_close(struct dt_stage *d, struct ql_batch *bus, uint32_t series,
                     int64_t at_ns, struct dt_end end);
/* A value of a series that is absent or was ended; before it is judged. */
void dt_absent_value(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point);
void dt_absent_begin(struct dt_stage *d, struct ql_batch *bus, uint32_t series, ql_time at);
/* Drops from the list what came back, and gives up on what is silent for a day. */
void dt_absent_sweep(struct dt_stage *d, struct ql_batch *bus, ql_time now);

QL_MUST_USE ql_err dt_ended_open(struct dt_stage *d);
void dt_ended_close(struct dt_stage *d);
/* Makes absent what ended and is not replaced. */
void dt_ended_look(struct dt_stage *d, struct ql_batch *bus, ql_time now);

/* ---- valid ranges ------------------------------------------------------------------ */

void dt_bound_end(struct dt_stage *d, struct ql_batch *bus, uint32_t series, double value,
                  int64_t at_ns, struct dt_end end);
/* True: the value is outside of its range and nothing is to be learnt of it. */
bool dt_bound_push(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point);
/* Gives up on what is silent for a day. */
void dt_bound_sweep(struct dt_stage *d, struct ql_batch *bus);

/* ---- restarts ---------------------------------------------------------------------- */

QL_MUST_USE ql_err dt_resets_open(struct dt_resets *resets);
void dt_resets_close(struct dt_resets *resets);
/* A counter fell. */
void dt_reset_push(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point);
/* Ends what has not restarted for an hour. */
void dt_reset_sweep(struct dt_stage *d, struct ql_batch *bus);
void dt_reset_off(struct dt_stage *d, struct ql_batch *bus);
void dt_reset_forget(struct dt_stage *d, struct ql_batch *bus, uint32_t series,
                     struct dt_end end);
ql_err dt_resets_save(const struct dt_resets *resets, struct ql_buf *out);
QL_MUST_USE ql_err dt_resets_load(struct dt_resets *resets, uint32_t series_count,
                                  struct ql_reader *in);

/* ---- endings ----------------------------------------------------------------------- */

/* Whatever is open of the series itself. */
void dt_end_series(struct dt_stage *d, struct ql_batch *bus, uint32_t series, int64_t at_ns,
                   struct dt_end end);
/* A group's signal has ended. */
void dt_end_group(struct dt_stage *d, struct ql_batch *bus, const struct ql_dt_group_finding *f,
                  struct dt_end end);
/* Whatever is open and is not judged any more, as the settings are. */
void dt_end_switched(struct dt_stage *d, struct ql_batch *bus);
/* Whatever is open of the series in bus->retired ... */
void dt_forget_close(struct dt_stage *d, struct ql_batch *bus);
/* ... and, once the lists of what is open were swept, lets go of all that is kept of them. */
void dt_forget_drop(struct dt_stage *d, const struct ql_batch *bus);

/* ---- counting ---------------------------------------------------------------------- */

void dt_count_cells(struct dt_stage *d);
void dt_count_tenants(struct dt_stage *d);
/* Before the list changes: what is not there any more is shown as nothing. */
void dt_uncount_tenants(struct dt_stage *d);
void dt_tell_honesty(struct dt_stage *d);
void dt_drill_ended(struct dt_stage *d, enum ql_dt_drill_end end);

#endif

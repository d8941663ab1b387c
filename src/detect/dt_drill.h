/* dt_drill.h - the self-test: would an anomaly be found, and how soon?
 *
 * Now and then the state of one living series is copied, and the copy is shown the real
 * values with a made-up anomaly on top: a level that goes up, one that goes down, or a slow
 * climb. The copy is judged by copies of the pools under the rule in force; nothing that
 * it learns or opens reaches the judge, so a drill changes no signal.
 *
 * Units         ns of the points' time; size of the anomaly in half widths of the band.
 * Ownership     open/close.
 * Threads       one at a time.
 * Errors        open: QL_E_MEMORY.
 * Bounds        two sets of pools, one state and one profile (about 50 kB); one drill at a
 *               time; QL_DT_DRILL_LOOK states are looked at in a tick to choose the next.
 * Determinism   series and shape follow from the points alone. Not saved: a drill under
 *               way at a restart is forgotten.
 */
#ifndef QL_DETECT_DT_DRILL_H
#define QL_DETECT_DT_DRILL_H

#include "detect/dt_judge.h"

#define QL_DT_DRILL_LOOK 4096u
#define QL_DT_DRILL_POINTS 60u /* not found within as many: missed */

enum ql_dt_drill_shape { QL_DT_DRILL_UP, QL_DT_DRILL_DOWN, QL_DT_DRILL_CLIMB, QL_DT_DRILL_SHAPES };
/* BROKEN_OFF: the series fell silent or became really odd, which proves nothing. */
enum ql_dt_drill_end {
    QL_DT_DRILL_GOES_ON, QL_DT_DRILL_FOUND, QL_DT_DRILL_MISSED, QL_DT_DRILL_BROKEN_OFF
};

struct ql_dt_drill {
    bool on;
    uint32_t series;                /* that is copied; UINT32_MAX when none is */
    uint32_t cursor;                /* where the next is looked for */
    enum ql_dt_drill_shape shape;
    uint32_t points;                /* shown so far */
    double size;                    /* of the anomaly, in the series' unit */
    int64_t interval_ns;            /* 0: never */
    int64_t due_ns, began_ns;
    int64_t delay_ns;               /* of the drill that ended last, when it was found */
    struct ql_dt_series state;
    struct ql_dt_slab slab;
    struct ql_dt_pools *pools;      /* two: of the family, of all */
};

QL_MUST_USE ql_err ql_dt_drill_open(struct ql_dt_drill *drill, double interval_s);
void ql_dt_drill_close(struct ql_dt_drill *drill);
/* Begins the next drill when it is due and a series fits; ends one that got no values. */
enum ql_dt_drill_end ql_dt_drill_tick(struct ql_dt_drill *drill, const struct ql_dt_judge *judge,
                                      uint32_t series_count);
/* Ends a drill whose series is forgotten. */
enum ql_dt_drill_end ql_dt_drill_break_off(struct ql_dt_drill *drill, int64_t now_ns);
/* Shows the copy a value of drill->series, before the judge sees it. */
enum ql_dt_drill_end ql_dt_drill_value(struct ql_dt_drill *drill, const struct ql_dt_judge *judge,
                                       uint32_t family, const struct ql_dt_input *in);

#endif

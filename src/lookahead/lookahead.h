/* lookahead.h - the slow thread that looks through stored history for what fills up.
 *
 * Every `forecast.every` of the engine's time it finds what has a limit (forecast/survey.h),
 * works out at most `forecast.series_max` of them (with more, passes take turns), and submits
 * what it found as one input: journaled like an alert, so that a replay, which has no history,
 * judges the same. Whether any of it becomes a signal is the exhaust stage's to say.
 *
 * Ownership     start/stop. Settings are borrowed until the next reload or stop has returned.
 * Threads       its own, at the lowest priority the system gives; start, reload and stop from
 *               one other thread. It sleeps between two resources as long as it worked.
 * Errors        start: QL_E_MEMORY. A pass that fails is counted and tried at the next time.
 * Bounds        series_max resources a pass, each a read of four weeks on a grid (at most as
 *               many samples as history has); one body of at most 1 MiB, in parts if need be.
 */
#ifndef QL_LOOKAHEAD_LOOKAHEAD_H
#define QL_LOOKAHEAD_LOOKAHEAD_H

#include "base/stat.h"
#include "model/accept.h"
#include "model/view.h"

struct ql_config;
struct ql_lookahead;

struct ql_lookahead_env {
    const struct ql_view *view;
    const struct ql_accept *accept;
    struct ql_stats *stats;
};

QL_MUST_USE ql_err ql_lookahead_start(const struct ql_lookahead_env *env,
                                      const struct ql_config *config,
                                      struct ql_lookahead **ret_lookahead);
/* Waits for the resource that is worked out now and breaks the pass off; the next one is the
 * first under `config`, and due by its `every`. */
void ql_lookahead_reload(struct ql_lookahead *lookahead, const struct ql_config *config);
void ql_lookahead_stop(struct ql_lookahead *lookahead); /* NULL is fine */

#endif

/* lookahead.h - a slow thread that asks of everything with a limit when it will be full.
 *
 * Each look surveys the stored history (survey.h) and submits what it finds as one journaled
 * input; the exhaustion stage (forecast/exhaustion.h) decides what becomes a signal, today
 * and in a replay that has no history. The thread has the lowest priority and is in nobody's
 * way: it reads as a page does.
 *
 * Ownership     start borrows view, accept and stats until stop; the config is read during
 *               the call and not kept.
 * Threads       start, reload and stop from one thread.
 * Errors        start: QL_E_MEMORY. A look that fails is counted, logged and tried again.
 * Bounds        resources_max series with a limit a look; those left out are counted.
 * Metrics       ql_lookahead_{looks_total{result},resources,left_out_total,last_milliseconds}.
 */
#ifndef QL_LOOKAHEAD_LOOKAHEAD_H
#define QL_LOOKAHEAD_LOOKAHEAD_H

#include "base/stat.h"
#include "config/config.h"
#include "model/accept.h"
#include "model/view.h"

struct ql_lookahead_env {
    const struct ql_view *view;
    const struct ql_accept *accept;
    struct ql_stats *stats;
};

struct ql_lookahead;
QL_MUST_USE ql_err ql_lookahead_start(const struct ql_lookahead_env *env,
                                      const struct ql_config *config,
                                      struct ql_lookahead **ret_lookahead);
void ql_lookahead_reload(struct ql_lookahead *lookahead, const struct ql_config *config);
/* Waits for the series that is being looked at, at most. NULL is fine. */
void ql_lookahead_stop(struct ql_lookahead *lookahead);

#endif

/* export.h - sends on what was concluded: bands, scores and samples by remote write 1.0.
 *
 * One thread a receiver asks the engine at every interval what is new and posts it. There is
 * no queue that could fill: while a receiver is away, what it has not got stays where it is,
 * in memory and in the history, and is read from there when it is back, up to the backlog.
 * A series of which the history does not answer waits in the same way: nothing is left out.
 * The engine hands over nothing and waits for nobody.
 *
 * Ownership     start borrows the view and the stats until stop; the config is read during
 *               the call and not kept.
 * Threads       start, reload and stop from one thread.
 * Errors        start, reload: QL_E_MEMORY, QL_E_CONFIG (a selector that does not parse: why
 *               says what). A failed reload leaves the receivers as they were.
 * Bounds        one request of at most QL_EXPORT_REQUEST_BYTES_MAX a receiver in memory; the
 *               labels and 60 bytes of up to series_max series.
 * Metrics       ql_remote_write_{samples,requests}_total{url}, ..._lag_seconds{url},
 *               ..._series{url}, ..._history_waits_total{url};
 *               ql_records_dropped_total{source="remote_write_out",reason}.
 */
#ifndef QL_EXPORT_EXPORT_H
#define QL_EXPORT_EXPORT_H

#include "base/stat.h"
#include "config/config.h"
#include "model/view.h"

#define QL_EXPORT_REQUEST_BYTES_MAX ((size_t)8 << 20)

struct ql_export_env { const struct ql_view *view; struct ql_stats *stats; };

struct ql_exporter;
QL_MUST_USE ql_err ql_export_start(const struct ql_export_env *env, const struct ql_config *config,
                                   struct ql_exporter **ret_exporter, char *ret_why,
                                   size_t why_bytes);
/* Ends the threads of the old receivers and starts those of the new ones. A receiver that
 * stays goes on where it was told to stop: nothing is left out, and only what stood in a request
 * that was under way is sent again. */
QL_MUST_USE ql_err ql_export_reload(struct ql_exporter *exporter, const struct ql_config *config,
                                    char *ret_why, size_t why_bytes);
/* A request under way is given up. NULL is fine. */
void ql_export_stop(struct ql_exporter *exporter);

#endif

/* history_rewrite.h - an old day made smaller, a few series at a time.
 *
 * PACKED keeps every sample and puts them in fewer rows; MINUTES and HOURS keep cells. A series
 * is rewritten in one transaction in the file it lies in, so a kill between two steps, or in one,
 * leaves each series as it was or as it shall be, and the next pass skips what is done. Readers
 * see the state before or after and wait for nothing (SQLite's write-ahead log). Pages that
 * become free are given back to the disk at the end, a bounded number a step.
 *
 * Ownership     open/close; close without done leaves a pass to be taken up again.
 * Threads       one at a time; other connections may read and write in between.
 * Errors        QL_E_IO, QL_E_MEMORY, QL_E_VERSION: the step is rolled back.
 * Bounds        a step rewrites series for about STEP_MS, or gives STEP_PAGES pages back.
 */
#ifndef QL_STORE_HISTORY_REWRITE_H
#define QL_STORE_HISTORY_REWRITE_H

#include "store/history_rows.h"

struct ql_history_rewrite;
QL_MUST_USE ql_err ql_history_rewrite_open(const char *dir, int64_t day,
                                           enum ql_history_level level,
                                           struct ql_history_rewrite **ret_rewrite);
QL_MUST_USE ql_err ql_history_rewrite_step(struct ql_history_rewrite *rewrite, bool *ret_done);
/* Rows have come into the day: it begins again (and skips what is done). */
void ql_history_rewrite_restart(struct ql_history_rewrite *rewrite);
uint64_t ql_history_rewrite_series(const struct ql_history_rewrite *rewrite); /* so far */
void ql_history_rewrite_close(struct ql_history_rewrite *rewrite); /* NULL is fine */

#endif

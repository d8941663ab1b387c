/* history_names.h - what forgotten series were called, so that their samples are found again.
 *
 * The engine knows a living series by name, history only its id. When the engine forgets one
 * (limits.series_idle), its labels go into the file of the day on which it does, and go with that
 * file. Who comes back and is forgotten again stands in several days; the newest counts.
 *
 * Ownership     texts of infos live in the caller's arena.
 * Threads       free functions: any thread.
 * Errors        QL_E_IO, QL_E_MEMORY, QL_E_FULL (texts takes no more), QL_E_NOT_FOUND (no such
 *               day).
 * Bounds        QL_HISTORY_NAMES_LOOKED_MAX names are compared for one question.
 */
#ifndef QL_STORE_HISTORY_NAMES_H
#define QL_STORE_HISTORY_NAMES_H

#include "base/map.h"
#include "model/selector.h"
#include "store/db.h"
#include "store/history_day.h"

#define QL_HISTORY_NAMES_LOOKED_MAX 200000u

extern const char ql_history_names_schema[], ql_history_names_put_sql[];

/* A name on its way through the queue is a row without samples. */
ql_err ql_history_names_pack(const struct ql_series_info *info, ql_time now, struct ql_buf *out);
bool ql_history_names_is_one(const struct ql_history_packed *row);
ql_err ql_history_names_put(sqlite3_stmt *put, const struct ql_history_packed *row);

/* One question to several days, the newest first. */
struct ql_history_names_ask {
    struct ql_selector *selector; /* NULL: of the one id */
    ql_series_id id;
    int64_t from_ms;              /* whose last sample is not before it */
    struct ql_arena *texts;
    struct ql_series_info *infos; /* room for count_max */
    uint32_t count, count_max;
    struct ql_map128 seen;        /* ids in infos */
    uint32_t looked;
};
QL_MUST_USE ql_err ql_history_names_read(const char *dir, int64_t day,
                                         struct ql_history_names_ask *ask);

#endif

/* offline_forecast.h - continues every series of a file, with intervals.
 *
 * Column 1 is the time at a fixed step, every other column one series; leading empty cells
 * mean that a series starts later. All series of the file share what intervals are made of.
 *
 * Ownership     everything is the caller's.
 * Errors        as offline_table.h; QL_E_FULL (output over its maximum), QL_E_RANGE (no
 *               series with a value, or the horizon).
 * Bounds        8 bytes a cell and 8 bytes a step and series; time as forecast.h.
 * Determinism   the same file gives the same bytes.
 */
#ifndef QL_ENGINE_OFFLINE_FORECAST_H
#define QL_ENGINE_OFFLINE_FORECAST_H

#include "base/buf.h"

struct ql_offline_forecast {
    ql_str text;              /* the whole file */
    const char *shown_name;   /* for messages */
    uint32_t horizon;         /* steps past the last row */
    bool json;
    /* After each series; may be NULL. */
    void (*progress)(const char *what, uint64_t done, uint64_t all);
};
QL_MUST_USE ql_err ql_offline_forecast(const struct ql_offline_forecast *in, struct ql_buf *out,
                                       struct ql_buf *why);

#endif

/* offline_forecast.h - forecasts every series of a file of metrics past its last row.
 *
 * Column 1 is the time at a fixed step, every other column one series; an empty cell is a
 * missing value, leading ones mean that the series starts later. A series without any
 * value gets rows with empty cells.
 *
 * Ownership     everything is the caller's.
 * Errors        QL_E_MALFORMED with "FILE:LINE:COLUMN: what was found, what is allowed" in
 *               `why`; QL_E_FULL (output over its maximum), QL_E_MEMORY.
 * Bounds        8 bytes a cell, and QL_FORECAST_SCRATCH.
 * Determinism   the same file gives the same bytes.
 */
#ifndef QL_ENGINE_OFFLINE_FORECAST_H
#define QL_ENGINE_OFFLINE_FORECAST_H

#include "base/buf.h"

#define QL_OFFLINE_STEPS_MAX 4096u

struct ql_offline_forecast {
    ql_str text;              /* the whole file */
    const char *shown_name;   /* for messages */
    uint32_t horizon;         /* steps; 1..QL_OFFLINE_STEPS_MAX */
    bool json;
};
QL_MUST_USE ql_err ql_offline_forecast(const struct ql_offline_forecast *in, struct ql_buf *out,
                                       struct ql_buf *why);

#endif

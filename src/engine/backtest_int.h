/* backtest_int.h - what backtest.c takes from the folder: known series, settings, incidents. */
#ifndef QL_ENGINE_BACKTEST_INT_H
#define QL_ENGINE_BACKTEST_INT_H

#include "engine/backtest.h"
#include "engine/machine.h"

/* Series as the newest checkpoint knows them, and their samples that are not in files yet. */
struct backtest_known {
    struct ql_machine machine;
    struct ql_stats *stats;
    struct ql_arena texts;
    struct ql_series_info *series;
    uint32_t count;
    ql_time newest;
};
QL_MUST_USE ql_err backtest_known_open(const char *data_dir, struct backtest_known *known,
                                       struct ql_buf *ret_why);
void backtest_known_close(struct backtest_known *known);
/* Appends what is in memory alone; [first, count) of `out` are the samples from files. */
QL_MUST_USE ql_err backtest_known_tail(const struct backtest_known *known, ql_series_id id,
                                       ql_time from, ql_time to, uint32_t first,
                                       struct ql_batch *out);
/* The settings in force: the checkpoint's, or what the journal has behind it. */
QL_MUST_USE ql_err backtest_running_config(const char *data_dir,
                                           const struct backtest_known *known,
                                           struct ql_config **ret_config, struct ql_buf *ret_why);
/* Reads what was recorded and says who found it. */
QL_MUST_USE ql_err backtest_compare(const char *data_dir, struct ql_backtest_result *result);

#endif

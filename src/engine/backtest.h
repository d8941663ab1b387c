/* backtest.h - stored history through the machine twice: as it is set up now, and as it might be.
 *
 * Two fresh machines, the same stages as the service's, are given the samples of history in order
 * of time, a batch and a tick every QL_BACKTEST_STEP. Both start knowing nothing and learn for up
 * to QL_BACKTEST_LEARN before `from`; only what they open from then on counts. What was recorded
 * (state.db) says which incidents there were and what people said of them.
 *
 * Nothing is written, and a daemon may be at work in the folder. Series are those of the newest
 * checkpoint. What history keeps as cells is left out and counted: a mean is no sample.
 * Alerts, changes and calls are not in history, so both sides judge series alone: those that were
 * made of spans and logs among them, and their silence.
 *
 * Ownership     run takes both configurations; the result is fini'd by the caller.
 * Errors        QL_E_NOT_FOUND (no checkpoint, no settings in the journal, no samples),
 *               QL_E_CONFIG, QL_E_IO, QL_E_MEMORY; the sentence is in ret_why.
 * Bounds        samples of one window (a day, shorter with more than 1000 series) in memory;
 *               QL_BACKTEST_ROWS_MAX incidents a side and recorded, beyond it counted only.
 * Determinism   the same files and configurations give the same counts; cpu_s is measured.
 */
#ifndef QL_ENGINE_BACKTEST_H
#define QL_ENGINE_BACKTEST_H

#include "base/arena.h"
#include "base/buf.h"
#include "config/config.h"
#include "model/record.h"

#define QL_BACKTEST_STEP QL_S(15)
#define QL_BACKTEST_LEARN QL_S(7 * 86400)
#define QL_BACKTEST_NEAR QL_S(900)  /* an incident is found when one of its entity is this near */
#define QL_BACKTEST_ROWS_MAX 10000u

enum ql_backtest_which { QL_BACKTEST_RUNNING, QL_BACKTEST_NEW, QL_BACKTEST_SIDES };

struct ql_backtest_row { /* an incident, recorded or opened here */
    ql_time onset, opened, resolved;
    ql_entity_id entity;
    ql_str title;
    uint64_t id;                    /* recorded: its number */
    enum ql_verdict verdict;        /* recorded: the newest that a person gave */
    bool found[QL_BACKTEST_SIDES];  /* recorded: by whom */
    bool is_new;                    /* opened here: near no recorded one */
};
struct ql_backtest_side {
    uint64_t signals, incidents;
    uint64_t found, missed;         /* recorded incidents that nobody called false */
    uint64_t false_again, false_gone;
    uint64_t unrecorded;            /* incidents near no recorded one */
    double cpu_s;
    struct ql_backtest_row *rows;
    uint32_t row_count;
};
struct ql_backtest_result {
    ql_time learnt_from, from, to;  /* samples from; counted from; until */
    uint32_t series;
    uint64_t samples, cells_left_out;
    struct ql_backtest_side sides[QL_BACKTEST_SIDES];
    struct ql_backtest_row *recorded;
    uint32_t recorded_count;
    struct ql_arena texts;
};

struct ql_backtest_env {
    const char *data_dir;
    struct ql_config *running;      /* NULL: the newest in the journal */
    struct ql_config *config;       /* the new one */
    ql_duration since;              /* back from the newest sample */
    void (*progress)(void *context, double share, ql_time at);
    void *context;
};
QL_MUST_USE ql_err ql_backtest_run(const struct ql_backtest_env *env,
                                   struct ql_backtest_result *ret_result, struct ql_buf *ret_why);
void ql_backtest_fini(struct ql_backtest_result *result); /* also after an error */

#endif

/* view.h - what the faces (api, cli) may ask of the running engine, as a table of calls.
 *
 * The api includes no engine: whoever wires the program fills this in. Questions are
 * answered from published state or between two batches, never by reaching into stages.
 *
 * Threads       any thread may call; calls block for at most wait_ms_max.
 * Ownership     results are appended to the caller's buf or batch.
 * Errors        QL_E_TIMEOUT, QL_E_CLOSED, QL_E_NOT_FOUND, QL_E_FULL.
 */
#ifndef QL_MODEL_VIEW_H
#define QL_MODEL_VIEW_H

#include "base/base.h"
#include "base/buf.h"
#include "model/batch.h"
#include "model/labels.h"

struct ql_matcher { /* name op value; op is one of = != =~ !~ as '=', '!', '~', '^' */
    ql_str name, value;
    char op;
};

struct ql_series_info {
    ql_series_id id;
    ql_str labels;            /* canonical block, in the batch arena */
    ql_str entity;            /* "kind/name" or "" */
    enum ql_metric_type type;
    ql_time last_at;
    uint32_t step_ms;
};

/* A question for the newest of one series, and its answer: samples as they came and, of
 * those, the judged ones (counters as rates), both in batch.samples; bands in batch.bands. */
struct ql_tail {
    ql_series_id id;
    ql_time from;             /* only samples that are later; bands up to two hours before */
    bool found;               /* such a series is known */
    bool whole;               /* memory reaches back to `from`: nothing is missing */
    uint32_t raw_first, raw_count, judged_first, judged_count, band_first, band_count;
};

struct ql_view {
    void *host;
    /* Series that satisfy all matchers, at most count_max, sorted by label text. The
     * caller frees *ret_infos with free(); texts live in `texts`. */
    QL_MUST_USE ql_err (*series_find)(void *host, const struct ql_matcher *matchers,
                                      uint32_t matcher_count, uint32_t count_max,
                                      struct ql_arena *texts, struct ql_series_info **ret_infos,
                                      uint32_t *ret_count);
    /* The same of series that are forgotten and had their last sample not before `from`. NULL:
     * nobody remembers any. */
    QL_MUST_USE ql_err (*series_past)(void *host, const struct ql_matcher *matchers,
                                      uint32_t matcher_count, ql_time from, uint32_t count_max,
                                      struct ql_arena *texts, struct ql_series_info **ret_infos,
                                      uint32_t *ret_count);
    /* One series by its id, forgotten ones too, as those of a read; its texts live in `texts`.
     * QL_E_NOT_FOUND. */
    QL_MUST_USE ql_err (*series_get)(void *host, ql_series_id id, struct ql_arena *texts,
                                     struct ql_series_info *ret_info);
    /* Appends samples (judged values: counters as rates) in [from, to] to out->samples and
     * the recorded bands to out->bands, oldest first. From memory and from history; out->behind
     * says that some of it waits for the disk and is not there yet. */
    QL_MUST_USE ql_err (*series_read)(void *host, ql_series_id id, ql_time from, ql_time to,
                                      struct ql_batch *out);
    /* Appends the samples in [from, to] as they came, stale markers too, oldest first and no
     * two at one time. From memory and from history, as above. */
    QL_MUST_USE ql_err (*series_raw)(void *host, ql_series_id id, ql_time from, ql_time to,
                                     struct ql_batch *out);
    /* The newest of many series from memory alone, one question a shard. */
    QL_MUST_USE ql_err (*series_tails)(void *host, struct ql_tail *tails, uint32_t count,
                                       struct ql_batch *out);
    /* Journals a command, waits until it is durable and applied. */
    QL_MUST_USE ql_err (*command)(void *host, const struct ql_command *command);
    /* A JSON object: uptime, version, series, bytes per series, rates, lag, stages. */
    QL_MUST_USE ql_err (*status)(void *host, struct ql_buf *out);
    /* Every SLO in the order of the file, as it stood at its last judgement; at most a minute
     * old. The caller frees *ret_states with free(). */
    QL_MUST_USE ql_err (*slos)(void *host, struct ql_slo_state **ret_states,
                               uint32_t *ret_count);
    ql_time (*now)(void *host); /* the engine's time: newest tick */
    /* Waits until an event after *cursor or timeout; appends SSE-ready "event: ...\ndata:
     * ...\n\n" text and moves *cursor. Start with *cursor = 0 for "from now on". */
    QL_MUST_USE ql_err (*events)(void *host, uint64_t *cursor, int timeout_ms,
                                 struct ql_buf *out);
    bool (*ready)(void *host);
};

#endif

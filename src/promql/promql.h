/* promql.h - a documented subset of Prometheus' query language over any source of series.
 *
 * Parsed once, evaluated at one time or over a grid of times, with the answers Prometheus
 * 2.42 gives on the same samples: look-back of five minutes, stale markers, windows closed on
 * both sides, rates extrapolated to their window. What is outside of the subset is refused
 * with its name and place, never answered approximately (docs/promql.md).
 *
 * Units         times are milliseconds since 1970, as Prometheus counts them.
 * Ownership     parse/free. A result lives in its arena until ql_promql_result_fini().
 * Threads       an expression may be evaluated from one thread at a time.
 * Errors        every failure fills a struct ql_promql_error: QL_E_MALFORMED (no such
 *               language), QL_E_UNSUPPORTED (outside of the subset), QL_E_RANGE (over a bound
 *               or not computable), QL_E_MEMORY; else what the source returned.
 * Bounds        the maxima below; each is an error that says which one was passed.
 * Determinism   series are visited in the order of the source; no clock is read.
 */
#ifndef QL_PROMQL_PROMQL_H
#define QL_PROMQL_PROMQL_H

#include "base/arena.h"
#include "base/base.h"
#include "model/record.h"
#include "model/view.h"

#define QL_PROMQL_TEXT_BYTES_MAX 65536u
#define QL_PROMQL_DEPTH_MAX 100u                /* of nested expressions */
#define QL_PROMQL_NODES_MAX 2000u
#define QL_PROMQL_STEPS_MAX 11001u              /* points of one series, as Prometheus */
#define QL_PROMQL_SERIES_MAX 20000u             /* one selector */
#define QL_PROMQL_SAMPLES_MAX UINT64_C(50000000) /* read for one query, as Prometheus */
#define QL_PROMQL_VISITS_MAX UINT64_C(1000000000) /* samples looked at in windows */
#define QL_PROMQL_BYTES_MAX ((size_t)256 << 20) /* of results and what leads to them */
#define QL_PROMQL_LOOKBACK_MS INT64_C(300000)

#define QL_PROMQL_ERROR_BYTES 512
struct ql_promql_error {
    ql_err err;
    uint32_t line, column;              /* from 1; 0: no place in the text */
    char text[QL_PROMQL_ERROR_BYTES];   /* with its place, as people read it */
};

enum ql_promql_type { QL_PROMQL_SCALAR, QL_PROMQL_VECTOR, QL_PROMQL_MATRIX, QL_PROMQL_STRING };
const char *ql_promql_type_text(enum ql_promql_type type); /* "instant vector", ... */

/* ---- what is asked ------------------------------------------------------------------- */

struct ql_promql;
QL_MUST_USE ql_err ql_promql_parse(ql_str text, struct ql_promql **ret_expression,
                                   struct ql_promql_error *ret_error);
void ql_promql_free(struct ql_promql *expression); /* NULL is fine */
enum ql_promql_type ql_promql_type_of(const struct ql_promql *expression);

/* One selector, as match[] has them: ret_matchers points into `arena`. */
QL_MUST_USE ql_err ql_promql_parse_selector(ql_str text, struct ql_arena *arena,
                                            const struct ql_matcher **ret_matchers,
                                            uint32_t *ret_count,
                                            struct ql_promql_error *ret_error);
/* "5m", "1h30m", "1y2w3d4h5m6s7ms": Prometheus' durations. */
QL_MUST_USE ql_err ql_promql_duration(ql_str text, int64_t *ret_ms);

/* ---- where it is asked --------------------------------------------------------------- */

struct ql_promql_series {
    ql_str labels;      /* canonical block */
    uint64_t handle[3]; /* the source's own */
    int extreme;        /* set for a read: only the greatest (1), the least (-1) of a window
                         * matters, so a source that keeps summaries gives those; 0: values */
};

struct ql_promql_source {
    void *host;
    /* Series that satisfy all matchers and may have samples in [from, to]; at most
     * count_max + 1, so that too many can be told. All of it stands in `arena`. */
    QL_MUST_USE ql_err (*find)(void *host, const struct ql_matcher *matchers, uint32_t count,
                               int64_t from_ms, int64_t to_ms, uint32_t count_max,
                               struct ql_arena *arena, struct ql_promql_series **ret_series,
                               uint32_t *ret_count);
    /* Raw samples in [from, to], oldest first, no two at one millisecond; borrowed until the
     * next read. Stale markers are samples. */
    QL_MUST_USE ql_err (*read)(void *host, const struct ql_promql_series *series,
                               int64_t from_ms, int64_t to_ms,
                               const struct ql_sample **ret_samples, uint32_t *ret_count);
};

/* At start, start + step, ... up to end; step 0 asks at `start` only. */
struct ql_promql_grid { int64_t start_ms, end_ms, step_ms; };

/* ---- the answer ---------------------------------------------------------------------- */

/* "Nothing here": the bits of the stale marker, which no computed value has. */
static inline double ql_promql_absent(void) { return ql_stale_marker(); }
static inline bool ql_promql_is_absent(double value) { return ql_is_stale_marker(value); }

struct ql_promql_row {
    ql_str labels;
    double *values;                    /* one a step; absent where there is none */
    const struct ql_sample *samples;   /* MATRIX only: the raw samples of a range selector */
    uint32_t sample_count;
};

struct ql_promql_result {
    enum ql_promql_type type;
    uint32_t step_count, row_count;
    struct ql_promql_row *rows;  /* SCALAR: one row without labels */
    bool sorted;                 /* by value, by sort() or topk(): keep this order */
    ql_str text;                 /* STRING */
    uint64_t samples_read;
    struct ql_arena arena;       /* holds all of it */
};

QL_MUST_USE ql_err ql_promql_eval(const struct ql_promql *expression,
                                  const struct ql_promql_source *source,
                                  const struct ql_promql_grid *grid,
                                  struct ql_promql_result *ret_result,
                                  struct ql_promql_error *ret_error);
void ql_promql_result_fini(struct ql_promql_result *result);

#endif

/* awake.h - time that passed while somebody was there to see it.
 *
 * What nothing referred to for long is forgotten; time in which the daemon was away, and nothing
 * could refer to anything, must not count. So a step that is longer than the longest tick counts
 * as one such tick.
 *
 * Units         ns.
 * Determinism   a function of the times it is given.
 */
#ifndef QL_MODEL_AWAKE_H
#define QL_MODEL_AWAKE_H

#include "base/base.h"
#include "base/buf.h"

#define QL_AWAKE_STEP QL_MIN(1) /* the longest that engine.tick may be */
/* The entity of a series that gets samples is named again within twice this time ... */
#define QL_AWAKE_TELL QL_MIN(15)
/* ... so that what was not named for this long gets none; the least limits.series_idle. */
#define QL_AWAKE_IDLE_LEAST QL_MIN(60)

struct ql_awake { ql_time at; int64_t ns; }; /* at: the newest time given */

static inline void ql_awake_init(struct ql_awake *awake)
{
    *awake = (struct ql_awake){ .at = QL_TIME_NONE };
}

static inline void ql_awake_advance(struct ql_awake *awake, ql_time now)
{
    if (awake->at.ns != QL_TIME_NONE.ns && awake->at.ns < now.ns) {
        const int64_t step = ql_time_since(now, awake->at).ns;
        awake->ns += step < QL_AWAKE_STEP.ns ? step : QL_AWAKE_STEP.ns;
    }
    awake->at = awake->at.ns < now.ns ? now : awake->at;
}

static inline uint32_t ql_awake_s(const struct ql_awake *awake)
{
    return (uint32_t)(awake->ns / QL_NS_PER_S);
}

static inline void ql_awake_save(const struct ql_awake *awake, struct ql_buf *out)
{
    (void)ql_buf_i64(out, awake->at.ns);
    (void)ql_buf_i64(out, awake->ns);
}

static inline void ql_awake_load(struct ql_awake *awake, struct ql_reader *in)
{
    awake->at.ns = ql_reader_i64(in);
    awake->ns = ql_reader_i64(in);
    in->failed = in->failed || awake->ns < 0;
}

#endif

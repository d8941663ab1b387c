/* clock.h - the real clocks, for the edges only. Stages never include this (layer test).
 *
 * Threads       any.
 */
#ifndef QL_BASE_CLOCK_H
#define QL_BASE_CLOCK_H

#include "base/base.h"

ql_time ql_clock_now(void);        /* wall clock, UTC */
int64_t ql_clock_mono_ns(void);    /* for measuring spans of time; no epoch */
int64_t ql_clock_cpu_ns(void);     /* CPU time of this process */

#endif

#include "base/clock.h"

#include <time.h>

static int64_t clock_read_ns(clockid_t clock)
{
    struct timespec at = { 0 };
    (void)clock_gettime(clock, &at); /* these three clocks exist on every Linux */
    return (int64_t)at.tv_sec * QL_NS_PER_S + at.tv_nsec;
}

ql_time ql_clock_now(void)
{
    return (ql_time){ clock_read_ns(CLOCK_REALTIME) };
}

int64_t ql_clock_mono_ns(void)
{
    return clock_read_ns(CLOCK_MONOTONIC);
}

int64_t ql_clock_cpu_ns(void)
{
    return clock_read_ns(CLOCK_PROCESS_CPUTIME_ID);
}

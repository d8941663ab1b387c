#include "base/wait.h"

#include "base/clock.h"

#include <errno.h>

int ql_wait_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    (void)pthread_condattr_init(&attributes);
    (void)pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    const int failed = pthread_cond_init(cond, &attributes);
    (void)pthread_condattr_destroy(&attributes);
    return failed;
}

struct timespec ql_wait_deadline(ql_duration in)
{
    const int64_t at_ns = ql_clock_mono_ns() + (in.ns > 0 ? in.ns : 0);
    return (struct timespec){ .tv_sec = at_ns / QL_NS_PER_S, .tv_nsec = at_ns % QL_NS_PER_S };
}

void ql_wait_init(struct ql_wait *wait)
{
    wait->stopped = false;
    (void)pthread_mutex_init(&wait->lock, NULL);
    (void)ql_wait_cond_init(&wait->wake);
}

void ql_wait_fini(struct ql_wait *wait)
{
    (void)pthread_cond_destroy(&wait->wake);
    (void)pthread_mutex_destroy(&wait->lock);
}

bool ql_wait_for(struct ql_wait *wait, double seconds)
{
    const struct timespec until = ql_wait_deadline((ql_duration){ (int64_t)(seconds * 1e9) });
    int code = 0;
    (void)pthread_mutex_lock(&wait->lock);
    while (!wait->stopped && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&wait->wake, &wait->lock, &until);
    }
    const bool going = !wait->stopped;
    (void)pthread_mutex_unlock(&wait->lock);
    return going;
}

static void wait_set(struct ql_wait *wait, bool stopped)
{
    (void)pthread_mutex_lock(&wait->lock);
    wait->stopped = stopped;
    (void)pthread_cond_broadcast(&wait->wake);
    (void)pthread_mutex_unlock(&wait->lock);
}

void ql_wait_stop(struct ql_wait *wait)
{
    wait_set(wait, true);
}

void ql_wait_resume(struct ql_wait *wait)
{
    wait_set(wait, false);
}

bool ql_wait_is_stopped(struct ql_wait *wait)
{
    (void)pthread_mutex_lock(&wait->lock);
    const bool stopped = wait->stopped;
    (void)pthread_mutex_unlock(&wait->lock);
    return stopped;
}

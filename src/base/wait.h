/* wait.h - waiting that ends by itself, or when another thread says so.
 *
 * Deadlines are on the monotonic clock, so that a clock that is set makes nobody wait for hours.
 * A struct ql_wait is the sleep of a thread that does something every so often: it sleeps until
 * its time is over or until somebody wants the thread to end.
 *
 * Ownership     init/fini.
 * Threads       any; fini when nobody waits.
 */
#ifndef QL_BASE_WAIT_H
#define QL_BASE_WAIT_H

#include "base/base.h"

#include <pthread.h>
#include <time.h>

/* For pthread_cond_timedwait on a condition that was made here. */
int ql_wait_cond_init(pthread_cond_t *cond);
struct timespec ql_wait_deadline(ql_duration in);
static inline struct timespec ql_wait_deadline_ms(int64_t ms)
{
    return ql_wait_deadline((ql_duration){ ms * 1000000 });
}

struct ql_wait {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopped; /* under lock */
};

void ql_wait_init(struct ql_wait *wait);
void ql_wait_fini(struct ql_wait *wait);
bool ql_wait_for(struct ql_wait *wait, double seconds); /* false: stopped before or meanwhile */
void ql_wait_stop(struct ql_wait *wait);
void ql_wait_resume(struct ql_wait *wait);              /* sleeps are sleeps again */
bool ql_wait_is_stopped(struct ql_wait *wait);

#endif

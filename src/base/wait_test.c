/* wait_test - a sleep ends by itself, or when another thread says so, and not before. */
#include "base/wait.h"

#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { LONG_S = 60 }; /* nobody waits so long */

static void by_itself(void **state)
{
    struct ql_wait wait;
    (void)state;
    ql_wait_init(&wait);
    const int64_t began_ns = ql_clock_mono_ns();
    assert_true(ql_wait_for(&wait, 0.02));
    assert_true(ql_clock_mono_ns() - began_ns >= 20000000);
    assert_true(ql_wait_for(&wait, 0.0));
    assert_true(ql_wait_for(&wait, -5.0));
    assert_false(ql_wait_is_stopped(&wait));
    ql_wait_fini(&wait);
}

static void *sleep_long(void *context)
{
    return ql_wait_for(context, LONG_S) ? context : NULL;
}

static void when_stopped(void **state)
{
    struct ql_wait wait;
    pthread_t sleepers[3];
    (void)state;
    ql_wait_init(&wait);
    const int64_t began_ns = ql_clock_mono_ns();
    for (size_t i = 0; i < QL_COUNT_OF(sleepers); i++) {
        assert_int_equal(pthread_create(&sleepers[i], NULL, sleep_long, &wait), 0);
    }
    ql_wait_stop(&wait);
    for (size_t i = 0; i < QL_COUNT_OF(sleepers); i++) {
        void *slept = &wait;
        assert_int_equal(pthread_join(sleepers[i], &slept), 0);
        assert_null(slept);
    }
    assert_true(ql_wait_is_stopped(&wait));
    assert_false(ql_wait_for(&wait, LONG_S)); /* whoever comes later does not sleep either */
    assert_true(ql_clock_mono_ns() - began_ns < LONG_S * QL_NS_PER_S / 2);
    ql_wait_resume(&wait);
    assert_true(ql_wait_for(&wait, 0.001));
    ql_wait_fini(&wait);
}

static void deadlines_are_on_the_monotonic_clock(void **state)
{
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t cond;
    (void)state;
    const int64_t now_ns = ql_clock_mono_ns();
    const struct timespec at = ql_wait_deadline_ms(2500);
    const int64_t later_ns = ql_clock_mono_ns();
    const int64_t in_ns = (int64_t)at.tv_sec * QL_NS_PER_S + at.tv_nsec - now_ns;
    assert_in_range(in_ns, 2500000000, 2500000000 + (later_ns - now_ns));
    assert_in_range(at.tv_nsec, 0, QL_NS_PER_S - 1);
    /* One that is over ends at once: the condition reads the same clock. */
    assert_int_equal(ql_wait_cond_init(&cond), 0);
    const struct timespec over = ql_wait_deadline((ql_duration){ -1 });
    assert_int_equal(pthread_mutex_lock(&lock), 0);
    assert_int_not_equal(pthread_cond_timedwait(&cond, &lock, &over), 0);
    const struct timespec soon = ql_wait_deadline_ms(20);
    const int64_t began_ns = ql_clock_mono_ns();
    while (pthread_cond_timedwait(&cond, &lock, &soon) == 0) {
    }
    assert_in_range(ql_clock_mono_ns() - began_ns, 15000000, LONG_S * QL_NS_PER_S);
    assert_int_equal(pthread_mutex_unlock(&lock), 0);
    assert_int_equal(pthread_cond_destroy(&cond), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_itself),
        cmocka_unit_test(when_stopped),
        cmocka_unit_test(deadlines_are_on_the_monotonic_clock),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

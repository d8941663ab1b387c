/* ring_test - order and limits against a plain queue; then with real threads. */
#include "base/ring.h"
#include "base/rng.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void behaves_like_a_queue(void **state)
{
    enum { CAPACITY = 7, STEP_COUNT = 20000 };
    const uint64_t seed = 17;
    struct ql_ring ring;
    struct ql_rng rng;
    uintptr_t pushed = 0, popped = 0;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "ring_test");
    assert_int_equal(ql_ring_init(&ring, CAPACITY), QL_OK);
    for (int i = 0; i < STEP_COUNT; i++) {
        void *item = NULL;
        if (ql_rng_below(&rng, 2) == 0) {
            const bool full = pushed - popped == CAPACITY;
            assert_int_equal(ql_ring_push(&ring, (void *)(pushed + 1)), full ? QL_E_FULL : QL_OK);
            pushed += full ? 0 : 1;
        } else if (pushed == popped) {
            assert_int_equal(ql_ring_pop(&ring, 0, &item), QL_E_TIMEOUT);
        } else {
            assert_int_equal(ql_ring_pop(&ring, 0, &item), QL_OK);
            assert_int_equal((uintptr_t)item, ++popped);
        }
        assert_int_equal(ql_ring_count(&ring), pushed - popped);
    }
    ql_ring_fini(&ring);
    ql_ring_fini(&ring);
    ql_ring_fini(NULL);
}

static void closed_drains_then_ends(void **state)
{
    struct ql_ring ring;
    void *item = NULL;
    int a = 0;
    (void)state;
    assert_int_equal(ql_ring_init(&ring, 4), QL_OK);
    assert_int_equal(ql_ring_push(&ring, &a), QL_OK);
    ql_ring_close(&ring);
    assert_int_equal(ql_ring_push(&ring, &a), QL_E_CLOSED);
    assert_int_equal(ql_ring_pop(&ring, -1, &item), QL_OK);
    assert_ptr_equal(item, &a);
    assert_int_equal(ql_ring_pop(&ring, -1, &item), QL_E_CLOSED);
    assert_int_equal(ql_ring_pop(&ring, 0, &item), QL_E_CLOSED);
    ql_ring_fini(&ring);
}

static void empty_ring_times_out(void **state)
{
    struct ql_ring ring;
    void *item = NULL;
    (void)state;
    assert_int_equal(ql_ring_init(&ring, 4), QL_OK);
    assert_int_equal(ql_ring_pop(&ring, 1, &item), QL_E_TIMEOUT);
    ql_ring_fini(&ring);
}

enum { THREAD_COUNT = 3, PUSH_COUNT = 20000 };
struct pusher { struct ql_ring *ring; uint64_t numbers[PUSH_COUNT]; };

static void *pusher_run(void *context)
{
    struct pusher *pusher = context;
    for (uint64_t i = 0; i < PUSH_COUNT; i++) {
        pusher->numbers[i] = i; /* plain memory: the ring must order it before the pop */
        while (ql_ring_push(pusher->ring, &pusher->numbers[i]) == QL_E_FULL) {
            (void)sched_yield();
        }
    }
    return NULL;
}

static uint32_t pusher_of(const struct pusher *pushers, const uint64_t *item)
{
    for (uint32_t t = 0; t < THREAD_COUNT; t++) {
        if (item >= pushers[t].numbers && item < pushers[t].numbers + PUSH_COUNT) {
            return t;
        }
    }
    fail();
    return 0;
}

/* Nothing is lost or doubled, and each pusher's items come in its own order. */
static void many_push_one_pops(void **state)
{
    static struct pusher pushers[THREAD_COUNT];
    pthread_t threads[THREAD_COUNT];
    uint64_t next[THREAD_COUNT] = { 0 };
    struct ql_ring ring;
    void *item;
    (void)state;
    assert_int_equal(ql_ring_init(&ring, 64), QL_OK);
    for (uint32_t t = 0; t < THREAD_COUNT; t++) {
        pushers[t].ring = &ring;
        assert_int_equal(pthread_create(&threads[t], NULL, pusher_run, &pushers[t]), 0);
    }
    for (int i = 0; i < THREAD_COUNT * PUSH_COUNT; i++) {
        assert_int_equal(ql_ring_pop(&ring, -1, &item), QL_OK);
        const uint32_t t = pusher_of(pushers, item);
        assert_true(*(uint64_t *)item == next[t]);
        next[t]++;
    }
    for (uint32_t t = 0; t < THREAD_COUNT; t++) {
        (void)pthread_join(threads[t], NULL);
    }
    assert_int_equal(ql_ring_count(&ring), 0);
    ql_ring_fini(&ring);
}

static void *closer_run(void *context)
{
    ql_ring_close(context);
    return NULL;
}

static void close_wakes_the_sleeper(void **state)
{
    struct ql_ring ring;
    pthread_t thread;
    void *item = NULL;
    (void)state;
    assert_int_equal(ql_ring_init(&ring, 4), QL_OK);
    assert_int_equal(pthread_create(&thread, NULL, closer_run, &ring), 0);
    assert_int_equal(ql_ring_pop(&ring, -1, &item), QL_E_CLOSED);
    (void)pthread_join(thread, NULL);
    ql_ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(behaves_like_a_queue),  cmocka_unit_test(closed_drains_then_ends),
        cmocka_unit_test(empty_ring_times_out),  cmocka_unit_test(many_push_one_pops),
        cmocka_unit_test(close_wakes_the_sleeper),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* checkpoints_due_test - which ticks carry a checkpoint, and what a held sequencer refuses. */
#include "base/clock.h"
#include "engine/sequencer.h"
#include "wire/wire.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { BODY_BYTES = 1000, RETRY_MS = 200, PATIENCE_MS = 20000 };

struct desk {
    char dir[64];
    struct ql_stats *stats;
    struct ql_journal *journal;
    struct ql_sequencer *sequencer;
    _Atomic uint32_t ticks, flagged;
    int64_t at_s;
};

static void desk_release(void *host, struct ql_batch *batch)
{
    (void)host;
    ql_batch_fini(batch);
    free(batch);
}

static void desk_deliver(void *host, const struct ql_entry *entry)
{
    struct desk *d = host;
    if (entry->kind == QL_JOURNAL_TICK) {
        atomic_fetch_add(&d->flagged, (entry->flags & QL_TICK_CHECKPOINT) != 0 ? 1 : 0);
        atomic_fetch_add(&d->ticks, 1);
    } else if (entry->batch != NULL) {
        desk_release(host, entry->batch);
    }
}

static void desk_init(struct desk *d, uint64_t checkpoint_bytes, ql_duration checkpoint)
{
    struct ql_buf why;
    *d = (struct desk){ .dir = "/tmp/ql-checkpoints-due-XXXXXX", .at_s = 1767603600 };
    assert_non_null(mkdtemp(d->dir));
    d->stats = ql_stats_new(100);
    ql_buf_init(&why, 4096);
    assert_int_equal(ql_journal_open(d->dir, &d->journal, &why), QL_OK);
    ql_buf_fini(&why);
    const struct ql_sequencer_env env = {
        .journal = d->journal, .stats = d->stats, .tick = QL_S(1), .checkpoint = checkpoint,
        .checkpoint_bytes = checkpoint_bytes, .clock_input = true, .now = QL_TIME_NONE,
        .deliver = desk_deliver, .release = desk_release, .host = d,
    };
    assert_int_equal(ql_sequencer_new(&env, &d->sequencer), QL_OK);
    assert_int_equal(ql_sequencer_start(d->sequencer), QL_OK);
}

static void desk_fini(struct desk *d)
{
    struct dirent *entry;
    ql_sequencer_stop(d->sequencer);
    ql_sequencer_free(d->sequencer);
    ql_journal_close(d->journal);
    ql_stats_free(d->stats);
    DIR *dir = opendir(d->dir);
    assert_non_null(dir);
    while ((entry = readdir(dir)) != NULL) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    (void)closedir(dir);
    assert_int_equal(rmdir(d->dir), 0);
}

static void pause_ms(int64_t ms)
{
    const struct timespec pause = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };
    (void)nanosleep(&pause, NULL);
}

static ql_err desk_submit(struct desk *d)
{
    static char bytes[BODY_BYTES];
    struct ql_batch *batch = calloc(1, sizeof(*batch));
    assert_non_null(batch);
    ql_batch_init(batch, 1 << 16);
    struct ql_sample *sample = ql_batch_add_sample(batch);
    assert_non_null(sample);
    sample->at = (ql_time){ ++d->at_s * QL_NS_PER_S };
    const struct ql_submission submission = { .door = QL_DOOR_SCRAPE,
                                              .bytes = { bytes, sizeof(bytes) }, .batch = batch };
    return ql_sequencer_submit(d->sequencer, &submission, NULL);
}

/* One body and the tick behind it; whether that tick carries a checkpoint. */
static bool desk_tick(struct desk *d)
{
    const uint32_t ticks = atomic_load(&d->ticks), flagged = atomic_load(&d->flagged);
    assert_int_equal(desk_submit(d), QL_OK);
    for (int waited_ms = 0; atomic_load(&d->ticks) == ticks; waited_ms++) {
        assert_true(waited_ms < PATIENCE_MS);
        pause_ms(1);
    }
    assert_int_equal(atomic_load(&d->ticks), ticks + 1);
    return atomic_load(&d->flagged) > flagged;
}

/* By bytes: due after 2500, that is with the third body. */
static void only_what_a_checkpoint_covers_is_done(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 2500, QL_S(3600));
    assert_false(desk_tick(&d));
    assert_false(desk_tick(&d));
    assert_true(desk_tick(&d));
    for (int i = 0; i < 4; i++) { /* one at a time, however much has come */
        assert_false(desk_tick(&d));
    }
    ql_sequencer_checkpointed(d.sequencer, 0);
    assert_true(desk_tick(&d)); /* for the four that came meanwhile */
    ql_sequencer_checkpointed(d.sequencer, 0);
    assert_false(desk_tick(&d));
    desk_fini(&d);
}

static void a_failed_one_is_due_again_soon(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 2500, (ql_duration){ RETRY_MS * 1000000 });
    pause_ms(RETRY_MS + 20);
    assert_true(desk_tick(&d));
    for (int i = 0; i < 3; i++) {
        const int64_t failed_ns = ql_clock_mono_ns();
        ql_sequencer_checkpoint_failed(d.sequencer);
        for (bool again = false; !again;) {
            again = desk_tick(&d); /* not at once, for all that has gathered */
            assert_true(!again || ql_clock_mono_ns() - failed_ns >= RETRY_MS * 1000000);
            pause_ms(10);
        }
    }
    ql_sequencer_checkpointed(d.sequencer, 0);
    desk_fini(&d);
}

static void a_held_one_takes_nothing(void **state)
{
    (void)state;
    struct desk d;
    desk_init(&d, 1 << 20, QL_S(3600));
    assert_false(desk_tick(&d));
    assert_true(ql_sequencer_healthy(d.sequencer));
    ql_sequencer_hold(d.sequencer, true);
    assert_int_equal(desk_submit(&d), QL_E_IO);
    assert_false(ql_sequencer_healthy(d.sequencer));
    ql_sequencer_wish_tick(d.sequencer);
    pause_ms(50);
    assert_int_equal(atomic_load(&d.ticks), 1);
    ql_sequencer_hold(d.sequencer, false);
    assert_true(ql_sequencer_healthy(d.sequencer));
    for (int waited_ms = 0; atomic_load(&d.ticks) == 1; waited_ms++) { /* the wish was kept */
        assert_true(waited_ms < PATIENCE_MS);
        pause_ms(1);
    }
    assert_false(desk_tick(&d));
    desk_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_what_a_checkpoint_covers_is_done),
        cmocka_unit_test(a_failed_one_is_due_again_soon),
        cmocka_unit_test(a_held_one_takes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* history_disk_test - a real disk without room while old days are made smaller. */
#include "store/history_test.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/statvfs.h>

/* A disk of its own for the fixture: nobody else sees it, and it goes with this process. */
static void disk_open(struct fixture *f, const char *size)
{
    fixture_init(f);
    ql_history_close(f->history);
    f->history = NULL;
    if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        mount("tmpfs", f->root, "tmpfs", 0, size) != 0) {
        fixture_fini(f);
        print_message("a small disk cannot be mounted here\n");
        skip();
    }
    fixture_open(f, &keep_raw);
}

static void disk_close(struct fixture *f)
{
    ql_history_close(f->history);
    f->history = NULL;
    assert_int_equal(umount(f->root), 0);
    fixture_fini(f);
}

static void disk_filler(const struct fixture *f, char ret_path[128])
{
    (void)snprintf(ret_path, 128, "%s/filler", f->root);
}

/* Takes what room there is but for `left` bytes. */
static void disk_fill(const struct fixture *f, off_t left)
{
    static const char page[4096] = { 'x' };
    char path[128];
    disk_filler(f, path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    off_t bytes = 0;
    while (write(fd, page, sizeof(page)) == (ssize_t)sizeof(page)) {
        bytes += (off_t)sizeof(page);
    }
    assert_true(bytes > left);
    assert_int_equal(ftruncate(fd, bytes - left), 0);
    (void)close(fd);
}

static void disk_empty(const struct fixture *f)
{
    char path[128];
    disk_filler(f, path);
    assert_int_equal(unlink(path), 0);
}

static int64_t disk_free(const struct fixture *f)
{
    struct statvfs about;
    assert_int_equal(statvfs(f->root, &about), 0);
    return (int64_t)about.f_bavail * (int64_t)about.f_frsize;
}

static void assert_raw_all(struct fixture *f, uint64_t count)
{
    for (uint64_t i = 0; i < count; i += 7) {
        assert_raw(f, i, 0, DAY_S / 4, value_wave);
    }
}

/* Without any room, with room for the index that readers share, with room for a new row, with
 * less than is left to what comes in: the old day is read, in the life in which it is not made
 * smaller and in the next, and is packed later. */
static void a_full_disk_keeps_the_old_day(void **state)
{
    enum { SERIES = 300 };
    static const off_t lefts[] = { 0, 8 << 10, 48 << 10, 300 << 10, 8 << 20 };
    struct fixture f;
    (void)state;
    disk_open(&f, "size=40m");
    for (uint64_t i = 0; i < SERIES; i++) {
        samples_put(&f, i, 0, DAY_S / 4, value_wave);
    }
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    for (size_t i = 0; i < QL_COUNT_OF(lefts); i++) {
        const int64_t failed = ql_stats_sum(f.stats, "ql_history_rewrite_failures_total", "");
        print_message("%lld bytes of room\n", (long long)lefts[i]);
        ql_history_close(f.history);
        disk_fill(&f, lefts[i]);
        fixture_open(&f, &keep_raw);
        samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one); /* now the first day is due */
        assert_int_not_equal(ql_history_flush(f.history) == QL_OK ? ql_history_tidy(f.history)
                                                                  : QL_E_IO, QL_OK);
        assert_true(disk_free(&f) + (64 << 10) >= lefts[i]); /* it keeps nothing of the room */
        assert_raw_all(&f, SERIES);
        fixture_reopen(&f, &keep_raw); /* a row that found no room is given up, and counted */
        assert_raw_all(&f, SERIES);
        ql_history_close(f.history);
        assert_true(ql_stats_sum(f.stats, "ql_history_rewrite_failures_total", "") > failed);
        assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 0);
        disk_empty(&f);
        fixture_open(&f, &keep_raw);
    }
    disk_fill(&f, 300 << 10);
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    (void)!ql_history_tidy(f.history);
    disk_empty(&f);
    assert_int_equal(ql_history_tidy(f.history), QL_OK); /* in the same life, when there is room */
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_rewritten_total", "packed"), 1);
    assert_raw_all(&f, SERIES);
    assert_raw(&f, 1, 4 * DAY_S, 4 * DAY_S + 105, value_one);
    disk_close(&f);
}

/* The disk fills up in the middle of a step, and a kill comes in between. What the log of
 * SQLite holds then is read too. */
static void kills_on_a_full_disk_lose_nothing(void **state)
{
    enum { SERIES = 300, KILLS = 8 };
    struct fixture f;
    struct ql_rng rng;
    (void)state;
    ql_rng_init(&rng, 43, "kills on a full disk");
    print_message("seed 43\n");
    disk_open(&f, "size=40m");
    for (uint64_t i = 0; i < SERIES; i++) {
        samples_put(&f, i, 0, DAY_S / 4, value_wave);
    }
    uint32_t killed = 0, refused = 0;
    for (int i = 0; i < KILLS; i++) {
        ql_history_close(f.history);
        disk_fill(&f, (off_t)ql_rng_below(&rng, 400 << 10));
        const pid_t child = rewrite_start(&f);
        if (i % 2 == 0) { /* the others end by themselves */
            (void)usleep((useconds_t)ql_rng_below(&rng, 12000));
            (void)kill(child, SIGKILL);
        }
        const int end = rewrite_end(child);
        killed += end == -1;
        refused += end == 2;
        disk_fill(&f, 0);
        fixture_open(&f, &keep_raw);
        assert_raw_all(&f, SERIES);
        disk_empty(&f);
    }
    print_message("%u killed, %u refused\n", killed, refused);
    assert_true(killed > 0 && refused > 0);
    samples_put(&f, 1, 4 * DAY_S, 4 * DAY_S + 100, value_one);
    assert_int_equal(ql_history_tidy(f.history), QL_OK);
    assert_raw_all(&f, SERIES);
    disk_close(&f);
}

/* What is too old goes though nothing can be written: it may be what fills the disk. */
static void retention_goes_on_while_the_disk_is_full(void **state)
{
    const struct ql_history_limits week = { .days = 7.0 };
    struct fixture f;
    (void)state;
    disk_open(&f, "size=16m"); /* logs of two days may stand beside their files */
    fixture_reopen(&f, &week);
    for (uint64_t i = 0; i < 100; i++) {
        samples_put(&f, i, 0, DAY_S / 4, value_wave);
        samples_put(&f, i, 3 * DAY_S, 3 * DAY_S + 3600, value_wave);
    }
    assert_int_equal(ql_history_flush(f.history), QL_OK);
    disk_fill(&f, 0);
    samples_put(&f, 1, 5 * DAY_S, 5 * DAY_S + 100, value_one);
    assert_int_equal(ql_history_flush(f.history), QL_E_IO);
    samples_put(&f, 1, 9 * DAY_S, 9 * DAY_S + 100, value_one);
    for (int i = 0; i < 300 && ql_history_flush(f.history) != QL_OK; i++) {
        (void)usleep(100000);
    }
    assert_int_equal(ql_stats_sum(f.stats, "ql_history_days_removed_total", "age"), 1);
    assert_int_equal(day_bytes(&f, 0), 0);
    assert_raw(&f, 1, 5 * DAY_S, 5 * DAY_S + 105, value_one);
    assert_raw(&f, 1, 9 * DAY_S, 9 * DAY_S + 105, value_one);
    assert_raw(&f, 1, 3 * DAY_S, 3 * DAY_S + 3600, value_wave);
    disk_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_full_disk_keeps_the_old_day),
        cmocka_unit_test(kills_on_a_full_disk_lose_nothing),
        cmocka_unit_test(retention_goes_on_while_the_disk_is_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

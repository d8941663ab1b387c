/* history_test.h - for tests only: a history in a folder of its own, samples in and out.
 *
 * A sample stands every STEP_S seconds; its value is a function of its second, so that what is
 * read can be held against what was written without keeping it.
 */
#ifndef QL_STORE_HISTORY_TEST_H
#define QL_STORE_HISTORY_TEST_H

#include "base/rng.h"
#include "base/stat.h"
#include "store/history.h"
#include "store/history_day.h"
#include "store/history_rewrite.h"

#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY_S = 86400, STEP_S = 15, PER_DAY = DAY_S / STEP_S };
static const int64_t start_s = 1767571200; /* 2026-01-05, midnight */
static const struct ql_history_limits keep_raw = { .days = 400.0 };

struct fixture { char root[64], dir[80]; struct ql_stats *stats; struct ql_history *history; };

static inline void fixture_open(struct fixture *f, const struct ql_history_limits *limits)
{
    assert_int_equal(ql_history_open(f->root, limits, f->stats, &f->history), QL_OK);
}

static inline void fixture_init(struct fixture *f)
{
    (void)snprintf(f->root, sizeof(f->root), "/tmp/ql_rewrite_test_XXXXXX");
    assert_non_null(mkdtemp(f->root));
    (void)snprintf(f->dir, sizeof(f->dir), "%s/history", f->root);
    f->stats = ql_stats_new(100);
    fixture_open(f, &keep_raw);
}

static inline void fixture_reopen(struct fixture *f, const struct ql_history_limits *limits)
{
    ql_history_close(f->history);
    fixture_open(f, limits);
}

static inline void fixture_fini(struct fixture *f)
{
    ql_history_close(f->history);
    ql_stats_free(f->stats);
    const pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-r", f->root, (char *)NULL);
        _exit(1);
    }
    int status = 1;
    (void)waitpid(pid, &status, 0);
    assert_int_equal(status, 0);
}

static inline ql_series_id series_of(uint64_t number)
{
    return (ql_series_id){ { number * 7919 + 1, number } };
}

static inline ql_time at_s(int64_t s)
{
    return ql_time_from_ms((start_s + s) * 1000);
}

static inline void chunk_send(struct fixture *f, uint64_t number, const struct ql_chunk *chunk)
{
    struct ql_history_row row = { .series = series_of(number), .chunk = *chunk, .band_count = 1 };
    row.bands[0] = (struct ql_band){ .at = ql_time_from_ms(chunk->first_ms), .expected = 10.0f,
                                     .lower = 7.3f, .upper = 13.1f };
    assert_int_equal(ql_history_append(f->history, &row), QL_OK);
}

/* A sample every 15 s in [from, to) with the value that `value` makes of its second. */
static inline void samples_put(struct fixture *f, uint64_t number, int64_t from_s, int64_t to_s,
                               double (*value)(int64_t s))
{
    struct ql_chunk chunk;
    ql_chunk_init(&chunk);
    for (int64_t s = from_s; s < to_s; s += STEP_S) {
        const struct ql_sample sample = { at_s(s), value(s) };
        if (!ql_chunk_append(&chunk, sample)) {
            chunk_send(f, number, &chunk);
            ql_chunk_init(&chunk);
            assert_true(ql_chunk_append(&chunk, sample));
        }
    }
    chunk_send(f, number, &chunk);
}

static inline double value_wave(int64_t s) { return round(1000.0 * sin((double)s / 3000.0)) / 100.0; }
static inline double value_one(int64_t s) { (void)s; return 1.0; }

static inline void read_all(struct fixture *f, uint64_t number, int64_t from_s, int64_t to_s,
                            enum ql_history_take take, struct ql_batch *out,
                            int64_t *ret_cell_ms)
{
    ql_batch_init(out, 1 << 16);
    assert_int_equal(ql_history_read(f->history, series_of(number), at_s(from_s), at_s(to_s), take,
                                     out, ret_cell_ms), QL_OK);
}

static inline void assert_raw(struct fixture *f, uint64_t number, int64_t from_s, int64_t to_s,
                              double (*value)(int64_t s))
{
    struct ql_batch out;
    int64_t cell_ms = 4711;
    read_all(f, number, from_s, to_s - 1, QL_HISTORY_MEAN, &out, &cell_ms);
    assert_int_equal(cell_ms, 0);
    assert_int_equal(out.samples.count, (to_s - from_s) / STEP_S);
    for (uint32_t i = 0; i < out.samples.count; i++) {
        const int64_t s = from_s + (int64_t)i * STEP_S;
        const double expected = value(s);
        assert_true(out.samples.at[i].at.ns == at_s(s).ns);
        assert_memory_equal(&out.samples.at[i].value, &expected, sizeof(expected));
    }
    ql_batch_fini(&out);
}

static inline int64_t day_bytes(const struct fixture *f, int64_t day)
{
    char path[QL_HISTORY_PATH_BYTES];
    struct stat about;
    assert_true(ql_history_day_path(f->dir, start_s / DAY_S + day, path));
    return stat(path, &about) == 0 ? (int64_t)about.st_size : 0;
}

/* ---- a pass in a process of its own, to be killed ---- */

static inline pid_t rewrite_start(const struct fixture *f)
{
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct ql_history_rewrite *rewrite;
        bool done = false;
        if (ql_history_rewrite_open(f->dir, start_s / DAY_S, QL_HISTORY_PACKED, &rewrite) != QL_OK) {
            _exit(2);
        }
        while (!done && ql_history_rewrite_step(rewrite, &done) == QL_OK) {
        }
        _exit(done ? 0 : 2);
    }
    return child;
}

/* -1: killed, 0: it came to its end, 2: it met an error. */
static inline int rewrite_end(pid_t child)
{
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0 || WEXITSTATUS(status) == 2);
    return WIFSIGNALED(status) ? -1 : WEXITSTATUS(status);
}

#endif

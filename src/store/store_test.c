/* Ticks are written once, whole, and survive whatever stops the process. */
#include "store/store.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/rng.h"
#include "store/db.h"
#include "store/store_pending.h"
#include "store/store_query.h"
#include "store/store_schema.h"
#include "store/store_story.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* In the place of the C library's, also for SQLite: counts syncs of the log of state.db. */
static int logs_synced;

int fdatasync(int fd)
{
    char link[64], name[QL_STORE_PATH_BYTES] = "";
    (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    logs_synced += readlink(link, name, sizeof(name) - 1) > 0 &&
                   strstr(name, "/state.db-wal") != NULL;
    return (int)syscall(SYS_fdatasync, fd);
}

struct world {
    char dir[64];
    struct ql_stats *stats;
    struct ql_store *store;
    struct ql_batch bus;
};

static void world_open(struct world *w)
{
    assert_int_equal(ql_store_open(w->dir, w->stats, &w->store), QL_OK);
}

static void world_init(struct world *w)
{
    *w = (struct world){ .dir = "/tmp/ql_store_test_XXXXXX" };
    assert_non_null(mkdtemp(w->dir));
    w->stats = ql_stats_new(100);
    ql_batch_init(&w->bus, 1 << 20);
    world_open(w);
}

static void world_fini(struct world *w)
{
    static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm",
                                         "audit.db", "audit.db-wal", "audit.db-shm" };
    ql_store_close(w->store);
    ql_batch_fini(&w->bus);
    ql_stats_free(w->stats);
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(w->dir), 0);
}

static ql_err world_apply(struct world *w, uint32_t tick)
{
    ql_batch_reset(&w->bus);
    story_tick(&w->bus, tick);
    return ql_store_apply(w->store, tick, story_at(tick), &w->bus);
}

static void world_apply_all(struct world *w)
{
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        assert_int_equal(world_apply(w, n), QL_OK);
    }
}

static ql_err world_apply_incident(struct world *w, uint64_t sequence)
{
    ql_batch_reset(&w->bus);
    *ql_batch_add_incident(&w->bus) = story_incident(2, 1000 + sequence);
    return ql_store_apply(w->store, sequence, story_at(2), &w->bus);
}

static int64_t world_count(struct world *w, const char *sql)
{
    sqlite3 *db;
    int64_t count = -1;
    char path[QL_STORE_PATH_BYTES];
    assert_int_equal(ql_store_path(w->dir, "state.db", path), QL_OK);
    assert_int_equal(ql_db_open(path, QL_DB_READ, &db), QL_OK);
    assert_int_equal(ql_db_number(db, sql, -1, &count), QL_OK);
    ql_db_close(db);
    return count;
}

/* Every row of every table as text. */
static void dump_table(sqlite3 *db, const char *table, struct ql_buf *out)
{
    char sql[256];
    sqlite3_stmt *s;
    (void)snprintf(sql, sizeof(sql), "SELECT * FROM %s", table);
    assert_int_equal(ql_db_prepare(db, sql, &s), QL_OK);
    while (sqlite3_step(s) == SQLITE_ROW) {
        ql_buf_printf(out, "%s", table);
        for (int i = 0; i < sqlite3_column_count(s); i++) {
            char *quoted = sqlite3_mprintf("%Q", sqlite3_column_text(s, i));
            ql_buf_printf(out, "|%s", quoted);
            sqlite3_free(quoted);
        }
        ql_buf_char(out, '\n');
    }
    sqlite3_finalize(s);
}

static void dump(const char *dir, const char *file, struct ql_buf *out)
{
    char path[QL_STORE_PATH_BYTES];
    sqlite3 *db;
    sqlite3_stmt *tables;
    ql_buf_reset(out);
    assert_int_equal(ql_store_path(dir, file, path), QL_OK);
    assert_int_equal(ql_db_open(path, QL_DB_WRITE, &db), QL_OK);
    assert_int_equal(ql_db_prepare(db, "PRAGMA integrity_check", &tables), QL_OK);
    assert_int_equal(sqlite3_step(tables), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(tables, 0), "ok");
    sqlite3_finalize(tables);
    assert_int_equal(
        ql_db_prepare(db, "SELECT name FROM sqlite_master WHERE type='table' ORDER BY 1", &tables),
        QL_OK);
    while (sqlite3_step(tables) == SQLITE_ROW) {
        dump_table(db, (const char *)sqlite3_column_text(tables, 0), out);
    }
    sqlite3_finalize(tables);
    ql_db_close(db);
    assert_int_equal(ql_buf_check(out), QL_OK);
}

static void dumps_equal(struct world *a, struct world *b)
{
    static const char *const files[] = { "state.db", "audit.db" };
    for (size_t i = 0; i < QL_COUNT_OF(files); i++) {
        struct ql_buf one, two;
        ql_buf_init(&one, 1 << 20);
        ql_buf_init(&two, 1 << 20);
        dump(a->dir, files[i], &one);
        dump(b->dir, files[i], &two);
        assert_true(one.bytes > 100);
        assert_string_equal(one.at, two.at);
        ql_buf_fini(&one);
        ql_buf_fini(&two);
    }
}

static void nothing_to_say_is_free(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    ql_batch_reset(&w.bus);
    assert_int_equal(ql_store_apply(w.store, 1, story_at(1), &w.bus), QL_OK);
    assert_int_equal(ql_store_applied(w.store), 0);
    story_seen(&w.bus, "service/checkout");
    assert_int_equal(ql_store_apply(w.store, 2, story_at(1), &w.bus), QL_OK);
    assert_int_equal(ql_store_applied(w.store), 2);
    assert_int_equal(ql_store_apply(w.store, 3, story_at(1), &w.bus), QL_OK); /* seen just now */
    assert_int_equal(ql_store_applied(w.store), 2);
    assert_int_equal(ql_stats_sum(w.stats, "ql_store_commits_total", ""), 1);
    world_fini(&w);
}

static void a_tick_applies_once(void **state)
{
    (void)state;
    struct world once, often;
    world_init(&once);
    world_init(&often);
    world_apply_all(&once);
    for (uint32_t n = 1; n <= STORY_TICKS; n++) { /* stop and replay everything, every time */
        for (uint32_t m = 1; m <= n; m++) {
            assert_int_equal(world_apply(&often, m), QL_OK);
        }
        assert_int_equal(ql_store_applied(often.store), n);
        ql_store_close(often.store);
        world_open(&often);
    }
    dumps_equal(&once, &often);
    world_fini(&once);
    world_fini(&often);
}

/* Applies the story from where the store stands; says each finished tick on the pipe. */
static void child_apply(struct world *w, int pipe_end)
{
    ql_store_close(w->store);
    world_open(w);
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        if (world_apply(w, n) != QL_OK || write(pipe_end, "x", 1) != 1) {
            _exit(1);
        }
    }
    _exit(0);
}

static void kill_after(struct world *w, uint32_t told_max, uint64_t spin)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    ql_store_close(w->store);
    w->store = NULL;
    const pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        child_apply(w, ends[1]);
    }
    (void)close(ends[1]);
    uint32_t told = 0;
    while (told < told_max && read(ends[0], &byte, 1) == 1) {
        told++;
    }
    for (volatile uint64_t i = 0; i < spin; i++) {
    }
    (void)kill(child, SIGKILL);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)close(ends[0]);
    world_open(w);
    assert_true(ql_store_applied(w->store) >= told); /* what it said it had done is there */
}

static void a_killed_writer_loses_nothing(void **state)
{
    (void)state;
    const uint64_t seed = 7;
    struct ql_rng rng;
    struct world whole;
    ql_rng_init(&rng, seed, "kill points");
    print_message("seed %llu\n", (unsigned long long)seed);
    world_init(&whole);
    world_apply_all(&whole);
    for (uint32_t i = 0; i < 8; i++) {
        struct world w;
        world_init(&w);
        kill_after(&w, (uint32_t)ql_rng_below(&rng, STORY_TICKS), ql_rng_below(&rng, 300000));
        kill_after(&w, (uint32_t)ql_rng_below(&rng, STORY_TICKS), ql_rng_below(&rng, 300000));
        world_apply_all(&w);
        dumps_equal(&whole, &w);
        world_fini(&w);
    }
    world_fini(&whole);
}

/* A file size limit is what a full disk looks like to SQLite. */
static void disk_shut(struct rlimit *ret_before)
{
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, ret_before), 0);
    const struct rlimit tight = { .rlim_cur = 4096, .rlim_max = ret_before->rlim_max };
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
}

static void disk_fills(bool restart)
{
    struct world whole, w;
    struct rlimit before;
    world_init(&whole);
    world_apply_all(&whole);
    world_init(&w);
    assert_int_equal(world_apply(&w, 1), QL_OK);
    disk_shut(&before);
    for (uint32_t n = 2; n <= STORY_TICKS / 2; n++) {
        assert_int_equal(world_apply(&w, n), QL_E_IO);
    }
    assert_int_equal(ql_store_applied(w.store), 1);
    assert_int_equal(ql_store_sync(w.store), QL_E_IO); /* so no checkpoint goes past them */
    assert_int_equal(ql_stats_sum(w.stats, "ql_store_waiting_ticks", ""), STORY_TICKS / 2 - 1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    if (restart) { /* what waited is gone; the journal brings it again */
        ql_store_close(w.store);
        world_open(&w);
        assert_int_equal(ql_store_applied(w.store), 1);
        world_apply_all(&w);
    } else {
        for (uint32_t n = STORY_TICKS / 2 + 1; n <= STORY_TICKS; n++) {
            assert_int_equal(world_apply(&w, n), QL_OK);
        }
    }
    assert_int_equal(ql_store_sync(w.store), QL_OK);
    assert_int_equal(ql_store_applied(w.store), STORY_TICKS);
    dumps_equal(&whole, &w);
    world_fini(&w);
    world_fini(&whole);
}

static void a_full_disk_loses_no_tick(void **state)
{
    (void)state;
    disk_fills(false);
    disk_fills(true);
}

/* Past what may wait the store takes nothing, for a gap would look like written; and when there
 * is room it goes on where it stopped. */
static void too_many_waiting_ticks_are_refused_until_there_is_room(void **state)
{
    (void)state;
    const uint64_t missed = QL_PENDING_TICKS_MAX + 2;
    struct world w;
    struct rlimit before;
    world_init(&w);
    assert_int_equal(world_apply(&w, 1), QL_OK);
    disk_shut(&before);
    for (uint64_t n = 2; n < missed; n++) {
        assert_int_equal(world_apply_incident(&w, n), QL_E_IO);
    }
    for (int i = 0; i < 3; i++) {
        assert_int_equal(world_apply_incident(&w, missed), QL_E_FULL);
        assert_int_equal(world_apply_incident(&w, missed + 1), QL_E_FULL);
    }
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(world_apply_incident(&w, missed + 1), QL_E_FULL);
    assert_int_equal(ql_store_applied(w.store), missed - 1); /* up to the gap */
    assert_int_equal(ql_store_sync(w.store), QL_E_FULL);
    assert_int_equal(world_apply_incident(&w, missed), QL_OK);
    assert_int_equal(world_apply_incident(&w, missed + 1), QL_OK);
    assert_int_equal(ql_store_sync(w.store), QL_OK);
    assert_int_equal(ql_store_applied(w.store), missed + 1);
    assert_int_equal(world_count(&w, "SELECT count(*) FROM incidents WHERE id >= 1000"), missed);
    world_fini(&w);
}

static void what_waits_is_written_by_a_tick_without_rows(void **state)
{
    (void)state;
    struct world w;
    struct rlimit before;
    world_init(&w);
    disk_shut(&before);
    assert_int_equal(world_apply_incident(&w, 1), QL_E_IO);
    ql_batch_reset(&w.bus);
    assert_int_equal(ql_store_apply(w.store, 2, story_at(2), &w.bus), QL_E_IO); /* still waits */
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(ql_store_apply(w.store, 3, story_at(3), &w.bus), QL_OK);
    assert_int_equal(ql_stats_sum(w.stats, "ql_store_waiting_ticks", ""), 0);
    assert_int_equal(ql_store_applied(w.store), 1);
    world_fini(&w);
}

/* As a backup or a shell does it: BEGIN, a look, and then lunch. */
static void a_reader_of_old_rows_holds_up_no_sync(void **state)
{
    (void)state;
    struct world w;
    sqlite3 *reader;
    int64_t seen;
    char path[QL_STORE_PATH_BYTES];
    world_init(&w);
    assert_int_equal(world_apply(&w, 1), QL_OK);
    assert_int_equal(ql_store_path(w.dir, "state.db", path), QL_OK);
    assert_int_equal(ql_db_open(path, QL_DB_READ, &reader), QL_OK);
    assert_int_equal(ql_db_run(reader, "BEGIN"), QL_OK);
    assert_int_equal(ql_db_number(reader, "SELECT count(*) FROM incidents", -1, &seen), QL_OK);
    for (uint32_t n = 2; n <= STORY_TICKS; n++) {
        assert_int_equal(world_apply(&w, n), QL_OK);
        const int before = logs_synced;
        const int64_t began = ql_clock_mono_ns();
        assert_int_equal(ql_store_sync(w.store), QL_OK);
        assert_true(logs_synced > before);
        assert_true(ql_clock_mono_ns() - began < 4 * QL_NS_PER_S);
    }
    assert_int_equal(ql_db_number(reader, "SELECT count(*) FROM incidents", -1, &seen), QL_OK);
    assert_int_equal(seen, 0); /* it does hold what was */
    ql_db_close(reader);
    world_fini(&w);
}

/* Ticks wait for somebody who writes; the thread that brings them does not. */
static void a_foreign_writer_holds_up_no_tick(void **state)
{
    (void)state;
    struct world w;
    sqlite3 *writer;
    char path[QL_STORE_PATH_BYTES];
    world_init(&w);
    assert_int_equal(ql_store_path(w.dir, "state.db", path), QL_OK);
    assert_int_equal(ql_db_open(path, QL_DB_WRITE, &writer), QL_OK);
    assert_int_equal(ql_db_run(writer, "BEGIN IMMEDIATE"), QL_OK);
    const int64_t began = ql_clock_mono_ns();
    assert_int_equal(world_apply_incident(&w, 1), QL_E_IO);
    assert_true(ql_clock_mono_ns() - began < 4 * QL_NS_PER_S);
    assert_int_equal(ql_db_run(writer, "ROLLBACK"), QL_OK);
    assert_int_equal(world_apply_incident(&w, 2), QL_OK);
    assert_int_equal(ql_store_applied(w.store), 2);
    ql_db_close(writer);
    world_fini(&w);
}

static void a_newer_file_is_refused(void **state)
{
    (void)state;
    struct world w;
    sqlite3 *db;
    char path[QL_STORE_PATH_BYTES];
    struct ql_store_reader *reader;
    world_init(&w);
    ql_store_close(w.store);
    w.store = NULL;
    assert_int_equal(ql_store_path(w.dir, "state.db", path), QL_OK);
    assert_int_equal(ql_db_open(path, QL_DB_WRITE, &db), QL_OK);
    assert_int_equal(ql_db_run(db, "PRAGMA user_version=1000"), QL_OK);
    ql_db_close(db);
    assert_int_equal(ql_store_open(w.dir, w.stats, &w.store), QL_E_VERSION);
    assert_int_equal(ql_store_reader_open(w.dir, &reader), QL_E_VERSION);
    assert_int_equal(ql_store_reader_open("/nowhere", &reader), QL_E_NOT_FOUND);
    assert_int_equal(ql_store_open("/nowhere", w.stats, &w.store), QL_E_IO);
    world_fini(&w);
}

static bool take_importance(void *context, const struct ql_signal_row *row)
{
    enum ql_importance *importance = context;
    *importance = row->signal.importance;
    return true;
}

/* A file of the first version gets the column; what stands in it is as important as ever. */
static void an_older_file_is_brought_up(void **state)
{
    (void)state;
    struct world w;
    sqlite3 *db;
    char path[QL_STORE_PATH_BYTES];
    struct ql_store_reader *reader;
    const struct ql_life_filter filter = { .since = QL_TIME_NONE, .limit = 9 };
    enum ql_importance importance = QL_IMPORTANCE_COUNT;
    world_init(&w);
    story_signal(&w.bus, 2, QL_PHASE_OPEN, 25, 4.5, "25 where 8 to 12 was expected");
    assert_int_equal(ql_store_apply(w.store, 1, story_at(2), &w.bus), QL_OK);
    ql_store_close(w.store);
    assert_int_equal(ql_store_path(w.dir, "state.db", path), QL_OK);
    assert_int_equal(ql_db_open(path, QL_DB_WRITE, &db), QL_OK);
    assert_int_equal(ql_db_run(db, "ALTER TABLE signals DROP COLUMN importance;"
                                   "PRAGMA user_version=1"), QL_OK);
    ql_db_close(db);
    assert_int_equal(ql_store_open(w.dir, w.stats, &w.store), QL_OK);
    assert_int_equal(ql_store_reader_open(w.dir, &reader), QL_OK);
    assert_int_equal(ql_query_signals(reader, &filter, take_importance, &importance), QL_OK);
    assert_int_equal(importance, QL_IMPORTANCE_NORMAL);
    ql_batch_reset(&w.bus);
    story_signal(&w.bus, 3, QL_PHASE_UPDATE, 25, 4.5, "");
    assert_int_equal(ql_store_apply(w.store, 2, story_at(3), &w.bus), QL_OK);
    assert_int_equal(ql_query_signals(reader, &filter, take_importance, &importance), QL_OK);
    assert_int_equal(importance, QL_IMPORTANCE_HIGH);
    ql_store_reader_close(reader);
    world_fini(&w);
}

static void old_things_go_and_open_ones_stay(void **state)
{
    (void)state;
    static const struct { int64_t days; int64_t incidents, signals, events, entities; } rows[] = {
        { 1, 3, 2, 6, 4 },
        { QL_STORE_KEEP_LOOSE_DAYS + 1, 3, 1, 6, 3 },  /* the signal and the pod nobody names */
        { QL_STORE_KEEP_DAYS + 1, 1, 0, 1, 2 },        /* resolved ones and all of theirs */
        { 10 * QL_STORE_KEEP_DAYS, 1, 0, 1, 2 },       /* the open one stays */
    };
    struct world w;
    world_init(&w);
    world_apply_all(&w);
    ql_batch_reset(&w.bus);
    *ql_batch_add_incident(&w.bus) = story_incident(3, 3);
    story_signal(&w.bus, 3, QL_PHASE_CLOSE, 1, 1, "");
    w.bus.signals.at[0].id.v = 99;
    story_seen(&w.bus, "pod/short");
    story_seen(&w.bus, "host/steady");
    assert_int_equal(ql_store_apply(w.store, 100, story_at(100), &w.bus), QL_OK);
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const ql_time now = ql_time_add(story_at(100), QL_S(rows[i].days * 86400));
        ql_batch_reset(&w.bus);
        story_seen(&w.bus, "host/steady");
        assert_int_equal(ql_store_apply(w.store, 101 + i, now, &w.bus), QL_OK);
        assert_int_equal(world_count(&w, "SELECT count(*) FROM incidents"), rows[i].incidents);
        assert_int_equal(world_count(&w, "SELECT count(*) FROM signals"), rows[i].signals);
        assert_int_equal(world_count(&w, "SELECT count(*) FROM incident_events"), rows[i].events);
        assert_int_equal(world_count(&w, "SELECT count(*) FROM entities"), rows[i].entities);
    }
    world_fini(&w);
}

static void sync_moves_everything_to_the_file(void **state)
{
    (void)state;
    struct world w;
    world_init(&w);
    world_apply_all(&w);
    assert_int_equal(ql_store_sync(w.store), QL_OK);
    char path[QL_STORE_PATH_BYTES];
    assert_int_equal(ql_store_path(w.dir, "state.db-wal", path), QL_OK);
    assert_int_equal(truncate(path, 0), 0); /* the log is not needed any more */
    assert_int_equal(world_count(&w, "SELECT count(*) FROM incidents"), 2);
    world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_to_say_is_free),
        cmocka_unit_test(a_tick_applies_once),
        cmocka_unit_test(a_killed_writer_loses_nothing),
        cmocka_unit_test(a_full_disk_loses_no_tick),
        cmocka_unit_test(too_many_waiting_ticks_are_refused_until_there_is_room),
        cmocka_unit_test(what_waits_is_written_by_a_tick_without_rows),
        cmocka_unit_test(a_reader_of_old_rows_holds_up_no_sync),
        cmocka_unit_test(a_foreign_writer_holds_up_no_tick),
        cmocka_unit_test(a_newer_file_is_refused),
        cmocka_unit_test(an_older_file_is_brought_up),
        cmocka_unit_test(old_things_go_and_open_ones_stay),
        cmocka_unit_test(sync_moves_everything_to_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

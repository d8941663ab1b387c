/* The chain holds, and every way to tamper with it is found at its row. */
#include "store/audit.h"

#include "store/db.h"
#include "store/store.h"
#include "store/store_schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 6 };

static const char *const files[] = { "state.db", "state.db-wal", "state.db-shm",
                                     "audit.db", "audit.db-wal", "audit.db-shm" };

/* A store of three ticks with two audit rows each. */
static void dir_make(char dir[64])
{
    struct ql_stats *stats = ql_stats_new(100);
    struct ql_store *store;
    struct ql_batch bus;
    (void)snprintf(dir, 64, "/tmp/ql_audit_test_XXXXXX");
    assert_non_null(mkdtemp(dir));
    assert_int_equal(ql_store_open(dir, stats, &store), QL_OK);
    ql_batch_init(&bus, 1 << 20);
    for (uint64_t sequence = 1; sequence <= 3; sequence++) {
        ql_batch_reset(&bus);
        for (uint64_t i = 0; i < 2; i++) {
            *ql_batch_add_audit(&bus) = (struct ql_audit){
                .at = { (int64_t)(sequence * 10 + i) }, .incident = { sequence },
                .actor = QL_STR("ana"), .what = QL_STR("approve"), .detail = QL_STR("why not"),
            };
        }
        assert_int_equal(ql_store_apply(store, sequence, (ql_time){ 1 }, &bus), QL_OK);
    }
    ql_batch_fini(&bus);
    ql_store_close(store);
    ql_stats_free(stats);
}

static void dir_drop(const char *dir)
{
    for (size_t i = 0; i < QL_COUNT_OF(files); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(dir), 0);
}

static ql_err dir_run(const char *dir, const char *sql)
{
    sqlite3 *db;
    char path[QL_STORE_PATH_BYTES];
    assert_int_equal(ql_store_path(dir, "audit.db", path), QL_OK);
    assert_int_equal(ql_db_open(path, QL_DB_WRITE, &db), QL_OK);
    const ql_err err = ql_db_run(db, sql);
    ql_db_close(db);
    return err;
}

struct row {
    const char *story, *sql;
    uint64_t bad_row; /* 0: the chain holds */
};
static const struct row rows[] = {
    { "untouched", "", 0 },
    { "a detail was rewritten", "UPDATE audit SET detail = 'because' WHERE number = 3", 3 },
    { "an actor was rewritten", "UPDATE audit SET actor = 'bob' WHERE number = 1", 1 },
    { "a text moved between two fields",
      "UPDATE audit SET actor = 'anaa', what = 'pprove' WHERE number = 2", 2 },
    { "a time was moved", "UPDATE audit SET at = at + 1 WHERE number = 6", 6 },
    { "a hash was made up", "UPDATE audit SET hash = zeroblob(32) WHERE number = 4", 4 },
    { "a row was removed", "DELETE FROM audit WHERE number = 3", 3 },
    { "a row was removed and the rest renumbered",
      "DELETE FROM audit WHERE number = 3;"
      "UPDATE audit SET number = number - 1 WHERE number > 3", 3 },
    { "the first was removed", "DELETE FROM audit WHERE number = 1", 1 },
    { "the last was removed", "DELETE FROM audit WHERE number = 6", 6 },
    { "all were removed", "DELETE FROM audit", 1 },
    { "a row was put in",
      "INSERT INTO audit SELECT 7, 99, 0, at, incident, action, actor, what, detail, hash"
      " FROM audit WHERE number = 6", 7 },
};

static uint64_t progress_calls;

static void progress_take(const char *what, uint64_t done, uint64_t all)
{
    assert_string_equal(what, "verifying");
    assert_int_equal(done, ++progress_calls);
    assert_int_equal(all, ROWS + 1);
}

static void row_check(const struct row *row)
{
    char dir[64];
    struct ql_audit_report report;
    print_message("%s\n", row->story);
    dir_make(dir);
    assert_int_equal(dir_run(dir, "DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete"),
                     QL_OK);
    assert_int_equal(dir_run(dir, row->sql), QL_OK);
    const ql_err err = ql_audit_verify(dir, NULL, &report);
    assert_int_equal(err, row->bad_row == 0 ? QL_OK : QL_E_CONFLICT);
    assert_int_equal(report.bad_row, row->bad_row);
    assert_int_equal(row->bad_row == 0, report.why[0] == '\0');
    if (row->bad_row == 0) {
        assert_int_equal(report.row_count, ROWS);
    }
    dir_drop(dir);
}

static void tampering_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        row_check(&rows[i]);
    }
}

static void rows_cannot_be_changed_by_accident(void **state)
{
    (void)state;
    char dir[64];
    dir_make(dir);
    assert_int_not_equal(dir_run(dir, "UPDATE audit SET detail = ''"), QL_OK);
    assert_int_not_equal(dir_run(dir, "DELETE FROM audit"), QL_OK);
    dir_drop(dir);
}

static void a_replay_adds_nothing(void **state)
{
    (void)state;
    char dir[64];
    struct ql_audit_log *log;
    const struct ql_audit again[3] = {
        { .actor = QL_STR("ana") }, { .actor = QL_STR("ana") },
        { .actor = QL_STR("the one row that was not there") },
    };
    dir_make(dir);
    assert_int_equal(ql_audit_open(dir, &log), QL_OK);
    assert_int_equal(ql_audit_append(log, 2, again, 2), QL_OK);
    assert_int_equal(ql_audit_head_of(log).row_count, ROWS);
    assert_int_equal(ql_audit_append(log, 2, again, 3), QL_OK);
    assert_int_equal(ql_audit_head_of(log).row_count, ROWS + 1);
    ql_audit_close(log);
    struct ql_audit_report report;
    progress_calls = 0;
    assert_int_equal(ql_audit_verify(dir, progress_take, &report), QL_OK);
    assert_int_equal(progress_calls, ROWS + 1); /* ahead of state.db is fine */
    assert_int_equal(report.row_count, ROWS + 1);
    dir_drop(dir);
    assert_int_equal(ql_audit_verify(dir, NULL, &report), QL_E_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tampering_is_found),
        cmocka_unit_test(rows_cannot_be_changed_by_accident),
        cmocka_unit_test(a_replay_adds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

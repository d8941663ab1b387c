/* recover_test - a day of lives that end badly: a kill without a goodbye loses and repeats
 * nothing, and where files of the last life are gone, nothing new is taken for something old.
 */
#include "engine/replay_test.h"

#include "engine/checkpoint.h"
#include "engine/journal.h"
#include "store/audit.h"
#include "store/store.h"

#include <sys/stat.h>

/* ---- without a checkpoint --------------------------------------------------------------- */

static ql_err day_try(struct life *life, struct ql_buf *ret_why)
{
    ql_buf_reset(ret_why);
    const ql_err err = life_try(life, DAY_ENGINE ", shards: 1", DAY_REST, ret_why);
    ql_engine_free(life->engine);
    life->engine = NULL;
    return err;
}

/* A segment of its own for one more record, so that the one before it can be taken away. */
static void journal_begin_anew(const struct life *life)
{
    char dir[128];
    struct ql_journal *journal;
    struct ql_buf bytes, why;
    ql_buf_init(&bytes, 4096);
    ql_buf_init(&why, 4096);
    (void)snprintf(dir, sizeof(dir), "%s/journal", life->dir);
    assert_int_equal(ql_journal_open(dir, &journal, &why), QL_OK);
    struct ql_journal_record record = { .sequence = ql_journal_last(journal) + 1,
                                        .kind = QL_JOURNAL_DIGEST };
    assert_int_equal(ql_journal_rotate(journal), QL_OK);
    assert_int_equal(ql_journal_encode(&record, QL_STR(""), QL_STR("x"), &bytes), QL_OK);
    assert_int_equal(ql_journal_write(journal, ql_buf_view(&bytes), record.sequence, true), QL_OK);
    ql_journal_close(journal);
    ql_buf_fini(&bytes);
    ql_buf_fini(&why);
}

static int file_empty(const char *path)
{
    return truncate(path, 0);
}

/* What was learnt is not forgotten without a word: not while the journal can tell it, and where
 * it cannot only when somebody took the checkpoints away. */
static void without_a_checkpoint(void **state)
{
    struct life *life = *state;
    struct ql_buf why;
    ql_buf_init(&why, 4096);
    day_open(life);
    day_run(life, 0, 20);
    life_stop(life);
    journal_begin_anew(life);
    folder_each(life, "checkpoint", ".qlc", file_empty);
    assert_int_equal(day_try(life, &why), QL_OK);
    folder_each(life, "journal", "0000000000000001.qlj", unlink);
    assert_int_equal(day_try(life, &why), QL_E_VERSION);
    assert_non_null(strstr(why.at, "no checkpoint can be read"));
    assert_non_null(strstr(why.at, life->dir));
    folder_each(life, "checkpoint", ".qlc", unlink);
    assert_int_equal(day_try(life, &why), QL_OK);
    ql_buf_fini(&why);
}

static uint64_t day_incident_last(const struct life *life)
{
    struct ql_store *store;
    uint64_t last = 0;
    struct ql_stats *stats = ql_stats_new(4096);
    assert_int_equal(ql_store_open(life->dir, stats, &store), QL_OK);
    assert_int_equal(ql_store_incident_last(store, &last), QL_OK);
    ql_store_close(store);
    ql_stats_free(stats);
    return last;
}

/* A life that has forgotten all: its incidents are others than those that state.db tells of, to
 * whoever replays its journal too. */
static void ids_are_not_given_twice(void **state)
{
    struct life *life = *state;
    struct seen seen;
    day_open(life);
    day_run(life, 0, FAULT_AT + 20);
    life_stop(life);
    const uint64_t before = day_incident_last(life);
    assert_true(before > 0);
    journal_begin_anew(life);
    folder_each(life, "journal", "0000000000000001.qlj", unlink);
    folder_each(life, "checkpoint", ".qlc", unlink);
    day_open(life);
    day_run(life, FAULT_AT + 20, FAULT_AT + 40);
    life_stop(life);
    const uint64_t after = day_incident_last(life);
    assert_true(after > before);
    (void)replay(life, 0, &seen); /* every digest agrees */
    assert_int_equal(seen.opened, after - before);
}

/* Each life goes on where the one before it was killed, and the last ends where an undisturbed
 * run ends. */
static void a_kill_loses_and_repeats_nothing(void **state)
{
    struct life *life = *state;
    int from = 0;
    struct seen seen;
    static const int cuts[] = { 120, 502, 508, 530, 566, STEPS };
    for (size_t i = 0; i < QL_COUNT_OF(cuts); i++) {
        day_life(life, from, cuts[i], false);
        from = cuts[i];
    }
    day_open(life);
    life_stop(life);
    const struct ql_replay_result result = replay(life, 0, &seen);
    /* Every step was acknowledged, so every step is in the journal, once. */
    assert_true(result.records >= STEPS);
    assert_int_equal(seen.opened, 1);
    assert_int_equal(seen.resolved, 1);
    assert_string_equal(seen.suspect, "db_connections_in_use");
}

/* ---- with less of a journal ------------------------------------------------------------- */

static int file_half(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 ? -1 : truncate(path, st.st_size / 2);
}

/* What a power cut may leave of an audit log that is synced before the journal. */
static int audit_far_ahead(const char *path)
{
    struct ql_audit_log *log;
    const struct ql_audit row = { .actor = QL_STR("a"), .what = QL_STR("w"),
                                  .detail = QL_STR("d") };
    char dir[512];
    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(ql_audit_open(dir, &log), QL_OK);
    const ql_err err = ql_audit_append(log, 100000, &row, 1);
    ql_audit_close(log);
    return err == QL_OK ? 0 : -1;
}

static uint64_t applied(const struct life *life)
{
    struct ql_store *store;
    struct ql_stats *stats = ql_stats_new(4096);
    assert_int_equal(ql_store_open(life->dir, stats, &store), QL_OK);
    const uint64_t sequence = ql_store_applied(store);
    ql_store_close(store);
    ql_stats_free(stats);
    return sequence;
}

/* Files of the journal were deleted, cut, or lost with the power, and others know more than it
 * does: no sequence comes a second time, so nothing new is taken for something old. */
static void a_journal_may_be_behind(void **state)
{
    static const struct { const char *folder, *tail; int (*change)(const char *path);
                          uint64_t above; bool lacks; } rows[] = {
        { "journal", ".qlj", unlink, 0, false }, /* starts at the checkpoint */
        { "journal", ".qlj", file_half, 0, true },
        { "journal", ".qlj", file_empty, 0, true },
        { ".", "audit.db", audit_far_ahead, 100000, false },
    };
    struct life *life = *state;
    char checkpoints[128];
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_replay_result result;
        struct seen seen;
        folder_remove(life->dir);
        (void)snprintf(checkpoints, sizeof(checkpoints), "%s/checkpoint", life->dir);
        day_life(life, 0, 520, true);
        const uint64_t stored = applied(life), saved = ql_checkpoint_newest(checkpoints);
        assert_true(stored > 0 && saved > 0);
        folder_each(life, rows[i].folder, rows[i].tail, rows[i].change);
        day_life(life, 520, 570, false); /* the incident goes on; no checkpoint behind it */
        day_life(life, 570, STEPS, true); /* begins with what was acknowledged before the kill */
        assert_true(applied(life) > stored && applied(life) > rows[i].above);
        assert_true(ql_checkpoint_newest(checkpoints) > saved);
        result = replay(life, saved, &seen);
        assert_true(result.first_sequence > saved);
        assert_true(result.compared > 100 && result.ticks > 150); /* the kill took some with it */
        assert_int_equal(seen.resolved, 1);
        assert_int_equal(seen.opened, 0);
        replay_ends(life, rows[i].lacks ? "which were lost; --from-checkpoint" : NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LIFE(without_a_checkpoint),
        WITH_LIFE(ids_are_not_given_twice),
        WITH_LIFE(a_kill_loses_and_repeats_nothing),
        WITH_LIFE(a_journal_may_be_behind),
    };
    return cmocka_run_group_tests_name("engine/recover", tests, NULL, NULL);
}

/* replay_test - a day through the running engine, then again from its journal: twice from
 * the beginning, and once from the checkpoint in the middle. The same digests, the same
 * incidents; and the first difference is told. Lives that end badly: recover_test.c.
 *
 * The engine runs with its clock on the input, so the day takes seconds. */
#include "engine/replay_test.h"

#include "engine/journal.h"

/* ---- tests -------------------------------------------------------------------------------- */

static void a_day_gives_the_same_again(void **state)
{
    struct life *life = *state;
    struct seen first, second, middle;
    print_message("seed %llu\n", (unsigned long long)SEED);
    day_open(life);
    day_run(life, 0, FAULT_AT + 10);
    life_stop(life); /* leaves a checkpoint in the middle of the incident */
    day_open(life);
    day_run(life, FAULT_AT + 10, STEPS);
    life_stop(life);
    assert_int_equal(atomic_load(&life->refused), 0);

    const struct ql_replay_result one = replay(life, 0, &first);
    const struct ql_replay_result two = replay(life, 0, &second);
    assert_true(one.ticks > STEPS);
    assert_true(one.compared > one.ticks - 10);
    assert_true(one.digest == two.digest);
    assert_int_equal(first.opened, 1);
    assert_int_equal(first.resolved, 1);
    assert_int_equal(second.ids_hash, first.ids_hash);
    assert_true(first.causes > 0);
    assert_string_equal(first.suspect, "db_connections_in_use");

    /* The stop in the middle of the incident left a checkpoint; from there it only ends. */
    const struct ql_replay_result part = replay(life, one.last_sequence - 50, &middle);
    assert_true(part.first_sequence > one.first_sequence);
    assert_true(part.compared > 100);
    assert_int_equal(middle.opened, 0);
    assert_int_equal(middle.resolved, 1);
}

/* The machine has as many shards as it had then. */
static void shards_give_the_same_again(void **state)
{
    struct life *life = *state;
    struct seen seen;
    life_open(life, DAY_ENGINE ", shards: 3", DAY_REST);
    day_run(life, 0, 60);
    life_stop(life);
    life_open(life, DAY_ENGINE ", shards: 3", DAY_REST);
    day_run(life, 60, 200);
    life_stop(life);
    const struct ql_replay_result whole = replay(life, 0, &seen);
    assert_true(whole.compared > whole.ticks - 10);
    const struct ql_replay_result part = replay(life, whole.last_sequence - 50, &seen);
    assert_true(part.first_sequence > whole.first_sequence && part.compared > 50);
}

/* What the look-ahead says of one series at a step of the day. */
struct foreseen { const char *labels; struct ql_finding (*at)(int step); };

/* Likely up to step 120, then clearly over. */
static struct ql_finding archive_at(int step)
{
    return (struct ql_finding){ .limit_name = QL_STR("disk_max"), .used = 60, .limit = 100,
                                .full = step < 120 ? 0.95 : 0.05, .horizon_s = 86400,
                                .early_s = 3600, .middle_s = 7200, .late_s = 9000, .tests = 20,
                                .right = 17 };
}

static const struct foreseen archive = { "disk_used{service=\"archive\"}", archive_at };

/* A disk that fails, worse at step 100 and another one at 120. */
static struct ql_finding sda_at(int step)
{
    const double sectors = step >= 120 ? 0.0 : step >= 100 ? 9.0 : 2.0;
    return (struct ql_finding){ .limit_name = QL_STR("its failure"), .kind = QL_FINDING_DISK,
                                .used = log1p(sectors), .limit = 1,
                                .full = sectors > 0.0 ? 1.0 : 0.0, .horizon_s = 86400,
                                .early_s = INFINITY, .middle_s = INFINITY, .late_s = INFINITY,
                                .smart = { sectors, 0, -1, 0, 0 } };
}

static const struct foreseen sda = {
    "smartmon_reallocated_sector_ct_raw_value{disk=\"/dev/sda\",instance=\"db1:9100\"}", sda_at
};

/* Steps of the day in a life of its own, with a finding every ten from 40 to 200. */
static void foresee(struct life *life, const char *rest, const struct foreseen *what, int from,
                    int to)
{
    life_open(life, DAY_ENGINE ", shards: 1", rest);
    struct ql_buf labels, body;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&body, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(what->labels), &labels), QL_OK);
    for (int step = from; step < to; step += 10) {
        struct ql_finding finding = what->at(step);
        finding.at = life_at(step);
        finding.labels = ql_buf_view(&labels);
        finding.series.h = ql_hash128_of(labels.at, labels.bytes);
        day_run(life, step, step + 10);
        if (step >= 40 && step <= 200) {
            ql_buf_reset(&body);
            assert_int_equal(ql_wire_finding_write(&finding, &body), QL_OK);
            day_submit(life, QL_DOOR_FINDING, &body, step);
        }
    }
    ql_buf_fini(&labels);
    ql_buf_fini(&body);
    life_stop(life); /* leaves a checkpoint */
}

/* What the look-ahead found stands in the journal: a replay has no history to look through. The
 * checkpoint between two lives has the signal open. */
static void foreseen_again(struct life *life, const struct foreseen *what, uint64_t grown)
{
    struct seen first, second, middle;
    foresee(life, DAY_REST, what, 0, 80);
    foresee(life, DAY_REST, what, 80, 240);
    const struct ql_replay_result one = replay(life, 0, &first);
    const struct ql_replay_result two = replay(life, 0, &second);
    assert_true(one.compared > one.ticks - 10 && one.digest == two.digest);
    assert_true(first.foreseen == 1 && first.grown == grown && first.over == 1);
    const struct ql_replay_result part = replay(life, one.last_sequence - 50, &middle);
    assert_true(part.first_sequence > one.first_sequence && part.compared > 100);
    assert_true(middle.foreseen == 0 && middle.grown == grown && middle.over == 1);
}

static void findings_give_the_same_again(void **state)
{
    foreseen_again(*state, &archive, 0);
}

static void disks_give_the_same_again(void **state)
{
    foreseen_again(*state, &sda, 1);
}

/* The same with a window over its beginning: a checkpoint lies in what is held. */
static void what_is_held_gives_the_same_again(void **state)
{
    struct life *life = *state;
    struct seen whole, part;
    const char *held = DAY_REST
        "policies: [{name: night, match: disk_used, mute: ['09:10-09:25']}]\n";
    foresee(life, held, &archive, 0, 80);
    assert_int_equal(ql_stats_sum(life->stats, "ql_detect_held_total", "kind=\"exhaustion\""), 1);
    assert_int_equal(ql_stats_sum(life->stats, "ql_exhaustion_signals_total", ""), 0);
    foresee(life, held, &archive, 80, 240);
    const struct ql_replay_result one = replay(life, 0, &whole);
    assert_true(one.compared > one.ticks - 10);
    assert_int_equal(whole.foreseen, 1);
    assert_int_equal(whole.over, 1);
    const struct ql_replay_result rest = replay(life, one.last_sequence - 50, &part);
    assert_true(rest.first_sequence > one.first_sequence && rest.compared > 100);
    assert_int_equal(part.foreseen, 1); /* held in the checkpoint, told behind it */
    assert_int_equal(part.over, 1);
}

/* ---- a replay that differs --------------------------------------------------------------- */

/* Copies the journal, with one bit of one tick's digest another. Which tick, and of how many. */
static uint64_t journal_other_digest(const struct life *life, uint64_t record_number,
                                     size_t stage)
{
    char dir[128], other[128];
    struct ql_journal_reader *reader;
    struct ql_journal_record record;
    struct ql_journal *journal;
    struct ql_buf bytes, why;
    ql_str origin, body;
    uint64_t count = 0, tick = 0;
    (void)snprintf(dir, sizeof(dir), "%s/journal", life->dir);
    (void)snprintf(other, sizeof(other), "%s/other", life->dir);
    ql_buf_init(&bytes, 1 << 24);
    ql_buf_init(&why, 4096);
    assert_int_equal(ql_journal_reader_open(dir, 0, &reader), QL_OK);
    assert_int_equal(ql_journal_open(other, &journal, &why), QL_OK);
    while (ql_journal_next(reader, &record, &origin, &body, &why) == QL_OK) {
        char digests[1024];
        if (record.kind == QL_JOURNAL_DIGEST && ++count == record_number) {
            assert_true(body.bytes >= 16 && body.bytes <= sizeof(digests));
            memcpy(digests, body.at, body.bytes);
            digests[stage * 8 < body.bytes ? stage * 8 : body.bytes - 8] ^= 1;
            body.at = digests;
            tick = (uint64_t)record.accepted_ns;
        }
        ql_buf_reset(&bytes);
        assert_int_equal(ql_journal_encode(&record, origin, body, &bytes), QL_OK);
        assert_int_equal(ql_journal_write(journal, ql_buf_view(&bytes), record.sequence, false),
                         QL_OK);
    }
    ql_journal_reader_close(reader);
    ql_journal_close(journal);
    folder_each(life, "journal", ".qlj", unlink);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rename(other, dir), 0);
    ql_buf_fini(&bytes);
    ql_buf_fini(&why);
    assert_true(tick > 0);
    return tick;
}

static void a_replay_stops_at_the_first_difference(void **state)
{
    static const struct { size_t stage; const char *name; } rows[] = {
        { 0, ": shard 0, " }, { 1, ": shard 0, " }, { SIZE_MAX / 8, ": core, " },
    };
    struct life *life = *state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char words[64];
        folder_remove(life->dir);
        day_life(life, 0, 60, true);
        replay_ends(life, NULL);
        const uint64_t tick = journal_other_digest(life, 30, rows[i].stage);
        journal_other_digest(life, 40, rows[i].stage); /* a later one is not told */
        (void)snprintf(words, sizeof(words), "tick %llu (", (unsigned long long)tick);
        replay_ends(life, words);
        replay_ends(life, rows[i].name);
        replay_ends(life, " gave other records than it did then");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LIFE(a_day_gives_the_same_again),
        WITH_LIFE(findings_give_the_same_again),
        WITH_LIFE(disks_give_the_same_again),
        WITH_LIFE(shards_give_the_same_again),
        WITH_LIFE(what_is_held_gives_the_same_again),
        WITH_LIFE(a_replay_stops_at_the_first_difference),
    };
    return cmocka_run_group_tests_name("engine/replay", tests, NULL, NULL);
}

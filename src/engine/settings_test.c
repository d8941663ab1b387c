/* settings_test - which settings hold when: what was taken under the old ones is played again
 * under the old ones, after a crash, from a checkpoint and from a journal that has been cut. */
#include "base/clock.h"
#include "engine/checkpoint.h"
#include "engine/engine_test.h"

#include <signal.h>
#include <sys/resource.h>

#define JUDGED "detect: {enabled: true}"
#define UNJUDGED "detect: {enabled: false}"
#define SHORT ", tick: 10s, journal_max: 16MiB"
#define SMALL "limits: {body_max: 64KiB}"
enum { LARGE_PAD = 100 << 10, BODY_PAD = 1 << 20, POLL_US = 2000, POLLS_MAX = 15000 };

static void checkpoint_dir(const struct life *life, char out[128])
{
    (void)snprintf(out, 128, "%s/checkpoint", life->dir);
}

static void checkpoints_away(const struct life *life)
{
    char from[128], to[128];
    checkpoint_dir(life, from);
    (void)snprintf(to, sizeof(to), "%s/away", life->dir);
    assert_int_equal(rename(from, to), 0);
}

static uint64_t life_shards(struct life *life)
{
    struct ql_buf status;
    const struct ql_view *view = ql_engine_view(life->engine);
    ql_buf_init(&status, 1 << 20);
    assert_int_equal(view->status(view->host, &status), QL_OK);
    const char *at = strstr(status.at, "\"shards\":");
    assert_non_null(at);
    const uint64_t shards = strtoull(at + strlen("\"shards\":"), NULL, 10);
    ql_buf_fini(&status);
    return shards;
}

static void gauges_from(struct life *life, int from, int to, int fault)
{
    for (int step = from; step < to; step++) {
        life_gauges(life, step, 4, fault, 0);
    }
}

static void gauges(struct life *life, int from, int to)
{
    gauges_from(life, from, to, 150);
}

/* ---- bodies --------------------------------------------------------------------------- */

/* Five steps that force a checkpoint, a quarter of a journal of 16 MiB; it is there. */
static void checkpoint_behind(struct life *life, int step)
{
    for (int i = 0; i < 5; i++) {
        life_gauges(life, step + i, 4, 150, BODY_PAD);
    }
    for (int i = 0; i < POLLS_MAX && ql_stats_sum(life->stats, "ql_checkpoints_total", "") == 0; i++) {
        (void)usleep(POLL_US);
    }
    assert_true(ql_stats_sum(life->stats, "ql_checkpoints_total", "") > 0);
}

static void send_large(struct life *life)
{
    checkpoint_behind(life, 0);
    life_gauges(life, 5, 4, 150, LARGE_PAD);
}

static void reload_and_send_large(struct life *life)
{
    life_reload(life, SHORT, SMALL); /* doors keep the limit that they started with */
    send_large(life);
}

static void send_outcome(struct life *life)
{
    static char output[64 << 10];
    memset(output, 'x', sizeof(output));
    const struct ql_outcome outcome = { .action = { 7 }, .at = life_at(0),
                                        .output = { output, sizeof(output) } };
    life_gauges(life, 0, 4, 150, 0);
    assert_int_equal(ql_engine_outcome(life->engine, &outcome), QL_OK);
    life_gauges(life, 1, 4, 150, 0);
}

static void what_was_taken_is_taken_again(void **state)
{
    static const struct {
        const char *story, *then, *now;
        void (*run)(struct life *life);
    } rows[] = {
        { "the limit is lowered after a crash", "", SMALL, send_large },
        { "... or before it", "", SMALL, reload_and_send_large },
        { "an outcome is larger than the limit", SMALL, SMALL, send_outcome },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        void *place;
        print_message("%s\n", rows[i].story);
        assert_int_equal(life_setup(&place), 0);
        life_killed(place, SHORT, rows[i].then, rows[i].run);
        life_open(place, SHORT, rows[i].now);
        life_stop(place);
        assert_true(life_again(place, 0).records > 1);
        assert_int_equal(life_teardown(&place), 0);
    }
}

/* ---- what was judged ------------------------------------------------------------------ */

static void run_first(struct life *life)
{
    gauges(life, 0, 120);
}

static void run_past_a_checkpoint(struct life *life)
{
    gauges(life, 0, 20);
    checkpoint_behind(life, 20);
    gauges(life, 25, 120);
}

/* Settings change between a crash and the start: what came before is judged as it was then. */
static void a_crash_keeps_the_old_settings(void **state)
{
    struct life *life = *state;
    life_killed(life, SHORT, UNJUDGED, run_past_a_checkpoint);
    life_open(life, SHORT, JUDGED);
    gauges(life, 120, 240);
    life_stop(life);
    assert_true(life_again(life, 0).compared > 115); /* what the crash cut off has no digest */
}

/* A, then SIGHUP to B, then checkpoints and a journal that is cut behind them: B it is. */
static void checkpointed_under(struct life *life, const char *engine)
{
    life_open(life, engine, JUDGED);
    gauges(life, 0, 60);
    life_reload(life, engine, UNJUDGED); /* which is not the default either */
    for (int step = 60; step < 200; step++) {
        life_gauges(life, step, 4, 150, step % 5 == 0 ? BODY_PAD : 0);
        if (step % 5 == 0) {
            life_wait(life);
            (void)usleep(20000); /* a checkpoint is the core's, and it may be behind */
        }
    }
    gauges(life, 200, 300);
    life_stop(life);
    const struct ql_replay_result left = life_again(life, 0);
    assert_true(left.first_sequence > 1);
    assert_true(left.compared > 100);
}

static void a_cut_journal_has_settings(void **state)
{
    checkpointed_under(*state, SHORT);
}

static void a_cut_journal_has_shards(void **state)
{
    checkpointed_under(*state, SHORT ", shards: 2");
}

static void a_checkpoint_has_settings(void **state)
{
    struct life *life = *state;
    life_open(life, ", tick: 10s, journal_max: 64MiB", UNJUDGED);
    gauges(life, 0, 60);
    life_reload(life, ", tick: 10s, journal_max: 64MiB", JUDGED);
    gauges(life, 60, 100);
    for (int i = 0; i < 17; i++) { /* a quarter of the journal forces one */
        life_gauges(life, 100 + i, 4, 150, BODY_PAD);
    }
    gauges(life, 117, 200);
    life_stop(life);
    const struct ql_replay_result whole = life_again(life, 0);
    assert_int_equal(whole.first_sequence, 1);
    const struct ql_replay_result part = life_again(life, whole.last_sequence - 20);
    assert_true(part.first_sequence > 1 && part.compared > 50);
}

/* ---- intervals ------------------------------------------------------------------------ */

static void ticks_come_as_the_new_file_says(void **state)
{
    struct life *life = *state;
    life_killed(life, ", tick: 10s", "", run_first);
    const uint64_t before = life_again(life, 0).ticks;
    life_open(life, ", tick: 60s", "");
    gauges(life, 120, 240);
    life_stop(life);
    const uint64_t more = life_again(life, 0).ticks - before;
    assert_in_range(before, 100, 130);
    assert_in_range(more, 25, 40);
}

/* ---- starts --------------------------------------------------------------------------- */

static void the_older_checkpoint_is_tried(void **state)
{
    struct life *life = *state;
    char dir[128];
    struct ql_buf bytes;
    struct ql_checkpoint_part *part;
    uint64_t sequence = 0;
    ql_buf_init(&bytes, 64 << 20);
    checkpoint_dir(life, dir);
    for (int i = 0; i < 2; i++) {
        life_open(life, "", JUDGED);
        gauges(life, i * 60, i * 60 + 60);
        life_stop(life);
    }
    assert_int_equal(ql_checkpoint_read(dir, UINT64_MAX, &bytes, &sequence), QL_OK);
    assert_true(ql_checkpoint_oldest(dir) < sequence);
    /* Whole, and wrong. */
    assert_int_equal(ql_checkpoint_part_open(dir, sequence, 0, &part), QL_OK);
    (void)ql_buf_put(ql_checkpoint_part_buf(part), bytes.at, 100);
    assert_int_equal(ql_checkpoint_part_close(part), QL_OK);
    life_open(life, "", JUDGED);
    gauges(life, 120, 200);
    life_stop(life);
    assert_true(life_again(life, 0).compared > 150);
    ql_buf_fini(&bytes);
}

/* Keeps the newest incident opened; one that was there before is a failure. */
static void note_opened(void *context, uint64_t sequence, ql_time now,
                         const struct ql_batch *bus)
{
    uint64_t *known = context;
    (void)now;
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        const struct ql_incident *incident = &bus->incidents.at[i];
        if (incident->event == QL_INC_OPENED) {
            assert_true(sequence > 0 && incident->id.v > *known);
            *known = incident->id.v;
        }
    }
}

/* State is parted by shards: their number stays until somebody gives the state up. */
static void shards_stay_until_the_state_goes(void **state)
{
    struct life *life = *state;
    uint64_t known = 0;
    life->tick = note_opened;
    life->tick_context = &known;
    life_open(life, "", JUDGED);
    gauges(life, 0, 60);
    life_stop(life);
    life_open(life, ", shards: 3", JUDGED);
    assert_int_equal(life_shards(life), 1);
    gauges(life, 60, 200);
    life_stop(life);
    assert_true(life_again(life, 0).compared > 180);
    const uint64_t before = known;
    assert_true(before > 0);
    checkpoints_away(life);
    life_open(life, ", shards: 3", JUDGED);
    assert_int_equal(life_shards(life), 3);
    gauges_from(life, 200, 300, 280);
    life_stop(life);
    life_open(life, ", shards: 3", JUDGED);
    assert_int_equal(life_shards(life), 3);
    gauges_from(life, 300, 400, 280);
    life_stop(life);
    known = 0;
    assert_true(life_again(life, 0).compared > 380);
    assert_true(known > before); /* an id is given once, whatever is forgotten */
    life->tick = NULL;
    const struct ql_replay_result part = life_again(life, life->result.last_sequence - 10);
    assert_true(part.first_sequence > 1 && part.compared > 0);
}

static int64_t life_series(const struct life *life)
{
    return ql_stats_sum(life->stats, "ql_series", "");
}

/* A start gives more room, and less only to fewer series. */
static void series_max_changes_at_a_start(void **state)
{
    static const struct { const char *limits; int64_t series; } rows[] = {
        { "limits: {series_max: 1000}", 1000 }, { "limits: {series_max: 2000}", 1500 },
        { "limits: {series_max: 1000}", 1500 }, { "limits: {series_max: 1600}", 1500 },
    };
    struct life *life = *state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        life_open(life, "", rows[i].limits);
        for (int step = 0; step < 4; step++) {
            life_gauges(life, (int)i * 4 + step, 1500, 150, 0);
        }
        life_stop(life);
        assert_int_equal(life_series(life), rows[i].series);
    }
    assert_true(life_again(life, 0).compared > 8);
}

static void count_signals(void *context, uint64_t sequence, ql_time now,
                          const struct ql_batch *bus)
{
    (void)sequence;
    (void)now;
    *(uint64_t *)context += bus->signals.count;
}

static int64_t life_failures(const struct life *life)
{
    return ql_stats_sum(life->stats, "ql_journal_failures_total", "");
}

/* The disk refuses when a daemon starts: its settings wait, and are the first to get in. */
static void settings_wait_for_the_disk(void **state)
{
    struct life *life = *state;
    struct rlimit was;
    struct ql_buf why;
    life_open(life, ", tick: 10s", UNJUDGED);
    gauges(life, 0, 60);
    life_stop(life);
    ql_buf_init(&why, 65536);
    assert_int_equal(life_try(life, ", tick: 10s", JUDGED, &why), QL_OK);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
    const struct rlimit none = { .rlim_cur = 0, .rlim_max = was.rlim_max };
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    const int64_t start_ns = ql_clock_mono_ns();
    const ql_err err = ql_engine_start(life->engine);
    for (int i = 0; i < POLLS_MAX && life_failures(life) < 2; i++) {
        (void)usleep(POLL_US);
    }
    const int64_t failures = life_failures(life);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
    assert_int_equal(err, QL_OK);
    /* Now and then, not all the time. */
    const int64_t took_s = (ql_clock_mono_ns() - start_ns) / QL_NS_PER_S;
    assert_in_range(failures, 2, 4 + 4 * took_s);
    const struct ql_view *view = ql_engine_view(life->engine);
    for (int i = 0; i < POLLS_MAX && !view->ready(view->host); i++) {
        (void)usleep(POLL_US);
    }
    gauges(life, 60, 240);
    life_stop(life);
    uint64_t signals = 0;
    life->tick = count_signals;
    life->tick_context = &signals;
    assert_true(life_again(life, 0).compared > 200);
    assert_true(signals > 0); /* of what is judged at last */
    ql_buf_fini(&why);
}

static uint32_t late;

static ql_err count_late(void *context, const struct ql_action *action)
{
    (void)context;
    (void)action;
    late++;
    return QL_OK;
}

#define RUNBOOK \
    "runbooks: [{name: turn, entity: '*', mode: auto, score_min: 0, steady: 1s," \
    " steps: [{name: one, run: [/bin/true]}]}]"

static void run_fault(struct life *life)
{
    gauges(life, 0, 180);
}

/* Decided before the crash and not yet handed on; forbidden or not since then. */
static void steps_are_not_run_once_forbidden(void **state)
{
    static const struct { const char *now; bool run; } rows[] = {
        { "act: {mode: auto}\n" RUNBOOK, true }, { "act: {mode: observe}\n" RUNBOOK, false },
        { "act: {mode: off}\n" RUNBOOK, false },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        void *place;
        struct life *life;
        char from[128], to[128];
        assert_int_equal(life_setup(&place), 0);
        life = place;
        life_killed(life, ", tick: 10s", rows[0].now, run_fault);
        (void)snprintf(from, sizeof(from), "%s/state.db", life->dir);
        (void)snprintf(to, sizeof(to), "%s/state.away", life->dir);
        assert_int_equal(rename(from, to), 0); /* as if the crash had come before its effects */
        late = 0;
        life->dispatch = count_late;
        life_open(life, ", tick: 10s", rows[i].now);
        const uint32_t at_start = late;
        life_stop(life);
        assert_int_equal(at_start > 0, rows[i].run);
        assert_int_equal(life_teardown(&place), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_taken_is_taken_again),
        WITH_LIFE(a_crash_keeps_the_old_settings),
        WITH_LIFE(a_cut_journal_has_settings),
        WITH_LIFE(a_cut_journal_has_shards),
        WITH_LIFE(a_checkpoint_has_settings),
        WITH_LIFE(ticks_come_as_the_new_file_says),
        WITH_LIFE(the_older_checkpoint_is_tried),
        cmocka_unit_test_setup_teardown(shards_stay_until_the_state_goes, life_setup,
                                        life_teardown),
        WITH_LIFE(series_max_changes_at_a_start),
        WITH_LIFE(settings_wait_for_the_disk),
        cmocka_unit_test(steps_are_not_run_once_forbidden),
    };
    return cmocka_run_group_tests_name("engine/settings", tests, NULL, NULL);
}

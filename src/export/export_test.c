/* export_test - receivers over a view made by hand: nothing is left out, through reloads, refusals
 * and a receiver that does not answer. A series has a sample a second; the time is the test's. */
#include "export/export.h"

#include "base/clock.h"
#include "base/wait.h"
#include "config/config_test.h"
#include "http/http.h"
#include "model/view_test.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define START_S INT64_C(1700006400)
enum { SERIES = 300, SECONDS_MAX = 128, PATIENCE_S = 30, HISTORY_EVERY = 7, BACKLOG_S = 90 };

/* What one address was told: how often it got the sample of a series and second. */
struct receiver {
    pthread_mutex_t lock;
    uint8_t got[SERIES][SECONDS_MAX];
    uint32_t requests;
    _Atomic int status;                         /* what it answers; 0: it does not */
    _Atomic(struct ql_http_request *) hanging;  /* what it has not answered */
};

enum history_mood { HISTORY_WELL, HISTORY_REFUSES, HISTORY_BEHIND, HISTORY_LOST };

struct rig {
    struct ql_view view;
    struct ql_stats *stats;
    struct ql_config *config;
    struct ql_exporter *exporter;
    struct ql_http *http;
    struct receiver receivers[2];
    _Atomic int64_t now_s;
    _Atomic int history;           /* enum history_mood */
    _Atomic bool forgotten;        /* what memory does not reach back of is not known any more */
};
static struct rig rig;

static void pause_s(double seconds)
{
    struct ql_wait pause;
    ql_wait_init(&pause);
    (void)ql_wait_for(&pause, seconds);
    ql_wait_fini(&pause);
}

/* ---- the engine's face --------------------------------------------------------------------- */

static ql_time view_now(void *host)
{
    (void)host;
    return (ql_time){ atomic_load(&rig.now_s) * QL_NS_PER_S };
}

static const char *series_text(uint32_t number)
{
    static _Thread_local char text[64];
    (void)snprintf(text, sizeof(text), "depth{number=\"%u\"}", number);
    return text;
}

static ql_err view_find(void *host, const struct ql_matcher *matchers, uint32_t matcher_count,
                        uint32_t count_max, struct ql_arena *texts,
                        struct ql_series_info **ret_infos, uint32_t *ret_count)
{
    (void)host, (void)matchers, (void)matcher_count;
    assert_true(count_max >= SERIES);
    *ret_infos = test_infos(SERIES, series_text, texts);
    for (uint32_t i = 0; i < SERIES; i++) {
        (*ret_infos)[i].step_ms = 1000;
    }
    *ret_count = SERIES;
    return QL_OK;
}

static uint32_t samples_put(struct ql_batch *out, int64_t first_s, int64_t last_s)
{
    uint32_t count = 0;
    for (int64_t s = first_s > START_S ? first_s : START_S; s <= last_s; s++, count++) {
        struct ql_sample *sample = ql_batch_add_sample(out);
        assert_non_null(sample);
        *sample = (struct ql_sample){ { s * QL_NS_PER_S }, (double)(s - START_S) };
    }
    return count;
}

static ql_err view_raw(void *host, ql_series_id id, ql_time from, ql_time to, struct ql_batch *out)
{
    (void)host, (void)id;
    const int mood = atomic_load(&rig.history);
    if (mood == HISTORY_REFUSES || mood == HISTORY_LOST) {
        return mood == HISTORY_LOST ? QL_E_IO : QL_E_TIMEOUT;
    }
    /* What is behind has the newest, as memory has, and not what waits for the disk. */
    out->behind = mood == HISTORY_BEHIND;
    const int64_t first_s = (from.ns + QL_NS_PER_S - 1) / QL_NS_PER_S, to_s = to.ns / QL_NS_PER_S;
    (void)samples_put(out, out->behind ? to_s : first_s, to_s);
    return QL_OK;
}

/* Of some series memory has only the newest sample, and history is asked. */
static ql_err view_tails(void *host, struct ql_tail *tails, uint32_t count, struct ql_batch *out)
{
    const int64_t now_s = view_now(host).ns / QL_NS_PER_S;
    for (uint32_t i = 0; i < count; i++) {
        struct ql_tail *tail = &tails[i];
        tail->whole = tail->id.h.low % HISTORY_EVERY != 0;
        tail->found = tail->whole || !atomic_load(&rig.forgotten);
        tail->raw_count = tail->judged_count = 0;
        tail->raw_first = tail->judged_first = out->samples.count;
        const int64_t first_s = tail->from.ns / QL_NS_PER_S + 1;
        if (!tail->found) {
            continue;
        }
        tail->raw_count = tail->judged_count =
            samples_put(out, tail->whole || first_s > now_s ? first_s : now_s, now_s);
        tail->band_first = tail->band_count = 0;
    }
    return QL_OK;
}

/* ---- receivers -------------------------------------------------------------------------------- */

static void receiver_note(struct receiver *receiver, const struct ql_batch *batch)
{
    for (uint32_t r = 0; r < batch->runs.count; r++) {
        const struct ql_run *run = &batch->runs.at[r];
        const ql_str text = ql_labels_get(run->labels, QL_STR("number"));
        int64_t number;
        assert_int_equal(ql_str_to_i64(text, &number), QL_OK);
        for (uint32_t i = 0; i < run->sample_count; i++) {
            const struct ql_sample *sample = &batch->samples.at[run->sample_first + i];
            const int64_t second = sample->at.ns / QL_NS_PER_S - START_S;
            assert_true(second >= 0 && second < SECONDS_MAX && number < SERIES);
            assert_true(sample->value == (double)second);
            receiver->got[number][second]++;
        }
    }
}

static void receiver_take(struct receiver *receiver, struct ql_http_request *request)
{
    const struct ql_wire_limits limits = { .body_bytes_max = (size_t)64 << 20 };
    const struct ql_wire_input in = { .door = QL_DOOR_REMOTE_WRITE,
                                      .encoding = QL_ENCODING_SNAPPY,
                                      .format = QL_FORMAT_PROTOBUF,
                                      .accepted = { START_S * QL_NS_PER_S },
                                      .origin = { "", 0 }, .body = ql_http_body(request) };
    struct ql_reject reject = { 0 };
    struct ql_batch batch;
    ql_batch_init(&batch, (size_t)64 << 20);
    assert_int_equal(ql_wire_decode(&in, &limits, &batch, &reject), QL_OK);
    (void)pthread_mutex_lock(&receiver->lock);
    receiver_note(receiver, &batch);
    (void)pthread_mutex_unlock(&receiver->lock);
    ql_batch_fini(&batch);
}

static void receiver_handle(void *host, struct ql_http_request *request)
{
    struct receiver *receiver = host;
    const int status = atomic_load(&receiver->status);
    struct ql_http_request *none = NULL;
    (void)pthread_mutex_lock(&receiver->lock);
    receiver->requests++;
    (void)pthread_mutex_unlock(&receiver->lock);
    if (status == 0 && atomic_compare_exchange_strong(&receiver->hanging, &none, request)) {
        return;
    }
    if (status == 200) {
        receiver_take(receiver, request);
    }
    ql_http_answer(request, &(struct ql_http_answer){ .status = status != 0 ? (unsigned)status
                                                                            : 503 });
}

static const struct ql_http_route routes[] = {
    { "POST", "/a", receiver_handle, &rig.receivers[0], 64 << 20, true, true, NULL },
    { "POST", "/b", receiver_handle, &rig.receivers[1], 64 << 20, true, true, NULL },
};

/* ---- the rig ------------------------------------------------------------------------------------ */

enum { ONLY_A, A_AND_B, A_WITH_LABEL, WAYS };

static struct ql_config *config_of(int way)
{
    static const char *const more[WAYS] = { "", "", ", labels: {from: quell}" };
    const unsigned port = ql_http_port(rig.http);
    char yaml[512];
    int bytes = snprintf(yaml, sizeof(yaml), "remote_write:\n  - {url: 'http://127.0.0.1:%u/a',"
                         " bands: false, scores: false, samples: true%s}\n", port, more[way]);
    if (way == A_AND_B) {
        (void)snprintf(yaml + bytes, sizeof(yaml) - (size_t)bytes, "  - {url: 'http://127.0.0.1:%u/b',"
                       " bands: false, scores: false, samples: true}\n", port);
    }
    struct ql_config *config = test_config(yaml);
    for (uint32_t i = 0; i < config->remote_write_count; i++) {
        config->remote_writes[i].interval_s = 0.01; /* less than people may set */
        config->remote_writes[i].backlog_s = BACKLOG_S;
    }
    return config;
}

static int up(void **state)
{
    char why[512] = "";
    const struct ql_http_settings settings = { .listen = "127.0.0.1:0", .threads = 2,
                                               .connections_max = 20, .idle_s = 60,
                                               .routes = routes,
                                               .route_count = QL_COUNT_OF(routes) };
    (void)state;
    memset(&rig, 0, sizeof(rig));
    rig.view = (struct ql_view){ .series_find = view_find, .series_raw = view_raw,
                                 .series_read = view_raw, .series_tails = view_tails,
                                 .now = view_now };
    rig.stats = ql_stats_new(200);
    atomic_store(&rig.now_s, START_S);
    for (size_t i = 0; i < QL_COUNT_OF(rig.receivers); i++) {
        (void)pthread_mutex_init(&rig.receivers[i].lock, NULL);
        atomic_store(&rig.receivers[i].status, 200);
    }
    assert_int_equal(ql_http_start(&settings, &rig.http, why, sizeof(why)), QL_OK);
    const struct ql_export_env env = { &rig.view, rig.stats };
    rig.config = config_of(ONLY_A);
    assert_int_equal(ql_export_start(&env, rig.config, &rig.exporter, why, sizeof(why)), QL_OK);
    return 0;
}

static int down(void **state)
{
    (void)state;
    ql_export_stop(rig.exporter);
    for (size_t i = 0; i < QL_COUNT_OF(rig.receivers); i++) {
        struct ql_http_request *hanging = atomic_exchange(&rig.receivers[i].hanging, NULL);
        if (hanging != NULL) {
            ql_http_answer(hanging, &(struct ql_http_answer){ .status = 503 });
        }
    }
    ql_http_stop(rig.http, 1000);
    for (size_t i = 0; i < QL_COUNT_OF(rig.receivers); i++) {
        (void)pthread_mutex_destroy(&rig.receivers[i].lock);
    }
    ql_config_free(rig.config);
    ql_stats_free(rig.stats);
    return 0;
}

static void reload(int way)
{
    char why[512] = "";
    struct ql_config *config = config_of(way);
    assert_int_equal(ql_export_reload(rig.exporter, config, why, sizeof(why)), QL_OK);
    ql_config_free(rig.config);
    rig.config = config;
}

/* How many of the samples in [first, last] of all series are there, and the most of any. */
static uint32_t receiver_has(struct receiver *receiver, int64_t first, int64_t last,
                             uint32_t *ret_most)
{
    uint32_t has = 0;
    *ret_most = 0;
    (void)pthread_mutex_lock(&receiver->lock);
    for (uint32_t i = 0; i < SERIES; i++) {
        for (int64_t s = first; s <= last; s++) {
            has += receiver->got[i][s] > 0;
            *ret_most = receiver->got[i][s] > *ret_most ? receiver->got[i][s] : *ret_most;
        }
    }
    (void)pthread_mutex_unlock(&receiver->lock);
    return has;
}

static uint32_t requests(struct receiver *receiver)
{
    (void)pthread_mutex_lock(&receiver->lock);
    const uint32_t count = receiver->requests;
    (void)pthread_mutex_unlock(&receiver->lock);
    return count;
}

/* Every sample of [first, last] is there. */
static void wait_all(struct receiver *receiver, int64_t first, int64_t last, uint32_t *ret_most)
{
    const int64_t until_ns = ql_clock_mono_ns() + PATIENCE_S * QL_NS_PER_S;
    const uint32_t wanted = SERIES * (uint32_t)(last - first + 1);
    while (receiver_has(receiver, first, last, ret_most) < wanted &&
           ql_clock_mono_ns() < until_ns) {
        pause_s(0.01);
    }
    assert_int_equal(receiver_has(receiver, first, last, ret_most), wanted);
}

static void wait_requests(struct receiver *receiver, uint32_t wanted)
{
    const int64_t until_ns = ql_clock_mono_ns() + PATIENCE_S * QL_NS_PER_S;
    while (requests(receiver) < wanted && ql_clock_mono_ns() < until_ns) {
        pause_s(0.01);
    }
    assert_true(requests(receiver) >= wanted);
}

/* ---- stories ------------------------------------------------------------------------------------ */

static void every_sample_comes_once(void **state)
{
    enum { SECONDS = 20 };
    uint32_t most;
    (void)state;
    for (int i = 0; i < SECONDS; i++) {
        atomic_fetch_add(&rig.now_s, 1);
        pause_s(0.01);
    }
    wait_all(&rig.receivers[0], 1, SECONDS, &most);
    assert_int_equal(most, 1);
    assert_int_equal(ql_stats_sum(rig.stats, "ql_remote_write_samples_total", ""),
                     SERIES * SECONDS);
    assert_int_equal(ql_stats_sum(rig.stats, "ql_remote_write_series", ""), SERIES);
}

/* Receivers come and go; who stays is left nothing out of. A request that a reload gives up may
 * have been taken: only what was in it comes again. */
static void reloads_leave_nothing_out(void **state)
{
    enum { SECONDS = 60, RELOAD_EVERY = 5 };
    uint32_t most;
    (void)state;
    for (int i = 0; i < SECONDS; i++) {
        atomic_fetch_add(&rig.now_s, 1);
        pause_s(0.004);
        if (i % RELOAD_EVERY == 0) {
            reload(i / RELOAD_EVERY % WAYS);
        }
    }
    wait_all(&rig.receivers[0], 1, SECONDS, &most);
    assert_in_range(most, 1, 1 + SECONDS / RELOAD_EVERY);
    assert_true(receiver_has(&rig.receivers[1], 1, SECONDS, &most) > 0);
    assert_int_equal(ql_stats_sum(rig.stats, "ql_records_dropped_total", ""), 0);
}

static const struct {
    const char *story;
    int status;
    bool again;        /* it is tried again, and nothing is lost */
} answer_rows[] = {
    { "away for a while", 503, true }, { "too many requests", 429, true },
    { "broken", 500, true },           { "it wants none of it", 400, false },
    { "no such page", 404, false },
};

static void what_a_receiver_answers(void **state)
{
    enum { PAGES = 3 }; /* requests of one turn */
    struct receiver *a = &rig.receivers[0];
    int64_t second = 0;
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(answer_rows); i++) {
        uint32_t most;
        const int64_t dropped = ql_stats_sum(rig.stats, "ql_records_dropped_total", "refused");
        const int64_t retried =
            ql_stats_sum(rig.stats, "ql_remote_write_requests_total", "retried");
        print_message("%s\n", answer_rows[i].story);
        const uint32_t asked = requests(a);
        atomic_store(&a->status, answer_rows[i].status);
        atomic_fetch_add(&rig.now_s, 1);
        second++;
        wait_requests(a, asked + (answer_rows[i].again ? 1 : PAGES));
        atomic_store(&a->status, 200);
        if (answer_rows[i].again) {
            wait_all(a, second, second, &most);
            assert_int_equal(most, 1);
            assert_true(ql_stats_sum(rig.stats, "ql_remote_write_requests_total", "retried") >
                        retried);
            continue;
        }
        atomic_fetch_add(&rig.now_s, 1); /* what was refused is gone, what comes later is taken */
        second++;
        wait_all(a, second, second, &most);
        assert_int_equal(receiver_has(a, second - 1, second - 1, &most), 0);
        assert_int_equal(ql_stats_sum(rig.stats, "ql_records_dropped_total", "refused"),
                         dropped + SERIES);
    }
}

static int64_t history_waits(void)
{
    return ql_stats_sum(rig.stats, "ql_remote_write_history_waits_total", "");
}

static void wait_history(int64_t more_than)
{
    const int64_t until_ns = ql_clock_mono_ns() + PATIENCE_S * QL_NS_PER_S;
    while (history_waits() <= more_than && ql_clock_mono_ns() < until_ns) {
        pause_s(0.01);
    }
    assert_true(history_waits() > more_than);
}

/* While history does not answer, what needs it waits and the others do not; then all of it
 * comes, once and without a gap. */
static void history_that_does_not_answer_leaves_no_gap(void **state)
{
    static const int moods[] = { HISTORY_REFUSES, HISTORY_BEHIND, HISTORY_LOST };
    struct receiver *a = &rig.receivers[0];
    int64_t second = 0;
    uint32_t most;
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(moods); i++) {
        atomic_store(&rig.history, moods[i]);
        for (int k = 0; k < 3; k++) {
            atomic_fetch_add(&rig.now_s, 3);
            second += 3;
            wait_history(history_waits());
        }
        atomic_store(&rig.history, HISTORY_WELL);
        wait_all(a, 1, second, &most);
        assert_int_equal(most, 1);
    }
    assert_int_equal(ql_stats_sum(rig.stats, "ql_records_dropped_total", ""), 0);
}

/* While the receiver is away some series end and are forgotten: it gets the rest of them. */
static void what_is_forgotten_meanwhile_comes_too(void **state)
{
    struct receiver *a = &rig.receivers[0];
    uint32_t most;
    (void)state;
    atomic_store(&a->status, 503);
    atomic_fetch_add(&rig.now_s, 1);
    wait_requests(a, 1);
    atomic_fetch_add(&rig.now_s, 2);
    atomic_store(&rig.forgotten, true);
    atomic_store(&a->status, 200);
    wait_all(a, 1, 3, &most);
    assert_int_equal(most, 1);
    assert_int_equal(ql_stats_sum(rig.stats, "ql_records_dropped_total", ""), 0);
}

static void wait_too_old(int64_t wanted)
{
    const int64_t until_ns = ql_clock_mono_ns() + PATIENCE_S * QL_NS_PER_S;
    while (ql_stats_sum(rig.stats, "ql_records_dropped_total", "too_old") < wanted &&
           ql_clock_mono_ns() < until_ns) {
        pause_s(0.01);
    }
    assert_int_equal(ql_stats_sum(rig.stats, "ql_records_dropped_total", "too_old"), wanted);
}

/* What history never gives is given up with the backlog, and counted. */
static void history_that_never_answers_is_counted(void **state)
{
    struct receiver *a = &rig.receivers[0];
    uint32_t most;
    (void)state;
    atomic_fetch_add(&rig.now_s, 1);
    wait_all(a, 1, 1, &most);
    atomic_store(&rig.history, HISTORY_LOST);
    atomic_fetch_add(&rig.now_s, BACKLOG_S + 10); /* all lose ten */
    wait_too_old(SERIES * 10);
    wait_history(history_waits());
    atomic_fetch_add(&rig.now_s, 20); /* what waits loses twenty more */
    wait_too_old(SERIES * 10 + (SERIES + HISTORY_EVERY - 1) / HISTORY_EVERY * 20);
}

/* Neither a reload nor the end waits for a receiver that does not answer. */
static void a_receiver_that_hangs_holds_nobody(void **state)
{
    struct receiver *a = &rig.receivers[0];
    uint32_t most;
    (void)state;
    atomic_store(&a->status, 0);
    atomic_fetch_add(&rig.now_s, 1);
    for (int k = 0; k < PATIENCE_S * 100 && atomic_load(&a->hanging) == NULL; k++) {
        pause_s(0.01);
    }
    assert_non_null(atomic_load(&a->hanging));
    const int64_t began_ns = ql_clock_mono_ns();
    reload(A_AND_B);
    assert_true(ql_clock_mono_ns() - began_ns < 5 * QL_NS_PER_S); /* its timeout is ten */
    atomic_store(&a->status, 200);
    atomic_fetch_add(&rig.now_s, 1);
    wait_all(a, 1, 2, &most);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_sample_comes_once, up, down),
        cmocka_unit_test_setup_teardown(reloads_leave_nothing_out, up, down),
        cmocka_unit_test_setup_teardown(what_a_receiver_answers, up, down),
        cmocka_unit_test_setup_teardown(history_that_does_not_answer_leaves_no_gap, up, down),
        cmocka_unit_test_setup_teardown(what_is_forgotten_meanwhile_comes_too, up, down),
        cmocka_unit_test_setup_teardown(history_that_never_answers_is_counted, up, down),
        cmocka_unit_test_setup_teardown(a_receiver_that_hangs_holds_nobody, up, down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

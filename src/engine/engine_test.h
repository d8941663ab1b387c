/* engine_test.h - a daemon's folder and lives of the engine in it, for tests that feed bodies.
 *
 * The engine's clock is on the input, so that hours take seconds. A life ends with a stop, which
 * leaves a checkpoint, or, in a child process, with neither word nor checkpoint. */
#ifndef QL_ENGINE_ENGINE_TEST_H
#define QL_ENGINE_ENGINE_TEST_H

#include "base/stat.h"
#include "config/config.h"
#include "engine/engine.h"
#include "engine/replay.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LIFE_START_S INT64_C(1767603600)
#define LIFE_STEP_S 15

struct life {
    char dir[64];
    struct ql_stats *stats;
    struct ql_engine *engine;
    atomic_uint sent, acknowledged, refused;
    ql_err (*dispatch)(void *context, const struct ql_action *action); /* may be NULL */
    void (*tick)(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus);
    void *tick_context; /* of a replay */
    struct ql_replay_result result;
};

static inline int life_setup(void **state)
{
    struct life *life = calloc(1, sizeof(*life));
    (void)snprintf(life->dir, sizeof(life->dir), "/tmp/ql-life-XXXXXX");
    life->stats = ql_stats_new(4096);
    *state = life;
    return mkdtemp(life->dir) == NULL;
}

static inline void folder_remove(const char *path)
{
    int status = 1;
    const pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", path, (char *)NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static inline int life_teardown(void **state)
{
    struct life *life = *state;
    folder_remove(life->dir);
    ql_stats_free(life->stats);
    free(life);
    return 0;
}

#define WITH_LIFE(test) cmocka_unit_test_setup_teardown(test, life_setup, life_teardown)

static inline void life_yaml(const struct life *life, const char *engine, const char *rest,
                             struct ql_buf *out)
{
    ql_buf_reset(out);
    (void)ql_buf_printf(out, "server: {data_dir: %s}\nengine: {journal_sync: 0s%s}\n%s\n",
                        life->dir, engine, rest);
}

static inline ql_err life_try(struct life *life, const char *engine, const char *rest,
                              struct ql_buf *ret_why)
{
    struct ql_buf yaml;
    struct ql_config *config;
    ql_buf_init(&yaml, 65536);
    life_yaml(life, engine, rest, &yaml);
    if (ql_config_parse(ql_buf_view(&yaml), "test", &config, ret_why) != QL_OK) {
        fail_msg("%s", ret_why->at);
    }
    ql_buf_fini(&yaml);
    const struct ql_engine_env env = { .config = config, .stats = life->stats,
                                       .clock_input = true, .dispatch = life->dispatch };
    return ql_engine_open(&env, &life->engine, ret_why);
}

/* `engine` is more of the section of that name (", tick: 10s"), `rest` the other sections. */
static inline void life_open(struct life *life, const char *engine, const char *rest)
{
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    if (life_try(life, engine, rest, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
    assert_int_equal(ql_engine_start(life->engine), QL_OK);
}

static inline void life_stop(struct life *life)
{
    ql_engine_stop(life->engine);
    ql_engine_free(life->engine);
    life->engine = NULL;
}

static inline void life_reload(struct life *life, const char *engine, const char *rest)
{
    struct ql_buf yaml;
    ql_buf_init(&yaml, 65536);
    life_yaml(life, engine, rest, &yaml);
    assert_int_equal(ql_engine_reload(life->engine, ql_buf_view(&yaml)), QL_OK);
    ql_buf_fini(&yaml);
}

static inline void life_done(void *context, ql_err err)
{
    struct life *life = context;
    atomic_fetch_add(err == QL_OK ? &life->acknowledged : &life->refused, 1);
}

static inline bool life_acknowledged(const struct life *life)
{
    for (int i = 0; i < 120000 && atomic_load(&life->acknowledged) < atomic_load(&life->sent); i++) {
        (void)usleep(500);
    }
    return atomic_load(&life->acknowledged) == atomic_load(&life->sent);
}

static inline void life_wait(const struct life *life) { assert_true(life_acknowledged(life)); }

static inline ql_time life_at(int step)
{
    return (ql_time){ (LIFE_START_S + (int64_t)step * LIFE_STEP_S) * QL_NS_PER_S };
}

/* A body through its door, as a server thread brings it in. `done` may be NULL. */
static inline void engine_feed(struct ql_engine *engine, const struct ql_wire_input *in,
                               void (*done)(void *context, ql_err err), void *context)
{
    const struct ql_accept *accept = ql_engine_accept(engine);
    const struct ql_wire_limits limits = { 20 << 20 };
    struct ql_reject reject;
    struct ql_batch *batch;
    memset(&reject, 0, sizeof(reject));
    while ((batch = accept->batch_take(accept->host)) == NULL) {
        (void)usleep(200);
    }
    if (ql_wire_decode(in, &limits, batch, &reject) != QL_OK || reject.total > 0) {
        fail_msg("%s: %s", ql_door_name(in->door), reject.text);
    }
    const struct ql_submission submission = {
        .door = (uint16_t)in->door, .encoding = (uint8_t)in->encoding,
        .format = (uint8_t)in->format, .accepted = in->accepted, .origin = in->origin,
        .bytes = in->body, .batch = batch, .done = done, .context = context };
    assert_int_equal(accept->submit(accept->host, &submission), QL_OK);
}

static inline void life_feed(struct life *life, const struct ql_wire_input *in)
{
    atomic_fetch_add(&life->sent, 1);
    engine_feed(life->engine, in, life_done, life);
}

static inline void life_send(struct life *life, enum ql_door door, enum ql_format format, int step,
                             ql_str origin, ql_str body)
{
    life_feed(life, &(struct ql_wire_input){ .door = door, .format = format, .origin = origin,
                                             .accepted = life_at(step), .body = body });
}

/* `count` gauges as OTLP, a little noise on 10 and a step up behind `fault`; `pad` spaces. */
static inline void life_gauges(struct life *life, int step, int count, int fault, size_t pad)
{
    struct ql_buf body;
    ql_buf_init(&body, 8 << 20);
    (void)ql_buf_text(&body, "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":"
                      "\"service.name\",\"value\":{\"stringValue\":\"shop\"}}]},\"scopeMetrics\":"
                      "[{\"metrics\":[");
    for (int i = 0; i < count; i++) {
        const double value = (step >= fault ? 40.0 : 10.0) + 0.1 * ((step * 7 + i * 3) % 11);
        (void)ql_buf_printf(&body, "%s{\"name\":\"load%d\",\"gauge\":{\"dataPoints\":[{"
                            "\"timeUnixNano\":\"%lld\",\"asDouble\":%.2f}]}}", i == 0 ? "" : ",",
                            i, (long long)life_at(step).ns, value);
    }
    (void)ql_buf_text(&body, "]}]}]}");
    for (size_t i = 0; i < pad; i++) {
        (void)ql_buf_char(&body, ' ');
    }
    assert_int_equal(ql_buf_check(&body), QL_OK);
    life_send(life, QL_DOOR_OTLP_METRICS, QL_FORMAT_JSON, step, QL_STR(""), ql_buf_view(&body));
    ql_buf_fini(&body);
}

/* What `run` does in a life of its own that ends without a word. */
static inline void life_killed(struct life *life, const char *engine, const char *rest,
                               void (*run)(struct life *life))
{
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        life_open(life, engine, rest);
        run(life);
        life_wait(life);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

/* Again from the journal: from the newest checkpoint up to a sequence, or what is left. */
static inline struct ql_replay_result life_again(struct life *life, uint64_t from_checkpoint)
{
    struct ql_buf why;
    struct ql_stats *stats = ql_stats_new(4096);
    const struct ql_replay_env env = { .data_dir = life->dir, .stats = stats,
                                       .from_checkpoint = from_checkpoint,
                                       .tick = life->tick, .context = life->tick_context };
    ql_buf_init(&why, 65536);
    memset(&life->result, 0, sizeof(life->result));
    if (ql_replay_run(&env, &life->result, &why) != QL_OK) {
        fail_msg("%s", why.bytes > 0 ? why.at : "replay failed");
    }
    ql_stats_free(stats);
    ql_buf_fini(&why);
    return life->result;
}

#endif

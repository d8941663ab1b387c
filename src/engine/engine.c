#include "engine/engine_int.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wait.h"
#include "config/config.h"
#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ENGINE_COMMAND_BYTES_MAX 65536u
#define ENGINE_SETTLE_S 10
#define ENGINE_FLIGHT_BYTES_MAX ((size_t)32 << 20)
#define ENGINE_FLIGHT_WAIT_S 2

static struct ql_batch *engine_accept_take(void *host)
{
    return engine_pool_take(&((struct ql_engine *)host)->pool);
}

static void engine_accept_give_back(void *host, struct ql_batch *batch)
{
    engine_pool_give_back(&((struct ql_engine *)host)->pool, batch);
}

/* Bytes in flight are bounded: past the bound a sender's thread waits a little, which is
 * back-pressure that TCP understands, before it is told to come again. */
static ql_err engine_flight(struct ql_engine *engine, struct ql_batch *batch)
{
    const size_t bytes = engine_weight(batch);
    const struct timespec deadline = ql_wait_deadline(QL_S(ENGINE_FLIGHT_WAIT_S));
    ql_err err = QL_OK;
    (void)pthread_mutex_lock(&engine->flight_lock);
    while (err == QL_OK && engine->flight_bytes > 0 &&
           engine->flight_bytes + bytes > ENGINE_FLIGHT_BYTES_MAX) {
        if (pthread_cond_timedwait(&engine->flight_eased, &engine->flight_lock, &deadline) != 0) {
            err = QL_E_FULL;
        }
    }
    if (err == QL_OK) {
        engine->flight_bytes += bytes;
        batch->flight_bytes = bytes;
    }
    (void)pthread_mutex_unlock(&engine->flight_lock);
    return err;
}

static ql_err engine_accept_submit(void *host, const struct ql_submission *submission)
{
    struct ql_engine *engine = host;
    submission->batch->source = submission->door;
    const ql_err err = engine_flight(engine, submission->batch);
    if (err != QL_OK) {
        engine_release(engine, submission->batch);
        return err;
    }
    return ql_sequencer_submit(engine->sequencer, submission, NULL);
}

static char *engine_path(const char *dir, const char *name)
{
    char *path = NULL;
    return asprintf(&path, "%s/%s", dir, name) < 0 ? NULL : path;
}

static void engine_seal(void *context, const struct ql_history_row *row)
{
    struct ql_engine *engine = context;
    if (ql_history_append(engine->history, row) != QL_OK) {
        ql_stat_add(engine->history_lost, 1);
    }
}

void engine_watch_seals(struct ql_engine *engine)
{
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        ql_recent_on_seal(ql_shard_recent(engine->machine.shards[i]), engine_seal, engine);
    }
}

static void engine_stats(struct ql_engine *engine)
{
    struct ql_stats *stats = engine->stats;
    engine->history_lost = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_history_chunks_lost_total",
                                         "Chunks that history could not take.", "");
    engine->ticks = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_ticks_total",
                                  "Ticks that the core has finished.", "");
    engine->checkpoints = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_checkpoints_total",
                                        "Checkpoints written.", "");
    engine->checkpoint_failures =
        ql_stats_cell(stats, QL_STAT_COUNTER, "ql_checkpoint_failures_total",
                      "Checkpoints that could not be written.", "");
    engine->store_failures = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_store_failures_total",
                                           "Ticks whose results could not be stored.", "");
}

static ql_err engine_open_parts(struct ql_engine *engine, const struct ql_engine_env *env,
                                struct ql_buf *ret_why)
{
    const struct ql_config *config = env->config;
    const uint32_t in_flight = config->batches_in_flight_max;
    ql_err err = ql_file_make_dirs(config->data_dir);
    engine->journal_dir = engine_path(config->data_dir, "journal");
    engine->checkpoint_dir = engine_path(config->data_dir, "checkpoint");
    if (err == QL_OK && (engine->journal_dir == NULL || engine->checkpoint_dir == NULL)) {
        err = QL_E_MEMORY;
    }
    if (err == QL_OK) {
        err = ql_file_make_dirs(engine->checkpoint_dir);
    }
    if (err != QL_OK) {
        (void)ql_buf_printf(ret_why, "%s: %s", config->data_dir, strerror(errno));
        ql_config_free(env->config);
        return err;
    }
    err = ql_machine_open(&engine->machine, env->config, env->stats);
    if (err == QL_OK) {
        err = engine_pool_init(&engine->pool, in_flight);
    }
    if (err == QL_OK && engine->machine.shard_count > 1) {
        err = engine_pool_init(&engine->parts, in_flight * engine->machine.shard_count);
    }
    if (err == QL_OK) {
        err = ql_events_init(&engine->events);
    }
    if (err == QL_OK) {
        err = ql_journal_open(engine->journal_dir, &engine->journal, ret_why);
    }
    if (err == QL_OK) {
        err = ql_store_open(config->data_dir, env->stats, &engine->store);
    }
    if (err == QL_OK) {
        const struct ql_history_limits limits = {
            .days = config->history_days, .raw_s = config->history_raw_s,
            .minutes_s = config->history_minutes_s, .bytes_max = (int64_t)config->history_bytes_max };
        err = ql_history_open(config->data_dir, &limits, env->stats, &engine->history);
    }
    if (err == QL_OK) {
        engine_watch_seals(engine);
    }
    if (err != QL_OK && ret_why->bytes == 0) {
        (void)ql_buf_printf(ret_why, "%s: %s", config->data_dir, ql_err_text(err));
    }
    return err;
}

static ql_err engine_open_sequencer(struct ql_engine *engine)
{
    const struct ql_config *config = engine->machine.config;
    const struct ql_sequencer_env env = {
        .journal = engine->journal, .stats = engine->stats,
        .tick = { (int64_t)(config->tick_s * 1e9) },
        .sync_min = { (int64_t)(config->journal_sync_s * 1e9) },
        .checkpoint = { (int64_t)(config->checkpoint_s * 1e9) },
        .checkpoint_bytes = (uint64_t)(config->journal_bytes_max / 4),
        .clock_input = engine->clock_input, .now = engine->machine.now,
        .deliver = engine_deliver, .release = engine_release, .host = engine,
    };
    return ql_sequencer_new(&env, &engine->sequencer);
}

ql_err ql_engine_open(const struct ql_engine_env *env, struct ql_engine **ret_engine,
                      struct ql_buf *ret_why)
{
    struct ql_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        return QL_E_MEMORY;
    }
    engine->stats = env->stats;
    engine->clock_input = env->clock_input;
    engine->dispatch = env->dispatch;
    engine->dispatch_context = env->context;
    engine->started_ns = ql_clock_mono_ns();
    (void)pthread_mutex_init(&engine->lock, NULL);
    (void)ql_wait_cond_init(&engine->moved);
    (void)pthread_mutex_init(&engine->flight_lock, NULL);
    (void)ql_wait_cond_init(&engine->flight_eased);
    ql_batch_init(&engine->undispatched, (size_t)1 << 24);
    engine->accept = (struct ql_accept){ engine, engine_accept_take, engine_accept_give_back,
                                         engine_accept_submit };
    engine_view_init(engine);
    engine_stats(engine);
    ql_err err = engine_open_parts(engine, env, ret_why);
    if (err == QL_OK) {
        err = engine_recover(engine, ret_why);
    }
    if (err == QL_OK) {
        err = engine_open_sequencer(engine);
    }
    if (err == QL_OK && env->config_yaml.bytes > 0) {
        err = ql_engine_reload(engine, env->config_yaml);
    }
    if (err != QL_OK) {
        ql_engine_free(engine);
        return err;
    }
    engine->core_tick = engine->core_opened;
    *ret_engine = engine;
    return QL_OK;
}

ql_err ql_engine_start(struct ql_engine *engine)
{
    ql_err err = engine_threads_start(engine);
    if (err == QL_OK) {
        err = ql_sequencer_start(engine->sequencer);
        engine->running = err == QL_OK;
    }
    for (uint32_t i = 0; i < engine->undispatched.actions.count && engine->dispatch != NULL; i++) {
        engine->dispatch(engine->dispatch_context, &engine->undispatched.actions.at[i]);
    }
    ql_batch_reset(&engine->undispatched);
    return err;
}

const struct ql_accept *ql_engine_accept(struct ql_engine *engine)
{
    return &engine->accept;
}

const struct ql_view *ql_engine_view(struct ql_engine *engine)
{
    return &engine->view;
}

ql_err ql_engine_outcome(struct ql_engine *engine, const struct ql_outcome *outcome)
{
    struct ql_buf bytes;
    struct ql_batch *batch = engine_pool_take(&engine->pool);
    if (batch == NULL) {
        return QL_E_FULL;
    }
    ql_buf_init(&bytes, ENGINE_COMMAND_BYTES_MAX * 2);
    ql_err err = ql_wire_outcome_write(outcome, &bytes);
    if (err == QL_OK) {
        err = ql_batch_copy_outcome(batch, outcome);
    }
    if (err != QL_OK) {
        engine_pool_give_back(&engine->pool, batch);
    } else {
        const struct ql_submission submission = {
            .door = QL_DOOR_OUTCOME, .format = QL_FORMAT_OWN, .accepted = outcome->at,
            .bytes = ql_buf_view(&bytes), .batch = batch,
        };
        err = ql_sequencer_submit(engine->sequencer, &submission, NULL);
        ql_sequencer_wish_tick(engine->sequencer);
    }
    ql_buf_fini(&bytes);
    return err;
}

struct engine_reload {
    pthread_mutex_t lock;
    pthread_cond_t said;
    bool done;
    ql_err err;
};

static void engine_reload_done(void *context, ql_err err)
{
    struct engine_reload *reload = context;
    (void)pthread_mutex_lock(&reload->lock);
    reload->done = true;
    reload->err = err;
    (void)pthread_cond_signal(&reload->said);
    (void)pthread_mutex_unlock(&reload->lock);
}

/* Takes config. Without a deadline: the sequencer tells of every record it took, and an answer
 * that is not waited for would leave half of the program with other settings than the rest. */
static ql_err engine_reload_wait(struct ql_engine *engine, struct ql_sequencer_own *own)
{
    struct engine_reload reload = { .done = false };
    (void)pthread_mutex_init(&reload.lock, NULL);
    (void)ql_wait_cond_init(&reload.said);
    own->done = engine_reload_done;
    own->context = &reload;
    ql_err err = ql_sequencer_say(engine->sequencer, own);
    if (err != QL_OK) {
        ql_config_free(own->config);
    } else {
        (void)pthread_mutex_lock(&reload.lock);
        while (!reload.done) {
            (void)pthread_cond_wait(&reload.said, &reload.lock);
        }
        err = reload.err;
        (void)pthread_mutex_unlock(&reload.lock);
    }
    (void)pthread_cond_destroy(&reload.said);
    (void)pthread_mutex_destroy(&reload.lock);
    return err;
}

ql_err ql_engine_reload(struct ql_engine *engine, ql_str yaml)
{
    struct ql_config *config;
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    ql_err err = ql_config_parse(yaml, "configuration", &config, &why);
    ql_buf_fini(&why);
    if (err != QL_OK) {
        return err;
    }
    struct ql_sequencer_own own = { .kind = QL_JOURNAL_CONFIG, .payload = yaml, .config = config };
    if (engine->running) {
        return engine_reload_wait(engine, &own);
    }
    err = ql_sequencer_say(engine->sequencer, &own);
    if (err != QL_OK) {
        ql_config_free(config);
    }
    return err;
}

/* Until the core has seen all that was accepted, so that its last digests find their way
 * into the journal too. A journal that cannot be written is not waited for. */
static void engine_settle(struct ql_engine *engine)
{
    const uint64_t newest = ql_sequencer_refuse(engine->sequencer);
    if (!engine->core_running || ql_sequencer_now(engine->sequencer).ns == QL_TIME_NONE.ns) {
        return;
    }
    ql_sequencer_wish_tick(engine->sequencer);
    const struct timespec deadline = ql_wait_deadline(QL_S(ENGINE_SETTLE_S));
    (void)pthread_mutex_lock(&engine->lock);
    while (engine->core_tick < newest &&
           pthread_cond_timedwait(&engine->moved, &engine->lock, &deadline) == 0) {
    }
    (void)pthread_mutex_unlock(&engine->lock);
}

void ql_engine_stop(struct ql_engine *engine)
{
    engine_settle(engine);
    ql_sequencer_stop(engine->sequencer);
    engine->running = false;
    engine_threads_stop(engine);
    ql_events_close(&engine->events);
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        ql_shard_flush(engine->machine.shards[i]);
    }
}

void ql_engine_free(struct ql_engine *engine)
{
    if (engine == NULL) {
        return;
    }
    ql_sequencer_free(engine->sequencer);
    ql_journal_close(engine->journal);
    ql_machine_close(&engine->machine);
    ql_history_close(engine->history);
    ql_store_close(engine->store);
    ql_events_fini(&engine->events);
    engine_pool_fini(&engine->pool);
    engine_pool_fini(&engine->parts);
    ql_batch_fini(&engine->undispatched);
    for (uint32_t i = 0; i < QL_COUNT_OF(engine->retired); i++) {
        ql_config_free(engine->retired[i]);
    }
    (void)pthread_cond_destroy(&engine->moved);
    (void)pthread_cond_destroy(&engine->flight_eased);
    (void)pthread_mutex_destroy(&engine->flight_lock);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine->journal_dir);
    free(engine->checkpoint_dir);
    free(engine);
}

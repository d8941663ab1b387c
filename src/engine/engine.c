#include "engine/engine_int.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/wait.h"
#include "config/config.h"
#include "engine/checkpoint.h"
#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ENGINE_COMMAND_BYTES_MAX 65536u
#define ENGINE_SETTLE_S 10
#define ENGINE_STATUS_NOT_RUN 125 /* as the actuator says it */
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
                                           "Ticks at whose end results waited to be stored.", "");
}

static ql_err engine_open_parts(struct ql_engine *engine, const struct ql_engine_env *env,
                                struct ql_buf *ret_why)
{
    const struct ql_config *config = env->config;
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
        return err;
    }
    err = engine_pool_init(&engine->pool, config->batches_in_flight_max);
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
    if (err != QL_OK && ret_why->bytes == 0) {
        (void)ql_buf_printf(ret_why, "%s: %s", config->data_dir, ql_err_text(err));
    }
    return err;
}

/* A sequence is given once: what store, audit log and checkpoints have of one they will not take
 * again. So where files of the journal were lost it goes on above all of them. */
static ql_err engine_newest(struct ql_engine *engine, uint64_t *ret_newest)
{
    const uint64_t last = ql_journal_last(engine->journal);
    const uint64_t checkpoint = ql_checkpoint_newest(engine->checkpoint_dir);
    uint64_t newest;
    const ql_err err = ql_store_newest(engine->store, &newest);
    if (err == QL_OK && (newest > last || checkpoint > last)) {
        QL_LOG(WARN, "the journal is behind what was made of it: records were lost; it goes on "
               "above them", QL_LOG_N("journal", last), QL_LOG_N("store", newest),
               QL_LOG_N("checkpoint", checkpoint));
    }
    *ret_newest = checkpoint > newest ? checkpoint : newest;
    return err;
}

static ql_err engine_open_sequencer(struct ql_engine *engine)
{
    uint64_t newest;
    ql_err err = engine_newest(engine, &newest);
    if (err != QL_OK) {
        return err;
    }
    const struct ql_config *config = engine->config; /* the machine's may still be the old one */
    const struct ql_sequencer_env env = {
        .journal = engine->journal, .stats = engine->stats,
        .tick = { (int64_t)(config->tick_s * 1e9) },
        .sync_min = { (int64_t)(config->journal_sync_s * 1e9) },
        .checkpoint = { (int64_t)(config->checkpoint_s * 1e9) },
        .checkpoint_bytes = (uint64_t)(config->journal_bytes_max / 4),
        .clock_input = engine->clock_input, .newest = newest, .now = engine->machine.now,
        .deliver = engine_deliver, .release = engine_release, .host = engine,
    };
    const uint32_t shards = engine->machine.shard_count;
    if (shards > 1) {
        err = engine_pool_init(&engine->parts, config->batches_in_flight_max * shards);
    }
    if (err == QL_OK) {
        err = ql_sequencer_new(&env, &engine->sequencer);
    }
    if (err == QL_OK && newest > ql_journal_last(engine->journal)) {
        const struct ql_sequencer_own own = { .kind = QL_JOURNAL_BEHIND,
                                              .about = engine->machine.sequence,
                                              .payload = QL_STR("") };
        err = ql_sequencer_say(engine->sequencer, &own);
    }
    return err;
}

static ql_err engine_begin(struct ql_engine *engine);

/* While the disk refuses, input is refused too: they still enter before it. */
static void engine_begun(void *context, ql_err err)
{
    if (err != QL_OK && (err = engine_begin(context)) != QL_OK && err != QL_E_CLOSED) {
        QL_LOG(ERROR, "the settings could not enter the journal; SIGHUP tries it again",
               QL_LOG_T("error", ql_err_text(err)));
    }
}

/* The settings of this life, as the first record of it. */
static ql_err engine_begin(struct ql_engine *engine)
{
    struct ql_config *config;
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    ql_err err = ql_config_parse(engine->config->text, "configuration", &config, &why);
    ql_buf_fini(&why);
    if (err != QL_OK) {
        return err;
    }
    const struct ql_sequencer_own own = {
        .kind = engine->anew ? QL_JOURNAL_ANEW : QL_JOURNAL_START,
        .about = engine->anew_incident, .payload = config->text, .config = config,
        .done = engine_begun, .context = engine };
    err = ql_sequencer_say(engine->sequencer, &own);
    if (err != QL_OK) {
        ql_config_free(config);
    }
    return err;
}

ql_err ql_engine_open(const struct ql_engine_env *env, struct ql_engine **ret_engine,
                      struct ql_buf *ret_why)
{
    struct ql_engine *engine = calloc(1, sizeof(*engine));
    if (engine == NULL) {
        ql_config_free(env->config);
        return QL_E_MEMORY;
    }
    engine->config = env->config;
    engine->stats = env->stats;
    engine->clock_input = env->clock_input;
    engine->dispatch = env->dispatch;
    engine->dispatch_context = env->context;
    engine->started_ns = ql_clock_mono_ns();
    engine->trimmed_at = UINT64_MAX; /* never yet */
    (void)pthread_mutex_init(&engine->lock, NULL);
    (void)ql_wait_cond_init(&engine->moved);
    (void)pthread_mutex_init(&engine->flight_lock, NULL);
    (void)ql_wait_cond_init(&engine->flight_eased);
    ql_wait_init(&engine->store_wait);
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
    if (err == QL_OK) {
        err = engine_begin(engine);
    }
    if (err != QL_OK) {
        ql_engine_free(engine);
        return err;
    }
    engine->core_tick = engine->core_opened;
    engine->core_now = QL_TIME_NONE;
    *ret_engine = engine;
    return QL_OK;
}

static void engine_not_run(struct ql_engine *engine, const struct ql_action *action,
                           const char *why);

/* Steps that a crash kept from the actuator, unless somebody forbade them in between: the machine
 * has decided under the settings of then, and finds that no word of them comes. */
static void engine_dispatch_late(struct ql_engine *engine)
{
    const struct ql_batch *late = &engine->undispatched;
    const bool allowed = engine->config->act_mode >= QL_ACT_APPROVE;
    for (uint32_t i = 0; i < late->actions.count && engine->running; i++) {
        if (allowed) {
            engine_dispatch(engine, &late->actions.at[i]);
        } else {
            engine_not_run(engine, &late->actions.at[i], "act.mode forbids it now");
        }
    }
    ql_batch_reset(&engine->undispatched);
}

ql_err ql_engine_start(struct ql_engine *engine)
{
    ql_err err = engine_threads_start(engine);
    if (err == QL_OK) {
        err = ql_sequencer_start(engine->sequencer);
        engine->running = err == QL_OK;
    }
    engine_dispatch_late(engine);
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

/* `word` (may be NULL) is told how it went with the journal, unless this fails. */
static ql_err engine_outcome_submit(struct ql_engine *engine, const struct ql_outcome *outcome,
                                    struct engine_word *word)
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
            .done = word == NULL ? NULL : engine_word_said, .context = word,
        };
        batch->source = QL_DOOR_OUTCOME;
        err = ql_sequencer_submit(engine->sequencer, &submission, NULL);
        ql_sequencer_wish_tick(engine->sequencer);
    }
    ql_buf_fini(&bytes);
    return err;
}

ql_err ql_engine_outcome(struct ql_engine *engine, const struct ql_outcome *outcome)
{
    struct engine_word *word = engine_word_new();
    const ql_err err = word == NULL ? QL_E_MEMORY : engine_outcome_submit(engine, outcome, word);
    if (err != QL_OK) {
        engine_word_unsaid(word);
        return err;
    }
    return engine_word_wait(word, -1);
}

/* A step that was due and cannot be handed on: journaled, so that nobody waits for it. */
static void engine_not_run(struct ql_engine *engine, const struct ql_action *action,
                           const char *why)
{
    char text[128];
    (void)snprintf(text, sizeof(text), "not run: %s", why);
    const struct ql_outcome outcome = { .action = action->id, .at = ql_clock_now(),
                                        .exit_code = ENGINE_STATUS_NOT_RUN,
                                        .output = ql_str_of(text) };
    if (engine_outcome_submit(engine, &outcome, NULL) != QL_OK) {
        QL_LOG(ERROR, "an action could not be handed to the actuator; it will time out",
               QL_LOG_T("reason", why));
    }
}

void engine_dispatch(struct ql_engine *engine, const struct ql_action *action)
{
    const ql_err err = engine->dispatch == NULL
                           ? QL_OK
                           : engine->dispatch(engine->dispatch_context, action);
    if (err != QL_OK) {
        engine_not_run(engine, action,
                       err == QL_E_CLOSED ? "the daemon stopped" : ql_err_text(err));
    }
}

/* Takes config. Without a deadline: the sequencer tells of every record it took, and an answer
 * that is not waited for would leave half of the program with other settings than the rest. */
static ql_err engine_reload_wait(struct ql_engine *engine, struct ql_sequencer_own *own)
{
    struct engine_word *word = engine_word_new();
    own->done = engine_word_said;
    own->context = word;
    const ql_err err = word == NULL ? QL_E_MEMORY : ql_sequencer_say(engine->sequencer, own);
    if (err != QL_OK) {
        engine_word_unsaid(word);
        ql_config_free(own->config);
        return err;
    }
    return engine_word_wait(word, -1);
}

ql_err ql_engine_reload(struct ql_engine *engine, ql_str yaml)
{
    struct ql_config *config;
    struct ql_buf why;
    if (!engine->running) {
        return QL_E_CLOSED;
    }
    ql_buf_init(&why, 65536);
    ql_err err = ql_config_parse(yaml, "configuration", &config, &why);
    ql_buf_fini(&why);
    if (err != QL_OK) {
        return err;
    }
    struct ql_sequencer_own own = { .kind = QL_JOURNAL_CONFIG, .payload = yaml, .config = config };
    return engine_reload_wait(engine, &own);
}

/* Until the core has seen all that was accepted, so that its last digests find their way
 * into the journal too. A journal that cannot be written is not waited for. */
static void engine_settle(struct ql_engine *engine)
{
    const uint64_t newest = ql_sequencer_refuse(engine->sequencer);
    ql_wait_stop(&engine->store_wait);
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
    ql_config_free(engine->config);
    ql_history_close(engine->history);
    ql_store_close(engine->store);
    ql_events_fini(&engine->events);
    engine_pool_fini(&engine->pool);
    engine_pool_fini(&engine->parts);
    ql_batch_fini(&engine->undispatched);
    for (uint32_t i = 0; i < QL_COUNT_OF(engine->retired); i++) {
        ql_config_free(engine->retired[i]);
    }
    ql_wait_fini(&engine->store_wait);
    (void)pthread_cond_destroy(&engine->moved);
    (void)pthread_cond_destroy(&engine->flight_eased);
    (void)pthread_mutex_destroy(&engine->flight_lock);
    (void)pthread_mutex_destroy(&engine->lock);
    free(engine->journal_dir);
    free(engine->checkpoint_dir);
    free(engine);
}

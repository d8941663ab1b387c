/* engine_threads.c - the threads around shards and core, and what passes between them. */
#include "engine/engine_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "config/config.h"
#include "engine/checkpoint.h"

#include <malloc.h>
#include <stdlib.h>
#include <time.h>

#define ENGINE_ARENA_BYTES_MAX ((size_t)256 << 20)
#define ENGINE_SMALL_SAMPLES_MAX 4096u /* a batch that grew past this is large */
#define ENGINE_LARGE_KEPT 2u           /* so many large ones stay warm; more give theirs back */

/* ---- batches ---------------------------------------------------------------------- */

ql_err engine_pool_init(struct engine_pool *pool, uint32_t count)
{
    (void)pthread_mutex_init(&pool->lock, NULL);
    pool->all = calloc(count, sizeof(*pool->all));
    pool->free = calloc(count, sizeof(*pool->free));
    if (pool->all == NULL || pool->free == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < count; i++) {
        ql_batch_init(&pool->all[i], ENGINE_ARENA_BYTES_MAX);
        /* The first ones come out first and stay warm; an idle daemon touches few. */
        pool->free[count - 1 - i] = &pool->all[i];
    }
    pool->count = pool->free_count = count;
    return QL_OK;
}

void engine_pool_fini(struct engine_pool *pool)
{
    for (uint32_t i = 0; i < pool->count; i++) {
        ql_batch_fini(&pool->all[i]);
    }
    free(pool->all);
    free(pool->free);
    (void)pthread_mutex_destroy(&pool->lock);
}

struct ql_batch *engine_pool_take(struct engine_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    struct ql_batch *batch = pool->free_count == 0 ? NULL : pool->free[--pool->free_count];
    if (batch != NULL && batch->samples.capacity > ENGINE_SMALL_SAMPLES_MAX) {
        pool->large_free--;
    }
    (void)pthread_mutex_unlock(&pool->lock);
    return batch;
}

void engine_pool_give_back(struct engine_pool *pool, struct ql_batch *batch)
{
    ql_batch_reset(batch);
    (void)pthread_mutex_lock(&pool->lock);
    if (batch->samples.capacity > ENGINE_SMALL_SAMPLES_MAX) {
        if (pool->large_free < ENGINE_LARGE_KEPT) {
            pool->large_free++;
        } else {
            ql_batch_fini(batch);
            ql_batch_init(batch, ENGINE_ARENA_BYTES_MAX);
        }
    }
    QL_ASSERT(pool->free_count < pool->count);
    pool->free[pool->free_count++] = batch;
    (void)pthread_mutex_unlock(&pool->lock);
}

/* Large ones give theirs back: what was sent is worked off and nothing new came. */
static void engine_pool_cool(struct engine_pool *pool)
{
    (void)pthread_mutex_lock(&pool->lock);
    for (uint32_t i = 0; i < pool->free_count && pool->large_free > 0; i++) {
        if (pool->free[i]->samples.capacity > ENGINE_SMALL_SAMPLES_MAX) {
            ql_batch_fini(pool->free[i]);
            ql_batch_init(pool->free[i], ENGINE_ARENA_BYTES_MAX);
            pool->large_free--;
        }
    }
    (void)pthread_mutex_unlock(&pool->lock);
}

size_t engine_weight(const struct ql_batch *batch)
{
    return ql_blob_view(batch->body).bytes + batch->arena.used_bytes +
           batch->runs.count * sizeof(struct ql_run) +
           batch->samples.count * (sizeof(struct ql_sample) + sizeof(struct ql_point));
}

void engine_release(void *host, struct ql_batch *batch)
{
    struct ql_engine *engine = host;
    const bool part = batch >= engine->parts.all && batch < engine->parts.all + engine->parts.count;
    if (!part && batch->flight_bytes > 0) {
        (void)pthread_mutex_lock(&engine->flight_lock);
        QL_ASSERT(engine->flight_bytes >= batch->flight_bytes);
        engine->flight_bytes -= batch->flight_bytes;
        (void)pthread_cond_broadcast(&engine->flight_eased);
        (void)pthread_mutex_unlock(&engine->flight_lock);
    }
    engine_pool_give_back(part ? &engine->parts : &engine->pool, batch);
}

/* ---- from the sequencer to shards and core ------------------------------------------ */

/* Rings are sized for every batch in flight; only ticks can find one full, and wait. */
static void engine_send(struct ql_ring *ring, struct engine_message message)
{
    struct engine_message *copy = malloc(sizeof(*copy));
    QL_ASSERT(copy != NULL); /* 64 bytes: without them nothing else goes on either */
    *copy = message;
    while (ql_ring_push(ring, copy) == QL_E_FULL) {
        const struct timespec pause = { .tv_nsec = 1000000 };
        (void)nanosleep(&pause, NULL);
    }
}

static void engine_deliver_series(struct ql_engine *engine, const struct ql_entry *entry)
{
    struct engine_message message = { .type = MESSAGE_BATCH, .now = entry->now,
                                      .sequence = entry->sequence, .batch = entry->batch };
    const uint32_t count = engine->machine.shard_count;
    if (count == 1) {
        engine_send(&engine->shards[0].ring, message);
        return;
    }
    struct ql_batch *parts[QL_SHARDS_MAX] = { NULL };
    for (uint32_t i = 0; i < count; i++) {
        while ((parts[i] = engine_pool_take(&engine->parts)) == NULL) {
            const struct timespec pause = { .tv_nsec = 1000000 };
            (void)nanosleep(&pause, NULL);
        }
    }
    if (ql_machine_split(entry->batch, count, parts) != QL_OK) {
        QL_LOG(ERROR, "no memory to part a batch over shards; its rest is left to a replay");
    }
    engine_release(engine, entry->batch);
    for (uint32_t i = 0; i < count; i++) {
        message.batch = parts[i];
        engine_send(&engine->shards[i].ring, message);
    }
}

void engine_deliver(void *host, const struct ql_entry *entry)
{
    struct ql_engine *engine = host;
    if (entry->batch != NULL) {
        atomic_fetch_add_explicit(&engine->delivered, 1, memory_order_relaxed);
    }
    struct engine_message message = { .sequence = entry->sequence, .now = entry->now,
                                      .flags = entry->flags, .batch = entry->batch,
                                      .config = entry->config };
    if (entry->batch != NULL) {
        entry->batch->sequence = entry->sequence;
        entry->batch->accepted = entry->now;
        if (ql_machine_is_series(entry->batch)) {
            engine_deliver_series(engine, entry);
            return;
        }
        message.type = MESSAGE_BATCH;
        engine_send(&engine->core_ring, message);
        return;
    }
    if (entry->kind != QL_JOURNAL_TICK && !ql_journal_has_settings(entry->kind)) {
        return;
    }
    message.type = entry->kind == QL_JOURNAL_TICK ? MESSAGE_TICK : MESSAGE_CONFIG;
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        engine_send(&engine->shards[i].ring, message);
    }
    engine_send(&engine->core_ring, message);
}

/* ---- a shard's thread --------------------------------------------------------------- */

static void shard_thread_tick(struct engine_shard *s, const struct engine_message *message,
                              uint64_t previous_tick)
{
    struct ql_engine *engine = s->engine;
    struct ql_shard *shard = engine->machine.shards[s->index];
    struct ql_shard_out *out = &engine->machine.outs[s->index];
    /* What the core asked at the tick before is known only when it has finished that one. */
    (void)pthread_mutex_lock(&engine->lock);
    while (engine->core_tick < previous_tick) {
        (void)pthread_cond_wait(&engine->moved, &engine->lock);
    }
    (void)pthread_mutex_unlock(&engine->lock);
    const struct ql_model_set *set = ql_core_model_set(engine->machine.core);
    if (set != NULL) {
        ql_shard_adopt(shard, set);
    }
    ql_batch_reset(&out->batch);
    ql_shard_tick(shard, message->now, ql_core_requests(engine->machine.core), out);
    if ((message->flags & QL_TICK_CHECKPOINT) != 0) {
        s->part_failed = ql_checkpoint_part_open(engine->checkpoint_dir, message->sequence,
                                                 1 + s->index, &s->part) != QL_OK ||
                         ql_shard_save(shard, ql_checkpoint_part_buf(s->part)) != QL_OK;
    }
    (void)pthread_mutex_lock(&engine->lock);
    s->closed_tick = message->sequence;
    (void)pthread_cond_broadcast(&engine->moved);
    (void)pthread_mutex_unlock(&engine->lock);
}

static void shard_thread_answer(struct engine_shard *s, struct engine_question *question)
{
    (void)pthread_mutex_lock(&question->lock);
    if (!question->abandoned) {
        question->answer(s->engine->machine.shards[s->index], question);
        question->done = true;
        (void)pthread_cond_signal(&question->answered);
    }
    const bool last = --question->refs == 0;
    (void)pthread_mutex_unlock(&question->lock);
    if (last) {
        (void)pthread_cond_destroy(&question->answered);
        (void)pthread_mutex_destroy(&question->lock);
        free(question);
    }
}

static void *shard_thread_main(void *context)
{
    struct engine_shard *s = context;
    struct ql_shard *shard = s->engine->machine.shards[s->index];
    uint64_t previous_tick = s->engine->core_opened;
    void *item;
    while (ql_ring_pop(&s->ring, -1, &item) == QL_OK) {
        struct engine_message *message = item;
        switch (message->type) {
        case MESSAGE_BATCH:
            ql_shard_push(shard, message->now, message->batch);
            engine_release(s->engine, message->batch);
            break;
        case MESSAGE_TICK:
            shard_thread_tick(s, message, previous_tick);
            previous_tick = message->sequence;
            break;
        case MESSAGE_CONFIG:
            if (ql_shard_adopt_config(shard, message->config) != QL_OK) {
                QL_LOG(ERROR, "a stage refused a checked configuration");
            }
            break;
        case MESSAGE_ASK:
            shard_thread_answer(s, message->question);
            break;
        }
        free(message);
    }
    return NULL;
}

/* ---- the core's thread --------------------------------------------------------------- */

/* The core's part; it is closed in any case. */
static ql_err core_thread_part(struct ql_engine *engine, uint64_t sequence)
{
    struct ql_checkpoint_part *part;
    ql_err err = ql_checkpoint_part_open(engine->checkpoint_dir, sequence, 0, &part);
    if (err != QL_OK) {
        return err;
    }
    err = ql_machine_save_core(&engine->machine, ql_checkpoint_part_buf(part));
    const ql_err closed = ql_checkpoint_part_close(part);
    return err != QL_OK ? err : closed;
}

static ql_err core_thread_shard_parts(struct ql_engine *engine)
{
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        struct engine_shard *s = &engine->shards[i];
        ql_err closed = s->part != NULL ? ql_checkpoint_part_close(s->part) : QL_E_IO;
        closed = closed == QL_OK && s->part_failed ? QL_E_IO : closed;
        err = err == QL_OK ? closed : err;
        s->part = NULL;
    }
    return err;
}

static void core_thread_checkpoint(struct ql_engine *engine, uint64_t sequence, ql_time now)
{
    engine->machine.sequence = sequence;
    engine->machine.now = now;
    /* What sealed before this tick is not in the state: it must be in history by now. */
    ql_err err = ql_history_flush(engine->history);
    if (err == QL_OK) { /* nor may the journal be cut before its effects are on disk */
        err = ql_store_sync(engine->store);
    }
    const ql_err shards = core_thread_shard_parts(engine);
    err = err == QL_OK ? shards : err;
    if (err == QL_OK) {
        err = core_thread_part(engine, sequence);
    }
    if (err == QL_OK) {
        err = ql_checkpoint_commit(engine->checkpoint_dir, sequence,
                                   1 + engine->machine.shard_count);
    }
    if (err != QL_OK) {
        ql_checkpoint_drop(engine->checkpoint_dir, sequence, 1 + engine->machine.shard_count);
        ql_stat_add(engine->checkpoint_failures, 1);
        QL_LOG(WARN, "checkpoint failed; the journal is kept longer",
               QL_LOG_T("error", ql_err_text(err)));
        ql_sequencer_checkpoint_failed(engine->sequencer);
        return;
    }
    ql_stat_add(engine->checkpoints, 1);
    /* A replay can start from the older checkpoint as long as the journal has room for it. */
    const uint64_t kept_max = (uint64_t)engine->machine.config->journal_bytes_max / 2;
    const uint64_t bytes = ql_sequencer_journal_bytes(engine->sequencer);
    ql_sequencer_checkpointed(engine->sequencer,
                              bytes > kept_max ? ql_checkpoint_oldest(engine->checkpoint_dir) : 0);
}

/* A burst, or what was read at the start, leaves large batches and holes in the heap; the first
 * quiet tick behind it gives them back. */
static void core_thread_trim(struct ql_engine *engine)
{
    const uint64_t delivered = atomic_load_explicit(&engine->delivered, memory_order_relaxed);
    if (delivered == engine->delivered_seen && delivered != engine->trimmed_at) {
        engine_pool_cool(&engine->pool);
        engine_pool_cool(&engine->parts);
        (void)malloc_trim(0);
        engine->trimmed_at = delivered;
    }
    engine->delivered_seen = delivered;
}

static void core_thread_tick(struct ql_engine *engine, const struct engine_message *message)
{
    struct ql_shard_out *outs[QL_SHARDS_MAX];
    struct ql_buf digests;
    (void)pthread_mutex_lock(&engine->lock);
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        outs[i] = &engine->machine.outs[i];
        while (engine->shards[i].closed_tick < message->sequence) {
            (void)pthread_cond_wait(&engine->moved, &engine->lock);
        }
    }
    (void)pthread_mutex_unlock(&engine->lock);
    const struct ql_model_set *set = ql_core_model_set(engine->machine.core);
    if (set != NULL) {
        ql_core_adopt(engine->machine.core, set);
    }
    const struct ql_batch *bus = ql_core_tick(engine->machine.core, message->now, outs,
                                              engine->machine.shard_count);
    ql_buf_init(&digests, 4096);
    (void)ql_machine_digests(&engine->machine, &digests);
    engine_effects(engine, message->sequence, message->now, bus, true);
    if ((message->flags & QL_TICK_CHECKPOINT) != 0) {
        core_thread_checkpoint(engine, message->sequence, message->now);
    }
    const struct ql_sequencer_own own = { .kind = QL_JOURNAL_DIGEST, .about = message->sequence,
                                          .payload = ql_buf_view(&digests) };
    (void)!ql_sequencer_say(engine->sequencer, &own);
    ql_buf_fini(&digests);
    core_thread_trim(engine);
    ql_stat_add(engine->ticks, 1);
    (void)pthread_mutex_lock(&engine->lock);
    engine->core_tick = message->sequence;
    engine->core_now = message->now;
    (void)pthread_cond_broadcast(&engine->moved);
    (void)pthread_mutex_unlock(&engine->lock);
}

/* The old settings may still be read by a shard that has not come to this message. */
static void core_thread_config(struct ql_engine *engine, struct ql_config *config)
{
    if (ql_core_adopt_config(engine->machine.core, config) != QL_OK) {
        QL_LOG(ERROR, "a stage refused a checked configuration");
    }
    const uint32_t at = engine->retired_count++ % QL_COUNT_OF(engine->retired);
    ql_config_free(engine->retired[at]);
    engine->retired[at] = engine->machine.config;
    engine->machine.config = config;
}

static void *core_thread_main(void *context)
{
    struct ql_engine *engine = context;
    void *item;
    while (ql_ring_pop(&engine->core_ring, -1, &item) == QL_OK) {
        struct engine_message *message = item;
        switch (message->type) {
        case MESSAGE_BATCH:
            ql_core_input(engine->machine.core, message->batch);
            engine_release(engine, message->batch);
            break;
        case MESSAGE_TICK: core_thread_tick(engine, message); break;
        case MESSAGE_CONFIG: core_thread_config(engine, message->config); break;
        case MESSAGE_ASK: break;
        }
        free(message);
    }
    return NULL;
}

/* ---- start and stop ------------------------------------------------------------------- */

ql_err engine_threads_start(struct ql_engine *engine)
{
    const uint32_t capacity = engine->pool.count + 1024;
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        struct engine_shard *s = &engine->shards[i];
        s->engine = engine;
        s->index = i;
        const ql_err err = ql_ring_init(&s->ring, capacity);
        if (err != QL_OK) {
            return err;
        }
        s->running = pthread_create(&s->thread, NULL, shard_thread_main, s) == 0;
        if (!s->running) {
            return QL_E_MEMORY;
        }
    }
    const ql_err err = ql_ring_init(&engine->core_ring, capacity);
    if (err != QL_OK) {
        return err;
    }
    engine->core_running = pthread_create(&engine->core_thread, NULL, core_thread_main, engine) == 0;
    return engine->core_running ? QL_OK : QL_E_MEMORY;
}

/* The sequencer has stopped: what it delivered is worked off, shards before the core. */
void engine_threads_stop(struct ql_engine *engine)
{
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        if (engine->shards[i].running) {
            ql_ring_close(&engine->shards[i].ring);
        }
    }
    if (engine->core_running) {
        ql_ring_close(&engine->core_ring);
        (void)pthread_join(engine->core_thread, NULL);
        engine->core_running = false;
        ql_ring_fini(&engine->core_ring);
    }
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        struct engine_shard *s = &engine->shards[i];
        if (s->running) {
            (void)pthread_join(s->thread, NULL);
            s->running = false;
            ql_ring_fini(&s->ring);
        }
    }
}

/* engine_int.h - what the files of the running engine share: messages, pools, threads. */
#ifndef QL_ENGINE_ENGINE_INT_H
#define QL_ENGINE_ENGINE_INT_H

#include "base/ring.h"
#include "base/wait.h"
#include "config/config.h"
#include "engine/engine.h"
#include "engine/events.h"
#include "engine/machine.h"
#include "engine/sequencer.h"
#include "store/history.h"
#include "store/store.h"

#include <pthread.h>
#include <stdatomic.h>

enum message_type { MESSAGE_BATCH, MESSAGE_TICK, MESSAGE_CONFIG, MESSAGE_ASK };

/* A question from a view, answered by a shard between two batches. */
struct engine_question {
    void (*answer)(struct ql_shard *shard, struct engine_question *question);
    pthread_mutex_t lock;
    pthread_cond_t answered;
    uint32_t refs;      /* asker and shard; freed by the last */
    bool done, abandoned;
    void *context;
};

struct engine_message {
    enum message_type type;
    uint8_t flags;
    uint64_t sequence;
    ql_time now;
    struct ql_batch *batch;
    struct ql_config *config;
    struct engine_question *question;
};

struct engine_shard {
    struct ql_engine *engine;
    uint32_t index;
    struct ql_ring ring;
    pthread_t thread;
    bool running;
    uint64_t closed_tick;  /* newest tick whose outs are ready; under engine->lock */
    struct ql_checkpoint_part *part; /* written at a checkpoint tick, closed by the core */
    bool part_failed;
};

/* Batches that are lent out; a plain free list under its own lock. */
struct engine_pool {
    pthread_mutex_t lock;
    struct ql_batch *all;
    struct ql_batch **free;
    uint32_t count, free_count, large_free;
};

struct ql_engine {
    struct ql_machine machine;
    struct ql_config *config;    /* of this start; the machine has its own, in force */
    bool no_checkpoints; /* at the start; see engine_recover.c */
    bool anew;                   /* it forgets what was learnt before */
    uint64_t anew_incident;      /* ... but for the greatest id that was given */
    struct ql_sequencer *sequencer;
    struct ql_journal *journal;
    struct ql_store *store;
    struct ql_history *history;
    struct ql_stats *stats;
    struct ql_events events;
    struct engine_pool pool, parts;
    struct engine_shard shards[QL_SHARDS_MAX];
    struct ql_ring core_ring;
    pthread_t core_thread;
    bool core_running, clock_input, store_failed, store_full;
    struct ql_wait store_wait; /* of the core for room in the store; a stop ends it */
    pthread_mutex_t flight_lock;
    pthread_cond_t flight_eased;
    size_t flight_bytes;   /* decoded and not yet worked off */
    _Atomic uint64_t delivered; /* batches; by it the core sees quiet times */
    uint64_t delivered_seen, trimmed_at;
    pthread_mutex_t lock;
    pthread_cond_t moved;  /* a shard closed a tick, or the core finished one */
    uint64_t core_tick;    /* newest tick the core has finished */
    ql_time core_now;      /* ... and its time; QL_TIME_NONE before the first since the start */
    uint64_t core_opened;  /* ... and at open, for shards' first */
    struct ql_slo_state slos[QL_CONFIG_SLOS_MAX]; /* as published; under `lock` */
    uint32_t slo_count;
    uint64_t slo_version;  /* the core thread's */
    struct ql_config *retired[64]; /* replaced settings: stages of slower threads may read them */
    uint32_t retired_count;
    ql_err (*dispatch)(void *context, const struct ql_action *action);
    void *dispatch_context;
    struct ql_batch undispatched; /* found in recovery; sent at start */
    struct ql_accept accept;
    struct ql_view view;
    char *checkpoint_dir, *journal_dir;
    int64_t started_ns;
    bool running;                /* somebody writes the journal; whoever starts and stops says so */
    struct ql_stat_cell *history_lost, *names_lost, *ticks, *checkpoints, *checkpoint_failures, *store_failures;
};

/* engine.c */
void engine_watch_seals(struct ql_engine *engine); /* what shards seal goes to history */
/* engine_threads.c */
void engine_deliver(void *host, const struct ql_entry *entry);
void engine_release(void *host, struct ql_batch *batch);
size_t engine_weight(const struct ql_batch *batch); /* what a batch in flight holds, in bytes */
QL_MUST_USE ql_err engine_threads_start(struct ql_engine *engine);
void engine_threads_stop(struct ql_engine *engine);
QL_MUST_USE ql_err engine_pool_init(struct engine_pool *pool, uint32_t count);
void engine_pool_fini(struct engine_pool *pool);
struct ql_batch *engine_pool_take(struct engine_pool *pool);
void engine_pool_give_back(struct engine_pool *pool, struct ql_batch *batch);

/* engine_effects.c: what follows from a finished tick, once. */
void engine_effects(struct ql_engine *engine, uint64_t sequence, ql_time now,
                    const struct ql_batch *bus, bool live);

void engine_publish_slos(struct ql_engine *engine);

/* Hands on a step, or journals that it could not be handed on. */
void engine_dispatch(struct ql_engine *engine, const struct ql_action *action);

/* engine_word.c: what the journal says about one record, for whoever waits for it. */
struct engine_word *engine_word_new(void);
void engine_word_said(void *word, ql_err err); /* a done() of sequencer.h; once */
/* Lets go of the word. ms < 0: without a deadline. QL_E_TIMEOUT: not said yet. */
QL_MUST_USE ql_err engine_word_wait(struct engine_word *word, int64_t ms);
void engine_word_unsaid(struct engine_word *word); /* nobody will say it: frees it */

void engine_watch_seals(struct ql_engine *engine); /* engine.c; for every new machine */

/* engine_recover.c: opens the machine as it was at the end of the journal, ready for the
 * settings of this start. */
QL_MUST_USE ql_err engine_recover(struct ql_engine *engine, struct ql_buf *ret_why);

/* engine_status.c: one JSON object. */
ql_err engine_status(void *host, struct ql_buf *out);

/* engine_view.c */
void engine_view_init(struct ql_engine *engine);

#endif

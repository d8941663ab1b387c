/* receive_test.h - for tests only: an engine that takes batches, remembers what it was given
 * and says what it is told to say, from a thread of its own as the journal does.
 */
#ifndef QL_RECEIVE_RECEIVE_TEST_H
#define QL_RECEIVE_RECEIVE_TEST_H

#include "model/labels.h"
#include "receive/receive_int.h"

#include <pthread.h>

#define ENGINE_BATCHES 4u
#define ENGINE_PENDING 64u

struct test_engine {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    pthread_t thread;
    struct ql_batch batches[ENGINE_BATCHES];
    bool taken[ENGINE_BATCHES];
    struct { struct ql_batch *batch; void (*done)(void *, ql_err); void *context; }
        pending[ENGINE_PENDING];
    uint32_t pending_count, submitted_count;
    bool closing;
    /* what it is told */
    bool no_batch;
    ql_err submit_err, done_err;
    /* what it was given last, and everything as text: one line a sample */
    struct ql_submission last;
    struct ql_buf bytes, lines;
};

static inline struct ql_batch *test_engine_take(void *host)
{
    struct test_engine *engine = host;
    struct ql_batch *batch = NULL;
    (void)pthread_mutex_lock(&engine->lock);
    for (uint32_t i = 0; !engine->no_batch && batch == NULL && i < ENGINE_BATCHES; i++) {
        if (!engine->taken[i]) {
            engine->taken[i] = true;
            batch = &engine->batches[i];
        }
    }
    (void)pthread_mutex_unlock(&engine->lock);
    return batch;
}

/* With the lock held. */
static inline void test_engine_drop(struct test_engine *engine, struct ql_batch *batch)
{
    const size_t index = (size_t)(batch - engine->batches);
    QL_ASSERT(index < ENGINE_BATCHES);
    QL_ASSERT(engine->taken[index]);
    ql_batch_reset(batch);
    engine->taken[index] = false;
}

static inline void test_engine_give_back(void *host, struct ql_batch *batch)
{
    struct test_engine *engine = host;
    (void)pthread_mutex_lock(&engine->lock);
    test_engine_drop(engine, batch);
    (void)pthread_mutex_unlock(&engine->lock);
}

static inline void test_engine_note(struct test_engine *engine, const struct ql_batch *batch)
{
    for (uint32_t i = 0; i < batch->runs.count; i++) {
        const struct ql_run *run = &batch->runs.at[i];
        (void)ql_labels_text(run->labels, &engine->lines);
        for (uint32_t s = 0; s < run->sample_count; s++) {
            (void)ql_buf_printf(&engine->lines, " %g",
                                batch->samples.at[run->sample_first + s].value);
        }
        (void)ql_buf_char(&engine->lines, '\n');
    }
}

static inline ql_err test_engine_submit(void *host, const struct ql_submission *submission)
{
    struct test_engine *engine = host;
    (void)pthread_mutex_lock(&engine->lock);
    const ql_err err = engine->submit_err;
    QL_ASSERT(engine->pending_count < ENGINE_PENDING);
    if (err == QL_OK) {
        engine->last = *submission;
        ql_buf_reset(&engine->bytes);
        (void)ql_buf_str(&engine->bytes, submission->bytes);
        test_engine_note(engine, submission->batch);
        engine->pending[engine->pending_count].batch = submission->batch;
        engine->pending[engine->pending_count].done = submission->done;
        engine->pending[engine->pending_count++].context = submission->context;
        engine->submitted_count++;
        (void)pthread_cond_broadcast(&engine->changed);
    } else {
        test_engine_drop(engine, submission->batch);
    }
    (void)pthread_mutex_unlock(&engine->lock);
    return err;
}

static inline void *test_engine_run(void *context)
{
    struct test_engine *engine = context;
    (void)pthread_mutex_lock(&engine->lock);
    while (!engine->closing || engine->pending_count > 0) {
        if (engine->pending_count == 0) {
            (void)pthread_cond_wait(&engine->changed, &engine->lock);
            continue;
        }
        const uint32_t i = --engine->pending_count;
        void (*done)(void *, ql_err) = engine->pending[i].done;
        void *done_context = engine->pending[i].context;
        const ql_err err = engine->done_err;
        test_engine_drop(engine, engine->pending[i].batch);
        (void)pthread_mutex_unlock(&engine->lock);
        done(done_context, err);
        (void)pthread_mutex_lock(&engine->lock);
    }
    (void)pthread_mutex_unlock(&engine->lock);
    return NULL;
}

static inline void test_engine_open(struct test_engine *engine)
{
    *engine = (struct test_engine){ .lock = PTHREAD_MUTEX_INITIALIZER,
                                    .changed = PTHREAD_COND_INITIALIZER };
    for (uint32_t i = 0; i < ENGINE_BATCHES; i++) {
        ql_batch_init(&engine->batches[i], 1 << 24);
    }
    ql_buf_init(&engine->bytes, 1 << 24);
    ql_buf_init(&engine->lines, 1 << 24);
    QL_ASSERT(pthread_create(&engine->thread, NULL, test_engine_run, engine) == 0);
}

static inline void test_engine_close(struct test_engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    engine->closing = true;
    (void)pthread_cond_broadcast(&engine->changed);
    (void)pthread_mutex_unlock(&engine->lock);
    (void)pthread_join(engine->thread, NULL);
    for (uint32_t i = 0; i < ENGINE_BATCHES; i++) {
        QL_ASSERT(!engine->taken[i]); /* every batch came back */
        ql_batch_fini(&engine->batches[i]);
    }
    ql_buf_fini(&engine->bytes);
    ql_buf_fini(&engine->lines);
}

static inline struct ql_accept test_engine_accept(struct test_engine *engine)
{
    return (struct ql_accept){ engine, test_engine_take, test_engine_give_back,
                               test_engine_submit };
}

#endif

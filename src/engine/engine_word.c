/* engine_word.c - one word between the sequencer's thread and a thread that waits for it. */
#include "base/wait.h"
#include "engine/engine_int.h"

#include <errno.h>
#include <stdlib.h>

struct engine_word {
    pthread_mutex_t lock;
    pthread_cond_t said;
    uint32_t refs; /* who says and who waits; freed by the last */
    bool done;
    ql_err err;
};

struct engine_word *engine_word_new(void)
{
    struct engine_word *word = calloc(1, sizeof(*word));
    if (word != NULL) {
        (void)pthread_mutex_init(&word->lock, NULL);
        (void)ql_wait_cond_init(&word->said);
        word->refs = 2;
    }
    return word;
}

static void word_free(struct engine_word *word)
{
    (void)pthread_cond_destroy(&word->said);
    (void)pthread_mutex_destroy(&word->lock);
    free(word);
}

void engine_word_said(void *context, ql_err err)
{
    struct engine_word *word = context;
    (void)pthread_mutex_lock(&word->lock);
    word->done = true;
    word->err = err;
    const bool last = --word->refs == 0;
    (void)pthread_cond_signal(&word->said);
    (void)pthread_mutex_unlock(&word->lock);
    if (last) {
        word_free(word);
    }
}

ql_err engine_word_wait(struct engine_word *word, int64_t ms)
{
    const struct timespec deadline = ql_wait_deadline_ms(ms);
    bool late = false;
    (void)pthread_mutex_lock(&word->lock);
    while (!word->done && !late) {
        if (ms < 0) {
            (void)pthread_cond_wait(&word->said, &word->lock);
        } else {
            late = pthread_cond_timedwait(&word->said, &word->lock, &deadline) == ETIMEDOUT;
        }
    }
    const ql_err err = word->done ? word->err : QL_E_TIMEOUT;
    const bool last = --word->refs == 0;
    (void)pthread_mutex_unlock(&word->lock);
    if (last) {
        word_free(word);
    }
    return err;
}

void engine_word_unsaid(struct engine_word *word)
{
    if (word != NULL) {
        word_free(word);
    }
}

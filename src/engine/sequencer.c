#include "engine/sequencer.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/wait.h"
#include "config/config.h"
#include "wire/wire.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define SEQUENCER_KEPT_BYTES   ((size_t)512 << 10)
#define SEQUENCER_RETRY        QL_S(30) /* after a checkpoint that failed */

struct sequencer_entry {
    struct ql_entry entry;
    void (*done)(void *context, ql_err err);
    void *context;
};

/* What waits for the disk: encoded records and whom to tell. */
struct sequencer_fill {
    struct ql_buf bytes;
    struct sequencer_entry *entries;
    uint32_t count, capacity;
    uint64_t last;
    bool sync; /* somebody waits for durability */
};

struct ql_sequencer {
    struct ql_sequencer_env env;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct sequencer_fill fill, writing;
    uint64_t next;             /* sequence to give */
    ql_time now, ticked;       /* engine time; time of the newest tick */
    int64_t tick_due_ns, synced_ns, checkpoint_due_ns; /* monotonic */
    uint64_t bytes_since_checkpoint, drop_before, journal_bytes;
    uint64_t checkpoint_covers; /* of bytes_since_checkpoint, by the one that is being written */
    bool checkpointing, checkpoint_failed;
    bool started, refusing, stopping, closed, tick_wished, healthy, held, rotate;
    struct ql_stat_cell *syncs, *written, *failures, *missed;
};

ql_err ql_sequencer_new(const struct ql_sequencer_env *env, struct ql_sequencer **ret_sequencer)
{
    struct ql_sequencer *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return QL_E_MEMORY;
    }
    s->env = *env;
    const uint64_t last = ql_journal_last(env->journal);
    s->next = (last > env->newest ? last : env->newest) + 1;
    s->now = s->ticked = env->now;
    s->healthy = true;
    s->journal_bytes = ql_journal_bytes(env->journal);
    ql_buf_init(&s->fill.bytes, QL_SEQUENCER_BYTES_MAX + QL_JOURNAL_PAYLOAD_MAX);
    ql_buf_init(&s->writing.bytes, QL_SEQUENCER_BYTES_MAX + QL_JOURNAL_PAYLOAD_MAX);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)ql_wait_cond_init(&s->work);
    s->syncs = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_journal_syncs_total",
                             "Times the journal was made durable.", "");
    s->written = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_journal_bytes_total",
                               "Bytes written to the journal.", "");
    s->failures = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_journal_failures_total",
                                "Writes to the journal that failed, disk full included.", "");
    s->missed = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_ticks_missed_total",
                              "Ticks that found no memory; the next one does their work.", "");
    *ret_sequencer = s;
    return QL_OK;
}

void ql_sequencer_free(struct ql_sequencer *s)
{
    if (s == NULL) {
        return;
    }
    for (uint32_t i = 0; i < s->fill.count; i++) { /* of one that was never started */
        ql_config_free(s->fill.entries[i].entry.config);
    }
    ql_buf_fini(&s->fill.bytes);
    ql_buf_fini(&s->writing.bytes);
    free(s->fill.entries);
    free(s->writing.entries);
    (void)pthread_cond_destroy(&s->work);
    (void)pthread_mutex_destroy(&s->lock);
    free(s);
}

/* ---- under the lock --------------------------------------------------------------- */

static ql_err sequencer_grow(struct sequencer_fill *fill)
{
    if (fill->count < fill->capacity) {
        return QL_OK;
    }
    const uint32_t grown = fill->capacity == 0 ? 64 : fill->capacity * 2;
    struct sequencer_entry *entries = realloc(fill->entries, grown * sizeof(*entries));
    if (entries == NULL) {
        return QL_E_MEMORY;
    }
    fill->entries = entries;
    fill->capacity = grown;
    return QL_OK;
}

static ql_err sequencer_add(struct ql_sequencer *s, struct ql_journal_record *record,
                            ql_str origin, ql_str body, const struct sequencer_entry *entry)
{
    ql_err err = sequencer_grow(&s->fill);
    record->sequence = s->next;
    if (err == QL_OK) {
        err = ql_journal_encode(record, origin, body, &s->fill.bytes);
    }
    if (err != QL_OK) {
        if (s->fill.count == 0) { /* else the next round does it */
            ql_buf_reset(&s->fill.bytes);
        }
        return err;
    }
    struct sequencer_entry *added = &s->fill.entries[s->fill.count++];
    *added = *entry;
    added->entry.sequence = s->next;
    s->fill.last = s->next++;
    (void)pthread_cond_signal(&s->work);
    return QL_OK;
}

static bool sequencer_checkpoint_due(const struct ql_sequencer *s)
{
    const bool early = s->bytes_since_checkpoint > s->env.checkpoint_bytes && !s->checkpoint_failed;
    return !s->checkpointing && s->bytes_since_checkpoint > 0 &&
           (early || ql_clock_mono_ns() >= s->checkpoint_due_ns);
}

static void sequencer_tick(struct ql_sequencer *s, ql_time now, bool last)
{
    const uint8_t flags = last || sequencer_checkpoint_due(s) ? QL_TICK_CHECKPOINT : 0;
    struct ql_journal_record record = { .accepted_ns = now.ns, .now_ns = now.ns,
                                        .kind = QL_JOURNAL_TICK, .format = flags };
    const struct sequencer_entry entry = {
        .entry = { .kind = QL_JOURNAL_TICK, .flags = flags, .now = now } };
    s->tick_due_ns = ql_clock_mono_ns() + s->env.tick.ns;
    if (sequencer_add(s, &record, (ql_str){ "", 0 }, (ql_str){ "", 0 }, &entry) != QL_OK) {
        ql_stat_add(s->missed, 1);
        return;
    }
    s->now = s->ticked = now;
    s->tick_wished = false;
    if (flags != 0) {
        s->fill.sync = true; /* a checkpoint must not be on disk before what it is made of */
        s->checkpointing = true;
        s->checkpoint_covers = s->bytes_since_checkpoint;
    }
}

/* ---- submitting ------------------------------------------------------------------- */

/* The newest time that the records themselves carry; what `--clock input` runs by. */
static ql_time sequencer_newest(const struct ql_batch *batch)
{
    int64_t newest = QL_TIME_NONE.ns;
    for (uint32_t i = 0; i < batch->samples.count; i++) {
        newest = batch->samples.at[i].at.ns > newest ? batch->samples.at[i].at.ns : newest;
    }
    for (uint32_t i = 0; i < batch->spans.count; i++) {
        newest = batch->spans.at[i].start.ns > newest ? batch->spans.at[i].start.ns : newest;
    }
    for (uint32_t i = 0; i < batch->logs.count; i++) {
        newest = batch->logs.at[i].at.ns > newest ? batch->logs.at[i].at.ns : newest;
    }
    return (ql_time){ newest };
}

ql_err ql_sequencer_submit(struct ql_sequencer *s, const struct ql_submission *submission,
                           uint64_t *ret_sequence)
{
    struct ql_journal_record record = { .accepted_ns = submission->accepted.ns,
                                        .kind = submission->door,
                                        .encoding = submission->encoding,
                                        .format = submission->format };
    struct sequencer_entry entry = { .entry = { .kind = submission->door,
                                                .batch = submission->batch },
                                     .done = submission->done, .context = submission->context };
    const ql_time newest = s->env.clock_input ? sequencer_newest(submission->batch)
                                              : ql_clock_now();
    const size_t bytes = submission->bytes.bytes + submission->origin.bytes;
    ql_err err = QL_OK;
    (void)pthread_mutex_lock(&s->lock);
    if (s->stopping || (s->refusing && submission->door != QL_DOOR_OUTCOME)) {
        err = QL_E_CLOSED;
    } else if (!s->healthy || s->held) {
        err = QL_E_IO;
    } else if (s->fill.bytes.bytes > 0 && s->fill.bytes.bytes + bytes > QL_SEQUENCER_BYTES_MAX) {
        err = QL_E_FULL;
    } else {
        const ql_time now = newest.ns > s->now.ns ? newest : s->now;
        record.now_ns = now.ns;
        entry.entry.now = now;
        err = sequencer_add(s, &record, submission->origin, submission->bytes, &entry);
        if (err == QL_OK) {
            s->fill.sync = true;
            s->now = now;
            s->bytes_since_checkpoint += bytes;
            if (ret_sequence != NULL) {
                *ret_sequence = s->next - 1;
            }
            if (s->env.clock_input && (s->ticked.ns == QL_TIME_NONE.ns ||
                                       now.ns - s->ticked.ns >= s->env.tick.ns)) {
                sequencer_tick(s, now, false);
            }
        }
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (err != QL_OK) {
        s->env.release(s->env.host, submission->batch);
    }
    return err;
}

ql_err ql_sequencer_say(struct ql_sequencer *s, const struct ql_sequencer_own *own)
{
    (void)pthread_mutex_lock(&s->lock);
    struct ql_journal_record record = { .accepted_ns = (int64_t)own->about, .now_ns = s->now.ns,
                                        .kind = own->kind };
    const struct sequencer_entry entry = {
        .entry = { .kind = own->kind, .now = s->now, .config = own->config },
        .done = own->done, .context = own->context };
    const ql_err err = s->closed
                           ? QL_E_CLOSED
                           : sequencer_add(s, &record, (ql_str){ "", 0 }, own->payload, &entry);
    if (err == QL_OK && own->config != NULL) {
        s->fill.sync = true;
    }
    (void)pthread_mutex_unlock(&s->lock);
    return err;
}

void ql_sequencer_wish_tick(struct ql_sequencer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->tick_wished = true;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
}

ql_time ql_sequencer_now(struct ql_sequencer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const ql_time now = s->ticked;
    (void)pthread_mutex_unlock(&s->lock);
    return now;
}

bool ql_sequencer_healthy(struct ql_sequencer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const bool healthy = s->healthy && !s->held && !s->refusing && !s->stopping;
    (void)pthread_mutex_unlock(&s->lock);
    return healthy;
}

void ql_sequencer_hold(struct ql_sequencer *s, bool on)
{
    (void)pthread_mutex_lock(&s->lock);
    s->held = on;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
}

/* Under the lock. */
static void sequencer_checkpoint_over(struct ql_sequencer *s, bool failed)
{
    const int64_t wait_ns =
        failed && SEQUENCER_RETRY.ns < s->env.checkpoint.ns ? SEQUENCER_RETRY.ns
                                                            : s->env.checkpoint.ns;
    s->checkpointing = false;
    s->checkpoint_failed = failed;
    s->checkpoint_due_ns = ql_clock_mono_ns() + wait_ns;
}

void ql_sequencer_checkpointed(struct ql_sequencer *s, uint64_t drop_before)
{
    (void)pthread_mutex_lock(&s->lock);
    s->bytes_since_checkpoint -= s->checkpoint_covers;
    s->checkpoint_covers = 0;
    sequencer_checkpoint_over(s, false);
    s->rotate = true;
    s->drop_before = drop_before;
    (void)pthread_mutex_unlock(&s->lock);
}

void ql_sequencer_checkpoint_failed(struct ql_sequencer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    sequencer_checkpoint_over(s, true);
    (void)pthread_mutex_unlock(&s->lock);
}

uint64_t ql_sequencer_journal_bytes(struct ql_sequencer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const uint64_t bytes = s->journal_bytes;
    (void)pthread_mutex_unlock(&s->lock);
    return bytes;
}

/* ---- the thread ------------------------------------------------------------------- */

static void sequencer_wait_until(struct ql_sequencer *s, int64_t mono_ns)
{
    const struct timespec at = { .tv_sec = mono_ns / QL_NS_PER_S, .tv_nsec = mono_ns % QL_NS_PER_S };
    (void)pthread_cond_timedwait(&s->work, &s->lock, &at);
}

#define HOPE_NS QL_NS_PER_S /* between two tries at a disk that refuses */

/* A start's settings wait in the first write, so one that was refused may be tried at once. */
static int64_t sequencer_pace(const struct ql_sequencer *s)
{
    return s->healthy ? s->env.sync_min.ns : HOPE_NS;
}

/* Waits, under the lock, until there is something to write; inserts ticks that are due. */
static void sequencer_gather(struct ql_sequencer *s)
{
    while (!s->stopping) {
        const int64_t mono = ql_clock_mono_ns();
        const bool by_wall = !s->env.clock_input && !s->held && mono >= s->tick_due_ns;
        /* By the wall a tick comes each second and finds that the disk takes bytes again. */
        const bool by_hope = s->env.clock_input && !s->healthy && mono >= s->synced_ns + HOPE_NS;
        const bool by_wish =
            (s->tick_wished || by_hope) && !s->held && s->now.ns != QL_TIME_NONE.ns;
        if (by_wall || by_wish) {
            const ql_time wall = ql_clock_now();
            const ql_time now = s->env.clock_input || wall.ns < s->now.ns ? s->now : wall;
            sequencer_tick(s, now, false);
        }
        if (s->fill.count > 0 && mono >= s->synced_ns + sequencer_pace(s)) {
            return;
        }
        if (s->fill.count > 0) {
            sequencer_wait_until(s, s->synced_ns + sequencer_pace(s));
        } else if (s->env.clock_input && !s->healthy) {
            const int64_t hope_ns = s->synced_ns + HOPE_NS;
            sequencer_wait_until(s, hope_ns > mono ? hope_ns : mono + HOPE_NS);
        } else if (s->env.clock_input || s->held) {
            (void)pthread_cond_wait(&s->work, &s->lock);
        } else {
            sequencer_wait_until(s, s->tick_due_ns);
        }
    }
}

static ql_err sequencer_write(struct ql_sequencer *s, struct sequencer_fill *fill)
{
    const ql_err err = ql_journal_write(s->env.journal, ql_buf_view(&fill->bytes), fill->last,
                                        fill->sync);
    if (err != QL_OK) {
        ql_stat_add(s->failures, 1);
        return err;
    }
    ql_stat_add(s->written, (int64_t)fill->bytes.bytes);
    if (fill->sync) {
        ql_stat_add(s->syncs, 1);
    }
    return QL_OK;
}

/* In order: hand on, then tell. What the disk refused is released and told so. */
static void sequencer_deliver(struct ql_sequencer *s, struct sequencer_fill *fill, ql_err err)
{
    for (uint32_t i = 0; i < fill->count; i++) {
        struct sequencer_entry *e = &fill->entries[i];
        if (err == QL_OK) {
            s->env.deliver(s->env.host, &e->entry);
        } else {
            if (e->entry.batch != NULL) {
                s->env.release(s->env.host, e->entry.batch);
            }
            ql_config_free(e->entry.config);
            if ((e->entry.flags & QL_TICK_CHECKPOINT) != 0) {
                ql_sequencer_checkpoint_failed(s);
            }
        }
        if (e->done != NULL) {
            e->done(e->context, err);
        }
    }
    fill->count = 0;
    fill->sync = false;
    /* What a burst needed is given back by the first small write behind it. */
    if (fill->bytes.capacity > SEQUENCER_KEPT_BYTES &&
        fill->bytes.bytes < fill->bytes.capacity / 8) {
        ql_buf_fini(&fill->bytes);
    }
    ql_buf_reset(&fill->bytes);
}

static void sequencer_report(struct ql_sequencer *s, bool healthy)
{
    if (healthy != s->healthy) {
        if (healthy) {
            QL_LOG(INFO, "journal can be written again");
        } else {
            QL_LOG(ERROR, "journal cannot be written: input is refused until it can",
                   QL_LOG_T("reason", strerror(errno)));
        }
    }
    s->healthy = healthy;
}

static void sequencer_housekeep(struct ql_sequencer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    const bool rotate = s->rotate;
    const uint64_t drop_before = s->drop_before;
    s->rotate = false;
    s->journal_bytes = ql_journal_bytes(s->env.journal);
    (void)pthread_mutex_unlock(&s->lock);
    if (rotate) {
        if (ql_journal_rotate(s->env.journal) == QL_OK && drop_before > 0) {
            (void)!ql_journal_drop_before(s->env.journal, drop_before);
        }
    }
}

static void sequencer_round(struct ql_sequencer *s)
{
    struct sequencer_fill spare = s->writing;
    s->writing = s->fill;
    s->fill = spare;
    (void)pthread_mutex_unlock(&s->lock);
    const ql_err err = sequencer_write(s, &s->writing);
    const int saved = errno;
    (void)pthread_mutex_lock(&s->lock);
    errno = saved;
    sequencer_report(s, err == QL_OK);
    s->synced_ns = ql_clock_mono_ns();
    (void)pthread_mutex_unlock(&s->lock);
    sequencer_deliver(s, &s->writing, err);
    sequencer_housekeep(s);
    (void)pthread_mutex_lock(&s->lock);
}

static void *sequencer_main(void *context)
{
    struct ql_sequencer *s = context;
    (void)pthread_mutex_lock(&s->lock);
    while (!s->stopping) {
        sequencer_gather(s);
        if (s->fill.count > 0) {
            sequencer_round(s);
        }
    }
    /* The last tick carries a checkpoint, so that the next start has nothing to replay. */
    if (s->now.ns != QL_TIME_NONE.ns) {
        const ql_time wall = ql_clock_now();
        const ql_time now = s->env.clock_input || wall.ns < s->now.ns ? s->now : wall;
        sequencer_tick(s, now, true);
    }
    s->closed = true;
    if (s->fill.count > 0) {
        sequencer_round(s);
    }
    (void)pthread_mutex_unlock(&s->lock);
    return NULL;
}

ql_err ql_sequencer_start(struct ql_sequencer *s)
{
    s->tick_due_ns = ql_clock_mono_ns();
    s->checkpoint_due_ns = s->tick_due_ns + s->env.checkpoint.ns;
    if (pthread_create(&s->thread, NULL, sequencer_main, s) != 0) {
        return QL_E_MEMORY;
    }
    s->started = true;
    return QL_OK;
}

uint64_t ql_sequencer_refuse(struct ql_sequencer *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->refusing = true;
    const uint64_t newest = s->next - 1;
    (void)pthread_mutex_unlock(&s->lock);
    return newest;
}

void ql_sequencer_stop(struct ql_sequencer *s)
{
    if (s == NULL || !s->started) {
        return;
    }
    (void)pthread_mutex_lock(&s->lock);
    s->stopping = true;
    (void)pthread_cond_signal(&s->work);
    (void)pthread_mutex_unlock(&s->lock);
    (void)pthread_join(s->thread, NULL);
    s->started = false;
}

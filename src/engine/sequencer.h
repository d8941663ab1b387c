/* sequencer.h - gives every input its place, makes it durable, then hands it on in order.
 *
 * Submissions are encoded into a buffer under one lock; the sequencer's thread writes the
 * buffer, syncs it once for all that wait (group commit), and only then delivers each entry and
 * calls its done(). While the disk refuses, submissions are refused too and time stands
 * still, so that nothing ever happens that the journal does not know.
 *
 * Threads       submit, say and wish_tick from any thread; deliver and done run on the
 *               sequencer's thread.
 * Bounds        QL_SEQUENCER_BYTES_MAX waiting bytes; syncs at most every sync_min.
 */
#ifndef QL_ENGINE_SEQUENCER_H
#define QL_ENGINE_SEQUENCER_H

#include "base/stat.h"
#include "engine/journal.h"
#include "model/accept.h"

#define QL_SEQUENCER_BYTES_MAX ((size_t)64 << 20)

struct ql_config;
struct ql_entry {               /* one delivered record */
    uint16_t kind;              /* a door or QL_JOURNAL_* */
    uint8_t flags;              /* ticks: QL_TICK_* */
    uint64_t sequence;
    ql_time now;
    struct ql_batch *batch;     /* doors: the receiver's now */
    struct ql_config *config;   /* QL_JOURNAL_CONFIG: the receiver's now */
};

struct ql_sequencer_env {
    struct ql_journal *journal; /* used by the sequencer's thread only */
    struct ql_stats *stats;
    ql_duration tick, sync_min, checkpoint;
    uint64_t checkpoint_bytes;  /* ... or after so many bytes of journal */
    bool clock_input;
    uint64_t newest;            /* sequence to go on from, when the journal's is not above it */
    ql_time now;                /* engine time to go on from */
    void (*deliver)(void *host, const struct ql_entry *entry);
    void (*release)(void *host, struct ql_batch *batch); /* refused after all */
    void *host;
};

struct ql_sequencer;
QL_MUST_USE ql_err ql_sequencer_new(const struct ql_sequencer_env *env,
                                    struct ql_sequencer **ret_sequencer);
QL_MUST_USE ql_err ql_sequencer_start(struct ql_sequencer *sequencer);
/* Refuses new input from now on, all but outcomes of what was begun; returns the newest sequence given. */
uint64_t ql_sequencer_refuse(struct ql_sequencer *sequencer);
/* Refuses new input, writes and delivers what is there, one last tick with a checkpoint. */
void ql_sequencer_stop(struct ql_sequencer *sequencer);
void ql_sequencer_free(struct ql_sequencer *sequencer);

/* As ql_accept.submit; *ret_sequence (may be NULL) is the place it got. */
QL_MUST_USE ql_err ql_sequencer_submit(struct ql_sequencer *sequencer,
                                       const struct ql_submission *submission,
                                       uint64_t *ret_sequence);
/* A record of the engine's own (digest, configuration): ordered, not waited for. Takes config,
 * when it returns QL_OK. done (may be NULL) is called when it is durable, or was refused by the
 * disk and left no trace. */
struct ql_sequencer_own {
    uint16_t kind;
    uint64_t about;
    ql_str payload;
    struct ql_config *config;
    void (*done)(void *context, ql_err err);
    void *context;
};
QL_MUST_USE ql_err ql_sequencer_say(struct ql_sequencer *sequencer,
                                    const struct ql_sequencer_own *own);
void ql_sequencer_wish_tick(struct ql_sequencer *sequencer); /* soon, not at the next due time */
ql_time ql_sequencer_now(struct ql_sequencer *sequencer);
bool ql_sequencer_healthy(struct ql_sequencer *sequencer);   /* input is taken */
/* On: as with a disk that refuses, input gets QL_E_IO and no tick comes until it is off again. */
void ql_sequencer_hold(struct ql_sequencer *sequencer, bool on);
/* Each tick with QL_TICK_CHECKPOINT is answered by one of these, and no other comes before.
 * Done: older segments than `drop_before` may go. Failed: the next is due soon. */
void ql_sequencer_checkpointed(struct ql_sequencer *sequencer, uint64_t drop_before);
void ql_sequencer_checkpoint_failed(struct ql_sequencer *sequencer);
uint64_t ql_sequencer_journal_bytes(struct ql_sequencer *sequencer);

#endif

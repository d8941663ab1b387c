/* engine_recover.c - from what is on disk to the state of a moment before the end. */
#include "engine/engine_int.h"

#include "base/clock.h"
#include "base/log.h"
#include "engine/checkpoint.h"
#include "engine/replay.h"

#include <inttypes.h>

#define RECOVER_STATE_BYTES_MAX ((size_t)16 << 30)

static void recover_tick(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus)
{
    struct ql_engine *engine = context;
    engine_effects(engine, sequence, now, bus, false);
    engine->core_opened = sequence;
}

/* No checkpoint can be read. Without one the journal alone will do, if it is whole; and so does
 * what is left of it, once somebody has taken the checkpoints away. */
static ql_err recover_without(const struct ql_engine *engine, struct ql_buf *ret_why)
{
    struct ql_journal_reader *reader;
    if (ql_checkpoint_oldest(engine->checkpoint_dir) == 0) {
        return QL_OK;
    }
    const ql_err err = ql_journal_reader_open(engine->journal_dir, 0, &reader);
    if (err != QL_OK) {
        return err;
    }
    const uint64_t first = ql_journal_reader_first(reader);
    ql_journal_reader_close(reader);
    if (first == 1) {
        QL_LOG(WARN, "no checkpoint can be read; all of the journal is played again");
        return QL_OK;
    }
    (void)ql_buf_printf(ret_why, "no checkpoint can be read (damaged, or of another version?) and "
                        "the journal has not all that came before; move %s away to start without "
                        "what was learnt", engine->checkpoint_dir);
    return QL_E_VERSION;
}

/* A lower limit than the checkpoint has series is no reason not to start. */
static void recover_tell_crowded(const struct ql_engine *engine)
{
    uint64_t series = 0, series_max = 0;
    for (uint32_t i = 0; i < engine->machine.shard_count; i++) {
        series += ql_shard_series_count(engine->machine.shards[i]);
        series_max += ql_shard_series_max(engine->machine.shards[i]);
    }
    if (series > series_max) {
        QL_LOG(WARN, "more series are known than limits.series_max: the longest idle are forgotten, "
                     "and until enough are no new ones are taken",
               QL_LOG_N("series", series), QL_LOG_N("series_max", series_max));
    }
}

static ql_err recover_checkpoint(struct ql_engine *engine, struct ql_buf *ret_why)
{
    struct ql_buf state;
    uint64_t sequence = 0;
    ql_buf_init(&state, RECOVER_STATE_BYTES_MAX);
    ql_err err = ql_checkpoint_read(engine->checkpoint_dir, UINT64_MAX, &state, &sequence);
    if (err == QL_OK) {
        struct ql_reader in = ql_reader_of(ql_buf_view(&state));
        err = ql_machine_load(&engine->machine, &in);
        if (err != QL_OK) {
            (void)ql_buf_printf(ret_why, "checkpoint %" PRIu64 ": %s (other version or number of "
                                "shards? move %s away to start without it)", sequence,
                                ql_err_text(err), engine->checkpoint_dir);
        }
        engine->core_opened = sequence;
        if (err == QL_OK) {
            engine_watch_seals(engine);
            recover_tell_crowded(engine);
        }
    } else if (err == QL_E_NOT_FOUND) {
        err = recover_without(engine, ret_why);
    }
    ql_buf_fini(&state);
    return err;
}

static ql_err recover_journal(struct ql_engine *engine, uint64_t *ret_count,
                              struct ql_buf *ret_why)
{
    struct ql_journal_reader *reader;
    const struct ql_replay_hooks hooks = { .tick = recover_tick, .context = engine };
    struct ql_journal_record record;
    ql_str origin, body;
    uint64_t count = 0;
    ql_err err = ql_journal_reader_open(engine->journal_dir, engine->machine.sequence + 1, &reader);
    if (err != QL_OK) {
        return err;
    }
    while ((err = ql_journal_next(reader, &record, &origin, &body, ret_why)) == QL_OK) {
        err = ql_replay_record(&engine->machine, &record, origin, body, &hooks);
        if (err != QL_OK) {
            (void)ql_buf_printf(ret_why, "journal record %" PRIu64 ": %s", record.sequence,
                                ql_err_text(err));
            break;
        }
        if (++count % 65536 == 0) {
            QL_LOG(INFO, "recovering", QL_LOG_N("records", count));
        }
    }
    ql_journal_reader_close(reader);
    *ret_count = count;
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

ql_err engine_recover(struct ql_engine *engine, struct ql_buf *ret_why)
{
    uint64_t count = 0;
    const int64_t began = ql_clock_mono_ns();
    ql_err err = recover_checkpoint(engine, ret_why);
    if (err == QL_OK) {
        err = recover_journal(engine, &count, ret_why);
    }
    if (err == QL_OK && count > 0) {
        QL_LOG(INFO, "recovered from the journal", QL_LOG_N("records", count),
               QL_LOG_N("seconds", (double)(ql_clock_mono_ns() - began) / 1e9));
    }
    return err;
}

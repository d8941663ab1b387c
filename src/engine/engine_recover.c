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

static ql_err recover_save_part(const struct ql_engine *engine, uint32_t number,
                                 struct ql_buf *out)
{
    return number == 0 ? ql_machine_save_core(&engine->machine, out)
                       : ql_shard_save(engine->machine.shards[number - 1], out);
}

/* Ids of incidents are not given twice: what state.db tells under one would be of two, and the
 * actuator, which knows the ids of actions by it, would not run what it ran for the other. So
 * what is left of a journal is played upon an engine that has learnt nothing but the greatest
 * id; as a checkpoint, so that every later replay does the same. */
static ql_err recover_blank(struct ql_engine *engine, uint64_t sequence)
{
    const uint32_t count = 1 + engine->machine.shard_count;
    uint64_t last = 0;
    ql_err err = ql_store_incident_last(engine->store, &last);
    if (err != QL_OK) {
        return err;
    }
    ql_core_ids_above(engine->machine.core, last);
    engine->machine.sequence = sequence;
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        struct ql_checkpoint_part *part;
        err = ql_checkpoint_part_open(engine->checkpoint_dir, sequence, i, &part);
        if (err == QL_OK) {
            err = recover_save_part(engine, i, ql_checkpoint_part_buf(part));
            const ql_err closed = ql_checkpoint_part_close(part);
            err = err == QL_OK ? closed : err;
        }
    }
    if (err == QL_OK) {
        err = ql_checkpoint_commit(engine->checkpoint_dir, sequence, count);
    }
    if (err != QL_OK) {
        ql_checkpoint_drop(engine->checkpoint_dir, sequence, count);
        return err;
    }
    QL_LOG(WARN, "started without what was learnt; incidents are counted on",
           QL_LOG_N("incident", last));
    return QL_OK;
}

/* First sequence that the journal still has; 0: none. */
static ql_err recover_first(const struct ql_engine *engine, uint64_t *ret_first)
{
    struct ql_journal_reader *reader;
    const ql_err err = ql_journal_reader_open(engine->journal_dir, 0, &reader);
    if (err == QL_OK) {
        *ret_first = ql_journal_reader_first(reader);
        ql_journal_reader_close(reader);
    }
    return err;
}

static ql_err recover_own_settings(const struct ql_engine *engine, struct ql_config **ret_config,
                                   struct ql_buf *ret_why)
{
    return ql_config_parse(engine->config->text, "configuration", ret_config, ret_why);
}

/* No checkpoint can be taken. Without one the journal alone will do, if it is whole; and so does
 * what is left of it, once somebody has taken the checkpoints away. */
static ql_err recover_without(struct ql_engine *engine, uint64_t first, struct ql_buf *ret_why)
{
    struct ql_config *config;
    const bool some = ql_checkpoint_oldest(engine->checkpoint_dir) != 0;
    if (some && first != 1) {
        (void)ql_buf_printf(ret_why, "no checkpoint can be read (damaged, or of another version?)"
                            " and the journal has not all that came before; move %s away to start"
                            " without what was learnt", engine->checkpoint_dir);
        return QL_E_VERSION;
    }
    if (some) {
        QL_LOG(WARN, "no checkpoint can be read; all of the journal is played again");
    }
    ql_err err = ql_replay_first_config(engine->journal_dir, &config, ret_why);
    if (err == QL_E_NOT_FOUND) {
        err = recover_own_settings(engine, &config, ret_why);
    }
    if (err == QL_OK) {
        err = ql_machine_open(&engine->machine, config, engine->stats);
    }
    engine->no_checkpoints = !some;
    return err == QL_OK && !some && first > 1 ? recover_blank(engine, first - 1) : err;
}

/* Under the settings of then; under the new ones if this build knows the old ones no more. */
static ql_err recover_load(struct ql_engine *engine, ql_str state, struct ql_buf *ret_why)
{
    struct ql_config *config;
    ql_err err = ql_machine_restore(&engine->machine, state, NULL, engine->stats);
    if (err != QL_E_CONFIG) {
        return err;
    }
    QL_LOG(WARN, "this build does not read the settings of the checkpoint; the new ones hold");
    err = recover_own_settings(engine, &config, ret_why);
    return err == QL_OK ? ql_machine_restore(&engine->machine, state, config, engine->stats) : err;
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

/* The newest one that can be loaded, and from where on the journal has everything. */
static ql_err recover_checkpoint(struct ql_engine *engine, struct ql_buf *ret_why)
{
    struct ql_buf state;
    uint64_t sequence = UINT64_MAX, first = 0;
    ql_err err = recover_first(engine, &first);
    ql_buf_init(&state, RECOVER_STATE_BYTES_MAX);
    for (uint64_t at_most = UINT64_MAX; err == QL_OK; at_most = sequence - 1) {
        err = ql_checkpoint_read(engine->checkpoint_dir, at_most, &state, &sequence);
        if (err != QL_OK || first > sequence + 1) {
            err = err == QL_OK || err == QL_E_NOT_FOUND ? recover_without(engine, first, ret_why)
                                                        : err;
            break;
        }
        err = recover_load(engine, ql_buf_view(&state), ret_why);
        if (err == QL_OK) {
            engine->core_opened = sequence;
            break;
        }
        if (err != QL_E_MEMORY) {
            QL_LOG(WARN, "a checkpoint cannot be loaded; the one before it is tried",
                   QL_LOG_N("checkpoint", sequence), QL_LOG_T("error", ql_err_text(err)));
            err = QL_OK;
        }
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
        if (ql_replay_lacks(&engine->machine, &record)) {
            QL_LOG(WARN, "records were lost, and the checkpoint that had them is gone too",
                   QL_LOG_N("from", engine->machine.sequence + 1),
                   QL_LOG_N("to", record.accepted_ns));
        }
        err = ql_replay_record(&engine->machine, &record, origin, body, &hooks);
        if (err != QL_OK) {
            (void)ql_buf_printf(ret_why, "journal record %" PRIu64 ": %s", record.sequence,
                                ql_err_text(err));
            break;
        }
        if (ql_journal_has_settings(record.kind)) {
            engine_watch_seals(engine);
        }
        if (++count % 65536 == 0) {
            QL_LOG(INFO, "recovering", QL_LOG_N("records", count));
        }
    }
    ql_journal_reader_close(reader);
    *ret_count = count;
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

/* What the new settings want built otherwise than the old ones. */
static ql_err recover_shape(struct ql_engine *engine, struct ql_buf *ret_why)
{
    const struct ql_config *new = engine->config;
    struct ql_machine *machine = &engine->machine;
    if (new->shards != machine->shard_count && engine->no_checkpoints) {
        struct ql_config *config;
        ql_err err = ql_store_incident_last(engine->store, &engine->anew_incident);
        if (err == QL_OK) {
            err = recover_own_settings(engine, &config, ret_why);
        }
        engine->anew = true;
        return err == QL_OK ? ql_machine_anew(machine, config, engine->anew_incident) : err;
    }
    if (new->shards != machine->shard_count) {
        QL_LOG(WARN, "engine.shards stays as it was: the state is parted by it; to change it, "
               "stop, move the folder of checkpoints away and start without what was learnt",
               QL_LOG_N("shards", machine->shard_count),
               QL_LOG_T("checkpoints", engine->checkpoint_dir));
    }
    const ql_err err = ql_machine_resize(machine, new->series_max);
    if (err == QL_E_FULL) {
        QL_LOG(WARN, "limits.series_max stays as it was: the last stop was none; the next start "
               "after a clean stop takes it",
               QL_LOG_N("series_max", machine->series_max));
        return QL_OK;
    }
    return err;
}

ql_err engine_recover(struct ql_engine *engine, struct ql_buf *ret_why)
{
    uint64_t count = 0;
    const int64_t began = ql_clock_mono_ns();
    ql_err err = recover_checkpoint(engine, ret_why);
    if (err == QL_OK) {
        engine_watch_seals(engine);
        err = recover_journal(engine, &count, ret_why);
    }
    if (err == QL_OK && engine->store_full) {
        (void)ql_buf_printf(ret_why, "state.db cannot take what the journal brings back; make room "
                            "on the disk and start again");
        err = QL_E_IO;
    }
    if (err == QL_OK) {
        err = recover_shape(engine, ret_why);
        engine_watch_seals(engine);
        recover_tell_crowded(engine);
    }
    if (err != QL_OK && ret_why->bytes == 0) {
        (void)ql_buf_printf(ret_why, "%s: %s", engine->checkpoint_dir, ql_err_text(err));
    }
    if (err == QL_OK && count > 0) {
        QL_LOG(INFO, "recovered from the journal", QL_LOG_N("records", count),
               QL_LOG_N("seconds", (double)(ql_clock_mono_ns() - began) / 1e9));
    }
    return err;
}

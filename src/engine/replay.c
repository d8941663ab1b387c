#include "engine/replay.h"

#include "config/config.h"
#include "engine/checkpoint.h"
#include "wire/wire.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define REPLAY_STATE_BYTES_MAX ((size_t)16 << 30)
#define REPLAY_PROGRESS_RECORDS 4096u
#define REPLAY_BODY_BYTES_MAX ((size_t)1 << 30) /* the most that limits.body_max can be */
#define REPLAY_TICKS_KEPT 4096u /* a tick's digest is journaled some records behind it */

static ql_err replay_input(struct ql_machine *machine, const struct ql_journal_record *record,
                           ql_str origin, ql_str body)
{
    const struct ql_wire_input in = {
        .door = (enum ql_door)record->kind, .encoding = (enum ql_encoding)record->encoding,
        .format = (enum ql_format)record->format, .accepted = { record->accepted_ns },
        .origin = origin, .body = body,
    };
    /* How large a body may be is for doors to say, and they said it. */
    const struct ql_wire_limits limits = { .body_bytes_max = REPLAY_BODY_BYTES_MAX };
    struct ql_reject reject;
    memset(&reject, 0, sizeof(reject));
    ql_batch_reset(&machine->scratch);
    /* It decoded when it was accepted; what was refused in it is refused the same way. */
    const ql_err err = ql_wire_decode(&in, &limits, &machine->scratch, &reject);
    if (err != QL_OK) {
        return err;
    }
    machine->scratch.sequence = record->sequence;
    machine->scratch.accepted = (ql_time){ record->now_ns };
    machine->scratch.source = record->kind;
    return ql_machine_input(machine, (ql_time){ record->now_ns }, &machine->scratch);
}

bool ql_replay_lacks(const struct ql_machine *machine, const struct ql_journal_record *record)
{
    return record->kind == QL_JOURNAL_BEHIND &&
           machine->sequence < (uint64_t)record->accepted_ns;
}

ql_err ql_replay_record(struct ql_machine *machine, const struct ql_journal_record *record,
                        ql_str origin, ql_str body, const struct ql_replay_hooks *hooks)
{
    const ql_time now = { record->now_ns };
    machine->sequence = record->sequence;
    switch (record->kind) {
    case QL_JOURNAL_TICK: {
        const struct ql_batch *bus = ql_machine_tick(machine, now);
        if (hooks->tick != NULL) {
            hooks->tick(hooks->context, record->sequence, now, bus);
        }
        return QL_OK;
    }
    case QL_JOURNAL_DIGEST:
        return hooks->digest == NULL
                   ? QL_OK
                   : hooks->digest(hooks->context, (uint64_t)record->accepted_ns, body);
    case QL_JOURNAL_BEHIND:
        return QL_OK;
    case QL_JOURNAL_CONFIG:
    case QL_JOURNAL_START:
    case QL_JOURNAL_ANEW:
        return hooks->keep_config ? QL_OK : ql_machine_config(machine, record, body);
    default:
        return replay_input(machine, record, origin, body);
    }
}

struct replay {
    struct ql_machine machine;
    const struct ql_replay_env *env;
    struct ql_replay_result result;
    struct replay_kept { uint64_t tick; struct ql_buf digests; } kept[REPLAY_TICKS_KEPT];
    struct ql_buf *why;
};

static void replay_tick(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus)
{
    struct replay *r = context;
    struct replay_kept *kept = &r->kept[r->result.ticks % REPLAY_TICKS_KEPT];
    kept->tick = sequence;
    ql_buf_reset(&kept->digests);
    (void)ql_machine_digests(&r->machine, &kept->digests);
    const uint64_t next[2] = { r->result.digest,
                               ql_hash64(kept->digests.at, kept->digests.bytes) };
    r->result.digest = ql_hash64(next, sizeof(next));
    r->result.ticks++;
    if (r->env->tick != NULL) {
        r->env->tick(r->env->context, sequence, now, bus);
    }
}

static const struct replay_kept *replay_find(const struct replay *r, uint64_t tick)
{
    for (uint32_t i = 0; i < REPLAY_TICKS_KEPT && i < r->result.ticks; i++) {
        const struct replay_kept *kept = &r->kept[(r->result.ticks - 1 - i) % REPLAY_TICKS_KEPT];
        if (kept->tick == tick) {
            return kept;
        }
    }
    return NULL;
}

/* A tick's digests against the recorded ones; names the first stage that differs. */
static ql_err replay_compare(void *context, uint64_t tick_sequence, ql_str recorded)
{
    struct replay *r = context;
    const struct replay_kept *kept = replay_find(r, tick_sequence);
    if (kept == NULL || r->env->config != NULL) {
        return QL_OK;
    }
    r->result.compared++;
    const ql_str made = ql_buf_view(&kept->digests);
    if (ql_str_eq(recorded, made)) {
        return QL_OK;
    }
    char name[64], at[QL_TIME_TEXT_BYTES];
    uint32_t i = 0;
    while ((i + 1) * sizeof(uint64_t) <= recorded.bytes && (i + 1) * sizeof(uint64_t) <= made.bytes &&
           memcmp(recorded.at + i * sizeof(uint64_t), made.at + i * sizeof(uint64_t),
                  sizeof(uint64_t)) == 0) {
        i++;
    }
    ql_machine_digest_name(&r->machine, i, name, sizeof(name));
    (void)ql_buf_printf(r->why, "tick %" PRIu64 " (%s): %s gave other records than it did then",
                        tick_sequence, ql_time_text(r->machine.now, at), name);
    return QL_E_MALFORMED;
}

ql_err ql_replay_first_config(const char *journal_dir, struct ql_config **ret_config,
                              struct ql_buf *ret_why)
{
    struct ql_journal_reader *reader;
    struct ql_journal_record record = { .kind = 0 };
    ql_str origin, body = { "", 0 };
    ql_err err = ql_journal_reader_open(journal_dir, 0, &reader);
    if (err != QL_OK) {
        return err;
    }
    do {
        err = ql_journal_next(reader, &record, &origin, &body, ret_why);
    } while (err == QL_OK && !ql_journal_has_settings(record.kind));
    if (err == QL_OK) {
        err = ql_config_parse(body, "the journal's settings", ret_config, ret_why);
    }
    ql_journal_reader_close(reader);
    return err;
}

/* The beginning has no state, and its settings are the first record. */
static ql_err replay_open_fresh(struct replay *r, const char *journal_dir)
{
    struct ql_config *config = r->env->config;
    ql_err err = config != NULL ? QL_OK : ql_replay_first_config(journal_dir, &config, r->why);
    if (err == QL_E_NOT_FOUND) {
        err = ql_config_default(&config);
    }
    return err == QL_OK ? ql_machine_open(&r->machine, config, r->env->stats) : err;
}

static ql_err replay_open_machine(struct replay *r, const char *journal_dir,
                                  const char *checkpoint_dir, uint64_t journal_first,
                                  uint64_t *ret_from)
{
    struct ql_buf state;
    uint64_t sequence = 0;
    if (journal_first <= 1 && r->env->from_checkpoint == 0) {
        *ret_from = 1;
        return replay_open_fresh(r, journal_dir);
    }
    ql_buf_init(&state, REPLAY_STATE_BYTES_MAX);
    const uint64_t at_most = r->env->from_checkpoint != 0 ? r->env->from_checkpoint
                                                          : ql_checkpoint_oldest(checkpoint_dir);
    ql_err err = ql_checkpoint_read(checkpoint_dir, at_most, &state, &sequence);
    if (err == QL_OK) {
        err = ql_machine_restore(&r->machine, ql_buf_view(&state), r->env->config, r->env->stats);
    } else {
        ql_config_free(r->env->config);
    }
    ql_buf_fini(&state);
    if (err != QL_OK) {
        (void)ql_buf_printf(r->why, "%s: no checkpoint to start from: %s", checkpoint_dir,
                            ql_err_text(err));
    }
    *ret_from = sequence + 1;
    return err;
}

/* Settings that stand before the first input have no time yet. */
static void replay_count(struct ql_replay_result *result, const struct ql_journal_record *record)
{
    if (result->records++ == 0) {
        result->first = QL_TIME_NONE;
        result->first_sequence = record->sequence;
    }
    if (result->first.ns == QL_TIME_NONE.ns) {
        result->first = (ql_time){ record->now_ns };
    }
    result->last = (ql_time){ record->now_ns };
    result->last_sequence = record->sequence;
}

static ql_err replay_loop(struct replay *r, struct ql_journal_reader *reader)
{
    const struct ql_replay_hooks hooks = { .keep_config = r->env->config != NULL,
                                           .tick = replay_tick, .digest = replay_compare,
                                           .context = r };
    struct ql_journal_record record;
    ql_str origin, body;
    ql_err err;
    while ((err = ql_journal_next(reader, &record, &origin, &body, r->why)) == QL_OK) {
        if (r->env->until != 0 && record.sequence > r->env->until) {
            return QL_OK;
        }
        if (ql_replay_lacks(&r->machine, &record)) {
            (void)ql_buf_printf(r->why, "the journal has no records %" PRIu64 " to %" PRId64
                                ", which were lost; --from-checkpoint starts behind them",
                                r->machine.sequence + 1, record.accepted_ns);
            return QL_E_MALFORMED;
        }
        err = ql_replay_record(&r->machine, &record, origin, body, &hooks);
        if (err != QL_OK) {
            if (r->why->bytes == 0) {
                (void)ql_buf_printf(r->why, "record %" PRIu64 ": %s", record.sequence,
                                    ql_err_text(err));
            }
            return err;
        }
        replay_count(&r->result, &record);
        if (r->env->progress != NULL && r->result.records % REPLAY_PROGRESS_RECORDS == 0) {
            r->env->progress(r->env->context, r->result.records, r->result.last);
        }
    }
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

ql_err ql_replay_run(const struct ql_replay_env *env, struct ql_replay_result *ret_result,
                     struct ql_buf *ret_why)
{
    char journal_dir[4096], checkpoint_dir[4096];
    struct ql_journal_reader *reader;
    uint64_t from = 1;
    (void)snprintf(journal_dir, sizeof(journal_dir), "%s/journal", env->data_dir);
    (void)snprintf(checkpoint_dir, sizeof(checkpoint_dir), "%s/checkpoint", env->data_dir);
    ql_err err = ql_journal_reader_open(journal_dir, 0, &reader);
    const uint64_t first = err == QL_OK ? ql_journal_reader_first(reader) : 0;
    if (err == QL_OK) {
        ql_journal_reader_close(reader);
    }
    if (err != QL_OK || first == 0) {
        (void)ql_buf_printf(ret_why, "%s: no journal there", journal_dir);
        ql_config_free(env->config);
        return QL_E_NOT_FOUND;
    }
    struct replay *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return QL_E_MEMORY;
    }
    r->env = env;
    r->why = ret_why;
    for (uint32_t i = 0; i < REPLAY_TICKS_KEPT; i++) {
        ql_buf_init(&r->kept[i].digests, 65536);
    }
    err = replay_open_machine(r, journal_dir, checkpoint_dir, first, &from);
    if (err == QL_OK) {
        err = ql_journal_reader_open(journal_dir, from, &reader);
    }
    if (err == QL_OK) {
        err = replay_loop(r, reader);
        ql_journal_reader_close(reader);
    }
    *ret_result = r->result;
    ql_machine_close(&r->machine);
    for (uint32_t i = 0; i < REPLAY_TICKS_KEPT; i++) {
        ql_buf_fini(&r->kept[i].digests);
    }
    free(r);
    return err;
}

#include "engine/machine.h"

#include "config/config.h"
#include "model/labels.h"

#include <stdio.h>
#include <stdlib.h>

#define MACHINE_ARENA_BYTES_MAX ((size_t)512 << 20)
#define MACHINE_STATE_VERSION 7u
#define MACHINE_STATE_BYTES_MAX ((size_t)16 << 30)

ql_err ql_machine_open(struct ql_machine *machine, struct ql_config *config,
                       struct ql_stats *stats)
{
    memset(machine, 0, sizeof(*machine));
    machine->config = config;
    machine->stats = stats;
    machine->series_max = config->series_max;
    machine->settled = true;
    machine->now = QL_TIME_NONE;
    ql_batch_init(&machine->scratch, MACHINE_ARENA_BYTES_MAX);
    const uint32_t count = config->shards > QL_SHARDS_MAX ? QL_SHARDS_MAX : config->shards;
    ql_err err = ql_core_open(config, stats, 0, &machine->core);
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        const struct ql_shard_env env = { .config = config, .stats = stats, .index = i,
                                          .count = count };
        ql_batch_init(&machine->outs[i].batch, MACHINE_ARENA_BYTES_MAX);
        ql_batch_init(&machine->parts[i], MACHINE_ARENA_BYTES_MAX);
        err = ql_shard_open(&env, &machine->shards[i]);
        machine->shard_count = i + 1;
    }
    if (err != QL_OK) {
        ql_machine_close(machine);
    }
    return err;
}

void ql_machine_close(struct ql_machine *machine)
{
    for (uint32_t i = 0; i < machine->shard_count; i++) {
        ql_shard_close(machine->shards[i]);
        ql_batch_fini(&machine->outs[i].batch);
        ql_batch_fini(&machine->parts[i]);
    }
    ql_core_close(machine->core);
    ql_batch_fini(&machine->scratch);
    ql_config_free(machine->config);
    memset(machine, 0, sizeof(*machine));
}

bool ql_machine_is_series(const struct ql_batch *batch)
{
    return batch->runs.count > 0 || batch->logs.count > 0 || batch->spans.count > 0;
}

/* Shards go by the canonical hash, so that one series has one owner whoever sends it. */
static uint32_t machine_owner(const struct ql_run *run, uint32_t count, struct ql_buf *scratch)
{
    bool canonical;
    ql_hash128 hash = run->raw;
    if (ql_labels_check(run->labels, &canonical) == QL_OK && !canonical) {
        ql_buf_reset(scratch);
        if (ql_labels_canonical(run->labels, scratch) == QL_OK) {
            hash = ql_hash128_of(scratch->at, scratch->bytes);
        }
    }
    return (uint32_t)((hash.high >> 32) % count);
}

static ql_err machine_split_run(const struct ql_batch *batch, const struct ql_run *run,
                                struct ql_batch *part)
{
    struct ql_run *copy = ql_batch_add_run(part);
    const uint32_t first = part->samples.count;
    struct ql_sample *samples = ql_batch_more_samples(part, run->sample_count);
    if (copy == NULL || samples == NULL) {
        return QL_E_FULL;
    }
    *copy = *run;
    copy->sample_first = first;
    if (batch->body == NULL ||
        run->labels.at < ql_blob_view(batch->body).at ||
        run->labels.at >= ql_blob_view(batch->body).at + ql_blob_view(batch->body).bytes) {
        copy->labels = ql_batch_text(part, run->labels);
    }
    memcpy(samples, batch->samples.at + run->sample_first, run->sample_count * sizeof(*samples));
    return QL_OK;
}

/* Logs and spans: their texts move into the part's arena. */
static ql_err machine_split_rest(const struct ql_batch *batch, struct ql_batch *part)
{
    for (uint32_t i = 0; i < batch->logs.count; i++) {
        struct ql_log *log = ql_batch_add_log(part);
        if (log == NULL) {
            return QL_E_FULL;
        }
        *log = batch->logs.at[i];
        log->service = ql_batch_text(part, log->service);
        log->host = ql_batch_text(part, log->host);
        log->body = ql_batch_text(part, log->body);
    }
    for (uint32_t i = 0; i < batch->spans.count; i++) {
        struct ql_span *span = ql_batch_add_span(part);
        if (span == NULL) {
            return QL_E_FULL;
        }
        *span = batch->spans.at[i];
        span->service = ql_batch_text(part, span->service);
        span->operation = ql_batch_text(part, span->operation);
        span->peer = ql_batch_text(part, span->peer);
    }
    return QL_OK;
}

ql_err ql_machine_split(const struct ql_batch *batch, uint32_t count,
                        struct ql_batch *const *parts)
{
    struct ql_buf scratch;
    ql_err err = QL_OK;
    ql_buf_init(&scratch, QL_LABELS_BYTES_MAX * 2);
    for (uint32_t i = 0; i < count; i++) {
        parts[i]->body = batch->body == NULL ? NULL : ql_blob_ref(batch->body);
        parts[i]->sequence = batch->sequence;
        parts[i]->accepted = batch->accepted;
        parts[i]->source = batch->source;
    }
    for (uint32_t i = 0; i < batch->runs.count && err == QL_OK; i++) {
        const struct ql_run *run = &batch->runs.at[i];
        err = machine_split_run(batch, run, parts[machine_owner(run, count, &scratch)]);
    }
    ql_buf_fini(&scratch);
    return err == QL_OK ? machine_split_rest(batch, parts[0]) : err;
}

ql_err ql_machine_input(struct ql_machine *machine, ql_time now, struct ql_batch *batch)
{
    struct ql_batch *parts[QL_SHARDS_MAX];
    machine->now = now;
    machine->settled = false;
    if (!ql_machine_is_series(batch)) {
        ql_core_input(machine->core, batch);
        return QL_OK;
    }
    if (machine->shard_count == 1) {
        ql_shard_push(machine->shards[0], now, batch);
        return QL_OK;
    }
    for (uint32_t i = 0; i < machine->shard_count; i++) {
        parts[i] = &machine->parts[i];
        ql_batch_reset(parts[i]);
    }
    const ql_err err = ql_machine_split(batch, machine->shard_count, parts);
    for (uint32_t i = 0; i < machine->shard_count && err == QL_OK; i++) {
        ql_shard_push(machine->shards[i], now, parts[i]);
    }
    return err;
}

const struct ql_batch *ql_machine_tick(struct ql_machine *machine, ql_time now)
{
    struct ql_shard_out *outs[QL_SHARDS_MAX];
    const struct ql_model_set *set = ql_core_model_set(machine->core);
    machine->now = now;
    machine->settled = true;
    for (uint32_t i = 0; i < machine->shard_count; i++) {
        outs[i] = &machine->outs[i];
        ql_batch_reset(&outs[i]->batch);
        if (set != NULL) {
            ql_shard_adopt(machine->shards[i], set);
        }
        ql_shard_tick(machine->shards[i], now, ql_core_requests(machine->core), outs[i]);
    }
    if (set != NULL) {
        ql_core_adopt(machine->core, set);
    }
    return ql_core_tick(machine->core, now, outs, machine->shard_count);
}

static ql_err machine_parse(ql_str yaml, struct ql_config **ret_config)
{
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    const ql_err err = ql_config_parse(yaml, "journal", ret_config, &why);
    ql_buf_fini(&why);
    return err;
}

static ql_err machine_adopt(struct ql_machine *machine, struct ql_config *config)
{
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < machine->shard_count && err == QL_OK; i++) {
        err = ql_shard_adopt_config(machine->shards[i], config);
    }
    if (err == QL_OK) {
        err = ql_core_adopt_config(machine->core, config);
    }
    ql_config_free(machine->config);
    machine->config = config;
    return err;
}

ql_err ql_machine_config(struct ql_machine *machine, const struct ql_journal_record *record,
                         ql_str yaml)
{
    struct ql_config *config;
    ql_err err = machine_parse(yaml, &config);
    if (err != QL_OK) {
        return err;
    }
    if (record->kind == QL_JOURNAL_ANEW) {
        return ql_machine_anew(machine, config, (uint64_t)record->accepted_ns);
    }
    if (record->kind == QL_JOURNAL_START) {
        err = ql_machine_resize(machine, config->series_max);
    }
    if (err != QL_OK && err != QL_E_FULL) {
        ql_config_free(config);
        return err;
    }
    return machine_adopt(machine, config);
}

ql_err ql_machine_anew(struct ql_machine *machine, struct ql_config *config, uint64_t incident)
{
    struct ql_stats *stats = machine->stats;
    const uint64_t sequence = machine->sequence;
    const ql_time now = machine->now;
    for (uint32_t i = 0; i < machine->shard_count; i++) {
        ql_shard_flush(machine->shards[i]); /* samples are no less true for it */
    }
    ql_machine_close(machine);
    const ql_err err = ql_machine_open(machine, config, stats);
    machine->sequence = sequence;
    machine->now = now;
    if (err == QL_OK) {
        ql_core_ids_above(machine->core, incident);
    }
    return err;
}

ql_err ql_machine_digests(const struct ql_machine *machine, struct ql_buf *out)
{
    uint64_t core[QL_PIPELINE_STAGES_MAX];
    uint32_t core_count;
    for (uint32_t i = 0; i < machine->shard_count; i++) {
        for (uint32_t k = 0; k < machine->outs[i].digest_count; k++) {
            (void)ql_buf_u64(out, machine->outs[i].digests[k]);
        }
    }
    ql_core_digests(machine->core, core, &core_count);
    for (uint32_t k = 0; k < core_count; k++) {
        (void)ql_buf_u64(out, core[k]);
    }
    return ql_buf_check(out);
}

void ql_machine_digest_name(const struct ql_machine *machine, uint32_t index, char *out,
                            size_t out_bytes)
{
    for (uint32_t i = 0; i < machine->shard_count; i++) {
        const struct ql_pipeline *shard = ql_shard_pipeline(machine->shards[i]);
        if (index < shard->count) {
            (void)snprintf(out, out_bytes, "shard %u, %s", i, shard->types[index]->name);
            return;
        }
        index -= shard->count;
    }
    const struct ql_pipeline *core = ql_core_pipeline(machine->core);
    (void)snprintf(out, out_bytes, "core, %s", index < core->count ? core->types[index]->name : "?");
}

/* ---- state ------------------------------------------------------------------------------ */

struct machine_head {
    uint64_t sequence;
    ql_time now;
    uint32_t shard_count, series_max;
    ql_str settings;
};

ql_err ql_machine_save_core(const struct ql_machine *machine, struct ql_buf *out)
{
    (void)ql_buf_u32(out, MACHINE_STATE_VERSION);
    (void)ql_buf_u64(out, machine->sequence);
    (void)ql_buf_i64(out, machine->now.ns);
    (void)ql_buf_u32(out, machine->shard_count);
    (void)ql_buf_u32(out, machine->series_max);
    (void)ql_buf_lstr(out, machine->config->text);
    return ql_core_save(machine->core, out);
}

ql_err ql_machine_save(const struct ql_machine *machine, struct ql_buf *out)
{
    ql_err err = ql_machine_save_core(machine, out);
    for (uint32_t i = 0; i < machine->shard_count && err == QL_OK; i++) {
        err = ql_shard_save(machine->shards[i], out);
    }
    return err == QL_OK ? ql_buf_check(out) : err;
}

/* A shard's state begins with how many series its tables were made for, which is what its stages
 * may have states of. */
static ql_err machine_shard_load(struct ql_machine *machine, uint32_t index, struct ql_reader *in)
{
    struct ql_reader ahead = *in;
    const uint32_t rows = ql_reader_u32(&ahead);
    if (ahead.failed || rows > QL_CONFIG_SERIES_MAX) {
        return QL_E_MALFORMED;
    }
    if (rows > ql_shard_rows_max(machine->shards[index])) {
        const struct ql_shard_env env = { .config = machine->config, .stats = machine->stats,
                                          .index = index, .count = machine->shard_count,
                                          .rows_min = rows };
        ql_shard_close(machine->shards[index]);
        machine->shards[index] = NULL;
        const ql_err err = ql_shard_open(&env, &machine->shards[index]);
        if (err != QL_OK) {
            return err;
        }
    }
    return ql_shard_load(machine->shards[index], in);
}

static ql_err machine_head(struct ql_reader *in, struct machine_head *ret_head)
{
    if (ql_reader_u32(in) != MACHINE_STATE_VERSION) {
        return in->failed ? QL_E_MALFORMED : QL_E_VERSION;
    }
    ret_head->sequence = ql_reader_u64(in);
    ret_head->now.ns = ql_reader_i64(in);
    ret_head->shard_count = ql_reader_u32(in);
    ret_head->series_max = ql_reader_u32(in);
    ret_head->settings = ql_reader_lstr(in);
    return in->failed || ret_head->shard_count == 0 || ret_head->shard_count > QL_SHARDS_MAX ||
           ret_head->series_max == 0 ? QL_E_MALFORMED : QL_OK;
}

ql_err ql_machine_load(struct ql_machine *machine, struct ql_reader *in)
{
    struct machine_head head;
    ql_err err = machine_head(in, &head);
    if (err == QL_OK && head.shard_count != machine->shard_count) {
        err = QL_E_VERSION;
    }
    if (err == QL_OK) {
        machine->sequence = head.sequence;
        machine->now = head.now;
        err = ql_core_load(machine->core, in);
    }
    for (uint32_t i = 0; i < machine->shard_count && err == QL_OK; i++) {
        err = machine_shard_load(machine, i, in);
    }
    return err;
}

/* series_max 0: as it was. */
static ql_err machine_restore(struct ql_machine *machine, ql_str state, uint32_t series_max,
                              struct ql_config *config, struct ql_stats *stats)
{
    struct machine_head head;
    struct ql_reader in = ql_reader_of(state);
    ql_err err = machine_head(&in, &head);
    if (err == QL_OK && config == NULL) {
        err = machine_parse(head.settings, &config);
    }
    if (err != QL_OK) {
        ql_config_free(config);
        return err;
    }
    config->shards = head.shard_count;
    config->series_max = series_max == 0 ? head.series_max : series_max;
    err = ql_machine_open(machine, config, stats);
    if (err == QL_OK) {
        in = ql_reader_of(state);
        err = ql_machine_load(machine, &in);
        if (err != QL_OK) {
            ql_machine_close(machine);
        }
    }
    return err;
}

ql_err ql_machine_restore(struct ql_machine *machine, ql_str state, struct ql_config *config,
                          struct ql_stats *stats)
{
    return machine_restore(machine, state, 0, config, stats);
}

ql_err ql_machine_resize(struct ql_machine *machine, uint32_t series_max)
{
    struct ql_stats *stats = machine->stats;
    const uint32_t before = machine->series_max;
    struct ql_buf state;
    if (series_max == before) {
        return QL_OK;
    }
    if (!machine->settled) {
        return QL_E_FULL;
    }
    ql_buf_init(&state, MACHINE_STATE_BYTES_MAX);
    ql_err err = ql_machine_save(machine, &state);
    if (err == QL_OK) {
        ql_machine_close(machine);
        err = machine_restore(machine, ql_buf_view(&state), series_max, NULL, stats);
        if (err != QL_OK) { /* more series than that: back into what they came from */
            err = machine_restore(machine, ql_buf_view(&state), before, NULL, stats);
            err = err == QL_OK ? QL_E_FULL : err;
        }
    }
    ql_buf_fini(&state);
    return err;
}

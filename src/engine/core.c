#include "engine/core.h"

#include "correlate/correlate.h"
#include "learn/learn.h"
#include "slo/slo.h"
#include "topology/topology.h"

#include <stdlib.h>

#define CORE_ARENA_BYTES_MAX ((size_t)256 << 20)

struct ql_core {
    struct ql_pipeline pipeline;
    struct ql_topology *topology;
    struct ql_batch bus;       /* this tick's */
    struct ql_batch collected; /* inputs since the last tick */
    struct ql_batch requests;  /* for the shards' next tick */
    uint64_t digests[QL_PIPELINE_STAGES_MAX];
    struct ql_stat_cell *lost;
};

ql_err ql_core_open(const struct ql_config *config, struct ql_stats *stats, uint64_t seed,
                    struct ql_core **ret_core)
{
    struct ql_core *core = calloc(1, sizeof(*core));
    if (core == NULL) {
        return QL_E_MEMORY;
    }
    ql_batch_init(&core->bus, CORE_ARENA_BYTES_MAX);
    ql_batch_init(&core->collected, CORE_ARENA_BYTES_MAX);
    ql_batch_init(&core->requests, CORE_ARENA_BYTES_MAX);
    core->lost = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_records_lost_total",
                               "Records between stages that found no memory, by shard.",
                               "shard=\"core\"");
    ql_err err = ql_topology_new(&core->topology);
    if (err == QL_OK) {
        const struct ql_stage_env env = { .config = config, .topology = core->topology,
                                          .stats = stats, .seed = seed, .shard_count = 1 };
        err = ql_pipeline_open(&core->pipeline, QL_SIDE_CORE, &env);
    }
    if (err != QL_OK) {
        ql_core_close(core);
        return err;
    }
    *ret_core = core;
    return QL_OK;
}

void ql_core_close(struct ql_core *core)
{
    if (core == NULL) {
        return;
    }
    ql_pipeline_close(&core->pipeline);
    ql_topology_free(core->topology);
    ql_batch_fini(&core->bus);
    ql_batch_fini(&core->collected);
    ql_batch_fini(&core->requests);
    free(core);
}

void ql_core_ids_above(struct ql_core *core, uint64_t id)
{
    ql_correlate_ids_above(ql_pipeline_stage(&core->pipeline, "correlate"), id);
}

static uint32_t core_copy_inputs(struct ql_batch *to, const struct ql_batch *from)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < from->alerts_in.count; i++) {
        lost += ql_batch_copy_alert_in(to, &from->alerts_in.at[i]) != QL_OK;
    }
    for (uint32_t i = 0; i < from->changes_in.count; i++) {
        lost += ql_batch_copy_change_in(to, &from->changes_in.at[i]) != QL_OK;
    }
    for (uint32_t i = 0; i < from->commands.count; i++) {
        lost += ql_batch_copy_command(to, &from->commands.at[i]) != QL_OK;
    }
    for (uint32_t i = 0; i < from->outcomes.count; i++) {
        lost += ql_batch_copy_outcome(to, &from->outcomes.at[i]) != QL_OK;
    }
    for (uint32_t i = 0; i < from->findings.count; i++) {
        lost += ql_batch_copy_finding(to, &from->findings.at[i]) != QL_OK;
    }
    return lost;
}

void ql_core_input(struct ql_core *core, const struct ql_batch *batch)
{
    const uint32_t lost = core_copy_inputs(&core->collected, batch);
    if (lost > 0) {
        ql_stat_add(core->lost, lost);
    }
}

static uint32_t core_take_windows(struct ql_batch *to, const struct ql_batch *from)
{
    const uint32_t base = to->samples.count;
    uint32_t lost = 0;
    if (from->windows.count == 0) {
        return 0;
    }
    struct ql_sample *samples = ql_batch_more_samples(to, from->samples.count);
    if (samples == NULL) {
        return from->windows.count;
    }
    memcpy(samples, from->samples.at, from->samples.count * sizeof(*samples));
    for (uint32_t i = 0; i < from->windows.count; i++) {
        struct ql_window *window = ql_batch_add_window(to);
        if (window == NULL) {
            lost++;
            continue;
        }
        *window = from->windows.at[i];
        window->sample_first += base;
        window->metric = ql_batch_text(to, window->metric);
        window->labels = ql_batch_text(to, window->labels);
    }
    return lost;
}

/* By time, then series, then phase: the same order however many shards there are. */
static int core_signal_order(const void *a, const void *b)
{
    const struct ql_signal *x = a, *y = b;
    if (x->at.ns != y->at.ns) {
        return x->at.ns < y->at.ns ? -1 : 1;
    }
    if (x->series.h.low != y->series.h.low) {
        return x->series.h.low < y->series.h.low ? -1 : 1;
    }
    return (int)x->phase - (int)y->phase;
}

static int core_part_order(const void *a, const void *b)
{
    const struct ql_slo_part *x = a, *y = b;
    if (x->slo != y->slo) {
        return x->slo < y->slo ? -1 : 1;
    }
    if (x->minute != y->minute) {
        return x->minute < y->minute ? -1 : 1;
    }
    return (x->entity.v > y->entity.v) - (x->entity.v < y->entity.v);
}

/* Shards learn of changes with the next tick's requests: who changed, when and what. */
static void core_keep_change(struct ql_core *core, const struct ql_change *from)
{
    struct ql_change *change = ql_batch_add_change(&core->requests);
    if (change == NULL) {
        ql_stat_add(core->lost, 1);
        return;
    }
    *change = (struct ql_change){ .entity = from->entity, .at = from->at };
    change->kind = ql_batch_text(&core->requests, from->kind);
    change->summary = ql_batch_text(&core->requests, from->summary);
}

static void core_keep_requests(struct ql_core *core)
{
    ql_batch_reset(&core->requests);
    for (uint32_t i = 0; i < core->bus.window_requests.count; i++) {
        struct ql_window_request *request = ql_batch_add_window_request(&core->requests);
        if (request == NULL) {
            ql_stat_add(core->lost, 1);
            continue;
        }
        *request = core->bus.window_requests.at[i];
    }
    for (uint32_t i = 0; i < core->bus.changes.count; i++) {
        core_keep_change(core, &core->bus.changes.at[i]);
    }
}

const struct ql_batch *ql_core_tick(struct ql_core *core, ql_time now,
                                    struct ql_shard_out *const *outs, uint32_t out_count)
{
    uint32_t lost = 0;
    ql_batch_reset(&core->bus);
    lost += core_copy_inputs(&core->bus, &core->collected);
    ql_batch_reset(&core->collected);
    for (uint32_t i = 0; i < out_count; i++) {
        lost += core_take_windows(&core->bus, &outs[i]->batch);
        lost += ql_shard_carry(&core->bus, &outs[i]->batch);
    }
    if (core->bus.signals.count > 1) {
        qsort(core->bus.signals.at, core->bus.signals.count, sizeof(*core->bus.signals.at),
              core_signal_order);
    }
    if (core->bus.slo_parts.count > 1) {
        qsort(core->bus.slo_parts.at, core->bus.slo_parts.count,
              sizeof(*core->bus.slo_parts.at), core_part_order);
    }
    ql_pipeline_tick(&core->pipeline, now, &core->bus);
    memcpy(core->digests, core->pipeline.digests, sizeof(core->digests));
    memset(core->pipeline.digests, 0, sizeof(core->pipeline.digests));
    core_keep_requests(core);
    if (lost > 0) {
        ql_stat_add(core->lost, lost);
    }
    return &core->bus;
}

const struct ql_batch *ql_core_requests(const struct ql_core *core)
{
    return &core->requests;
}

const struct ql_model_set *ql_core_model_set(const struct ql_core *core)
{
    return ql_learn_pending(ql_pipeline_stage(&core->pipeline, "learn"));
}

void ql_core_digests(const struct ql_core *core, uint64_t ret_digests[QL_PIPELINE_STAGES_MAX],
                     uint32_t *ret_count)
{
    memcpy(ret_digests, core->digests, sizeof(core->digests));
    *ret_count = core->pipeline.count;
}

void ql_core_adopt(struct ql_core *core, const struct ql_model_set *set)
{
    ql_pipeline_adopt(&core->pipeline, set);
}

ql_err ql_core_adopt_config(struct ql_core *core, const struct ql_config *config)
{
    return ql_pipeline_adopt_config(&core->pipeline, config);
}

ql_err ql_core_save(const struct ql_core *core, struct ql_buf *out)
{
    QL_ASSERT(core->collected.alerts_in.count == 0);
    (void)ql_buf_u32(out, core->requests.window_requests.count);
    for (uint32_t i = 0; i < core->requests.window_requests.count; i++) {
        const struct ql_window_request *r = &core->requests.window_requests.at[i];
        (void)ql_buf_u64(out, r->incident.v);
        (void)ql_buf_u64(out, r->entity.v);
        (void)ql_buf_i64(out, r->from.ns);
        (void)ql_buf_i64(out, r->onset.ns);
    }
    (void)ql_buf_u32(out, core->requests.changes.count);
    for (uint32_t i = 0; i < core->requests.changes.count; i++) {
        (void)ql_buf_u64(out, core->requests.changes.at[i].entity.v);
        (void)ql_buf_i64(out, core->requests.changes.at[i].at.ns);
        (void)ql_buf_lstr(out, core->requests.changes.at[i].kind);
        (void)ql_buf_lstr(out, core->requests.changes.at[i].summary);
    }
    const ql_err err = ql_topology_save(core->topology, out);
    return err == QL_OK ? ql_pipeline_save(&core->pipeline, out) : err;
}

ql_err ql_core_load(struct ql_core *core, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        struct ql_window_request *r = ql_batch_add_window_request(&core->requests);
        if (r == NULL) {
            return QL_E_FULL;
        }
        r->incident.v = ql_reader_u64(in);
        r->entity.v = ql_reader_u64(in);
        r->from.ns = ql_reader_i64(in);
        r->onset.ns = ql_reader_i64(in);
    }
    const uint32_t changes = ql_reader_u32(in);
    for (uint32_t i = 0; i < changes && !in->failed; i++) {
        struct ql_change change = { .entity = { ql_reader_u64(in) } };
        change.at.ns = ql_reader_i64(in);
        change.kind = ql_reader_lstr(in);
        change.summary = ql_reader_lstr(in);
        core_keep_change(core, &change);
    }
    if (in->failed) {
        return QL_E_MALFORMED;
    }
    const ql_err err = ql_topology_load(core->topology, in);
    return err == QL_OK ? ql_pipeline_load(&core->pipeline, in) : err;
}

const struct ql_slo_state *ql_core_slos(const struct ql_core *core, uint32_t *ret_count,
                                        uint64_t *ret_version)
{
    return ql_slo_states(ql_pipeline_stage(&core->pipeline, "slo"), ret_count, ret_version);
}

const struct ql_pipeline *ql_core_pipeline(const struct ql_core *core)
{
    return &core->pipeline;
}

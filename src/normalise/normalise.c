#include "normalise/normalise.h"

#include "model/labels.h"
#include "normalise/normalise_int.h"

#include <stdlib.h>

static void normalise_close(void *stage)
{
    struct nm *nm = stage;
    if (nm != NULL) {
        nm_due_fini(&nm->due);
        nm_services_fini(&nm->services);
        nm_calls_fini(&nm->calls);
        ql_buf_fini(&nm->scratch);
        free(nm);
    }
}

static ql_err normalise_open(const struct ql_stage_env *env, void **ret_stage)
{
    QL_ASSERT(env->config != NULL);
    QL_ASSERT(env->series != NULL);
    QL_ASSERT(env->stats != NULL);
    struct nm *nm = calloc(1, sizeof(*nm));
    if (nm == NULL) {
        return QL_E_MEMORY;
    }
    nm->config = env->config;
    nm->table = env->series;
    nm->shard_count = env->shard_count > 0 ? env->shard_count : 1;
    nm_counts_init(&nm->counts, env->stats, env->shard_index);
    ql_buf_init(&nm->scratch, 2 * QL_LABELS_BYTES_MAX);
    /* All three, even when one fails: close takes half-built parts, not unmade ones. */
    const ql_err due = nm_due_init(&nm->due, ql_series_index_max(env->series));
    const ql_err services = nm_services_init(&nm->services);
    const ql_err calls = nm_calls_init(&nm->calls);
    const ql_err err = due != QL_OK ? due : services != QL_OK ? services : calls;
    if (err != QL_OK) {
        normalise_close(nm);
        return err;
    }
    *ret_stage = nm;
    return QL_OK;
}

static void normalise_advance(struct nm *nm, ql_time now, bool tick)
{
    nm_due_advance(&nm->due, now, tick);
    nm_services_advance(&nm->services, now, nm_due_clock(&nm->due));
}

static void normalise_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct nm *nm = stage;
    normalise_advance(nm, now, false);
    nm_runs_push(nm, now, bus);
    for (uint32_t i = 0; i < bus->logs.count; i++) {
        nm_service_log(nm, &bus->logs.at[i], now, bus->source);
    }
    for (uint32_t i = 0; i < bus->spans.count; i++) {
        const struct ql_span *span = &bus->spans.at[i];
        const uint32_t number = nm_service_number(&nm->services, span->service);
        if (number == QL_MAP_NONE) {
            nm_drop(&nm->counts, bus->source, NM_REASON_CARDINALITY, 1);
            continue;
        }
        nm_service_span(nm, number, span, now);
        nm_calls_span(nm, number, span, bus->source);
    }
}

static void normalise_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct nm *nm = stage;
    normalise_advance(nm, now, true);
    nm_services_tick(nm, now, bus);
    nm_calls_tick(nm, now, bus);
    nm_idle_tick(nm, bus);
    nm_runs_tick(nm, bus);
}

static ql_err normalise_adopt_config(void *stage, const struct ql_config *config)
{
    struct nm *nm = stage;
    nm->config = config; /* series_max stays as it was opened */
    return QL_OK;
}

static ql_err normalise_save(const void *stage, struct ql_buf *out)
{
    const struct nm *nm = stage;
    for (uint32_t i = 0; i < NM_SOURCE_COUNT; i++) {
        (void)ql_buf_i64(out, nm->quotas[i].minute);
        (void)ql_buf_u32(out, nm->quotas[i].count);
    }
    (void)ql_buf_u32(out, nm->idle_next_s);
    (void)nm_services_save(&nm->services, out);
    (void)nm_calls_save(&nm->calls, out);
    (void)ql_buf_u32(out, ql_series_count(nm->table));
    (void)nm_due_save(&nm->due, ql_series_count(nm->table), out);
    return ql_buf_check(out);
}

/* The series table is loaded before: the engine saves it itself. */
static ql_err normalise_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct nm *nm = stage;
    if (version != ql_normalise_stage.state_version) {
        return QL_E_VERSION;
    }
    for (uint32_t i = 0; i < NM_SOURCE_COUNT; i++) {
        nm->quotas[i].minute = ql_reader_i64(in);
        nm->quotas[i].count = ql_reader_u32(in);
    }
    nm->idle_next_s = ql_reader_u32(in);
    ql_err err = nm_services_load(&nm->services, ql_series_count(nm->table), in);
    if (err == QL_OK) {
        err = nm_calls_load(&nm->calls, &nm->services, in);
    }
    if (err == QL_OK) {
        const uint32_t count = ql_reader_u32(in);
        err = count == ql_series_count(nm->table) ? nm_due_load(&nm->due, count, in)
                                                  : QL_E_MALFORMED;
    }
    return err == QL_OK && in->failed ? QL_E_MALFORMED : err;
}

static size_t normalise_bytes(const void *stage)
{
    const struct nm *nm = stage;
    return (size_t)ql_series_count(nm->table) * sizeof(*nm->due.lives);
}

const struct ql_stage_type ql_normalise_stage = {
    .name = "normalise",
    .reads = QL_LIST_BIT(runs) | QL_LIST_BIT(samples) | QL_LIST_BIT(logs) | QL_LIST_BIT(spans),
    .writes = QL_LIST_BIT(points) | QL_LIST_BIT(retired) | QL_LIST_BIT(edges) |
              QL_LIST_BIT(entities),
    .state_version = 5,
    .open = normalise_open,
    .close = normalise_close,
    .push = normalise_push,
    .tick = normalise_tick,
    .adopt_config = normalise_adopt_config,
    .save = normalise_save,
    .load = normalise_load,
    .bytes = normalise_bytes,
};

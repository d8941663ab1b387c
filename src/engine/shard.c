#include "engine/shard.h"

#include "config/config.h"
#include "base/map.h"
#include "model/entity.h"
#include "model/labels.h"
#include "model/selector.h"

#include <stdio.h>
#include <stdlib.h>

#define SHARD_ARENA_BYTES_MAX ((size_t)256 << 20)

struct ql_shard {
    struct ql_shard_env env;
    struct ql_series_table *series;
    struct ql_recent *recent;
    struct ql_pipeline pipeline;
    struct ql_batch said;    /* what pushes have said since the last tick */
    struct ql_batch closing; /* the bus of a tick */
    void (*forget)(void *context, const struct ql_series_info *info, ql_time now);
    void *forget_context;
    struct ql_arena names;   /* of one that is forgotten */
    uint32_t *forgotten;     /* indexes, for the table */
    uint32_t forgotten_max;
    struct ql_stat_cell *series_count, *retired, *lost;
    struct ql_stat_cell *table_bytes, *recent_bytes, *stage_bytes[QL_PIPELINE_STAGES_MAX];
};

static struct ql_stat_cell *shard_bytes_cell(const struct ql_shard *shard, const char *part)
{
    char labels[96];
    (void)snprintf(labels, sizeof(labels), "part=\"%s\",shard=\"%u\"", part, shard->env.index);
    return ql_stats_cell(shard->env.stats, QL_STAT_GAUGE, "ql_state_bytes",
                         "Memory that the state of series takes, by part and shard.", labels);
}

/* Sums of a few counts, so that every tick can afford them. */
static void shard_tell_bytes(const struct ql_shard *shard)
{
    ql_stat_set(shard->table_bytes, (int64_t)ql_series_bytes(shard->series));
    ql_stat_set(shard->recent_bytes,
                (int64_t)(ql_series_count(shard->series) * QL_RECENT_ROW_BYTES));
    for (uint32_t i = 0; i < shard->pipeline.count; i++) {
        if (shard->stage_bytes[i] != NULL) {
            ql_stat_set(shard->stage_bytes[i],
                        (int64_t)shard->pipeline.types[i]->bytes(shard->pipeline.stages[i]));
        }
    }
}

ql_err ql_shard_open(const struct ql_shard_env *env, struct ql_shard **ret_shard)
{
    struct ql_shard *shard = calloc(1, sizeof(*shard));
    if (shard == NULL) {
        return QL_E_MEMORY;
    }
    const uint32_t series_max = (env->config->series_max + env->count - 1) / env->count;
    const uint32_t rows_max = env->rows_min > series_max ? env->rows_min : series_max;
    char labels[32];
    shard->env = *env;
    (void)snprintf(labels, sizeof(labels), "shard=\"%u\"", env->index);
    shard->series_count = ql_stats_cell(env->stats, QL_STAT_GAUGE, "ql_series",
                                        "Series known, by shard.", labels);
    shard->retired = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_series_retired_total",
                                   "Series forgotten after no sample for long, by shard.", labels);
    shard->lost = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_records_lost_total",
                                "Records between stages that found no memory, by shard.", labels);
    ql_batch_init(&shard->said, SHARD_ARENA_BYTES_MAX);
    ql_batch_init(&shard->closing, SHARD_ARENA_BYTES_MAX);
    ql_arena_init(&shard->names, (size_t)4 * QL_LABELS_BYTES_MAX);
    ql_err err = ql_series_table_new(rows_max, &shard->series);
    if (err == QL_OK) {
        ql_series_limit(shard->series, series_max);
        err = ql_recent_new(rows_max, &shard->recent);
    }
    if (err == QL_OK) {
        const struct ql_stage_env stage_env = {
            .config = env->config, .series = shard->series, .stats = env->stats,
            .seed = env->seed, .shard_index = env->index, .shard_count = env->count,
        };
        err = ql_pipeline_open(&shard->pipeline, QL_SIDE_SHARD, &stage_env);
    }
    if (err != QL_OK) {
        ql_shard_close(shard);
        return err;
    }
    shard->table_bytes = shard_bytes_cell(shard, "series");
    shard->recent_bytes = shard_bytes_cell(shard, "samples");
    for (uint32_t i = 0; i < shard->pipeline.count; i++) {
        if (shard->pipeline.types[i]->bytes != NULL) {
            shard->stage_bytes[i] = shard_bytes_cell(shard, shard->pipeline.types[i]->name);
        }
    }
    *ret_shard = shard;
    return QL_OK;
}

void ql_shard_close(struct ql_shard *shard)
{
    if (shard == NULL) {
        return;
    }
    ql_pipeline_close(&shard->pipeline);
    ql_recent_free(shard->recent);
    ql_series_table_free(shard->series);
    free(shard->forgotten);
    ql_arena_fini(&shard->names);
    ql_batch_fini(&shard->said);
    ql_batch_fini(&shard->closing);
    free(shard);
}

struct ql_recent *ql_shard_recent(struct ql_shard *shard)
{
    return shard->recent;
}

uint32_t ql_shard_carry(struct ql_batch *to, const struct ql_batch *from)
{
    uint32_t lost = 0;
    for (uint32_t i = 0; i < from->signals.count; i++) {
        lost += ql_batch_copy_signal(to, &from->signals.at[i]) != QL_OK;
    }
    for (uint32_t i = 0; i < from->entities.count; i++) {
        lost += ql_batch_copy_entity(to, &from->entities.at[i]) != QL_OK;
    }
    for (uint32_t i = 0; i < from->edges.count; i++) {
        struct ql_edge *edge = ql_batch_add_edge(to);
        if (edge == NULL) {
            lost++;
            continue;
        }
        *edge = from->edges.at[i];
    }
    for (uint32_t i = 0; i < from->slo_parts.count; i++) {
        struct ql_slo_part *part = ql_batch_add_slo_part(to);
        if (part == NULL) {
            lost++;
            continue;
        }
        *part = from->slo_parts.at[i];
    }
    return lost;
}

/* Keeps what the core will want at the tick; the batch itself goes back to its pool. */
static void shard_say(struct ql_shard *shard, struct ql_batch *to, const struct ql_batch *from)
{
    const uint32_t lost = ql_shard_carry(to, from);
    if (lost > 0) {
        ql_stat_add(shard->lost, lost);
    }
}

void ql_shard_push(struct ql_shard *shard, ql_time now, struct ql_batch *batch)
{
    ql_pipeline_push(&shard->pipeline, now, batch);
    ql_recent_record(shard->recent, shard->series, batch);
    shard_say(shard, &shard->said, batch);
}

/* The judged values of one series since `from` as one window. */
static void shard_window(struct ql_shard *shard, uint32_t index,
                         const struct ql_window_request *request, ql_time now,
                         struct ql_batch *out)
{
    const struct ql_series *series = ql_series_at(shard->series, index);
    const uint32_t first = out->samples.count;
    const uint32_t count = ql_recent_window(shard->recent, index, (enum ql_metric_type)series->type,
                                            request->from, now, out);
    struct ql_window *window = count == 0 ? NULL : ql_batch_add_window(out);
    if (window == NULL) {
        out->samples.count = first;
        return;
    }
    struct ql_buf labels;
    ql_buf_init(&labels, QL_LABELS_BYTES_MAX);
    (void)ql_series_labels(shard->series, index, &labels);
    *window = (struct ql_window){
        .incident = request->incident, .series = series->id, .entity = series->entity,
        .metric = ql_batch_text(out, ql_series_name(shard->series, index)),
        .labels = ql_batch_text(out, ql_buf_view(&labels)),
        .type = (enum ql_metric_type)series->type,
        .sample_first = first, .sample_count = count,
    };
    ql_buf_fini(&labels);
}

/* One pass over the series serves all requests. */
static void shard_answer(struct ql_shard *shard, ql_time now, const struct ql_batch *requests,
                         struct ql_batch *out)
{
    if (requests == NULL || requests->window_requests.count == 0) {
        return;
    }
    const uint32_t series_count = ql_series_count(shard->series);
    for (uint32_t i = 0; i < series_count; i++) {
        const ql_entity_id entity = ql_series_at(shard->series, i)->entity;
        for (uint32_t r = 0; r < requests->window_requests.count; r++) {
            if (requests->window_requests.at[r].entity.v == entity.v && entity.v != 0) {
                shard_window(shard, i, &requests->window_requests.at[r], now, out);
            }
        }
    }
}

/* What changed, as the core found it in the tick before. */
static void shard_changes(struct ql_shard *shard, const struct ql_batch *requests)
{
    for (uint32_t i = 0; requests != NULL && i < requests->changes.count; i++) {
        struct ql_change *change = ql_batch_add_change(&shard->closing);
        if (change == NULL) {
            ql_stat_add(shard->lost, 1);
            return;
        }
        *change = requests->changes.at[i];
    }
}

static ql_err shard_info(const struct ql_shard *shard, uint32_t index, struct ql_arena *texts,
                         struct ql_series_info *ret_info)
{
    struct ql_buf labels, entity;
    const struct ql_series *series = ql_series_at(shard->series, index);
    ql_buf_init(&labels, QL_LABELS_BYTES_MAX);
    ql_buf_init(&entity, QL_LABELS_BYTES_MAX);
    (void)ql_series_labels(shard->series, index, &labels);
    (void)ql_entity_of_labels(ql_buf_view(&labels), &entity);
    *ret_info = (struct ql_series_info){
        .id = series->id, .labels = ql_arena_str(texts, ql_buf_view(&labels)),
        .entity = ql_arena_str(texts, ql_buf_view(&entity)),
        .type = (enum ql_metric_type)series->type, .last_at = series->last_at,
        .step_ms = series->step_ms,
    };
    ql_buf_fini(&labels);
    ql_buf_fini(&entity);
    return ret_info->labels.at == NULL || ret_info->entity.at == NULL ? QL_E_FULL : QL_OK;
}

void ql_shard_on_forget(struct ql_shard *shard,
                        void (*forget)(void *context, const struct ql_series_info *info,
                                       ql_time now),
                        void *context)
{
    shard->forget = forget;
    shard->forget_context = context;
}

static void shard_tell_name(struct ql_shard *shard, uint32_t index, ql_time now)
{
    struct ql_series_info info;
    ql_arena_reset(&shard->names);
    if (shard->forget != NULL && shard_info(shard, index, &shard->names, &info) == QL_OK &&
        info.last_at.ns != QL_TIME_NONE.ns) {
        shard->forget(shard->forget_context, &info, now);
    }
}

/* The stages have let go of what stands in `retired`; so do the table and what is recent. */
static void shard_forget(struct ql_shard *shard, ql_time now)
{
    const uint32_t count = shard->closing.retired.count;
    if (count > shard->forgotten_max) {
        uint32_t *grown = realloc(shard->forgotten, count * sizeof(*grown));
        QL_ASSERT(grown != NULL); /* a few kB; without them indexes would be lost for good */
        shard->forgotten = grown;
        shard->forgotten_max = count;
    }
    for (uint32_t i = 0; i < count; i++) {
        shard->forgotten[i] = shard->closing.retired.at[i].series;
        ql_recent_forget(shard->recent, shard->series, shard->forgotten[i]);
        shard_tell_name(shard, shard->forgotten[i], now);
    }
    ql_series_drop(shard->series, shard->forgotten, count);
    ql_stat_add(shard->retired, count);
}

void ql_shard_tick(struct ql_shard *shard, ql_time now, const struct ql_batch *requests,
                   struct ql_shard_out *out)
{
    ql_batch_reset(&shard->closing);
    shard_changes(shard, requests);
    ql_pipeline_tick(&shard->pipeline, now, &shard->closing);
    ql_recent_record(shard->recent, shard->series, &shard->closing);
    shard_forget(shard, now);
    shard_say(shard, &out->batch, &shard->said);
    shard_say(shard, &out->batch, &shard->closing);
    ql_batch_reset(&shard->said);
    shard_answer(shard, now, requests, &out->batch);
    out->digest_count = shard->pipeline.count;
    memcpy(out->digests, shard->pipeline.digests, sizeof(out->digests));
    memset(shard->pipeline.digests, 0, sizeof(shard->pipeline.digests));
    ql_stat_set(shard->series_count, ql_series_live(shard->series));
    shard_tell_bytes(shard);
}

void ql_shard_adopt(struct ql_shard *shard, const struct ql_model_set *set)
{
    ql_pipeline_adopt(&shard->pipeline, set);
}

ql_err ql_shard_adopt_config(struct ql_shard *shard, const struct ql_config *config)
{
    shard->env.config = config;
    return ql_pipeline_adopt_config(&shard->pipeline, config);
}

/* State is saved right after a tick, when nothing said is pending. */
ql_err ql_shard_save(const struct ql_shard *shard, struct ql_buf *out)
{
    QL_ASSERT(shard->said.signals.count == 0);
    ql_err err = ql_series_save(shard->series, out);
    if (err == QL_OK) {
        err = ql_recent_save(shard->recent, ql_series_count(shard->series), out);
    }
    return err == QL_OK ? ql_pipeline_save(&shard->pipeline, out) : err;
}

ql_err ql_shard_load(struct ql_shard *shard, struct ql_reader *in)
{
    ql_err err = ql_series_load(shard->series, in);
    if (err == QL_OK) {
        ql_stat_set(shard->series_count, ql_series_live(shard->series));
        err = ql_recent_load(shard->recent, in);
    }
    return err == QL_OK ? ql_pipeline_load(&shard->pipeline, in) : err;
}

/* An exact metric name, which nearly every selector has, spares building most blocks. */
static bool shard_name_differs(const struct ql_shard *shard, const struct ql_selector *selector,
                               uint32_t index)
{
    for (uint32_t i = 0; i < selector->count; i++) {
        const struct ql_matcher *m = &selector->matchers[i];
        if (m->op == '=' && ql_str_eq(m->name, QL_STR("__name__"))) {
            return !ql_str_eq(ql_series_name(shard->series, index), m->value);
        }
    }
    return false;
}

ql_err ql_shard_find(const struct ql_shard *shard, const struct ql_matcher *matchers,
                     uint32_t matcher_count, uint32_t count_max, struct ql_arena *texts,
                     struct ql_series_info *ret_infos, uint32_t *ret_count)
{
    struct ql_selector selector;
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_buf labels;
    uint32_t found = 0;
    ql_err err = ql_selector_of(matchers, matcher_count, &selector, why);
    if (err != QL_OK) {
        return err;
    }
    ql_buf_init(&labels, QL_LABELS_BYTES_MAX);
    const uint32_t series_count = ql_series_count(shard->series);
    for (uint32_t i = 0; i < series_count && found < count_max && err == QL_OK; i++) {
        if (!ql_series_is_live(shard->series, i) || shard_name_differs(shard, &selector, i)) {
            continue;
        }
        ql_buf_reset(&labels);
        (void)ql_series_labels(shard->series, i, &labels);
        if (ql_selector_matches(&selector, ql_buf_view(&labels))) {
            err = shard_info(shard, i, texts, &ret_infos[found]);
            found += err == QL_OK;
        }
    }
    ql_buf_fini(&labels);
    ql_selector_fini(&selector);
    if (err == QL_OK) {
        *ret_count = found;
    }
    return err;
}

ql_err ql_shard_get(const struct ql_shard *shard, ql_series_id id, struct ql_arena *texts,
                    struct ql_series_info *ret_info)
{
    const uint32_t index = ql_series_find(shard->series, id);
    return index == QL_MAP_NONE ? QL_E_NOT_FOUND : shard_info(shard, index, texts, ret_info);
}

bool ql_shard_has(const struct ql_shard *shard, ql_series_id id)
{
    return ql_series_find(shard->series, id) != QL_MAP_NONE;
}

ql_err ql_shard_read(const struct ql_shard *shard, ql_series_id id, ql_time from, ql_time to,
                     struct ql_batch *out, enum ql_metric_type *ret_type)
{
    const uint32_t index = ql_series_find(shard->series, id);
    if (index == QL_MAP_NONE) {
        return QL_E_NOT_FOUND;
    }
    (void)ql_recent_samples(shard->recent, index, from, to, out);
    ql_recent_bands(shard->recent, index, from, to, out);
    *ret_type = (enum ql_metric_type)ql_series_at(shard->series, index)->type;
    return QL_OK;
}

static void shard_tail(const struct ql_shard *shard, uint32_t index, struct ql_tail *tail,
                       struct ql_batch *out)
{
    const struct ql_series *series = ql_series_at(shard->series, index);
    const ql_time oldest = ql_recent_oldest(shard->recent, index);
    tail->found = true;
    tail->whole = series->last_at.ns <= tail->from.ns ||
                  (oldest.ns != QL_TIME_NONE.ns && oldest.ns <= tail->from.ns);
    tail->raw_first = tail->judged_first = out->samples.count;
    tail->band_first = out->bands.count;
    if (series->last_at.ns <= tail->from.ns) {
        return;
    }
    const ql_time from = { tail->from.ns + 1 }, to = { INT64_MAX };
    tail->raw_count = ql_recent_samples(shard->recent, index, from, to, out);
    tail->judged_first = out->samples.count;
    /* A rate needs the sample before: judged from further back, shown from where asked. */
    (void)ql_recent_window(shard->recent, index, (enum ql_metric_type)series->type,
                           ql_time_add(tail->from, QL_MIN(-10)), to, out);
    uint32_t kept = tail->judged_first;
    for (uint32_t i = tail->judged_first; i < out->samples.count; i++) {
        if (out->samples.at[i].at.ns > tail->from.ns) {
            out->samples.at[kept++] = out->samples.at[i];
        }
    }
    out->samples.count = kept;
    tail->judged_count = kept - tail->judged_first;
    ql_recent_bands(shard->recent, index, ql_time_add(from, QL_MIN(-120)), to, out);
    tail->band_count = out->bands.count - tail->band_first;
}

void ql_shard_tails(const struct ql_shard *shard, struct ql_tail *tails, uint32_t count,
                    struct ql_batch *out)
{
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t index = ql_series_find(shard->series, tails[i].id);
        if (index != QL_MAP_NONE) {
            shard_tail(shard, index, &tails[i], out);
        }
    }
}

void ql_shard_flush(struct ql_shard *shard)
{
    ql_recent_flush(shard->recent, shard->series);
}

uint32_t ql_shard_series_count(const struct ql_shard *shard)
{
    return ql_series_live(shard->series);
}

uint32_t ql_shard_series_max(const struct ql_shard *shard)
{
    return ql_series_max(shard->series);
}

uint32_t ql_shard_rows_max(const struct ql_shard *shard)
{
    return ql_series_index_max(shard->series);
}

const struct ql_pipeline *ql_shard_pipeline(const struct ql_shard *shard)
{
    return &shard->pipeline;
}

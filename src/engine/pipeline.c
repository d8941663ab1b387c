#include "engine/pipeline.h"

#define QL_STAGE(side, object, header) extern const struct ql_stage_type object;
#include "engine/pipeline.def"

#define STAGE_END UINT32_C(0x53646e45) /* "EndS" */

struct pipeline_row { enum ql_pipeline_side side; const struct ql_stage_type *type; };

static const struct pipeline_row pipeline_rows[] = {
#define QL_STAGE(side, object, header) { QL_SIDE_##side, &object },
#include "engine/pipeline.def"
};

ql_err ql_pipeline_open(struct ql_pipeline *pipeline, enum ql_pipeline_side side,
                        const struct ql_stage_env *env)
{
    memset(pipeline, 0, sizeof(*pipeline));
    for (size_t i = 0; i < QL_COUNT_OF(pipeline_rows); i++) {
        if (pipeline_rows[i].side != side) {
            continue;
        }
        QL_ASSERT(pipeline->count < QL_PIPELINE_STAGES_MAX);
        const uint32_t at = pipeline->count;
        pipeline->types[at] = pipeline_rows[i].type;
        const ql_err err = pipeline->types[at]->open(env, &pipeline->stages[at]);
        if (err != QL_OK) {
            ql_pipeline_close(pipeline);
            return err;
        }
        pipeline->count++;
    }
    return QL_OK;
}

void ql_pipeline_close(struct ql_pipeline *pipeline)
{
    for (uint32_t i = 0; i < pipeline->count; i++) {
        pipeline->types[i]->close(pipeline->stages[i]);
    }
    memset(pipeline, 0, sizeof(*pipeline));
}

static void pipeline_counts(const struct ql_batch *bus, uint32_t counts[QL_LIST_COUNT])
{
#define X(list, one, type, max) counts[QL_LIST_##list] = bus->list.count;
    QL_BATCH_MAP(X)
#undef X
}

/* Holds the stage to its declared writes and digests what it appended. */
static void pipeline_check(struct ql_pipeline *pipeline, uint32_t stage,
                           const struct ql_batch *bus, const uint32_t before[QL_LIST_COUNT])
{
    uint32_t after[QL_LIST_COUNT];
    const uint32_t writes = pipeline->types[stage]->writes;
    pipeline_counts(bus, after);
    for (uint32_t list = 0; list < QL_LIST_COUNT; list++) {
        if (after[list] == before[list]) {
            continue;
        }
        QL_ASSERT(after[list] > before[list]);
        QL_ASSERT((writes >> list & 1u) != 0);
        pipeline->digests[stage] =
            ql_batch_digest(bus, (enum ql_list)list, before[list], pipeline->digests[stage] ^ list);
    }
}

void ql_pipeline_push(struct ql_pipeline *pipeline, ql_time now, struct ql_batch *bus)
{
    uint32_t before[QL_LIST_COUNT];
    for (uint32_t i = 0; i < pipeline->count; i++) {
        pipeline_counts(bus, before);
        pipeline->types[i]->push(pipeline->stages[i], now, bus);
        pipeline_check(pipeline, i, bus, before);
    }
}

/* A stage first sees what the stages before it made of this tick, then the tick itself. */
void ql_pipeline_tick(struct ql_pipeline *pipeline, ql_time now, struct ql_batch *bus)
{
    uint32_t before[QL_LIST_COUNT];
    for (uint32_t i = 0; i < pipeline->count; i++) {
        pipeline_counts(bus, before);
        pipeline->types[i]->push(pipeline->stages[i], now, bus);
        pipeline->types[i]->tick(pipeline->stages[i], now, bus);
        pipeline_check(pipeline, i, bus, before);
    }
}

void ql_pipeline_adopt(struct ql_pipeline *pipeline, const struct ql_model_set *set)
{
    for (uint32_t i = 0; i < pipeline->count; i++) {
        if (pipeline->types[i]->adopt != NULL) {
            pipeline->types[i]->adopt(pipeline->stages[i], set);
        }
    }
}

ql_err ql_pipeline_adopt_config(struct ql_pipeline *pipeline, const struct ql_config *config)
{
    for (uint32_t i = 0; i < pipeline->count; i++) {
        if (pipeline->types[i]->adopt_config == NULL) {
            continue;
        }
        const ql_err err = pipeline->types[i]->adopt_config(pipeline->stages[i], config);
        if (err != QL_OK) {
            return err;
        }
    }
    return QL_OK;
}

/* Each stage's state stands between its name and version and a mark, so that a build with
 * other stages says so instead of reading on in the wrong place. */
ql_err ql_pipeline_save(const struct ql_pipeline *pipeline, struct ql_buf *out)
{
    (void)ql_buf_u32(out, pipeline->count);
    for (uint32_t i = 0; i < pipeline->count; i++) {
        (void)ql_buf_lstr(out, ql_str_of(pipeline->types[i]->name));
        (void)ql_buf_u32(out, pipeline->types[i]->state_version);
        (void)ql_buf_u64(out, pipeline->digests[i]);
        const ql_err err = pipeline->types[i]->save(pipeline->stages[i], out);
        if (err != QL_OK || ql_buf_check(out) != QL_OK) {
            return err != QL_OK ? err : ql_buf_check(out);
        }
        (void)ql_buf_u32(out, STAGE_END);
    }
    return ql_buf_check(out);
}

ql_err ql_pipeline_load(struct ql_pipeline *pipeline, struct ql_reader *in)
{
    if (ql_reader_u32(in) != pipeline->count) {
        return QL_E_VERSION;
    }
    for (uint32_t i = 0; i < pipeline->count; i++) {
        const ql_str name = ql_reader_lstr(in);
        const uint32_t version = ql_reader_u32(in);
        pipeline->digests[i] = ql_reader_u64(in);
        if (in->failed || !ql_str_eq(name, ql_str_of(pipeline->types[i]->name))) {
            return QL_E_VERSION;
        }
        const ql_err err = pipeline->types[i]->load(pipeline->stages[i], version, in);
        if (err != QL_OK || ql_reader_u32(in) != STAGE_END || in->failed) {
            return err != QL_OK ? err : QL_E_MALFORMED;
        }
    }
    return in->failed ? QL_E_MALFORMED : QL_OK;
}

void *ql_pipeline_stage(const struct ql_pipeline *pipeline, const char *name)
{
    for (uint32_t i = 0; i < pipeline->count; i++) {
        if (strcmp(pipeline->types[i]->name, name) == 0) {
            return pipeline->stages[i];
        }
    }
    return NULL;
}

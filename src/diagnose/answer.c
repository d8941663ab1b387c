/* The windows came: makes a case of them, ranks, and writes the list when it changed. */
#include "diagnose/diagnose_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define FAULT_WINDOW_MAX QL_MIN(20)  /* later values may already be the recovery */
#define CONFIDENCE_STEP 0.05

struct building {
    struct ql_case c;
    ql_entity_id *ids;               /* by entity number, ascending */
    const struct ql_window **windows; /* by entity id, then series id */
    uint32_t window_count;
};

static int id_cmp(const void *a, const void *b)
{
    const uint64_t x = ((const ql_entity_id *)a)->v, y = ((const ql_entity_id *)b)->v;
    return (x > y) - (x < y);
}

static int window_cmp(const void *a, const void *b)
{
    const struct ql_window *x = *(const struct ql_window *const *)a;
    const struct ql_window *y = *(const struct ql_window *const *)b;
    if (x->entity.v != y->entity.v) {
        return x->entity.v < y->entity.v ? -1 : 1;
    }
    if (x->series.h.high != y->series.h.high) {
        return x->series.h.high < y->series.h.high ? -1 : 1;
    }
    return (x->series.h.low > y->series.h.low) - (x->series.h.low < y->series.h.low);
}

static uint32_t number_of(const struct building *b, ql_entity_id id)
{
    const ql_entity_id *at =
        bsearch(&id, b->ids, b->c.entity_count, sizeof *b->ids, id_cmp);
    return at == NULL ? QL_CASE_NONE : (uint32_t)(at - b->ids);
}

static ql_str short_name(const struct ql_diagnose *di, ql_entity_id id)
{
    const ql_str name = ql_topology_name(di->topology, id);
    const char *slash = name.bytes == 0 ? NULL : memchr(name.at, '/', name.bytes);
    if (name.bytes == 0) {
        return QL_STR("an entity without a name");
    }
    return slash == NULL ? name
                         : (ql_str){ slash + 1, name.bytes - (size_t)(slash + 1 - name.at) };
}

static bool build_entities(struct ql_diagnose *di, const struct di_incident *in,
                           struct building *b)
{
    b->ids = ql_arena_take(&di->arena, DI_ENTITIES_MAX * sizeof *b->ids);
    ql_str *names = ql_arena_take(&di->arena, DI_ENTITIES_MAX * sizeof *names);
    if (b->ids == NULL || names == NULL) {
        return false;
    }
    b->c.entity_count = ql_di_entities(di, in, b->ids);
    qsort(b->ids, b->c.entity_count, sizeof *b->ids, id_cmp);
    for (uint32_t i = 0; i < b->c.entity_count; i++) {
        names[i] = short_name(di, b->ids[i]);
    }
    b->c.entities = names;
    return true;
}

/* Samples from after the window of interest are left off: they end the list. */
static uint32_t samples_until(const struct ql_sample *samples, uint32_t count, ql_time until)
{
    while (count > 0 && ql_time_before(until, samples[count - 1].at)) {
        count--;
    }
    return count;
}

static bool build_series(struct ql_diagnose *di, const struct di_incident *in,
                         const struct ql_batch *bus, struct building *b)
{
    b->windows = ql_arena_take(&di->arena, DI_SERIES_MAX * sizeof *b->windows);
    struct ql_case_series *series = ql_arena_take(&di->arena, DI_SERIES_MAX * sizeof *series);
    if (b->windows == NULL || series == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < bus->windows.count; i++) {
        const struct ql_window *w = &bus->windows.at[i];
        if (w->incident.v != in->id.v || number_of(b, w->entity) == QL_CASE_NONE) {
            continue;
        }
        if (b->window_count == DI_SERIES_MAX) {
            ql_stat_add(di->drop_series, 1);
            continue;
        }
        b->windows[b->window_count++] = w;
    }
    qsort(b->windows, b->window_count, sizeof *b->windows, window_cmp);
    const ql_time until = ql_time_add(ql_di_noticed(in), FAULT_WINDOW_MAX);
    for (uint32_t i = 0; i < b->window_count; i++) {
        const struct ql_window *w = b->windows[i];
        QL_ASSERT(w->sample_first + w->sample_count <= bus->samples.count);
        const struct ql_sample *samples = bus->samples.at + w->sample_first;
        series[i] = (struct ql_case_series){
            .entity = number_of(b, w->entity), .metric = w->metric, .samples = samples,
            .count = samples_until(samples, w->sample_count, until) };
    }
    b->c.series = series;
    b->c.series_count = b->window_count;
    return true;
}

static bool build_edges(struct ql_diagnose *di, struct building *b)
{
    struct ql_case_edge *edges =
        ql_arena_take(&di->arena, (size_t)DI_ENTITIES_MAX * 64 * sizeof *edges);
    if (edges == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < b->c.entity_count; i++) {
        const uint32_t near = ql_topology_walk(di->topology, b->ids[i], QL_CALLEES, 1, di->hops,
                                               DI_ENTITIES_MAX);
        for (uint32_t k = 1; k < near && b->c.edge_count < DI_ENTITIES_MAX * 64; k++) {
            const uint32_t callee = number_of(b, di->hops[k].id);
            if (callee != QL_CASE_NONE) {
                edges[b->c.edge_count++] = (struct ql_case_edge){ i, callee };
            }
        }
    }
    b->c.edges = edges;
    return true;
}

static bool build_events(struct ql_diagnose *di, const struct di_incident *in, struct building *b)
{
    struct ql_case_change *changes =
        ql_arena_take(&di->arena, (size_t)(di->change_count + 1) * sizeof *changes);
    struct ql_case_alert *alerts =
        ql_arena_take(&di->arena, DI_MEMBER_ENTITIES_MAX * sizeof *alerts);
    if (changes == NULL || alerts == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < di->change_count; i++) {
        const struct di_change *row = &di->changes[i];
        const uint32_t entity = number_of(b, row->entity);
        if (entity != QL_CASE_NONE) {
            changes[b->c.change_count++] =
                (struct ql_case_change){ row->at, entity, { row->text, row->text_bytes } };
        }
    }
    for (uint32_t i = 0; i < DI_MEMBER_ENTITIES_MAX && in->members[i].entity.v != 0; i++) {
        const struct di_member *m = &in->members[i];
        if (m->is_alert) {
            alerts[b->c.alert_count++] = (struct ql_case_alert){
                m->since, number_of(b, m->entity), { m->name, m->name_bytes } };
        }
    }
    b->c.changes = changes;
    b->c.alerts = alerts;
    return true;
}

static uint64_t causes_hash(const struct building *b, const struct ql_rank_cause *causes,
                            uint32_t count)
{
    uint64_t hash = 1;
    for (uint32_t i = 0; i < count && i < 3; i++) {
        const uint64_t parts[3] = { hash, b->ids[causes[i].entity].v,
                                    ql_hash64(causes[i].metric.at, causes[i].metric.bytes) };
        hash = ql_hash64(parts, sizeof parts);
    }
    return hash;
}

static void causes_write(struct ql_diagnose *di, struct di_incident *in,
                         const struct building *b, const struct ql_rank_cause *causes,
                         uint32_t count, struct ql_batch *bus)
{
    const uint64_t hash = causes_hash(b, causes, count);
    const double moved = fabs(causes[0].confidence - in->told_confidence);
    if (hash == in->told_hash && moved < CONFIDENCE_STEP) {
        return;
    }
    in->told_hash = hash;
    in->told_confidence = causes[0].confidence;
    for (uint32_t i = 0; i < count && i < DI_CAUSES_MAX; i++) {
        struct ql_cause *cause = ql_batch_add_cause(bus);
        if (cause == NULL) {
            ql_stat_add(di->drop_bus, 1);
            return;
        }
        *cause = (struct ql_cause){
            .incident = in->id, .rank = i + 1, .entity = b->ids[causes[i].entity],
            .metric = ql_batch_text(bus, causes[i].metric), .score = causes[i].score,
            .confidence = causes[i].confidence, .onset = causes[i].onset,
            .role = causes[i].role, .evidence = ql_batch_text(bus, causes[i].evidence) };
        if (causes[i].series != QL_CASE_NONE) {
            cause->series = b->windows[causes[i].series]->series;
        }
    }
}

void ql_di_answer(struct ql_diagnose *di, struct di_incident *in, ql_time now,
                  struct ql_batch *bus)
{
    struct building b = { .c = { .at = ql_di_noticed(in), .symptom_entity = QL_CASE_NONE,
                                 .symptom_metric = { "", 0 }, .model = &di->model } };
    struct ql_rank_cause *causes = NULL;
    uint32_t count = 0;
    (void)now;
    ql_arena_reset(&di->arena);
    if (!build_entities(di, in, &b) || !build_series(di, in, bus, &b) || !build_edges(di, &b) ||
        !build_events(di, in, &b) || ql_rank(&b.c, &di->arena, &causes, &count) != QL_OK) {
        ql_stat_add(di->drop_memory, 1);
        return;
    }
    ql_stat_add(di->ranked_total, 1);
    if (count == 0 || causes[0].confidence < QL_RANK_CONFIDENCE_MIN) {
        ql_stat_add(di->unsure_total, 1);
        return;
    }
    causes_write(di, in, &b, causes, count, bus);
}

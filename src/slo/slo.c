/* The core's stage: adds up what the shards counted and judges it once a minute. */
#include "slo/slo.h"

#include "base/pages.h"
#include "model/labels.h"
#include "slo/slo_int.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define ENTITY_HALVE_MINUTES 30 /* who counted bad events long ago is forgotten */

/* ---- rows ------------------------------------------------------------------------ */

ql_err slo_activate(struct slo_stage *s)
{
    if (s->rows != NULL) {
        return QL_OK;
    }
    s->states = s->states != NULL ? s->states : calloc(QL_CONFIG_SLOS_MAX, sizeof(*s->states));
    s->rings = s->rings != NULL ? s->rings : ql_pages_new(SLO_ROWS * sizeof(*s->rings));
    if (s->states == NULL || s->rings == NULL) {
        return QL_E_MEMORY;
    }
    s->rows = calloc(SLO_ROWS, sizeof(*s->rows));
    return s->rows == NULL ? QL_E_MEMORY : QL_OK;
}

struct slo_row *slo_row_of(struct slo_stage *s, uint64_t key)
{
    for (uint32_t i = 0; i < SLO_ROWS; i++) {
        if (s->rows[i].key == key) {
            return &s->rows[i];
        }
    }
    return NULL;
}

/* There are twice as many rows as SLOs; a row that was taken out and not told yet makes room
 * only when the configuration changes over and over between two ticks. */
struct slo_row *slo_row_add(struct slo_stage *s, uint64_t key)
{
    struct slo_row *row = slo_row_of(s, 0);
    for (uint32_t i = 0; row == NULL && i < SLO_ROWS; i++) {
        row = s->rows[i].slo == NULL ? &s->rows[i] : NULL;
    }
    QL_ASSERT(row != NULL && key != 0);
    struct slo_ring *ring = &s->rings[row - s->rows];
    memset(ring, 0, sizeof(*ring));
    *row = (struct slo_row){ .key = key, .ring = ring, .first = INT64_MIN, .covered = INT64_MIN };
    return row;
}

static void row_cells(struct slo_stage *s, struct slo_row *row)
{
    char labels[128];
    for (uint32_t w = 0; w < QL_SLO_WINDOWS; w++) {
        (void)snprintf(labels, sizeof(labels), "slo=\"%s\",window=\"%s\"", row->name,
                       ql_slo_window_text((enum ql_slo_window)w));
        row->burn_cells[w] =
            ql_stats_cell(s->stats, QL_STAT_GAUGE, "ql_slo_burn_rate_milli",
                          "Burn rate in thousandths; -1 without data.", labels);
    }
    (void)snprintf(labels, sizeof(labels), "slo=\"%s\"", row->name);
    row->budget_cell = ql_stats_cell(s->stats, QL_STAT_GAUGE, "ql_slo_budget_left_ppm",
                                     "Error budget left, in millionths of all of it.", labels);
}

/* A cell cannot be taken out; what is no longer judged says so. */
static void row_cells_clear(struct slo_row *row)
{
    for (uint32_t w = 0; row->budget_cell != NULL && w < QL_SLO_WINDOWS; w++) {
        ql_stat_set(row->burn_cells[w], -1);
    }
}

static ql_err slo_adopt_config(void *stage, const struct ql_config *config)
{
    struct slo_stage *s = stage;
    QL_ASSERT(config->slo_count <= QL_CONFIG_SLOS_MAX);
    ql_err err = config->slo_count > 0 ? slo_activate(s) : QL_OK;
    err = err == QL_OK ? ql_ruling_adopt(&s->ruling, config) : err;
    if (err != QL_OK) {
        return err;
    }
    for (uint32_t i = 0; s->rows != NULL && i < SLO_ROWS; i++) {
        s->rows[i].slo = NULL;
        row_cells_clear(&s->rows[i]);
    }
    s->order_count = config->slo_count;
    for (uint32_t i = 0; i < config->slo_count; i++) {
        const struct ql_slo *slo = &config->slos[i];
        struct slo_row *row = slo_row_of(s, slo->key);
        row = row != NULL ? row : slo_row_add(s, slo->key);
        row->slo = slo;
        row->target = slo->target;
        row->window_s = slo->window_s;
        (void)snprintf(row->name, sizeof(row->name), "%s", slo->name);
        row_cells(s, row);
        s->order[i] = (uint32_t)(row - s->rows);
    }
    if (s->rows != NULL) {
        slo_look_again(s);
    }
    return QL_OK;
}

/* ---- parts ----------------------------------------------------------------------- */

/* Of more entities than there are places, the least bad one goes. */
static void entity_add(struct slo_row *row, const struct ql_slo_part *part)
{
    struct slo_entity *least = &row->entities[0];
    if (part->entity.v == 0) {
        return;
    }
    for (uint32_t i = 0; i < SLO_ENTITIES; i++) {
        struct slo_entity *e = &row->entities[i];
        if (e->id == part->entity.v) {
            e->bad = slo_add(e->bad, part->bad);
            e->total = slo_add(e->total, part->total);
            return;
        }
        if (least->id != 0 &&
            (e->id == 0 || e->bad < least->bad ||
             (e->bad == least->bad && e->total < least->total))) {
            least = e;
        }
    }
    *least = (struct slo_entity){ part->entity.v, part->bad, part->total };
}

static void entities_fade(struct slo_row *row)
{
    for (uint32_t i = 0; i < SLO_ENTITIES; i++) {
        row->entities[i].bad /= 2;
        row->entities[i].total /= 2;
        if (row->entities[i].bad == 0 && row->entities[i].total == 0) {
            row->entities[i].id = 0;
        }
    }
}

static void part_take(struct slo_stage *s, struct slo_row *row, const struct ql_slo_part *part,
                      int64_t minute)
{
    slo_ring_advance(row->ring, minute);
    if (!slo_ring_add(row->ring, part)) {
        ql_stat_add(s->late, 1);
        return;
    }
    entity_add(row, part);
    if (part->covered != 0) {
        row->first = row->first == INT64_MIN || part->minute < row->first ? part->minute
                                                                          : row->first;
        row->covered = part->minute > row->covered ? part->minute : row->covered;
    }
}

static void slo_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct slo_stage *s = stage;
    struct slo_row *row = NULL;
    if (s->rows == NULL) {
        return;
    }
    ql_ruling_push(&s->ruling, bus);
    for (uint32_t i = 0; i < bus->slo_parts.count; i++) {
        const struct ql_slo_part *part = &bus->slo_parts.at[i];
        if (row == NULL || row->key != part->slo) {
            row = slo_row_of(s, part->slo);
        }
        if (row != NULL) { /* else it was taken out since the shard counted */
            part_take(s, row, part, slo_minute_of(now.ns));
        }
    }
}

/* ---- judging --------------------------------------------------------------------- */

static int64_t thousandths(double x, double unit)
{
    const double scaled = x * unit;
    return isnan(x) ? -1 : scaled > 9e15 ? INT64_C(9000000000000000)
                       : scaled < -9e15  ? INT64_C(-9000000000000000)
                                         : llround(scaled);
}

static void row_publish(const struct slo_row *row)
{
    for (uint32_t w = 0; w < QL_SLO_WINDOWS; w++) {
        ql_stat_set(row->burn_cells[w], thousandths(row->view.burn[w], 1e3));
    }
    const double left = isnan(row->view.used) ? 1.0 : 1.0 - row->view.used;
    ql_stat_set(row->budget_cell, thousandths(left, 1e6));
}

static void row_view(struct slo_row *row, int64_t end)
{
    row->view = (struct slo_view){ .used = (double)NAN };
    for (uint32_t w = 0; w < QL_SLO_WINDOWS; w++) {
        row->view.burn[w] = (double)NAN;
    }
    if (row->first != INT64_MIN && end != INT64_MIN) {
        slo_judge(row->ring, row->slo, row->first, end, &row->view);
    }
}

static void state_make(struct slo_stage *s, struct slo_row *row, ql_time at,
                       struct ql_slo_state *state)
{
    const struct slo_view *v = &row->view;
    const ql_entity_id entity = slo_row_entity(s, row);
    const bool named = row->slo->entity != NULL;
    ql_topology_keep(s->topology, entity);
    const ql_str name = named ? slo_entity_named(s, row->slo)
                              : ql_topology_name(s->topology, entity);
    *state = (struct ql_slo_state){
        .target = row->target, .window_s = row->window_s, .bad = v->bad, .total = v->total,
        .budget_left = 1.0 - v->used, .at = at, .gone = QL_TIME_NONE,
        .since = row->first == INT64_MIN ? QL_TIME_NONE
                                         : (ql_time){ row->first * SLO_MINUTE_NS },
        .page = row->burns[SLO_PAGE].id != 0, .ticket = row->burns[SLO_TICKET].id != 0,
        .held = row->burns[SLO_PAGE].held || row->burns[SLO_TICKET].held,
    };
    memcpy(state->burn, v->burn, sizeof(state->burn));
    (void)snprintf(state->name, sizeof(state->name), "%s", row->name);
    (void)snprintf(state->entity, sizeof(state->entity), "%.*s", QL_STR_ARG(name));
    const double gone = slo_gone_s(v, row->window_s, v->burn[QL_SLO_WINDOW_1H]);
    if (at.ns != QL_TIME_NONE.ns && isfinite(gone)) {
        state->gone = (ql_time){ at.ns + (int64_t)gone * QL_NS_PER_S };
    }
}

static void states_make(struct slo_stage *s, ql_time at)
{
    for (uint32_t i = 0; i < s->order_count; i++) {
        struct slo_row *row = &s->rows[s->order[i]];
        row_publish(row);
        state_make(s, row, at, &s->states[i]);
    }
    s->version++;
}

/* After a load or a new configuration: as of the end of the minute judged last. */
void slo_look_again(struct slo_stage *s)
{
    for (uint32_t i = 0; i < s->order_count; i++) {
        row_view(&s->rows[s->order[i]], s->judged);
    }
    states_make(s, s->judged == INT64_MIN ? QL_TIME_NONE
                                          : (ql_time){ s->judged * SLO_MINUTE_NS });
}

/* By key: where rows lie depends on what was there before. */
static struct slo_row *row_removed(struct slo_stage *s)
{
    struct slo_row *first = NULL;
    for (uint32_t i = 0; i < SLO_ROWS; i++) {
        struct slo_row *row = &s->rows[i];
        if (row->key != 0 && row->slo == NULL && (first == NULL || row->key < first->key)) {
            first = row;
        }
    }
    return first;
}

static void rows_close_removed(struct slo_stage *s, ql_time at, struct ql_batch *bus)
{
    for (struct slo_row *row; (row = row_removed(s)) != NULL;) {
        for (uint32_t k = 0; k < SLO_SEVERITIES; k++) {
            if (row->burns[k].id != 0) {
                slo_burn_close(s, row, (enum slo_severity)k, SLO_REMOVED, at, bus);
            }
        }
        *row = (struct slo_row){ 0 };
    }
}

static void slo_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct slo_stage *s = stage;
    const int64_t end = slo_minute_of(now.ns - SLO_GRACE_NS);
    if (s->rows == NULL) {
        return;
    }
    rows_close_removed(s, now, bus);
    if (end <= s->judged) {
        return;
    }
    s->judged = end;
    ql_ruling_tick(&s->ruling, now);
    for (uint32_t i = 0; i < s->order_count; i++) {
        struct slo_row *row = &s->rows[s->order[i]];
        slo_ring_advance(row->ring, slo_minute_of(now.ns));
        row_view(row, end);
        if (end % ENTITY_HALVE_MINUTES == 0) {
            entities_fade(row);
        }
        for (uint32_t k = 0; row->first != INT64_MIN && k < SLO_SEVERITIES; k++) {
            slo_burn_step(s, row, (enum slo_severity)k, end, now, bus);
        }
    }
    states_make(s, (ql_time){ end * SLO_MINUTE_NS });
}

/* ---- the contract ---------------------------------------------------------------- */

static void slo_close(void *stage)
{
    struct slo_stage *s = stage;
    if (s != NULL) {
        ql_pages_free(s->rings, SLO_ROWS * sizeof(*s->rings));
        ql_buf_fini(&s->scratch);
        ql_ruling_close(&s->ruling);
        free(s->rows);
        free(s->states);
        free(s);
    }
}

static ql_err slo_open(const struct ql_stage_env *env, void **ret_stage)
{
    struct slo_stage *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return QL_E_MEMORY;
    }
    s->stats = env->stats;
    s->topology = env->topology;
    s->judged = INT64_MIN;
    ql_buf_init(&s->scratch, QL_LABELS_BYTES_MAX);
    s->late = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_slo_dropped_total",
                            "What could not be counted for SLOs.", "what=\"late\"");
    s->unwritten = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_slo_dropped_total",
                                 "What could not be counted for SLOs.", "what=\"signal\"");
    s->opened[SLO_PAGE] = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_slo_signals_total",
                                        "Burn rate signals opened.", "severity=\"page\"");
    s->opened[SLO_TICKET] = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_slo_signals_total",
                                          "Burn rate signals opened.", "severity=\"ticket\"");
    ql_err err = ql_ruling_open(&s->ruling, env->config, env->stats);
    err = err == QL_OK ? slo_adopt_config(s, env->config) : err;
    if (err != QL_OK) {
        slo_close(s);
        return err;
    }
    *ret_stage = s;
    return QL_OK;
}

const struct ql_slo_state *ql_slo_states(const void *stage, uint32_t *ret_count,
                                         uint64_t *ret_version)
{
    const struct slo_stage *s = stage;
    *ret_count = s->order_count;
    *ret_version = s->version;
    return s->states;
}

const struct ql_stage_type ql_slo_stage = {
    .name = "slo",
    .reads = QL_LIST_BIT(slo_parts) | QL_LIST_BIT(changes),
    .writes = QL_LIST_BIT(signals) | QL_LIST_BIT(entities),
    .state_version = SLO_STATE_VERSION,
    .open = slo_open,
    .close = slo_close,
    .push = slo_push,
    .tick = slo_tick,
    .adopt_config = slo_adopt_config,
    .save = slo_save,
    .load = slo_load,
};

/* dt_policy - held, told late, counted.
 *
 * Good for     planned noise (deploys, backups, batch windows), one-sided metrics, limits.
 * Bad for      a fault that begins and ends inside a mute: it is only counted.
 * Method       policies are resolved to a small table of distinct effects; a series holds an
 *              index into it.
 */
#include "detect/dt_policy.h"

#include "base/pages.h"
#include "model/labels.h"

#include <math.h>
#include <stdlib.h>

enum { LATE_RUN = 3 }; /* values in a row that let a held signal out */

/* ---- life ------------------------------------------------------------------------ */

static ql_err policy_activate(struct ql_dt_policy *p)
{
    if (p->active) {
        return QL_OK;
    }
    p->marks = ql_pages_new((size_t)p->series_max * sizeof(*p->marks));
    p->effects = ql_pages_new(QL_DT_EFFECTS_MAX * sizeof(*p->effects));
    p->bounds = ql_pages_new(QL_DT_BOUNDS_MAX * sizeof(*p->bounds));
    if (p->marks == NULL || p->effects == NULL || p->bounds == NULL ||
        ql_changed_activate(&p->changed) != QL_OK) {
        return QL_E_MEMORY;
    }
    p->active = true;
    return QL_OK;
}

static void policy_effects_reset(struct ql_dt_policy *p, const struct ql_config *config)
{
    ql_map64_clear(&p->effect_of);
    p->effects[1] = (struct ql_policy_effect){ .low = -INFINITY, .high = INFINITY,
                                               .detector = 1 };
    p->effect_count = 2;
    p->by_change = false;
    for (uint32_t i = 0; i < config->policy_count; i++) {
        p->by_change |= config->policies[i].mute_after_change_s > 0.0;
    }
}

ql_err ql_dt_policy_open(struct ql_dt_policy *p, const struct ql_config *config,
                         struct ql_series_table *series, struct ql_stats *stats)
{
    *p = (struct ql_dt_policy){ .series = series, .series_max = ql_series_index_max(series) };
    ql_buf_init(&p->scratch, QL_LABELS_BYTES_MAX);
    ql_map64_init(&p->effect_of, QL_DT_EFFECTS_MAX);
    ql_map64_init(&p->bound_of, QL_DT_BOUNDS_MAX);
    ql_held_counts_init(&p->counts, stats);
    ql_changed_init(&p->changed, p->counts.dropped);
    return ql_dt_policy_adopt(p, config);
}

void ql_dt_policy_close(struct ql_dt_policy *p)
{
    ql_policy_set_close(p->set);
    ql_pages_free(p->marks, (size_t)p->series_max * sizeof(*p->marks));
    ql_pages_free(p->effects, QL_DT_EFFECTS_MAX * sizeof(*p->effects));
    ql_pages_free(p->bounds, QL_DT_BOUNDS_MAX * sizeof(*p->bounds));
    ql_changed_fini(&p->changed);
    ql_map64_fini(&p->effect_of);
    ql_map64_fini(&p->bound_of);
    ql_buf_fini(&p->scratch);
    *p = (struct ql_dt_policy){ 0 };
}

ql_err ql_dt_policy_adopt(struct ql_dt_policy *p, const struct ql_config *config)
{
    struct ql_policy_set *set;
    if (config->policy_count == 0 && !p->active) {
        return QL_OK;
    }
    ql_err err = ql_policy_set_open(config, &set);
    if (err != QL_OK) {
        return err;
    }
    err = policy_activate(p);
    if (err != QL_OK) {
        ql_policy_set_close(set);
        return err;
    }
    ql_policy_set_close(p->set);
    p->set = set;
    policy_effects_reset(p, config);
    for (uint32_t i = 0; i < ql_series_count(p->series); i++) {
        p->marks[i].effect = 0; /* what is held stays held until it is looked at again */
    }
    return QL_OK;
}

/* ---- what applies ---------------------------------------------------------------- */

static uint32_t effect_index(struct ql_dt_policy *p, const struct ql_policy_effect *effect)
{
    const uint64_t key = ql_hash64(effect, sizeof(*effect));
    const uint32_t known = ql_map64_get(&p->effect_of, key);
    if (known != QL_MAP_NONE) {
        return known;
    }
    if (p->effect_count == QL_DT_EFFECTS_MAX ||
        ql_map64_put(&p->effect_of, key, p->effect_count) != QL_OK) {
        ql_stat_add(p->counts.dropped, 1);
        return 1;
    }
    p->effects[p->effect_count] = *effect;
    return p->effect_count++;
}

static void mark_resolve(struct ql_dt_policy *p, uint32_t series)
{
    struct ql_policy_effect effect;
    ql_buf_reset(&p->scratch);
    (void)ql_series_labels(p->series, series, &p->scratch);
    const bool any = ql_policy_resolve(p->set, ql_buf_view(&p->scratch), &effect);
    p->marks[series].effect = (uint16_t)(any ? effect_index(p, &effect) : 1);
}

const struct ql_policy_effect *ql_dt_policy_of(struct ql_dt_policy *p, uint32_t series)
{
    QL_ASSERT(p->active);
    QL_ASSERT(series < p->series_max);
    if (p->marks[series].effect == 0) {
        mark_resolve(p, series);
    }
    return &p->effects[p->marks[series].effect];
}

/* ---- changes --------------------------------------------------------------------- */

void ql_dt_policy_change(struct ql_dt_policy *p, ql_entity_id entity, ql_time at)
{
    if (p->by_change) {
        ql_changed_note(&p->changed, entity, at);
    }
}

void ql_dt_policy_sweep(struct ql_dt_policy *p, ql_time now)
{
    ql_changed_sweep(&p->changed, now);
}

/* ---- held or not ----------------------------------------------------------------- */

enum ql_held ql_dt_policy_hold(struct ql_dt_policy *p, uint32_t series, ql_time at,
                               bool by_detector)
{
    const struct ql_policy_effect *e = ql_dt_policy_of(p, series);
    if (by_detector && e->detector == 0) {
        return QL_HELD_DETECTOR;
    }
    return ql_held_at(p->set, e, &p->changed, ql_series_at(p->series, series)->entity, at);
}

static enum ql_held value_hold(struct ql_dt_policy *p, uint32_t series,
                               const struct ql_point *point, const struct ql_dt_verdict *v)
{
    const struct ql_policy_effect *e = ql_dt_policy_of(p, series);
    const double off = point->value - v->expected;
    if (e->detector == 0) {
        return QL_HELD_DETECTOR;
    }
    if ((e->direction == QL_POLICY_UP && off <= 0.0) ||
        (e->direction == QL_POLICY_DOWN && off >= 0.0)) {
        return QL_HELD_DIRECTION;
    }
    if (fabs(off) < e->min_absolute || fabs(off) < e->min_relative * fabs(v->expected)) {
        return QL_HELD_SMALL;
    }
    return ql_dt_policy_hold(p, series, point->at, true);
}

void ql_dt_policy_count(struct ql_dt_policy *p, uint32_t series, enum ql_held hold,
                        enum ql_signal_kind kind)
{
    const struct ql_policy_effect *e = ql_dt_policy_of(p, series);
    ql_held_count(&p->counts, hold, ql_held_by(p->set, e, hold), kind);
}

/* A held signal comes out on values that are odd by themselves, not on the way back. */
static bool late_is_odd(const struct ql_policy_effect *e, const struct ql_point *point,
                        const struct ql_dt_verdict *v, float threshold)
{
    const bool outside = point->value > v->upper || point->value < v->lower;
    return v->judged && v->has_band && v->evidence_surprise >= threshold &&
           (outside || e->direction == QL_POLICY_BOTH);
}

enum ql_dt_change ql_dt_policy_pass(struct ql_dt_policy *p, uint32_t series,
                                    const struct ql_dt_passing *passing)
{
    struct ql_dt_mark *mark = &p->marks[series];
    const struct ql_point *point = passing->point;
    const struct ql_dt_verdict *v = passing->verdict;
    if (passing->change == QL_DT_OPENED) {
        const enum ql_held hold = value_hold(p, series, point, v);
        if (hold != QL_HELD_NONE) {
            ql_dt_policy_count(p, series, hold, passing->kind);
            mark->flags |= QL_DT_MARK_HELD;
            mark->run = 0;
            return QL_DT_SAME;
        }
        return passing->change;
    }
    if ((mark->flags & QL_DT_MARK_HELD) == 0) {
        return passing->change;
    }
    if (!passing->open) {
        mark->flags &= (uint8_t)~QL_DT_MARK_HELD;
        return QL_DT_SAME;
    }
    const bool odd = late_is_odd(ql_dt_policy_of(p, series), point, v, passing->threshold) &&
                     value_hold(p, series, point, v) == QL_HELD_NONE;
    mark->run = (uint8_t)(odd ? mark->run + 1 : 0);
    if (mark->run < LATE_RUN) {
        return QL_DT_SAME;
    }
    mark->flags &= (uint8_t)~QL_DT_MARK_HELD;
    ql_stat_add(p->counts.told_late, 1);
    return QL_DT_OPENED;
}

/* ---- bounds ---------------------------------------------------------------------- */

struct ql_dt_bound *ql_dt_policy_bound(struct ql_dt_policy *p, uint32_t series)
{
    const uint32_t index = ql_map64_get(&p->bound_of, series);
    return index == QL_MAP_NONE ? NULL : &p->bounds[index];
}

struct ql_dt_bound *ql_dt_policy_bound_add(struct ql_dt_policy *p, uint32_t series,
                                           int64_t onset_ns)
{
    if (p->bound_count == QL_DT_BOUNDS_MAX ||
        ql_map64_put(&p->bound_of, series, p->bound_count) != QL_OK) {
        ql_stat_add(p->counts.dropped, 1);
        return NULL;
    }
    struct ql_dt_bound *bound = &p->bounds[p->bound_count++];
    *bound = (struct ql_dt_bound){ .series = series, .onset_ns = onset_ns };
    p->marks[series].flags |= QL_DT_MARK_BOUND;
    return bound;
}

void ql_dt_policy_bound_drop(struct ql_dt_policy *p, uint32_t series)
{
    const uint32_t index = ql_map64_get(&p->bound_of, series);
    QL_ASSERT(index != QL_MAP_NONE);
    (void)ql_map64_drop(&p->bound_of, series);
    p->marks[series].flags &= (uint8_t)~QL_DT_MARK_BOUND;
    p->bounds[index] = p->bounds[--p->bound_count];
    if (index < p->bound_count) {
        const ql_err err = ql_map64_put(&p->bound_of, p->bounds[index].series, index);
        QL_ASSERT(err == QL_OK);
    }
}

/* ---- checkpoint ------------------------------------------------------------------ */

ql_err ql_dt_policy_save(const struct ql_dt_policy *p, uint32_t series_count, struct ql_buf *out)
{
    (void)ql_buf_u8(out, p->active ? 1 : 0);
    if (!p->active) {
        return ql_buf_check(out);
    }
    (void)ql_buf_u32(out, series_count);
    for (uint32_t i = 0; i < series_count; i++) {
        (void)ql_buf_u8(out, p->marks[i].flags);
        (void)ql_buf_u8(out, p->marks[i].run);
    }
    (void)ql_buf_u32(out, p->bound_count);
    (void)ql_buf_put(out, p->bounds, p->bound_count * sizeof(*p->bounds));
    return ql_changed_save(&p->changed, out);
}

static ql_err load_bounds(struct ql_dt_policy *p, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    const char *from = count > QL_DT_BOUNDS_MAX || in->failed
                           ? NULL
                           : ql_reader_bytes(in, count * sizeof(*p->bounds));
    if (from == NULL) {
        return QL_E_MALFORMED;
    }
    memcpy(p->bounds, from, count * sizeof(*p->bounds));
    for (p->bound_count = 0; p->bound_count < count; p->bound_count++) {
        const uint32_t series = p->bounds[p->bound_count].series;
        if (series >= p->series_max || (p->marks[series].flags & QL_DT_MARK_BOUND) == 0 ||
            ql_map64_get(&p->bound_of, series) != QL_MAP_NONE ||
            ql_map64_put(&p->bound_of, series, p->bound_count) != QL_OK) {
            return QL_E_MALFORMED;
        }
    }
    return QL_OK;
}

ql_err ql_dt_policy_load(struct ql_dt_policy *p, struct ql_reader *in)
{
    const uint8_t active = ql_reader_u8(in);
    if (in->failed || active > 1) {
        return QL_E_MALFORMED;
    }
    if (active == 0) {
        return QL_OK;
    }
    if (!p->active) { /* policies were taken away while the daemon was down */
        static const struct ql_config none;
        ql_err err = policy_activate(p);
        err = err == QL_OK ? ql_policy_set_open(&none, &p->set) : err;
        if (err != QL_OK) {
            return err;
        }
        policy_effects_reset(p, &none);
    }
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > p->series_max) {
        return QL_E_MALFORMED;
    }
    uint32_t bounded = 0;
    for (uint32_t i = 0; i < count; i++) {
        /* One after the other: members of an initialiser are evaluated in no stated order. */
        p->marks[i] = (struct ql_dt_mark){ .flags = ql_reader_u8(in) };
        p->marks[i].run = ql_reader_u8(in);
        bounded += (p->marks[i].flags & QL_DT_MARK_BOUND) != 0;
    }
    ql_err err = load_bounds(p, in);
    if (err == QL_OK && bounded != p->bound_count) {
        err = QL_E_MALFORMED;
    }
    return err == QL_OK ? ql_changed_load(&p->changed, in) : err;
}

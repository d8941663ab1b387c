/* detect_reset - a process that restarts again and again: its counters fall, all at once.
 *
 * Good for     crash loops: the third restart within an hour is a signal, one for the entity.
 * Bad for      lives shorter than two samples, which hardly count up to anything; a counter that
 *              falls by less than half.
 * Method       a process is its entity and the labels that say where it runs, so that a deploy,
 *              which restarts each of many once, is no loop. The counters of one fall together: a
 *              fall is another restart only if that counter was heard since the last one, and
 *              not within RESET_APART_NS. Counters of no known entity are nobody's.
 * Cost         nothing until a counter falls; then its labels and two look-ups.
 */
#include "detect/detect_int.h"

#include "base/pages.h"
#include "model/entity.h"
#include "model/labels.h"

#define RESET_HOUR_NS (INT64_C(3600) * QL_NS_PER_S)
#define RESET_APART_NS (INT64_C(120) * QL_NS_PER_S) /* or RESET_APART_STEPS, if those are longer */
#define RESET_SURPRISE 12.0                         /* counted: as sure as anything seen */
enum { RESET_APART_STEPS = 2 };

/* ---- life ------------------------------------------------------------------------- */

ql_err dt_resets_open(struct dt_resets *r)
{
    ql_map64_init(&r->of, DT_RESETS_MAX);
    ql_map64_init(&r->told_of, DT_RESETS_MAX);
    ql_buf_init(&r->scratch, QL_LABELS_BYTES_MAX);
    r->at = ql_pages_new(DT_RESETS_MAX * sizeof(*r->at));
    return r->at != NULL ? QL_OK : QL_E_MEMORY;
}

void dt_resets_close(struct dt_resets *r)
{
    ql_pages_free(r->at, DT_RESETS_MAX * sizeof(*r->at));
    ql_map64_fini(&r->of);
    ql_map64_fini(&r->told_of);
    ql_buf_fini(&r->scratch);
    *r = (struct dt_resets){ 0 };
}

static int64_t reset_last(const struct dt_reset *reset)
{
    return reset->times[DT_RESETS_LOOP - 1];
}

/* ---- telling ---------------------------------------------------------------------- */

/* "payment" of "service/payment". */
static ql_str reset_who(struct dt_stage *d, uint32_t series)
{
    ql_buf_reset(&d->scratch);
    ql_buf_reset(&d->resets.scratch);
    (void)ql_series_labels(d->series, series, &d->scratch);
    if (!ql_entity_of_labels(ql_buf_view(&d->scratch), &d->resets.scratch)) {
        return QL_STR("it");
    }
    const ql_str name = ql_buf_view(&d->resets.scratch);
    const char *slash = memchr(name.at, '/', name.bytes);
    const size_t skip = slash == NULL ? 0 : (size_t)(slash + 1 - name.at);
    return (ql_str){ name.at + skip, name.bytes - skip };
}

static void reset_write(struct dt_stage *d, struct ql_batch *bus, const struct dt_reset *reset,
                        enum ql_phase phase, int64_t at_ns, struct dt_end end)
{
    const struct ql_dt_verdict usual = { .upper = DT_RESETS_LOOP - 1 };
    dt_finding_write(d, bus, &(struct dt_finding){
                              .series = reset->series,
                              .kind = QL_SIGNAL_RESET,
                              .phase = phase,
                              .end = end,
                              .onset_ns = reset->onset_ns,
                              .at_ns = at_ns,
                              .value = (double)reset->count,
                              .surprise = RESET_SURPRISE,
                              .verdict = &usual,
                              .who = reset_who(d, reset->series),
                              .seen_at = ql_series_name(d->series, reset->last_series),
                              .last_ns = reset_last(reset),
                          });
}

/* ---- the table -------------------------------------------------------------------- */

static void reset_moved(struct ql_map64 *map, uint64_t key, uint32_t index)
{
    const ql_err err = ql_map64_put(map, key, index);
    QL_ASSERT(err == QL_OK); /* the key is there: no memory is needed */
}

static void reset_drop(struct dt_resets *r, uint32_t index)
{
    const struct dt_reset *last = &r->at[--r->count];
    (void)ql_map64_drop(&r->of, r->at[index].key);
    if (r->at[index].told == DT_RESET_TOLD) {
        (void)ql_map64_drop(&r->told_of, r->at[index].entity);
    }
    if (index < r->count) {
        r->at[index] = *last;
        reset_moved(&r->of, last->key, index);
        if (last->told == DT_RESET_TOLD) {
            reset_moved(&r->told_of, last->entity, index);
        }
    }
}

static void reset_end(struct dt_stage *d, struct ql_batch *bus, uint32_t index, int64_t at_ns,
                      struct dt_end end)
{
    const struct dt_reset reset = d->resets.at[index];
    reset_drop(&d->resets, index);
    if (reset.told == DT_RESET_TOLD) {
        reset_write(d, bus, &reset, QL_PHASE_CLOSE, at_ns, end);
    }
}

/* No restart for an hour: it ended, or nobody can tell as its counters are silent. */
static void reset_calm(struct dt_stage *d, struct ql_batch *bus, uint32_t index, int64_t now_ns)
{
    const struct ql_series *row = ql_series_at(d->series, d->resets.at[index].series);
    struct dt_end end = { 0 };
    if ((row->flags & QL_SERIES_STALE) != 0 && row->last_at.ns < now_ns) {
        end = (struct dt_end){ .why = DT_END_SILENT,
                               .hours = (double)(now_ns - row->last_at.ns) / 3.6e12 };
    }
    reset_end(d, bus, index, now_ns, end);
}

static struct dt_reset *reset_add(struct dt_stage *d, uint64_t key, uint64_t entity)
{
    struct dt_resets *r = &d->resets;
    if (r->count == DT_RESETS_MAX || ql_map64_put(&r->of, key, r->count) != QL_OK) {
        ql_stat_add(d->resets_dropped, 1);
        return NULL;
    }
    struct dt_reset *reset = &r->at[r->count++];
    *reset = (struct dt_reset){ .key = key, .entity = entity };
    return reset;
}

/* ---- counting --------------------------------------------------------------------- */

/* The process that a series is of: its entity, and where that runs. */
static uint64_t reset_key(struct dt_stage *d, uint32_t series)
{
    struct ql_label label;
    size_t at = 0;
    uint64_t key = ql_series_at(d->series, series)->entity.v;
    ql_buf_reset(&d->scratch);
    (void)ql_series_labels(d->series, series, &d->scratch);
    while (ql_labels_next(ql_buf_view(&d->scratch), &at, &label)) {
        if (ql_dt_label_is_place(label.name)) {
            const uint64_t words[3] = { key, ql_hash64(label.name.at, label.name.bytes),
                                        ql_hash64(label.value.at, label.value.bytes) };
            key = ql_hash64(words, sizeof(words));
        }
    }
    ql_buf_reset(&d->scratch);
    return key;
}

/* Whether a fall is one more restart: what was not heard since the last one fell with it. */
static bool reset_is_new(const struct dt_stage *d, const struct dt_reset *reset,
                         const struct ql_point *point)
{
    const int64_t steps_ns = (int64_t)ql_series_at(d->series, point->series)->step_ms * 1000000 *
                             RESET_APART_STEPS;
    const int64_t apart_ns = steps_ns > RESET_APART_NS ? steps_ns : RESET_APART_NS;
    const int64_t last_ns = reset_last(reset);
    return point->at.ns - last_ns >= apart_ns &&
           (point->series == reset->last_series ||
            d->judge.states[point->series].last_ns > last_ns);
}

static void reset_note(struct dt_reset *reset, const struct ql_point *point)
{
    for (uint32_t i = 1; i < DT_RESETS_LOOP; i++) {
        reset->times[i - 1] = reset->times[i];
    }
    reset->times[DT_RESETS_LOOP - 1] = point->at.ns;
    reset->alive_ns = point->at.ns > reset->alive_ns ? point->at.ns : reset->alive_ns;
    reset->last_series = point->series;
    reset->count += reset->count < UINT32_MAX;
    if (reset->told != DT_RESET_TOLD) {
        reset->series = point->series;
    }
}

static bool reset_loops(const struct dt_reset *reset)
{
    return reset->count >= DT_RESETS_LOOP && reset_last(reset) - reset->times[0] <= RESET_HOUR_NS;
}

/* A loop that nobody was told of yet. One signal tells of all processes of the entity. */
static void reset_tell(struct dt_stage *d, struct ql_batch *bus, struct dt_reset *reset)
{
    const uint32_t other = ql_map64_get(&d->resets.told_of, reset->entity);
    const int64_t at_ns = reset_last(reset);
    if (other != QL_MAP_NONE) {
        int64_t *alive_ns = &d->resets.at[other].alive_ns;
        *alive_ns = at_ns > *alive_ns ? at_ns : *alive_ns;
        return;
    }
    const bool late = reset->told == DT_RESET_HELD;
    const enum ql_held hold =
        d->policy.active ? ql_dt_policy_hold(&d->policy, reset->series, (ql_time){ at_ns }, true)
                         : QL_HELD_NONE;
    if (!late) {
        reset->onset_ns = reset->times[0];
        reset->count = DT_RESETS_LOOP;
    }
    if (hold != QL_HELD_NONE) {
        reset->told = DT_RESET_HELD;
        if (!late) {
            ql_dt_policy_count(&d->policy, reset->series, hold, QL_SIGNAL_RESET);
        }
        return;
    }
    const uint32_t index = (uint32_t)(reset - d->resets.at);
    if (ql_map64_put(&d->resets.told_of, reset->entity, index) != QL_OK) {
        ql_stat_add(d->resets_dropped, 1);
        return;
    }
    reset->told = DT_RESET_TOLD;
    ql_stat_add(d->policy.counts.told_late, late ? 1 : 0);
    reset_write(d, bus, reset, QL_PHASE_OPEN, at_ns, (struct dt_end){ 0 });
}

void dt_reset_push(struct dt_stage *d, struct ql_batch *bus, const struct ql_point *point)
{
    const uint64_t entity = ql_series_at(d->series, point->series)->entity.v;
    if (entity == 0 || point->value <= 0.0 || point->raw < 0.0 ||
        point->raw > point->value / 2.0) {
        return;
    }
    const uint64_t key = reset_key(d, point->series);
    uint32_t index = ql_map64_get(&d->resets.of, key);
    if (index != QL_MAP_NONE && point->at.ns - d->resets.at[index].alive_ns > RESET_HOUR_NS) {
        reset_calm(d, bus, index, point->at.ns); /* an hour that no tick saw */
        index = QL_MAP_NONE;
    }
    struct dt_reset *reset =
        index == QL_MAP_NONE ? reset_add(d, key, entity) : &d->resets.at[index];
    if (reset == NULL || (index != QL_MAP_NONE && !reset_is_new(d, reset, point))) {
        return;
    }
    reset_note(reset, point);
    if (reset->told == DT_RESET_TOLD) {
        reset_write(d, bus, reset, QL_PHASE_UPDATE, point->at.ns, (struct dt_end){ 0 });
    } else if (reset_loops(reset)) {
        reset_tell(d, bus, reset);
    } else {
        reset->told = DT_RESET_UNTOLD; /* what was held is over */
    }
}

/* ---- endings ---------------------------------------------------------------------- */

void dt_reset_sweep(struct dt_stage *d, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < d->resets.count;) {
        const int64_t alive_ns = d->resets.at[i].alive_ns;
        if (d->judge.newest_ns > alive_ns && d->judge.newest_ns - alive_ns > RESET_HOUR_NS) {
            reset_calm(d, bus, i, d->judge.newest_ns);
        } else {
            i++;
        }
    }
}

void dt_reset_off(struct dt_stage *d, struct ql_batch *bus)
{
    while (d->resets.count > 0) {
        reset_end(d, bus, d->resets.count - 1, d->now_ns, (struct dt_end){ .why = DT_END_OFF });
    }
}

/* What a forgotten series told; the other counters of its process count anew. */
void dt_reset_forget(struct dt_stage *d, struct ql_batch *bus, uint32_t series, struct dt_end end)
{
    const uint32_t index = d->resets.count == 0
                               ? QL_MAP_NONE
                               : ql_map64_get(&d->resets.of, reset_key(d, series));
    const struct dt_reset *reset = index == QL_MAP_NONE ? NULL : &d->resets.at[index];
    if (reset != NULL && (reset->series == series || reset->last_series == series)) {
        reset_end(d, bus, index, d->now_ns, end);
    }
}

/* ---- checkpoint ------------------------------------------------------------------- */

ql_err dt_resets_save(const struct dt_resets *r, struct ql_buf *out)
{
    (void)ql_buf_u32(out, r->count);
    return ql_buf_put(out, r->at, r->count * sizeof(*r->at));
}

ql_err dt_resets_load(struct dt_resets *r, uint32_t series_count, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > DT_RESETS_MAX ||
        !ql_reader_copy(in, r->at, count * sizeof(*r->at))) {
        return QL_E_MALFORMED;
    }
    for (r->count = 0; r->count < count; r->count++) {
        const struct dt_reset *reset = &r->at[r->count];
        if (reset->series >= series_count || reset->last_series >= series_count ||
            reset->told > DT_RESET_TOLD || ql_map64_get(&r->of, reset->key) != QL_MAP_NONE ||
            ql_map64_put(&r->of, reset->key, r->count) != QL_OK) {
            return QL_E_MALFORMED;
        }
        if (reset->told == DT_RESET_TOLD &&
            (ql_map64_get(&r->told_of, reset->entity) != QL_MAP_NONE ||
             ql_map64_put(&r->told_of, reset->entity, r->count) != QL_OK)) {
            return QL_E_MALFORMED;
        }
    }
    return QL_OK;
}

/* exhaustion - hysteresis, a record and a budget between a forecast and a signal. */
#include "forecast/exhaustion.h"

#include "base/map.h"
#include "config/config.h"
#include "forecast/capacity.h"
#include "math/fastlog.h"
#include "model/entity.h"

#include <stdlib.h>
#include <string.h>

#define STATE_VERSION 1u
#define RECORD_RIGHT 0.7       /* of the same claims in the past, where there were any */
#define NEW_CLAIM_FULL 0.9     /* what a claim without a past must be */
#define BUDGET_SHARE 0.2       /* of the instance's false signals a day */
#define BUDGET_LEAST 1.0
#define WRONG_LEAST 0.01       /* no claim is surer than that */
#define FORGET_NS (INT64_C(86400) * QL_NS_PER_S)
#define DAY_S 86400.0

struct watched {
    ql_series_id series;
    ql_entity_id entity;
    int64_t onset_ns, last_ns;
    struct ql_capacity_watch watch;
    double used, limit;
    uint32_t told;
    uint32_t label_bytes, metric_bytes;
    char metric[128], labels[640]; /* to close it with; longer ones are not kept */
};
struct exhaustion {
    struct watched *watched;
    uint32_t count;
    struct ql_map128 index;
    double budget_per_day, budget; /* what may still be wrong */
    int64_t budget_ns;
    struct ql_stat_cell *opened, *closed, *held, *full, *watching;
};

/* ---- life ------------------------------------------------------------------------- */

static void exhaustion_close(void *stage)
{
    struct exhaustion *e = stage;
    if (e == NULL) {
        return;
    }
    free(e->watched);
    ql_map128_fini(&e->index);
    free(e);
}

static double exhaustion_budget(const struct ql_config *config)
{
    const double share = config->signals_per_day * BUDGET_SHARE;
    return share > BUDGET_LEAST ? share : BUDGET_LEAST;
}

static ql_err exhaustion_open(const struct ql_stage_env *env, void **ret_stage)
{
    static const char name[] = "ql_exhaustion_total";
    static const char help[] = "Forecasts of something full, by what became of them.";
    struct exhaustion *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return QL_E_MEMORY;
    }
    ql_map128_init(&e->index, QL_EXHAUSTION_MAX);
    e->watched = calloc(QL_EXHAUSTION_MAX, sizeof(*e->watched));
    if (e->watched == NULL) {
        exhaustion_close(e);
        return QL_E_MEMORY;
    }
    e->budget_per_day = e->budget = exhaustion_budget(env->config);
    e->budget_ns = INT64_MIN;
    e->opened = ql_stats_cell(env->stats, QL_STAT_COUNTER, name, help, "what=\"opened\"");
    e->closed = ql_stats_cell(env->stats, QL_STAT_COUNTER, name, help, "what=\"closed\"");
    e->held = ql_stats_cell(env->stats, QL_STAT_COUNTER, name, help, "what=\"held\"");
    e->full = ql_stats_cell(env->stats, QL_STAT_COUNTER, name, help, "what=\"full\"");
    e->watching = ql_stats_cell(env->stats, QL_STAT_GAUGE, "ql_exhaustion_watched",
                                "Series that may be full some day.", "");
    *ret_stage = e;
    return QL_OK;
}

static struct watched *watched_of(struct exhaustion *e, const struct ql_outlook *o)
{
    const uint32_t found = ql_map128_get(&e->index, o->series.h);
    if (found != QL_MAP_NONE) {
        return &e->watched[found];
    }
    if (!(o->full > 0.0)) {
        return NULL; /* nothing to remember of it */
    }
    if (e->count == QL_EXHAUSTION_MAX || o->metric.bytes > sizeof(e->watched[0].metric) ||
        o->labels.bytes > sizeof(e->watched[0].labels) ||
        ql_map128_put(&e->index, o->series.h, e->count) != QL_OK) {
        ql_stat_add(e->full, 1);
        return NULL;
    }
    struct watched *w = &e->watched[e->count++];
    *w = (struct watched){ .series = o->series, .onset_ns = o->at.ns };
    w->entity = o->entity.bytes > 0 ? ql_entity_id_of(o->entity) : (ql_entity_id){ 0 };
    memcpy(w->metric, o->metric.at, o->metric.bytes);
    memcpy(w->labels, o->labels.at, o->labels.bytes);
    w->metric_bytes = (uint32_t)o->metric.bytes;
    w->label_bytes = (uint32_t)o->labels.bytes;
    return w;
}

static void watched_drop(struct exhaustion *e, uint32_t index)
{
    (void)ql_map128_drop(&e->index, e->watched[index].series.h);
    e->count--;
    if (index < e->count) {
        e->watched[index] = e->watched[e->count];
        const ql_err err = ql_map128_put(&e->index, e->watched[index].series.h, index);
        QL_ASSERT(err == QL_OK); /* the key is there already */
    }
}

/* ---- telling ---------------------------------------------------------------------- */

static struct ql_signal *signal_write(struct exhaustion *e, struct ql_batch *bus,
                                      const struct watched *w, enum ql_phase phase, int64_t at_ns)
{
    const uint64_t words[4] = { w->series.h.high, w->series.h.low, (uint64_t)w->onset_ns, 5 };
    struct ql_signal *signal = ql_batch_add_signal(bus);
    if (signal == NULL) {
        ql_stat_add(e->full, 1);
        return NULL;
    }
    *signal = (struct ql_signal){
        .id = { ql_hash64(words, sizeof(words)) },
        .series = w->series,
        .entity = w->entity,
        .kind = QL_SIGNAL_EXHAUSTION,
        .phase = phase,
        .importance = QL_IMPORTANCE_HIGH, /* one alone is worth an incident */
        .onset = { w->onset_ns },
        .at = { at_ns },
        .value = w->used,
        .expected = w->limit,
        .lower = 0.0,
        .upper = w->limit * (1.0 - QL_CAPACITY_RESERVE),
        .metric = ql_batch_text(bus, (ql_str){ w->metric, w->metric_bytes }),
        .labels = ql_batch_text(bus, (ql_str){ w->labels, w->label_bytes }),
    };
    ql_stat_add(phase == QL_PHASE_CLOSE ? e->closed : e->opened, 1);
    return signal;
}

/* To the minute: "2026-01-05T09:00Z". */
static const char *when(ql_time at, char text[QL_TIME_TEXT_BYTES])
{
    enum { MINUTE_CHARS = 16 };
    if (at.ns == QL_TIME_NONE.ns) {
        return "never";
    }
    (void)ql_time_text(at, text);
    memcpy(text + MINUTE_CHARS, "Z", 2);
    return text;
}

static void open_tell(struct exhaustion *e, struct ql_batch *bus, const struct watched *w,
                      const struct ql_outlook *o)
{
    char early[QL_TIME_TEXT_BYTES], middle[QL_TIME_TEXT_BYTES], late[QL_TIME_TEXT_BYTES];
    struct ql_signal *signal = signal_write(e, bus, w, QL_PHASE_OPEN, o->at.ns);
    if (signal == NULL) {
        return;
    }
    const double wrong = 1.0 - o->full > WRONG_LEAST ? 1.0 - o->full : WRONG_LEAST;
    signal->surprise = -(double)ql_log10f((float)wrong);
    const ql_str record =
        o->tests > 0 ? ql_batch_printf(bus, "; such a claim was right %u of %u times", o->right,
                                       o->tests)
                     : ql_batch_text(bus, QL_STR("; the first claim of its kind"));
    signal->why = ql_batch_printf(
        bus,
        "%.*s is %.0f %% used and full by %s (10 %% by %s, 90 %% by %s): %.0f %% sure within "
        "%.0f h%.*s",
        QL_STR_ARG(o->metric), 100.0 * o->used / o->limit, when(o->middle, middle),
        when(o->early, early), when(o->late, late), 100.0 * o->full,
        (double)o->horizon.ns / 3.6e12, QL_STR_ARG(record));
}

static void close_tell(struct exhaustion *e, struct ql_batch *bus, const struct watched *w,
                       int64_t at_ns, const char *why)
{
    struct ql_signal *signal = signal_write(e, bus, w, QL_PHASE_CLOSE, at_ns);
    if (signal != NULL) {
        signal->why = ql_batch_printf(bus, "%.*s is %.0f %% used: %s", (int)w->metric_bytes,
                                      w->metric, 100.0 * w->used / w->limit, why);
    }
}

/* ---- looking ---------------------------------------------------------------------- */

/* Each opening costs the chance that it is wrong. */
static bool budget_takes(struct exhaustion *e, const struct ql_outlook *o)
{
    if (e->budget_ns != INT64_MIN && o->at.ns > e->budget_ns) {
        e->budget += e->budget_per_day * (double)(o->at.ns - e->budget_ns) / 1e9 / DAY_S;
        e->budget = e->budget < e->budget_per_day ? e->budget : e->budget_per_day;
    }
    e->budget_ns = o->at.ns;
    const double wrong = 1.0 - o->full > WRONG_LEAST ? 1.0 - o->full : WRONG_LEAST;
    if (e->budget < wrong) {
        return false;
    }
    e->budget -= wrong;
    return true;
}

static bool outlook_sound(const struct ql_outlook *o)
{
    return o->tests > 0 ? (double)o->right >= RECORD_RIGHT * (double)o->tests
                        : o->full >= NEW_CLAIM_FULL;
}

static void outlook_seen(struct exhaustion *e, struct ql_batch *bus, const struct ql_outlook *o)
{
    struct watched *w = watched_of(e, o);
    if (w == NULL) {
        return;
    }
    const bool believed = w->watch.open || outlook_sound(o);
    const double full = believed ? o->full : (o->full < 0.5 ? o->full : 0.5);
    w->used = o->used;
    w->limit = o->limit;
    w->last_ns = o->at.ns;
    w->onset_ns = w->watch.open || w->watch.over > 0 ? w->onset_ns : o->at.ns;
    const enum ql_capacity_change change =
        ql_capacity_watch_step(&w->watch, full, o->used / o->limit);
    if (w->watch.open && w->told == 0) {
        w->told = budget_takes(e, o);
        if (w->told != 0) {
            open_tell(e, bus, w, o);
        } else if (change == QL_CAPACITY_OPENED) {
            ql_stat_add(e->held, 1);
        }
    }
    if (change == QL_CAPACITY_CLOSED && w->told != 0) {
        w->told = 0;
        close_tell(e, bus, w, o->at.ns, "no longer likely to be full");
    }
}

static void exhaustion_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct exhaustion *e = stage;
    (void)now;
    for (uint32_t i = 0; i < bus->outlooks.count; i++) {
        const struct ql_outlook outlook = bus->outlooks.at[i];
        outlook_seen(e, bus, &outlook);
    }
    ql_stat_set(e->watching, e->count);
}

static void exhaustion_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct exhaustion *e = stage;
    for (uint32_t i = 0; i < e->count;) {
        if (now.ns - e->watched[i].last_ns <= FORGET_NS) {
            i++;
            continue;
        }
        if (e->watched[i].told != 0) {
            close_tell(e, bus, &e->watched[i], now.ns, "given up, nothing was heard for a day");
        }
        watched_drop(e, i);
    }
}

static ql_err exhaustion_adopt_config(void *stage, const struct ql_config *config)
{
    struct exhaustion *e = stage;
    e->budget_per_day = exhaustion_budget(config);
    e->budget = e->budget < e->budget_per_day ? e->budget : e->budget_per_day;
    return QL_OK;
}

/* ---- checkpoint ------------------------------------------------------------------- */

static ql_err exhaustion_save(const void *stage, struct ql_buf *out)
{
    const struct exhaustion *e = stage;
    (void)ql_buf_f64(out, e->budget);
    (void)ql_buf_i64(out, e->budget_ns);
    (void)ql_buf_u32(out, e->count);
    return ql_buf_put(out, e->watched, (size_t)e->count * sizeof(*e->watched));
}

static ql_err exhaustion_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct exhaustion *e = stage;
    if (version != STATE_VERSION) {
        return QL_E_VERSION;
    }
    e->budget = ql_reader_f64(in);
    e->budget_ns = ql_reader_i64(in);
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > QL_EXHAUSTION_MAX) {
        return QL_E_MALFORMED;
    }
    const char *bytes = ql_reader_bytes(in, (size_t)count * sizeof(*e->watched));
    if (bytes == NULL && count > 0) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct watched *w = &e->watched[i];
        memcpy(w, bytes + (size_t)i * sizeof(*w), sizeof(*w));
        if (w->metric_bytes > sizeof(w->metric) || w->label_bytes > sizeof(w->labels)) {
            return QL_E_MALFORMED;
        }
        if (ql_map128_put(&e->index, w->series.h, i) != QL_OK) {
            return QL_E_MEMORY;
        }
        e->count = i + 1;
    }
    return QL_OK;
}

const struct ql_stage_type ql_exhaustion_stage = {
    .name = "exhaustion",
    .reads = QL_LIST_BIT(outlooks),
    .writes = QL_LIST_BIT(signals),
    .state_version = STATE_VERSION,
    .open = exhaustion_open,
    .close = exhaustion_close,
    .push = exhaustion_push,
    .tick = exhaustion_tick,
    .adopt_config = exhaustion_adopt_config,
    .save = exhaustion_save,
    .load = exhaustion_load,
};

/* exhaust - one small watch a resource: how often in a row it was likely to fill, or not. */
#include "forecast/exhaust.h"

#include "config/config.h"
#include "forecast/smart.h"
#include "model/entity.h"
#include "model/labels.h"
#include "policy/ruling.h"

#include <math.h>
#include <stdlib.h>

#define STATE_VERSION 3u
enum { SAVED_HELD = 2, SAVED_OPEN_MASK = 3, SAVED_DISK = 4 }; /* 1: open and told */
#define FREED_RATIO 0.05
#define FREED_BELOW 0.5
#define CALM_FACTOR 4u               /* findings more, for ... */
#define CALM_NS (INT64_C(86400) * QL_NS_PER_S) /* ... so long after a signal closed */
#define SILENT_NS (INT64_C(86400) * QL_NS_PER_S)
#define SWEEP_NS (INT64_C(60) * QL_NS_PER_S)
#define WHY_BYTES_MAX 2048u
#define COUNT_MAX 10000u
#define ENTITY_BYTES_MAX 512u

struct exhaust_watch {
    uint64_t key;                    /* of series and limit */
    ql_series_id series;
    int64_t onset_ns, seen_ns, closed_ns; /* closed: INT64_MIN while it never was */
    double peak_ratio, used, limit;
    uint32_t over, under;
    uint32_t slot;                   /* of its labels while told */
    bool open, held;                 /* held: open, and by a policy not told */
    bool disk;
    double smart[QL_FINDING_COUNTERS]; /* a disk's: what was told at most; while it is not, the
                                        * newest */
};
struct exhaust_slot { uint32_t bytes; char at[QL_LABELS_BYTES_MAX]; };

struct exhaust {
    const struct ql_config *config;  /* borrowed */
    struct ql_ruling ruling;
    struct exhaust_watch *watches;
    uint32_t count;
    struct exhaust_slot *slots;      /* pages are touched as signals open */
    bool taken[QL_EXHAUST_OPEN_MAX];
    int64_t swept_ns;
    struct ql_buf why;
    struct ql_stat_cell *opened, *closed, *unproven, *watches_dropped, *signals_dropped;
};

/* ---- life ------------------------------------------------------------------------ */

static void exhaust_close(void *stage)
{
    struct exhaust *e = stage;
    if (e != NULL) {
        free(e->watches);
        free(e->slots);
        ql_buf_fini(&e->why);
        ql_ruling_close(&e->ruling);
        free(e);
    }
}

static void exhaust_cells(struct exhaust *e, struct ql_stats *stats)
{
    static const char name[] = "ql_exhaustion_signals_total";
    static const char help[] = "Signals of what will be full, by what happened to them.";
    static const char dropped[] = "ql_exhaustion_dropped_total";
    static const char dropped_help[] = "What the exhaustion stage found no room for.";
    e->opened = ql_stats_cell(stats, QL_STAT_COUNTER, name, help, "phase=\"open\"");
    e->closed = ql_stats_cell(stats, QL_STAT_COUNTER, name, help, "phase=\"close\"");
    e->unproven = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_exhaustion_unproven_total",
                                "Likely findings whose record was too short or too poor.", "");
    e->watches_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, dropped_help,
                                       "what=\"resource\"");
    e->signals_dropped = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, dropped_help,
                                       "what=\"signal\"");
}

static ql_err exhaust_open(const struct ql_stage_env *env, void **ret_stage)
{
    QL_ASSERT(env->config != NULL);
    struct exhaust *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return QL_E_MEMORY;
    }
    e->config = env->config;
    e->watches = calloc(QL_EXHAUST_WATCHES_MAX, sizeof(*e->watches));
    e->slots = calloc(QL_EXHAUST_OPEN_MAX, sizeof(*e->slots));
    ql_buf_init(&e->why, WHY_BYTES_MAX);
    if (e->watches == NULL || e->slots == NULL ||
        ql_ruling_open(&e->ruling, env->config, env->stats) != QL_OK) {
        exhaust_close(e);
        return QL_E_MEMORY;
    }
    exhaust_cells(e, env->stats);
    *ret_stage = e;
    return QL_OK;
}

static ql_err exhaust_adopt_config(void *stage, const struct ql_config *config)
{
    struct exhaust *e = stage;
    const ql_err err = ql_ruling_adopt(&e->ruling, config);
    e->config = err == QL_OK ? config : e->config;
    return err;
}

/* ---- watches --------------------------------------------------------------------- */

static uint64_t watch_key(const struct ql_finding *f)
{
    const uint64_t words[] = { f->series.h.low, f->series.h.high,
                               ql_hash64(f->limit_name.at, f->limit_name.bytes) };
    return ql_hash64(words, sizeof(words));
}

/* NULL when there is no room. */
static struct exhaust_watch *watch_of(struct exhaust *e, const struct ql_finding *f)
{
    const uint64_t key = watch_key(f);
    for (uint32_t i = 0; i < e->count; i++) {
        if (e->watches[i].key == key) {
            return &e->watches[i];
        }
    }
    if (e->count == QL_EXHAUST_WATCHES_MAX) {
        ql_stat_add(e->watches_dropped, 1);
        return NULL;
    }
    struct exhaust_watch *w = &e->watches[e->count++];
    *w = (struct exhaust_watch){ .key = key, .series = f->series, .closed_ns = INT64_MIN,
                                 .disk = f->kind == QL_FINDING_DISK };
    return w;
}

/* Room to keep the labels until it closes; false when there is none. */
static bool slot_take(struct exhaust *e, struct exhaust_watch *w, ql_str labels)
{
    uint32_t slot = 0;
    while (slot < QL_EXHAUST_OPEN_MAX && e->taken[slot]) {
        slot++;
    }
    if (slot == QL_EXHAUST_OPEN_MAX || labels.bytes > sizeof(e->slots[slot].at)) {
        return false;
    }
    e->taken[slot] = true;
    e->slots[slot].bytes = (uint32_t)labels.bytes;
    if (labels.bytes > 0) {
        memcpy(e->slots[slot].at, labels.at, labels.bytes);
    }
    w->slot = slot;
    return true;
}

/* ---- what is said ---------------------------------------------------------------- */

static void why_time(struct ql_buf *out, const struct ql_finding *f, double seconds)
{
    char text[QL_TIME_TEXT_BYTES];
    if (seconds < 1e9) {
        const ql_time at = { f->at.ns + (int64_t)(seconds * 1e9) };
        (void)ql_buf_printf(out, "%s", ql_time_text(at, text));
    } else {
        (void)ql_buf_printf(out, "not within a year");
    }
}

static void why_write(struct exhaust *e, const struct ql_finding *f, ql_str metric)
{
    struct ql_buf *out = &e->why;
    ql_buf_reset(out);
    if (f->kind == QL_FINDING_DISK) {
        ql_smart_say(f->labels, f->smart, out);
        return;
    }
    if (f->kind == QL_FINDING_EXPIRY) {
        (void)ql_buf_printf(out, "%.*s will expire at ", QL_STR_ARG(metric));
        why_time(out, f, f->middle_s);
    } else if (f->kind == QL_FINDING_FULL) {
        (void)ql_buf_printf(out, "%.*s is full: %.3g %% of %g (%.*s)", QL_STR_ARG(metric),
                            100.0 * f->used / f->limit, f->limit, QL_STR_ARG(f->limit_name));
    } else {
        (void)ql_buf_printf(out, "%.*s is at %.3g %% of %g (%.*s) and will be full within %.3g h "
                            "with %.0f %%: 10 %% by ", QL_STR_ARG(metric),
                            100.0 * f->used / f->limit, f->limit, QL_STR_ARG(f->limit_name),
                            f->horizon_s / 3600.0, 100.0 * f->full);
        why_time(out, f, f->early_s);
        (void)ql_buf_printf(out, ", 50 %% by ");
        why_time(out, f, f->middle_s);
        (void)ql_buf_printf(out, ", 90 %% by ");
        why_time(out, f, f->late_s);
    }
    (void)ql_buf_printf(out, "; such a claim was right %u of %u times", f->right, f->tests);
}

/* As unlikely as its being wrong: never surer than its record, with one miss added. */
static double signal_surprise(const struct ql_finding *f)
{
    if (f->kind == QL_FINDING_DISK) {
        return -log10(QL_SMART_FALSE_SHARE);
    }
    const double missed = ((double)(f->tests - f->right) + 1.0) / ((double)f->tests + 2.0);
    const double left = 1.0 - f->full;
    return -log10(left > missed ? left : missed);
}

static enum ql_signal_kind watch_kind(const struct exhaust_watch *w)
{
    return w->disk ? QL_SIGNAL_DISK : QL_SIGNAL_EXHAUSTION;
}

static struct ql_ruled watch_ruled(const struct exhaust_watch *w, ql_str labels)
{
    struct ql_ruled ruled = { .labels = labels, .kind = watch_kind(w),
                              .importance = QL_IMPORTANCE_NORMAL };
    struct ql_buf entity;
    ql_buf_init(&entity, ENTITY_BYTES_MAX);
    if (ql_entity_of_labels(labels, &entity) && ql_buf_check(&entity) == QL_OK) {
        ruled.entity = ql_entity_id_of(ql_buf_view(&entity));
    }
    ql_buf_fini(&entity);
    return ruled;
}

/* `f` is NULL when nothing was heard for so long that it is over. */
static void signal_write(struct exhaust *e, const struct exhaust_watch *w,
                         const struct ql_finding *f, enum ql_phase phase, ql_time now,
                         struct ql_batch *bus)
{
    struct ql_signal *signal = ql_batch_add_signal(bus);
    if (signal == NULL) {
        ql_stat_add(e->signals_dropped, 1);
        return;
    }
    const struct exhaust_slot *slot = &e->slots[w->slot];
    const uint64_t words[] = { w->key, (uint64_t)w->onset_ns, watch_kind(w) };
    const ql_str labels = ql_batch_text(bus, (ql_str){ slot->at, slot->bytes });
    const struct ql_ruled ruled = watch_ruled(w, labels);
    const struct ql_policy_word word = ql_ruling_of(&e->ruling, &ruled, now);
    *signal = (struct ql_signal){
        .id = { ql_hash64(words, sizeof(words)) }, .series = w->series, .entity = ruled.entity,
        .labels = labels, .metric = ql_labels_get(labels, QL_STR("__name__")),
        .kind = watch_kind(w), .phase = phase, .importance = word.importance,
        .onset = { w->onset_ns }, .at = now, .value = w->used, .expected = w->used,
        .upper = w->limit, .lower = w->used < 0.0 ? w->used : 0.0,
    };
    if (w->disk) { /* none is expected; the band ends between no count and one */
        signal->expected = 0.0;
        signal->upper = log1p(0.5);
    }
    if (f == NULL) {
        signal->why = QL_STR("nothing was said about it for a day");
    } else {
        signal->surprise = signal_surprise(f);
        why_write(e, f, signal->metric);
        ql_ruling_say(&ruled, &word, &e->why);
        signal->why = ql_batch_text(bus, ql_buf_view(&e->why));
    }
    ql_stat_add(phase == QL_PHASE_OPEN ? e->opened : e->closed, phase != QL_PHASE_UPDATE);
}

/* What was held and is over was never told; it calls for no calm either. */
static void watch_end(struct exhaust *e, struct exhaust_watch *w, const struct ql_finding *f,
                      ql_time now, struct ql_batch *bus)
{
    if (!w->held) {
        signal_write(e, w, f, QL_PHASE_CLOSE, now, bus);
        e->taken[w->slot] = false;
        w->closed_ns = now.ns;
    }
    w->open = w->held = false;
    w->over = w->under = 0;
}

/* Tells what is to open, unless a policy holds it: then it stands open inside and this is
 * asked again as long as it is likely. */
static void watch_tell(struct exhaust *e, struct exhaust_watch *w, const struct ql_finding *f,
                       ql_time now, struct ql_batch *bus)
{
    const struct ql_ruled ruled = watch_ruled(w, f->labels);
    if (ql_ruling_holds(&e->ruling, &ruled, now, &w->held)) {
        w->open = true;
        return;
    }
    w->open = slot_take(e, w, f->labels);
    if (w->open) {
        signal_write(e, w, f, QL_PHASE_OPEN, now, bus);
    } else {
        ql_stat_add(e->signals_dropped, 1);
    }
}

/* ---- findings -------------------------------------------------------------------- */

static bool finding_proven(const struct exhaust *e, const struct ql_finding *f)
{
    if (f->kind == QL_FINDING_DISK) {
        return true; /* its record is that of the rule, not of this disk */
    }
    return f->tests >= QL_EXHAUST_TESTS_LEAST &&
           (double)f->right >= e->config->forecast_record_min * (double)f->tests;
}

static void watch_try(struct exhaust *e, struct exhaust_watch *w, const struct ql_finding *f,
                      ql_time now, struct ql_batch *bus)
{
    const bool likely = f->kind != QL_FINDING_FULL && f->full >= e->config->forecast_full_min;
    if (likely && !finding_proven(e, f)) {
        ql_stat_add(e->unproven, 1);
    }
    if (!likely || !finding_proven(e, f)) {
        w->over = 0;
        return;
    }
    w->onset_ns = w->over == 0 ? f->at.ns : w->onset_ns;
    w->over += w->over < COUNT_MAX;
    const bool calm = w->closed_ns == INT64_MIN || now.ns - w->closed_ns > CALM_NS;
    if (w->over < e->config->forecast_passes * (calm ? 1u : CALM_FACTOR)) {
        return;
    }
    w->under = 0;
    watch_tell(e, w, f, now, bus);
}

/* Keeps the counters; true when one is above all that was told. Pending sectors come and go,
 * and what was said before is not said again. */
static bool watch_counters(struct exhaust_watch *w, const struct ql_finding *f)
{
    const bool told = w->open && !w->held;
    bool grew = false;
    for (uint32_t i = 0; w->disk && i < QL_FINDING_COUNTERS; i++) {
        const bool more = f->smart[i] > w->smart[i];
        grew |= told && more && f->smart[i] > 0.0;
        w->smart[i] = more || !told ? f->smart[i] : w->smart[i];
    }
    return grew;
}

static void finding_take(struct exhaust *e, const struct ql_finding *f, ql_time now,
                         struct ql_batch *bus)
{
    struct exhaust_watch *w = watch_of(e, f);
    if (w == NULL || (w->seen_ns != 0 && f->at.ns <= w->seen_ns)) {
        return; /* the same look again says nothing new */
    }
    const double ratio = f->used / f->limit;
    const bool first = w->seen_ns == 0;
    const bool freed = f->kind != QL_FINDING_EXPIRY && !w->disk && !first &&
                       ratio < w->peak_ratio - FREED_RATIO;
    const bool grew = watch_counters(w, f);
    w->seen_ns = f->at.ns;
    w->peak_ratio = first || freed || ratio > w->peak_ratio ? ratio : w->peak_ratio;
    w->used = f->used;
    w->limit = f->limit;
    if (!w->open) {
        watch_try(e, w, f, now, bus);
        return;
    }
    w->under = f->full < QL_EXHAUST_OVER ? w->under + (w->under < COUNT_MAX) : 0;
    if (w->under >= e->config->forecast_passes || (freed && f->full < FREED_BELOW)) {
        watch_end(e, w, f, now, bus);
    } else if (w->held && f->full >= e->config->forecast_full_min) {
        watch_tell(e, w, f, now, bus);
    } else if (grew) {
        signal_write(e, w, f, QL_PHASE_UPDATE, now, bus);
    }
}

static void exhaust_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct exhaust *e = stage;
    ql_ruling_push(&e->ruling, bus);
    for (uint32_t i = 0; i < bus->findings.count; i++) {
        finding_take(e, &bus->findings.at[i], now, bus);
    }
}

/* Ends what nothing is heard of any more, and forgets it. */
static void exhaust_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct exhaust *e = stage;
    uint32_t kept = 0;
    if (now.ns - e->swept_ns < SWEEP_NS) {
        return;
    }
    e->swept_ns = now.ns;
    ql_ruling_tick(&e->ruling, now);
    for (uint32_t i = 0; i < e->count; i++) {
        struct exhaust_watch *w = &e->watches[i];
        const bool silent = now.ns - w->seen_ns > SILENT_NS;
        if (silent && w->open) {
            watch_end(e, w, NULL, now, bus);
        }
        if (!silent) {
            e->watches[kept++] = *w;
        }
    }
    e->count = kept;
}

/* ---- state ----------------------------------------------------------------------- */

static ql_err exhaust_save(const void *stage, struct ql_buf *out)
{
    const struct exhaust *e = stage;
    (void)ql_buf_i64(out, e->swept_ns);
    (void)ql_buf_u32(out, e->count);
    for (uint32_t i = 0; i < e->count; i++) {
        const struct exhaust_watch *w = &e->watches[i];
        (void)ql_buf_u64(out, w->key);
        (void)ql_buf_u64(out, w->series.h.low);
        (void)ql_buf_u64(out, w->series.h.high);
        (void)ql_buf_i64(out, w->onset_ns);
        (void)ql_buf_i64(out, w->seen_ns);
        (void)ql_buf_i64(out, w->closed_ns);
        (void)ql_buf_f64(out, w->peak_ratio);
        (void)ql_buf_f64(out, w->used);
        (void)ql_buf_f64(out, w->limit);
        (void)ql_buf_u32(out, w->over);
        (void)ql_buf_u32(out, w->under);
        (void)ql_buf_u8(out, (uint8_t)((w->held ? SAVED_HELD : w->open) |
                                       (w->disk ? SAVED_DISK : 0u)));
        for (uint32_t k = 0; w->disk && k < QL_FINDING_COUNTERS; k++) {
            (void)ql_buf_f64(out, w->smart[k]);
        }
        if (w->open && !w->held) {
            (void)ql_buf_lstr(out, (ql_str){ e->slots[w->slot].at, e->slots[w->slot].bytes });
        }
    }
    return ql_ruling_save(&e->ruling, out);
}

static bool watch_load(struct exhaust *e, struct exhaust_watch *w, struct ql_reader *in)
{
    w->key = ql_reader_u64(in);
    w->series.h.low = ql_reader_u64(in);
    w->series.h.high = ql_reader_u64(in);
    w->onset_ns = ql_reader_i64(in);
    w->seen_ns = ql_reader_i64(in);
    w->closed_ns = ql_reader_i64(in);
    w->peak_ratio = ql_reader_f64(in);
    w->used = ql_reader_f64(in);
    w->limit = ql_reader_f64(in);
    w->over = ql_reader_u32(in);
    w->under = ql_reader_u32(in);
    const uint8_t saved = ql_reader_u8(in), open = saved & SAVED_OPEN_MASK;
    w->open = open != 0;
    w->held = open == SAVED_HELD;
    w->disk = (saved & SAVED_DISK) != 0;
    for (uint32_t i = 0; w->disk && i < QL_FINDING_COUNTERS; i++) {
        w->smart[i] = ql_reader_f64(in);
    }
    return open <= SAVED_HELD && saved < 2 * SAVED_DISK &&
           (!w->open || w->held || slot_take(e, w, ql_reader_lstr(in)));
}

static ql_err exhaust_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct exhaust *e = stage;
    if (version != STATE_VERSION) {
        return QL_E_VERSION;
    }
    e->swept_ns = ql_reader_i64(in);
    const uint32_t count = ql_reader_u32(in);
    if (count > QL_EXHAUST_WATCHES_MAX) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        if (!watch_load(e, &e->watches[i], in)) {
            return QL_E_MALFORMED;
        }
    }
    e->count = count;
    return in->failed ? QL_E_MALFORMED : ql_ruling_load(&e->ruling, in);
}

const struct ql_stage_type ql_exhaust_stage = {
    .name = "exhaust",
    .reads = QL_LIST_BIT(findings) | QL_LIST_BIT(changes),
    .writes = QL_LIST_BIT(signals),
    .state_version = STATE_VERSION,
    .open = exhaust_open,
    .close = exhaust_close,
    .push = exhaust_push,
    .tick = exhaust_tick,
    .adopt_config = exhaust_adopt_config,
    .save = exhaust_save,
    .load = exhaust_load,
};

/* slo_count - the shard's side: which series count for which SLO, and what they counted.
 *
 * Good for     a shard that knows nothing of the others: what it says can only be added up.
 * Bad for      counters that are born with their first error: a first sample says nothing.
 * Method       a series is matched against every selector once, at its first point; those that
 *              count get a track with the sample before. Parts are gathered by SLO, entity and
 *              minute and told at the tick.
 */
#include "slo/slo_int.h"

#include "base/pages.h"
#include "model/labels.h"
#include "model/selector.h"
#include "model/series.h"

#include <math.h>
#include <stdlib.h>

enum {
    TRACKS_MAX = 65536, SIDES_MAX = 16, PICKS_MAX = 2 * QL_CONFIG_SLOS_MAX
};
#define SPREAD_NS (60 * SLO_MINUTE_NS)
#define AMOUNT_MAX 4398046511104.0 /* 2^42 events */
#define COUNT_STATE_VERSION 1u

enum { TRACK_KNOWN = 1, TRACK_SILENT = 2, TRACK_RESOLVED = 4 };
enum { MARK_UNKNOWN, MARK_NOTHING, MARK_TRACKS }; /* from here on: + the track */

struct track {
    int64_t last_ns;                 /* of the newest sample; valid when KNOWN */
    int64_t bad_ns;                  /* when it last counted something that may be bad */
    double last_raw;
    uint32_t series;
    uint8_t flags, side_count;
    uint16_t sides[SIDES_MAX];       /* packed: slo_side_of() */
};

struct pick { struct ql_selector selector; uint16_t side; };

struct count {
    const struct ql_config *config;
    struct ql_series_table *series;
    uint32_t series_max;
    struct pick *picks;              /* one a selector of the configuration */
    uint32_t pick_count;
    uint32_t *marks;                 /* one a series; NULL until there is an SLO */
    struct track *tracks;
    uint32_t track_count;
    struct slo_parts parts;          /* since the last flush */
    int64_t minute;                  /* of the last tick */
    struct ql_buf scratch;
    struct ql_stat_cell *series_dropped, *sides_dropped;
};

/* ---- life ------------------------------------------------------------------------ */

static void picks_free(struct pick *picks, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ql_selector_fini(&picks[i].selector);
    }
    free(picks);
}

static void count_close(void *stage)
{
    struct count *c = stage;
    if (c != NULL) {
        picks_free(c->picks, c->pick_count);
        ql_pages_free(c->marks, (size_t)c->series_max * sizeof(*c->marks));
        ql_pages_free(c->tracks, TRACKS_MAX * sizeof(*c->tracks));
        slo_parts_fini(&c->parts);
        ql_buf_fini(&c->scratch);
        free(c);
    }
}

static ql_err count_activate(struct count *c)
{
    if (c->marks != NULL) {
        return QL_OK;
    }
    c->tracks = c->tracks != NULL ? c->tracks : ql_pages_new(TRACKS_MAX * sizeof(*c->tracks));
    if (c->tracks == NULL || slo_parts_activate(&c->parts) != QL_OK) {
        return QL_E_MEMORY;
    }
    c->marks = ql_pages_new((size_t)c->series_max * sizeof(*c->marks));
    return c->marks == NULL ? QL_E_MEMORY : QL_OK;
}

static ql_err pick_add(struct pick *picks, uint32_t *count, const char *text, uint32_t slo,
                       enum slo_side side)
{
    char why[QL_SELECTOR_WHY_BYTES];
    if (text == NULL) {
        return QL_OK;
    }
    struct pick *pick = &picks[*count];
    pick->side = (uint16_t)(slo << SLO_SIDE_BITS | (uint32_t)side);
    const ql_err err = ql_selector_parse(ql_str_of(text), &pick->selector, why);
    *count += err == QL_OK;
    return err == QL_OK || err == QL_E_MEMORY ? err : QL_E_CONFIG;
}

static ql_err picks_make(const struct ql_config *config, struct pick **ret_picks,
                         uint32_t *ret_count)
{
    struct pick *picks = calloc((size_t)config->slo_count * 2 + 1, sizeof(*picks));
    ql_err err = picks == NULL ? QL_E_MEMORY : QL_OK;
    uint32_t count = 0;
    for (uint32_t i = 0; i < config->slo_count && err == QL_OK; i++) {
        const struct ql_slo *slo = &config->slos[i];
        const char *const texts[] = { slo->good, slo->bad, slo->total, slo->match };
        for (uint32_t side = 0; side < QL_COUNT_OF(texts) && err == QL_OK; side++) {
            err = pick_add(picks, &count, texts[side], i, (enum slo_side)side);
        }
    }
    if (err != QL_OK) {
        picks_free(picks, count);
        return err;
    }
    *ret_picks = picks;
    *ret_count = count;
    return QL_OK;
}

/* What was counted stays; every series is matched anew at its next point. */
static ql_err count_adopt_config(void *stage, const struct ql_config *config)
{
    struct count *c = stage;
    struct pick *picks;
    uint32_t pick_count;
    QL_ASSERT(config->slo_count <= QL_CONFIG_SLOS_MAX);
    if (config->slo_count == 0 && c->marks == NULL) {
        c->config = c->parts.config = config;
        return QL_OK;
    }
    ql_err err = picks_make(config, &picks, &pick_count);
    if (err != QL_OK) {
        return err;
    }
    err = count_activate(c);
    if (err != QL_OK) {
        picks_free(picks, pick_count);
        return err;
    }
    picks_free(c->picks, c->pick_count);
    c->config = c->parts.config = config;
    c->picks = picks;
    c->pick_count = pick_count;
    for (uint32_t i = 0; i < ql_series_count(c->series); i++) {
        c->marks[i] = c->marks[i] >= MARK_TRACKS ? c->marks[i] : MARK_UNKNOWN;
    }
    for (uint32_t i = 0; i < c->track_count; i++) {
        c->tracks[i].flags &= (uint8_t)~TRACK_RESOLVED;
    }
    return QL_OK;
}

static struct ql_stat_cell *count_cell(struct ql_stats *stats, const char *labels)
{
    return ql_stats_cell(stats, QL_STAT_COUNTER, "ql_slo_dropped_total",
                         "What could not be counted for SLOs.", labels);
}

static ql_err count_open(const struct ql_stage_env *env, void **ret_stage)
{
    struct count *c = calloc(1, sizeof(*c));
    if (c == NULL) {
        return QL_E_MEMORY;
    }
    c->series = env->series;
    c->series_max = ql_series_index_max(env->series);
    c->minute = INT64_MIN;
    ql_map64_init(&c->parts.of, SLO_PARTS_MAX);
    ql_buf_init(&c->scratch, QL_LABELS_BYTES_MAX);
    c->series_dropped = count_cell(env->stats, "what=\"series\"");
    c->sides_dropped = count_cell(env->stats, "what=\"sides\"");
    c->parts.dropped = count_cell(env->stats, "what=\"parts\"");
    const ql_err err = count_adopt_config(c, env->config);
    if (err != QL_OK) {
        count_close(c);
        return err;
    }
    *ret_stage = c;
    return QL_OK;
}

/* ---- tracks ---------------------------------------------------------------------- */

static void track_resolve(struct count *c, struct track *t, const uint16_t *sides, uint32_t count)
{
    t->side_count = (uint8_t)(count < SIDES_MAX ? count : SIDES_MAX);
    memcpy(t->sides, sides, t->side_count * sizeof(*sides));
    t->flags |= TRACK_RESOLVED;
    if (count > SIDES_MAX) {
        ql_stat_add(c->sides_dropped, (int64_t)(count - SIDES_MAX));
    }
}

static void series_resolve(struct count *c, uint32_t series)
{
    uint16_t sides[PICKS_MAX];
    uint32_t count = 0;
    ql_buf_reset(&c->scratch);
    (void)ql_series_labels(c->series, series, &c->scratch);
    const ql_str labels = ql_buf_view(&c->scratch);
    for (uint32_t i = 0; i < c->pick_count; i++) {
        if (ql_selector_matches(&c->picks[i].selector, labels)) {
            sides[count++] = c->picks[i].side;
        }
    }
    uint32_t *mark = &c->marks[series];
    if (*mark >= MARK_TRACKS) {
        track_resolve(c, &c->tracks[*mark - MARK_TRACKS], sides, count);
        return;
    }
    *mark = MARK_NOTHING;
    if (count > 0 && c->track_count == TRACKS_MAX) {
        ql_stat_add(c->series_dropped, 1);
    } else if (count > 0) {
        *mark = MARK_TRACKS + c->track_count;
        struct track *t = &c->tracks[c->track_count++];
        *t = (struct track){ .series = series, .bad_ns = INT64_MIN };
        track_resolve(c, t, sides, count);
    }
}

static int64_t amount_of(double events)
{
    const double clipped = events > AMOUNT_MAX ? AMOUNT_MAX : events;
    return clipped > 0.0 ? (int64_t)llround(clipped * QL_SLO_UNIT) : 0;
}

/* The increase of a counter since the sample before. Of a series that may yet turn out to be
 * a gauge a fall says nothing. */
static double counter_increase(const struct track *t, enum ql_metric_type type, double raw)
{
    if (raw >= t->last_raw) {
        return raw - t->last_raw;
    }
    return type == QL_METRIC_COUNTER ? raw : 0.0;
}

/* How many events a sample tells of and since when; false: of none that can be known. */
static bool track_told(const struct track *t, const struct ql_series *row,
                       const struct ql_point *point, struct slo_told *told)
{
    const enum ql_metric_type type = (enum ql_metric_type)row->type;
    const bool known = (t->flags & TRACK_KNOWN) != 0 && point->at.ns > t->last_ns;
    const int64_t step_ns = (int64_t)row->step_ms * 1000000;
    told->from_ns = known ? t->last_ns : point->at.ns;
    if (type == QL_METRIC_DELTA) {
        told->amount = amount_of(point->raw);
    } else if (!known) {
        return false;
    } else if (type == QL_METRIC_GAUGE) { /* a rate holds for a step, not over a silence */
        const int64_t most = step_ns > 0 ? 2 * step_ns : SLO_MINUTE_NS;
        told->from_ns = point->at.ns - t->last_ns > most ? point->at.ns - most / 2 : t->last_ns;
        told->amount = amount_of(point->value * (double)(point->at.ns - told->from_ns) / 1e9);
    } else {
        told->amount = amount_of(counter_increase(t, type, point->raw));
    }
    if (told->at_ns - told->from_ns > SPREAD_NS) {
        told->from_ns = told->at_ns - SPREAD_NS;
    }
    return true;
}

/* Between two values of `match` all is covered, unless it was a silence. */
static int64_t match_from(const struct track *t, const struct ql_point *point)
{
    const bool near = (t->flags & (TRACK_KNOWN | TRACK_SILENT)) == TRACK_KNOWN &&
                      point->at.ns > t->last_ns && point->at.ns - t->last_ns <= SPREAD_NS;
    return near ? t->last_ns : point->at.ns - 1;
}

/* True: it counted something that is bad, or, with good events, that may be. */
static bool track_side(struct count *c, struct track *t, uint16_t packed,
                       const struct ql_point *point, const struct slo_told *counted,
                       struct ql_batch *bus)
{
    const struct ql_slo *slo = &c->config->slos[packed >> SLO_SIDE_BITS];
    const enum slo_side side = slo_side_of(packed);
    if (side == SLO_SIDE_MATCH) {
        struct slo_told told = *counted;
        if (point->kind != QL_POINT_VALUE) {
            return false;
        }
        told.from_ns = match_from(t, point);
        told.bad = point->value > slo->above || point->value < slo->below;
        slo_parts_match(&c->parts, packed, &told, bus);
        return told.bad;
    }
    if (counted->amount < 0) {
        return false;
    }
    slo_parts_spread(&c->parts, packed, counted, bus);
    const bool may_be_bad = side == SLO_SIDE_BAD || (side == SLO_SIDE_TOTAL && slo->good != NULL);
    return counted->amount > 0 && may_be_bad;
}

static void track_value(struct count *c, struct track *t, const struct ql_point *point,
                        struct ql_batch *bus)
{
    const struct ql_series *row = ql_series_at(c->series, t->series);
    struct slo_told told = { .entity = row->entity, .at_ns = point->at.ns };
    if (!track_told(t, row, point, &told)) {
        told.amount = -1;
    }
    for (uint32_t i = 0; i < t->side_count; i++) {
        if (track_side(c, t, t->sides[i], point, &told, bus)) {
            t->bad_ns = point->at.ns;
        }
    }
    t->last_ns = point->at.ns;
    t->last_raw = point->raw;
    t->flags = (uint8_t)((t->flags | TRACK_KNOWN) & ~TRACK_SILENT);
}

/* A stale marker says that the series ended: nothing is missing. */
static void track_point(struct count *c, struct track *t, const struct ql_point *point,
                        struct ql_batch *bus)
{
    if (ql_is_stale_marker(point->raw)) {
        t->flags &= (uint8_t)~(TRACK_KNOWN | TRACK_SILENT);
    } else if (point->kind == QL_POINT_HOLE) {
        t->flags |= TRACK_SILENT;
    } else {
        track_value(c, t, point, bus);
    }
}

static void count_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct count *c = stage;
    (void)now;
    for (uint32_t i = 0; c->marks != NULL && i < bus->points.count; i++) {
        const uint32_t series = bus->points.at[i].series;
        if (c->marks[series] == MARK_UNKNOWN) {
            series_resolve(c, series);
        }
        if (c->marks[series] == MARK_NOTHING) {
            continue;
        }
        struct track *t = &c->tracks[c->marks[series] - MARK_TRACKS];
        if ((t->flags & TRACK_RESOLVED) == 0) {
            series_resolve(c, series);
        }
        track_point(c, t, &bus->points.at[i], bus);
    }
}

/* ---- ticks ----------------------------------------------------------------------- */

/* Once a minute: which SLOs miss a series that had bad events just before it went silent. */
static void tracks_silent(struct count *c, ql_time now, struct ql_batch *bus)
{
    for (uint32_t i = 0; i < c->track_count; i++) {
        const struct track *t = &c->tracks[i];
        if ((t->flags & TRACK_SILENT) == 0 || t->bad_ns == INT64_MIN ||
            t->last_ns - t->bad_ns > SPREAD_NS || now.ns - t->last_ns > SPREAD_NS) {
            continue;
        }
        if ((t->flags & TRACK_RESOLVED) == 0) {
            series_resolve(c, t->series);
        }
        for (uint32_t k = 0; k < t->side_count; k++) {
            const uint16_t packed = t->sides[k];
            struct ql_slo_part *part =
                slo_part_at(&c->parts, c->config->slos[packed >> SLO_SIDE_BITS].key,
                            (ql_entity_id){ 0 }, slo_minute_of(now.ns) - 1, bus);
            if (part != NULL) {
                part->silent++;
            }
        }
    }
}

/* The last track takes the place of one that goes. */
static void track_drop(struct count *c, uint32_t track)
{
    const uint32_t last = --c->track_count;
    if (track != last) {
        c->tracks[track] = c->tracks[last];
        c->marks[c->tracks[track].series] = MARK_TRACKS + track;
    }
}

static void count_forget(struct count *c, const struct ql_batch *bus)
{
    for (uint32_t i = 0; i < bus->retired.count; i++) {
        uint32_t *mark = &c->marks[bus->retired.at[i].series];
        if (*mark >= MARK_TRACKS) {
            track_drop(c, *mark - MARK_TRACKS);
        }
        *mark = MARK_UNKNOWN;
    }
}

static void count_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    struct count *c = stage;
    if (c->marks == NULL) {
        return;
    }
    if (slo_minute_of(now.ns) > c->minute) {
        tracks_silent(c, now, bus);
        c->minute = slo_minute_of(now.ns);
    }
    count_forget(c, bus);
    slo_parts_flush(&c->parts, bus);
}

/* ---- checkpoint ------------------------------------------------------------------ */

static ql_err count_save(const void *stage, struct ql_buf *out)
{
    const struct count *c = stage;
    QL_ASSERT(c->parts.count == 0);
    (void)ql_buf_i64(out, c->minute);
    (void)ql_buf_u32(out, c->track_count);
    for (uint32_t i = 0; i < c->track_count; i++) {
        const struct track *t = &c->tracks[i];
        (void)ql_buf_u32(out, t->series);
        (void)ql_buf_u8(out, t->flags & (TRACK_KNOWN | TRACK_SILENT));
        (void)ql_buf_i64(out, t->last_ns);
        (void)ql_buf_i64(out, t->bad_ns);
        (void)ql_buf_f64(out, t->last_raw);
    }
    return ql_buf_check(out);
}

static ql_err count_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct count *c = stage;
    if (version != COUNT_STATE_VERSION) {
        return QL_E_VERSION;
    }
    c->minute = ql_reader_i64(in);
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > TRACKS_MAX) {
        return QL_E_MALFORMED;
    }
    const ql_err err = count > 0 ? count_activate(c) : QL_OK;
    if (err != QL_OK) {
        return err;
    }
    for (c->track_count = 0; c->track_count < count; c->track_count++) {
        struct track *t = &c->tracks[c->track_count];
        *t = (struct track){ .series = ql_reader_u32(in) };
        t->flags = ql_reader_u8(in) & (TRACK_KNOWN | TRACK_SILENT);
        t->last_ns = ql_reader_i64(in);
        t->bad_ns = ql_reader_i64(in);
        t->last_raw = ql_reader_f64(in);
        if (in->failed || t->series >= ql_series_count(c->series) ||
            c->marks[t->series] >= MARK_TRACKS) {
            return QL_E_MALFORMED;
        }
        c->marks[t->series] = MARK_TRACKS + c->track_count;
    }
    return QL_OK;
}

const struct ql_stage_type ql_slo_count_stage = {
    .name = "slo_count",
    .reads = QL_LIST_BIT(points) | QL_LIST_BIT(retired),
    .writes = QL_LIST_BIT(slo_parts),
    .state_version = COUNT_STATE_VERSION,
    .open = count_open,
    .close = count_close,
    .push = count_push,
    .tick = count_tick,
    .adopt_config = count_adopt_config,
    .save = count_save,
    .load = count_load,
};

/* export_turn.c - from what is new of each series to requests.
 *
 * Series are taken in pages, so that the engine answers many with one question. What was
 * sent of a series is noted only when the request that held its last sample was taken.
 */
#include "base/log.h"
#include "export/export_int.h"
#include "model/labels.h"

#include <stdlib.h>

enum { PAGE = 128, PAGE_ARENA_BYTES = 4 << 20 };

struct turn {
    struct export_target *target;
    ql_time now, oldest;         /* oldest: of the samples in the request */
    struct ql_arena arena;       /* label blocks of the page */
    struct ql_sample *made;      /* of one band series */
    uint32_t made_max;
    struct ql_batch history;     /* where memory did not reach back */
    uint32_t history_waits;      /* series that history did not answer for */
    ql_err history_err;          /* the first reason */
    bool history_rests;          /* the disk is slow or refuses: nobody asks again this turn */
    struct export_series next[PAGE]; /* what stands when the page was taken */
};

/* ---- requests -------------------------------------------------------------------------- */

static enum export_outcome turn_flush(struct turn *t)
{
    struct export_target *target = t->target;
    enum export_outcome outcome = EXPORT_SENT;
    if (target->out.sample_count > 0) {
        outcome = export_send(target, t->oldest);
    }
    ql_remote_write_out_begin(&target->out);
    t->oldest = (ql_time){ INT64_MAX };
    return outcome;
}

/* The block with the configured labels, where it has none of that name. */
static ql_str turn_labels(struct turn *t, ql_str block)
{
    const struct export_target *target = t->target;
    struct ql_label list[QL_LABELS_COUNT_MAX + 16], label;
    struct ql_buf built;
    uint32_t count = 0;
    size_t at = 0;
    if (target->label_count == 0) {
        return block;
    }
    while (count < QL_LABELS_COUNT_MAX && ql_labels_next(block, &at, &label)) {
        list[count++] = label;
    }
    for (uint32_t i = 0; i < target->label_count && count < QL_COUNT_OF(list); i++) {
        const ql_str name = ql_str_of(target->label_names[i]);
        if (ql_labels_get(block, name).bytes == 0) {
            list[count++] = (struct ql_label){ name, ql_str_of(target->label_values[i]) };
        }
    }
    ql_buf_init(&built, (size_t)QL_LABELS_BYTES_MAX * 2);
    const ql_err err = ql_labels_build(list, count, &built);
    const ql_str text = err == QL_OK ? ql_arena_str(&t->arena, ql_buf_view(&built)) : block;
    ql_buf_fini(&built);
    return text.at != NULL ? text : block;
}

static bool turn_add(struct turn *t, ql_str block, const struct ql_sample *samples,
                     uint32_t count)
{
    struct export_target *target = t->target;
    if (count == 0 || block.at == NULL) {
        return true;
    }
    const ql_str labels = turn_labels(t, block);
    ql_err err = ql_remote_write_out_add(&target->out, labels, samples, count);
    if (err == QL_E_FULL && target->out.sample_count > 0) {
        if (turn_flush(t) == EXPORT_STOPPED) {
            return false;
        }
        err = ql_remote_write_out_add(&target->out, labels, samples, count);
    }
    if (err != QL_OK) {
        ql_stat_add(target->counts.dropped_refused, count);
    } else if (samples[0].at.ns < t->oldest.ns) {
        t->oldest = samples[0].at;
    }
    return true;
}

/* ---- one series ---------------------------------------------------------------------------- */

struct piece { /* of one series, what is new */
    const struct ql_sample *raw, *judged;
    const struct ql_band *bands;
    uint32_t raw_count, judged_count, band_count;
};

static bool made_room(struct turn *t, uint32_t count)
{
    if (count > t->made_max) {
        struct ql_sample *made = realloc(t->made, count * sizeof(*made));
        if (made == NULL) {
            return false;
        }
        t->made = made;
        t->made_max = count;
    }
    return true;
}

/* The band that holds from before, then those of the piece. */
static bool series_bands(struct turn *t, const struct export_series *series,
                         const struct piece *piece)
{
    const struct export_target *target = t->target;
    const uint32_t held = series->band.at.ns != QL_TIME_NONE.ns ? 1 : 0;
    struct ql_band *bands = ql_arena_take(&t->arena, (piece->band_count + 1) * sizeof(*bands));
    if (bands == NULL || !made_room(t, piece->judged_count)) {
        ql_stat_add(target->counts.dropped_refused, piece->judged_count);
        return true;
    }
    bands[0] = series->band;
    uint32_t band_count = held;
    for (uint32_t i = 0; i < piece->band_count; i++) {
        if (held == 0 || piece->bands[i].at.ns > series->band.at.ns) {
            bands[band_count++] = piece->bands[i];
        }
    }
    for (enum ql_band_series which = QL_BAND_SCORE; which < QL_BAND_SERIES_COUNT; which++) {
        if (which == QL_BAND_SCORE ? !target->scores : !target->bands) {
            continue;
        }
        const uint32_t count =
            ql_band_series_samples(which, piece->judged, piece->judged_count, bands,
                                   band_count, t->made);
        if (count > 0 && !turn_add(t, ql_band_series_labels(&t->arena, series->labels, which),
                                   t->made, count)) {
            return false;
        }
    }
    return true;
}

static bool series_send(struct turn *t, const struct export_series *series,
                        const struct piece *piece, struct export_series *ret_next)
{
    const struct export_target *target = t->target;
    *ret_next = *series;
    ret_next->waits = false;
    if (piece->raw_count > 0 && piece->raw[piece->raw_count - 1].at.ns > ret_next->sent.ns) {
        ret_next->sent = piece->raw[piece->raw_count - 1].at;
    }
    if (piece->band_count > 0 &&
        piece->bands[piece->band_count - 1].at.ns > series->band.at.ns) {
        ret_next->band = piece->bands[piece->band_count - 1];
    }
    if (target->samples && !turn_add(t, series->labels, piece->raw, piece->raw_count)) {
        return false;
    }
    return series_bands(t, series, piece);
}

/* QL_E_TIMEOUT too when rows wait for the disk: what was read has a gap then. */
static ql_err history_ask(struct turn *t, const struct ql_tail *tail, uint32_t *ret_raw_count)
{
    const struct ql_view *view = t->target->view;
    const ql_time from = { tail->from.ns + 1 };
    /* What was forgotten is asked for once, so all of it. */
    const ql_time to = tail->found ? t->now : view->now(view->host);
    struct ql_batch *out = &t->history;
    if (t->history_rests) {
        return t->history_err;
    }
    ql_batch_reset(out);
    ql_err err = view->series_raw(view->host, tail->id, from, to, out);
    if (err == QL_OK && !out->behind) {
        *ret_raw_count = out->samples.count;
        out->bands.count = 0;
        err = view->series_read(view->host, tail->id, from, to, out);
    }
    err = err == QL_OK && out->behind ? QL_E_TIMEOUT : err;
    t->history_rests = err == QL_E_TIMEOUT; /* each further question may take as long */
    return err;
}

/* Memory does not reach back to what was sent: history does. When it does not answer, nothing
 * of the series is sent: what is newer would hide the gap, and receivers take no older sample
 * after a newer one. It is asked again next turn, until the backlog gives it up and counts it. */
static bool series_from_history(struct turn *t, const struct ql_tail *tail, struct piece *piece)
{
    uint32_t raw_count = 0;
    const ql_err err = history_ask(t, tail, &raw_count);
    if (err == QL_E_NOT_FOUND && !tail->found) {
        return true; /* forgotten with its name: nothing is left to send */
    }
    if (err != QL_OK) {
        t->history_err = t->history_waits++ == 0 ? err : t->history_err;
        ql_stat_add(t->target->counts.history_waits, 1);
        return false;
    }
    *piece = (struct piece){
        .raw = t->history.samples.at, .raw_count = raw_count,
        .judged = t->history.samples.at + raw_count,
        .judged_count = t->history.samples.count - raw_count,
        .bands = t->history.bands.at, .band_count = t->history.bands.count,
    };
    return true;
}

/* Once when it begins, and once when every series is read again. */
static void history_tell(struct turn *t)
{
    struct export_target *target = t->target;
    if (t->history_waits > 0 && !target->history_told) {
        QL_LOG(WARN, "history does not answer for a remote write; its series wait and are read"
               " again", QL_LOG_T("url", target->url), QL_LOG_N("series", t->history_waits),
               QL_LOG_T("reason", ql_err_text(t->history_err)));
    } else if (t->history_waits == 0 && target->history_told) {
        QL_LOG(INFO, "history answers for a remote write again", QL_LOG_T("url", target->url));
    }
    target->history_told = t->history_waits > 0;
}

/* ---- pages ------------------------------------------------------------------------------------ */

/* Where to read on; what lies behind the backlog is given up, counted by the usual step. */
static ql_time page_from(struct turn *t, struct export_series *series)
{
    const struct export_target *target = t->target;
    const ql_time floor = { t->now.ns - (int64_t)(target->backlog_s * 1e9) };
    if (series->sent.ns < floor.ns) {
        const int64_t lost_ms = (floor.ns - series->sent.ns) / 1000000;
        const int64_t kinds = (target->bands ? 3 : 0) + target->scores + target->samples;
        if (series->step_ms > 0) {
            ql_stat_add(target->counts.dropped_old, kinds * (lost_ms / series->step_ms));
        }
        series->sent = floor;
    }
    return series->sent;
}

static bool page_send(struct turn *t, uint32_t first, uint32_t count)
{
    struct export_target *target = t->target;
    struct export_series *series = target->list.at + first;
    struct ql_batch *out = &target->tails;
    struct ql_tail tails[PAGE];
    for (uint32_t i = 0; i < count; i++) {
        tails[i] = (struct ql_tail){ .id = series[i].id, .from = page_from(t, &series[i]) };
    }
    ql_batch_reset(out);
    ql_arena_reset(&t->arena);
    if (target->view->series_tails(target->view->host, tails, count, out) != QL_OK) {
        return true; /* the engine is busy: what is new waits where it is */
    }
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_tail *tail = &tails[i];
        struct piece piece = {
            .raw = out->samples.at + tail->raw_first, .raw_count = tail->raw_count,
            .judged = out->samples.at + tail->judged_first, .judged_count = tail->judged_count,
            .bands = out->bands.at + tail->band_first, .band_count = tail->band_count,
        };
        const bool ask = tail->found ? !tail->whole : !series[i].gone;
        if (ask && !series_from_history(t, tail, &piece)) {
            t->next[i] = series[i];
            t->next[i].waits = true;
            continue;
        }
        if (!series_send(t, &series[i], &piece, &t->next[i])) {
            return false;
        }
        t->next[i].gone = !tail->found;
    }
    if (turn_flush(t) == EXPORT_STOPPED) {
        return false;
    }
    memcpy(series, t->next, count * sizeof(*series));
    return true;
}

static void turn_lag(const struct export_target *target, ql_time now)
{
    int64_t oldest_ns = now.ns;
    for (uint32_t i = 0; i < target->list.count; i++) {
        const struct export_series *series = &target->list.at[i];
        /* A series that is silent has nothing that waits. */
        const bool silent = !series->waits && now.ns - series->sent.ns >=
                                                  (int64_t)series->step_ms * 3000000;
        if (series->sent.ns < oldest_ns && !silent) {
            oldest_ns = series->sent.ns;
        }
    }
    ql_stat_set(target->counts.lag_s, (now.ns - oldest_ns) / QL_NS_PER_S);
}

bool export_turn(struct export_target *target, ql_time now)
{
    struct turn *t = calloc(1, sizeof(*t));
    bool going = true;
    if (t == NULL) {
        return true; /* the next turn may find memory */
    }
    t->target = target;
    t->now = now;
    t->oldest = (ql_time){ INT64_MAX };
    ql_arena_init(&t->arena, (size_t)64 << 20);
    ql_batch_init(&t->history, PAGE_ARENA_BYTES);
    ql_remote_write_out_begin(&target->out);
    for (uint32_t first = 0; going && first < target->list.count; first += PAGE) {
        const uint32_t left = target->list.count - first;
        going = page_send(t, first, left < PAGE ? left : PAGE) && !ql_wait_is_stopped(&target->wait);
    }
    turn_lag(target, now);
    history_tell(t);
    ql_batch_fini(&t->history);
    ql_arena_fini(&t->arena);
    free(t->made);
    free(t);
    return going;
}

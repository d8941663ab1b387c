/* prom_source.c - finding and reading: raw series from the view, made ones beside them. */
#include "api/prom_source.h"

#include "model/labels.h"
#include "model/selector.h"

#include <stdlib.h>

enum {
    READ_ARENA_BYTES_MAX = 1 << 20,
    PERIOD_STEP_MS = 60000,  /* ALERTS has a sample a minute, inside of the look-back */
};

struct prom_source {
    struct ql_promql_source source;
    const struct ql_view *view;
    const char *data_dir;
    struct ql_batch read;
    struct prom_period *periods; /* in the arena of the query */
    struct ql_sample *made;      /* samples of a made series; grown */
    uint32_t made_max;
    int64_t cell_ms;             /* the widest that was read */
};

const char *prom_kind_name(uint32_t kind)
{
    QL_ASSERT(kind > PROM_RAW && kind <= PROM_ALERTS);
    return kind == PROM_ALERTS ? "ALERTS"
                               : ql_band_series_name((enum ql_band_series)(kind - PROM_BANDS));
}

/* ---- what a selector asks for ----------------------------------------------------------- */

/* Does the selector name this made series? One that names none means what came in only. */
static ql_err selector_wants(const struct ql_matcher *matchers, uint32_t count,
                             uint32_t kind, bool *ret_wants)
{
    struct ql_label name = { QL_STR("__name__"), ql_str_of(prom_kind_name(kind)) };
    struct ql_matcher names[QL_MATCHERS_MAX];
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    struct ql_buf block;
    uint32_t name_count = 0;
    bool positive = false;
    for (uint32_t i = 0; i < count && name_count < QL_MATCHERS_MAX; i++) {
        if (ql_str_eq(matchers[i].name, QL_STR("__name__"))) {
            names[name_count++] = matchers[i];
            positive = positive || matchers[i].op == '=' || matchers[i].op == '~';
        }
    }
    *ret_wants = false;
    if (!positive) {
        return QL_OK;
    }
    ql_err err = ql_selector_of(names, name_count, &selector, why);
    if (err != QL_OK) {
        return err;
    }
    ql_buf_init(&block, QL_LABELS_BYTES_MAX);
    err = ql_labels_build(&name, 1, &block);
    *ret_wants = err == QL_OK && ql_selector_matches(&selector, ql_buf_view(&block));
    ql_buf_fini(&block);
    ql_selector_fini(&selector);
    return err;
}

/* ---- what that means for their series ---------------------------------------------------------------------- */

/* The matchers that the underlying series must satisfy: `for` is about their name, what was
 * made on the way is looked at afterwards. */
static uint32_t band_matchers(const struct ql_matcher *matchers, uint32_t count,
                              struct ql_matcher ret_matchers[QL_MATCHERS_MAX])
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count && i < QL_MATCHERS_MAX; i++) {
        if (ql_str_eq(matchers[i].name, QL_STR("__name__")) ||
            ql_str_eq(matchers[i].name, QL_STR("exported_for"))) {
            continue;
        }
        ret_matchers[kept] = matchers[i];
        if (ql_str_eq(matchers[i].name, QL_STR("for"))) {
            ret_matchers[kept].name = QL_STR("__name__");
        }
        kept++;
    }
    return kept;
}

/* ---- finding ------------------------------------------------------------------------------- */

struct finding {
    struct prom_source *source;
    const struct ql_matcher *matchers;
    uint32_t matcher_count, count_max, count;
    int64_t from_ms;
    struct ql_arena *arena;
    struct ql_selector selector; /* of the made labels */
    struct ql_promql_series *series;
};

static void finding_add(struct finding *f, ql_str labels, uint64_t high, uint64_t low,
                        uint32_t kind)
{
    if (f->count <= f->count_max) {
        f->series[f->count++] =
            (struct ql_promql_series){ labels, { high, low, kind } };
    }
}

static ql_err find_add(struct finding *f, const struct ql_series_info *infos, uint32_t found,
                       bool raw, const bool wants[PROM_ALERTS])
{
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < found && err == QL_OK; i++) {
        if (ql_time_to_ms(infos[i].last_at) < f->from_ms) {
            continue; /* nothing of it lies in the range */
        }
        if (raw) {
            finding_add(f, infos[i].labels, infos[i].id.h.high, infos[i].id.h.low, PROM_RAW);
        }
        for (uint32_t kind = PROM_BANDS; !raw && kind < PROM_ALERTS; kind++) {
            const ql_str labels =
                wants[kind] ? ql_band_series_labels(f->arena, infos[i].labels,
                                                    (enum ql_band_series)(kind - PROM_BANDS))
                            : QL_STR("");
            err = labels.at == NULL ? QL_E_FULL : err;
            if (err == QL_OK && wants[kind] && ql_selector_matches(&f->selector, labels)) {
                finding_add(f, labels, infos[i].id.h.high, infos[i].id.h.low, kind);
            }
        }
    }
    return err;
}

/* Living series, then those that are forgotten and lived in the range. */
static ql_err find_in_view(struct finding *f, const struct ql_matcher *matchers, uint32_t count,
                           bool raw, const bool wants[PROM_ALERTS])
{
    const struct ql_view *view = f->source->view;
    struct ql_series_info *infos = NULL;
    uint32_t found = 0;
    ql_err err = view->series_find(view->host, matchers, count, f->count_max + 1, f->arena,
                                   &infos, &found);
    if (err == QL_OK) {
        err = find_add(f, infos, found, raw, wants);
        free(infos);
    }
    if ((err == QL_OK || err == QL_E_NOT_FOUND) && view->series_past != NULL &&
        f->count <= f->count_max) {
        err = view->series_past(view->host, matchers, count, ql_time_from_ms(f->from_ms),
                                f->count_max + 1 - f->count, f->arena, &infos, &found);
        if (err == QL_OK) {
            err = find_add(f, infos, found, raw, wants);
            free(infos);
        }
    }
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

static ql_err find_bands(struct finding *f)
{
    struct ql_matcher matchers[QL_MATCHERS_MAX];
    bool wants[PROM_ALERTS] = { false }, any = false;
    for (uint32_t kind = PROM_BANDS; kind < PROM_ALERTS; kind++) {
        const ql_err err = selector_wants(f->matchers, f->matcher_count, kind, &wants[kind]);
        if (err != QL_OK) {
            return err;
        }
        any = any || wants[kind];
    }
    if (!any) {
        return QL_OK;
    }
    const uint32_t count = band_matchers(f->matchers, f->matcher_count, matchers);
    return find_in_view(f, matchers, count, false, wants);
}

/* One series for each label set; its periods stand together. */
static ql_err find_alerts(struct finding *f, int64_t to_ms)
{
    uint32_t count = 0;
    bool wanted;
    ql_err err = selector_wants(f->matchers, f->matcher_count, PROM_ALERTS, &wanted);
    if (err != QL_OK || !wanted) {
        return err;
    }
    err = prom_alert_periods(f->source->data_dir, f->from_ms, to_ms, f->arena,
                             &f->source->periods, &count);
    for (uint32_t i = 0; err == QL_OK && i < count;) {
        const ql_str labels = f->source->periods[i].labels;
        uint32_t end = i + 1;
        while (end < count && ql_str_eq(f->source->periods[end].labels, labels)) {
            end++;
        }
        if (ql_selector_matches(&f->selector, labels)) {
            finding_add(f, labels, i, end, PROM_ALERTS);
        }
        i = end;
    }
    return err;
}

static ql_err source_find(void *host, const struct ql_matcher *matchers, uint32_t count,
                          int64_t from_ms, int64_t to_ms, uint32_t count_max,
                          struct ql_arena *arena, struct ql_promql_series **ret_series,
                          uint32_t *ret_count)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct finding f = { .source = host, .matchers = matchers, .matcher_count = count,
                         .count_max = count_max, .from_ms = from_ms, .arena = arena };
    f.series = calloc(count_max + 1, sizeof(*f.series));
    if (f.series == NULL) {
        return QL_E_MEMORY;
    }
    ql_err err = ql_selector_of(matchers, count, &f.selector, why);
    if (err == QL_OK) {
        err = find_in_view(&f, matchers, count, true, NULL);
        err = err == QL_OK ? find_bands(&f) : err;
        err = err == QL_OK ? find_alerts(&f, to_ms) : err;
        ql_selector_fini(&f.selector);
    }
    const size_t bytes = f.count * sizeof(*f.series);
    struct ql_promql_series *kept = ql_arena_take(arena, bytes > 0 ? bytes : 1);
    if (err == QL_OK && kept != NULL) {
        memcpy(kept, f.series, bytes);
        *ret_series = kept;
        *ret_count = f.count;
    }
    free(f.series);
    return err == QL_OK && kept == NULL ? QL_E_FULL : err;
}

/* ---- reading --------------------------------------------------------------------------------- */

static ql_err made_room(struct prom_source *source, uint64_t count)
{
    if (count <= source->made_max) {
        return QL_OK;
    }
    if (count > QL_PROMQL_SAMPLES_MAX) {
        return QL_E_FULL;
    }
    struct ql_sample *made = realloc(source->made, (size_t)count * sizeof(*made));
    if (made == NULL) {
        return QL_E_MEMORY;
    }
    source->made = made;
    source->made_max = (uint32_t)count;
    return QL_OK;
}

static ql_err read_raw(struct prom_source *source, ql_series_id id, ql_time from, ql_time to,
                       const struct ql_sample **ret_samples, uint32_t *ret_count)
{
    const struct ql_view *view = source->view;
    const ql_err err = view->series_raw(view->host, id, from, to, &source->read);
    *ret_samples = source->read.samples.at;
    *ret_count = source->read.samples.count;
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

static ql_err read_band(struct prom_source *source, ql_series_id id, enum ql_band_series which,
                        ql_time from, ql_time to, const struct ql_sample **ret_samples,
                        uint32_t *ret_count)
{
    const struct ql_view *view = source->view;
    struct ql_batch *read = &source->read;
    const ql_time earlier = ql_time_add(from, (ql_duration){ -QL_BAND_HOLD.ns });
    ql_err err = view->series_read(view->host, id, earlier, to, read);
    err = err == QL_E_NOT_FOUND ? QL_OK : err;
    err = err == QL_OK ? made_room(source, read->samples.count) : err;
    if (err != QL_OK) {
        return err;
    }
    uint32_t first = 0;
    while (first < read->samples.count && ql_time_before(read->samples.at[first].at, from)) {
        first++;
    }
    *ret_count = ql_band_series_samples(which, read->samples.at + first,
                                        read->samples.count - first, read->bands.at,
                                        read->bands.count, source->made);
    *ret_samples = source->made;
    return QL_OK;
}

/* A sample when it began and every full minute, a stale marker when it ended. */
static ql_err read_periods(struct prom_source *source, uint64_t first, uint64_t end,
                           int64_t from_ms, int64_t to_ms, const struct ql_sample **ret_samples,
                           uint32_t *ret_count)
{
    uint32_t count = 0;
    int64_t last_ms = INT64_MIN;
    for (uint64_t i = first; i < end; i++) {
        const struct prom_period *p = &source->periods[i];
        int64_t at_ms = p->from_ms > from_ms ? p->from_ms : from_ms;
        at_ms = at_ms > last_ms ? at_ms : last_ms + 1;
        const int64_t until_ms = p->to_ms < to_ms ? p->to_ms : to_ms + 1;
        const int64_t minutes = until_ms > at_ms ? (until_ms - at_ms) / PERIOD_STEP_MS : 0;
        const ql_err err = made_room(source, (uint64_t)count + (uint64_t)minutes + 4);
        if (err != QL_OK) {
            return err;
        }
        while (at_ms < until_ms) {
            source->made[count++] = (struct ql_sample){ ql_time_from_ms(at_ms), 1.0 };
            last_ms = at_ms;
            at_ms = (at_ms / PERIOD_STEP_MS + 1) * PERIOD_STEP_MS;
        }
        if (p->to_ms <= to_ms && p->to_ms >= from_ms && p->to_ms > last_ms) {
            source->made[count++] =
                (struct ql_sample){ ql_time_from_ms(p->to_ms), ql_promql_absent() };
            last_ms = p->to_ms;
        }
    }
    *ret_samples = source->made;
    *ret_count = count;
    return QL_OK;
}

static ql_err source_read_kind(void *host, const struct ql_promql_series *series,
                               int64_t from_ms, int64_t to_ms,
                               const struct ql_sample **ret_samples, uint32_t *ret_count)
{
    struct prom_source *source = host;
    const ql_series_id id = { { series->handle[0], series->handle[1] } };
    const ql_time from = ql_time_from_ms(from_ms), to = ql_time_from_ms(to_ms);
    const uint64_t kind = series->handle[2];
    *ret_samples = NULL;
    *ret_count = 0;
    ql_batch_reset(&source->read);
    source->read.cell_extreme = series->extreme;
    if (kind == PROM_RAW) {
        return read_raw(source, id, from, to, ret_samples, ret_count);
    }
    if (kind != PROM_ALERTS) {
        return read_band(source, id, (enum ql_band_series)(kind - PROM_BANDS), from, to,
                         ret_samples, ret_count);
    }
    return read_periods(source, series->handle[0], series->handle[1], from_ms, to_ms, ret_samples,
                        ret_count);
}

static ql_err source_read(void *host, const struct ql_promql_series *series, int64_t from_ms,
                          int64_t to_ms, const struct ql_sample **ret_samples,
                          uint32_t *ret_count)
{
    struct prom_source *source = host;
    const ql_err err = source_read_kind(host, series, from_ms, to_ms, ret_samples, ret_count);
    source->cell_ms =
        source->read.cell_ms > source->cell_ms ? source->read.cell_ms : source->cell_ms;
    return err;
}

int64_t prom_source_cell_ms(const struct prom_source *source)
{
    return source->cell_ms;
}

/* ---- life ------------------------------------------------------------------------------------- */

ql_err prom_source_new(const struct ql_view *view, const char *data_dir,
                       struct prom_source **ret_source)
{
    struct prom_source *source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return QL_E_MEMORY;
    }
    source->source =
        (struct ql_promql_source){ .host = source, .find = source_find, .read = source_read };
    source->view = view;
    source->data_dir = data_dir;
    ql_batch_init(&source->read, READ_ARENA_BYTES_MAX);
    *ret_source = source;
    return QL_OK;
}

void prom_source_free(struct prom_source *source)
{
    if (source != NULL) {
        ql_batch_fini(&source->read);
        free(source->made);
        free(source);
    }
}

const struct ql_promql_source *prom_source_of(struct prom_source *source)
{
    return &source->source;
}

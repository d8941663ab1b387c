/* api_prom_lists.c - which series, label names, label values and metrics there are. */
#include "api/prom.h"
#include "model/labels.h"
#include "model/selector.h"

#include <stdlib.h>

enum {
    SELECTORS_MAX = 16,
    LIST_SERIES_MAX = 20000,  /* looked at for one answer; more gives a warning */
    ARENA_BYTES_MAX = 128 << 20,
};

/* ---- the series of match[] ---------------------------------------------------------------- */

struct listing {
    struct ql_arena arena;
    struct prom_source *source;
    struct ql_promql_series *at;
    uint32_t count;
    bool cut;                  /* there are more than were looked at */
};

static bool listing_add(struct listing *l, const struct ql_matcher *matchers, uint32_t count,
                        int64_t from_ms, int64_t to_ms, ql_err *ret_err)
{
    const struct ql_promql_source *source = prom_source_of(l->source);
    struct ql_promql_series *found;
    uint32_t found_count;
    *ret_err = source->find(source->host, matchers, count, from_ms, to_ms, LIST_SERIES_MAX,
                            &l->arena, &found, &found_count);
    if (*ret_err != QL_OK) {
        return false;
    }
    for (uint32_t i = 0; i < found_count; i++) {
        if (l->count == LIST_SERIES_MAX) {
            l->cut = true;
            break;
        }
        l->at[l->count++] = found[i];
    }
    return true;
}

static int series_order(const void *a, const void *b)
{
    return prom_labels_order(((const struct ql_promql_series *)a)->labels,
                             ((const struct ql_promql_series *)b)->labels);
}

/* Sorted, each once: several selectors may name one series. */
static void listing_tidy(struct listing *l)
{
    uint32_t kept = 0;
    if (l->count > 1) {
        qsort(l->at, l->count, sizeof(*l->at), series_order);
    }
    for (uint32_t i = 0; i < l->count; i++) {
        if (kept == 0 || !ql_str_eq(l->at[i].labels, l->at[kept - 1].labels)) {
            l->at[kept++] = l->at[i];
        }
    }
    l->count = kept;
}

static void listing_fini(struct listing *l)
{
    prom_source_free(l->source);
    free(l->at);
    ql_arena_fini(&l->arena);
}

/* Without a match[], everything there is, if that is allowed. */
static bool listing_select(struct ql_http_request *request, struct listing *l, int64_t from_ms,
                           int64_t to_ms, bool all)
{
    struct ql_promql_error error;
    ql_err err = QL_OK;
    ql_str text;
    uint32_t n = 0;
    for (; ql_http_param_n(request, "match[]", n, &text); n++) {
        const struct ql_matcher *matchers;
        uint32_t count;
        if (n == SELECTORS_MAX) {
            prom_fail(request, QL_E_RANGE, "more than %d match[] parameters are not supported",
                      SELECTORS_MAX);
            return false;
        }
        err = ql_promql_parse_selector(text, &l->arena, &matchers, &count, &error);
        if (err != QL_OK) {
            prom_fail(request, err, "invalid parameter \"match[]\": %s", error.text);
            return false;
        }
        if (!listing_add(l, matchers, count, from_ms, to_ms, &err)) {
            prom_fail(request, err, "finding series: %s", ql_err_text(err));
            return false;
        }
    }
    if (n == 0 && !all) {
        prom_fail(request, QL_E_MALFORMED, "no match[] parameter provided");
        return false;
    }
    /* Of all series those that came in: the made ones are named in docs/promql.md. */
    if (n == 0 && !listing_add(l, NULL, 0, from_ms, to_ms, &err)) {
        prom_fail(request, err, "finding series: %s", ql_err_text(err));
        return false;
    }
    listing_tidy(l);
    return true;
}

static bool listing_make(struct ql_api *api, struct ql_http_request *request, bool all,
                         struct listing *l)
{
    int64_t from_ms, to_ms;
    *l = (struct listing){ .count = 0 };
    ql_arena_init(&l->arena, ARENA_BYTES_MAX);
    l->at = calloc(LIST_SERIES_MAX, sizeof(*l->at));
    if (l->at == NULL ||
        prom_source_new(api->env.view, api->env.data_dir, &l->source) != QL_OK) {
        prom_fail(request, QL_E_MEMORY, "no memory");
    } else if (prom_param_time(request, "start", INT64_C(-9000000000000), &from_ms) &&
               prom_param_time(request, "end", INT64_C(9000000000000), &to_ms) &&
               listing_select(request, l, from_ms, to_ms, all)) {
        return true;
    }
    listing_fini(l);
    return false;
}

static void listing_warn(struct ql_json_out *w, const struct listing *l)
{
    if (l->cut) {
        ql_json_out_array(w, "warnings");
        ql_json_out_printf(w, NULL, "only the first %d series were looked at", LIST_SERIES_MAX);
        ql_json_out_end(w);
    }
}

void api_prom_series(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct listing l;
    struct api_answer answer;
    (void)id;
    if (!listing_make(api, request, false, &l)) {
        return;
    }
    prom_answer_init(&answer);
    ql_json_out_array(&answer.json, "data");
    for (uint32_t i = 0; i < l.count; i++) {
        prom_json_labels(&answer.json, NULL, l.at[i].labels);
    }
    ql_json_out_end(&answer.json);
    listing_warn(&answer.json, &l);
    listing_fini(&l);
    prom_answer_send(&answer, request, QL_OK);
}

/* ---- names and values ----------------------------------------------------------------------- */

static int text_order(const void *a, const void *b)
{
    return ql_str_cmp(*(const ql_str *)a, *(const ql_str *)b);
}

struct texts { ql_str *at; uint32_t count, max; };

/* Room for what one series brings; grown by half. */
static bool texts_add(struct texts *t, ql_str text)
{
    if (t->count == t->max) {
        const uint32_t max = t->max + t->max / 2 + 1024;
        ql_str *at = realloc(t->at, max * sizeof(*at));
        if (at == NULL) {
            return false;
        }
        t->at = at;
        t->max = max;
    }
    t->at[t->count++] = text;
    return true;
}

static void texts_write(struct ql_json_out *w, struct texts *t)
{
    if (t->count > 1) {
        qsort(t->at, t->count, sizeof(*t->at), text_order);
    }
    ql_json_out_array(w, "data");
    for (uint32_t i = 0; i < t->count; i++) {
        if (i == 0 || !ql_str_eq(t->at[i], t->at[i - 1])) {
            ql_json_out_str(w, NULL, t->at[i]);
        }
    }
    ql_json_out_end(w);
}

/* The names of the labels (`name` empty) or the values of one. */
static bool texts_collect(const struct listing *l, ql_str name, struct texts *t)
{
    for (uint32_t i = 0; i < l->count; i++) {
        struct ql_label label;
        size_t at = 0;
        while (ql_labels_next(l->at[i].labels, &at, &label)) {
            const bool asked = name.bytes == 0 || ql_str_eq(label.name, name);
            if (asked && !texts_add(t, name.bytes == 0 ? label.name : label.value)) {
                return false;
            }
        }
    }
    return true;
}

static void texts_answer(struct ql_api *api, struct ql_http_request *request, ql_str name)
{
    struct texts t = { .count = 0 };
    struct listing l;
    struct api_answer answer;
    if (!listing_make(api, request, true, &l)) {
        return;
    }
    bool good = texts_collect(&l, name, &t);
    /* Whoever looks for a metric to draw should find the made ones. */
    const bool every = !ql_http_param_n(request, "match[]", 0, &(ql_str){ NULL, 0 });
    for (uint32_t kind = PROM_BANDS; every && l.count > 0 && kind <= PROM_ALERTS; kind++) {
        good = good && (!ql_str_eq(name, QL_STR("__name__")) ||
                        texts_add(&t, ql_str_of(prom_kind_name(kind))));
    }
    prom_answer_init(&answer);
    texts_write(&answer.json, &t);
    listing_warn(&answer.json, &l);
    prom_answer_send(&answer, request, good ? QL_OK : QL_E_MEMORY);
    free(t.at);
    listing_fini(&l);
}

void api_prom_labels(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    (void)id;
    texts_answer(api, request, QL_STR(""));
}

void api_prom_label_values(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    bool good = id.bytes > 0 && !(id.at[0] >= '0' && id.at[0] <= '9');
    for (size_t i = 0; i < id.bytes && good; i++) {
        const char c = id.at[i];
        good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
    }
    if (!good) {
        prom_fail(request, QL_E_MALFORMED, "invalid label name: \"%.*s\"",
                  (int)(id.bytes < 100 ? id.bytes : 100), id.at);
        return;
    }
    texts_answer(api, request, id);
}

/* ---- metadata ---------------------------------------------------------------------------------- */

static void metadata_write(struct ql_json_out *w, const struct ql_series_info *infos,
                           uint32_t count, uint32_t limit)
{
    ql_str last = QL_STR("");
    uint32_t shown = 0;
    for (uint32_t i = 0; i < count && shown < limit; i++) {
        const ql_str name = ql_labels_get(infos[i].labels, QL_STR("__name__"));
        if (name.bytes == 0 || ql_str_eq(name, last)) {
            continue; /* they are sorted by name */
        }
        ql_json_out_key(w, name);
        ql_json_out_array(w, NULL);
        ql_json_out_object(w, NULL);
        ql_json_out_text(w, "type",
                         infos[i].type == QL_METRIC_COUNTER ? "counter"
                         : infos[i].type == QL_METRIC_GAUGE ? "gauge" : "unknown");
        ql_json_out_text(w, "help", "");
        ql_json_out_text(w, "unit", "");
        ql_json_out_end(w);
        ql_json_out_end(w);
        last = name;
        shown++;
    }
}

void api_prom_metadata(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    const struct ql_view *view = api->env.view;
    const struct ql_matcher matcher = { QL_STR("__name__"), ql_http_param(request, "metric"), '=' };
    const ql_str limit_text = ql_http_param(request, "limit");
    int64_t limit = INT32_MAX;
    struct ql_series_info *infos = NULL;
    struct ql_arena arena;
    struct api_answer answer;
    uint32_t count = 0;
    (void)id;
    if (limit_text.bytes > 0 && ql_str_to_i64(limit_text, &limit) != QL_OK) {
        prom_fail(request, QL_E_MALFORMED, "limit must be a number");
        return;
    }
    limit = limit < 0 || limit > INT32_MAX ? INT32_MAX : limit;
    ql_arena_init(&arena, ARENA_BYTES_MAX);
    const ql_err err = view->series_find(view->host, &matcher, matcher.value.bytes > 0 ? 1 : 0,
                                         LIST_SERIES_MAX, &arena, &infos, &count);
    if (err == QL_OK || err == QL_E_NOT_FOUND) {
        prom_answer_init(&answer);
        ql_json_out_object(&answer.json, "data");
        metadata_write(&answer.json, infos, count, (uint32_t)limit);
        ql_json_out_end(&answer.json);
        prom_answer_send(&answer, request, QL_OK);
    } else {
        prom_fail(request, err, "finding series: %s", ql_err_text(err));
    }
    free(infos);
    ql_arena_fini(&arena);
}

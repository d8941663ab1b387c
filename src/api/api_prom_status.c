/* api_prom_status.c - what clients of Prometheus ask beside queries; and its own prefix. */
#include "api/prom.h"
#include "model/labels.h"

/* Clients switch features by this version: the one whose answers are given. */
#define PROM_VERSION "2.42.0"

void api_prom_buildinfo(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    (void)api;
    (void)id;
    prom_answer_init(&answer);
    ql_json_out_object(w, "data");
    ql_json_out_text(w, "version", PROM_VERSION);
    ql_json_out_text(w, "revision", "quell-" QL_VERSION);
    ql_json_out_text(w, "branch", "");
    ql_json_out_text(w, "buildUser", "");
    ql_json_out_text(w, "buildDate", "");
    ql_json_out_text(w, "goVersion", "");
    ql_json_out_end(w);
    prom_answer_send(&answer, request, QL_OK);
}

/* Quell has no rules; a client that lists them finds none. */
void api_prom_rules(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct api_answer answer;
    (void)api;
    (void)id;
    prom_answer_init(&answer);
    ql_json_out_object(&answer.json, "data");
    ql_json_out_array(&answer.json, "groups");
    ql_json_out_end(&answer.json);
    ql_json_out_end(&answer.json);
    prom_answer_send(&answer, request, QL_OK);
}

/* ---- alerts as Prometheus lists them ---------------------------------------------------- */

static void alert_labels(struct ql_json_out *w, const char *key, ql_str labels,
                         const struct ql_label *more, uint32_t more_count)
{
    struct ql_label label;
    size_t at = 0;
    ql_json_out_object(w, key);
    for (uint32_t i = 0; i < more_count; i++) {
        ql_json_out_key(w, more[i].name);
        ql_json_out_str(w, NULL, more[i].value);
    }
    while (ql_labels_next(labels, &at, &label)) {
        bool shown = ql_str_eq(label.name, QL_STR("__name__"));
        for (uint32_t i = 0; i < more_count && !shown; i++) {
            shown = ql_str_eq(label.name, more[i].name);
        }
        if (!shown) {
            ql_json_out_key(w, label.name);
            ql_json_out_str(w, NULL, label.value);
        }
    }
    ql_json_out_end(w);
}

static void alert_end(struct ql_json_out *w, ql_time since, double value)
{
    char text[QL_DOUBLE_TEXT_BYTES];
    ql_json_out_text(w, "state", "firing");
    ql_json_out_time(w, "activeAt", since);
    const size_t bytes = ql_double_text(value, text);
    ql_json_out_str(w, "value", (ql_str){ text, bytes });
    ql_json_out_end(w);
}

static bool alert_put(void *context, const struct ql_alert_row *row)
{
    const struct ql_label name = { QL_STR("alertname"), row->alert.name };
    struct ql_json_out *w = context;
    ql_json_out_object(w, NULL);
    alert_labels(w, "labels", row->alert.labels, &name, 1);
    alert_labels(w, "annotations", row->alert.annotations, NULL, 0);
    alert_end(w, row->alert.starts, 1.0);
    return true;
}

static bool alert_put_signal(void *context, const struct ql_signal_row *row)
{
    const struct ql_label more[] = {
        { QL_STR("alertname"), QL_STR("QuellSignal") },
        { QL_STR("for"), row->signal.metric },
        { QL_STR("kind"), ql_str_of(ql_signal_kind_text(row->signal.kind)) },
    };
    const struct ql_label summary = { QL_STR("summary"), row->signal.why };
    struct ql_json_out *w = context;
    ql_json_out_object(w, NULL);
    alert_labels(w, "labels", row->signal.labels, more, QL_COUNT_OF(more));
    alert_labels(w, "annotations", QL_STR(""), &summary, 1);
    alert_end(w, row->signal.onset, row->last_value);
    return true;
}

static void prom_alerts(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    const struct ql_life_filter filter = { .life = QL_LIFE_ON, .since = QL_TIME_NONE,
                                           .limit = QL_API_ALERT_ROWS_MAX };
    struct ql_store_reader *reader;
    struct api_answer answer;
    (void)id;
    if (!api_reader_take(api, request, &reader)) {
        return;
    }
    prom_answer_init(&answer);
    ql_json_out_object(&answer.json, "data");
    ql_json_out_array(&answer.json, "alerts");
    ql_err err = ql_query_alerts(reader, &filter, alert_put, &answer.json);
    err = err == QL_OK ? ql_query_signals(reader, &filter, alert_put_signal, &answer.json) : err;
    api_reader_give(api, reader);
    if (err == QL_OK) {
        ql_json_out_end(&answer.json);
        ql_json_out_end(&answer.json);
    }
    prom_answer_send(&answer, request, err);
}

/* ---- /prometheus/... ---------------------------------------------------------------------- */

/* Below the prefix everything has Prometheus' shape, also what is Quell's own without it. */
void api_prom_prefixed(struct ql_api *api, struct ql_http_request *request, ql_str rest)
{
    static const struct { const char *path; ql_api_handler *handler; bool post; } rows[] = {
        { "/prometheus/api/v1/query", api_prom_query, true },
        { "/prometheus/api/v1/query_range", api_prom_query_range, true },
        { "/prometheus/api/v1/series", api_prom_series, true },
        { "/prometheus/api/v1/labels", api_prom_labels, true },
        { "/prometheus/api/v1/label/{id}/values", api_prom_label_values, false },
        { "/prometheus/api/v1/metadata", api_prom_metadata, false },
        { "/prometheus/api/v1/rules", api_prom_rules, false },
        { "/prometheus/api/v1/alerts", prom_alerts, false },
        { "/prometheus/api/v1/status/buildinfo", api_prom_buildinfo, false },
        { "/prometheus/-/healthy", api_healthy, false },
        { "/prometheus/-/ready", api_ready, false },
    };
    const bool post = ql_str_eq(ql_http_method(request), QL_STR("POST"));
    (void)rest;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_str id;
        if (ql_api_path_matches(rows[i].path, ql_http_path(request), &id) &&
            (!post || rows[i].post)) {
            rows[i].handler(api, request, id);
            return;
        }
    }
    prom_fail(request, QL_E_NOT_FOUND, "no such address: see docs/promql.md");
}

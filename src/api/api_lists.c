/* api_lists.c - signals, alerts, changes, topology, status and statistics. */
#include "api/api_int.h"

/* ---- things with a life ------------------------------------------------------------ */

static bool lists_filter(struct ql_api *api, struct ql_http_request *request,
                         const char *const states[3], struct ql_life_filter *ret_filter)
{
    uint32_t state = 0;
    if ((states != NULL && !api_param_choice(request, "state", states, 3, 0, &state)) ||
        !api_param_entity(request, &ret_filter->entity) ||
        !api_param_time(api, request, "since", QL_TIME_NONE, &ret_filter->since) ||
        !api_param_u32(request, "limit", 1, 10000, 200, &ret_filter->limit)) {
        return false;
    }
    ret_filter->life = (enum ql_life)state; /* the states stand in the order of ql_life */
    return true;
}

/* An object with one list that is open, and its end. */
static void lists_begin(struct api_answer *answer, const char *name)
{
    api_answer_init(answer);
    ql_json_out_object(&answer->json, NULL);
    ql_json_out_array(&answer->json, name);
}

static void lists_send(struct api_answer *answer, struct ql_http_request *request, ql_err err)
{
    ql_json_out_end(&answer->json);
    ql_json_out_end(&answer->json);
    api_answer_send(answer, request, err);
}

static bool lists_put_signal(void *context, const struct ql_signal_row *row)
{
    api_json_signal(context, row);
    return true;
}

void api_signals_list(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    static const char *const states[3] = { "all", "open", "closed" };
    struct ql_life_filter filter = { .limit = 0 };
    struct ql_store_reader *reader;
    struct api_answer answer;
    (void)id;
    if (!lists_filter(api, request, states, &filter) || !api_reader_take(api, request, &reader)) {
        return;
    }
    lists_begin(&answer, "signals");
    const ql_err err = ql_query_signals(reader, &filter, lists_put_signal, &answer.json);
    api_reader_give(api, reader);
    lists_send(&answer, request, err);
}

static bool lists_put_alert(void *context, const struct ql_alert_row *row)
{
    struct ql_json_out *w = context;
    ql_json_out_object(w, NULL);
    api_json_id(w, "id", row->alert.id);
    ql_json_out_str(w, "name", row->alert.name);
    ql_json_out_str(w, "severity", row->alert.severity);
    ql_json_out_str(w, "entity", row->entity);
    api_json_labels(w, "labels", row->alert.labels, true);
    api_json_labels(w, "annotations", row->alert.annotations, true);
    ql_json_out_time(w, "starts", row->alert.starts);
    ql_json_out_time(w, "ends", row->alert.firing ? QL_TIME_NONE : row->alert.ends);
    ql_json_out_text(w, "state", row->alert.firing ? "firing" : "resolved");
    ql_json_out_u64(w, "received_count", row->received_count);
    if (row->incident.v == 0) {
        ql_json_out_null(w, "incident");
    } else {
        ql_json_out_u64(w, "incident", row->incident.v);
    }
    ql_json_out_end(w);
    return true;
}

void api_alerts_list(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    static const char *const states[3] = { "all", "firing", "resolved" };
    struct ql_life_filter filter = { .limit = 0 };
    struct ql_store_reader *reader;
    struct api_answer answer;
    (void)id;
    if (!lists_filter(api, request, states, &filter) || !api_reader_take(api, request, &reader)) {
        return;
    }
    lists_begin(&answer, "alerts");
    const ql_err err = ql_query_alerts(reader, &filter, lists_put_alert, &answer.json);
    api_reader_give(api, reader);
    lists_send(&answer, request, err);
}

static bool lists_put_change(void *context, const struct ql_change_row *row)
{
    struct ql_json_out *w = context;
    ql_json_out_object(w, NULL);
    api_json_id(w, "id", row->change.id);
    ql_json_out_time(w, "at", row->change.at);
    ql_json_out_str(w, "kind", row->change.kind);
    ql_json_out_str(w, "entity", row->entity);
    ql_json_out_str(w, "summary", row->change.summary);
    ql_json_out_str(w, "source", row->change.source);
    ql_json_out_str(w, "link", row->change.link);
    ql_json_out_end(w);
    return true;
}

void api_changes_list(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct ql_life_filter filter = { .limit = 0 };
    struct ql_store_reader *reader;
    struct api_answer answer;
    (void)id;
    if (!lists_filter(api, request, NULL, &filter) || !api_reader_take(api, request, &reader)) {
        return;
    }
    lists_begin(&answer, "changes");
    const ql_err err = ql_query_changes(reader, &filter, lists_put_change, &answer.json);
    api_reader_give(api, reader);
    lists_send(&answer, request, err);
}

/* ---- topology ---------------------------------------------------------------------- */

static bool lists_put_entity(void *context, const struct ql_entity_row *row)
{
    struct ql_json_out *w = context;
    const char *slash = memchr(row->name.at, '/', row->name.bytes);
    const size_t kind_bytes = slash != NULL ? (size_t)(slash - row->name.at) : 0;
    ql_json_out_object(w, NULL);
    ql_json_out_str(w, "name", row->name);
    ql_json_out_str(w, "kind", (ql_str){ row->name.at, kind_bytes });
    ql_json_out_time(w, "first_seen", row->first_seen);
    ql_json_out_time(w, "last_seen", row->last_seen);
    ql_json_out_end(w);
    return true;
}

static bool lists_put_edge(void *context, const struct ql_edge_row *row)
{
    static const char *const sources[] = {
        [QL_EDGE_SPAN] = "span", [QL_EDGE_CONFIG] = "config", [QL_EDGE_LABEL] = "label"
    };
    struct ql_json_out *w = context;
    ql_json_out_object(w, NULL);
    ql_json_out_str(w, "caller", row->caller);
    ql_json_out_str(w, "callee", row->callee);
    ql_json_out_i64(w, "calls", row->calls);
    ql_json_out_i64(w, "errors", row->errors);
    ql_json_out_text(w, "source", sources[(size_t)row->source % QL_COUNT_OF(sources)]);
    ql_json_out_time(w, "first_seen", row->first_seen);
    ql_json_out_time(w, "last_seen", row->last_seen);
    ql_json_out_end(w);
    return true;
}

void api_topology_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    enum { ENTITIES_MAX = 10000, EDGES_MAX = 50000 };
    struct ql_store_reader *reader;
    struct api_answer answer;
    (void)id;
    if (!api_reader_take(api, request, &reader)) {
        return;
    }
    lists_begin(&answer, "entities");
    ql_err err = ql_query_entities(reader, ENTITIES_MAX, lists_put_entity, &answer.json);
    ql_json_out_end(&answer.json);
    ql_json_out_array(&answer.json, "edges");
    err = err == QL_OK ? ql_query_edges(reader, EDGES_MAX, lists_put_edge, &answer.json) : err;
    api_reader_give(api, reader);
    lists_send(&answer, request, err);
}

/* ---- status and statistics --------------------------------------------------------- */

void api_status_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    const struct ql_view *view = api->env.view;
    struct api_answer answer;
    (void)id;
    api_answer_init(&answer);
    const ql_err err = view->status(view->host, &answer.buf);
    api_answer_send(&answer, request, err);
}

static void lists_put_totals(struct ql_json_out *w, const struct ql_totals *t)
{
    ql_json_out_u64(w, "incidents", t->incidents);
    ql_json_out_u64(w, "resolved", t->resolved);
    ql_json_out_u64(w, "raw_count", t->raw_count);
    ql_json_out_u64(w, "saved", t->raw_count > t->incidents ? t->raw_count - t->incidents : 0);
    ql_json_out_double(w, "noise_reduction", t->noise_reduction);
    ql_json_out_double(w, "mttd_s", t->mttd_s);
    ql_json_out_double(w, "mtta_s", t->mtta_s);
    ql_json_out_double(w, "mttr_s", t->mttr_s);
    ql_json_out_object(w, "feedback");
    for (int v = QL_VERDICT_TRUE; v <= QL_VERDICT_RIGHT_CAUSE; v++) {
        ql_json_out_u64(w, api_verdict_text((enum ql_verdict)v), t->verdicts[v]);
    }
    ql_json_out_end(w);
    ql_json_out_object(w, "actions");
    for (int s = 0; s < QL_ACTION_STATE_COUNT; s++) {
        if (t->actions[s] > 0) {
            ql_json_out_u64(w, ql_action_state_text((enum ql_action_state)s), t->actions[s]);
        }
    }
    ql_json_out_end(w);
    ql_json_out_object(w, "formulae");
    ql_json_out_text(w, "noise_reduction", "1 - incidents / raw_count");
    ql_json_out_text(w, "mttd_s", "mean(opened - onset)");
    ql_json_out_text(w, "mtta_s", "mean(acknowledged - opened)");
    ql_json_out_text(w, "mttr_s", "mean(resolved - onset)");
    ql_json_out_end(w);
}

void api_stats_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    const struct ql_view *view = api->env.view;
    const ql_str text = ql_http_param(request, "window");
    const ql_time to = view->now(view->host);
    ql_duration window = QL_S(7 * 86400);
    struct ql_store_reader *reader;
    struct ql_totals totals;
    struct api_answer answer;
    (void)id;
    if (text.bytes > 0 && (ql_str_to_duration(text, &window) != QL_OK || window.ns <= 0)) {
        ql_http_fail(request, 400, "window: '%.*s' is not a duration such as 24h or 7d",
                     QL_STR_ARG(text));
        return;
    }
    const ql_time from = ql_time_add(to, (ql_duration){ -window.ns });
    if (!api_reader_take(api, request, &reader)) {
        return;
    }
    const ql_err err = ql_query_totals(reader, from, to, &totals);
    api_reader_give(api, reader);
    api_answer_init(&answer);
    if (err == QL_OK) {
        ql_json_out_object(&answer.json, NULL);
        ql_json_out_time(&answer.json, "from", from);
        ql_json_out_time(&answer.json, "to", to);
        lists_put_totals(&answer.json, &totals);
        ql_json_out_end(&answer.json);
    }
    api_answer_send(&answer, request, err);
}

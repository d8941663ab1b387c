/* api_incidents.c - incidents and actions, as lists and one by one. */
#include "api/api_int.h"

/* ---- lists ------------------------------------------------------------------------ */

struct incidents_list {
    struct ql_json_out *json;
    uint32_t limit, count;
    uint64_t last_id;
};

/* One row more than asked for is fetched, to know whether there is a next page. */
static bool incidents_put(void *context, const struct ql_incident_row *row)
{
    struct incidents_list *list = context;
    if (list->count++ == list->limit) {
        return false;
    }
    list->last_id = row->incident.id.v;
    ql_json_out_object(list->json, NULL);
    api_json_incident_fields(list->json, row);
    ql_json_out_end(list->json);
    return true;
}

static bool incidents_filter(struct ql_api *api, struct ql_http_request *request,
                             struct ql_incident_filter *ret_filter)
{
    static const char *const names[] = { "all", "active", "open", "acknowledged", "resolved" };
    static const uint32_t bits[] = {
        0,
        1u << QL_INCIDENT_OPEN | 1u << QL_INCIDENT_ACKNOWLEDGED,
        1u << QL_INCIDENT_OPEN,
        1u << QL_INCIDENT_ACKNOWLEDGED,
        1u << QL_INCIDENT_RESOLVED,
    };
    static const char *const merged[] = { "false", "true" };
    uint32_t state, before, with_merged;
    if (!api_param_choice(request, "state", names, QL_COUNT_OF(names), 0, &state) ||
        !api_param_entity(request, &ret_filter->entity) ||
        !api_param_time(api, request, "since", QL_TIME_NONE, &ret_filter->since) ||
        !api_param_u32(request, "before", 1, UINT32_MAX, 0, &before) ||
        !api_param_choice(request, "merged", merged, 2, 0, &with_merged) ||
        !api_param_u32(request, "limit", 1, 1000, 100, &ret_filter->limit)) {
        return false;
    }
    ret_filter->states = bits[state];
    ret_filter->before = before;
    ret_filter->merged = with_merged == 1;
    return true;
}

void api_incidents_list(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct ql_incident_filter filter = { 0 };
    struct ql_store_reader *reader;
    struct api_answer answer;
    (void)id;
    if (!incidents_filter(api, request, &filter) || !api_reader_take(api, request, &reader)) {
        return;
    }
    api_answer_init(&answer);
    struct incidents_list list = { .json = &answer.json, .limit = filter.limit };
    filter.limit++;
    ql_json_out_object(&answer.json, NULL);
    ql_json_out_array(&answer.json, "incidents");
    const ql_err err = ql_query_incidents(reader, &filter, incidents_put, &list);
    ql_json_out_end(&answer.json);
    if (list.count > list.limit) {
        ql_json_out_u64(&answer.json, "next_before", list.last_id);
    } else {
        ql_json_out_null(&answer.json, "next_before");
    }
    ql_json_out_end(&answer.json);
    api_reader_give(api, reader);
    api_answer_send(&answer, request, err);
}

/* ---- one -------------------------------------------------------------------------- */

struct incident_show {
    struct ql_json_out *json;
    struct ql_store_reader *reader;
    uint32_t raw_count, ranking_count;
    ql_err err;
};

static bool incident_put(void *context, const struct ql_incident_row *row)
{
    struct incident_show *show = context;
    api_json_incident_fields(show->json, row);
    show->raw_count = row->incident.raw_count;
    show->ranking_count = row->ranking_count;
    return true;
}
static bool incident_put_member(void *context, const struct ql_member_row *row)
{
    api_json_member(context, row);
    return true;
}
static bool incident_put_cause(void *context, const struct ql_cause_row *row)
{
    api_json_cause(context, row);
    return true;
}
static bool incident_put_event(void *context, const struct ql_timeline_row *row)
{
    api_json_timeline(context, row);
    return true;
}
static bool incident_put_feedback(void *context, const struct ql_command *row)
{
    api_json_feedback(context, row);
    return true;
}
static bool incident_put_action(void *context, const struct ql_action_row *row)
{
    struct incident_show *show = context;
    show->err = api_json_action(show->json, show->reader, row);
    return show->err == QL_OK;
}

static void incident_noise(struct ql_json_out *w, uint32_t raw_count)
{
    ql_json_out_object(w, "noise");
    ql_json_out_u64(w, "raw", raw_count);
    ql_json_out_u64(w, "incidents", 1);
    ql_json_out_u64(w, "saved", raw_count > 0 ? raw_count - 1 : 0);
    ql_json_out_end(w);
}

static ql_err incident_parts(struct incident_show *show, ql_id id)
{
    struct ql_json_out *w = show->json;
    const struct ql_action_filter actions = { .incident = id, .limit = 1000 };
    ql_json_out_array(w, "members");
    ql_err err = ql_query_members(show->reader, id, incident_put_member, w);
    ql_json_out_end(w);
    ql_json_out_array(w, "causes");
    err = err == QL_OK ? ql_query_causes(show->reader, id, incident_put_cause, w) : err;
    ql_json_out_end(w);
    ql_json_out_u64(w, "cause_rankings", show->ranking_count);
    ql_json_out_array(w, "actions");
    err = err == QL_OK ? ql_query_actions(show->reader, &actions, incident_put_action, show) : err;
    err = err == QL_OK ? show->err : err;
    ql_json_out_end(w);
    ql_json_out_array(w, "timeline");
    err = err == QL_OK ? ql_query_timeline(show->reader, id, incident_put_event, w) : err;
    ql_json_out_end(w);
    ql_json_out_array(w, "feedback");
    err = err == QL_OK ? ql_query_feedback(show->reader, id, incident_put_feedback, w) : err;
    ql_json_out_end(w);
    return err;
}

void api_incident_answer(struct ql_api *api, struct ql_http_request *request, ql_id id)
{
    struct api_answer answer;
    struct incident_show show = { .json = &answer.json };
    if (!api_reader_take(api, request, &show.reader)) {
        return;
    }
    api_answer_init(&answer);
    ql_json_out_object(&answer.json, NULL);
    ql_err err = ql_query_incident(show.reader, id, incident_put, &show);
    if (err == QL_OK) {
        err = incident_parts(&show, id);
        incident_noise(&answer.json, show.raw_count);
    }
    ql_json_out_end(&answer.json);
    api_reader_give(api, show.reader);
    if (err == QL_E_NOT_FOUND) {
        api_answer_fini(&answer);
        ql_http_fail(request, 404, "no incident %llu", (unsigned long long)id.v);
    } else {
        api_answer_send(&answer, request, err);
    }
}

void api_incident_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    ql_id incident;
    if (api_id(request, id, "incident", &incident)) {
        api_incident_answer(api, request, incident);
    }
}

/* ---- actions ----------------------------------------------------------------------- */

static bool actions_filter(struct ql_http_request *request, struct ql_action_filter *ret_filter)
{
    static const char *const names[] = {
#define X(name, text) text,
        QL_ACTION_STATE_MAP(X)
#undef X
            "all",
    };
    uint32_t state, incident;
    if (!api_param_choice(request, "state", names, QL_COUNT_OF(names), QL_ACTION_STATE_COUNT,
                          &state) ||
        !api_param_u32(request, "incident", 1, UINT32_MAX, 0, &incident) ||
        !api_param_u32(request, "limit", 1, 1000, 100, &ret_filter->limit)) {
        return false;
    }
    ret_filter->states = state == QL_ACTION_STATE_COUNT ? 0 : 1u << state;
    ret_filter->incident.v = incident;
    return true;
}

void api_actions_list(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct ql_action_filter filter = { .limit = 0 };
    struct api_answer answer;
    struct incident_show show = { .json = &answer.json };
    (void)id;
    if (!actions_filter(request, &filter) || !api_reader_take(api, request, &show.reader)) {
        return;
    }
    api_answer_init(&answer);
    ql_json_out_object(&answer.json, NULL);
    ql_json_out_array(&answer.json, "actions");
    ql_err err = ql_query_actions(show.reader, &filter, incident_put_action, &show);
    err = err == QL_OK ? show.err : err;
    ql_json_out_end(&answer.json);
    ql_json_out_end(&answer.json);
    api_reader_give(api, show.reader);
    api_answer_send(&answer, request, err);
}

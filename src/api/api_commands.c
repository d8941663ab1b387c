/* api_commands.c - what people tell the engine: ack, resolve, feedback, approve, reject.
 * Who may do so: api_guard.c.
 */
#include "api/api_int.h"
#include "model/entity.h"

enum { BY_BYTES_MAX = 200, NOTE_BYTES_MAX = 4096, ENTITY_BYTES_MAX = 1000 };

/* ---- the body ---------------------------------------------------------------------- */

/* The text of a member; "" when absent. The texts live in the thread's JSON document
 * until the command is sent, which nothing in between parses over. */
static bool command_text(struct ql_http_request *request, struct ql_json body, const char *name,
                         size_t bytes_max, ql_str *ret_text)
{
    const struct ql_json value = ql_json_get(body, name);
    const enum ql_json_type type = ql_json_type_of(value);
    *ret_text = QL_STR("");
    if (type == QL_JSON_NONE || type == QL_JSON_NULL) {
        return true;
    }
    if (!ql_json_str(value, ret_text)) {
        ql_http_fail(request, 400, "%s: %s where a string is expected", name,
                     ql_json_type_text(type));
        return false;
    }
    if (ret_text->bytes > bytes_max) {
        ql_http_fail(request, 400, "%s: %zu bytes where at most %zu are allowed", name,
                     ret_text->bytes, bytes_max);
        return false;
    }
    return true;
}

static bool command_body(struct ql_http_request *request, struct ql_json *ret_body,
                         struct ql_command *command)
{
    char why[QL_JSON_WHY_BYTES];
    ql_str text = ql_http_body(request);
    text = text.bytes > 0 ? text : QL_STR("{}");
    if (ql_json_parse(text, QL_JSON_DEPTH_MAX, ret_body, why) != QL_OK) {
        ql_http_fail(request, 400, "the body is not JSON: %s", why);
        return false;
    }
    if (ql_json_type_of(*ret_body) != QL_JSON_OBJECT) {
        ql_http_fail(request, 400, "the body: %s where an object is expected",
                     ql_json_type_text(ql_json_type_of(*ret_body)));
        return false;
    }
    if (!command_text(request, *ret_body, "by", BY_BYTES_MAX, &command->by) ||
        !command_text(request, *ret_body, "note", NOTE_BYTES_MAX, &command->note)) {
        return false;
    }
    if (command->by.bytes == 0) {
        command->by = QL_STR("api");
    }
    return true;
}

/* ---- sending it -------------------------------------------------------------------- */

static bool command_send(struct ql_api *api, struct ql_http_request *request,
                         struct ql_command *command)
{
    const struct ql_view *view = api->env.view;
    command->at = view->now(view->host);
    const ql_err err = view->command(view->host, command);
    ql_json_done();
    if (err == QL_E_CONFLICT) {
        ql_http_fail(request, 409, "its state does not allow %s",
                     ql_command_kind_text(command->kind));
    } else if (err != QL_OK) {
        api_fail(request, err, "the engine did not take the command");
    }
    return err == QL_OK;
}

struct command_target {
    enum ql_incident_state state;
    uint64_t merged_into;
    enum ql_action_state action_state;
    ql_id incident;
};

static bool command_see_incident(void *context, const struct ql_incident_row *row)
{
    struct command_target *target = context;
    target->state = row->incident.state;
    target->merged_into = row->incident.merged_into.v;
    return true;
}

static bool command_see_action(void *context, const struct ql_action_row *row)
{
    struct command_target *target = context;
    target->action_state = row->action.state;
    target->incident = row->action.incident;
    return true;
}

static bool command_find_incident(struct ql_api *api, struct ql_http_request *request, ql_id id,
                                  struct command_target *target)
{
    struct ql_store_reader *reader;
    if (!api_reader_take(api, request, &reader)) {
        return false;
    }
    const ql_err err = ql_query_incident(reader, id, command_see_incident, target);
    api_reader_give(api, reader);
    if (err == QL_E_NOT_FOUND) {
        ql_http_fail(request, 404, "no incident %llu", (unsigned long long)id.v);
    } else if (err != QL_OK) {
        api_fail(request, err, "reading failed");
    }
    return err == QL_OK;
}

/* ---- incidents --------------------------------------------------------------------- */

static void command_incident(struct ql_api *api, struct ql_http_request *request, ql_str text,
                             enum ql_command_kind kind)
{
    struct ql_command command = { .kind = kind };
    struct command_target target = { 0 };
    struct ql_json body;
    if (!api_command_allowed(api, request) || !api_id(request, text, "incident", &command.incident) ||
        !command_find_incident(api, request, command.incident, &target) ||
        !command_body(request, &body, &command)) {
        return;
    }
    if (target.merged_into != 0) {
        ql_http_fail(request, 409, "incident %llu was merged into %llu: tell that one",
                     (unsigned long long)command.incident.v,
                     (unsigned long long)target.merged_into);
    } else if (target.state == QL_INCIDENT_RESOLVED) {
        ql_http_fail(request, 409, "incident %llu is resolved already",
                     (unsigned long long)command.incident.v);
    } else if (command_send(api, request, &command)) {
        api_incident_answer(api, request, command.incident);
    }
}

void api_incident_ack(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    command_incident(api, request, id, QL_COMMAND_ACK);
}

void api_incident_resolve(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    command_incident(api, request, id, QL_COMMAND_RESOLVE);
}

static bool command_verdict(struct ql_http_request *request, struct ql_json body,
                            struct ql_command *command)
{
    ql_str text;
    if (!command_text(request, body, "verdict", 64, &text)) {
        return false;
    }
    for (int v = QL_VERDICT_TRUE; v <= QL_VERDICT_RIGHT_CAUSE; v++) {
        if (ql_str_eq(text, ql_str_of(api_verdict_text((enum ql_verdict)v)))) {
            command->verdict = (enum ql_verdict)v;
            return true;
        }
    }
    ql_http_fail(request, 400, "verdict: '%.*s' is not one of: true, false, right_cause",
                 QL_STR_ARG(text));
    return false;
}

/* "checkout" means "service/checkout". */
static bool command_entity(struct ql_http_request *request, struct ql_json body,
                           struct ql_command *command, struct ql_buf *name)
{
    ql_str text;
    if (!command_text(request, body, "entity", ENTITY_BYTES_MAX, &text)) {
        return false;
    }
    if (text.bytes == 0 && command->verdict == QL_VERDICT_RIGHT_CAUSE) {
        ql_http_fail(request, 400, "entity: which one is the right cause? e.g. service/checkout");
        return false;
    }
    if (text.bytes > 0) {
        ql_entity_of_name(text, name);
    }
    command->entity = ql_buf_view(name);
    return true;
}

void api_incident_feedback(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct ql_command command = { .kind = QL_COMMAND_FEEDBACK };
    struct command_target target = { 0 };
    struct ql_json body;
    struct ql_buf name;
    if (!api_command_allowed(api, request) || !api_id(request, id, "incident", &command.incident) ||
        !command_find_incident(api, request, command.incident, &target) ||
        !command_body(request, &body, &command) || !command_verdict(request, body, &command)) {
        return;
    }
    ql_buf_init(&name, ENTITY_BYTES_MAX + 64);
    if (command_entity(request, body, &command, &name) && command_send(api, request, &command)) {
        api_incident_answer(api, request, command.incident);
    }
    ql_buf_fini(&name);
}

/* ---- actions ----------------------------------------------------------------------- */

struct command_action_show {
    struct ql_json_out *json;
    struct ql_store_reader *reader;
    ql_err err;
};

static bool command_put_action(void *context, const struct ql_action_row *row)
{
    struct command_action_show *show = context;
    show->err = api_json_action(show->json, show->reader, row);
    return true;
}

static void command_answer_action(struct ql_api *api, struct ql_http_request *request, ql_id id)
{
    struct api_answer answer;
    struct command_action_show show = { .json = &answer.json };
    if (!api_reader_take(api, request, &show.reader)) {
        return;
    }
    api_answer_init(&answer);
    const ql_err err = ql_query_action(show.reader, id, command_put_action, &show);
    api_reader_give(api, show.reader);
    api_answer_send(&answer, request, err == QL_OK ? show.err : err);
}

static bool command_find_action(struct ql_api *api, struct ql_http_request *request, ql_id id,
                                struct command_target *target)
{
    struct ql_store_reader *reader;
    if (!api_reader_take(api, request, &reader)) {
        return false;
    }
    const ql_err err = ql_query_action(reader, id, command_see_action, target);
    api_reader_give(api, reader);
    if (err == QL_E_NOT_FOUND) {
        ql_http_fail(request, 404, "no action %llu", (unsigned long long)id.v);
    } else if (err != QL_OK) {
        api_fail(request, err, "reading failed");
    }
    return err == QL_OK;
}

static void command_action(struct ql_api *api, struct ql_http_request *request, ql_str text,
                           enum ql_command_kind kind)
{
    struct ql_command command = { .kind = kind };
    struct command_target target = { 0 };
    struct ql_json body;
    if (!api_command_allowed(api, request) || !api_id(request, text, "action", &command.action) ||
        !command_find_action(api, request, command.action, &target) ||
        !command_body(request, &body, &command)) {
        return;
    }
    command.incident = target.incident;
    /* Approving an escalated action lets its stopped runbook try again. */
    const bool lifts = target.action_state == QL_ACTION_ESCALATED && kind == QL_COMMAND_APPROVE;
    if (target.action_state != QL_ACTION_AWAITING && !lifts) {
        ql_http_fail(request, 409, "action %llu is not awaiting approval: it is %s",
                     (unsigned long long)command.action.v,
                     ql_action_state_text(target.action_state));
    } else if (command_send(api, request, &command)) {
        command_answer_action(api, request, command.action);
    }
}

void api_action_approve(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    command_action(api, request, id, QL_COMMAND_APPROVE);
}

void api_action_reject(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    command_action(api, request, id, QL_COMMAND_REJECT);
}

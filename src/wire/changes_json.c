/* changes_json.c - the body of POST /api/v1/changes: something was done on purpose.
 *
 * One object or an array of them:
 *   { "entity": "service/checkout" or "checkout", or "service": "checkout",
 *     "kind": "deploy", "summary": "2.4.1", "source": "argo", "link": "https://...",
 *     "at": "2026-01-05T09:00:00Z" or seconds since 1970 }
 * Only entity (or service) is required; kind is "change" and at is now when absent.
 * Unknown members are ignored, so that a CI job may post what it has.
 */
#include "wire/json.h"
#include "wire/wire_int.h"

struct changes {
    const struct ql_wire_job *job;
    uint32_t index;
};

static bool change_bad(struct changes *c, enum ql_reason reason, const char *what)
{
    ql_reject_add(c->job->reject, reason, "changes: change %u: %s", c->index, what);
    return false;
}

static bool change_text(struct changes *c, struct ql_json change, const char *name,
                        ql_str *ret_text)
{
    const struct ql_json member = ql_json_get(change, name);
    const enum ql_json_type type = ql_json_type_of(member);
    ql_str text;
    if (type == QL_JSON_NONE || type == QL_JSON_NULL) {
        return true;
    }
    if (!ql_json_str(member, &text)) {
        ql_reject_add(c->job->reject, QL_REASON_MALFORMED,
                      "changes: change %u: \"%s\" is a %s; a string is wanted", c->index, name,
                      ql_json_type_text(type));
        return false;
    }
    return ql_wire_keep(c->job, text, ret_text) ||
           change_bad(c, QL_REASON_TOO_LARGE, "no room left for this request");
}

static bool change_time(struct changes *c, struct ql_json member, ql_time *ret_at)
{
    static const char want[] = "\"at\" must be a time as \"2026-01-05T09:00:00Z\" or seconds "
                               "since 1970";
    ql_str text;
    double real;
    const enum ql_json_type type = ql_json_type_of(member);
    if (type == QL_JSON_NONE || type == QL_JSON_NULL) {
        return true;
    }
    if (ql_json_str(member, &text)) {
        return ql_str_to_time(text, ret_at) == QL_OK || change_bad(c, QL_REASON_TIME, want);
    }
    return (ql_json_double(member, &real) && ql_wire_time_of_s(real, ret_at)) ||
           change_bad(c, QL_REASON_TIME, want);
}

static bool change_read(struct changes *c, struct ql_json change, struct ql_change_in *in)
{
    ql_str service = { "", 0 };
    if (ql_json_type_of(change) != QL_JSON_OBJECT) {
        return change_bad(c, QL_REASON_MALFORMED, "a change is an object");
    }
    *in = (struct ql_change_in){ .at = c->job->in->accepted, .kind = QL_STR("change"),
                                 .entity = { "", 0 }, .summary = { "", 0 },
                                 .source = { "", 0 }, .link = { "", 0 } };
    if (!change_text(c, change, "kind", &in->kind) ||
        !change_text(c, change, "entity", &in->entity) ||
        !change_text(c, change, "service", &service) ||
        !change_text(c, change, "summary", &in->summary) ||
        !change_text(c, change, "source", &in->source) ||
        !change_text(c, change, "link", &in->link) ||
        !change_time(c, ql_json_get(change, "at"), &in->at)) {
        return false;
    }
    if (in->entity.bytes == 0 && service.bytes > 0) {
        in->entity = ql_arena_printf(&c->job->out->arena, "service/%.*s", QL_STR_ARG(service));
    }
    if (in->entity.at == NULL) {
        return change_bad(c, QL_REASON_TOO_LARGE, "no room left for this request");
    }
    if (in->entity.bytes == 0) {
        return change_bad(c, QL_REASON_NO_NAME, "\"entity\" (as \"service/checkout\") or "
                                                "\"service\" is missing");
    }
    if (in->kind.bytes == 0) {
        in->kind = QL_STR("change");
    }
    return true;
}

static ql_err change_add(struct changes *c, struct ql_json change)
{
    struct ql_change_in in;
    if (change_read(c, change, &in)) {
        struct ql_change_in *added = ql_batch_add_change_in(c->job->out);
        if (added == NULL) {
            (void)change_bad(c, QL_REASON_TOO_LARGE, "at most 100000 changes a request");
            return QL_E_FULL;
        }
        *added = in;
    }
    c->index++;
    return QL_OK;
}

ql_err ql_changes_json_decode(const struct ql_wire_job *job)
{
    struct changes c = { .job = job };
    struct ql_json root;
    ql_err err = ql_wire_json(job, QL_JSON_DEPTH_MAX, &root);
    if (err == QL_OK && ql_json_type_of(root) == QL_JSON_ARRAY) {
        for (struct ql_json_iter it = ql_json_each(root); err == QL_OK && ql_json_next(&it);) {
            err = change_add(&c, it.value);
        }
    } else if (err == QL_OK && ql_json_type_of(root) == QL_JSON_OBJECT) {
        err = change_add(&c, root);
    } else if (err == QL_OK) {
        ql_reject_add(job->reject, QL_REASON_MALFORMED,
                      "changes: the body is a JSON %s; an object or an array of them is wanted",
                      ql_json_type_text(ql_json_type_of(root)));
        err = QL_E_MALFORMED;
    }
    ql_json_done();
    return err;
}

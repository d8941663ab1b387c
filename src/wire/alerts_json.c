/* alerts_json.c - the body of POST /api/v2/alerts, as an Alertmanager takes it.
 *
 * An array of { labels, annotations, startsAt, endsAt, generatorURL }. Unknown members
 * are ignored. An alert without end fires for the resolve timeout from now on, because
 * Prometheus sends it again long before that as long as it fires.
 */
#include "wire/block.h"
#include "wire/json.h"
#include "wire/wire_int.h"

/* Alertmanager's own default; a sender that wants another sends endsAt, as Prometheus does. */
#define ALERT_RESOLVE_TIMEOUT QL_MIN(5)

struct alerts {
    const struct ql_wire_job *job;
    uint32_t index;
};

static bool alert_bad(struct alerts *a, enum ql_reason reason, const char *what, const char *want)
{
    ql_reject_add(a->job->reject, reason, "alerts: alert %u: %s: %s", a->index, what, want);
    return false;
}

/* Labels and annotations are objects of texts; both become canonical blocks. */
static bool alert_texts(struct alerts *a, struct ql_json object, const char *name,
                        ql_str *ret_block)
{
    struct ql_block block;
    const enum ql_json_type type = ql_json_type_of(object);
    ql_block_init(&block);
    if (type != QL_JSON_OBJECT && type != QL_JSON_NONE && type != QL_JSON_NULL) {
        return alert_bad(a, QL_REASON_MALFORMED, name, "must be an object of strings");
    }
    for (struct ql_json_iter it = ql_json_each(object); ql_json_next(&it);) {
        ql_str value;
        if (!ql_json_str(it.value, &value)) {
            return alert_bad(a, QL_REASON_MALFORMED, name, "every value must be a string");
        }
        switch (ql_block_put(&block, it.key, value)) {
        case QL_OK: break;
        case QL_E_CONFLICT:
            return alert_bad(a, QL_REASON_DUPLICATE_LABEL, name, "a name stands twice");
        case QL_E_RANGE:
            return alert_bad(a, QL_REASON_LABEL_LIMIT, name, "at most 64 of 16384 bytes in all");
        default: return alert_bad(a, QL_REASON_MALFORMED, name, "a name must not be empty");
        }
    }
    if (ql_block_write(&block, &a->job->out->arena, ret_block) != QL_OK) {
        return alert_bad(a, QL_REASON_TOO_LARGE, name, "no room left for this request");
    }
    return true;
}

/* Go's zero time stands for "not set". */
static bool alert_time(struct alerts *a, struct ql_json alert, const char *name, ql_time *ret_time)
{
    const struct ql_json member = ql_json_get(alert, name);
    const enum ql_json_type type = ql_json_type_of(member);
    ql_str text;
    ql_time time;
    if (type == QL_JSON_NONE || type == QL_JSON_NULL) {
        return true;
    }
    if (!ql_json_str(member, &text)) {
        return alert_bad(a, QL_REASON_TIME, name, "must be a time as \"2026-01-05T09:00:00Z\"");
    }
    if (text.bytes == 0 || ql_str_starts(text, QL_STR("0001-01-01T00:00:00"))) {
        return true;
    }
    if (ql_str_to_time(text, &time) != QL_OK) {
        return alert_bad(a, QL_REASON_TIME, name, "must be a time as \"2026-01-05T09:00:00Z\"");
    }
    *ret_time = time;
    return true;
}

static bool alert_times(struct alerts *a, struct ql_json alert, struct ql_alert_in *in)
{
    in->starts = in->ends = QL_TIME_NONE;
    if (!alert_time(a, alert, "startsAt", &in->starts) ||
        !alert_time(a, alert, "endsAt", &in->ends)) {
        return false;
    }
    const ql_time now = a->job->in->accepted;
    const bool open = in->ends.ns == QL_TIME_NONE.ns;
    if (in->starts.ns == QL_TIME_NONE.ns) {
        in->starts = !open && ql_time_before(in->ends, now) ? in->ends : now;
    }
    if (open) {
        in->ends = ql_time_add(now, ALERT_RESOLVE_TIMEOUT);
        if (ql_time_before(in->ends, in->starts)) {
            in->ends = in->starts; /* announced for later */
        }
    }
    if (ql_time_before(in->ends, in->starts)) {
        return alert_bad(a, QL_REASON_TIME, "endsAt", "must not be before startsAt");
    }
    return true;
}

static bool alert_read(struct alerts *a, struct ql_json alert, struct ql_alert_in *in)
{
    if (ql_json_type_of(alert) != QL_JSON_OBJECT) {
        return alert_bad(a, QL_REASON_MALFORMED, ql_json_type_text(ql_json_type_of(alert)),
                         "an alert is an object");
    }
    if (!alert_texts(a, ql_json_get(alert, "labels"), "labels", &in->labels) ||
        !alert_texts(a, ql_json_get(alert, "annotations"), "annotations", &in->annotations) ||
        !alert_times(a, alert, in)) {
        return false;
    }
    if (in->labels.bytes == 0) {
        return alert_bad(a, QL_REASON_NO_NAME, "labels", "at least one is needed");
    }
    ql_str url = { "", 0 };
    (void)ql_json_str(ql_json_get(alert, "generatorURL"), &url);
    return ql_wire_keep(a->job, url, &in->generator_url) ||
           alert_bad(a, QL_REASON_TOO_LARGE, "generatorURL", "no room left for this request");
}

static ql_err alerts_read(struct alerts *a, struct ql_json root)
{
    if (ql_json_type_of(root) != QL_JSON_ARRAY) {
        ql_reject_add(a->job->reject, QL_REASON_MALFORMED,
                      "alerts: the body is a JSON %s; an array of alerts is wanted",
                      ql_json_type_text(ql_json_type_of(root)));
        return QL_E_MALFORMED;
    }
    for (struct ql_json_iter it = ql_json_each(root); ql_json_next(&it); a->index++) {
        struct ql_alert_in in = { 0 };
        if (!alert_read(a, it.value, &in)) {
            continue;
        }
        struct ql_alert_in *added = ql_batch_add_alert_in(a->job->out);
        if (added == NULL) {
            (void)alert_bad(a, QL_REASON_TOO_LARGE, "body", "at most 100000 alerts a request");
            return QL_E_FULL;
        }
        *added = in;
    }
    return QL_OK;
}

ql_err ql_alerts_json_decode(const struct ql_wire_job *job)
{
    struct alerts a = { .job = job };
    struct ql_json root;
    ql_err err = ql_wire_json(job, QL_JSON_DEPTH_MAX, &root);
    if (err == QL_OK) {
        err = alerts_read(&a, root);
    }
    ql_json_done();
    return err;
}

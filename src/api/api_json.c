/* api_json.c - records as JSON, in the shapes of docs/api.md. */
#include "api/api_int.h"

#include <inttypes.h>
#include <stdio.h>

const char *api_series_text(ql_series_id id, char out[API_SERIES_TEXT_BYTES])
{
    (void)snprintf(out, API_SERIES_TEXT_BYTES, "%016" PRIx64 "%016" PRIx64, id.h.high, id.h.low);
    return out;
}

void api_json_series(struct ql_json_out *w, const char *key, ql_series_id id)
{
    char text[API_SERIES_TEXT_BYTES];
    const bool none = id.h.high == 0 && id.h.low == 0;
    ql_json_out_text(w, key, none ? NULL : api_series_text(id, text));
}

void api_json_id(struct ql_json_out *w, const char *key, ql_id id)
{
    ql_json_out_printf(w, key, "%" PRIu64, id.v);
}

/* An incident, or null for none. */
static void json_incident_id(struct ql_json_out *w, const char *key, ql_id id)
{
    if (id.v == 0) {
        ql_json_out_null(w, key);
    } else {
        ql_json_out_u64(w, key, id.v);
    }
}

void api_json_labels(struct ql_json_out *w, const char *key, ql_str block, bool with_name)
{
    size_t at = 0;
    struct ql_label label;
    ql_json_out_object(w, key);
    while (ql_labels_next(block, &at, &label)) {
        if (with_name || !ql_str_eq(label.name, QL_STR("__name__"))) {
            ql_json_out_key(w, label.name);
            ql_json_out_str(w, NULL, label.value);
        }
    }
    ql_json_out_end(w);
}

static void json_suspect(struct ql_json_out *w, const struct ql_cause_row *row)
{
    if (row->cause.rank != 1) {
        ql_json_out_null(w, "suspect");
        return;
    }
    ql_json_out_object(w, "suspect");
    ql_json_out_str(w, "entity", row->entity);
    ql_json_out_str(w, "metric", row->cause.metric);
    ql_json_out_double(w, "confidence", row->cause.confidence);
    ql_json_out_text(w, "role", ql_cause_role_text(row->cause.role));
    ql_json_out_str(w, "evidence", row->cause.evidence);
    ql_json_out_end(w);
}

void api_json_incident_fields(struct ql_json_out *w, const struct ql_incident_row *row)
{
    const struct ql_incident *i = &row->incident;
    ql_json_out_u64(w, "id", i->id.v);
    ql_json_out_text(w, "state", ql_incident_state_text(i->state));
    ql_json_out_str(w, "title", i->title);
    ql_json_out_str(w, "entity", row->entity);
    ql_json_out_time(w, "onset", i->onset);
    ql_json_out_time(w, "opened", i->opened);
    ql_json_out_time(w, "updated", i->updated);
    ql_json_out_time(w, "acknowledged", row->acknowledged);
    ql_json_out_time(w, "resolved", i->resolved);
    ql_json_out_str(w, "by", i->by);
    ql_json_out_u64(w, "reopen_count", i->reopen_count);
    json_incident_id(w, "merged_into", i->merged_into);
    ql_json_out_u64(w, "alert_count", i->alert_count);
    ql_json_out_u64(w, "signal_count", i->signal_count);
    ql_json_out_u64(w, "entity_count", i->entity_count);
    ql_json_out_u64(w, "raw_count", i->raw_count);
    ql_json_out_u64(w, "awaiting_approval", row->awaiting_count);
    json_suspect(w, &row->suspect);
}

/* What was judged, as a member and as a signal of its own show it. */
static void json_judgement(struct ql_json_out *w, const struct ql_signal_row *row)
{
    ql_json_out_text(w, "kind", ql_signal_kind_text(row->signal.kind));
    ql_json_out_text(w, "state", row->open ? "open" : "closed");
    ql_json_out_text(w, "importance", ql_importance_text(row->signal.importance));
    ql_json_out_double(w, "value", row->signal.value);
    ql_json_out_double(w, "expected", row->signal.expected);
    ql_json_out_double(w, "lower", row->signal.lower);
    ql_json_out_double(w, "upper", row->signal.upper);
    ql_json_out_double(w, "surprise", row->signal.surprise);
    ql_json_out_str(w, "why", row->signal.why);
}

void api_json_member(struct ql_json_out *w, const struct ql_member_row *row)
{
    static const char *const kinds[] = {
        [QL_MEMBER_SIGNAL] = "signal", [QL_MEMBER_ALERT] = "alert", [QL_MEMBER_CHANGE] = "change"
    };
    const struct ql_member *m = &row->member;
    ql_json_out_object(w, NULL);
    ql_json_out_text(w, "kind", kinds[(size_t)m->kind % QL_COUNT_OF(kinds)]);
    api_json_id(w, "id", m->id);
    ql_json_out_str(w, "name", m->name);
    ql_json_out_str(w, "entity", row->entity);
    api_json_series(w, "series", m->series);
    api_json_labels(w, "labels", m->labels, false);
    ql_json_out_time(w, "since", m->since);
    ql_json_out_time(w, "joined", m->joined);
    ql_json_out_time(w, "ended", m->ended);
    ql_json_out_str(w, "why", m->why);
    if (row->has_signal) {
        ql_json_out_object(w, "signal");
        json_judgement(w, &row->signal);
        ql_json_out_end(w);
    } else {
        ql_json_out_null(w, "signal");
    }
    ql_json_out_end(w);
}

void api_json_cause(struct ql_json_out *w, const struct ql_cause_row *row)
{
    ql_json_out_object(w, NULL);
    ql_json_out_u64(w, "rank", row->cause.rank);
    ql_json_out_str(w, "entity", row->entity);
    ql_json_out_str(w, "metric", row->cause.metric);
    api_json_series(w, "series", row->cause.series);
    ql_json_out_double(w, "score", row->cause.score);
    ql_json_out_double(w, "confidence", row->cause.confidence);
    ql_json_out_text(w, "role", ql_cause_role_text(row->cause.role));
    ql_json_out_time(w, "onset", row->cause.onset);
    ql_json_out_str(w, "evidence", row->cause.evidence);
    ql_json_out_end(w);
}

void api_json_signal(struct ql_json_out *w, const struct ql_signal_row *row)
{
    const struct ql_signal *s = &row->signal;
    ql_json_out_object(w, NULL);
    api_json_id(w, "id", s->id);
    api_json_series(w, "series", s->series);
    ql_json_out_str(w, "metric", s->metric);
    api_json_labels(w, "labels", s->labels, false);
    ql_json_out_str(w, "entity", row->entity);
    ql_json_out_time(w, "onset", s->onset);
    ql_json_out_time(w, "last_at", s->at);
    ql_json_out_time(w, "closed", row->closed);
    json_judgement(w, row);
    ql_json_out_double(w, "last_value", row->last_value);
    json_incident_id(w, "incident", row->incident);
    ql_json_out_end(w);
}

void api_json_timeline(struct ql_json_out *w, const struct ql_timeline_row *row)
{
    ql_json_out_object(w, NULL);
    ql_json_out_time(w, "at", row->at);
    ql_json_out_text(w, "kind", row->kind);
    ql_json_out_str(w, "text", row->text);
    ql_json_out_str(w, "by", row->by);
    ql_json_out_str(w, "entity", row->entity);
    if (row->ref.v == 0) {
        ql_json_out_text(w, "ref", "");
    } else {
        api_json_id(w, "ref", row->ref);
    }
    ql_json_out_end(w);
}

const char *api_verdict_text(enum ql_verdict verdict)
{
    static const char *const names[] = { [QL_VERDICT_NONE] = "none",
                                         [QL_VERDICT_TRUE] = "true",
                                         [QL_VERDICT_FALSE] = "false",
                                         [QL_VERDICT_RIGHT_CAUSE] = "right_cause" };
    return (size_t)verdict < QL_COUNT_OF(names) ? names[verdict] : "none";
}

void api_json_feedback(struct ql_json_out *w, const struct ql_command *row)
{
    ql_json_out_object(w, NULL);
    ql_json_out_time(w, "at", row->at);
    ql_json_out_str(w, "by", row->by);
    ql_json_out_text(w, "verdict", api_verdict_text(row->verdict));
    ql_json_out_str(w, "entity", row->entity);
    ql_json_out_str(w, "note", row->note);
    ql_json_out_end(w);
}

static const char *json_action_state(enum ql_action_state state)
{
    return (unsigned)state < QL_ACTION_STATE_COUNT ? ql_action_state_text(state) : "unknown";
}

static bool json_action_event(void *context, const struct ql_action *row)
{
    struct ql_json_out *w = context;
    ql_json_out_object(w, NULL);
    ql_json_out_text(w, "state", json_action_state(row->state));
    ql_json_out_time(w, "at", row->at);
    ql_json_out_str(w, "reason", row->reason);
    ql_json_out_str(w, "by", row->by);
    ql_json_out_end(w);
    return true;
}

ql_err api_json_action(struct ql_json_out *w, struct ql_store_reader *reader,
                       const struct ql_action_row *row)
{
    const struct ql_action *a = &row->action;
    ql_json_out_object(w, NULL);
    api_json_id(w, "id", a->id);
    json_incident_id(w, "incident", a->incident);
    ql_json_out_str(w, "entity", row->entity);
    ql_json_out_str(w, "runbook", a->runbook);
    ql_json_out_str(w, "step", a->step);
    ql_json_out_text(w, "state", json_action_state(a->state));
    ql_json_out_bool(w, "dry_run", a->dry_run);
    ql_json_out_str(w, "command", a->command);
    ql_json_out_double(w, "timeout_s", ql_duration_s(a->timeout));
    ql_json_out_str(w, "reason", a->reason);
    ql_json_out_str(w, "by", a->by);
    ql_json_out_time(w, "created", row->created);
    ql_json_out_time(w, "updated", a->at);
    ql_json_out_array(w, "can");
    if (a->state == QL_ACTION_AWAITING || a->state == QL_ACTION_ESCALATED) {
        ql_json_out_text(w, NULL, "approve"); /* escalated: lets it try again */
    }
    if (a->state == QL_ACTION_AWAITING) {
        ql_json_out_text(w, NULL, "reject");
    }
    ql_json_out_end(w);
    ql_json_out_array(w, "history");
    const ql_err err = ql_query_action_history(reader, a->id, json_action_event, w);
    ql_json_out_end(w);
    ql_json_out_end(w);
    return err;
}

/* query_lists.c - signals, alerts, changes, topology, totals and the timeline. */
#include "base/buf.h"
#include "store/query_sql.h"

#include <math.h>

/* ---- lists of things with a life ------------------------------------------------- */

static struct ql_bind query_life_start(struct ql_store_reader *reader, enum ql_query which,
                                       const struct ql_life_filter *filter)
{
    struct ql_bind bind = ql_bind_to(reader->statements[which]);
    ql_bind_i64(&bind, filter->life);
    ql_bind_u64(&bind, filter->entity.v);
    ql_bind_time(&bind, filter->since);
    ql_bind_i64(&bind, filter->limit);
    return bind;
}

ql_err ql_query_signals(struct ql_store_reader *reader, const struct ql_life_filter *filter,
                        bool (*fn)(void *context, const struct ql_signal_row *row), void *context)
{
    ql_err err;
    struct ql_signal_row row;
    struct ql_bind bind = query_life_start(reader, QL_QUERY_SIGNALS, filter);
    while (ql_bind_row(&bind, &err)) {
        ql_query_signal_fill(bind.statement, 0, &row);
        row.entity = ql_column_str(bind.statement, 17);
        row.incident.v = ql_column_u64(bind.statement, 18);
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(bind.statement);
    return err;
}

ql_err ql_query_alerts(struct ql_store_reader *reader, const struct ql_life_filter *filter,
                       bool (*fn)(void *context, const struct ql_alert_row *row), void *context)
{
    ql_err err;
    struct ql_bind bind = query_life_start(reader, QL_QUERY_ALERTS, filter);
    sqlite3_stmt *s = bind.statement;
    while (ql_bind_row(&bind, &err)) {
        const struct ql_alert_row row = {
            .alert = { .id = { ql_column_u64(s, 0) },
                       .starts = ql_column_time(s, 1),
                       .entity = { ql_column_u64(s, 2) },
                       .name = ql_column_str(s, 3),
                       .labels = ql_column_str(s, 4),
                       .annotations = ql_column_str(s, 5),
                       .severity = ql_column_str(s, 6),
                       .ends = ql_column_time(s, 7),
                       .firing = ql_column_i64(s, 9) != 0 },
            .updated = ql_column_time(s, 8),
            .received_count = ql_column_u32(s, 10),
            .entity = ql_column_str(s, 11),
            .incident = { ql_column_u64(s, 12) },
        };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    return err;
}

ql_err ql_query_changes(struct ql_store_reader *reader, const struct ql_life_filter *filter,
                        bool (*fn)(void *context, const struct ql_change_row *row), void *context)
{
    ql_err err;
    struct ql_bind bind = query_life_start(reader, QL_QUERY_CHANGES, filter);
    sqlite3_stmt *s = bind.statement;
    while (ql_bind_row(&bind, &err)) {
        const struct ql_change_row row = {
            .change = { .id = { ql_column_u64(s, 0) },
                        .entity = { ql_column_u64(s, 1) },
                        .at = ql_column_time(s, 2),
                        .kind = ql_column_str(s, 3),
                        .summary = ql_column_str(s, 4),
                        .source = ql_column_str(s, 5),
                        .link = ql_column_str(s, 6) },
            .entity = ql_column_str(s, 7),
        };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    return err;
}

/* ---- topology -------------------------------------------------------------------- */

ql_err ql_query_entities(struct ql_store_reader *reader, uint32_t limit,
                         bool (*fn)(void *context, const struct ql_entity_row *row), void *context)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_ENTITIES]);
    ql_bind_i64(&bind, limit);
    while (ql_bind_row(&bind, &err)) {
        const struct ql_entity_row row = { .id = { ql_column_u64(bind.statement, 0) },
                                           .name = ql_column_str(bind.statement, 1),
                                           .first_seen = ql_column_time(bind.statement, 2),
                                           .last_seen = ql_column_time(bind.statement, 3) };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(bind.statement);
    return err;
}

ql_err ql_query_edges(struct ql_store_reader *reader, uint32_t limit,
                      bool (*fn)(void *context, const struct ql_edge_row *row), void *context)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_EDGES]);
    sqlite3_stmt *s = bind.statement;
    ql_bind_i64(&bind, limit);
    while (ql_bind_row(&bind, &err)) {
        const struct ql_edge_row row = { .caller = ql_column_str(s, 0),
                                         .callee = ql_column_str(s, 1),
                                         .source = (enum ql_edge_source)ql_column_i64(s, 2),
                                         .calls = ql_column_i64(s, 3),
                                         .errors = ql_column_i64(s, 4),
                                         .first_seen = ql_column_time(s, 5),
                                         .last_seen = ql_column_time(s, 6) };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    return err;
}

/* ---- totals ---------------------------------------------------------------------- */

static ql_err query_tally(struct ql_store_reader *reader, enum ql_query which, ql_time from,
                          ql_time to, uint64_t *tally, uint32_t tally_count)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(reader->statements[which]);
    ql_bind_i64(&bind, from.ns);
    ql_bind_i64(&bind, to.ns);
    while (ql_bind_row(&bind, &err)) {
        const int64_t index = ql_column_i64(bind.statement, 0);
        if (index >= 0 && index < (int64_t)tally_count) {
            tally[index] = ql_column_u64(bind.statement, 1);
        }
    }
    return err;
}

ql_err ql_query_totals(struct ql_store_reader *reader, ql_time from, ql_time to,
                       struct ql_totals *ret_totals)
{
    ql_err err;
    struct ql_totals totals = { 0 };
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_TOTALS]);
    sqlite3_stmt *s = bind.statement;
    ql_bind_i64(&bind, from.ns);
    ql_bind_i64(&bind, to.ns);
    while (ql_bind_row(&bind, &err)) {
        totals.incidents = ql_column_u64(s, 0);
        totals.resolved = ql_column_u64(s, 1);
        totals.raw_count = ql_column_u64(s, 2);
        totals.mttd_s = ql_column_f64(s, 3) / 1e9;
        totals.mtta_s = ql_column_f64(s, 4) / 1e9;
        totals.mttr_s = ql_column_f64(s, 5) / 1e9;
    }
    totals.noise_reduction = totals.raw_count == 0
                                 ? (double)NAN
                                 : 1.0 - (double)totals.incidents / (double)totals.raw_count;
    err = err == QL_OK ? query_tally(reader, QL_QUERY_VERDICTS, from, to, totals.verdicts,
                                     QL_COUNT_OF(totals.verdicts))
                       : err;
    err = err == QL_OK ? query_tally(reader, QL_QUERY_ACTION_STATES, from, to, totals.actions,
                                     QL_COUNT_OF(totals.actions))
                       : err;
    if (err == QL_OK) {
        *ret_totals = totals;
    }
    return err;
}

/* ---- timeline -------------------------------------------------------------------- */

static const char *const timeline_events[] = {
    [QL_INC_OPENED] = "opened",     [QL_INC_GREW] = "grew",         [QL_INC_ACKED] = "acknowledged",
    [QL_INC_RESOLVED] = "resolved", [QL_INC_REOPENED] = "reopened", [QL_INC_MERGED] = "merged",
};
static const char *const timeline_members[] = {
    [QL_MEMBER_SIGNAL] = "signal",
    [QL_MEMBER_ALERT] = "alert",
    [QL_MEMBER_CHANGE] = "change",
};
static const char *const timeline_verdicts[] = {
    [QL_VERDICT_NONE] = "no verdict",
    [QL_VERDICT_TRUE] = "this was real",
    [QL_VERDICT_FALSE] = "this was a false alarm",
    [QL_VERDICT_RIGHT_CAUSE] = "the right cause",
};

static const char *timeline_kind(enum ql_timeline_source source, int64_t code)
{
    const size_t index = code < 0 ? SIZE_MAX : (size_t)code;
    switch (source) {
    case QL_TIMELINE_INCIDENT:
        return index < QL_COUNT_OF(timeline_events) ? timeline_events[index] : "opened";
    case QL_TIMELINE_MEMBER:
        return index < QL_COUNT_OF(timeline_members) ? timeline_members[index] : "signal";
    case QL_TIMELINE_ENDED: return "ended";
    case QL_TIMELINE_CAUSE: return "cause";
    case QL_TIMELINE_ACTION: return "action";
    case QL_TIMELINE_COMMAND: break;
    }
    return code / 8 == QL_COMMAND_FEEDBACK ? "feedback" : "note";
}

static void timeline_joined(struct ql_buf *out, ql_str head, ql_str tail)
{
    ql_buf_str(out, head);
    if (tail.bytes > 0) {
        ql_buf_text(out, head.bytes > 0 ? ": " : "");
        ql_buf_str(out, tail);
    }
}

static void timeline_incident(struct ql_buf *out, int64_t event, ql_str title, uint64_t merged_into)
{
    switch (event) {
    case QL_INC_ACKED: ql_buf_text(out, "the incident is acknowledged"); break;
    case QL_INC_RESOLVED: ql_buf_text(out, "the incident is resolved"); break;
    case QL_INC_MERGED:
        ql_buf_printf(out, "the incident is part of incident %llu",
                      (unsigned long long)merged_into);
        break;
    default: ql_buf_str(out, title); break;
    }
}

static void timeline_text(struct ql_buf *out, enum ql_timeline_source source, int64_t code,
                          ql_str text, ql_str detail)
{
    if (source == QL_TIMELINE_ACTION) {
        const char *state = code >= 0 && code < QL_ACTION_STATE_COUNT
                                ? ql_action_state_text((enum ql_action_state)code)
                                : "unknown";
        ql_buf_str(out, text);
        ql_buf_printf(out, " %s", state);
        ql_buf_text(out, detail.bytes > 0 ? ": " : "");
        ql_buf_str(out, detail);
    } else if (source == QL_TIMELINE_COMMAND && code / 8 == QL_COMMAND_FEEDBACK) {
        const size_t verdict = (size_t)code % 8;
        timeline_joined(out, ql_str_of(timeline_verdicts[verdict % QL_COUNT_OF(timeline_verdicts)]),
                        detail);
    } else {
        timeline_joined(out, text, detail);
    }
}

ql_err ql_query_timeline(struct ql_store_reader *reader, ql_id incident,
                         bool (*fn)(void *context, const struct ql_timeline_row *row),
                         void *context)
{
    enum { TEXT_BYTES_MAX = 1 << 20 };
    ql_err err;
    struct ql_buf text;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_TIMELINE]);
    sqlite3_stmt *s = bind.statement;
    ql_buf_init(&text, TEXT_BYTES_MAX);
    ql_bind_u64(&bind, incident.v);
    while (ql_bind_row(&bind, &err)) {
        const enum ql_timeline_source source = (enum ql_timeline_source)ql_column_i64(s, 1);
        const int64_t code = ql_column_i64(s, 2);
        ql_buf_reset(&text);
        if (source == QL_TIMELINE_INCIDENT) {
            timeline_incident(&text, code, ql_column_str(s, 4), ql_column_u64(s, 7));
        } else {
            timeline_text(&text, source, code, ql_column_str(s, 3), ql_column_str(s, 4));
        }
        const struct ql_timeline_row row = {
            .at = ql_column_time(s, 0),
            .kind = timeline_kind(source, code),
            .text = ql_buf_view(&text),
            .by = ql_column_str(s, 5),
            .entity = ql_column_str(s, 6),
            .ref = { source == QL_TIMELINE_INCIDENT ? 0 : ql_column_u64(s, 7) }
        };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    ql_buf_fini(&text);
    return err;
}

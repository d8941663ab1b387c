/* store_write.c - the statements that write state.db, and what is bound to them. */
#include "store/store_write.h"

/* Whether a new judgement of a signal tells more than the one that is kept: it surprises
 * more, or as much (surprise has a ceiling) and lies further out for the width of its band. */
#define WORSE                                                                                      \
    "(excluded.surprise > ifnull(surprise, -1) OR (excluded.surprise = surprise AND"               \
    " abs(excluded.value - excluded.expected) * (upper - lower) >"                                 \
    " abs(value - expected) * (excluded.upper - excluded.lower)))"

/* clang-format off: statements, laid out by clause */
const char *const ql_store_write_sql[QL_WRITE_COUNT] = {
    [QL_WRITE_ENTITY] =
        "INSERT INTO entities(id, name, first_seen, last_seen) VALUES(?1, ?2, ?3, ?3)"
        " ON CONFLICT(id) DO UPDATE SET last_seen = max(last_seen, excluded.last_seen)",
    [QL_WRITE_EDGE] =
        "INSERT INTO edges(caller, callee, source, calls, errors, first_seen, last_seen)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6) ON CONFLICT(caller, callee, source) DO UPDATE SET"
        " calls = calls + excluded.calls, errors = errors + excluded.errors,"
        " last_seen = max(last_seen, excluded.last_seen)",
    [QL_WRITE_INCIDENT] =
        "INSERT INTO incidents(id, state, entity, onset, opened, updated, acknowledged,"
        " resolved, title, by_whom, alert_count, signal_count, entity_count, raw_count,"
        " reopen_count, merged_into)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, iif(?17 = 2, ?6, NULL), ?7, ?8, ?9, ?10, ?11, ?12, ?13,"
        " ?14, ?15) ON CONFLICT(id) DO UPDATE SET state = excluded.state,"
        " entity = excluded.entity, onset = excluded.onset, opened = excluded.opened,"
        " updated = excluded.updated, resolved = excluded.resolved,"
        " acknowledged = CASE ?17 WHEN 2 THEN ?6 WHEN 4 THEN NULL ELSE acknowledged END,"
        " title = excluded.title, by_whom = excluded.by_whom,"
        " alert_count = excluded.alert_count, signal_count = excluded.signal_count,"
        " entity_count = excluded.entity_count, raw_count = excluded.raw_count,"
        " reopen_count = excluded.reopen_count, merged_into = excluded.merged_into",
    [QL_WRITE_INCIDENT_EVENT] =
        "INSERT OR IGNORE INTO incident_events(incident, sequence, position, at, event, by_whom,"
        " title, merged_into) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
    [QL_WRITE_MEMBER] =
        "INSERT INTO members(incident, kind, id, entity, series, name, labels, since, joined,"
        " ended, why) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT(incident, kind, id) DO UPDATE SET"
        " entity = iif(excluded.entity = 0, entity, excluded.entity),"
        " series = ifnull(excluded.series, series), name = excluded.name,"
        " labels = excluded.labels, since = ifnull(excluded.since, since),"
        " joined = ifnull(excluded.joined, joined), ended = excluded.ended,"
        " why = iif(excluded.why = '', why, excluded.why)",
    /* The band and the sentence stay those of the most surprising judgement: at the end
     * of a signal its value is back in the band and says nothing about what happened. Why it
     * ended is added where its values do not tell (?17). */
    [QL_WRITE_SIGNAL] =
        "INSERT INTO signals(id, series, entity, metric, labels, kind, onset, last_at, closed,"
        " value, expected, lower, upper, surprise, last_value, why, importance)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?10, ?15, ?16)"
        " ON CONFLICT(id) DO UPDATE SET last_at = excluded.last_at, closed = excluded.closed,"
        " entity = iif(excluded.entity = 0, entity, excluded.entity),"
        " last_value = excluded.last_value, importance = excluded.importance,"
        " kind = excluded.kind," /* what seemed a spike turns out to be a level shift */
        " value = iif(" WORSE ", excluded.value, value),"
        " expected = iif(" WORSE ", excluded.expected, expected),"
        " lower = iif(" WORSE ", excluded.lower, lower),"
        " upper = iif(" WORSE ", excluded.upper, upper),"
        " why = CASE WHEN ?17 THEN why || iif(why = '', '', '; ') || excluded.why"
        " WHEN " WORSE " AND excluded.why <> '' THEN excluded.why ELSE why END,"
        " surprise = max(ifnull(surprise, -1), ifnull(excluded.surprise, -1))",
    /* An episode that still fires is refreshed whatever start the sender names this time;
     * only a new start after its end is a new row, and so alerts have a history. */
    [QL_WRITE_ALERT_REFRESH] =
        "UPDATE alerts SET entity = ?3, name = ?4, labels = ?5,"
        " annotations = ?6, severity = ?7, ends = ?8, updated = ?9, firing = ?10,"
        " received_count = received_count + 1 WHERE id = ?1 AND firing = 1",
    [QL_WRITE_ALERT] =
        "INSERT INTO alerts(id, starts, entity, name, labels, annotations, severity, ends,"
        " updated, firing, received_count) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, 1)"
        " ON CONFLICT(id, starts) DO UPDATE SET annotations = excluded.annotations,"
        " ends = excluded.ends, updated = excluded.updated, firing = excluded.firing,"
        " received_count = received_count + 1",
    [QL_WRITE_CHANGE] =
        "INSERT OR REPLACE INTO changes(id, entity, at, kind, summary, source, link)"
        " VALUES(?, ?, ?, ?, ?, ?, ?)",
    [QL_WRITE_CAUSES_DROP] = "DELETE FROM causes WHERE incident = ?",
    [QL_WRITE_CAUSE] =
        "INSERT OR REPLACE INTO causes(incident, rank, entity, series, metric, score,"
        " confidence, onset, role, evidence) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    /* Only a ranking that names another suspect than the one before is history. */
    [QL_WRITE_RANKING] =
        "INSERT OR REPLACE INTO rankings(incident, sequence, at, entity, metric, confidence,"
        " evidence) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 WHERE NOT EXISTS (SELECT 1 FROM"
        " (SELECT entity, metric FROM rankings WHERE incident = ?1 ORDER BY sequence DESC LIMIT 1)"
        " WHERE entity = ?4 AND metric = ?5)",
    [QL_WRITE_RANKING_COUNT] =
        "UPDATE incidents SET ranking_count = ranking_count + 1 WHERE id = ?",
    [QL_WRITE_ACTION] =
        "INSERT INTO actions(id, incident, entity, runbook, step, state, dry_run, command,"
        " timeout, reason, by_whom, created, updated)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?12)"
        " ON CONFLICT(id) DO UPDATE SET step = excluded.step, state = excluded.state,"
        " dry_run = excluded.dry_run, command = iif(excluded.command = '', command,"
        " excluded.command), timeout = excluded.timeout, reason = excluded.reason,"
        " by_whom = excluded.by_whom, updated = excluded.updated",
    [QL_WRITE_ACTION_EVENT] =
        "INSERT OR IGNORE INTO action_events(action, sequence, position, at, state, step,"
        " reason, by_whom) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
    [QL_WRITE_COMMAND] =
        "INSERT OR IGNORE INTO commands(sequence, position, kind, incident, action, verdict,"
        " entity, by_whom, note, at) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    [QL_WRITE_META] = "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)",
};
/* clang-format on */
_Static_assert(QL_INC_ACKED == 2 && QL_INC_REOPENED == 4, "numbers in QL_WRITE_INCIDENT");

static struct ql_bind write_start(const struct ql_store_tick *tick, enum ql_store_write which)
{
    return ql_bind_to(tick->statements[which]);
}

ql_err ql_store_put_entity(const struct ql_store_tick *tick, const struct ql_entity_seen *entity)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_ENTITY);
    ql_bind_u64(&bind, entity->id.v);
    ql_bind_text(&bind, entity->name);
    ql_bind_i64(&bind, tick->now.ns);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_edge(const struct ql_store_tick *tick, const struct ql_edge *edge)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_EDGE);
    ql_bind_u64(&bind, edge->caller.v);
    ql_bind_u64(&bind, edge->callee.v);
    ql_bind_i64(&bind, edge->source);
    ql_bind_i64(&bind, edge->calls);
    ql_bind_i64(&bind, edge->errors);
    ql_bind_i64(&bind, edge->at.ns == QL_TIME_NONE.ns ? tick->now.ns : edge->at.ns);
    return ql_bind_run(&bind);
}

static ql_err write_incident_event(const struct ql_store_tick *tick, uint32_t position,
                                   const struct ql_incident *incident)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_INCIDENT_EVENT);
    ql_bind_u64(&bind, incident->id.v);
    ql_bind_u64(&bind, tick->sequence);
    ql_bind_i64(&bind, position);
    ql_bind_time(&bind, incident->event == QL_INC_OPENED ? incident->opened : incident->updated);
    ql_bind_i64(&bind, incident->event);
    ql_bind_text(&bind, incident->by);
    ql_bind_text(&bind, incident->title);
    ql_bind_u64(&bind, incident->merged_into.v);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_incident(const struct ql_store_tick *tick, uint32_t position,
                             const struct ql_incident *incident)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_INCIDENT);
    ql_bind_u64(&bind, incident->id.v);
    ql_bind_i64(&bind, incident->state);
    ql_bind_u64(&bind, incident->entity.v);
    ql_bind_time(&bind, incident->onset);
    ql_bind_time(&bind, incident->opened);
    ql_bind_time(&bind, incident->updated);
    ql_bind_time(&bind, incident->resolved);
    ql_bind_text(&bind, incident->title);
    ql_bind_text(&bind, incident->by);
    ql_bind_i64(&bind, incident->alert_count);
    ql_bind_i64(&bind, incident->signal_count);
    ql_bind_i64(&bind, incident->entity_count);
    ql_bind_i64(&bind, incident->raw_count);
    ql_bind_i64(&bind, incident->reopen_count);
    ql_bind_u64(&bind, incident->merged_into.v);
    bind.next = 17;
    ql_bind_i64(&bind, incident->event);
    const ql_err err = ql_bind_run(&bind);
    if (err != QL_OK || incident->event == QL_INC_GREW) {
        return err; /* growth is told by the members */
    }
    return write_incident_event(tick, position, incident);
}

ql_err ql_store_put_member(const struct ql_store_tick *tick, const struct ql_member *member)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_MEMBER);
    ql_bind_u64(&bind, member->incident.v);
    ql_bind_i64(&bind, member->kind);
    ql_bind_u64(&bind, member->id.v);
    ql_bind_u64(&bind, member->entity.v);
    ql_bind_series(&bind, member->series);
    ql_bind_text(&bind, member->name);
    ql_bind_blob(&bind, member->labels.at, member->labels.bytes);
    ql_bind_time(&bind, member->since);
    ql_bind_time(&bind, member->joined);
    ql_bind_time(&bind, member->ended);
    ql_bind_text(&bind, member->why);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_signal(const struct ql_store_tick *tick, const struct ql_signal *signal)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_SIGNAL);
    ql_bind_u64(&bind, signal->id.v);
    ql_bind_series(&bind, signal->series);
    ql_bind_u64(&bind, signal->entity.v);
    ql_bind_text(&bind, signal->metric);
    ql_bind_blob(&bind, signal->labels.at, signal->labels.bytes);
    ql_bind_i64(&bind, signal->kind);
    ql_bind_time(&bind, signal->onset);
    ql_bind_time(&bind, signal->at);
    ql_bind_time(&bind, signal->phase == QL_PHASE_CLOSE ? signal->at : QL_TIME_NONE);
    ql_bind_f64(&bind, signal->value);
    ql_bind_f64(&bind, signal->expected);
    ql_bind_f64(&bind, signal->lower);
    ql_bind_f64(&bind, signal->upper);
    ql_bind_f64(&bind, signal->surprise);
    ql_bind_text(&bind, signal->why);
    ql_bind_i64(&bind, signal->importance);
    ql_bind_i64(&bind, signal->lapsed);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_alert(const struct ql_store_tick *tick, const struct ql_alert *alert)
{
    static const enum ql_store_write tries[] = { QL_WRITE_ALERT_REFRESH, QL_WRITE_ALERT };
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < QL_COUNT_OF(tries) && err == QL_OK; i++) {
        struct ql_bind bind = write_start(tick, tries[i]);
        ql_bind_u64(&bind, alert->id.v);
        ql_bind_i64(&bind, alert->starts.ns == QL_TIME_NONE.ns ? tick->now.ns : alert->starts.ns);
        ql_bind_u64(&bind, alert->entity.v);
        ql_bind_text(&bind, alert->name);
        ql_bind_blob(&bind, alert->labels.at, alert->labels.bytes);
        ql_bind_blob(&bind, alert->annotations.at, alert->annotations.bytes);
        ql_bind_text(&bind, alert->severity);
        ql_bind_time(&bind, alert->ends);
        ql_bind_time(&bind, tick->now);
        ql_bind_i64(&bind, alert->firing ? 1 : 0);
        err = ql_bind_run(&bind);
        if (err == QL_OK && sqlite3_changes(tick->db) > 0) {
            break;
        }
    }
    return err;
}

ql_err ql_store_put_change(const struct ql_store_tick *tick, const struct ql_change *change)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_CHANGE);
    ql_bind_u64(&bind, change->id.v);
    ql_bind_u64(&bind, change->entity.v);
    ql_bind_time(&bind, change->at);
    ql_bind_text(&bind, change->kind);
    ql_bind_text(&bind, change->summary);
    ql_bind_text(&bind, change->source);
    ql_bind_text(&bind, change->link);
    return ql_bind_run(&bind);
}

/* A new first rank replaces the whole list (record.h). */
static ql_err write_ranking(const struct ql_store_tick *tick, const struct ql_cause *cause)
{
    struct ql_bind drop = write_start(tick, QL_WRITE_CAUSES_DROP);
    ql_bind_u64(&drop, cause->incident.v);
    ql_err err = ql_bind_run(&drop);
    if (err != QL_OK) {
        return err;
    }
    struct ql_bind count = write_start(tick, QL_WRITE_RANKING_COUNT);
    ql_bind_u64(&count, cause->incident.v);
    err = ql_bind_run(&count);
    if (err != QL_OK) {
        return err;
    }
    struct ql_bind bind = write_start(tick, QL_WRITE_RANKING);
    ql_bind_u64(&bind, cause->incident.v);
    ql_bind_u64(&bind, tick->sequence);
    ql_bind_time(&bind, tick->now);
    ql_bind_u64(&bind, cause->entity.v);
    ql_bind_text(&bind, cause->metric);
    ql_bind_f64(&bind, cause->confidence);
    ql_bind_text(&bind, cause->evidence);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_cause(const struct ql_store_tick *tick, const struct ql_cause *cause)
{
    const ql_err err = cause->rank == 1 ? write_ranking(tick, cause) : QL_OK;
    if (err != QL_OK) {
        return err;
    }
    struct ql_bind bind = write_start(tick, QL_WRITE_CAUSE);
    ql_bind_u64(&bind, cause->incident.v);
    ql_bind_i64(&bind, cause->rank);
    ql_bind_u64(&bind, cause->entity.v);
    ql_bind_series(&bind, cause->series);
    ql_bind_text(&bind, cause->metric);
    ql_bind_f64(&bind, cause->score);
    ql_bind_f64(&bind, cause->confidence);
    ql_bind_time(&bind, cause->onset);
    ql_bind_i64(&bind, cause->role);
    ql_bind_text(&bind, cause->evidence);
    return ql_bind_run(&bind);
}

static ql_err write_action_event(const struct ql_store_tick *tick, uint32_t position,
                                 const struct ql_action *action)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_ACTION_EVENT);
    ql_bind_u64(&bind, action->id.v);
    ql_bind_u64(&bind, tick->sequence);
    ql_bind_i64(&bind, position);
    ql_bind_time(&bind, action->at);
    ql_bind_i64(&bind, action->state);
    ql_bind_text(&bind, action->step);
    ql_bind_text(&bind, action->reason);
    ql_bind_text(&bind, action->by);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_action(const struct ql_store_tick *tick, uint32_t position,
                           const struct ql_action *action)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_ACTION);
    ql_bind_u64(&bind, action->id.v);
    ql_bind_u64(&bind, action->incident.v);
    ql_bind_u64(&bind, action->entity.v);
    ql_bind_text(&bind, action->runbook);
    ql_bind_text(&bind, action->step);
    ql_bind_i64(&bind, action->state);
    ql_bind_i64(&bind, action->dry_run ? 1 : 0);
    ql_bind_text(&bind, action->command);
    ql_bind_i64(&bind, action->timeout.ns);
    ql_bind_text(&bind, action->reason);
    ql_bind_text(&bind, action->by);
    ql_bind_time(&bind, action->at);
    const ql_err err = ql_bind_run(&bind);
    return err == QL_OK ? write_action_event(tick, position, action) : err;
}

ql_err ql_store_put_command(const struct ql_store_tick *tick, uint32_t position,
                            const struct ql_command *command)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_COMMAND);
    ql_bind_u64(&bind, tick->sequence);
    ql_bind_i64(&bind, position);
    ql_bind_i64(&bind, command->kind);
    ql_bind_u64(&bind, command->incident.v);
    ql_bind_u64(&bind, command->action.v);
    ql_bind_i64(&bind, command->verdict);
    ql_bind_text(&bind, command->entity);
    ql_bind_text(&bind, command->by);
    ql_bind_text(&bind, command->note);
    ql_bind_time(&bind, command->at);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_meta(const struct ql_store_tick *tick, const char *key, const void *at,
                         size_t bytes)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_META);
    ql_bind_text(&bind, ql_str_of(key));
    ql_bind_blob(&bind, at, bytes);
    return ql_bind_run(&bind);
}

ql_err ql_store_put_number(const struct ql_store_tick *tick, const char *key, uint64_t value)
{
    struct ql_bind bind = write_start(tick, QL_WRITE_META);
    ql_bind_text(&bind, ql_str_of(key));
    ql_bind_u64(&bind, value);
    return ql_bind_run(&bind);
}

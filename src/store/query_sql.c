/* query_sql.c - what is asked of state.db. */
#include "store/query_sql.h"

/* clang-format off: statements, laid out by clause */
#define INCIDENT_COLUMNS                                                                           \
    "SELECT i.id, i.state, i.entity, i.onset, i.opened, i.updated, i.acknowledged,"                \
    " i.resolved, i.title, i.by_whom, i.alert_count, i.signal_count, i.entity_count,"              \
    " i.raw_count, i.reopen_count, i.merged_into, i.ranking_count, ifnull(e.name, ''),"            \
    " (SELECT count(*) FROM actions a WHERE a.incident = i.id AND a.state = 2),"                   \
    " c.rank, c.metric, c.score, c.confidence, c.role, c.evidence, ifnull(s.name, '')"             \
    " FROM incidents i LEFT JOIN entities e ON e.id = i.entity"                                    \
    " LEFT JOIN causes c ON c.incident = i.id AND c.rank = 1"                                      \
    " LEFT JOIN entities s ON s.id = c.entity"
#define ACTION_COLUMNS                                                                             \
    "SELECT a.id, a.incident, a.entity, a.runbook, a.step, a.state, a.dry_run,"                    \
    " a.command, a.timeout, a.reason, a.by_whom, a.created, a.updated,"                            \
    " ifnull(e.name, '') FROM actions a LEFT JOIN entities e ON e.id = a.entity"
#define SIGNAL_COLUMNS                                                                             \
    "s.id, s.series, s.entity, s.metric, s.labels, s.kind, s.onset, s.last_at,"                    \
    " s.closed, s.value, s.expected, s.lower, s.upper, s.surprise, s.last_value, s.why,"            \
    " s.importance"
/* The newest incident that names the thing; merged ones only when there is no other. */
#define INCIDENT_OF(kind, id)                                                                      \
    "(SELECT m.incident FROM members m JOIN incidents i ON i.id = m.incident"                      \
    " WHERE m.kind = " kind " AND m.id = " id                                                      \
    " ORDER BY i.merged_into = 0 DESC, m.incident DESC LIMIT 1)"

const char *const ql_query_sql[QL_QUERY_COUNT] = {
    [QL_QUERY_INCIDENTS] =
        INCIDENT_COLUMNS " WHERE (?1 = 0 OR (?1 >> i.state) & 1)"
                         " AND (?2 IS NULL OR i.updated >= ?2) AND (?3 = 0 OR i.id < ?3)"
                         " AND (?4 OR i.merged_into = 0) AND (?6 = 0 OR i.entity = ?6"
                         " OR EXISTS (SELECT 1 FROM members m"
                         " WHERE m.incident = i.id AND m.entity = ?6)"
                         " OR EXISTS (SELECT 1 FROM causes u"
                         " WHERE u.incident = i.id AND u.entity = ?6))"
                         " ORDER BY i.id DESC LIMIT ?5",
    [QL_QUERY_INCIDENT] = INCIDENT_COLUMNS " WHERE i.id = ?",
    [QL_QUERY_CAUSES] =
        "SELECT c.rank, c.entity, c.series, c.metric, c.score, c.confidence, c.onset, c.role,"
        " c.evidence, ifnull(e.name, '') FROM causes c LEFT JOIN entities e ON e.id = c.entity"
        " WHERE c.incident = ? ORDER BY c.rank",
    [QL_QUERY_MEMBERS] =
        "SELECT m.kind, m.id, m.entity, m.series, m.name, m.labels, m.since, m.joined, m.ended,"
        " m.why, ifnull(e.name, ''), " SIGNAL_COLUMNS
        " FROM members m LEFT JOIN entities e ON e.id = m.entity"
        " LEFT JOIN signals s ON m.kind = 0 AND s.id = m.id"
        " WHERE m.incident = ? ORDER BY m.since, m.kind, m.name, m.id",
    [QL_QUERY_ACTIONS] =
        ACTION_COLUMNS " WHERE (?1 = 0 OR a.incident = ?1) AND (?2 = 0 OR (?2 >> a.state) & 1)"
                       " ORDER BY a.created DESC, a.id DESC LIMIT ?3",
    [QL_QUERY_ACTION] = ACTION_COLUMNS " WHERE a.id = ?",
    [QL_QUERY_ACTION_EVENTS] =
        "SELECT at, state, step, reason, by_whom FROM action_events WHERE action = ?"
        " ORDER BY sequence, position",
    [QL_QUERY_FEEDBACK] =
        "SELECT verdict, entity, by_whom, note, at FROM commands WHERE incident = ? AND kind = 4"
        " ORDER BY at, sequence, position",
    /* at, source, code, text, detail, by, entity, ref; `rung` orders what happened at once. */
    [QL_QUERY_TIMELINE] =
        "SELECT at, source, code, text, detail, by_whom, ifnull(e.name, named), ref FROM ("
        "SELECT at, 0 AS source, event AS code, '' AS text, title AS detail, by_whom,"
        " 0 AS entity, '' AS named, merged_into AS ref, sequence AS rung, position AS step"
        " FROM incident_events WHERE incident = ?1"
        " UNION ALL SELECT since, 1, kind, name, why, 'engine', entity, '', id, 0, kind"
        " FROM members WHERE incident = ?1"
        " UNION ALL SELECT ended, 2, kind, name, '', 'engine', entity, '', id, 0, kind"
        " FROM members WHERE incident = ?1 AND ended IS NOT NULL AND kind <> 2"
        " UNION ALL SELECT at, 3, 0, metric, evidence, 'engine', entity, '', 0, sequence, 0"
        " FROM rankings WHERE incident = ?1"
        " UNION ALL SELECT v.at, 4, v.state, a.runbook || iif(v.step = '', '', ' / ' || v.step),"
        " v.reason, v.by_whom, a.entity, '', a.id, v.sequence, v.position"
        " FROM action_events v JOIN actions a ON a.id = v.action WHERE a.incident = ?1"
        " UNION ALL SELECT at, 5, kind * 8 + verdict, '', note, by_whom, 0, entity, 0, sequence,"
        " position FROM commands WHERE incident = ?1 AND (kind = 4 OR note <> '')"
        ") t LEFT JOIN entities e ON e.id = t.entity"
        " ORDER BY at, rung, source, step",
    [QL_QUERY_SIGNALS] = "SELECT " SIGNAL_COLUMNS ", ifnull(e.name, ''), " INCIDENT_OF(
        "0",
        "s.id") " FROM signals s LEFT JOIN entities e ON e.id = s.entity"
                " WHERE (?1 = 0 OR (?1 = 1) = (s.closed IS NULL)) AND (?2 = 0 OR s.entity = ?2)"
                " AND (?3 IS NULL OR s.last_at >= ?3) ORDER BY s.last_at DESC, s.id LIMIT ?4",
    [QL_QUERY_ALERTS] =
        "SELECT a.id, a.starts, a.entity, a.name, a.labels, a.annotations, a.severity, a.ends,"
        " a.updated, a.firing, a.received_count, ifnull(e.name, ''), " INCIDENT_OF(
            "1",
            "a.id") " FROM alerts a LEFT JOIN entities e ON e.id = a.entity"
                    " WHERE (?1 = 0 OR (?1 = 1) = a.firing) AND (?2 = 0 OR a.entity = ?2)"
                    " AND (?3 IS NULL OR a.updated >= ?3) ORDER BY a.updated DESC, a.id LIMIT ?4",
    [QL_QUERY_CHANGES] =
        "SELECT c.id, c.entity, c.at, c.kind, c.summary, c.source, c.link, ifnull(e.name, '')"
        " FROM changes c LEFT JOIN entities e ON e.id = c.entity"
        " WHERE (?1 = 0 OR 1) AND (?2 = 0 OR c.entity = ?2) AND (?3 IS NULL OR c.at >= ?3)"
        " ORDER BY c.at DESC, c.id LIMIT ?4",
    [QL_QUERY_ENTITIES] =
        "SELECT id, name, first_seen, last_seen FROM entities ORDER BY name LIMIT ?",
    [QL_QUERY_EDGES] =
        "SELECT ifnull(a.name, ''), ifnull(b.name, ''), g.source, g.calls, g.errors,"
        " g.first_seen, g.last_seen FROM edges g LEFT JOIN entities a ON a.id = g.caller"
        " LEFT JOIN entities b ON b.id = g.callee ORDER BY 1, 2, g.source LIMIT ?",
    [QL_QUERY_TOTALS] =
        "SELECT count(*), sum(resolved IS NOT NULL), total(raw_count), avg(opened - onset),"
        " avg(acknowledged - opened), avg(resolved - onset) FROM incidents"
        " WHERE merged_into = 0 AND opened BETWEEN ?1 AND ?2",
    [QL_QUERY_VERDICTS] =
        "SELECT verdict, count(*) FROM commands WHERE kind = 4 AND at BETWEEN ?1 AND ?2"
        " GROUP BY verdict",
    [QL_QUERY_ACTION_STATES] =
        "SELECT state, count(*) FROM actions WHERE created BETWEEN ?1 AND ?2 GROUP BY state",
};
/* clang-format on */

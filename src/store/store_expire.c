/* store_expire.c - retention of state.db. */
#include "store/store_expire.h"

#include "store/store.h"

/* ?1: things of incidents, ?2: signals and alerts that no incident names, and entities that
 * nothing names. Incidents go last of theirs, and entities last of all, because the others look
 * them up. Open incidents stay whatever their age. */
#define OLD_INCIDENTS "(SELECT id FROM incidents WHERE state = 2 AND resolved < ?1)"
/* clang-format off: statements, laid out by clause */
static const char *const expire_sql[] = {
    "DELETE FROM action_events WHERE action IN (SELECT id FROM actions WHERE incident IN"
    " " OLD_INCIDENTS ")",
    "DELETE FROM actions WHERE incident IN " OLD_INCIDENTS,
    "DELETE FROM commands WHERE at < ?1",
    "DELETE FROM causes WHERE incident IN " OLD_INCIDENTS,
    "DELETE FROM rankings WHERE incident IN " OLD_INCIDENTS,
    "DELETE FROM members WHERE incident IN " OLD_INCIDENTS,
    "DELETE FROM incident_events WHERE incident IN " OLD_INCIDENTS,
    "DELETE FROM incidents WHERE state = 2 AND resolved < ?1",
    "DELETE FROM changes WHERE at < ?1",
    "DELETE FROM edges WHERE last_seen < ?1 AND source <> 1",
    "DELETE FROM signals WHERE last_at < ?2 AND closed IS NOT NULL AND NOT"
    " EXISTS (SELECT 1 FROM members WHERE kind = 0 AND members.id = signals.id)",
    "DELETE FROM alerts WHERE updated < ?2 AND firing = 0 AND NOT EXISTS"
    " (SELECT 1 FROM members WHERE kind = 1 AND members.id = alerts.id)",
    "DELETE FROM entities WHERE last_seen < ?2 AND id NOT IN ("
    "SELECT entity FROM incidents UNION SELECT entity FROM members UNION SELECT entity FROM signals"
    " UNION SELECT entity FROM alerts UNION SELECT entity FROM changes"
    " UNION SELECT entity FROM causes UNION SELECT entity FROM rankings"
    " UNION SELECT entity FROM actions UNION SELECT caller FROM edges UNION SELECT callee FROM edges)",
};
/* clang-format on */
_Static_assert(QL_INCIDENT_RESOLVED == 2 && QL_EDGE_CONFIG == 1 && QL_MEMBER_SIGNAL == 0 &&
                   QL_MEMBER_ALERT == 1,
               "numbers in expire_sql");

static ql_err expire_run(sqlite3 *db, const char *sql, int64_t keep_ns, int64_t loose_ns)
{
    sqlite3_stmt *statement;
    ql_err err = ql_db_prepare(db, sql, &statement);
    if (err != QL_OK) {
        return err;
    }
    struct ql_bind bind = ql_bind_to(statement);
    ql_bind_i64(&bind, keep_ns);
    if (sqlite3_bind_parameter_count(statement) > 1) {
        ql_bind_i64(&bind, loose_ns);
    }
    err = ql_bind_run(&bind);
    (void)sqlite3_finalize(statement);
    return err;
}

ql_err ql_store_expire(const struct ql_store_tick *tick)
{
    const int64_t day_ns = 86400 * QL_NS_PER_S;
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < QL_COUNT_OF(expire_sql) && err == QL_OK; i++) {
        err = expire_run(tick->db, expire_sql[i], tick->now.ns - QL_STORE_KEEP_DAYS * day_ns,
                         tick->now.ns - QL_STORE_KEEP_LOOSE_DAYS * day_ns);
    }
    return err;
}

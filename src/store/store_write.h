/* store_write.h - one record of the bus into its row of state.db. Private to src/store.
 *
 * Every put is an upsert by the record's own key, so that the same tick written twice
 * leaves the same tables; sums are safe because a tick is written once (store.c).
 *
 * Errors        QL_E_IO, QL_E_MEMORY: the caller rolls the whole tick back.
 */
#ifndef QL_STORE_STORE_WRITE_H
#define QL_STORE_STORE_WRITE_H

#include "base/base.h"
#include "model/batch.h"
#include "store/db.h"

#define QL_STORE_WRITE_MAP(X)                                                          \
    X(ENTITY) X(EDGE) X(INCIDENT) X(INCIDENT_EVENT) X(MEMBER) X(SIGNAL)                \
    X(ALERT_REFRESH) X(ALERT) X(CHANGE) X(CAUSES_DROP) X(CAUSE) X(RANKING)             \
    X(RANKING_COUNT) X(ACTION) X(ACTION_EVENT) X(COMMAND) X(META)
enum ql_store_write {
#define X(name) QL_WRITE_##name,
    QL_STORE_WRITE_MAP(X)
#undef X
    QL_WRITE_COUNT
};
extern const char *const ql_store_write_sql[QL_WRITE_COUNT];

/* What the rows of one tick are written with. */
struct ql_store_tick {
    sqlite3 *db;
    sqlite3_stmt **statements;
    uint64_t sequence;
    ql_time now;
};

QL_MUST_USE ql_err ql_store_put_entity(const struct ql_store_tick *tick,
                                       const struct ql_entity_seen *entity);
QL_MUST_USE ql_err ql_store_put_edge(const struct ql_store_tick *tick, const struct ql_edge *edge);
QL_MUST_USE ql_err ql_store_put_incident(const struct ql_store_tick *tick, uint32_t position,
                                         const struct ql_incident *incident);
QL_MUST_USE ql_err ql_store_put_member(const struct ql_store_tick *tick,
                                       const struct ql_member *member);
QL_MUST_USE ql_err ql_store_put_signal(const struct ql_store_tick *tick,
                                       const struct ql_signal *signal);
QL_MUST_USE ql_err ql_store_put_alert(const struct ql_store_tick *tick,
                                      const struct ql_alert *alert);
QL_MUST_USE ql_err ql_store_put_change(const struct ql_store_tick *tick,
                                       const struct ql_change *change);
QL_MUST_USE ql_err ql_store_put_cause(const struct ql_store_tick *tick,
                                      const struct ql_cause *cause);
QL_MUST_USE ql_err ql_store_put_action(const struct ql_store_tick *tick, uint32_t position,
                                       const struct ql_action *action);
QL_MUST_USE ql_err ql_store_put_command(const struct ql_store_tick *tick, uint32_t position,
                                        const struct ql_command *command);
QL_MUST_USE ql_err ql_store_put_meta(const struct ql_store_tick *tick, const char *key,
                                     const void *at, size_t bytes); /* a blob */
QL_MUST_USE ql_err ql_store_put_number(const struct ql_store_tick *tick, const char *key,
                                       uint64_t value);

#endif

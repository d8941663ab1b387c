/* store_schema.c - the tables, and the steps from one version to the next. */
#include "store/store_schema.h"

#include <stdio.h>

/* Times are nanoseconds since 1970, NULL for "not set". Entities are ids of the table
 * `entities` (0: unknown). Enumerations are the numbers of model/record.h. Labels are
 * canonical blocks (model/labels.h), series ids 16 bytes. `sequence` is the journal's,
 * `position` the place within its tick: together they name a record for ever. */
/* clang-format off: statements, laid out by clause */
static const char *const schema_step_1[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE entities(id INTEGER PRIMARY KEY, name TEXT NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL);"
    "CREATE TABLE edges(caller INTEGER NOT NULL, callee INTEGER NOT NULL,"
    " source INTEGER NOT NULL, calls INTEGER NOT NULL, errors INTEGER NOT NULL,"
    " first_seen INTEGER NOT NULL, last_seen INTEGER NOT NULL,"
    " PRIMARY KEY(caller, callee, source)) WITHOUT ROWID;",
    "CREATE TABLE incidents(id INTEGER PRIMARY KEY, state INTEGER NOT NULL,"
    " entity INTEGER NOT NULL, onset INTEGER, opened INTEGER, updated INTEGER,"
    " acknowledged INTEGER, resolved INTEGER, title TEXT NOT NULL, by_whom TEXT NOT NULL,"
    " alert_count INTEGER NOT NULL, signal_count INTEGER NOT NULL,"
    " entity_count INTEGER NOT NULL, raw_count INTEGER NOT NULL,"
    " reopen_count INTEGER NOT NULL, merged_into INTEGER NOT NULL,"
    " ranking_count INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX incidents_opened ON incidents(opened);"
    "CREATE INDEX incidents_state ON incidents(state, id);"
    "CREATE TABLE incident_events(incident INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " position INTEGER NOT NULL, at INTEGER, event INTEGER NOT NULL, by_whom TEXT NOT NULL,"
    " title TEXT NOT NULL, merged_into INTEGER NOT NULL,"
    " PRIMARY KEY(incident, sequence, position)) WITHOUT ROWID;"
    "CREATE TABLE members(incident INTEGER NOT NULL, kind INTEGER NOT NULL,"
    " id INTEGER NOT NULL, entity INTEGER NOT NULL, series BLOB, name TEXT NOT NULL,"
    " labels BLOB NOT NULL, since INTEGER, joined INTEGER, ended INTEGER,"
    " why TEXT NOT NULL, PRIMARY KEY(incident, kind, id)) WITHOUT ROWID;"
    "CREATE INDEX members_id ON members(kind, id);",
    "CREATE TABLE signals(id INTEGER PRIMARY KEY, series BLOB, entity INTEGER NOT NULL,"
    " metric TEXT NOT NULL, labels BLOB NOT NULL, kind INTEGER NOT NULL,"
    " onset INTEGER, last_at INTEGER, closed INTEGER, value REAL, expected REAL,"
    " lower REAL, upper REAL, surprise REAL, last_value REAL, why TEXT NOT NULL);"
    "CREATE INDEX signals_last ON signals(last_at);"
    "CREATE INDEX signals_entity ON signals(entity, last_at);"
    "CREATE INDEX signals_open ON signals(last_at) WHERE closed IS NULL;",
    "CREATE TABLE alerts(id INTEGER NOT NULL, starts INTEGER NOT NULL,"
    " entity INTEGER NOT NULL, name TEXT NOT NULL, labels BLOB NOT NULL,"
    " annotations BLOB NOT NULL, severity TEXT NOT NULL, ends INTEGER, updated INTEGER,"
    " firing INTEGER NOT NULL, received_count INTEGER NOT NULL, PRIMARY KEY(id, starts));"
    "CREATE INDEX alerts_updated ON alerts(updated);"
    "CREATE INDEX alerts_firing ON alerts(id) WHERE firing = 1;"
    "CREATE TABLE changes(id INTEGER PRIMARY KEY, entity INTEGER NOT NULL, at INTEGER,"
    " kind TEXT NOT NULL, summary TEXT NOT NULL, source TEXT NOT NULL, link TEXT NOT NULL);"
    "CREATE INDEX changes_at ON changes(at);",
    "CREATE TABLE causes(incident INTEGER NOT NULL, rank INTEGER NOT NULL,"
    " entity INTEGER NOT NULL, series BLOB, metric TEXT NOT NULL, score REAL,"
    " confidence REAL, onset INTEGER, role INTEGER NOT NULL, evidence TEXT NOT NULL,"
    " PRIMARY KEY(incident, rank)) WITHOUT ROWID;"
    "CREATE TABLE rankings(incident INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " at INTEGER, entity INTEGER NOT NULL, metric TEXT NOT NULL, confidence REAL,"
    " evidence TEXT NOT NULL, PRIMARY KEY(incident, sequence)) WITHOUT ROWID;",
    "CREATE TABLE actions(id INTEGER PRIMARY KEY, incident INTEGER NOT NULL,"
    " entity INTEGER NOT NULL, runbook TEXT NOT NULL, step TEXT NOT NULL,"
    " state INTEGER NOT NULL, dry_run INTEGER NOT NULL, command TEXT NOT NULL,"
    " timeout INTEGER NOT NULL, reason TEXT NOT NULL, by_whom TEXT NOT NULL,"
    " created INTEGER, updated INTEGER);"
    "CREATE INDEX actions_incident ON actions(incident, id);"
    "CREATE INDEX actions_awaiting ON actions(incident) WHERE state = 2;"
    "CREATE TABLE action_events(action INTEGER NOT NULL, sequence INTEGER NOT NULL,"
    " position INTEGER NOT NULL, at INTEGER, state INTEGER NOT NULL, step TEXT NOT NULL,"
    " reason TEXT NOT NULL, by_whom TEXT NOT NULL,"
    " PRIMARY KEY(action, sequence, position)) WITHOUT ROWID;",
    "CREATE TABLE commands(sequence INTEGER NOT NULL, position INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, incident INTEGER NOT NULL, action INTEGER NOT NULL,"
    " verdict INTEGER NOT NULL, entity TEXT NOT NULL, by_whom TEXT NOT NULL,"
    " note TEXT NOT NULL, at INTEGER, PRIMARY KEY(sequence, position)) WITHOUT ROWID;"
    "CREATE INDEX commands_incident ON commands(incident, at);",
    NULL,
};
/* How much a signal matters by policy; of those stored before, it is not known. */
static const char *const schema_step_2[] = {
    "ALTER TABLE signals ADD COLUMN importance INTEGER NOT NULL DEFAULT 0;",
    NULL,
};
/* clang-format on */

static const char *const *const schema_steps[] = { schema_step_1, schema_step_2 };
const uint32_t ql_schema_version = QL_COUNT_OF(schema_steps);

/* The partial index above names the state by its number. */
_Static_assert(QL_ACTION_AWAITING == 2, "a stored number: never renumber");
_Static_assert(QL_IMPORTANCE_NORMAL == 0 && QL_IMPORTANCE_CRITICAL == 3,
               "stored numbers: append, never renumber");
_Static_assert(QL_SIGNAL_BOUND == 10 && QL_INC_MERGED == 5 && QL_COMMAND_FEEDBACK == 4,
               "stored numbers: append, never renumber");

static ql_err schema_version_of(sqlite3 *db, uint32_t *ret_version)
{
    int64_t version;
    const ql_err err = ql_db_number(db, "PRAGMA user_version", 0, &version);
    if (err == QL_OK) {
        *ret_version = version < 0 ? UINT32_MAX : (uint32_t)version;
    }
    return err;
}

static ql_err schema_step_run(sqlite3 *db, uint32_t index)
{
    char stamp[64];
    (void)snprintf(stamp, sizeof(stamp), "PRAGMA user_version=%u", index + 1);
    ql_err err = ql_db_run(db, "BEGIN IMMEDIATE");
    if (err != QL_OK) {
        return err;
    }
    for (const char *const *sql = schema_steps[index]; *sql != NULL && err == QL_OK; sql++) {
        err = ql_db_run(db, *sql);
    }
    err = err == QL_OK ? ql_db_run(db, stamp) : err;
    err = err == QL_OK ? ql_db_run(db, "COMMIT") : err;
    if (err != QL_OK) {
        const ql_err ignored = ql_db_run(db, "ROLLBACK");
        (void)ignored;
    }
    return err;
}

ql_err ql_schema_migrate(sqlite3 *db)
{
    uint32_t version;
    ql_err err = schema_version_of(db, &version);
    if (err == QL_OK && version > ql_schema_version) {
        return QL_E_VERSION;
    }
    while (err == QL_OK && version < ql_schema_version) {
        err = schema_step_run(db, version++);
    }
    return err;
}

ql_err ql_schema_check(sqlite3 *db)
{
    uint32_t version;
    const ql_err err = schema_version_of(db, &version);
    return err == QL_OK && version != ql_schema_version ? QL_E_VERSION : err;
}

ql_err ql_store_path(const char *data_dir, const char *name, char ret_path[QL_STORE_PATH_BYTES])
{
    const int n = snprintf(ret_path, QL_STORE_PATH_BYTES, "%s/%s", data_dir, name);
    return n < 0 || n >= QL_STORE_PATH_BYTES ? QL_E_IO : QL_OK;
}

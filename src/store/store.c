/* store.c - whole ticks into state.db and audit.db, each exactly once. */
#include "store/store.h"

#include "base/map.h"
#include "store/audit.h"
#include "store/store_expire.h"
#include "store/store_pending.h"
#include "store/store_schema.h"
#include "store/store_write.h"

#include <stdlib.h>

enum { ENTITIES_MAX = 1 << 20, WRITE_BUSY_MS = 5 };
#define SEEN_REFRESH QL_MIN(6 * 60) /* of an entity that is told again and again */

/* The lists that have rows here; the rest of the bus is of no interest. Not in it:
 * entities, which are sifted first, and audits, which go to their own file. */
#define STORE_LISTS                                                                                \
    (QL_LIST_BIT(edges) | QL_LIST_BIT(incidents) | QL_LIST_BIT(members) | QL_LIST_BIT(signals) |   \
     QL_LIST_BIT(causes) | QL_LIST_BIT(actions) | QL_LIST_BIT(commands) | QL_LIST_BIT(alerts) |    \
     QL_LIST_BIT(changes) | QL_LIST_BIT(audits))

struct ql_store {
    sqlite3 *db;
    sqlite3_stmt *statements[QL_WRITE_COUNT];
    struct ql_audit_log *audit;
    uint64_t applied;
    uint64_t taken;  /* newest tick that was applied or waits */
    uint64_t missed; /* the tick that found no place to wait; 0: none */
    struct ql_pending pending;
    int64_t expired_day;
    struct ql_map64 seen; /* entity -> when its row was last written, in SEEN_REFRESH */
    uint32_t seen_period; /* the newest in it */
    struct ql_stat_cell *commits, *rows, *errors, *waiting;
};

static void store_stats(struct ql_store *store, struct ql_stats *stats)
{
    store->commits = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_store_commits_total",
                                   "Ticks that were written to state.db.", "");
    store->rows = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_store_rows_total",
                                "Records that were written to state.db and audit.db.", "");
    store->errors = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_store_errors_total",
                                  "Times a tick could not be written and was rolled back.", "");
    store->waiting = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_store_waiting_ticks",
                                   "Ticks that wait until they can be written.", "");
}

static ql_err store_meta_read(struct ql_store *store)
{
    int64_t applied;
    ql_err err =
        ql_db_number(store->db, "SELECT value FROM meta WHERE key = 'applied'", 0, &applied);
    if (err == QL_OK) {
        store->applied = (uint64_t)applied;
        store->taken = store->applied;
        err = ql_db_number(store->db, "SELECT value FROM meta WHERE key = 'expired_day'", 0,
                           &store->expired_day);
    }
    return err;
}

static ql_err store_open_files(struct ql_store *store, const char *data_dir)
{
    char path[QL_STORE_PATH_BYTES];
    ql_err err = ql_store_path(data_dir, "state.db", path);
    err = err == QL_OK ? ql_db_open(path, QL_DB_WRITE, &store->db) : err;
    err = err == QL_OK ? ql_db_run(store->db, "PRAGMA synchronous=NORMAL") : err;
    err = err == QL_OK ? ql_schema_migrate(store->db) : err;
    err = err == QL_OK
              ? ql_db_prepare_all(store->db, ql_store_write_sql, QL_WRITE_COUNT, store->statements)
              : err;
    err = err == QL_OK ? store_meta_read(store) : err;
    err = err == QL_OK ? ql_audit_open(data_dir, &store->audit) : err;
    if (err == QL_OK) { /* from here on what is refused waits in memory */
        (void)sqlite3_busy_timeout(store->db, WRITE_BUSY_MS);
        ql_audit_busy(store->audit, WRITE_BUSY_MS);
    }
    return err;
}

ql_err ql_store_open(const char *data_dir, struct ql_stats *stats, struct ql_store **ret_store)
{
    QL_ASSERT(data_dir != NULL);
    QL_ASSERT(stats != NULL);
    struct ql_store *store = calloc(1, sizeof(*store));
    if (store == NULL) {
        return QL_E_MEMORY;
    }
    ql_map64_init(&store->seen, ENTITIES_MAX);
    ql_pending_init(&store->pending);
    store_stats(store, stats);
    const ql_err err = store_open_files(store, data_dir);
    if (err != QL_OK) {
        ql_store_close(store);
        return err;
    }
    *ret_store = store;
    return QL_OK;
}

void ql_store_close(struct ql_store *store)
{
    if (store == NULL) {
        return;
    }
    ql_audit_close(store->audit);
    ql_db_finalize_all(store->statements, QL_WRITE_COUNT);
    ql_db_close(store->db);
    ql_map64_fini(&store->seen);
    ql_pending_fini(&store->pending);
    free(store);
}

uint64_t ql_store_applied(const struct ql_store *store)
{
    return store->applied;
}

ql_err ql_store_incident_last(const struct ql_store *store, uint64_t *ret_id)
{
    int64_t last;
    const ql_err err =
        ql_db_number(store->db, "SELECT ifnull(max(id), 0) FROM incidents", 0, &last);
    if (err == QL_OK) {
        *ret_id = (uint64_t)last;
    }
    return err;
}

ql_err ql_store_newest(const struct ql_store *store, uint64_t *ret_sequence)
{
    const ql_err err = ql_audit_newest(store->audit, ret_sequence);
    if (store->applied > *ret_sequence) {
        *ret_sequence = store->applied;
    }
    return err;
}

/* ---- one tick ------------------------------------------------------------------- */

/* Sightings repeat all the time; a row is written when it tells something new. */
static bool store_entity_due(struct ql_store *store, const struct ql_entity_seen *entity,
                             ql_time now)
{
    const uint32_t period = (uint32_t)(now.ns / SEEN_REFRESH.ns);
    return entity->id.v != 0 && ql_map64_get(&store->seen, entity->id.v) != period;
}

static bool store_has_rows(struct ql_store *store, ql_time now, const struct ql_batch *bus)
{
    for (uint32_t list = 0; list < QL_LIST_COUNT; list++) {
        if ((STORE_LISTS >> list & 1) != 0 && ql_batch_count(bus, (enum ql_list)list) > 0) {
            return true;
        }
    }
    for (uint32_t i = 0; i < bus->entities.count; i++) {
        if (store_entity_due(store, &bus->entities.at[i], now)) {
            return true;
        }
    }
    return false;
}

static ql_err store_put_entities(struct ql_store *store, const struct ql_store_tick *tick,
                                 const struct ql_batch *bus)
{
    const uint32_t period = (uint32_t)(tick->now.ns / SEEN_REFRESH.ns);
    ql_err err = QL_OK;
    if (period != store->seen_period) {
        ql_map64_clear(&store->seen); /* all are due again, and who is gone takes no room */
        store->seen_period = period;
    }
    for (uint32_t i = 0; i < bus->entities.count && err == QL_OK; i++) {
        const struct ql_entity_seen *entity = &bus->entities.at[i];
        if (!store_entity_due(store, entity, tick->now)) {
            continue;
        }
        err = ql_store_put_entity(tick, entity);
        if (err == QL_OK) {
            /* A full map only costs writing the row again next time. */
            const ql_err full = ql_map64_put(&store->seen, entity->id.v, period);
            (void)full;
        }
    }
    return err;
}

static ql_err store_put_plain(const struct ql_store_tick *tick, const struct ql_batch *bus)
{
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < bus->edges.count && err == QL_OK; i++) {
        err = ql_store_put_edge(tick, &bus->edges.at[i]);
    }
    for (uint32_t i = 0; i < bus->alerts.count && err == QL_OK; i++) {
        err = ql_store_put_alert(tick, &bus->alerts.at[i]);
    }
    for (uint32_t i = 0; i < bus->changes.count && err == QL_OK; i++) {
        err = ql_store_put_change(tick, &bus->changes.at[i]);
    }
    for (uint32_t i = 0; i < bus->signals.count && err == QL_OK; i++) {
        err = ql_store_put_signal(tick, &bus->signals.at[i]);
    }
    for (uint32_t i = 0; i < bus->incidents.count && err == QL_OK; i++) {
        err = ql_store_put_incident(tick, i, &bus->incidents.at[i]);
    }
    for (uint32_t i = 0; i < bus->members.count && err == QL_OK; i++) {
        err = ql_store_put_member(tick, &bus->members.at[i]);
    }
    for (uint32_t i = 0; i < bus->causes.count && err == QL_OK; i++) {
        err = ql_store_put_cause(tick, &bus->causes.at[i]);
    }
    for (uint32_t i = 0; i < bus->actions.count && err == QL_OK; i++) {
        err = ql_store_put_action(tick, i, &bus->actions.at[i]);
    }
    for (uint32_t i = 0; i < bus->commands.count && err == QL_OK; i++) {
        err = ql_store_put_command(tick, i, &bus->commands.at[i]);
    }
    return err;
}

static ql_err store_put_meta(struct ql_store *store, const struct ql_store_tick *tick,
                             const struct ql_batch *bus)
{
    const ql_err err = ql_store_put_number(tick, "applied", tick->sequence);
    if (err != QL_OK || bus->audits.count == 0) {
        return err;
    }
    const struct ql_audit_head head = ql_audit_head_of(store->audit);
    unsigned char bytes[8 + QL_AUDIT_HASH_BYTES];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(head.row_count >> (8 * i));
    }
    memcpy(bytes + 8, head.hash, QL_AUDIT_HASH_BYTES);
    return ql_store_put_meta(tick, "audit_head", bytes, sizeof(bytes));
}

static ql_err store_put_tick(struct ql_store *store, const struct ql_store_tick *tick,
                             const struct ql_batch *bus)
{
    const int64_t day = tick->now.ns / (86400 * QL_NS_PER_S);
    ql_err err = ql_db_run(store->db, "BEGIN IMMEDIATE");
    if (err != QL_OK) {
        return err;
    }
    err = store_put_entities(store, tick, bus);
    err = err == QL_OK ? store_put_plain(tick, bus) : err;
    err = err == QL_OK ? store_put_meta(store, tick, bus) : err;
    if (err == QL_OK && day != store->expired_day) {
        err = ql_store_expire(tick);
        err = err == QL_OK ? ql_store_put_number(tick, "expired_day", (uint64_t)day) : err;
    }
    err = err == QL_OK ? ql_db_run(store->db, "COMMIT") : err;
    if (err == QL_OK) {
        store->expired_day = day;
    } else if (sqlite3_get_autocommit(store->db) == 0) {
        const ql_err ignored = ql_db_run(store->db, "ROLLBACK");
        (void)ignored;
    }
    return err;
}

static uint32_t store_rows_of(const struct ql_batch *bus)
{
    uint32_t count = 0;
    for (uint32_t list = 0; list < QL_LIST_COUNT; list++) {
        if ((STORE_LISTS >> list & 1) != 0) {
            count += ql_batch_count(bus, (enum ql_list)list);
        }
    }
    return count;
}

static ql_err store_write_tick(struct ql_store *store, uint64_t sequence, ql_time now,
                               const struct ql_batch *bus)
{
    const struct ql_store_tick tick = {
        .db = store->db, .statements = store->statements, .sequence = sequence, .now = now
    };
    /* The audit first: killed in between, the tick comes again from the journal, and the
     * audit log knows its rows by (sequence, position). */
    ql_err err = ql_audit_append(store->audit, sequence, bus->audits.at, bus->audits.count);
    err = err == QL_OK ? store_put_tick(store, &tick, bus) : err;
    if (err != QL_OK) {
        ql_stat_add(store->errors, 1);
        ql_map64_clear(&store->seen); /* what it claims was rolled back */
        return err;
    }
    store->applied = sequence;
    ql_stat_add(store->commits, 1);
    ql_stat_add(store->rows, store_rows_of(bus));
    return QL_OK;
}

/* ---- ticks that wait -------------------------------------------------------------- */

static ql_err store_write_waiting(struct ql_store *store)
{
    ql_err err = QL_OK;
    const struct ql_pending_tick *tick;
    while (err == QL_OK && (tick = ql_pending_first(&store->pending)) != NULL) {
        err = store_write_tick(store, tick->sequence, tick->now, &tick->bus);
        if (err == QL_OK) {
            ql_pending_drop_first(&store->pending);
        }
    }
    ql_stat_set(store->waiting, store->pending.count);
    return err;
}

/* Written, or put behind those that wait. */
static ql_err store_take_tick(struct ql_store *store, uint64_t sequence, ql_time now,
                              const struct ql_batch *bus, ql_err waiting)
{
    const ql_err err =
        waiting == QL_OK ? store_write_tick(store, sequence, now, bus) : waiting;
    if (err != QL_OK && ql_pending_add(&store->pending, sequence, now, bus) != QL_OK) {
        store->missed = sequence;
        return QL_E_FULL;
    }
    ql_stat_set(store->waiting, store->pending.count);
    store->taken = sequence;
    store->missed = 0;
    return err;
}

ql_err ql_store_apply(struct ql_store *store, uint64_t sequence, ql_time now,
                      const struct ql_batch *bus)
{
    QL_ASSERT(sequence > 0);
    if (sequence <= store->applied) {
        return QL_OK;
    }
    const ql_err err = store_write_waiting(store);
    if (store->missed > 0 && sequence != store->missed) {
        return QL_E_FULL; /* written, it would make the gap before it look written too */
    }
    if (sequence <= store->taken || !store_has_rows(store, now, bus)) {
        return err;
    }
    return store_take_tick(store, sequence, now, bus, err);
}

/* The log, not the file: moving is SQLite's affair, and a reader of older rows holds it up for
 * as long as it likes. */
static ql_err store_sync_log(sqlite3 *db)
{
    sqlite3_file *log = NULL;
    const int code = sqlite3_file_control(db, "main", SQLITE_FCNTL_JOURNAL_POINTER, (void *)&log);
    if (code != SQLITE_OK || log == NULL) {
        return QL_E_IO;
    }
    /* Before the first transaction there is no log. */
    return log->pMethods == NULL ? QL_OK
                                 : ql_db_error(log->pMethods->xSync(log, SQLITE_SYNC_FULL));
}

ql_err ql_store_sync(struct ql_store *store)
{
    ql_err err = store_write_waiting(store);
    if (err == QL_OK && store->missed > 0) {
        err = QL_E_FULL;
    }
    err = err == QL_OK ? store_sync_log(store->db) : err;
    if (err != QL_OK) {
        return err;
    }
    const int code =
        sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return (code & 0xff) == SQLITE_BUSY ? QL_OK : ql_db_error(code); /* moved at another time */
}

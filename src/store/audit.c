/* audit.c - rows chained by SHA-256 in audit.db. */
#include "store/audit.h"

#include "base/buf.h"
#include "store/db.h"
#include "store/store_schema.h"

#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>

enum { AUDIT_VERSION = 1, ROW_BYTES_MAX = 64 << 20 };

enum audit_statement { STATEMENT_HAS, STATEMENT_PUT, STATEMENT_COUNT };
static const char *const audit_sql[STATEMENT_COUNT] = {
    [STATEMENT_HAS] = "SELECT 1 FROM audit WHERE sequence = ?1 AND position = ?2",
    [STATEMENT_PUT] = "INSERT INTO audit(number, sequence, position, at, incident, action,"
                      " actor, what, detail, hash) VALUES(?,?,?,?,?,?,?,?,?,?)",
};

static const char audit_schema[] =
    "CREATE TABLE audit(number INTEGER PRIMARY KEY, sequence INTEGER NOT NULL,"
    " position INTEGER NOT NULL, at INTEGER, incident INTEGER NOT NULL,"
    " action INTEGER NOT NULL, actor TEXT NOT NULL, what TEXT NOT NULL,"
    " detail TEXT NOT NULL, hash BLOB NOT NULL);"
    "CREATE UNIQUE INDEX audit_once ON audit(sequence, position);"
    /* Against accidents, not against a forger: the chain is for those. */
    "CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;"
    "CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit"
    " BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;"
    "PRAGMA user_version=1;";

static const char audit_walk_sql[] =
    "SELECT number, sequence, position, at, incident, action, actor, what, detail, hash"
    " FROM audit ORDER BY number";

struct ql_audit_log {
    sqlite3 *db;
    sqlite3_stmt *statements[STATEMENT_COUNT];
    struct ql_audit_head head;
    struct ql_buf row;
};

struct audit_row {
    uint64_t number, sequence;
    uint32_t position;
    const struct ql_audit *fields;
};

/* Every field with its length or at a fixed width: no two rows give the same bytes. */
static ql_err audit_hash(struct ql_buf *scratch, const unsigned char before[QL_AUDIT_HASH_BYTES],
                         const struct audit_row *row, unsigned char ret_hash[QL_AUDIT_HASH_BYTES])
{
    ql_buf_reset(scratch);
    ql_buf_put(scratch, before, QL_AUDIT_HASH_BYTES);
    ql_buf_u64(scratch, row->number);
    ql_buf_u64(scratch, row->sequence);
    ql_buf_u32(scratch, row->position);
    ql_buf_i64(scratch, row->fields->at.ns);
    ql_buf_u64(scratch, row->fields->incident.v);
    ql_buf_u64(scratch, row->fields->action.v);
    ql_buf_lstr(scratch, row->fields->actor);
    ql_buf_lstr(scratch, row->fields->what);
    ql_buf_lstr(scratch, row->fields->detail);
    const ql_err err = ql_buf_check(scratch);
    if (err == QL_OK) {
        struct sha256_ctx hash;
        sha256_init(&hash);
        sha256_update(&hash, scratch->bytes, (const uint8_t *)scratch->at);
        sha256_digest(&hash, SHA256_DIGEST_SIZE, ret_hash);
    }
    return err;
}

static ql_err audit_schema_make(sqlite3 *db)
{
    int64_t version;
    ql_err err = ql_db_number(db, "PRAGMA user_version", 0, &version);
    if (err != QL_OK || version == AUDIT_VERSION) {
        return err;
    }
    if (version != 0) {
        return QL_E_VERSION;
    }
    err = ql_db_run(db, "BEGIN IMMEDIATE");
    err = err == QL_OK ? ql_db_run(db, audit_schema) : err;
    return err == QL_OK ? ql_db_run(db, "COMMIT") : err;
}

static ql_err audit_head_read(struct ql_audit_log *log)
{
    sqlite3_stmt *statement;
    ql_err err = ql_db_prepare(
        log->db, "SELECT number, hash FROM audit ORDER BY number DESC LIMIT 1", &statement);
    if (err != QL_OK) {
        return err;
    }
    struct ql_bind bind = ql_bind_to(statement);
    while (ql_bind_row(&bind, &err)) {
        const ql_str hash = ql_column_str(statement, 1);
        log->head.row_count = ql_column_u64(statement, 0);
        if (hash.bytes == QL_AUDIT_HASH_BYTES) {
            memcpy(log->head.hash, hash.at, QL_AUDIT_HASH_BYTES);
        }
    }
    (void)sqlite3_finalize(statement);
    return err;
}

ql_err ql_audit_open(const char *data_dir, struct ql_audit_log **ret_log)
{
    char path[QL_STORE_PATH_BYTES];
    ql_err err = ql_store_path(data_dir, "audit.db", path);
    struct ql_audit_log *log = err == QL_OK ? calloc(1, sizeof(*log)) : NULL;
    if (log == NULL) {
        return err == QL_OK ? QL_E_MEMORY : err;
    }
    ql_buf_init(&log->row, ROW_BYTES_MAX);
    err = ql_db_open(path, QL_DB_WRITE, &log->db);
    err = err == QL_OK ? ql_db_run(log->db, "PRAGMA synchronous=FULL") : err;
    err = err == QL_OK ? audit_schema_make(log->db) : err;
    err = err == QL_OK ? ql_db_prepare_all(log->db, audit_sql, STATEMENT_COUNT, log->statements)
                       : err;
    err = err == QL_OK ? audit_head_read(log) : err;
    if (err != QL_OK) {
        ql_audit_close(log);
        return err;
    }
    *ret_log = log;
    return QL_OK;
}

void ql_audit_close(struct ql_audit_log *log)
{
    if (log == NULL) {
        return;
    }
    ql_db_finalize_all(log->statements, STATEMENT_COUNT);
    ql_db_close(log->db);
    ql_buf_fini(&log->row);
    free(log);
}

void ql_audit_busy(struct ql_audit_log *log, int ms)
{
    (void)sqlite3_busy_timeout(log->db, ms);
}

struct ql_audit_head ql_audit_head_of(const struct ql_audit_log *log)
{
    return log->head;
}

ql_err ql_audit_newest(struct ql_audit_log *log, uint64_t *ret_sequence)
{
    int64_t sequence = 0;
    const ql_err err = ql_db_number(log->db, "SELECT max(sequence) FROM audit", 0, &sequence);
    *ret_sequence = (uint64_t)sequence;
    return err;
}

static ql_err audit_has(struct ql_audit_log *log, uint64_t sequence, uint32_t position,
                        bool *ret_has)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(log->statements[STATEMENT_HAS]);
    ql_bind_u64(&bind, sequence);
    ql_bind_i64(&bind, position);
    *ret_has = ql_bind_row(&bind, &err);
    (void)sqlite3_reset(log->statements[STATEMENT_HAS]);
    return err;
}

/* Moves `head` on to the new row. */
static ql_err audit_put(struct ql_audit_log *log, uint64_t sequence, uint32_t position,
                        const struct ql_audit *fields, struct ql_audit_head *head)
{
    const struct audit_row row = {
        .number = head->row_count + 1, .sequence = sequence, .position = position, .fields = fields
    };
    struct ql_audit_head next = { .row_count = row.number };
    const ql_err err = audit_hash(&log->row, head->hash, &row, next.hash);
    if (err != QL_OK) {
        return err;
    }
    struct ql_bind bind = ql_bind_to(log->statements[STATEMENT_PUT]);
    ql_bind_u64(&bind, row.number);
    ql_bind_u64(&bind, sequence);
    ql_bind_i64(&bind, position);
    ql_bind_time(&bind, fields->at);
    ql_bind_u64(&bind, fields->incident.v);
    ql_bind_u64(&bind, fields->action.v);
    ql_bind_text(&bind, fields->actor);
    ql_bind_text(&bind, fields->what);
    ql_bind_text(&bind, fields->detail);
    ql_bind_blob(&bind, next.hash, sizeof(next.hash));
    *head = next;
    return ql_bind_run(&bind);
}

ql_err ql_audit_append(struct ql_audit_log *log, uint64_t sequence, const struct ql_audit *rows,
                       uint32_t count)
{
    if (count == 0) {
        return QL_OK;
    }
    struct ql_audit_head head = log->head;
    ql_err err = ql_db_run(log->db, "BEGIN IMMEDIATE");
    if (err != QL_OK) {
        return err;
    }
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        bool has = false;
        err = audit_has(log, sequence, i, &has);
        if (err == QL_OK && !has) {
            err = audit_put(log, sequence, i, &rows[i], &head);
        }
    }
    err = err == QL_OK ? ql_db_run(log->db, "COMMIT") : err;
    if (err == QL_OK) {
        log->head = head;
    } else if (sqlite3_get_autocommit(log->db) == 0) {
        const ql_err ignored = ql_db_run(log->db, "ROLLBACK");
        (void)ignored;
    }
    return err;
}

/* ---- verification ---------------------------------------------------------------- */

/* What state.db remembers; row_count 0 when it remembers nothing. */
static ql_err audit_remembered(const char *data_dir, struct ql_audit_head *ret_head)
{
    char path[QL_STORE_PATH_BYTES];
    sqlite3 *db;
    ql_err err = ql_store_path(data_dir, "state.db", path);
    err = err == QL_OK ? ql_db_open(path, QL_DB_READ, &db) : err;
    if (err != QL_OK) {
        return err == QL_E_NOT_FOUND ? QL_OK : err;
    }
    sqlite3_stmt *statement;
    err = ql_db_prepare(db, "SELECT value FROM meta WHERE key = 'audit_head'", &statement);
    if (err == QL_OK) {
        struct ql_bind bind = ql_bind_to(statement);
        while (ql_bind_row(&bind, &err)) {
            struct ql_reader reader = ql_reader_of(ql_column_str(statement, 0));
            ret_head->row_count = ql_reader_u64(&reader);
            const char *hash = ql_reader_bytes(&reader, QL_AUDIT_HASH_BYTES);
            if (hash != NULL) {
                memcpy(ret_head->hash, hash, QL_AUDIT_HASH_BYTES);
            }
        }
        (void)sqlite3_finalize(statement);
    }
    ql_db_close(db);
    return err;
}

static ql_err audit_bad(struct ql_audit_report *report, uint64_t row, const char *why)
{
    report->bad_row = row;
    (void)snprintf(report->why, sizeof(report->why), "%s", why);
    return QL_E_CONFLICT;
}

struct audit_walk {
    sqlite3_stmt *statement;
    struct ql_buf scratch;
    struct ql_audit_head head; /* of the rows walked so far */
    struct ql_audit_head remembered;
    struct ql_audit_report *report;
    ql_audit_progress *progress;
};

static ql_err audit_walk_row(struct audit_walk *walk)
{
    sqlite3_stmt *s = walk->statement;
    const struct ql_audit fields = {
        .at = ql_column_time(s, 3),
        .incident = { ql_column_u64(s, 4) },
        .action = { ql_column_u64(s, 5) },
        .actor = ql_column_str(s, 6),
        .what = ql_column_str(s, 7),
        .detail = ql_column_str(s, 8),
    };
    const struct audit_row row = { .number = ql_column_u64(s, 0),
                                   .sequence = ql_column_u64(s, 1),
                                   .position = ql_column_u32(s, 2),
                                   .fields = &fields };
    const uint64_t expected = walk->head.row_count + 1;
    if (row.number != expected) {
        return audit_bad(walk->report, expected, "the row is missing");
    }
    struct ql_audit_head next = { .row_count = expected };
    const ql_err err = audit_hash(&walk->scratch, walk->head.hash, &row, next.hash);
    if (err != QL_OK) {
        return err;
    }
    const ql_str hash = ql_column_str(s, 9);
    if (hash.bytes != QL_AUDIT_HASH_BYTES || memcmp(hash.at, next.hash, hash.bytes) != 0) {
        return audit_bad(walk->report, expected, "its hash does not follow from the row before");
    }
    if (next.row_count == walk->remembered.row_count &&
        memcmp(next.hash, walk->remembered.hash, QL_AUDIT_HASH_BYTES) != 0) {
        return audit_bad(walk->report, expected, "state.db remembers another hash of this row");
    }
    walk->head = next;
    return QL_OK;
}

static ql_err audit_walk_all(struct audit_walk *walk)
{
    int64_t row_count = 0;
    ql_err err = ql_db_number(sqlite3_db_handle(walk->statement),
                              "SELECT max(number) FROM audit", 0, &row_count);
    struct ql_bind bind = ql_bind_to(walk->statement);
    while (err == QL_OK && ql_bind_row(&bind, &err)) {
        err = audit_walk_row(walk);
        if (walk->progress != NULL) {
            walk->progress("verifying", walk->head.row_count, (uint64_t)row_count);
        }
    }
    walk->report->row_count = walk->head.row_count;
    if (err == QL_OK && walk->head.row_count < walk->remembered.row_count) {
        err = audit_bad(walk->report, walk->head.row_count + 1,
                        "the end was cut off: state.db remembers more rows");
    }
    return err;
}

ql_err ql_audit_verify(const char *data_dir, ql_audit_progress *progress,
                       struct ql_audit_report *ret_report)
{
    char path[QL_STORE_PATH_BYTES];
    sqlite3 *db;
    *ret_report = (struct ql_audit_report){ 0 };
    struct audit_walk walk = { .report = ret_report, .progress = progress };
    /* First what must be there at least: the log may grow while we read. */
    ql_err err = audit_remembered(data_dir, &walk.remembered);
    err = err == QL_OK ? ql_store_path(data_dir, "audit.db", path) : err;
    err = err == QL_OK ? ql_db_open(path, QL_DB_READ, &db) : err;
    if (err != QL_OK) {
        return err;
    }
    ql_buf_init(&walk.scratch, ROW_BYTES_MAX);
    err = ql_db_prepare(db, audit_walk_sql, &walk.statement);
    if (err == QL_OK) {
        err = audit_walk_all(&walk);
        (void)sqlite3_finalize(walk.statement);
    }
    ql_buf_fini(&walk.scratch);
    ql_db_close(db);
    return err;
}

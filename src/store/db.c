/* db.c - SQLite behind our types. */
#include "store/db.h"

#include <math.h>

enum { BUSY_MS = 5000 };

ql_err ql_db_error(int sqlite_code)
{
    switch (sqlite_code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE: return QL_OK;
    case SQLITE_NOMEM: return QL_E_MEMORY;
    default: return QL_E_IO;
    }
}

ql_err ql_db_open(const char *path, enum ql_db_mode mode, sqlite3 **ret_db)
{
    sqlite3 *db = NULL;
    const int flags =
        mode == QL_DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    const int code = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (code != SQLITE_OK) {
        sqlite3_close(db); /* open hands out a handle even when it fails */
        return code == SQLITE_CANTOPEN && mode == QL_DB_READ ? QL_E_NOT_FOUND : ql_db_error(code);
    }
    (void)sqlite3_busy_timeout(db, BUSY_MS);
    ql_err err = QL_OK;
    if (mode == QL_DB_WRITE) {
        err = ql_db_run(db, "PRAGMA journal_mode=WAL; PRAGMA journal_size_limit=67108864;"
                            "PRAGMA temp_store=MEMORY; PRAGMA trusted_schema=OFF");
    }
    if (err != QL_OK) {
        ql_db_close(db);
        return err;
    }
    *ret_db = db;
    return QL_OK;
}

void ql_db_close(sqlite3 *db)
{
    (void)sqlite3_close_v2(db);
}

ql_err ql_db_run(sqlite3 *db, const char *sql)
{
    return ql_db_error(sqlite3_exec(db, sql, NULL, NULL, NULL));
}

ql_err ql_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement)
{
    return ql_db_error(
        sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret_statement, NULL));
}

ql_err ql_db_prepare_all(sqlite3 *db, const char *const *sql, uint32_t count,
                         sqlite3_stmt **ret_statements)
{
    for (uint32_t i = 0; i < count; i++) {
        const ql_err err = ql_db_prepare(db, sql[i], &ret_statements[i]);
        if (err != QL_OK) {
            ql_db_finalize_all(ret_statements, i);
            return err;
        }
    }
    return QL_OK;
}

void ql_db_finalize_all(sqlite3_stmt **statements, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        (void)sqlite3_finalize(statements[i]);
        statements[i] = NULL;
    }
}

ql_err ql_db_number(sqlite3 *db, const char *sql, int64_t otherwise, int64_t *ret_number)
{
    sqlite3_stmt *statement;
    ql_err err = ql_db_prepare(db, sql, &statement);
    if (err != QL_OK) {
        return err;
    }
    const int code = sqlite3_step(statement);
    err = ql_db_error(code);
    if (err == QL_OK) {
        *ret_number = code == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : otherwise;
    }
    (void)sqlite3_finalize(statement);
    return err;
}

struct ql_bind ql_bind_to(sqlite3_stmt *statement)
{
    QL_ASSERT(statement != NULL);
    (void)sqlite3_reset(statement);
    return (struct ql_bind){ .statement = statement, .next = 1 };
}

static void bind_keep(struct ql_bind *bind, int code)
{
    QL_ASSERT(code != SQLITE_RANGE); /* more values than the statement has parameters */
    if (bind->code == SQLITE_OK) {
        bind->code = code;
    }
    bind->next++;
}

void ql_bind_i64(struct ql_bind *bind, int64_t value)
{
    bind_keep(bind, sqlite3_bind_int64(bind->statement, bind->next, value));
}

void ql_bind_u64(struct ql_bind *bind, uint64_t value)
{
    ql_bind_i64(bind, (int64_t)value);
}

void ql_bind_f64(struct ql_bind *bind, double value)
{
    bind_keep(bind, sqlite3_bind_double(bind->statement, bind->next, value));
}

void ql_bind_time(struct ql_bind *bind, ql_time value)
{
    if (value.ns == QL_TIME_NONE.ns) {
        bind_keep(bind, sqlite3_bind_null(bind->statement, bind->next));
    } else {
        ql_bind_i64(bind, value.ns);
    }
}

void ql_bind_text(struct ql_bind *bind, ql_str value)
{
    const char *at = value.bytes > 0 ? value.at : "";
    bind_keep(bind, sqlite3_bind_text64(bind->statement, bind->next, at, value.bytes, SQLITE_STATIC,
                                        SQLITE_UTF8));
}

void ql_bind_blob(struct ql_bind *bind, const void *at, size_t bytes)
{
    const void *from = bytes > 0 ? at : "";
    bind_keep(bind, sqlite3_bind_blob64(bind->statement, bind->next, from, bytes, SQLITE_STATIC));
}

void ql_bind_series(struct ql_bind *bind, ql_series_id id)
{
    if (id.h.high == 0 && id.h.low == 0) {
        bind_keep(bind, sqlite3_bind_null(bind->statement, bind->next));
        return;
    }
    unsigned char bytes[16]; /* big-endian, so that hex() in a shell shows the id as we print it */
    for (int i = 0; i < 8; i++) {
        bytes[i] = (unsigned char)(id.h.high >> (56 - 8 * i));
        bytes[8 + i] = (unsigned char)(id.h.low >> (56 - 8 * i));
    }
    bind_keep(bind, sqlite3_bind_blob64(bind->statement, bind->next, bytes, sizeof(bytes),
                                        SQLITE_TRANSIENT));
}

ql_err ql_bind_run(struct ql_bind *bind)
{
    const int code = bind->code != SQLITE_OK ? bind->code : sqlite3_step(bind->statement);
    (void)sqlite3_reset(bind->statement);
    (void)sqlite3_clear_bindings(bind->statement);
    return ql_db_error(code);
}

bool ql_bind_row(struct ql_bind *bind, ql_err *ret_err)
{
    const int code = bind->code != SQLITE_OK ? bind->code : sqlite3_step(bind->statement);
    *ret_err = ql_db_error(code);
    if (code == SQLITE_ROW) {
        return true;
    }
    (void)sqlite3_reset(bind->statement);
    (void)sqlite3_clear_bindings(bind->statement);
    return false;
}

double ql_column_f64(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? (double)NAN
               : sqlite3_column_double(statement, column);
}

ql_time ql_column_time(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? QL_TIME_NONE
               : (ql_time){ sqlite3_column_int64(statement, column) };
}

ql_str ql_column_str(sqlite3_stmt *statement, int column)
{
    const void *at = sqlite3_column_blob(statement, column);
    const size_t bytes = (size_t)sqlite3_column_bytes(statement, column);
    return (ql_str){ at != NULL ? at : "", at != NULL ? bytes : 0 };
}

ql_series_id ql_column_series(sqlite3_stmt *statement, int column)
{
    const ql_str bytes = ql_column_str(statement, column);
    ql_series_id id = { { 0, 0 } };
    for (size_t i = 0; bytes.bytes == 16 && i < 8; i++) {
        id.h.high = id.h.high << 8 | (unsigned char)bytes.at[i];
        id.h.low = id.h.low << 8 | (unsigned char)bytes.at[8 + i];
    }
    return id;
}

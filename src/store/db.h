/* db.h - the few SQLite calls that the store needs, with our types and our errors.
 *
 * A binder walks the parameters of one prepared statement in order and sticks at its
 * first error, so that a row of many columns needs one check at its end.
 *
 * Units         times are integers of nanoseconds; QL_TIME_NONE and NaN are NULL. 64-bit
 *               ids are kept as SQLite's signed integers, bit for bit.
 * Ownership     statements belong to whoever prepared them; texts of a row are borrowed
 *               until the next step or reset.
 * Threads       a connection belongs to one thread at a time.
 * Errors        QL_E_IO (disk full, read-only, damaged, locked for too long), QL_E_MEMORY,
 *               QL_E_NOT_FOUND (open for reading: no such file).
 */
#ifndef QL_STORE_DB_H
#define QL_STORE_DB_H

#include "base/base.h"
#include "model/record.h"

#include <sqlite3.h>

enum ql_db_mode { QL_DB_READ, QL_DB_WRITE };

ql_err ql_db_error(int sqlite_code); /* QL_OK for OK, ROW and DONE */
/* Opens (WRITE: creates) a WAL database; busy timeout five seconds. */
QL_MUST_USE ql_err ql_db_open(const char *path, enum ql_db_mode mode, sqlite3 **ret_db);
void ql_db_close(sqlite3 *db); /* NULL is fine */
QL_MUST_USE ql_err ql_db_run(sqlite3 *db, const char *sql); /* several statements, no rows */
QL_MUST_USE ql_err ql_db_prepare(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement);
/* Prepares sql[0..count); on error none is left open. */
QL_MUST_USE ql_err ql_db_prepare_all(sqlite3 *db, const char *const *sql, uint32_t count,
                                     sqlite3_stmt **ret_statements);
void ql_db_finalize_all(sqlite3_stmt **statements, uint32_t count);
/* The first column of the first row of `sql`; `otherwise` when there is no row. */
QL_MUST_USE ql_err ql_db_number(sqlite3 *db, const char *sql, int64_t otherwise,
                                int64_t *ret_number);

struct ql_bind {
    sqlite3_stmt *statement;
    int next, code;
};
struct ql_bind ql_bind_to(sqlite3_stmt *statement); /* resets it */
void ql_bind_i64(struct ql_bind *bind, int64_t value);
void ql_bind_u64(struct ql_bind *bind, uint64_t value);
void ql_bind_f64(struct ql_bind *bind, double value);
void ql_bind_time(struct ql_bind *bind, ql_time value);
void ql_bind_text(struct ql_bind *bind, ql_str value);
void ql_bind_blob(struct ql_bind *bind, const void *at, size_t bytes);
void ql_bind_series(struct ql_bind *bind, ql_series_id id); /* NULL when it is zero */
/* Runs a statement that gives no rows and resets it. */
ql_err ql_bind_run(struct ql_bind *bind);
/* Steps to the next row. False at the end and on error: *ret_err tells, and it is reset. */
bool ql_bind_row(struct ql_bind *bind, ql_err *ret_err);

/* Columns of the current row. */
static inline int64_t ql_column_i64(sqlite3_stmt *s, int i) { return sqlite3_column_int64(s, i); }
static inline uint64_t ql_column_u64(sqlite3_stmt *s, int i)
{
    return (uint64_t)sqlite3_column_int64(s, i);
}
static inline uint32_t ql_column_u32(sqlite3_stmt *s, int i)
{
    return (uint32_t)sqlite3_column_int64(s, i);
}
double ql_column_f64(sqlite3_stmt *statement, int column);   /* NULL: NaN */
ql_time ql_column_time(sqlite3_stmt *statement, int column); /* NULL: QL_TIME_NONE */
ql_str ql_column_str(sqlite3_stmt *statement, int column);   /* text or blob; NULL: "" */
ql_series_id ql_column_series(sqlite3_stmt *statement, int column);

#endif

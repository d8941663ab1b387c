/* store_schema.h - the tables of state.db and how a file of an older build becomes today's.
 *
 * The version of a file is its user_version; each step of the migration is one transaction.
 * A file of a newer build is refused rather than guessed at.
 *
 * Errors        QL_E_VERSION (newer than this build), QL_E_IO, QL_E_MEMORY.
 *
 * Adding one    append a step to `schema_steps` in store_schema.c; never change an old one.
 */
#ifndef QL_STORE_SCHEMA_H
#define QL_STORE_SCHEMA_H

#include "base/base.h"
#include "store/db.h"

extern const uint32_t ql_schema_version; /* what this build writes */

QL_MUST_USE ql_err ql_schema_migrate(sqlite3 *db);
QL_MUST_USE ql_err ql_schema_check(sqlite3 *db); /* for readers: exactly ours, or QL_E_VERSION */

/* Writes "DATA_DIR/name"; QL_E_IO when that is longer than a path may be. */
#define QL_STORE_PATH_BYTES 4096
QL_MUST_USE ql_err ql_store_path(const char *data_dir, const char *name,
                                 char ret_path[QL_STORE_PATH_BYTES]);

#endif

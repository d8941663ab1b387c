/* audit.h - who did what and why, in a file that shows when it was tampered with.
 *
 * audit.db is append-only. Each row carries the SHA-256 of the hash before it and of its
 * own fields, so a row that was changed, removed or slipped in breaks the chain from there
 * on. The newest hash also stands in state.db (store.c), so cutting off the end shows too.
 * It does not stop a forger who rewrites both files: keep the head elsewhere for that.
 *
 * Ownership     open/close; append copies.
 * Threads       append from the store's thread; verify from any, on its own connection.
 * Errors        QL_E_IO, QL_E_VERSION, QL_E_MEMORY; verify: QL_E_CONFLICT, with the row.
 * Bounds        one fdatasync an append call (synchronous=FULL), whatever the row count.
 */
#ifndef QL_STORE_AUDIT_H
#define QL_STORE_AUDIT_H

#include "base/base.h"
#include "model/record.h"

#define QL_AUDIT_HASH_BYTES 32

struct ql_audit_head {
    uint64_t row_count;
    unsigned char hash[QL_AUDIT_HASH_BYTES]; /* zeros while there is no row */
};

struct ql_audit_log;
QL_MUST_USE ql_err ql_audit_open(const char *data_dir, struct ql_audit_log **ret_log);
void ql_audit_close(struct ql_audit_log *log); /* NULL is fine */
void ql_audit_busy(struct ql_audit_log *log, int ms); /* how long append waits for other writers */
/* Appends rows of one tick in one transaction. A (sequence, position) that is there
 * already is left as it is: a replay adds nothing. */
QL_MUST_USE ql_err ql_audit_append(struct ql_audit_log *log, uint64_t sequence,
                                   const struct ql_audit *rows, uint32_t count);
struct ql_audit_head ql_audit_head_of(const struct ql_audit_log *log);
/* Newest sequence that has a row; 0: none. */
QL_MUST_USE ql_err ql_audit_newest(struct ql_audit_log *log, uint64_t *ret_sequence);

struct ql_audit_report {
    uint64_t row_count;
    uint64_t bad_row;  /* 1-based; 0 when the chain holds */
    char why[160];     /* what is wrong there; "" when the chain holds */
};
typedef void ql_audit_progress(const char *what, uint64_t done, uint64_t all);
/* Walks the whole chain, and compares with what state.db remembers of it. QL_OK: it
 * holds; QL_E_CONFLICT: it does not, see the report; QL_E_NOT_FOUND: no such file. `progress`
 * (may be NULL) is called after each row. */
QL_MUST_USE ql_err ql_audit_verify(const char *data_dir, ql_audit_progress *progress,
                                   struct ql_audit_report *ret_report);

#endif

/* store_expire.h - drops what is older than store.h promises to keep. Private to src/store.
 *
 * Errors        QL_E_IO, QL_E_MEMORY.
 * Bounds        a range delete by index for each table, and for entities one look at all that
 *               name one; once a day of engine time.
 */
#ifndef QL_STORE_STORE_EXPIRE_H
#define QL_STORE_STORE_EXPIRE_H

#include "store/store_write.h"

/* Inside the transaction of a tick. */
QL_MUST_USE ql_err ql_store_expire(const struct ql_store_tick *tick);

#endif

/* store.h - what the engine concluded, kept for people: incidents, signals, actions, audit.
 *
 * state.db (SQLite, WAL) holds the tables; audit.db is append-only with a hash chain and
 * synchronous=FULL (audit.h); store_query.h reads. The engine writes whole ticks in one
 * transaction together with the journal sequence they came from, so a restart that replays
 * the journal applies nothing twice. Readers open their own connections and see whole ticks.
 *
 * Ownership     open/close. Rows given to a callback are borrowed for that call.
 * Threads       apply from one thread; queries from any, each with its own reader.
 * Errors        QL_E_IO (disk full included), QL_E_VERSION (file of a newer build),
 *               QL_E_NOT_FOUND.
 */
#ifndef QL_STORE_STORE_H
#define QL_STORE_STORE_H

#include "base/base.h"
#include "base/stat.h"
#include "model/batch.h"

struct ql_store;

QL_MUST_USE ql_err ql_store_open(const char *data_dir, struct ql_stats *stats,
                                 struct ql_store **ret_store);
void ql_store_close(struct ql_store *store);
/* Newest journal sequence whose effects are in the store; 0 for a new store. */
uint64_t ql_store_applied(const struct ql_store *store);
/* The greatest id of an incident that it knows of; 0: none. */
QL_MUST_USE ql_err ql_store_incident_last(const struct ql_store *store, uint64_t *ret_id);
/* Newest sequence that tables or audit log know: the audit log is on disk before the tables, and
 * before the journal when nobody waits for that. */
QL_MUST_USE ql_err ql_store_newest(const struct ql_store *store, uint64_t *ret_sequence);
/* Writes incidents, members, signals, causes, actions, commands (as feedback and notes),
 * alerts, changes, entities, edges and audits of the bus as of `sequence`. Does nothing
 * when sequence <= ql_store_applied(). Idempotent by key. A tick without records is free.
 * A tick that cannot be written (QL_E_IO: disk full) is kept in memory and written with a
 * later call, be that of a tick without records; QL_E_IO as long as one is kept. QL_E_FULL:
 * too many are kept already (store_pending.h) and this one is not. The caller comes again with
 * the same tick; a later one is refused in the same way, or a replay would take the gap for
 * written. */
QL_MUST_USE ql_err ql_store_apply(struct ql_store *store, uint64_t sequence, ql_time now,
                                  const struct ql_batch *bus);
/* Ticks are committed without waiting for the disk: a killed process loses nothing, a
 * power cut may lose the newest ones, and the journal brings them back. So whoever cuts
 * the journal or writes a checkpoint calls this first: it returns QL_OK when all is on disk,
 * and QL_E_IO or QL_E_FULL while a tick still waits for room. Whoever reads a database at that
 * time, for however long, holds nothing up. */
QL_MUST_USE ql_err ql_store_sync(struct ql_store *store);

/* How long things are kept that nobody deletes: once a day of engine time, apply drops
 * resolved incidents and all that belongs to them, changes and edges last seen before
 * the first, and ended signals and alerts that no incident names, and entities that nothing
 * names, before the second. */
#define QL_STORE_KEEP_DAYS 400
#define QL_STORE_KEEP_LOOSE_DAYS 40

#endif

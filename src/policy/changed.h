/* changed.h - which entities were changed lately, for what is muted after a change.
 *
 * Units         times in ns.
 * Ownership     init/fini; fini may be called on zeroed memory.
 * Threads       one at a time.
 * Errors        activate: QL_E_MEMORY. load: QL_E_MALFORMED, QL_E_MEMORY.
 * Bounds        QL_CHANGED_MAX entities; what is beyond is counted. No memory until activate.
 * Determinism   rows lie in an order that depends on the calls only.
 */
#ifndef QL_POLICY_CHANGED_H
#define QL_POLICY_CHANGED_H

#include "base/buf.h"
#include "base/map.h"
#include "base/stat.h"
#include "model/record.h"

#define QL_CHANGED_MAX 8192u

struct ql_changed_row { uint64_t entity; int64_t at_ns; };
struct ql_changed {
    struct ql_changed_row *rows;     /* NULL until activate */
    uint32_t count;
    struct ql_map64 of;              /* entity -> row */
    struct ql_stat_cell *dropped;    /* borrowed */
};
void ql_changed_init(struct ql_changed *changed, struct ql_stat_cell *dropped);
QL_MUST_USE ql_err ql_changed_activate(struct ql_changed *changed); /* again is nothing */
void ql_changed_fini(struct ql_changed *changed);
/* Only after activate. An entity of 0 is nobody. */
void ql_changed_note(struct ql_changed *changed, ql_entity_id entity, ql_time at);
/* Forgets what can mute nothing any more. */
void ql_changed_sweep(struct ql_changed *changed, ql_time now);
/* It was changed at `at` or less than `for_ns` before. */
bool ql_changed_within(const struct ql_changed *changed, ql_entity_id entity, int64_t for_ns,
                       ql_time at);
ql_err ql_changed_save(const struct ql_changed *changed, struct ql_buf *out);
QL_MUST_USE ql_err ql_changed_load(struct ql_changed *changed, struct ql_reader *in);

#endif

/* dt_change.h - what was changed lately, so that a signal can name it.
 *
 * A ring of the newest changes, each with its entity, time and a short text. A signal whose
 * onset lies within QL_DT_CHANGE_AFTER_S after a change of its entity says so. It is a hint
 * about time, not a judgement: causes are ranked elsewhere.
 *
 * Ownership     plain bytes; all zero is an empty ring.
 * Bounds        QL_DT_RECENT_CHANGES; an older one makes room. find: O(that).
 * Errors        load: QL_E_MALFORMED.
 */
#ifndef QL_DETECT_DT_CHANGE_H
#define QL_DETECT_DT_CHANGE_H

#include "base/buf.h"
#include "model/record.h"

#define QL_DT_RECENT_CHANGES 512u
#define QL_DT_CHANGE_AFTER_S 900
#define QL_DT_CHANGE_TEXT_BYTES 88u

struct ql_dt_change_row {
    uint64_t entity;
    int64_t at_ns;
    char text[QL_DT_CHANGE_TEXT_BYTES]; /* "deploy 2.4.1", ended by 0 */
};
struct ql_dt_changes {
    uint32_t count, next;
    struct ql_dt_change_row rows[QL_DT_RECENT_CHANGES];
};

void ql_dt_changes_note(struct ql_dt_changes *changes, const struct ql_change *change);
/* The newest change of the entity that an onset may follow, or NULL. One that came within
 * step_ms after the onset counts too: a value is only seen at the end of its step. */
const struct ql_dt_change_row *ql_dt_changes_find(const struct ql_dt_changes *changes,
                                                  ql_entity_id entity, int64_t onset_ns,
                                                  uint32_t step_ms);
ql_err ql_dt_changes_save(const struct ql_dt_changes *changes, struct ql_buf *out);
QL_MUST_USE ql_err ql_dt_changes_load(struct ql_dt_changes *changes, struct ql_reader *in);

#endif

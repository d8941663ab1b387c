/* dt_profile.h - what each quarter of an hour of the day usually brings, for one series.
 *
 * Two days are kept, a working day and a weekend day (UTC). A slab is filled by the
 * series that owns it and is worth its memory only for series with a daily shape.
 *
 * Units         values as in dt_series.h (relative to the series' origin).
 * Bounds        O(1).
 */
#ifndef QL_DETECT_DT_PROFILE_H
#define QL_DETECT_DT_PROFILE_H

#include "base/base.h"

#define QL_DT_SLOTS 96u

struct ql_dt_slab {
    float cells[2][QL_DT_SLOTS];
    uint8_t counts[2][QL_DT_SLOTS]; /* points seen in the slot, saturating */
    uint32_t next_free;             /* for whoever keeps a table of slabs */
};

struct ql_dt_slot { uint32_t day, slot; };
struct ql_dt_slot ql_dt_slot_of(int64_t at_ns);
/* False when this kind of day has not seen this slot. */
bool ql_dt_slab_expect(const struct ql_dt_slab *slab, struct ql_dt_slot at, float *ret_value);
/* rate: weight of one more point once the slot is full of history. */
void ql_dt_slab_learn(struct ql_dt_slab *slab, struct ql_dt_slot at, float value, float rate);

#endif

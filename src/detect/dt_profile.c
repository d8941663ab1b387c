/* dt_profile - a running mean for each slot of the day.
 *
 * Good for     a daily shape, one for working days and one for weekends.
 * Bad for      a weekly shape finer than that, holidays, local time with daylight saving.
 * Method       seasonal means with exponential forgetting. A kind of day that was not seen
 *              yet expects nothing: the first Saturday is not held against Friday.
 * Cost         960 bytes; a few nanoseconds.
 */
#include "detect/dt_profile.h"

#define DAY_S INT64_C(86400)

struct ql_dt_slot ql_dt_slot_of(int64_t at_ns)
{
    int64_t s = at_ns / QL_NS_PER_S;
    s -= at_ns % QL_NS_PER_S < 0 ? 1 : 0;
    int64_t day = s / DAY_S, second = s % DAY_S;
    if (second < 0) {
        second += DAY_S;
        day--;
    }
    const int64_t weekday = ((day + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday; Monday 0 */
    return (struct ql_dt_slot){ weekday >= 5 ? 1 : 0,
                                (uint32_t)(second / (DAY_S / (int64_t)QL_DT_SLOTS)) };
}

bool ql_dt_slab_expect(const struct ql_dt_slab *slab, struct ql_dt_slot at, float *ret_value)
{
    QL_ASSERT(at.slot < QL_DT_SLOTS);
    QL_ASSERT(at.day < 2);
    if (slab->counts[at.day][at.slot] == 0) {
        return false;
    }
    *ret_value = slab->cells[at.day][at.slot];
    return true;
}

void ql_dt_slab_learn(struct ql_dt_slab *slab, struct ql_dt_slot at, float value, float rate)
{
    QL_ASSERT(at.slot < QL_DT_SLOTS);
    QL_ASSERT(at.day < 2);
    float *cell = &slab->cells[at.day][at.slot];
    uint8_t *count = &slab->counts[at.day][at.slot];
    const float first = 1.0f / ((float)*count + 1.0f);
    *cell += (first > rate ? first : rate) * (value - *cell);
    *count = (uint8_t)(*count < UINT8_MAX ? *count + 1 : UINT8_MAX);
}

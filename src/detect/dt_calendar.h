/* dt_calendar.h - what time the daily profiles take it to be.
 *
 * A profile knows slots of a working day and of a weekend. The calendar moves a time to
 * local time, and a holiday to a Sunday, so that the profile needs to know neither.
 *
 * Units         ns; a shift is added to the time of a point.
 * Ownership     open copies what it needs of the config; close frees.
 * Threads       one at a time (the day that was asked last is remembered).
 * Errors        open: QL_E_MEMORY.
 * Bounds        O(1) for points of one day, O(holidays) at a new day.
 * Determinism   pure; no time-zone database.
 */
#ifndef QL_DETECT_DT_CALENDAR_H
#define QL_DETECT_DT_CALENDAR_H

#include "base/base.h"

struct ql_config;

struct ql_dt_holiday { int32_t year, month, day; }; /* year 0: every year */
struct ql_dt_calendar {
    int64_t offset_ns;
    struct ql_dt_holiday *holidays;
    uint32_t holiday_count;
    int64_t from_ns, to_ns, shift_ns; /* the shift that holds from, until to */
};

QL_MUST_USE ql_err ql_dt_calendar_open(const struct ql_config *config,
                                       struct ql_dt_calendar *ret_calendar);
void ql_dt_calendar_close(struct ql_dt_calendar *calendar);
int64_t ql_dt_calendar_shift_of_day(struct ql_dt_calendar *calendar, int64_t at_ns);

static inline int64_t ql_dt_calendar_shift(struct ql_dt_calendar *calendar, int64_t at_ns)
{
    if (at_ns >= calendar->from_ns && at_ns < calendar->to_ns) {
        return calendar->shift_ns;
    }
    return ql_dt_calendar_shift_of_day(calendar, at_ns);
}

#endif

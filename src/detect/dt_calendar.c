#include "detect/dt_calendar.h"

#include "config/config.h"
#include "config/moment.h"

#include <stdlib.h>

#define DAY_NS ((int64_t)QL_DAY_S * QL_NS_PER_S)
enum { SUNDAY = 6, SATURDAY = 5 };

ql_err ql_dt_calendar_open(const struct ql_config *config, struct ql_dt_calendar *ret_calendar)
{
    *ret_calendar = (struct ql_dt_calendar){ 0 };
    ret_calendar->offset_ns = (int64_t)config->calendar_offset_s * QL_NS_PER_S;
    ret_calendar->holidays = calloc(config->holiday_count + 1, sizeof(struct ql_dt_holiday));
    if (ret_calendar->holidays == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < config->holiday_count; i++) {
        struct ql_dt_holiday *day = &ret_calendar->holidays[ret_calendar->holiday_count];
        ql_str name;
        ret_calendar->holiday_count +=
            ql_moment_holiday(ql_str_of(config->holidays[i]), &day->year, &day->month, &day->day,
                              &name)
                ? 1
                : 0;
    }
    return QL_OK;
}

void ql_dt_calendar_close(struct ql_dt_calendar *calendar)
{
    free(calendar->holidays);
    *calendar = (struct ql_dt_calendar){ 0 };
}

static bool calendar_is_holiday(const struct ql_dt_calendar *calendar, int32_t day)
{
    int32_t y, m, d;
    ql_date_of_day(day, &y, &m, &d);
    for (uint32_t i = 0; i < calendar->holiday_count; i++) {
        const struct ql_dt_holiday *h = &calendar->holidays[i];
        if ((h->year == 0 || h->year == y) && h->month == m && h->day == d) {
            return true;
        }
    }
    return false;
}

int64_t ql_dt_calendar_shift_of_day(struct ql_dt_calendar *calendar, int64_t at_ns)
{
    const int64_t local_ns = at_ns + calendar->offset_ns;
    const int64_t day = local_ns / DAY_NS - (local_ns % DAY_NS < 0 ? 1 : 0);
    calendar->from_ns = day * DAY_NS - calendar->offset_ns;
    calendar->to_ns = calendar->from_ns + DAY_NS;
    calendar->shift_ns = calendar->offset_ns;
    const uint32_t weekday = ql_weekday_of_day((int32_t)day);
    if (weekday < SATURDAY && calendar_is_holiday(calendar, (int32_t)day)) {
        calendar->shift_ns += (int64_t)(SUNDAY - weekday) * DAY_NS;
    }
    return calendar->shift_ns;
}

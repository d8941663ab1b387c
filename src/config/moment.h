/* moment.h - dates, times of day, offsets and windows of time as people write them.
 *
 * No time-zone database is asked: an offset is a number, so that what a setting means
 * never depends on the machine it is read on.
 *
 * Units         days since 1970-01-01, seconds of a day, seconds ahead of UTC.
 * Errors        false: not of that form, or no such date; outputs are then not to be used.
 * Determinism   pure functions.
 */
#ifndef QL_CONFIG_MOMENT_H
#define QL_CONFIG_MOMENT_H

#include "base/base.h"
#include "config/config.h"

#define QL_DAY_S 86400

int32_t ql_day_of_date(int32_t year, int32_t month, int32_t day);
void ql_date_of_day(int32_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day);
uint32_t ql_weekday_of_day(int32_t days); /* 0 is Monday */

bool ql_moment_offset(ql_str text, int32_t *ret_offset_s);     /* "+01:00", "Z", "UTC" */
bool ql_moment_date(ql_str text, int32_t *ret_days);           /* "2026-12-24" */
/* "2026-12-24 NAME" or, for every year, "12-24 NAME"; *ret_year is then 0. */
bool ql_moment_holiday(ql_str text, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day,
                       ql_str *ret_name);
/* "[DAYS] [HH:MM-HH:MM] [OFFSET]"; DAYS is daily, Mon, Mon-Fri, Sat,Sun, DATE or DATE..DATE. */
bool ql_moment_mute(ql_str text, struct ql_mute *ret_mute);
/* Whether `at` falls into it; offset_s counts when the window names none. */
bool ql_mute_holds(const struct ql_mute *mute, int32_t offset_s, ql_time at);

#endif

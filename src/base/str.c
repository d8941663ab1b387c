/* str.c - comparing slices, and reading numbers, times and durations from them. */
#include "base/base.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int ql_str_cmp(ql_str a, ql_str b)
{
    const size_t common = a.bytes < b.bytes ? a.bytes : b.bytes;
    const int order = common == 0 ? 0 : memcmp(a.at, b.at, common);
    if (order != 0) {
        return order < 0 ? -1 : 1;
    }
    return a.bytes == b.bytes ? 0 : a.bytes < b.bytes ? -1 : 1;
}

bool ql_str_starts(ql_str s, ql_str prefix)
{
    return s.bytes >= prefix.bytes && ql_str_eq((ql_str){ s.at, prefix.bytes }, prefix);
}

bool ql_str_ends(ql_str s, ql_str suffix)
{
    return s.bytes >= suffix.bytes &&
           ql_str_eq((ql_str){ s.at + (s.bytes - suffix.bytes), suffix.bytes }, suffix);
}

/* ---- a cursor over one slice ---------------------------------------------------- */

struct str_cursor { const char *at, *end; };

static bool cursor_more(const struct str_cursor *c)
{
    return c->at < c->end;
}

static bool cursor_digit(const struct str_cursor *c)
{
    return c->at < c->end && *c->at >= '0' && *c->at <= '9';
}

static bool cursor_take(struct str_cursor *c, char wanted)
{
    if (c->at < c->end && *c->at == wanted) {
        c->at++;
        return true;
    }
    return false;
}

/* Reads all digits that follow; false when there is none or they pass 2^63. */
static bool cursor_number(struct str_cursor *c, uint64_t *ret_number)
{
    uint64_t number = 0;
    if (!cursor_digit(c)) {
        return false;
    }
    for (; cursor_digit(c); c->at++) {
        const uint64_t digit = (uint64_t)(*c->at - '0');
        if (number > ((UINT64_C(1) << 63) - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return true;
}

/* Reads exactly `digits` digits. */
static bool cursor_fixed(struct str_cursor *c, int digits, int64_t *ret_number)
{
    int64_t number = 0;
    for (int i = 0; i < digits; i++, c->at++) {
        if (!cursor_digit(c)) {
            return false;
        }
        number = number * 10 + (*c->at - '0');
    }
    *ret_number = number;
    return true;
}

/* Reads ".ddd" of any length as nanoseconds; digits past the ninth are dropped. */
static bool cursor_fraction_ns(struct str_cursor *c, int64_t *ret_ns)
{
    int64_t ns = 0, unit = 100000000;
    *ret_ns = 0;
    if (!cursor_take(c, '.')) {
        return true;
    }
    if (!cursor_digit(c)) {
        return false;
    }
    for (; cursor_digit(c); c->at++, unit /= 10) {
        ns += unit * (*c->at - '0');
    }
    *ret_ns = ns;
    return true;
}

/* ---- numbers -------------------------------------------------------------------- */

ql_err ql_str_to_i64(ql_str s, int64_t *ret_value)
{
    struct str_cursor c = { s.at, s.at + s.bytes };
    QL_ASSERT(ret_value != NULL);
    const bool negative = cursor_take(&c, '-');
    if (!negative) {
        (void)cursor_take(&c, '+');
    }
    uint64_t magnitude = 0;
    const char *digits = c.at;
    while (cursor_digit(&c)) {
        c.at++;
    }
    if (c.at == digits || cursor_more(&c)) {
        return QL_E_MALFORMED;
    }
    c.at = digits;
    if (!cursor_number(&c, &magnitude) || (!negative && magnitude > INT64_MAX)) {
        return QL_E_RANGE;
    }
    *ret_value = negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return QL_OK;
}

/* The grammar of a decimal number; strtod alone would also take hex, "nan(x)" and spaces. */
static bool str_is_decimal(ql_str s)
{
    struct str_cursor c = { s.at, s.at + s.bytes };
    if (!cursor_take(&c, '-')) {
        (void)cursor_take(&c, '+');
    }
    const char *start = c.at;
    size_t digits = 0;
    for (; cursor_digit(&c); c.at++) {
        digits++;
    }
    if (cursor_take(&c, '.')) {
        for (; cursor_digit(&c); c.at++) {
            digits++;
        }
    }
    if (digits == 0 || c.at == start) {
        return false;
    }
    if (cursor_take(&c, 'e') || cursor_take(&c, 'E')) {
        if (!cursor_take(&c, '-')) {
            (void)cursor_take(&c, '+');
        }
        if (!cursor_digit(&c)) {
            return false;
        }
        while (cursor_digit(&c)) {
            c.at++;
        }
    }
    return !cursor_more(&c);
}

/* At most 15 digits and 10^22 are exact doubles, so one division is correctly rounded
 * (Clinger 1990). Nearly every number of an exposition takes this way. */
static bool str_double_short(ql_str s, double *ret_value)
{
    static const double powers[] = { 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15 };
    struct str_cursor c = { s.at, s.at + s.bytes };
    const bool negative = cursor_take(&c, '-');
    uint64_t mantissa = 0;
    int digits = 0, fraction = 0;
    for (; cursor_digit(&c) && digits <= 15; c.at++, digits++) {
        mantissa = mantissa * 10 + (uint64_t)(*c.at - '0');
    }
    if (cursor_take(&c, '.')) {
        for (; cursor_digit(&c) && digits <= 15; c.at++, digits++, fraction++) {
            mantissa = mantissa * 10 + (uint64_t)(*c.at - '0');
        }
    }
    if (cursor_more(&c) || digits == 0 || digits > 15) {
        return false;
    }
    const double value = (double)mantissa / powers[fraction];
    *ret_value = negative ? -value : value;
    return true;
}

/* "nan", "inf", "infinity" with sign, in any case: as Prometheus and OpenMetrics write them. */
static bool str_is_special(ql_str s, double *ret_value)
{
    static const struct { const char *name; double value; } names[] = {
        { "nan", NAN }, { "inf", INFINITY }, { "infinity", INFINITY },
    };
    const bool negative = ql_str_starts(s, QL_STR("-"));
    if (negative || ql_str_starts(s, QL_STR("+"))) {
        s = (ql_str){ s.at + 1, s.bytes - 1 };
    }
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        if (s.bytes == strlen(names[i].name) && strncasecmp(s.at, names[i].name, s.bytes) == 0) {
            *ret_value = negative ? -names[i].value : names[i].value;
            return true;
        }
    }
    return false;
}

ql_err ql_str_to_double(ql_str s, double *ret_value)
{
    char copy[512];
    QL_ASSERT(ret_value != NULL);
    if (str_double_short(s, ret_value) || str_is_special(s, ret_value)) {
        return QL_OK;
    }
    if (!str_is_decimal(s)) {
        return QL_E_MALFORMED;
    }
    if (s.bytes >= sizeof(copy)) {
        return QL_E_RANGE;
    }
    memcpy(copy, s.at, s.bytes);
    copy[s.bytes] = '\0';
    const double value = strtod(copy, NULL);
    if (isinf(value)) {
        return QL_E_RANGE; /* finite digits that no double holds */
    }
    *ret_value = value;
    return QL_OK;
}

/* ---- times ---------------------------------------------------------------------- */

/* Days since 1970-01-01 of a Gregorian date, counting years from March so that the leap
 * day is the last of its year (the calendar arithmetic of H. Hinnant's date papers). */
static int64_t date_to_days(int64_t year, int64_t month, int64_t day)
{
    const int64_t y = month <= 2 ? year - 1 : year;
    const int64_t era = (y >= 0 ? y : y - 399) / 400;
    const int64_t year_of_era = y - era * 400;
    const int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
           719468;
}

static void date_from_days(int64_t days, int *ret_year, int *ret_month, int *ret_day)
{
    const int64_t z = days + 719468;
    const int64_t era = (z >= 0 ? z : z - 146096) / 146097;
    const int64_t doe = z - era * 146097; /* day of era */
    const int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    const int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    const int64_t month_from_march = (5 * doy + 2) / 153;
    *ret_day = (int)(doy - (153 * month_from_march + 2) / 5 + 1);
    *ret_month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9);
    *ret_year = (int)(yoe + era * 400 + (*ret_month <= 2 ? 1 : 0));
}

static int64_t month_days(int64_t year, int64_t month)
{
    static const int64_t days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
    const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    return month == 2 && leap ? 29 : days[month - 1];
}

static bool seconds_to_ns(int64_t seconds, int64_t ns, ql_time *ret_time)
{
    int64_t total;
    if (__builtin_mul_overflow(seconds, QL_NS_PER_S, &total) ||
        __builtin_add_overflow(total, ns, &total)) {
        return false;
    }
    *ret_time = (ql_time){ total };
    return true;
}

/* "Z", "z", "+hh:mm", "+hhmm" or nothing (UTC). */
static bool cursor_zone(struct str_cursor *c, int64_t *ret_offset_s)
{
    int64_t hour = 0, minute = 0;
    *ret_offset_s = 0;
    if (!cursor_more(c) || cursor_take(c, 'Z') || cursor_take(c, 'z')) {
        return true;
    }
    const bool west = cursor_take(c, '-');
    if (!west && !cursor_take(c, '+')) {
        return false;
    }
    if (!cursor_fixed(c, 2, &hour)) {
        return false;
    }
    (void)cursor_take(c, ':');
    if (!cursor_fixed(c, 2, &minute) || hour > 23 || minute > 59) {
        return false;
    }
    *ret_offset_s = (hour * 3600 + minute * 60) * (west ? -1 : 1);
    return true;
}

static bool cursor_date(struct str_cursor *c, int64_t *ret_days)
{
    int64_t year, month, day;
    if (!cursor_fixed(c, 4, &year) || !cursor_take(c, '-') || !cursor_fixed(c, 2, &month) ||
        !cursor_take(c, '-') || !cursor_fixed(c, 2, &day)) {
        return false;
    }
    if (month < 1 || month > 12 || day < 1 || day > month_days(year, month)) {
        return false;
    }
    *ret_days = date_to_days(year, month, day);
    return true;
}

static ql_err str_calendar(ql_str s, ql_time *ret_time)
{
    struct str_cursor c = { s.at, s.at + s.bytes };
    int64_t days, hour = 0, minute = 0, second = 0, fraction_ns = 0, offset_s = 0;
    if (!cursor_date(&c, &days)) {
        return QL_E_MALFORMED;
    }
    if (cursor_more(&c)) {
        if (!cursor_take(&c, 'T') && !cursor_take(&c, 't') && !cursor_take(&c, ' ')) {
            return QL_E_MALFORMED;
        }
        if (!cursor_fixed(&c, 2, &hour) || !cursor_take(&c, ':') || !cursor_fixed(&c, 2, &minute) ||
            !cursor_take(&c, ':') || !cursor_fixed(&c, 2, &second) ||
            !cursor_fraction_ns(&c, &fraction_ns) || !cursor_zone(&c, &offset_s)) {
            return QL_E_MALFORMED;
        }
    }
    /* Second 60 is a leap second: the same instant as the next minute's first. */
    if (cursor_more(&c) || hour > 23 || minute > 59 || second > 60) {
        return QL_E_MALFORMED;
    }
    const int64_t seconds = days * 86400 + hour * 3600 + minute * 60 + second - offset_s;
    return seconds_to_ns(seconds, fraction_ns, ret_time) ? QL_OK : QL_E_RANGE;
}

static ql_err str_epoch(ql_str s, ql_time *ret_time)
{
    struct str_cursor c = { s.at, s.at + s.bytes };
    uint64_t seconds = 0;
    int64_t fraction_ns = 0, total;
    const bool negative = cursor_take(&c, '-');
    if (!cursor_digit(&c)) {
        return QL_E_MALFORMED;
    }
    const bool small = cursor_number(&c, &seconds) && seconds <= INT64_MAX / QL_NS_PER_S;
    while (cursor_digit(&c)) {
        c.at++;
    }
    if (!cursor_fraction_ns(&c, &fraction_ns) || cursor_more(&c)) {
        return QL_E_MALFORMED;
    }
    if (!small || __builtin_add_overflow((int64_t)seconds * QL_NS_PER_S, fraction_ns, &total)) {
        return QL_E_RANGE;
    }
    *ret_time = (ql_time){ negative ? -total : total };
    return QL_OK;
}

ql_err ql_str_to_time(ql_str s, ql_time *ret_time)
{
    QL_ASSERT(ret_time != NULL);
    const bool calendar = s.bytes >= 10 && s.at[4] == '-' && s.at[7] == '-';
    return calendar ? str_calendar(s, ret_time) : str_epoch(s, ret_time);
}

const char *ql_time_text(ql_time t, char out[QL_TIME_TEXT_BYTES])
{
    int year, month, day;
    if (t.ns == QL_TIME_NONE.ns) {
        (void)snprintf(out, QL_TIME_TEXT_BYTES, "-");
        return out;
    }
    const int64_t ms = ql_time_to_ms(t);
    const int64_t days = ms >= 0 ? ms / 86400000 : (ms - 86399999) / 86400000;
    const uint64_t ms_of_day = (uint64_t)(ms - days * 86400000);
    date_from_days(days, &year, &month, &day);
    /* The remainders change nothing; they show the compiler that the text fits. */
    (void)snprintf(out, QL_TIME_TEXT_BYTES, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ",
                   (unsigned)year % 10000, (unsigned)month % 100, (unsigned)day % 100,
                   (unsigned)(ms_of_day / 3600000) % 100, (unsigned)(ms_of_day / 60000 % 60),
                   (unsigned)(ms_of_day / 1000 % 60), (unsigned)(ms_of_day % 1000));
    return out;
}

/* ---- durations ------------------------------------------------------------------ */

static bool cursor_unit_ns(struct str_cursor *c, int64_t *ret_ns)
{
    /* Longer names first, so that "ms" is not read as "m". */
    static const struct { const char *name; int64_t ns; } units[] = {
        { "ns", 1 },
        { "us", 1000 },
        { "ms", 1000000 },
        { "s", QL_NS_PER_S },
        { "m", 60 * QL_NS_PER_S },
        { "h", 3600 * QL_NS_PER_S },
        { "d", 86400 * QL_NS_PER_S },
        { "w", 7 * 86400 * QL_NS_PER_S },
    };
    for (size_t i = 0; i < QL_COUNT_OF(units); i++) {
        const size_t bytes = strlen(units[i].name);
        if ((size_t)(c->end - c->at) >= bytes && memcmp(c->at, units[i].name, bytes) == 0) {
            c->at += bytes;
            *ret_ns = units[i].ns;
            return true;
        }
    }
    return false;
}

ql_err ql_str_to_duration(ql_str s, ql_duration *ret_duration)
{
    struct str_cursor c = { s.at, s.at + s.bytes };
    int64_t total = 0;
    QL_ASSERT(ret_duration != NULL);
    if (ql_str_eq(s, QL_STR("0"))) {
        *ret_duration = (ql_duration){ 0 };
        return QL_OK;
    }
    if (!cursor_more(&c)) {
        return QL_E_MALFORMED;
    }
    while (cursor_more(&c)) {
        uint64_t number;
        int64_t unit_ns, part;
        if (!cursor_digit(&c)) {
            return QL_E_MALFORMED;
        }
        if (!cursor_number(&c, &number) || number > INT64_MAX) {
            return QL_E_RANGE;
        }
        if (!cursor_unit_ns(&c, &unit_ns)) {
            return QL_E_MALFORMED;
        }
        if (__builtin_mul_overflow((int64_t)number, unit_ns, &part) ||
            __builtin_add_overflow(total, part, &total)) {
            return QL_E_RANGE;
        }
    }
    *ret_duration = (ql_duration){ total };
    return QL_OK;
}

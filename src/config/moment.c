#include "config/moment.h"

static const char *const moment_weekdays[] = { "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun" };

/* ---- the calendar ---------------------------------------------------------------- */

/* Counts from 1 March, so that a leap day ends a year. */
int32_t ql_day_of_date(int32_t year, int32_t month, int32_t day)
{
    const int32_t y = month <= 2 ? year - 1 : year;
    const int32_t era = (y >= 0 ? y : y - 399) / 400;
    const int32_t of_era = y - era * 400;
    const int32_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void ql_date_of_day(int32_t days, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day)
{
    const int32_t shifted = days + 719468;
    const int32_t era = (shifted >= 0 ? shifted : shifted - 146096) / 146097;
    const int32_t of_era = shifted - era * 146097;
    const int32_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const int32_t of_year = of_era - (365 * year + year / 4 - year / 100);
    const int32_t month = (5 * of_year + 2) / 153;
    *ret_day = of_year - (153 * month + 2) / 5 + 1;
    *ret_month = month < 10 ? month + 3 : month - 9;
    *ret_year = year + era * 400 + (*ret_month <= 2 ? 1 : 0);
}

uint32_t ql_weekday_of_day(int32_t days)
{
    return (uint32_t)(((days % 7) + 7 + 3) % 7); /* 1970-01-01 was a Thursday */
}

/* ---- small parts ----------------------------------------------------------------- */

static bool moment_digits(ql_str text, size_t at, size_t count, int32_t *ret_number)
{
    int32_t number = 0;
    if (at + count > text.bytes) {
        return false;
    }
    for (size_t i = at; i < at + count; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return false;
        }
        number = number * 10 + (text.at[i] - '0');
    }
    *ret_number = number;
    return true;
}

static bool moment_is(ql_str text, size_t at, char c)
{
    return at < text.bytes && text.at[at] == c;
}

/* "HH:MM"; 24:00 is the end of the day. */
static bool moment_clock(ql_str text, int32_t *ret_s)
{
    int32_t hours, minutes;
    if (text.bytes != 5 || !moment_digits(text, 0, 2, &hours) || !moment_is(text, 2, ':') ||
        !moment_digits(text, 3, 2, &minutes) || minutes > 59 ||
        hours * 60 + minutes > 24 * 60) {
        return false;
    }
    *ret_s = (hours * 60 + minutes) * 60;
    return true;
}

bool ql_moment_offset(ql_str text, int32_t *ret_offset_s)
{
    if (ql_str_eq(text, QL_STR("Z")) || ql_str_eq(text, QL_STR("UTC"))) {
        *ret_offset_s = 0;
        return true;
    }
    int32_t s;
    if (text.bytes != 6 || (text.at[0] != '+' && text.at[0] != '-') ||
        !moment_clock((ql_str){ text.at + 1, 5 }, &s) || s > 14 * 3600) {
        return false;
    }
    *ret_offset_s = text.at[0] == '-' ? -s : s;
    return true;
}

/* A date is one when it comes back from its day unchanged: no 30 February. */
static bool moment_is_date(int32_t year, int32_t month, int32_t day)
{
    int32_t y, m, d;
    if (month < 1 || month > 12 || day < 1 || day > 31) {
        return false;
    }
    ql_date_of_day(ql_day_of_date(year, month, day), &y, &m, &d);
    return y == year && m == month && d == day;
}

bool ql_moment_date(ql_str text, int32_t *ret_days)
{
    int32_t year, month, day;
    if (text.bytes != 10 || !moment_digits(text, 0, 4, &year) || !moment_is(text, 4, '-') ||
        !moment_digits(text, 5, 2, &month) || !moment_is(text, 7, '-') ||
        !moment_digits(text, 8, 2, &day) || year < 1970 || !moment_is_date(year, month, day)) {
        return false;
    }
    *ret_days = ql_day_of_date(year, month, day);
    return true;
}

/* Takes the next word off the front; false at the end. */
static bool moment_word(ql_str *text, ql_str *ret_word)
{
    while (text->bytes > 0 && text->at[0] == ' ') {
        text->at++;
        text->bytes--;
    }
    size_t bytes = 0;
    while (bytes < text->bytes && text->at[bytes] != ' ') {
        bytes++;
    }
    *ret_word = (ql_str){ text->at, bytes };
    text->at += bytes;
    text->bytes -= bytes;
    return bytes > 0;
}

bool ql_moment_holiday(ql_str text, int32_t *ret_year, int32_t *ret_month, int32_t *ret_day,
                       ql_str *ret_name)
{
    ql_str date;
    int32_t days;
    if (!moment_word(&text, &date)) {
        return false;
    }
    while (text.bytes > 0 && text.at[0] == ' ') {
        text.at++;
        text.bytes--;
    }
    *ret_name = text;
    *ret_year = 0;
    if (ql_moment_date(date, &days)) {
        ql_date_of_day(days, ret_year, ret_month, ret_day);
        return true;
    }
    return date.bytes == 5 && moment_digits(date, 0, 2, ret_month) && moment_is(date, 2, '-') &&
           moment_digits(date, 3, 2, ret_day) && moment_is_date(2000, *ret_month, *ret_day);
}

/* ---- windows --------------------------------------------------------------------- */

static bool moment_weekday(ql_str word, uint32_t *ret_weekday)
{
    for (uint32_t i = 0; i < QL_COUNT_OF(moment_weekdays); i++) {
        if (ql_str_eq(word, ql_str_of(moment_weekdays[i]))) {
            *ret_weekday = i;
            return true;
        }
    }
    return false;
}

/* "Mon", "Mon-Fri"; the range may pass Sunday. */
static bool moment_weekday_range(ql_str part, uint8_t *weekdays)
{
    uint32_t first, last;
    if (part.bytes == 3 && moment_weekday(part, &first)) {
        last = first;
    } else if (part.bytes != 7 || part.at[3] != '-' ||
               !moment_weekday((ql_str){ part.at, 3 }, &first) ||
               !moment_weekday((ql_str){ part.at + 4, 3 }, &last)) {
        return false;
    }
    for (uint32_t day = first;; day = (day + 1) % 7) {
        *weekdays |= (uint8_t)(1u << day);
        if (day == last) {
            return true;
        }
    }
}

static bool moment_weekdays_of(ql_str word, uint8_t *ret_weekdays)
{
    *ret_weekdays = 0;
    for (;;) {
        const char *comma = memchr(word.at, ',', word.bytes);
        const size_t bytes = comma == NULL ? word.bytes : (size_t)(comma - word.at);
        if (!moment_weekday_range((ql_str){ word.at, bytes }, ret_weekdays)) {
            return false;
        }
        if (comma == NULL) {
            return true;
        }
        word = (ql_str){ comma + 1, word.bytes - bytes - 1 };
    }
}

static bool moment_days(ql_str word, struct ql_mute *mute)
{
    if (ql_str_eq(word, QL_STR("daily"))) {
        return true;
    }
    if (ql_moment_date(word, &mute->day_first)) {
        mute->day_last = mute->day_first;
        return true;
    }
    if (word.bytes == 22 && word.at[10] == '.' && word.at[11] == '.') {
        return ql_moment_date((ql_str){ word.at, 10 }, &mute->day_first) &&
               ql_moment_date((ql_str){ word.at + 12, 10 }, &mute->day_last) &&
               mute->day_first <= mute->day_last;
    }
    return moment_weekdays_of(word, &mute->weekdays);
}

static bool moment_clocks(ql_str word, struct ql_mute *mute)
{
    return word.bytes == 11 && word.at[5] == '-' &&
           moment_clock((ql_str){ word.at, 5 }, &mute->from_s) &&
           moment_clock((ql_str){ word.at + 6, 5 }, &mute->to_s) && mute->from_s < QL_DAY_S &&
           mute->from_s != mute->to_s;
}

bool ql_moment_mute(ql_str text, struct ql_mute *ret_mute)
{
    ql_str word;
    *ret_mute = (struct ql_mute){ .weekdays = 0x7f, .to_s = QL_DAY_S, .day_first = INT32_MIN,
                                  .day_last = INT32_MAX };
    if (!moment_word(&text, &word)) {
        return false;
    }
    const bool days = moment_days(word, ret_mute);
    bool more = true;
    if (days) {
        more = moment_word(&text, &word);
    } else {
        ret_mute->weekdays = 0x7f;
        ret_mute->day_first = INT32_MIN;
        ret_mute->day_last = INT32_MAX;
    }
    const bool clocks = more && moment_clocks(word, ret_mute);
    if (!days && !clocks) {
        return false;
    }
    if (clocks) {
        more = moment_word(&text, &word);
    }
    if (more) {
        ret_mute->has_offset = ql_moment_offset(word, &ret_mute->offset_s);
        return ret_mute->has_offset && !moment_word(&text, &word);
    }
    return true;
}

static bool mute_begins_on(const struct ql_mute *mute, int32_t day)
{
    return day >= mute->day_first && day <= mute->day_last &&
           (mute->weekdays >> ql_weekday_of_day(day) & 1u) != 0;
}

bool ql_mute_holds(const struct ql_mute *mute, int32_t offset_s, ql_time at)
{
    int64_t s = at.ns / QL_NS_PER_S - (at.ns % QL_NS_PER_S < 0 ? 1 : 0);
    s += mute->has_offset ? mute->offset_s : offset_s;
    const int64_t day = s / QL_DAY_S - (s % QL_DAY_S < 0 ? 1 : 0);
    const int32_t of_day = (int32_t)(s - day * QL_DAY_S);
    if (mute->from_s < mute->to_s) {
        return of_day >= mute->from_s && of_day < mute->to_s &&
               mute_begins_on(mute, (int32_t)day);
    }
    return of_day >= mute->from_s ? mute_begins_on(mute, (int32_t)day)
                                  : of_day < mute->to_s && mute_begins_on(mute, (int32_t)day - 1);
}

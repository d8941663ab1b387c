/* dt_habit - a short list of hours of the week.
 *
 * Good for     weekly jobs, the first hour of Monday, a report on Friday evening.
 * Bad for      what comes every second week or on the first of the month.
 * Method       counting weeks; one missing week (a holiday) is forgiven, two begin anew.
 * Cost         24 bytes; called only while a series is odd past its threshold.
 */
#include "detect/dt_habit.h"

#include "math/fastlog.h"

enum {
    WEEK_HOURS = 168,
    SLACK_HOURS = 1,   /* before and after: clocks, jobs that start when others are done */
    LENGTH_MAX = 24,
    WEEKS_KNOWN = 2,   /* seen before, to be known */
    WEEKS_MISSED_MAX = 2
};
#define FURTHER_MOST 2 /* half octaves: twice as far, and what rounding takes */

struct habit_time { uint32_t hour; uint8_t week; };

static struct habit_time habit_time_of(int64_t at_ns)
{
    const int64_t hour_ns = INT64_C(3600) * QL_NS_PER_S;
    /* 1970-01-01 was a Thursday: three days after a Monday. */
    int64_t hours = at_ns / hour_ns - (at_ns % hour_ns < 0) + 3 * 24;
    int64_t week = hours / WEEK_HOURS;
    if (hours % WEEK_HOURS < 0) {
        week--;
    }
    return (struct habit_time){ (uint32_t)(hours - week * WEEK_HOURS), (uint8_t)(week & 0xff) };
}

/* Hours from the start of an entry (less the slack) to `hour`, on the ring of the week. */
static uint32_t habit_since(const struct ql_dt_habit *h, uint32_t i, uint32_t hour)
{
    return (hour + WEEK_HOURS - h->hour[i] + SLACK_HOURS) % WEEK_HOURS;
}

/* What is back around its level is the end of whatever was away from it. */
static uint32_t habit_find(const struct ql_dt_habit *h, uint32_t hour, enum ql_dt_way way)
{
    for (uint32_t i = 0; i < QL_DT_HABITS; i++) {
        if (h->weeks[i] > 0 && (way == QL_DT_AROUND || h->way[i] == way) &&
            habit_since(h, i, hour) <= h->length[i] + 2u * SLACK_HOURS) {
            return i;
        }
    }
    return QL_DT_HABITS;
}

/* 1 for a millionth of a billionth, 255 for more than any distance that is told apart. */
static uint8_t habit_reach(float reach)
{
    const float halves = reach > 1e-15f ? 2.0f * 3.32192809f * ql_log10f(reach) + 101.0f : 0.0f;
    return halves < 1.0f ? 1 : (halves < 255.0f ? (uint8_t)halves : UINT8_MAX);
}

static uint32_t habit_least(const struct ql_dt_habit *h, uint8_t week)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < QL_DT_HABITS; i++) {
        const uint8_t age = (uint8_t)(week - h->week[i]);
        const uint8_t least_age = (uint8_t)(week - h->week[least]);
        if (h->weeks[i] < h->weeks[least] || (h->weeks[i] == h->weeks[least] && age > least_age)) {
            least = i;
        }
    }
    return least;
}

/* Weeks in which it was seen before this one. */
static uint32_t habit_before(const struct ql_dt_habit *h, uint32_t i, uint8_t week)
{
    const uint8_t age = (uint8_t)(week - h->week[i]);
    if (age > WEEKS_MISSED_MAX) {
        return 0;
    }
    return age == 0 ? h->weeks[i] - 1u : h->weeks[i];
}

bool ql_dt_habit_knows(const struct ql_dt_habit *h, const struct ql_dt_habit_now *now)
{
    const struct habit_time time = habit_time_of(now->at_ns);
    const uint32_t i = habit_find(h, time.hour, now->way);
    if (i == QL_DT_HABITS || habit_before(h, i, time.week) < WEEKS_KNOWN ||
        habit_reach(now->reach) > h->reach[i] + FURTHER_MOST) {
        return false;
    }
    return !now->stays || habit_since(h, i, time.hour) <= h->length[i] + (uint32_t)SLACK_HOURS;
}

/* Returns true for the first time this week. */
static bool habit_week(struct ql_dt_habit *h, uint32_t i, uint8_t week)
{
    if (h->week[i] == week) {
        return false;
    }
    const uint32_t before = habit_before(h, i, week);
    h->weeks[i] = (uint8_t)(before < UINT8_MAX ? before + 1 : UINT8_MAX);
    h->week[i] = week;
    return true;
}

bool ql_dt_habit_back(struct ql_dt_habit *h, const struct ql_dt_habit_now *now)
{
    const struct habit_time time = habit_time_of(now->at_ns);
    const uint32_t i = habit_find(h, time.hour, now->way);
    QL_ASSERT(i < QL_DT_HABITS);
    return habit_week(h, i, time.week);
}

void ql_dt_habit_note(struct ql_dt_habit *h, const struct ql_dt_habit_now *now)
{
    const struct habit_time time = habit_time_of(now->at_ns);
    const uint8_t far = habit_reach(now->reach);
    uint32_t i = habit_find(h, time.hour, now->way);
    if (i == QL_DT_HABITS) {
        i = habit_least(h, time.week);
        h->hour[i] = (uint8_t)time.hour;
        h->length[i] = 0;
        h->weeks[i] = 1;
        h->week[i] = time.week;
        h->reach[i] = far;
        h->way[i] = (uint8_t)now->way;
        return;
    }
    (void)habit_week(h, i, time.week);
    const uint32_t since = habit_since(h, i, time.hour);
    if (since > h->length[i] + (uint32_t)SLACK_HOURS && h->length[i] < LENGTH_MAX) {
        h->length[i]++;
    }
    h->reach[i] = far > h->reach[i] ? far : h->reach[i];
}

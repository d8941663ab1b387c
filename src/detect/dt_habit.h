/* dt_habit.h - what comes back at the same hour of the week, for one series.
 *
 * A peak every Monday at nine is not news in its third week; the same peak on a Sunday is.
 * Each time a series is odd past the threshold its hour of the week is noted; what was
 * noted in two weeks before is known and opens no signal, unless it goes clearly further
 * than it did, the other way, or lasts longer. Only what is told widens what is known: a peak
 * that is passed over in silence and does not end is news once its hours are over, or when its
 * level is taken for the new normal; not where those hours reach that far (accept_s of
 * dt_series.h) every week. Independent of a profile: a flat series with one backup a week has it too.
 *
 * Units         hours of the week from Monday 0:00 by the time given, which callers move to
 *               the calendar's; reach is the distance of the value from its slow level, in
 *               the series' own unit.
 * Ownership     plain bytes of the caller; all zero is a fresh state.
 * Bounds        QL_DT_HABITS hours are kept; a new one takes the place of the least seen. O(1).
 */
#ifndef QL_DETECT_DT_HABIT_H
#define QL_DETECT_DT_HABIT_H

#include "base/base.h"

#define QL_DT_HABITS 4u

struct ql_dt_habit {
    uint8_t hour[QL_DT_HABITS];     /* where it began, 0 to 167 */
    uint8_t length[QL_DT_HABITS];   /* hours that it lasted beyond that */
    uint8_t weeks[QL_DT_HABITS];    /* that it was seen in, saturating; 0: free */
    uint8_t week[QL_DT_HABITS];     /* the last of them, modulo 256 */
    uint8_t reach[QL_DT_HABITS];    /* furthest that it went, in half octaves */
    uint8_t way[QL_DT_HABITS];      /* enum ql_dt_way of that */
};

/* AROUND: no further from the slow level than usual (a flat line, the end of a peak). */
enum ql_dt_way { QL_DT_AROUND, QL_DT_UP, QL_DT_DOWN };
struct ql_dt_habit_now {
    int64_t at_ns;
    float reach;                    /* >= 0 */
    enum ql_dt_way way;
    bool stays;                     /* it was just taken for the new normal */
};

/* Notes that the series is odd now, and that somebody is told. */
void ql_dt_habit_note(struct ql_dt_habit *habit, const struct ql_dt_habit_now *now);
/* Whether what is odd now is known from at least two earlier weeks, goes the same way and about
 * as far, and, if it stays, does so in an hour in which it was odd then. */
bool ql_dt_habit_knows(const struct ql_dt_habit *habit, const struct ql_dt_habit_now *now);
/* Notes that something known came back. Returns true for the first time this week. */
bool ql_dt_habit_back(struct ql_dt_habit *habit, const struct ql_dt_habit_now *now);

#endif

/* disk.h - is this disk about to fail? From five counters that it keeps of itself.
 *
 * SMART 5 (reallocated sectors), 187 (reported uncorrectable), 188 (command timeout), 197
 * (pending sectors) and 198 (offline uncorrectable) are those that operators of large
 * fleets watch: a healthy disk has all of them at 0. No weight in here was fitted to
 * anything.
 *
 * A raw value has 48 bits, and some vendors keep more than one number in them; what counts is
 * in the low 16. Timeouts are told as three (all, over 5 s, over 7.5 s), and of the others a
 * value that no disk has sectors for is packed.
 *
 * Units         raw values of the counters; the score is the sum of log(1 + count).
 * Errors        none: a counter that is missing or negative says nothing.
 * Determinism   arithmetic only.
 */
#ifndef QL_FORECAST_DISK_H
#define QL_FORECAST_DISK_H

#include "base/base.h"

enum ql_disk_counter {
    QL_DISK_REALLOCATED, QL_DISK_UNCORRECTABLE, QL_DISK_TIMEOUTS, QL_DISK_PENDING,
    QL_DISK_OFFLINE, QL_DISK_COUNTERS
};
extern const uint8_t ql_disk_smart_id[QL_DISK_COUNTERS]; /* 5, 187, 188, 197, 198 */
const char *ql_disk_counter_text(enum ql_disk_counter counter); /* "reallocated sectors" */

/* What a raw value counts; 0 when it says nothing. A packed one that was rounded on its way (an
 * exporter that writes seven digits) has lost its low part: of timeouts the next is told. */
double ql_disk_count(enum ql_disk_counter counter, double raw);

struct ql_disk_verdict {
    bool failing;                /* any counter above 0 */
    enum ql_disk_counter leader; /* what adds most; meaningful when failing */
    double score;                /* for ranking disks: 0 = nothing to say */
};
/* A counter the disk does not have is NaN. */
struct ql_disk_verdict ql_disk_judge(const double raw[QL_DISK_COUNTERS]);

#endif

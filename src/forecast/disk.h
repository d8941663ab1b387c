/* disk.h - is this disk about to fail? From five counters that it keeps of itself.
 *
 * SMART 5 (reallocated sectors), 187 (reported uncorrectable), 188 (command timeout), 197
 * (pending sectors) and 198 (offline uncorrectable) are those that operators of large
 * fleets watch: a healthy disk has all of them at 0. No weight in here was fitted to
 * anything.
 *
 * Units         raw values of the counters; the score is the sum of their log(1 + raw).
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

struct ql_disk_verdict {
    bool failing;                /* any counter above 0 */
    enum ql_disk_counter leader; /* what adds most; meaningful when failing */
    double score;                /* for ranking disks: 0 = nothing to say */
};
/* A counter the disk does not have is NaN. */
struct ql_disk_verdict ql_disk_judge(const double raw[QL_DISK_COUNTERS]);

#endif

/* disk - the published rule of five counters, as it is. */
#include "forecast/disk.h"

#include <math.h>

const uint8_t ql_disk_smart_id[QL_DISK_COUNTERS] = { 5, 187, 188, 197, 198 };

const char *ql_disk_counter_text(enum ql_disk_counter counter)
{
    static const char *const texts[QL_DISK_COUNTERS] = {
        "reallocated sectors", "uncorrectable errors", "command timeouts", "pending sectors",
        "sectors uncorrectable offline",
    };
    QL_ASSERT(counter < QL_DISK_COUNTERS);
    return texts[counter];
}

struct ql_disk_verdict ql_disk_judge(const double raw[QL_DISK_COUNTERS])
{
    struct ql_disk_verdict v = { 0 };
    double most = 0.0;
    for (uint32_t i = 0; i < QL_DISK_COUNTERS; i++) {
        const double part = raw[i] > 0.0 && isfinite(raw[i]) ? log1p(raw[i]) : 0.0;
        if (part > most) {
            most = part;
            v.leader = (enum ql_disk_counter)i;
        }
        v.score += part;
    }
    v.failing = v.score > 0.0;
    return v;
}

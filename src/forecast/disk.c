/* disk - the published rule of five counters, as it is. */
#include "forecast/disk.h"

#include <math.h>

#define WORD 65536.0
#define ROUNDED_TO 1000.0 /* seven digits of a value of 2^32 and more */

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

double ql_disk_count(enum ql_disk_counter counter, double raw)
{
    const double packed_from = counter == QL_DISK_TIMEOUTS ? WORD : WORD * WORD;
    if (!(raw > 0.0) || !isfinite(raw)) {
        return 0.0;
    }
    if (raw < packed_from) {
        return raw;
    }
    const bool rounded = raw >= WORD * WORD && fmod(raw, ROUNDED_TO) == 0.0;
    if (!rounded) {
        return fmod(floor(raw), WORD);
    }
    return counter == QL_DISK_TIMEOUTS ? fmod(floor(raw / WORD), WORD) : 0.0;
}

struct ql_disk_verdict ql_disk_judge(const double raw[QL_DISK_COUNTERS])
{
    struct ql_disk_verdict v = { 0 };
    double most = 0.0;
    for (uint32_t i = 0; i < QL_DISK_COUNTERS; i++) {
        const double part = log1p(ql_disk_count((enum ql_disk_counter)i, raw[i]));
        if (part > most) {
            most = part;
            v.leader = (enum ql_disk_counter)i;
        }
        v.score += part;
    }
    v.failing = v.score > 0.0;
    return v;
}

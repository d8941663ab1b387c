#include "receive/receive_int.h"

#include <stdio.h>

void ql_receive_counts_init(struct receive_counts *counts, struct ql_stats *stats)
{
    *counts = (struct receive_counts){ .stats = stats };
    for (unsigned door = QL_DOOR_REMOTE_WRITE; door <= QL_DOOR_SCRAPE; door++) {
        char labels[64];
        (void)snprintf(labels, sizeof(labels), "source=\"%s\"", ql_door_name((enum ql_door)door));
        counts->accepted[door] =
            ql_stats_cell(stats, QL_STAT_COUNTER, "ql_records_accepted_total",
                          "Records that are in the journal and were acknowledged.", labels);
    }
}

void ql_receive_count_accepted(const struct receive_counts *counts, enum ql_door door, uint64_t n)
{
    QL_ASSERT(door < QL_DOOR_COUNT);
    QL_ASSERT(counts->accepted[door] != NULL);
    ql_stat_add(counts->accepted[door], (int64_t)n);
}

void ql_receive_count_dropped(const struct receive_counts *counts, enum ql_door door,
                              enum ql_reason reason, uint64_t n)
{
    char labels[128];
    (void)snprintf(labels, sizeof(labels), "source=\"%s\",reason=\"%s\"", ql_door_name(door),
                   ql_reason_text(reason));
    ql_stat_add(ql_stats_cell(counts->stats, QL_STAT_COUNTER, "ql_records_dropped_total",
                              "Records (or whole requests that did not parse) refused.", labels),
                (int64_t)n);
}

void ql_receive_count_rejected(const struct receive_counts *counts, enum ql_door door,
                               const struct ql_reject *reject)
{
    for (unsigned i = 0; reject->total > 0 && i < QL_REASON_COUNT; i++) {
        if (reject->counts[i] > 0) {
            ql_receive_count_dropped(counts, door, (enum ql_reason)i, reject->counts[i]);
        }
    }
}

uint32_t ql_receive_records(const struct ql_batch *batch)
{
    return batch->samples.count + batch->logs.count + batch->spans.count +
           batch->alerts_in.count + batch->changes_in.count;
}

enum ql_reason ql_receive_reason(ql_err err)
{
    switch (err) {
    case QL_E_TOO_LARGE: return QL_REASON_TOO_LARGE;
    case QL_E_UNSUPPORTED: return QL_REASON_UNSUPPORTED;
    case QL_E_FULL:
    case QL_E_CLOSED: return QL_REASON_QUEUE_FULL;
    case QL_E_IO: return QL_REASON_DISK_FULL;
    case QL_E_MEMORY: return QL_REASON_MEMORY;
    default: return QL_REASON_MALFORMED;
    }
}

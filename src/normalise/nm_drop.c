#include "normalise/normalise_int.h"

#include <stdio.h>

/* Numbers as in enum ql_door, which stages do not see; a test holds both together. */
static const char *const source_texts[NM_SOURCE_COUNT] = {
    "unknown", "remote_write", "otlp_metrics", "otlp_logs", "otlp_traces", "alerts",
    "changes", "scrape", "command", "outcome", "look_ahead", "derived",
};

const char *nm_source_text(uint32_t source)
{
    return source_texts[source < NM_SOURCE_COUNT ? source : 0];
}

static const char *reason_text(enum nm_reason reason)
{
    static const char *const texts[] = {
#define X(name, text) text,
        NM_REASON_MAP(X)
#undef X
    };
    return texts[reason];
}

void nm_counts_init(struct nm_counts *counts, struct ql_stats *stats, uint32_t shard)
{
    static const char *const rooms[2] = { "peers", "services" };
    *counts = (struct nm_counts){ .stats = stats };
    for (uint32_t room = 0; room < 2; room++) {
        char labels[64];
        (void)snprintf(labels, sizeof(labels), "of=\"%s\",shard=\"%u\"", rooms[room], shard);
        counts->names[room] = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_names",
                                            "Names known, by what they are of.", labels);
        counts->names_retired[room] =
            ql_stats_cell(stats, QL_STAT_COUNTER, "ql_names_retired_total",
                          "Names forgotten after nothing referred to them for long.", labels);
    }
    counts->holes = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_holes_total",
                                  "Silences of series that were made explicit.", "");
}

void nm_drop(struct nm_counts *counts, uint32_t source, enum nm_reason reason, uint64_t count)
{
    source = source < NM_SOURCE_COUNT ? source : 0;
    struct ql_stat_cell **cell = &counts->dropped[source][reason];
    if (*cell == NULL) {
        char labels[96];
        (void)snprintf(labels, sizeof(labels), "source=\"%s\",reason=\"%s\"",
                       nm_source_text(source), reason_text(reason));
        *cell = ql_stats_cell(counts->stats, QL_STAT_COUNTER, "ql_records_dropped_total",
                              "Records that were refused or dropped.", labels);
    }
    ql_stat_add(*cell, (int64_t)count);
}

static void counts_add(struct nm_counts *counts, struct ql_stat_cell **cell, const char *name,
                       const char *help, uint32_t source, uint64_t count)
{
    if (count == 0) {
        return;
    }
    if (*cell == NULL) {
        char labels[64];
        (void)snprintf(labels, sizeof(labels), "source=\"%s\"", nm_source_text(source));
        *cell = ql_stats_cell(counts->stats, QL_STAT_COUNTER, name, help, labels);
    }
    ql_stat_add(*cell, (int64_t)count);
}

void nm_count_accepted(struct nm_counts *counts, uint32_t source, uint64_t samples,
                       uint64_t series)
{
    source = source < NM_SOURCE_COUNT ? source : 0;
    counts_add(counts, &counts->samples[source], "ql_samples_accepted_total",
               "Samples that became points.", source, samples);
    counts_add(counts, &counts->series[source], "ql_series_added_total",
               "Series seen for the first time.", source, series);
}

/* engine_status - what `quell status` and GET /api/v1/status show of the engine. */
#include "engine/engine_int.h"

#include "base/clock.h"
#include "wire/json_out.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static uint64_t status_rss_bytes(void)
{
    unsigned long long size = 0, resident = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    if (file == NULL) {
        return 0;
    }
    if (fscanf(file, "%llu %llu", &size, &resident) != 2) {
        resident = 0;
    }
    (void)fclose(file);
    return resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void status_history(const struct ql_engine *engine, struct ql_json_out *json)
{
    static const struct { const char *key, *metric, *part; } counts[] = {
        { "days", "ql_history_days", "" },
        { "disk_bytes", "ql_history_bytes", "" },
        { "days_removed_by_age", "ql_history_days_removed_total", "age" },
        { "days_removed_by_size", "ql_history_days_removed_total", "size" },
    };
    const int64_t oldest_s = ql_stats_sum(engine->stats, "ql_history_oldest_timestamp_seconds", "");
    ql_json_out_object(json, "history");
    for (size_t i = 0; i < QL_COUNT_OF(counts); i++) {
        ql_json_out_i64(json, counts[i].key,
                        ql_stats_sum(engine->stats, counts[i].metric, counts[i].part));
    }
    if (oldest_s != 0) {
        ql_json_out_time(json, "oldest", ql_time_from_ms(oldest_s * 1000));
    } else {
        ql_json_out_null(json, "oldest");
    }
    ql_json_out_end(json);
}

/* The thread itself is not of the engine: its figures stand beside the others. */
static void status_lookahead(const struct ql_engine *engine, struct ql_json_out *json)
{
    static const struct { const char *key, *metric; } counts[] = {
        { "passes", "ql_lookahead_passes_total" },
        { "failures", "ql_lookahead_failures_total" },
        { "resources", "ql_lookahead_resources" },
        { "pass_resources", "ql_lookahead_pass_resources" },
        { "series_unseen", "ql_lookahead_series_unseen" },
    };
    ql_json_out_object(json, "lookahead");
    for (size_t i = 0; i < QL_COUNT_OF(counts); i++) {
        ql_json_out_i64(json, counts[i].key, ql_stats_sum(engine->stats, counts[i].metric, ""));
    }
    ql_json_out_end(json);
}

static double status_of(struct ql_stats *stats, const char *metric, const char *labels)
{
    return (double)ql_stats_sum(stats, metric, labels);
}

static void status_tenant(struct ql_stats *stats, struct ql_json_out *json, const char *labels,
                          double budget)
{
    const double day = status_of(stats, "ql_detect_tenant_signals_last_day", labels);
    ql_json_out_double(json, "budget_per_day", budget);
    ql_json_out_i64(json, "signals_last_day", (int64_t)day);
    ql_json_out_double(json, "observed_to_nominal", day / budget);
    ql_json_out_double(
        json, "threshold_decades",
        status_of(stats, "ql_detect_tenant_threshold_millidecades", labels) / 1e3);
    ql_json_out_double(
        json, "family_raised_decades",
        status_of(stats, "ql_detect_tenant_family_raised_millidecades", labels) / 1e3);
}

/* A tenant that a reload took away stays a cell, without a budget. */
static void status_tenants(struct ql_stats *stats, struct ql_json_out *json)
{
    enum { SHOWN_MAX = 4 * (1 + QL_CONFIG_TENANTS_MAX) };
    struct ql_stat_shown *shown = malloc(SHOWN_MAX * sizeof(*shown));
    const uint32_t count =
        shown == NULL ? 0
                      : ql_stats_list(stats, "ql_detect_tenant_budget_millisignals_per_day", shown,
                                      SHOWN_MAX);
    ql_json_out_object(json, "tenants");
    for (uint32_t i = 0; i < count; i++) {
        char name[QL_TENANT_NAME_BYTES];
        if (shown[i].value > 0 && sscanf(shown[i].labels, "tenant=\"%63[^\"]", name) == 1) {
            ql_json_out_object(json, name);
            status_tenant(stats, json, shown[i].labels, (double)shown[i].value / 1e3);
            ql_json_out_end(json);
        }
    }
    ql_json_out_end(json);
    free(shown);
}

/* Observed over nominal: 1 is what was promised, with real anomalies counted as false. */
static void status_false_alarms(struct ql_engine *engine, struct ql_json_out *json)
{
    static const struct { const char *name; double p; } levels[] = {
        { "1e-2", 1e-2 }, { "1e-3", 1e-3 }, { "1e-4", 1e-4 }, { "1e-5", 1e-5 }
    };
    struct ql_stats *stats = engine->stats;
    const int64_t points = ql_stats_sum(stats, "ql_detect_tested_points_total", "");
    ql_json_out_object(json, "false_alarms");
    ql_json_out_double(
        json, "budget_per_day",
        (double)ql_stats_sum(stats, "ql_detect_budget_millisignals_per_day", "") / 1e3);
    ql_json_out_i64(json, "signals_last_day", ql_stats_sum(stats, "ql_detect_signals_last_day", ""));
    ql_json_out_i64(json, "tested_points", points);
    ql_json_out_object(json, "observed_to_nominal");
    for (size_t i = 0; i < QL_COUNT_OF(levels); i++) {
        const double nominal = levels[i].p * (double)points;
        if (nominal >= 1.0) { /* before that it would be luck */
            ql_json_out_double(json, levels[i].name,
                               (double)ql_stats_sum(stats, "ql_detect_tested_reached_total",
                                                    levels[i].name) / nominal);
        } else {
            ql_json_out_null(json, levels[i].name);
        }
    }
    ql_json_out_end(json);
    status_tenants(stats, json);
    ql_json_out_end(json);
}

static void status_self_test(struct ql_engine *engine, struct ql_json_out *json)
{
    struct ql_stats *stats = engine->stats;
    const char *tests = "ql_detect_self_tests_total";
    const int64_t found = ql_stats_sum(stats, tests, "found");
    const int64_t found_at_s = ql_stats_sum(stats, "ql_detect_self_test_found_timestamp_seconds", "");
    ql_json_out_object(json, "self_test");
    ql_json_out_i64(json, "found", found);
    ql_json_out_i64(json, "missed", ql_stats_sum(stats, tests, "missed"));
    ql_json_out_i64(json, "broken_off", ql_stats_sum(stats, tests, "broken_off"));
    if (found > 0) {
        ql_json_out_double(json, "last_delay_s",
                           (double)ql_stats_sum(stats, "ql_detect_self_test_delay_milliseconds", "") /
                               1e3);
        ql_json_out_time(json, "last_found", (ql_time){ found_at_s * QL_NS_PER_S });
    } else {
        ql_json_out_null(json, "last_delay_s");
        ql_json_out_null(json, "last_found");
    }
    ql_json_out_end(json);
}

/* Where the memory of a series is; what is in none of these are buffers and the program itself. */
static void status_state_bytes(struct ql_engine *engine, struct ql_json_out *json, int64_t series)
{
    static const struct { const char *key, *part; } parts[] = {
        { "series", "part=\"series\"" }, { "samples", "part=\"samples\"" },
        { "normalise", "part=\"normalise\"" }, { "detect", "part=\"detect\"" },
    };
    ql_json_out_object(json, "state_bytes_per_series");
    for (size_t i = 0; i < QL_COUNT_OF(parts); i++) {
        if (series > 0) {
            const int64_t bytes = ql_stats_sum(engine->stats, "ql_state_bytes", parts[i].part);
            ql_json_out_double(json, parts[i].key, (double)bytes / (double)series);
        } else {
            ql_json_out_null(json, parts[i].key);
        }
    }
    ql_json_out_end(json);
}

/* How far the core is: all that came in before is judged, joined and stored. */
static ql_time status_judged(struct ql_engine *engine)
{
    (void)pthread_mutex_lock(&engine->lock);
    const ql_time judged = engine->core_now;
    (void)pthread_mutex_unlock(&engine->lock);
    return judged;
}

ql_err engine_status(void *host, struct ql_buf *out)
{
    struct ql_engine *engine = host;
    struct ql_json_out json;
    const int64_t series = ql_stats_sum(engine->stats, "ql_series", "");
    const uint64_t rss = status_rss_bytes();
    ql_json_out_init(&json, out);
    ql_json_out_object(&json, NULL);
    ql_json_out_text(&json, "version", QL_VERSION);
    ql_json_out_double(&json, "uptime_s", (double)(ql_clock_mono_ns() - engine->started_ns) / 1e9);
    ql_json_out_time(&json, "now", ql_sequencer_now(engine->sequencer));
    ql_json_out_time(&json, "judged", status_judged(engine));
    ql_json_out_text(&json, "clock", engine->clock_input ? "input" : "wall");
    ql_json_out_bool(&json, "ready", ql_sequencer_healthy(engine->sequencer));
    ql_json_out_i64(&json, "series", series);
    ql_json_out_i64(&json, "series_retired",
                    ql_stats_sum(engine->stats, "ql_series_retired_total", ""));
    ql_json_out_i64(&json, "accepted",
                    ql_stats_sum(engine->stats, "ql_records_accepted_total", ""));
    ql_json_out_i64(&json, "dropped", ql_stats_sum(engine->stats, "ql_records_dropped_total", ""));
    ql_json_out_i64(&json, "signals_opened",
                    ql_stats_sum(engine->stats, "ql_detect_signals_total", "phase=\"open\""));
    ql_json_out_u64(&json, "journal_bytes", ql_sequencer_journal_bytes(engine->sequencer));
    ql_json_out_u64(&json, "rss_bytes", rss);
    if (series > 0) {
        ql_json_out_double(&json, "bytes_per_series", (double)rss / (double)series);
    } else {
        ql_json_out_null(&json, "bytes_per_series");
    }
    status_state_bytes(engine, &json, series);
    ql_json_out_u64(&json, "shards", engine->machine.shard_count);
    status_history(engine, &json);
    status_lookahead(engine, &json);
    status_false_alarms(engine, &json);
    status_self_test(engine, &json);
    ql_json_out_end(&json);
    return ql_buf_check(out);
}


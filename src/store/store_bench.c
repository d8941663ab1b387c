/* store_bench - what a tick costs the core thread, and a question the store.
 *
 *   build/store_store_bench [DIR]     a fresh folder; default a temporary one, removed after
 *
 * 10,000 alerts that are refreshed ten times, 100 in each tick; 20,000 signals; 2,000
 * incidents of 25 members each. CPU seconds of the process, not wall time.
 */
#include "base/clock.h"
#include "store/store.h"
#include "store/store_query.h"
#include "store/store_story.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { ALERTS = 10000, REFRESHES = 10, SIGNALS = 20000, INCIDENTS = 2000, MEMBERS = 25 };

static struct {
    struct ql_store *store;
    struct ql_batch bus;
    uint64_t sequence;
} bench;

static void bench_apply(void)
{
    ++bench.sequence;
    if (ql_store_apply(bench.store, bench.sequence, story_at((uint32_t)bench.sequence),
                       &bench.bus) != QL_OK) {
        (void)fprintf(stderr, "apply failed\n");
        exit(1);
    }
    ql_batch_reset(&bench.bus);
}

static void bench_say(const char *what, int64_t began_ns, uint64_t count)
{
    const double s = (double)(ql_clock_cpu_ns() - began_ns) / 1e9;
    (void)printf("%-44s %10.0f /s   %8.2f us each\n", what, (double)count / s,
                 s * 1e6 / (double)count);
}

static void bench_alerts(void)
{
    const int64_t began_ns = ql_clock_cpu_ns();
    for (uint64_t i = 0; i < (uint64_t)ALERTS * REFRESHES; i++) {
        story_alert(&bench.bus, 3, true);
        bench.bus.alerts.at[bench.bus.alerts.count - 1].id.v = 1 + i % ALERTS;
        if (bench.bus.alerts.count == 100) {
            bench_apply();
        }
    }
    bench_say("alerts, new and refreshed, 100 a tick", began_ns, (uint64_t)ALERTS * REFRESHES);
}

static void bench_signals(void)
{
    const int64_t began_ns = ql_clock_cpu_ns();
    for (uint64_t i = 0; i < SIGNALS; i++) {
        story_signal(&bench.bus, 3, QL_PHASE_OPEN, 40, 6, "40 where 8 to 12 was expected");
        bench.bus.signals.at[bench.bus.signals.count - 1].id.v = 1 + i;
        if (bench.bus.signals.count == 100) {
            bench_apply();
        }
    }
    bench_say("signals, 100 a tick", began_ns, SIGNALS);
}

static void bench_incidents(void)
{
    const int64_t began_ns = ql_clock_cpu_ns();
    for (uint64_t i = 1; i <= INCIDENTS; i++) {
        *ql_batch_add_incident(&bench.bus) = story_incident(3, i);
        for (uint64_t m = 0; m < MEMBERS; m++) {
            story_member(&bench.bus, QL_MEMBER_SIGNAL, 1 + (i * MEMBERS + m) % SIGNALS, 1,
                         QL_TIME_NONE);
            bench.bus.members.at[m].incident.v = i;
        }
        bench_apply();
    }
    bench_say("incidents of 25 members, one a tick", began_ns, INCIDENTS);
}

static void bench_one_alert(void)
{
    enum { TIMES = 2000 };
    const int64_t began_ns = ql_clock_cpu_ns();
    for (uint64_t i = 0; i < TIMES; i++) {
        story_alert(&bench.bus, 3, false);
        bench.bus.alerts.at[0].id.v = 1 + i;
        bench_apply();
    }
    bench_say("one of 10,000 alerts changes, one a tick", began_ns, TIMES);
}

static bool bench_count_incident(void *context, const struct ql_incident_row *row)
{
    *(uint64_t *)context += row->incident.id.v > 0 ? 1 : 0;
    return true;
}
static bool bench_count_member(void *context, const struct ql_member_row *row)
{
    *(uint64_t *)context += row->has_signal ? 1 : 0;
    return true;
}
static bool bench_count_event(void *context, const struct ql_timeline_row *row)
{
    *(uint64_t *)context += row->text.bytes > 0 ? 1 : 0;
    return true;
}

static void bench_queries(const char *dir)
{
    enum { TIMES = 500 };
    const struct ql_incident_filter page = { .since = QL_TIME_NONE, .limit = 100 };
    struct ql_store_reader *reader;
    uint64_t seen = 0;
    ql_err err = ql_store_reader_open(dir, &reader);
    if (err != QL_OK) {
        exit(1);
    }
    int64_t began_ns = ql_clock_cpu_ns();
    for (int i = 0; i < TIMES && err == QL_OK; i++) {
        err = ql_query_incidents(reader, &page, bench_count_incident, &seen);
    }
    bench_say("newest 100 of 2,000 incidents", began_ns, TIMES);
    began_ns = ql_clock_cpu_ns();
    for (uint64_t i = 1; i <= TIMES && err == QL_OK; i++) {
        err = ql_query_members(reader, (ql_id){ i }, bench_count_member, &seen);
        err = err == QL_OK ? ql_query_timeline(reader, (ql_id){ i }, bench_count_event, &seen)
                           : err;
    }
    bench_say("one incident's members and timeline", began_ns, TIMES);
    (void)printf("%llu rows read\n", (unsigned long long)seen);
    ql_store_reader_close(reader);
}

static void bench_remove(const char *dir)
{
    static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm",
                                         "audit.db", "audit.db-wal", "audit.db-shm" };
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        char path[512];
        (void)snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        (void)unlink(path);
    }
    (void)rmdir(dir);
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/ql_store_bench_XXXXXX";
    const char *dir = argc > 1 ? argv[1] : mkdtemp(made);
    struct ql_stats *stats = ql_stats_new(100);
    if (dir == NULL || stats == NULL || ql_store_open(dir, stats, &bench.store) != QL_OK) {
        (void)fprintf(stderr, "cannot open a store in %s\n", dir != NULL ? dir : made);
        return 1;
    }
    ql_batch_init(&bench.bus, (size_t)64 << 20);
    bench_alerts();
    bench_signals();
    bench_incidents();
    bench_one_alert();
    bench_queries(dir);
    ql_store_close(bench.store);
    ql_batch_fini(&bench.bus);
    ql_stats_free(stats);
    if (argc <= 1) {
        bench_remove(dir);
    }
    return 0;
}

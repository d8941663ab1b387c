/* cli_replay.c - `quell replay`: what a day did, and what other settings would have done. */
#include "cli/cli.h"
#include "config/config.h"
#include "engine/replay.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int ql_cli_replay(int argc, char **argv);

struct replay_counts {
    uint64_t signals, incidents_opened, incidents_resolved, actions, alerts;
    bool json, progress;
};

static void replay_incident(const struct ql_incident *incident, ql_time now)
{
    char at[QL_TIME_TEXT_BYTES];
    if (incident->event != QL_INC_GREW) {
        (void)printf("%s  incident %" PRIu64 " %-12s %.*s\n", ql_time_text(now, at), incident->id.v,
                     ql_incident_event_text(incident->event), QL_STR_ARG(incident->title));
    }
}

static void replay_tick(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus)
{
    struct replay_counts *counts = context;
    (void)sequence;
    counts->alerts += bus->alerts.count;
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        counts->signals += bus->signals.at[i].phase == QL_PHASE_OPEN;
    }
    for (uint32_t i = 0; i < bus->actions.count; i++) {
        counts->actions += bus->actions.at[i].dispatch;
    }
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        const struct ql_incident *incident = &bus->incidents.at[i];
        counts->incidents_opened += incident->event == QL_INC_OPENED;
        counts->incidents_resolved += incident->event == QL_INC_RESOLVED;
        if (!counts->json) {
            replay_incident(incident, now);
        }
    }
}

static void replay_progress(void *context, uint64_t records, ql_time now)
{
    const struct replay_counts *counts = context;
    char at[QL_TIME_TEXT_BYTES];
    if (counts->progress) {
        (void)fprintf(stderr, "\r%" PRIu64 " records, %s ", records, ql_time_text(now, at));
    }
}

static void replay_report(const struct ql_replay_result *result, const struct replay_counts *counts)
{
    char first[QL_TIME_TEXT_BYTES], last[QL_TIME_TEXT_BYTES];
    (void)ql_time_text(result->first, first);
    (void)ql_time_text(result->last, last);
    if (counts->json) {
        (void)printf("{\"records\":%" PRIu64 ",\"ticks\":%" PRIu64 ",\"compared\":%" PRIu64
                     ",\"first\":\"%s\",\"last\":\"%s\",\"signals\":%" PRIu64
                     ",\"alerts\":%" PRIu64 ",\"incidents_opened\":%" PRIu64
                     ",\"incidents_resolved\":%" PRIu64 ",\"actions\":%" PRIu64
                     ",\"digest\":\"%016" PRIx64 "\"}\n",
                     result->records, result->ticks, result->compared, first, last,
                     counts->signals, counts->alerts, counts->incidents_opened,
                     counts->incidents_resolved, counts->actions, result->digest);
        return;
    }
    (void)printf("%" PRIu64 " records and %" PRIu64 " ticks, %s to %s\n", result->records,
                 result->ticks, first, last);
    (void)printf("%" PRIu64 " signals, %" PRIu64 " alert changes, %" PRIu64
                 " incidents opened, %" PRIu64 " resolved, %" PRIu64 " actions\n",
                 counts->signals, counts->alerts, counts->incidents_opened,
                 counts->incidents_resolved, counts->actions);
    if (result->compared > 0) {
        (void)printf("%" PRIu64 " ticks compared with what they did then: the same\n",
                     result->compared);
    }
    (void)printf("digest %016" PRIx64 "\n", result->digest);
}

static int replay_go(struct ql_replay_env *env, struct replay_counts *counts)
{
    struct ql_replay_result result;
    struct ql_buf why;
    int status = 0;
    memset(&result, 0, sizeof(result));
    ql_buf_init(&why, 65536);
    env->stats = ql_stats_new(4096);
    const ql_err err = env->stats == NULL ? QL_E_MEMORY : ql_replay_run(env, &result, &why);
    if (counts->progress) {
        (void)fputs("\r\033[K", stderr);
    }
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell replay: %s\n", why.bytes > 0 ? why.at : ql_err_text(err));
        status = err == QL_E_NOT_FOUND ? 2 : 1;
    } else {
        replay_report(&result, counts);
    }
    ql_stats_free(env->stats);
    ql_buf_fini(&why);
    return status;
}

int ql_cli_replay(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' },
        { "from-checkpoint", no_argument, NULL, 'p' },
        { "output", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct replay_counts counts = { .progress = isatty(STDERR_FILENO) != 0 };
    struct ql_replay_env env = { .tick = replay_tick, .progress = replay_progress,
                                 .context = &counts };
    struct ql_buf why;
    int option;
    ql_buf_init(&why, 65536);
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'c') {
            if (ql_config_load(optarg, &env.config, &why) != QL_OK) {
                (void)fprintf(stderr, "%s", why.bytes > 0 ? why.at : optarg);
                ql_buf_fini(&why);
                return 2;
            }
        } else if (option == 'p') {
            env.from_checkpoint = UINT64_MAX;
        } else if (option != 'o') {
            ql_config_free(env.config);
            return ql_cli_usage("replay", false);
        } else if (!ql_cli_table_or_json("replay", optarg, &counts.json)) {
            ql_config_free(env.config);
            return 2;
        }
    }
    ql_buf_fini(&why);
    if (optind + 1 != argc) {
        ql_config_free(env.config);
        return ql_cli_fail("replay", "name one data folder, as given to `quell serve --data`");
    }
    env.data_dir = argv[optind];
    return replay_go(&env, &counts);
}

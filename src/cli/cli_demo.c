/* cli_demo.c - `quell demo`: a shop, a leak, an incident, a guarded fix, in two minutes. */
#include "cli/cli.h"
#include "cli/demo.h"

#include <getopt.h>
#include <inttypes.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int ql_cli_demo(int argc, char **argv);

#define DEMO_LOOK_MS 100
#define DEMO_ASK_EVERY 3      /* looks */
#define DEMO_SETTLE_MS 15000  /* for the engine to work off what the shop sent last */
#define DEMO_REAL_S_MAX 240

struct demo {
    struct demo_plan plan;
    struct demo_run with, without;
    struct demo_story story;
    struct ql_client client;
    bool client_open;
    char folder[DEMO_PATH_BYTES], quell[PATH_MAX], shop[PATH_MAX];
    bool keep, stay, terminal, line_open;
    bool told_begin, told_fault, told_hurt, told_opened, told_cause, told_acted, told_restart,
        told_well, told_resolved;
    int64_t told_hour;
    struct timespec started;
};

static volatile sig_atomic_t demo_interrupted; /* a signal handler has nowhere else to write */

static void demo_on_signal(int number)
{
    demo_interrupted = number;
}

/* ---- saying ------------------------------------------------------------------------------- */

static void demo_say(struct demo *demo, ql_time at, const char *format, ...) QL_PRINTF(3, 4);
static void demo_say(struct demo *demo, ql_time at, const char *format, ...)
{
    char clock[DEMO_CLOCK_BYTES];
    va_list args;
    if (demo->line_open) {
        (void)printf("\r\033[K");
        demo->line_open = false;
    }
    (void)printf("  %s  ", demo_clock(at, clock));
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    (void)fflush(stdout);
}

static double demo_real_s(const struct demo *demo)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - demo->started.tv_sec) +
           (double)(now.tv_nsec - demo->started.tv_nsec) / 1e9;
}

/* Where the shop is now: one line that changes on a terminal, one an hour otherwise. */
static void demo_progress(struct demo *demo)
{
    const struct demo_shop *shop = &demo->with.shop;
    char clock[DEMO_CLOCK_BYTES], line[256];
    if (shop->now.ns == QL_TIME_NONE.ns || demo->with.feeder_done) {
        return;
    }
    (void)snprintf(line, sizeof(line),
                   "%s  p99 %4" PRId64 " ms, %4.1f %% failed, checkout's pool %3" PRId64
                   " of 100, %2" PRId64 " alerts firing",
                   demo_clock(shop->now, clock), shop->p99_ms, shop->failed_ratio * 100,
                   shop->pool_in_use, shop->alerts_firing);
    const int64_t hour = shop->now.ns / (3600 * QL_NS_PER_S);
    if (demo->terminal) {
        (void)printf("\r  %s  (%.0f s)\033[K", line, demo_real_s(demo));
        (void)fflush(stdout);
        demo->line_open = true;
    } else if (hour != demo->told_hour) {
        (void)printf("  %s\n", line);
        (void)fflush(stdout);
    }
    demo->told_hour = hour;
}

static bool demo_once(bool *told, ql_time when)
{
    const bool now = !*told && when.ns != QL_TIME_NONE.ns;
    *told = *told || now;
    return now;
}

static void demo_tell_shop(struct demo *demo)
{
    const struct demo_shop *shop = &demo->with.shop;
    if (demo_once(&demo->told_begin, shop->now)) {
        demo_say(demo, shop->now, "the shop's day begins: 12 services on 4 hosts, all well");
    }
    if (demo_once(&demo->told_fault, shop->fault)) {
        demo_say(demo, shop->fault, "checkout begins to lose database connections; nobody is told");
    }
    if (demo_once(&demo->told_hurt, shop->hurt)) {
        demo_say(demo, shop->hurt, "customers feel it: pages are slow and orders fail");
    }
    if (demo_once(&demo->told_restart, shop->restart)) {
        demo_say(demo, shop->restart, "checkout restarts");
    }
    if (demo_once(&demo->told_well, shop->end.ns != QL_TIME_NONE.ns ? shop->well : QL_TIME_NONE)) {
        demo_say(demo, shop->well, "the shop is well again; %" PRId64 " alerts had fired",
                 shop->alerts_distinct);
    }
}

static void demo_tell_engine(struct demo *demo)
{
    const struct demo_story *story = &demo->story;
    if (story->id != 0 && demo_once(&demo->told_opened, story->opened)) {
        demo_say(demo, story->opened, "Quell opens incident %" PRId64 ": %s", story->id,
                 story->title);
    }
    if (story->cause_entity[0] != '\0' && demo_once(&demo->told_cause, demo->with.shop.now)) {
        demo_say(demo, demo->with.shop.now, "Quell suspects %s %s", story->cause_entity,
                 story->cause_metric);
    }
    if (demo_once(&demo->told_acted, story->acted)) {
        demo_say(demo, story->acted, "Quell runs restart-on-connection-leak, having passed its gates");
    }
    if (demo_once(&demo->told_resolved, story->resolved)) {
        demo_say(demo, story->resolved, "Quell resolves incident %" PRId64, story->id);
    }
}

/* ---- running --------------------------------------------------------------------------------- */

static bool demo_broken(const struct demo *demo)
{
    const bool daemons = demo->with.daemon != 0 && demo->without.daemon != 0;
    if (!daemons) {
        (void)fprintf(stderr, "\nquell demo: a daemon ended by itself; see its log in %s\n",
                      demo->folder);
    } else if (demo_real_s(demo) > DEMO_REAL_S_MAX) {
        (void)fprintf(stderr, "\nquell demo: not done after %d s\n", DEMO_REAL_S_MAX);
    } else {
        return false;
    }
    return true;
}

static bool demo_look(struct demo *demo, uint32_t round)
{
    demo_run_look(&demo->with);
    demo_run_look(&demo->without);
    demo_tell_shop(demo);
    if (round % DEMO_ASK_EVERY == 0) {
        /* A busy daemon may miss one question; the next comes soon. */
        (void)(demo_story_read(&demo->client, &demo->with, &demo->story) == 0);
        demo_tell_engine(demo);
    }
    demo_progress(demo);
    return !demo_interrupted && !demo_broken(demo);
}

/* Until both days are over and the engine has worked off the last of what it was sent. */
static bool demo_watch(struct demo *demo)
{
    int settled_ms = 0;
    for (uint32_t round = 0;; round++) {
        if (!demo_look(demo, round)) {
            return false;
        }
        if (demo->with.feeder_done && demo->without.feeder_done) {
            const bool resolved = strcmp(demo->story.state, "resolved") == 0;
            if ((resolved && demo->told_resolved) || settled_ms >= DEMO_SETTLE_MS) {
                return true;
            }
            settled_ms += DEMO_LOOK_MS;
        }
        demo_sleep_ms(DEMO_LOOK_MS);
    }
}

static int demo_start(struct demo *demo)
{
    char with[DEMO_PATH_BYTES + 16], without[DEMO_PATH_BYTES + 16];
    (void)snprintf(with, sizeof(with), "%s/with", demo->folder);
    (void)snprintf(without, sizeof(without), "%s/without", demo->folder);
    if (demo_run_start(&demo->with, &demo->plan, with, true) != QL_OK ||
        demo_run_start(&demo->without, &demo->plan, without, false) != QL_OK) {
        return 1;
    }
    char verb[] = "demo", option[] = "--url";
    char *argv[] = { verb, option, demo->with.url, NULL };
    const int status = ql_client_open(&demo->client, 3, argv, 0, 0, 0);
    demo->client_open = status == 0;
    return status;
}

static void demo_invite(const struct demo *demo, bool good)
{
    (void)printf("\n%s (%.0f s of ours for %.0f hours of theirs, twice.)\n",
                 good ? "The story came out." : "The story did NOT come out.", demo_real_s(demo),
                 demo->plan.hours);
    if (demo->stay) {
        (void)printf("The page is open at %s until you press Ctrl-C.\n", demo->with.url);
    } else {
        (void)printf("To see this incident on the page: `build/quell demo --stay`. For your own systems: "
                     "`make serve`,\nthen open http://127.0.0.1:9428.\n");
    }
    (void)fflush(stdout);
}

static int demo_finish(struct demo *demo)
{
    if (demo->line_open) {
        (void)printf("\r\033[K");
    }
    if (demo_story_read(&demo->client, &demo->with, &demo->story) != 0 ||
        (demo->story.id != 0 && demo_story_print(&demo->client, &demo->story) != 0)) {
        return 1;
    }
    const bool good = demo_story_check(&demo->with, &demo->without, &demo->story);
    demo_story_worth(&demo->with, &demo->without, &demo->story);
    demo_invite(demo, good);
    while (demo->stay && !demo_interrupted && demo->with.daemon != 0) {
        demo_sleep_ms(DEMO_LOOK_MS);
        demo_run_look(&demo->with);
    }
    return good ? 0 : 1;
}

static void demo_fini(struct demo *demo, int status)
{
    demo_run_fini(&demo->with);
    demo_run_fini(&demo->without);
    if (demo->client_open) {
        ql_client_close(&demo->client);
    }
    if (demo->folder[0] == '\0') {
        return;
    }
    if (demo->keep || (status == 1 && !demo_interrupted)) {
        (void)printf("Kept: %s\n", demo->folder);
    } else if (demo_remove_tree(demo->folder) != QL_OK) {
        (void)fprintf(stderr, "quell demo: could not remove %s\n", demo->folder);
    }
}

/* ---- options ------------------------------------------------------------------------------------ */

static bool demo_find_programs(struct demo *demo, const char *shop)
{
    static const char *const places[] = { "shop", "examples/shop/shop", "../lib/quell/shop" };
    const ssize_t bytes = readlink("/proc/self/exe", demo->quell, sizeof(demo->quell) - 1);
    if (bytes <= 0) {
        return false;
    }
    demo->quell[bytes] = '\0';
    if (shop != NULL) {
        return realpath(shop, demo->shop) != NULL && access(demo->shop, X_OK) == 0;
    }
    const int folder = (int)(strrchr(demo->quell, '/') - demo->quell);
    for (size_t i = 0; i < QL_COUNT_OF(places); i++) {
        char path[PATH_MAX + 64];
        (void)snprintf(path, sizeof(path), "%.*s/%s", folder, demo->quell, places[i]);
        if (realpath(path, demo->shop) != NULL && access(demo->shop, X_OK) == 0) {
            return true;
        }
    }
    return false;
}

static bool demo_number(const char *option, const char *text, double min, double max,
                        double *ret_value)
{
    if (ql_str_to_double(ql_str_of(text), ret_value) == QL_OK && *ret_value >= min &&
        *ret_value <= max) {
        return true;
    }
    (void)ql_cli_fail("demo", "--%s %s: a number from %g to %g is allowed", option, text, min, max);
    return false;
}

static int demo_options(struct demo *demo, int argc, char **argv, const char **ret_shop)
{
    static const struct option options[] = {
        { "shop", required_argument, NULL, 's' }, { "seed", required_argument, NULL, 'r' },
        { "human", required_argument, NULL, 'h' }, { "keep", no_argument, NULL, 'k' },
        { "stay", no_argument, NULL, 't' },       { NULL, 0, NULL, 0 },
    };
    optind = 1;
    for (int option; (option = getopt_long(argc, argv, "", options, NULL)) != -1;) {
        double number = 0;
        switch (option) {
        case 's': *ret_shop = optarg; break;
        case 'k': demo->keep = true; break;
        case 't': demo->stay = true; break;
        case 'r':
            if (!demo_number("seed", optarg, 0, 1e15, &number)) {
                return 2;
            }
            demo->plan.seed = (uint64_t)number;
            break;
        case 'h':
            if (!demo_number("human", optarg, 1, 600, &demo->plan.human_minutes)) {
                return 2;
            }
            break;
        default: return ql_cli_usage("demo", false);
        }
    }
    return optind == argc ? 0 : ql_cli_fail("demo", "unexpected '%s'", argv[optind]);
}

static int demo_prepare(struct demo *demo, int argc, char **argv)
{
    const char *shop = NULL, *temporary = getenv("TMPDIR");
    const int status = demo_options(demo, argc, argv, &shop);
    if (status != 0) {
        return status;
    }
    if (!demo_find_programs(demo, shop)) {
        return ql_cli_fail("demo", "the program `shop` is not beside quell; give --shop PATH");
    }
    (void)snprintf(demo->folder, sizeof(demo->folder), "%s/quell-demo-XXXXXX",
                   temporary != NULL && temporary[0] == '/' ? temporary : "/tmp");
    if (mkdtemp(demo->folder) == NULL) {
        (void)fprintf(stderr, "quell demo: cannot make a folder like %s\n", demo->folder);
        demo->folder[0] = '\0';
        return 1;
    }
    demo->plan.quell = demo->quell;
    demo->plan.shop = demo->shop;
    return 0;
}

int ql_cli_demo(int argc, char **argv)
{
    struct demo demo = { .plan = { .seed = 1, .hours = 6, .human_minutes = 35,
                                  .settle_minutes = 30, .fault_pace_ms = 60 } };
    const struct sigaction on_signal = { .sa_handler = demo_on_signal };
    demo.terminal = isatty(STDOUT_FILENO) == 1;
    demo.with.shop.now = demo.with.shop.fault = QL_TIME_NONE;
    (void)clock_gettime(CLOCK_MONOTONIC, &demo.started);
    int status = demo_prepare(&demo, argc, argv);
    if (status != 0) {
        return status;
    }
    (void)sigaction(SIGINT, &on_signal, NULL);
    (void)sigaction(SIGTERM, &on_signal, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)printf("Two daemons watch the same day of a small shop: one may act, one may not.\n");
    status = demo_start(&demo) == 0 && demo_watch(&demo) ? demo_finish(&demo) : 1;
    if (demo_interrupted) {
        (void)printf("%sInterrupted.\n", demo.line_open ? "\n" : "");
        status = demo.stay && status == 0 ? 0 : 128 + demo_interrupted;
    }
    demo_fini(&demo, status);
    return status;
}

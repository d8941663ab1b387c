/* main.c - runs the shop: a step of its life, what it says about it, and the next. */
#include "alerts.h"
#include "control.h"
#include "otlp.h"
#include "post.h"
#include "series.h"
#include "world.h"

#include <getopt.h>
#include <signal.h>
#include <snappy-c.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char USAGE[] =
    "usage: shop [OPTIONS]                            live, and tell a monitoring daemon\n"
    "       shop --control DIR restart SERVICE        restart a service of a running shop\n"
    "\n"
    "A small web shop of twelve services lives some hours in fast time and sends its metrics\n"
    "(Prometheus remote write), traces (OTLP protobuf), logs (OTLP JSON) and alerts\n"
    "(Alertmanager API) to one address. With --fault leak, checkout starts to lose its\n"
    "database connections.\n"
    "\n"
    "  --url URL           where to send to; default http://127.0.0.1:9428\n"
    "  --seed N            the same seed gives the same day; default 1\n"
    "  --hours H           length of the day; default 6\n"
    "  --fault none|leak   what goes wrong; default none\n"
    "  --fault-at H        when, in hours since the start; default three quarters of the day\n"
    "  --human M           a person restarts checkout M minutes after the first critical\n"
    "                      alert; default 0: nobody does\n"
    "  --settle M          stay M minutes after the shop is well again; default 20\n"
    "  --give-up M         end M minutes after the fault, well or not; default 150\n"
    "  --pace MS           real milliseconds for a step of 15 s; default 0: as fast as the\n"
    "                      daemon accepts\n"
    "  --fault-pace MS     the same from the fault until the end; default 60\n"
    "  --control DIR       a folder for restart requests, status and events\n"
    "  --quiet             no progress\n"
    "  --help\n";

struct shop_options {
    const char *url, *control;
    uint64_t seed;
    double hours, fault_at_hours, human_minutes, settle_minutes, give_up_minutes;
    long pace_ms, fault_pace_ms;
    bool leak, quiet;
};

struct shop_run {
    struct shop_options options;
    struct shop_world world;
    struct shop_alerts alerts;
    struct shop_post *post;
    struct shop_text body, packed;
    int64_t at_ms;              /* the shop's time: the end of the step */
    uint64_t samples, spans, logs, alerts_sent;
    bool healthy;
    int64_t fault_ms, hurt_ms, critical_ms, well_ms; /* 0: not yet */
};

static volatile sig_atomic_t main_stop;

static void main_on_signal(int number)
{
    (void)number;
    main_stop = 1;
}

static void run_send(struct shop_run *run, const char *path, const char *type)
{
    (void)shop_post_send(run->post, &(struct shop_post_request){
        .path = path, .content_type = type, .at = run->body.at, .bytes = run->body.bytes });
}

static void run_send_series(struct shop_run *run)
{
    shop_text_reset(&run->body);
    run->samples += shop_series_write(&run->world, run->at_ms, &run->body);
    size_t bytes = snappy_max_compressed_length(run->body.bytes);
    if (bytes > run->packed.capacity) {
        shop_text_fini(&run->packed);
        run->packed.at = malloc(bytes);
        run->packed.capacity = run->packed.at != NULL ? bytes : 0;
    }
    if (run->packed.at == NULL ||
        snappy_compress(run->body.at, run->body.bytes, run->packed.at, &bytes) != SNAPPY_OK) {
        (void)fprintf(stderr, "shop: cannot compress\n");
        exit(1);
    }
    (void)shop_post_send(run->post, &(struct shop_post_request){
        .path = "/api/v1/write", .content_type = "application/x-protobuf", .encoding = "snappy",
        .header = "X-Prometheus-Remote-Write-Version: 0.1.0", .at = run->packed.at,
        .bytes = bytes });
}

static void run_tell(struct shop_run *run)
{
    run_send_series(run);
    shop_text_reset(&run->body);
    const uint32_t spans = shop_spans_write(&run->world, run->at_ms, &run->body);
    run->spans += spans;
    if (spans > 0) {
        run_send(run, "/v1/traces", "application/x-protobuf");
    }
    shop_text_reset(&run->body);
    run->logs += shop_logs_write(&run->world, run->at_ms, &run->body);
    run_send(run, "/v1/logs", "application/json");
    shop_alerts_judge(&run->alerts, &run->world, run->at_ms);
    shop_text_reset(&run->body);
    const uint32_t alerts = shop_alerts_write(&run->alerts, run->at_ms, &run->body);
    run->alerts_sent += alerts;
    if (alerts > 0) {
        run_send(run, "/api/v2/alerts", "application/json");
    }
}

static void run_restart(struct shop_run *run, uint32_t service, const char *by)
{
    shop_control_event(run->options.control, run->at_ms, "restart service=%s by=%s",
                       shop_services[service].name, by);
    shop_world_restart(&run->world, service);
}

/* Whatever happens to the shop from outside happens between two steps. */
static void run_fate(struct shop_run *run)
{
    const struct shop_options *options = &run->options;
    const double hours = (double)run->world.step * SHOP_STEP_S / 3600;
    if (options->leak && run->fault_ms == 0 && hours >= options->fault_at_hours) {
        run->fault_ms = run->at_ms;
        shop_world_leak(&run->world);
        shop_control_event(options->control, run->at_ms, "fault kind=leak service=checkout");
    }
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        if (shop_control_restart_wanted(options->control, s)) {
            run_restart(run, s, "request");
        }
    }
    const int64_t human_ms = (int64_t)(options->human_minutes * 60000);
    if (human_ms > 0 && run->critical_ms > 0 && run->world.leaking &&
        run->at_ms - run->critical_ms >= human_ms) {
        run_restart(run, SHOP_CHECKOUT, "person");
    }
}

static void run_watch(struct shop_run *run)
{
    const bool healthy = shop_world_healthy(&run->world);
    if (healthy != run->healthy) {
        shop_control_event(run->options.control, run->at_ms, healthy ? "well" : "hurt");
        run->healthy = healthy;
        if (!healthy && run->hurt_ms == 0) {
            run->hurt_ms = run->at_ms;
        }
    }
    const bool well = healthy && !run->world.leaking && run->fault_ms > 0;
    run->well_ms = !well ? 0 : run->well_ms > 0 ? run->well_ms : run->at_ms;
    if (run->critical_ms == 0 && run->alerts.firing > 0 && !healthy) {
        run->critical_ms = run->at_ms;
    }
}

static bool run_over(const struct shop_run *run)
{
    const double hours = (double)run->world.step * SHOP_STEP_S / 3600;
    const bool lost = run->fault_ms > 0 && (double)(run->at_ms - run->fault_ms) >=
                                               run->options.give_up_minutes * 6e4;
    if (main_stop || lost) {
        return true;
    }
    const bool settled = run->well_ms > 0 &&
                         (double)(run->at_ms - run->well_ms) >= run->options.settle_minutes * 6e4;
    return run->options.leak ? settled : hours >= run->options.hours;
}

static void run_say(const struct shop_run *run)
{
    char at[SHOP_TIME_BYTES], line[512];
    const struct shop_service *door = &run->world.service[SHOP_GATEWAY];
    const struct shop_service *checkout = &run->world.service[SHOP_CHECKOUT];
    const struct shop_post_count *count = shop_post_count(run->post);
    shop_time_text(run->at_ms, at);
    (void)snprintf(line, sizeof(line),
                   "now=%s step=%u healthy=%d leaking=%d requests_per_s=%.0f failed_ratio=%.3f "
                   "p99_ms=%.0f pool_in_use=%.0f alerts_firing=%u alerts_distinct=%u "
                   "alerts_sent=%llu samples=%llu spans=%llu logs=%llu refused=%llu",
                   at, run->world.step, run->healthy, run->world.leaking, door->rate, door->failed,
                   door->p99_s * 1000, checkout->pool_in_use, run->alerts.firing,
                   run->alerts.ever, (unsigned long long)run->alerts_sent,
                   (unsigned long long)run->samples, (unsigned long long)run->spans,
                   (unsigned long long)run->logs,
                   (unsigned long long)(count->refused + count->unreachable));
    shop_control_status(run->options.control, line);
    const bool terminal = isatty(STDERR_FILENO) == 1;
    if (run->options.quiet || (!terminal && run->world.step % 120 != 0)) {
        return;
    }
    (void)fprintf(stderr, "%s%.19s  %4.0f req/s  p99 %4.0f ms  failed %4.1f %%  checkout pool %3.0f  "
                          "alerts %2u%s",
                  terminal ? "\r" : "", at, door->rate, door->p99_s * 1000, door->failed * 100,
                  checkout->pool_in_use, run->alerts.firing, terminal ? "\033[K" : "\n");
}

static void run_pause(const struct shop_run *run, struct timespec *due)
{
    const long ms = run->fault_ms > 0 ? run->options.fault_pace_ms : run->options.pace_ms;
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    due->tv_nsec += (ms % 1000) * 1000000;
    due->tv_sec += ms / 1000 + due->tv_nsec / 1000000000;
    due->tv_nsec %= 1000000000;
    const bool late = now.tv_sec > due->tv_sec ||
                      (now.tv_sec == due->tv_sec && now.tv_nsec >= due->tv_nsec);
    if (late) {
        *due = now; /* never hurries to make up for a slow daemon */
    } else {
        (void)clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, due, NULL);
    }
}

static int run_report(const struct shop_run *run)
{
    const struct shop_post_count *count = shop_post_count(run->post);
    if (!run->options.quiet) {
        (void)fprintf(stderr,
                      "%sshop: %llu samples, %llu spans, %llu log lines, %llu alerts (%u distinct) in "
                      "%llu requests; %llu refused, %llu unreachable, %llu retries\n",
                      isatty(STDERR_FILENO) == 1 ? "\n" : "", (unsigned long long)run->samples,
                      (unsigned long long)run->spans, (unsigned long long)run->logs,
                      (unsigned long long)run->alerts_sent, run->alerts.ever,
                      (unsigned long long)count->requests, (unsigned long long)count->refused,
                      (unsigned long long)count->unreachable, (unsigned long long)count->retries);
    }
    if (count->refused > 0) {
        (void)fprintf(stderr, "shop: last refusal: %ld %s\n", count->refused_status,
                      count->refused_text);
    }
    return count->refused + count->unreachable > 0 ? 1 : 0;
}

static int run_all(struct shop_run *run)
{
    struct timespec real, due;
    (void)clock_gettime(CLOCK_REALTIME, &real);
    (void)clock_gettime(CLOCK_MONOTONIC, &due);
    /* The day ends about now, so that what is seen carries today's date. */
    const int64_t now_ms = (int64_t)real.tv_sec * 1000;
    run->at_ms = (now_ms - (int64_t)(run->options.hours * 3.6e6)) / 15000 * 15000;
    run->healthy = true;
    shop_world_init(&run->world, run->options.seed);
    while (!run_over(run)) {
        run_fate(run);
        shop_world_step(&run->world);
        run->at_ms += SHOP_STEP_S * 1000;
        run_tell(run);
        run_watch(run);
        run_say(run);
        if (shop_post_count(run->post)->unreachable >= 20) {
            (void)fprintf(stderr, "\nshop: nobody answers at %s\n", run->options.url);
            break;
        }
        run_pause(run, &due);
    }
    shop_control_event(run->options.control, run->at_ms, "end alerts_distinct=%u",
                       run->alerts.ever);
    return run_report(run);
}

enum { OPT_URL, OPT_SEED, OPT_HOURS, OPT_FAULT, OPT_FAULT_AT, OPT_HUMAN, OPT_SETTLE,
       OPT_GIVE_UP, OPT_PACE, OPT_FAULT_PACE, OPT_CONTROL, OPT_QUIET, OPT_HELP };
static const struct option main_options[] = {
    { "url", required_argument, NULL, OPT_URL },
    { "seed", required_argument, NULL, OPT_SEED },
    { "hours", required_argument, NULL, OPT_HOURS },
    { "fault", required_argument, NULL, OPT_FAULT },
    { "fault-at", required_argument, NULL, OPT_FAULT_AT },
    { "human", required_argument, NULL, OPT_HUMAN },
    { "settle", required_argument, NULL, OPT_SETTLE },
    { "give-up", required_argument, NULL, OPT_GIVE_UP },
    { "pace", required_argument, NULL, OPT_PACE },
    { "fault-pace", required_argument, NULL, OPT_FAULT_PACE },
    { "control", required_argument, NULL, OPT_CONTROL },
    { "quiet", no_argument, NULL, OPT_QUIET },
    { "help", no_argument, NULL, OPT_HELP },
    { 0 },
};

/* A number in [min, max]; exits with usage when it is none. */
static double main_number(const char *option, const char *text, double min, double max)
{
    char *end;
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !(value >= min && value <= max)) {
        (void)fprintf(stderr, "shop: --%s %s: a number from %g to %g is allowed\n", option, text,
                      min, max);
        exit(2);
    }
    return value;
}

static void main_option(struct shop_options *options, int option, const char *text)
{
    switch (option) {
    case OPT_URL: options->url = text; break;
    case OPT_SEED: options->seed = (uint64_t)main_number("seed", text, 0, 9e15); break;
    case OPT_HOURS: options->hours = main_number("hours", text, 0.05, 24 * 60); break;
    case OPT_FAULT_AT: options->fault_at_hours = main_number("fault-at", text, 0, 1440); break;
    case OPT_HUMAN: options->human_minutes = main_number("human", text, 0, 1440); break;
    case OPT_SETTLE: options->settle_minutes = main_number("settle", text, 0, 1440); break;
    case OPT_GIVE_UP: options->give_up_minutes = main_number("give-up", text, 1, 1440); break;
    case OPT_PACE: options->pace_ms = (long)main_number("pace", text, 0, 60000); break;
    case OPT_FAULT_PACE: options->fault_pace_ms = (long)main_number("fault-pace", text, 0, 60000);
        break;
    case OPT_CONTROL: options->control = text; break;
    case OPT_QUIET: options->quiet = true; break;
    case OPT_HELP: (void)fputs(USAGE, stdout); exit(0);
    case OPT_FAULT:
        options->leak = strcmp(text, "leak") == 0;
        if (!options->leak && strcmp(text, "none") != 0) {
            (void)fprintf(stderr, "shop: --fault %s: none or leak is allowed\n", text);
            exit(2);
        }
        break;
    default: (void)fputs(USAGE, stderr); exit(2);
    }
}

int main(int argc, char **argv)
{
    struct shop_run run = { .options = { .url = "http://127.0.0.1:9428", .seed = 1, .hours = 6,
                                         .fault_at_hours = -1, .settle_minutes = 20,
                                         .give_up_minutes = 150, .fault_pace_ms = 60 } };
    for (int option; (option = getopt_long(argc, argv, "", main_options, NULL)) != -1;) {
        main_option(&run.options, option, optarg);
    }
    if (optind < argc) {
        if (argc - optind != 2 || strcmp(argv[optind], "restart") != 0 ||
            run.options.control == NULL) {
            (void)fputs(USAGE, stderr);
            return 2;
        }
        return shop_control_ask_restart(run.options.control, argv[optind + 1]);
    }
    if (run.options.fault_at_hours < 0) {
        run.options.fault_at_hours = run.options.hours * 0.75;
    }
    if (!shop_control_open(run.options.control)) {
        (void)fprintf(stderr, "shop: cannot use the folder %s\n", run.options.control);
        return 1;
    }
    const struct sigaction on_signal = { .sa_handler = main_on_signal };
    (void)sigaction(SIGINT, &on_signal, NULL);
    (void)sigaction(SIGTERM, &on_signal, NULL);
    run.post = shop_post_new(run.options.url);
    const int status = run.post != NULL ? run_all(&run) : 1;
    shop_post_free(run.post);
    shop_text_fini(&run.body);
    shop_text_fini(&run.packed);
    return status;
}

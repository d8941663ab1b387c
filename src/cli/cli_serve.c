/* cli_serve.c - `quell serve`: puts the parts of the daemon together and takes them apart. */
#include "actuator/actuator.h"
#include "api/api.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "cli/cli.h"
#include "cli/notify.h"
#include "config/config.h"
#include "engine/engine.h"
#include "export/export.h"
#include "http/http.h"
#include "lookahead/lookahead.h"
#include "receive/receive.h"
#include "receive/scrape.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <malloc.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <unistd.h>

int ql_cli_serve(int argc, char **argv);

#define SERVE_STAT_CELLS_MAX 16384u
#define SERVE_DRAIN_MS 5000
#define SERVE_OUTCOME_TRIES 60u /* once it stops, in all, 50 ms apart */

struct serve_options { const char *config_path, *data_dir, *listen; bool clock_input; };

struct serve {
    struct serve_options options;
    struct ql_config *config;   /* of the start: listen, data and the actuator keep to it */
    struct ql_config *reloaded; /* the newest that was reloaded; NULL: none yet */
    struct ql_buf yaml;
    struct ql_stats *stats;
    struct ql_engine *engine;
    struct ql_receive *receive;
    struct ql_scraper *scraper;
    struct ql_exporter *exporter;
    struct ql_lookahead *lookahead;
    struct ql_api *api;
    struct ql_actuator *actuator;
    struct ql_http *http;
    struct ql_http_route *routes;
    int lock_fd;
    _Atomic bool stopping;
    uint32_t outcome_tries; /* the actuator's thread's */
};

/* ---- configuration ------------------------------------------------------------------- */

static ql_err serve_read_yaml(struct serve *s)
{
    ql_buf_reset(&s->yaml);
    if (s->options.config_path == NULL) {
        return QL_OK;
    }
    const ql_err err = ql_file_read(s->options.config_path, &s->yaml);
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell serve: %s: %s\n", s->options.config_path, strerror(errno));
    }
    return err;
}

/* What the command line says stands above the file. */
static ql_err serve_config(struct serve *s, struct ql_config **ret_config)
{
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    ql_err err = s->options.config_path == NULL
                     ? ql_config_default(ret_config)
                     : ql_config_parse(ql_buf_view(&s->yaml), s->options.config_path, ret_config,
                                       &why);
    if (err != QL_OK) {
        (void)fwrite(why.at == NULL ? "" : why.at, 1, why.bytes, stderr);
    } else {
        if (s->options.data_dir != NULL) {
            (*ret_config)->data_dir = s->options.data_dir;
        }
        if (s->options.listen != NULL) {
            (*ret_config)->listen = s->options.listen;
        }
    }
    ql_buf_fini(&why);
    return err;
}

/* One daemon a folder: two would write one journal. */
static ql_err serve_lock(struct serve *s)
{
    char path[4096];
    ql_err err = ql_file_make_dirs(s->config->data_dir);
    (void)snprintf(path, sizeof(path), "%s/lock", s->config->data_dir);
    s->lock_fd = err == QL_OK ? open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600) : -1;
    if (s->lock_fd < 0) {
        (void)fprintf(stderr, "quell serve: %s: %s\n", path, strerror(errno));
        return QL_E_IO;
    }
    if (flock(s->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        (void)fprintf(stderr, "quell serve: %s is in use by another quell\n", s->config->data_dir);
        return QL_E_CONFLICT;
    }
    return QL_OK;
}

static void serve_log_setup(const struct ql_config *config)
{
    static const char *const levels[] = { "debug", "info", "warn", "error" };
    enum ql_log_level level = QL_LOG_INFO;
    for (uint32_t i = 0; i < QL_COUNT_OF(levels); i++) {
        if (strcmp(config->log_level, levels[i]) == 0) {
            level = (enum ql_log_level)i;
        }
    }
    ql_log_setup(level, strcmp(config->log_format, "json") == 0 ? QL_LOG_JSON : QL_LOG_LOGFMT);
}

/* ---- the actuator ---------------------------------------------------------------------- */

static ql_err serve_dispatch(void *context, const struct ql_action *action)
{
    const struct serve *s = context;
    return ql_actuator_send(s->actuator, action);
}

/* An outcome is told once: a full queue or disk is waited for, as long as the daemon runs, and a
 * little while it stops. */
static void serve_outcome(void *context, const struct ql_outcome *outcome)
{
    struct serve *s = context;
    ql_err err = ql_engine_outcome(s->engine, outcome);
    while ((err == QL_E_FULL || err == QL_E_IO || err == QL_E_MEMORY) &&
           s->outcome_tries < SERVE_OUTCOME_TRIES) {
        s->outcome_tries += atomic_load(&s->stopping);
        (void)usleep(50000);
        err = ql_engine_outcome(s->engine, outcome);
    }
    if (err != QL_OK) {
        QL_LOG(ERROR, "the outcome of an action could not be journaled",
               QL_LOG_T("error", ql_err_text(err)));
    }
}

/* ---- start ------------------------------------------------------------------------------- */

static ql_err serve_engine(struct serve *s)
{
    struct ql_config *config;
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    ql_err err = serve_config(s, &config); /* the engine takes one, the edges keep one */
    if (err == QL_OK) {
        const struct ql_engine_env env = {
            .config = config, .stats = s->stats, .clock_input = s->options.clock_input,
            .dispatch = serve_dispatch, .context = s,
        };
        err = ql_engine_open(&env, &s->engine, &why);
    }
    if (err != QL_OK && why.bytes > 0) {
        (void)fprintf(stderr, "quell serve: %s\n", why.at);
    }
    ql_buf_fini(&why);
    return err;
}

/* Senders are told what is too far from the wall's time, but not where time comes with samples. */
static void serve_window(struct serve *s, const struct ql_config *config)
{
    if (!s->options.clock_input) {
        ql_receive_set_window(s->receive, config->sample_ahead_s_max, config->sample_behind_s_max);
    }
}

static ql_err serve_edges(struct serve *s)
{
    const struct ql_receive_env receive_env = {
        .accept = ql_engine_accept(s->engine),
        .body_bytes_max = (size_t)s->config->body_bytes_max, .stats = s->stats,
    };
    const struct ql_api_env api_env = {
        .data_dir = s->config->data_dir, .view = ql_engine_view(s->engine), .stats = s->stats,
        .config = s->config,
    };
    const struct ql_actuator_env actuator_env = {
        .data_dir = s->config->data_dir, .outcome = serve_outcome, .context = s,
        .stats = s->stats, .variables = s->config->act_env,
        .variable_count = s->config->act_env_count,
    };
    char why[512] = "";
    ql_err err = ql_receive_new(&receive_env, &s->receive);
    if (err == QL_OK) {
        serve_window(s, s->config);
        err = ql_api_new(&api_env, &s->api, why, sizeof(why));
    }
    if (err == QL_OK) {
        err = ql_actuator_spawn(&actuator_env, &s->actuator);
    }
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell serve: %s\n", why[0] != '\0' ? why : ql_err_text(err));
    }
    return err;
}

static ql_err serve_http(struct serve *s)
{
    char why[256] = "";
    uint32_t door_count, api_count;
    const struct ql_http_route *doors = ql_receive_routes(s->receive, &door_count);
    const struct ql_http_route *faces = ql_api_routes(s->api, &api_count);
    s->routes = calloc(door_count + api_count, sizeof(*s->routes));
    if (s->routes == NULL) {
        return QL_E_MEMORY;
    }
    memcpy(s->routes, doors, door_count * sizeof(*doors));
    memcpy(s->routes + door_count, faces, api_count * sizeof(*faces));
    const struct ql_http_settings settings = {
        .listen = s->config->listen, .threads = s->config->http_threads,
        .connections_max = s->config->connections_max, .idle_s = 120,
        .routes = s->routes, .route_count = door_count + api_count, .stats = s->stats,
    };
    const ql_err err = ql_http_start(&settings, &s->http, why, sizeof(why));
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell serve: %s: %s\n", s->config->listen,
                      why[0] != '\0' ? why : ql_err_text(err));
    }
    return err;
}

static ql_err serve_scraper(struct serve *s)
{
    char why[256] = "";
    const struct ql_scrape_env env = {
        .accept = ql_engine_accept(s->engine),
        .body_bytes_max = (size_t)s->config->body_bytes_max, .stats = s->stats,
    };
    const ql_err err = ql_scrape_start(&env, s->config, &s->scraper, why, sizeof(why));
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell serve: scrapes: %s\n", why[0] != '\0' ? why : ql_err_text(err));
    }
    return err;
}

static ql_err serve_exporter(struct serve *s)
{
    char why[512] = "";
    const struct ql_export_env env = { ql_engine_view(s->engine), s->stats };
    const ql_err err = ql_export_start(&env, s->config, &s->exporter, why, sizeof(why));
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell serve: %s\n", why[0] != '\0' ? why : ql_err_text(err));
    }
    return err;
}

static ql_err serve_lookahead(struct serve *s)
{
    const struct ql_lookahead_env env = {
        .view = ql_engine_view(s->engine), .accept = ql_engine_accept(s->engine),
        .stats = s->stats,
    };
    const ql_err err = ql_lookahead_start(&env, s->config, &s->lookahead);
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell serve: look-ahead: %s\n", ql_err_text(err));
    }
    return err;
}

static ql_err serve_start(struct serve *s)
{
    /* A file that cannot be read is as wrong as what would stand in it. */
    ql_err err = serve_read_yaml(s) == QL_OK ? QL_OK : QL_E_CONFIG;
    if (err == QL_OK) {
        err = serve_config(s, &s->config);
    }
    if (err != QL_OK) {
        return err;
    }
    serve_log_setup(s->config);
    s->stats = ql_stats_new(SERVE_STAT_CELLS_MAX);
    err = s->stats == NULL ? QL_E_MEMORY : serve_lock(s);
    if (err == QL_OK) {
        err = serve_engine(s);
    }
    if (err == QL_OK) {
        err = serve_edges(s);
    }
    if (err == QL_OK) {
        err = ql_engine_start(s->engine);
    }
    if (err == QL_OK) {
        err = serve_http(s);
    }
    if (err == QL_OK) {
        err = serve_scraper(s);
    }
    if (err == QL_OK) {
        err = serve_exporter(s);
    }
    if (err == QL_OK) {
        err = serve_lookahead(s);
    }
    return err;
}

/* ---- while it runs -------------------------------------------------------------------------- */

static const struct ql_config *serve_in_force(const struct serve *s)
{
    return s->reloaded != NULL ? s->reloaded : s->config;
}

/* All that can refuse. The engine is the last of them, as what it took stands in the journal;
 * when it refuses (a full disk) the others are given the old settings again. */
static ql_err serve_take(struct serve *s, const struct ql_config *config, char *why,
                         size_t why_bytes)
{
    char again[256] = "";
    ql_err err = ql_api_token_read(s->api, config, why, why_bytes);
    if (err == QL_OK) {
        err = ql_scrape_reload(s->scraper, config, why, why_bytes);
    }
    if (err != QL_OK) {
        return err;
    }
    err = ql_export_reload(s->exporter, config, why, why_bytes);
    if (err == QL_OK && s->options.config_path != NULL) {
        err = ql_engine_reload(s->engine, ql_buf_view(&s->yaml));
    }
    if (err != QL_OK &&
        (ql_scrape_reload(s->scraper, serve_in_force(s), again, sizeof(again)) != QL_OK ||
         ql_export_reload(s->exporter, serve_in_force(s), again, sizeof(again)) != QL_OK)) {
        QL_LOG(ERROR, "scrapes and remote writes may follow the configuration that was refused",
               QL_LOG_T("reason", again));
    }
    return err;
}

/* All or nothing: only a file without a problem replaces anything. */
static void serve_reload(struct serve *s)
{
    struct ql_config *config = NULL;
    char why[256] = "";
    char reloading[64]; /* the time is asked for by units of Type=notify-reload */
    (void)snprintf(reloading, sizeof(reloading), "RELOADING=1\nMONOTONIC_USEC=%" PRId64,
                   ql_clock_mono_ns() / 1000);
    ql_notify(reloading);
    ql_err err = serve_read_yaml(s);
    if (err == QL_OK) {
        err = serve_config(s, &config);
    }
    if (err == QL_OK) {
        err = serve_take(s, config, why, sizeof(why));
    }
    if (err != QL_OK) {
        QL_LOG(ERROR, "configuration not reloaded; the old one stays in force",
               QL_LOG_T("reason", why[0] != '\0' ? why : ql_err_text(err)));
        ql_config_free(config);
    } else {
        ql_lookahead_reload(s->lookahead, config);
        ql_api_reload(s->api, config);
        serve_window(s, config);
        ql_config_free(s->reloaded); /* nobody reads it any more */
        s->reloaded = config;
        QL_LOG(INFO, "configuration reloaded");
    }
    ql_notify("READY=1");
}

static void serve_run(struct serve *s, const sigset_t *signals)
{
    char address[256];
    (void)snprintf(address, sizeof(address), "%s", s->config->listen);
    char *colon = strrchr(address, ':');
    if (colon != NULL) {
        *colon = '\0';
    }
    QL_LOG(INFO, "ready", QL_LOG_T("address", address), QL_LOG_N("port", ql_http_port(s->http)),
           QL_LOG_T("data", s->config->data_dir), QL_LOG_T("version", QL_VERSION));
    ql_notify("READY=1");
    for (;;) {
        int number = 0;
        if (sigwait(signals, &number) != 0) {
            continue;
        }
        if (number != SIGHUP) {
            QL_LOG(INFO, "stopping", QL_LOG_T("signal", strsignal(number)));
            return;
        }
        serve_reload(s);
    }
}

/* Backwards: first nothing new comes in, then what came in is worked off. */
static void serve_stop(struct serve *s)
{
    ql_notify("STOPPING=1");
    atomic_store(&s->stopping, true);
    ql_lookahead_stop(s->lookahead);
    ql_export_stop(s->exporter);
    if (s->scraper != NULL) {
        ql_scrape_stop(s->scraper);
    }
    if (s->http != NULL) {
        ql_http_stop(s->http, SERVE_DRAIN_MS);
    }
    ql_actuator_stop(s->actuator);
    if (s->engine != NULL) {
        ql_engine_stop(s->engine);
    }
    ql_actuator_free(s->actuator); /* the last ticks of the engine still tried to send */
    ql_scrape_free(s->scraper);
    ql_receive_free(s->receive);
    ql_api_free(s->api);
    ql_engine_free(s->engine);
    ql_stats_free(s->stats);
    ql_config_free(s->reloaded);
    ql_config_free(s->config);
    ql_buf_fini(&s->yaml);
    free(s->routes);
    if (s->lock_fd >= 0) {
        (void)close(s->lock_fd);
    }
}

static bool serve_options(int argc, char **argv, struct serve_options *ret_options)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "data", required_argument, NULL, 'd' },
        { "listen", required_argument, NULL, 'l' }, { "clock", required_argument, NULL, 'k' },
        { NULL, 0, NULL, 0 },
    };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'c': ret_options->config_path = optarg; break;
        case 'd': ret_options->data_dir = optarg; break;
        case 'l': ret_options->listen = optarg; break;
        case 'k':
            if (strcmp(optarg, "input") != 0 && strcmp(optarg, "wall") != 0) {
                (void)ql_cli_fail("serve", "--clock is 'wall' or 'input', not '%s'", optarg);
                return false;
            }
            ret_options->clock_input = optarg[0] == 'i';
            break;
        default: (void)ql_cli_usage("serve", false); return false;
        }
    }
    if (optind != argc) {
        (void)ql_cli_fail("serve", "unexpected '%s'", argv[optind]);
        return false;
    }
    return true;
}

int ql_cli_serve(int argc, char **argv)
{
    struct serve s;
    sigset_t signals;
    memset(&s, 0, sizeof(s));
    s.lock_fd = -1;
    ql_buf_init(&s.yaml, 4 << 20);
    if (!serve_options(argc, argv, &s.options)) {
        return 2;
    }
    /* One heap: threads allocate a few times a request, and malloc_trim() gives back the end of
     * the main heap only, where each of the others would keep the bodies of its largest burst. */
    (void)mallopt(M_ARENA_MAX, 1);
    /* Blocked before any thread starts, so that only sigwait sees them. */
    (void)sigemptyset(&signals);
    (void)sigaddset(&signals, SIGTERM);
    (void)sigaddset(&signals, SIGINT);
    (void)sigaddset(&signals, SIGHUP);
    (void)pthread_sigmask(SIG_BLOCK, &signals, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    const ql_err err = serve_start(&s);
    if (err == QL_OK) {
        serve_run(&s, &signals);
    }
    serve_stop(&s);
    if (err == QL_OK) {
        QL_LOG(INFO, "stopped");
    }
    return err == QL_OK ? 0 : ql_err_class_of(err) == QL_CLASS_CONF ? 2 : 1;
}

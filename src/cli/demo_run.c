#include "cli/demo.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define RUN_READY_MS_MAX 20000
#define RUN_READY_STEP_MS 20
#define RUN_LOG_BYTES_MAX ((size_t)16 << 20)

/* ---- settings ---------------------------------------------------------------------------- */

/* The runbook says nothing of checkout: it is for any service that loses connections. */
static const char RUN_SETTINGS[] =
    "# written by quell demo\n"
    "limits:\n"
    "  sample_behind_max: 30d   # the shop's day began some hours ago\n"
    "engine:\n"
    "  tick: 5s                 # of the shop's time\n"
    "  journal_sync: 0s\n"
    "act:\n"
    "  mode: %s\n"
    "  outcome_grace: 2h        # the shop's time runs a thousand times faster than commands\n"
    "runbooks:\n"
    "  - name: restart-on-connection-leak\n"
    "    entity: service/*\n"
    "    metric: db_connection*\n"
    "    mode: auto\n"
    "    score_min: 0.5\n"
    "    steady: 2m\n"
    "    verify: 15m\n"
    "    steps:\n"
    "      - name: restart\n"
    "        run: [\"%s\", --control, \"%s/shop\", restart, \"{name}\"]\n"
    "        timeout: 30s\n";

static ql_err run_write_settings(const struct demo_run *run, const char *shop, const char *path)
{
    struct ql_buf text;
    ql_buf_init(&text, 16384);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)ql_buf_printf(&text, RUN_SETTINGS, run->acts ? "auto" : "off", shop, run->folder);
#pragma GCC diagnostic pop
    ql_err err = ql_buf_check(&text);
    if (err == QL_OK) {
        err = ql_file_replace(path, ql_buf_view(&text));
    }
    ql_buf_fini(&text);
    return err;
}

/* ---- the daemon's port --------------------------------------------------------------------- */

/* It listens on a free port and says which in its log: level=info msg=ready ... port=40123 */
static bool run_read_port(struct demo_run *run, const char *log_path)
{
    struct ql_buf log;
    bool found = false;
    ql_buf_init(&log, RUN_LOG_BYTES_MAX);
    if (ql_file_read(log_path, &log) == QL_OK && log.bytes > 0) {
        const char *ready = strstr(log.at, "msg=ready");
        const char *port = ready == NULL ? NULL : strstr(ready, " port=");
        const long number = port == NULL ? 0 : strtol(port + 6, NULL, 10);
        if (number > 0 && number < 65536) {
            (void)snprintf(run->url, sizeof(run->url), "http://127.0.0.1:%ld", number);
            found = true;
        }
    }
    ql_buf_fini(&log);
    return found;
}

static void run_show_log(const char *log_path)
{
    struct ql_buf log;
    ql_buf_init(&log, RUN_LOG_BYTES_MAX);
    if (ql_file_read(log_path, &log) == QL_OK) {
        (void)fwrite(log.at, 1, log.bytes < 4096 ? log.bytes : 4096, stderr);
    }
    ql_buf_fini(&log);
}

static ql_err run_start_daemon(struct demo_run *run, const struct demo_plan *plan)
{
    char settings[DEMO_PATH_BYTES + 32], data[DEMO_PATH_BYTES + 32], log[DEMO_PATH_BYTES + 32];
    (void)snprintf(settings, sizeof(settings), "%s/quell.yaml", run->folder);
    (void)snprintf(data, sizeof(data), "%s/data", run->folder);
    (void)snprintf(log, sizeof(log), "%s/daemon.log", run->folder);
    const char *const argv[] = { plan->quell, "serve", "--config", settings, "--data", data,
                                 "--listen", "127.0.0.1:0", "--clock", "input", NULL };
    ql_err err = run_write_settings(run, plan->shop, settings);
    if (err == QL_OK) {
        err = demo_spawn(argv, log, &run->daemon);
    }
    for (int ms = 0; err == QL_OK && !run_read_port(run, log); ms += RUN_READY_STEP_MS) {
        if (demo_ended(&run->daemon, &run->daemon_status) || ms >= RUN_READY_MS_MAX) {
            (void)fprintf(stderr, "quell demo: the daemon did not come up:\n");
            run_show_log(log);
            return QL_E_IO;
        }
        demo_sleep_ms(RUN_READY_STEP_MS);
    }
    return err;
}

static ql_err run_start_feeder(struct demo_run *run, const struct demo_plan *plan)
{
    char control[DEMO_PATH_BYTES + 32], log[DEMO_PATH_BYTES + 32];
    char seed[32], hours[32], human[32], settle[32], limit[32], pace[32];
    (void)snprintf(control, sizeof(control), "%s/shop", run->folder);
    (void)snprintf(log, sizeof(log), "%s/shop.log", run->folder);
    (void)snprintf(seed, sizeof(seed), "%llu", (unsigned long long)plan->seed);
    (void)snprintf(hours, sizeof(hours), "%g", plan->hours);
    (void)snprintf(human, sizeof(human), "%g", run->acts ? 0.0 : plan->human_minutes);
    (void)snprintf(settle, sizeof(settle), "%g", plan->settle_minutes);
    /* Without a fix the day must end too, after the person had their chance. */
    (void)snprintf(limit, sizeof(limit), "%g", plan->human_minutes + 60);
    (void)snprintf(pace, sizeof(pace), "%ld", plan->fault_pace_ms);
    const char *const argv[] = { plan->shop, "--url", run->url, "--seed", seed, "--hours", hours,
                                 "--fault", "leak", "--human", human, "--settle", settle,
                                 "--give-up", limit, "--fault-pace", pace, "--control", control,
                                 NULL };
    return demo_spawn(argv, log, &run->feeder);
}

ql_err demo_run_start(struct demo_run *run, const struct demo_plan *plan, const char *folder,
                      bool acts)
{
    *run = (struct demo_run){ .acts = acts };
    run->shop.now = run->shop.fault = run->shop.hurt = run->shop.restart = QL_TIME_NONE;
    run->shop.well = run->shop.end = QL_TIME_NONE;
    (void)snprintf(run->folder, sizeof(run->folder), "%s", folder);
    if (ql_file_make_dirs(run->folder) != QL_OK) {
        (void)fprintf(stderr, "quell demo: cannot make %s\n", folder);
        return QL_E_IO;
    }
    ql_err err = run_start_daemon(run, plan);
    if (err == QL_OK) {
        err = run_start_feeder(run, plan);
    }
    return err;
}

/* ---- the shop's account ----------------------------------------------------------------------- */

static int64_t run_number(const char *line, const char *key)
{
    const char *at = strstr(line, key);
    return at == NULL ? 0 : strtoll(at + strlen(key), NULL, 10);
}

static void run_read_status(struct demo_run *run, const char *line)
{
    struct demo_shop *shop = &run->shop;
    const char *ratio = strstr(line, " failed_ratio=");
    ql_time now;
    if (strncmp(line, "now=", 4) == 0 && strlen(line) > 28 &&
        ql_str_to_time((ql_str){ line + 4, 24 }, &now) == QL_OK) {
        shop->now = now;
    }
    shop->alerts_firing = run_number(line, " alerts_firing=");
    shop->alerts_distinct = run_number(line, " alerts_distinct=");
    shop->alerts_sent = run_number(line, " alerts_sent=");
    shop->samples = run_number(line, " samples=");
    shop->spans = run_number(line, " spans=");
    shop->logs = run_number(line, " logs=");
    shop->refused = run_number(line, " refused=");
    shop->pool_in_use = run_number(line, " pool_in_use=");
    shop->p99_ms = run_number(line, " p99_ms=");
    shop->failed_ratio = ratio == NULL ? 0.0 : strtod(ratio + 14, NULL);
}

static void run_read_event(struct demo_shop *shop, const char *line)
{
    ql_time at;
    if (strlen(line) < 26 || ql_str_to_time((ql_str){ line, 24 }, &at) != QL_OK) {
        return;
    }
    const char *what = line + 25, *by = strstr(what, " by=");
    if (strncmp(what, "fault", 5) == 0) {
        shop->fault = at;
    } else if (strncmp(what, "hurt", 4) == 0) {
        shop->hurt = shop->hurt.ns == QL_TIME_NONE.ns ? at : shop->hurt;
        shop->well = QL_TIME_NONE;
    } else if (strncmp(what, "well", 4) == 0) {
        shop->well = at;
    } else if (strncmp(what, "restart", 7) == 0 && by != NULL) {
        shop->restart = shop->restart.ns == QL_TIME_NONE.ns ? at : shop->restart;
        (void)snprintf(shop->restart_by, sizeof(shop->restart_by), "%.*s",
                       (int)strcspn(by + 4, "\n"), by + 4);
    } else if (strncmp(what, "end", 3) == 0) {
        shop->end = at;
    }
}

static void run_read_events(struct demo_run *run, struct ql_buf *text)
{
    run->shop.hurt = run->shop.restart = QL_TIME_NONE; /* the file is read from its start */
    for (const char *line = text->at; line != NULL && *line != '\0';) {
        const char *end = strchr(line, '\n');
        if (end == NULL) {
            break; /* still being written */
        }
        run_read_event(&run->shop, line);
        line = end + 1;
    }
}

void demo_run_look(struct demo_run *run)
{
    char path[DEMO_PATH_BYTES + 32];
    struct ql_buf text;
    ql_buf_init(&text, RUN_LOG_BYTES_MAX);
    /* Reaped first: what it wrote last is then read below. */
    run->feeder_done = run->feeder_done || demo_ended(&run->feeder, &run->feeder_status);
    (void)demo_ended(&run->daemon, &run->daemon_status);
    (void)snprintf(path, sizeof(path), "%s/shop/status", run->folder);
    if (ql_file_read(path, &text) == QL_OK && text.bytes > 0) {
        run_read_status(run, text.at);
    }
    ql_buf_reset(&text);
    (void)snprintf(path, sizeof(path), "%s/shop/events", run->folder);
    if (ql_file_read(path, &text) == QL_OK && text.bytes > 0) {
        run_read_events(run, &text);
    }
    ql_buf_fini(&text);
}

void demo_run_fini(struct demo_run *run)
{
    demo_stop(&run->feeder, 2000);
    demo_stop(&run->daemon, 10000);
}

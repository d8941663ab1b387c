/* export.c - receivers from the settings, and their threads. */
#include "export/export.h"

#include "export/export_int.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>

#define DISCOVER_S 60.0
enum { TAILS_ARENA_BYTES = 1 << 20, SERIES_FEW = 1 };

struct ql_exporter {
    struct ql_export_env env;
    struct export_target *targets;
    uint32_t count;
};

/* The list is looked through often while it is empty, so that a new daemon soon sends. */
static void *target_run(void *context)
{
    struct export_target *target = context;
    const struct ql_view *view = target->view;
    double since_list_s = DISCOVER_S;
    do {
        const ql_time now = view->now(view->host);
        if (since_list_s >= DISCOVER_S || target->list.count < SERIES_FEW) {
            since_list_s = 0.0;
            if (export_discover(target, now) != QL_OK) {
                since_list_s = DISCOVER_S; /* the old list serves on until the next try */
            }
        }
        if (!export_turn(target, now)) {
            break;
        }
        since_list_s += target->interval_s;
    } while (ql_wait_for(&target->wait, target->interval_s));
    return NULL;
}

/* ---- receivers ------------------------------------------------------------------------------ */

static void target_stop(struct export_target *target)
{
    if (target->running) {
        ql_wait_stop(&target->wait);
        (void)pthread_join(target->thread, NULL);
        target->running = false;
    }
}

static void target_fini(struct export_target *target)
{
    target_stop(target);
    for (uint32_t i = 0; i < target->label_count; i++) {
        free(target->label_names[i]);
        free(target->label_values[i]);
    }
    free(target->label_names);
    free(target->label_values);
    free(target->url);
    if (target->easy != NULL) {
        curl_easy_cleanup(target->easy);
    }
    ql_selector_fini(&target->selector);
    export_list_fini(&target->list);
    ql_batch_fini(&target->tails);
    ql_remote_write_out_fini(&target->out);
    ql_wait_fini(&target->wait);
}

static void target_stats(struct export_target *target, struct ql_stats *stats)
{
    static const char dropped[] = "ql_records_dropped_total";
    static const char dropped_help[] = "Records that were refused or dropped.";
    static const char requests[] = "ql_remote_write_requests_total";
    static const char requests_help[] = "Requests of remote write out, by result.";
    char url[128], part[160];
    (void)snprintf(url, sizeof(url), "url=\"%.90s\"", target->url);
    for (char *at = url + 5; *at != '\0'; at++) {
        *at = (*at == '"' && at[1] != '\0') || *at == '\\' || *at == '\n' ? '_' : *at;
    }
    struct export_counts *c = &target->counts;
    c->samples = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_remote_write_samples_total",
                               "Samples that receivers of remote write out took.", url);
    c->series = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_remote_write_series",
                              "Series that a receiver of remote write out gets.", url);
    c->lag_s = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_remote_write_lag_seconds",
                             "Age of the oldest series state that a receiver has not got.", url);
    (void)snprintf(part, sizeof(part), "%s,result=\"ok\"", url);
    c->requests = ql_stats_cell(stats, QL_STAT_COUNTER, requests, requests_help, part);
    (void)snprintf(part, sizeof(part), "%s,result=\"retried\"", url);
    c->retries = ql_stats_cell(stats, QL_STAT_COUNTER, requests, requests_help, part);
    (void)snprintf(part, sizeof(part), "%s,result=\"refused\"", url);
    c->refused = ql_stats_cell(stats, QL_STAT_COUNTER, requests, requests_help, part);
    c->dropped_refused = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, dropped_help,
                                       "source=\"remote_write_out\",reason=\"refused\"");
    c->dropped_old = ql_stats_cell(stats, QL_STAT_COUNTER, dropped, dropped_help,
                                   "source=\"remote_write_out\",reason=\"too_old\"");
    c->history_waits = ql_stats_cell(
        stats, QL_STAT_COUNTER, "ql_remote_write_history_waits_total",
        "Turns of a series that was not sent because history did not answer.", url);
    c->series_over = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_remote_write_series_over_total",
                                   "Looks that found more series than series_max.", url);
}

static ql_err target_labels(struct export_target *target, const struct ql_remote_write *from)
{
    target->label_names = calloc(from->label_count + 1, sizeof(*target->label_names));
    target->label_values = calloc(from->label_count + 1, sizeof(*target->label_values));
    if (target->label_names == NULL || target->label_values == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; i < from->label_count; i++) {
        target->label_count++;
        target->label_names[i] = strdup(from->label_names[i]);
        target->label_values[i] = strdup(from->label_values[i]);
        if (target->label_names[i] == NULL || target->label_values[i] == NULL) {
            return QL_E_MEMORY;
        }
    }
    return QL_OK;
}

static ql_err target_init(struct export_target *target, const struct ql_export_env *env,
                          const struct ql_remote_write *from, char *ret_why, size_t why_bytes)
{
    char why[QL_SELECTOR_WHY_BYTES] = "";
    *target = (struct export_target){
        .view = env->view, .bands = from->bands, .scores = from->scores,
        .samples = from->samples, .series_max = from->series_max, .interval_s = from->interval_s,
        .timeout_s = from->timeout_s, .backlog_s = from->backlog_s, .listed = QL_TIME_NONE,
    };
    ql_wait_init(&target->wait);
    ql_batch_init(&target->tails, TAILS_ARENA_BYTES);
    ql_remote_write_out_init(&target->out, QL_EXPORT_REQUEST_BYTES_MAX);
    target->started = env->view->now(env->view->host);
    ql_err err = export_list_init(&target->list, 1);
    target->url = strdup(from->url);
    target->easy = curl_easy_init();
    if (target->easy == NULL) {
        (void)snprintf(ret_why, why_bytes, "remote_write to %.100s: %s", from->url,
                       curl_easy_strerror(CURLE_FAILED_INIT));
    }
    if (err != QL_OK || target->url == NULL || target->easy == NULL) {
        return QL_E_MEMORY;
    }
    err = target_labels(target, from);
    if (err != QL_OK) {
        return err;
    }
    err = ql_selector_parse(ql_str_of(from->match), &target->selector, why);
    if (err != QL_OK) {
        (void)snprintf(ret_why, why_bytes, "remote_write to %.100s: match: '%.100s' is no"
                       " selector: %s", from->url, from->match, why);
        return err == QL_E_MEMORY ? err : QL_E_CONFIG;
    }
    target_stats(target, env->stats);
    return QL_OK;
}

/* ---- all of them -------------------------------------------------------------------------------- */

static void targets_free(struct export_target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        target_fini(&targets[i]);
    }
    free(targets);
}

static ql_err targets_make(const struct ql_export_env *env, const struct ql_config *config,
                           struct export_target **ret_targets, char *ret_why, size_t why_bytes)
{
    struct export_target *targets = calloc(config->remote_write_count + 1, sizeof(*targets));
    ql_err err = targets != NULL ? QL_OK : QL_E_MEMORY;
    uint32_t made = 0;
    while (err == QL_OK && made < config->remote_write_count) {
        err = target_init(&targets[made], env, &config->remote_writes[made], ret_why, why_bytes);
        made++; /* a half made one is taken down too */
    }
    if (err != QL_OK) {
        targets_free(targets, made);
        return err;
    }
    *ret_targets = targets;
    return QL_OK;
}

static ql_err targets_start(struct ql_exporter *exporter)
{
    for (uint32_t i = 0; i < exporter->count; i++) {
        struct export_target *target = &exporter->targets[i];
        target->running = pthread_create(&target->thread, NULL, target_run, target) == 0;
        if (!target->running) {
            return QL_E_MEMORY;
        }
    }
    return QL_OK;
}

ql_err ql_export_start(const struct ql_export_env *env, const struct ql_config *config,
                       struct ql_exporter **ret_exporter, char *ret_why, size_t why_bytes)
{
    struct ql_exporter *exporter = calloc(1, sizeof(*exporter));
    if (exporter == NULL) {
        return QL_E_MEMORY;
    }
    exporter->env = *env;
    ql_err err = targets_make(env, config, &exporter->targets, ret_why, why_bytes);
    if (err == QL_OK) {
        exporter->count = config->remote_write_count;
        err = targets_start(exporter);
    }
    if (err != QL_OK) {
        ql_export_stop(exporter);
        return err;
    }
    *ret_exporter = exporter;
    return QL_OK;
}

/* Who stays under its address keeps what is known of each series. */
static void targets_take_over(struct export_target *new, uint32_t new_count,
                              struct export_target *old, uint32_t old_count)
{
    for (uint32_t i = 0; i < new_count; i++) {
        for (uint32_t k = 0; k < old_count; k++) {
            if (strcmp(new[i].url, old[k].url) == 0 && new[i].series_max >= old[k].list.count) {
                const struct export_list list = new[i].list;
                new[i].list = old[k].list;
                new[i].listed = old[k].listed;
                new[i].history_told = old[k].history_told;
                old[k].list = list;
            }
        }
    }
}

ql_err ql_export_reload(struct ql_exporter *exporter, const struct ql_config *config,
                        char *ret_why, size_t why_bytes)
{
    struct export_target *targets;
    const ql_err err = targets_make(&exporter->env, config, &targets, ret_why, why_bytes);
    if (err != QL_OK) {
        return err;
    }
    for (uint32_t i = 0; i < exporter->count; i++) {
        target_stop(&exporter->targets[i]);
    }
    targets_take_over(targets, config->remote_write_count, exporter->targets, exporter->count);
    targets_free(exporter->targets, exporter->count);
    exporter->targets = targets;
    exporter->count = config->remote_write_count;
    return targets_start(exporter);
}

void ql_export_stop(struct ql_exporter *exporter)
{
    if (exporter != NULL) {
        for (uint32_t i = 0; i < exporter->count; i++) {
            target_stop(&exporter->targets[i]);
        }
        targets_free(exporter->targets, exporter->count);
        free(exporter);
    }
}

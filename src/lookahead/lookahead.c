/* lookahead - a thread, a clock of the engine's time, and findings on their way in. */
#include "lookahead/lookahead.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/wait.h"
#include "config/config.h"
#include "forecast/survey.h"
#include "model/selector.h"
#include "wire/wire.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LOOK_S 1.0                      /* how often the engine's time is looked at */
#define BODY_BYTES_MAX ((size_t)1 << 20)
#define BODY_FINDINGS 256u              /* findings in one input */
#define REST_S_MAX 1.0                  /* longest sleep between two resources */

struct lookahead_cells {
    struct ql_stat_cell *passes, *failed, *resources, *findings, *turned_away, *known;
    struct ql_stat_cell *pass_ms, *done, *last_s, *unseen;
};

struct ql_lookahead {
    struct ql_lookahead_env env;
    struct lookahead_cells cells;
    pthread_t thread;
    bool running;
    struct ql_wait wait;
    /* the thread's own; whoever reloads touches them while there is no thread */
    const struct ql_config *config;
    int64_t last_ns;                    /* when the last pass began, by the engine's time */
    uint32_t turn;                      /* where the next pass begins */
    uint32_t skip;                      /* with more resources than a survey keeps: where it does */
    struct ql_buf body;
    uint32_t body_count;
};

/* ---- findings on their way in ---------------------------------------------------------- */

static ql_err body_submit(struct ql_lookahead *l, ql_time now)
{
    const struct ql_accept *accept = l->env.accept;
    const struct ql_wire_limits limits = { .body_bytes_max = BODY_BYTES_MAX };
    const struct ql_wire_input in = { .door = QL_DOOR_FINDING, .format = QL_FORMAT_OWN,
                                      .accepted = now, .origin = { "", 0 },
                                      .body = ql_buf_view(&l->body) };
    struct ql_reject reject = { 0 };
    struct ql_batch *batch = accept->batch_take(accept->host);
    if (batch == NULL) {
        return QL_E_FULL;
    }
    ql_err err = ql_wire_decode(&in, &limits, batch, &reject);
    if (err != QL_OK) {
        accept->batch_give_back(accept->host, batch);
        return err;
    }
    const struct ql_submission submission = {
        .door = QL_DOOR_FINDING, .format = QL_FORMAT_OWN, .accepted = now,
        .origin = in.origin, .bytes = in.body, .batch = batch };
    return accept->submit(accept->host, &submission);
}

static void body_flush(struct ql_lookahead *l, ql_time now)
{
    if (l->body_count > 0) {
        const ql_err err = ql_buf_check(&l->body) != QL_OK ? QL_E_FULL : body_submit(l, now);
        ql_stat_add(err == QL_OK ? l->cells.findings : l->cells.turned_away, l->body_count);
    }
    ql_buf_reset(&l->body);
    l->body_count = 0;
}

static enum ql_finding_kind finding_kind(const struct ql_surveyed *pair)
{
    if (pair->source == QL_SURVEY_DISK) {
        return QL_FINDING_DISK;
    }
    if (pair->capacity.rule == QL_CAPACITY_FULL) {
        return QL_FINDING_FULL;
    }
    return pair->source == QL_SURVEY_EXPIRY ? QL_FINDING_EXPIRY : QL_FINDING_AHEAD;
}

static void finding_add(struct ql_lookahead *l, const struct ql_surveyed *pair)
{
    const struct ql_capacity *c = &pair->capacity;
    const enum ql_finding_kind kind = finding_kind(pair);
    struct ql_finding finding = {
        .series = pair->series->id, .labels = pair->series->labels,
        .limit_name = pair->limit_name, .kind = kind, .at = pair->at, .used = pair->used,
        .limit = pair->limit, .full = c->full, .horizon_s = pair->horizon_s,
        .early_s = c->early_s, .middle_s = c->middle_s, .late_s = c->late_s,
        .tests = c->tests, .right = c->right };
    _Static_assert(QL_COUNT_OF(finding.smart) == QL_COUNT_OF(pair->smart), "five counters");
    memcpy(finding.smart, pair->smart, sizeof(finding.smart));
    if (c->rule == QL_CAPACITY_UNKNOWN || !isfinite(pair->used) || !isfinite(pair->limit)) {
        return; /* nothing is claimed */
    }
    (void)ql_wire_finding_write(&finding, &l->body);
    l->body_count++;
}

/* ---- a pass ----------------------------------------------------------------------------- */

/* Works out its share of the resources; rests after each as long as that one took. */
static bool pass_judge(struct ql_lookahead *l, struct ql_survey *s, ql_time now)
{
    const uint32_t count = s->pair_count < l->config->forecast_series_max
                               ? s->pair_count : l->config->forecast_series_max;
    const bool windowed = s->pairs_found > s->pair_count;
    uint32_t at = s->pair_count > 0 && !windowed ? l->turn % s->pair_count : 0;
    ql_stat_set(l->cells.known, s->pairs_found);
    for (uint32_t i = 0; i < count; i++, at = (at + 1) % s->pair_count) {
        const int64_t began_ns = ql_clock_mono_ns();
        struct ql_surveyed *pair = &s->pairs[at];
        if (ql_survey_judge(s, pair) != QL_OK) {
            ql_stat_add(l->cells.failed, 1);
        } else if (pair->judged) {
            finding_add(l, pair);
        }
        ql_stat_add(l->cells.resources, 1);
        ql_stat_set(l->cells.done, i + 1);
        if (l->body_count == BODY_FINDINGS) {
            body_flush(l, now);
        }
        const double took_s = (double)(ql_clock_mono_ns() - began_ns) * 1e-9;
        if (!ql_wait_for(&l->wait, took_s < REST_S_MAX ? took_s : REST_S_MAX)) {
            return false;
        }
    }
    l->turn = windowed ? 0 : at;
    l->skip = windowed && s->skip + count < s->pairs_found ? s->skip + count : 0;
    body_flush(l, now);
    return true;
}

/* What a survey has no room for is never looked at: said once, and shown. */
static void pass_unseen(struct ql_lookahead *l, const struct ql_survey *s)
{
    const int64_t known = ql_stats_sum(l->env.stats, "ql_series", "");
    const int64_t unseen = s->found_count == QL_SURVEY_SERIES_MAX && known > s->found_count
                               ? known - s->found_count : 0;
    if (unseen > 0 && ql_stat_get(l->cells.unseen) == 0) {
        QL_LOG(WARN, "the look-ahead does not look at all series",
               QL_LOG_N("series_unseen", unseen), QL_LOG_N("series_max", QL_SURVEY_SERIES_MAX));
    }
    ql_stat_set(l->cells.unseen, unseen);
}

/* *ret_whole: it came to its end, and was not broken off by a reload or a stop. */
static ql_err pass_run(struct ql_lookahead *l, ql_time now, bool *ret_whole)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector all;
    struct ql_survey survey;
    const int64_t began_ns = ql_clock_mono_ns();
    *ret_whole = true;
    ql_err err = ql_selector_parse(QL_STR("{}"), &all, why);
    if (err != QL_OK) {
        return err;
    }
    err = ql_survey_open(l->env.view, l->config, l->config->forecast_horizon_s, &survey);
    if (err == QL_OK) {
        survey.skip = l->skip;
        survey.expiry_horizon_s = l->config->forecast_expiry_horizon_s > survey.horizon_s
                                      ? l->config->forecast_expiry_horizon_s : survey.horizon_s;
        err = ql_survey_find(&survey, &all);
        pass_unseen(l, &survey);
        *ret_whole = err != QL_OK || pass_judge(l, &survey, now);
        if (err == QL_OK && *ret_whole) {
            ql_stat_add(l->cells.passes, 1);
            ql_stat_set(l->cells.pass_ms, (ql_clock_mono_ns() - began_ns) / 1000000);
            ql_stat_set(l->cells.last_s, now.ns / QL_NS_PER_S);
        }
        ql_survey_close(&survey);
    }
    ql_selector_fini(&all);
    return err;
}

static void lookahead_look(struct ql_lookahead *l)
{
    const ql_time now = l->env.view->now(l->env.view->host);
    const int64_t every_ns = (int64_t)(l->config->forecast_every_s * 1e9);
    const bool due = l->last_ns == INT64_MIN || now.ns - l->last_ns >= every_ns;
    bool whole;
    if (!l->config->forecast_enabled || now.ns == QL_TIME_NONE.ns || !due) {
        return;
    }
    const ql_err err = pass_run(l, now, &whole);
    if (err != QL_OK) {
        ql_stat_add(l->cells.failed, 1);
        QL_LOG(WARN, "a pass of the look-ahead failed", QL_LOG_T("reason", ql_err_text(err)));
    }
    l->last_ns = whole ? now.ns : l->last_ns; /* one that was broken off is due as it was */
}

static void *lookahead_run(void *context)
{
    struct ql_lookahead *l = context;
    /* Where the system has priorities of threads; without them it runs as the others do. */
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19);
    do {
        lookahead_look(l);
    } while (ql_wait_for(&l->wait, LOOK_S));
    return NULL;
}

/* ---- life -------------------------------------------------------------------------------- */

static void lookahead_cells(struct lookahead_cells *c, struct ql_stats *stats)
{
    static const char findings[] = "ql_lookahead_findings_total";
    static const char findings_help[] = "Findings of the look-ahead, by what became of them.";
    c->passes = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_lookahead_passes_total",
                              "Passes of the look-ahead that came to their end.", "");
    c->failed = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_lookahead_failures_total",
                              "Resources and passes that could not be worked out.", "");
    c->resources = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_lookahead_resources_total",
                                 "Resources with a limit that were looked at.", "");
    c->known = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_lookahead_resources",
                             "Resources with a limit that the newest pass found.", "");
    c->unseen = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_lookahead_series_unseen",
                              "Known series that the newest pass had no room to look at.", "");
    c->done = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_lookahead_pass_resources",
                            "Resources that the running or newest pass has done.", "");
    c->pass_ms = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_lookahead_pass_milliseconds",
                               "How long the newest whole pass took, with its rests.", "");
    c->last_s = ql_stats_cell(stats, QL_STAT_GAUGE, "ql_lookahead_last_pass_timestamp_seconds",
                              "The engine's time at the begin of the newest whole pass.", "");
    c->findings = ql_stats_cell(stats, QL_STAT_COUNTER, findings, findings_help,
                                "result=\"accepted\"");
    c->turned_away = ql_stats_cell(stats, QL_STAT_COUNTER, findings, findings_help,
                                   "result=\"refused\"");
}

static void lookahead_free(struct ql_lookahead *l)
{
    ql_buf_fini(&l->body);
    ql_wait_fini(&l->wait);
    free(l);
}

ql_err ql_lookahead_start(const struct ql_lookahead_env *env, const struct ql_config *config,
                          struct ql_lookahead **ret_lookahead)
{
    struct ql_lookahead *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return QL_E_MEMORY;
    }
    l->env = *env;
    l->config = config;
    l->last_ns = INT64_MIN;
    ql_buf_init(&l->body, BODY_BYTES_MAX);
    ql_wait_init(&l->wait);
    lookahead_cells(&l->cells, env->stats);
    if (pthread_create(&l->thread, NULL, lookahead_run, l) != 0) {
        lookahead_free(l);
        return QL_E_MEMORY;
    }
    l->running = true;
    *ret_lookahead = l;
    return QL_OK;
}

static void lookahead_end(struct ql_lookahead *l)
{
    ql_wait_stop(&l->wait);
    if (l->running) {
        (void)pthread_join(l->thread, NULL);
        l->running = false;
    }
}

/* A pass may still read the settings of before, so the thread is ended at its next resource
 * and started again with the new ones. */
void ql_lookahead_reload(struct ql_lookahead *l, const struct ql_config *config)
{
    lookahead_end(l);
    l->config = config;
    ql_buf_reset(&l->body);
    l->body_count = 0;
    ql_wait_resume(&l->wait);
    l->running = pthread_create(&l->thread, NULL, lookahead_run, l) == 0;
    if (!l->running) {
        QL_LOG(ERROR, "the look-ahead could not be started again");
    }
}

void ql_lookahead_stop(struct ql_lookahead *l)
{
    if (l != NULL) {
        lookahead_end(l);
        lookahead_free(l);
    }
}

/* lookahead - survey, submit, wait. */
#include "lookahead/lookahead.h"

#include "base/clock.h"
#include "base/log.h"
#include "lookahead/survey.h"
#include "wire/wire.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOOK_BYTES_MAX ((size_t)16 << 20)
enum { LOOK_NICE = 10 };

struct ql_lookahead {
    struct ql_lookahead_env env;
    double every_s, horizon_s;      /* under lock */
    uint32_t resources_max;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    pthread_t thread;
    bool running, stopping, changed;
    struct ql_stat_cell *done, *failed, *resources, *left_out, *last_ms;
};

/* ---- one look ----------------------------------------------------------------------- */

static bool look_stopping(struct ql_lookahead *l)
{
    (void)pthread_mutex_lock(&l->lock);
    const bool stopping = l->stopping;
    (void)pthread_mutex_unlock(&l->lock);
    return stopping;
}

static struct ql_outlook look_outlook(const struct ql_survey *s, const struct ql_limited *pair)
{
    const struct ql_capacity *c = &pair->capacity;
    return (struct ql_outlook){
        .series = pair->series->id,
        .entity = pair->series->entity,
        .metric = ql_survey_name(pair->series),
        .labels = pair->series->labels,
        .at = s->end,
        .horizon = { (int64_t)(s->horizon_s * 1e9) },
        .used = pair->used,
        .limit = pair->limit,
        .full = c->full < 0.0 ? 0.0 : c->full > 1.0 ? 1.0 : c->full,
        .early = ql_survey_time(s, c->early_s),
        .middle = ql_survey_time(s, c->middle_s),
        .late = ql_survey_time(s, c->late_s),
        .tests = c->tests,
        .right = c->right < c->tests ? c->right : c->tests,
    };
}

/* Everything that was judged goes in: also that something is no longer likely. */
static ql_err look_submit(struct ql_lookahead *l, struct ql_survey *s)
{
    const struct ql_accept *accept = l->env.accept;
    struct ql_buf bytes;
    struct ql_batch *batch = accept->batch_take(accept->host);
    uint32_t count = 0;
    ql_err err = batch != NULL ? QL_OK : QL_E_FULL;
    ql_buf_init(&bytes, LOOK_BYTES_MAX);
    for (uint32_t i = 0; i < s->pair_count && err == QL_OK; i++) {
        const struct ql_limited *pair = &s->pairs[i];
        if (!pair->judged || pair->capacity.rule == QL_CAPACITY_UNKNOWN) {
            continue;
        }
        const struct ql_outlook outlook = look_outlook(s, pair);
        err = ql_wire_outlook_write(&outlook, &bytes);
        if (err == QL_OK) {
            err = ql_batch_copy_outlook(batch, &outlook);
        }
        count++;
    }
    ql_stat_set(l->resources, count);
    if (err == QL_OK && count > 0) {
        const struct ql_submission submission = {
            .door = QL_DOOR_OUTLOOK, .format = QL_FORMAT_OWN, .accepted = s->end,
            .bytes = ql_buf_view(&bytes), .batch = batch,
        };
        batch->source = QL_DOOR_OUTLOOK;
        err = accept->submit(accept->host, &submission);
    } else if (batch != NULL) {
        accept->batch_give_back(accept->host, batch);
    }
    ql_buf_fini(&bytes);
    return err;
}

static ql_err look_judge(struct ql_lookahead *l, struct ql_survey *s)
{
    ql_err err = ql_survey_find(s, NULL, 0);
    for (uint32_t i = 0; i < s->pair_count && err == QL_OK; i++) {
        if (look_stopping(l)) {
            return QL_E_CLOSED;
        }
        err = ql_survey_judge(s, &s->pairs[i]);
    }
    return err == QL_OK ? look_submit(l, s) : err;
}

static void look_once(struct ql_lookahead *l)
{
    struct ql_survey survey;
    (void)pthread_mutex_lock(&l->lock);
    const uint32_t most = l->resources_max;
    const double horizon_s = l->horizon_s;
    (void)pthread_mutex_unlock(&l->lock);
    const int64_t start_ns = ql_clock_mono_ns();
    ql_err err = ql_survey_open(&survey, l->env.view, most, horizon_s);
    if (err == QL_OK) {
        err = look_judge(l, &survey);
        ql_stat_add(l->left_out, survey.more);
    }
    ql_survey_close(&survey);
    ql_stat_set(l->last_ms, (ql_clock_mono_ns() - start_ns) / 1000000);
    if (err == QL_E_CLOSED) {
        return;
    }
    ql_stat_add(err == QL_OK ? l->done : l->failed, 1);
    if (err != QL_OK) {
        QL_LOG(WARN, "looking ahead failed; tried again at the next turn",
               QL_LOG_T("reason", ql_err_text(err)));
    }
}

/* ---- the thread --------------------------------------------------------------------- */

/* False when it is time to end. A changed interval counts from now. */
static bool look_wait(struct ql_lookahead *l)
{
    (void)pthread_mutex_lock(&l->lock);
    bool due = false;
    while (!l->stopping && !due) {
        l->changed = false;
        const int64_t until_ns = ql_clock_mono_ns() + (int64_t)(l->every_s * 1e9);
        const struct timespec until = { .tv_sec = until_ns / QL_NS_PER_S,
                                        .tv_nsec = until_ns % QL_NS_PER_S };
        while (!l->stopping && !l->changed && !due) {
            if (l->every_s > 0.0) {
                due = pthread_cond_timedwait(&l->wake, &l->lock, &until) == ETIMEDOUT;
            } else {
                (void)pthread_cond_wait(&l->wake, &l->lock);
            }
        }
    }
    const bool going = !l->stopping;
    (void)pthread_mutex_unlock(&l->lock);
    return going;
}

static void *look_run(void *context)
{
    struct ql_lookahead *l = context;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), LOOK_NICE);
    while (look_wait(l)) {
        look_once(l);
    }
    return NULL;
}

static void look_settings(struct ql_lookahead *l, const struct ql_config *config)
{
    l->every_s = config->forecast_every_s;
    l->horizon_s = config->forecast_horizon_s;
    l->resources_max = config->forecast_resources_max;
}

ql_err ql_lookahead_start(const struct ql_lookahead_env *env, const struct ql_config *config,
                          struct ql_lookahead **ret_lookahead)
{
    static const char looks[] = "ql_lookahead_looks_total";
    static const char looks_help[] = "Looks ahead at everything with a limit, by result.";
    pthread_condattr_t clock;
    struct ql_lookahead *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return QL_E_MEMORY;
    }
    l->env = *env;
    look_settings(l, config);
    l->done = ql_stats_cell(env->stats, QL_STAT_COUNTER, looks, looks_help, "result=\"ok\"");
    l->failed = ql_stats_cell(env->stats, QL_STAT_COUNTER, looks, looks_help,
                              "result=\"failed\"");
    l->resources = ql_stats_cell(env->stats, QL_STAT_GAUGE, "ql_lookahead_resources",
                                 "Series with a limit that the last look could judge.", "");
    l->left_out = ql_stats_cell(env->stats, QL_STAT_COUNTER, "ql_lookahead_left_out_total",
                                "Looks that left series out: more than resources_max.", "");
    l->last_ms = ql_stats_cell(env->stats, QL_STAT_GAUGE, "ql_lookahead_last_milliseconds",
                               "How long the last look took.", "");
    (void)pthread_condattr_init(&clock);
    (void)pthread_condattr_setclock(&clock, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&l->lock, NULL);
    (void)pthread_cond_init(&l->wake, &clock);
    (void)pthread_condattr_destroy(&clock);
    l->running = pthread_create(&l->thread, NULL, look_run, l) == 0;
    if (!l->running) {
        ql_lookahead_stop(l);
        return QL_E_MEMORY;
    }
    *ret_lookahead = l;
    return QL_OK;
}

void ql_lookahead_reload(struct ql_lookahead *l, const struct ql_config *config)
{
    (void)pthread_mutex_lock(&l->lock);
    look_settings(l, config);
    l->changed = true;
    (void)pthread_cond_broadcast(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
}

void ql_lookahead_stop(struct ql_lookahead *l)
{
    if (l == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&l->lock);
    l->stopping = true;
    (void)pthread_cond_broadcast(&l->wake);
    (void)pthread_mutex_unlock(&l->lock);
    if (l->running) {
        (void)pthread_join(l->thread, NULL);
    }
    (void)pthread_cond_destroy(&l->wake);
    (void)pthread_mutex_destroy(&l->lock);
    free(l);
}

#include "engine/backtest.h"

#include "base/clock.h"
#include "engine/backtest_int.h"
#include "store/history.h"
#include "store/store_query.h"

#include <stdlib.h>

enum {
    ARENA_BYTES_MAX = 64 << 20,
    SERIES_IN_A_DAY = 1000,      /* more series: shorter windows */
    WINDOW_S_MIN = 3600,
    DAY_S = 86400
};

/* ---- what is driven ---------------------------------------------------------------------- */

struct backtest_cursor { uint32_t first, count, next; }; /* into the window's samples */

struct backtest {
    const struct ql_backtest_env *env;
    struct ql_backtest_result *result;
    struct ql_buf *why;
    struct backtest_known known;
    struct ql_machine machines[QL_BACKTEST_SIDES];
    struct ql_stats *stats[QL_BACKTEST_SIDES];
    struct ql_batch window;      /* samples of all series, series after series */
    struct ql_batch feed;
    struct backtest_cursor *cursors;
};

/* What comes of cells is no sample. Behind the last of them all are. */
static void window_leave_out(struct backtest *b, uint32_t first, ql_time cells_until)
{
    struct ql_sample *at = b->window.samples.at;
    uint32_t i = first;
    while (i < b->window.samples.count && at[i].at.ns < cells_until.ns) {
        i++;
    }
    const uint32_t left = b->window.samples.count - i;
    memmove(at + first, at + i, left * sizeof(*at));
    b->result->cells_left_out += i - first;
    b->window.samples.count = first + left;
}

/* One series' samples of the window; what is cells, or in memory only, is told apart. */
static ql_err window_series(struct backtest *b, uint32_t i, ql_time from, ql_time to)
{
    const struct ql_series_info *info = &b->known.series[i];
    const uint32_t first = b->window.samples.count;
    ql_time cells_until = QL_TIME_NONE;
    ql_err err = ql_history_peek(b->env->data_dir, info->id, from, to, &b->window, &cells_until);
    if (err == QL_OK && cells_until.ns != QL_TIME_NONE.ns) {
        window_leave_out(b, first, cells_until);
    }
    err = err == QL_OK ? backtest_known_tail(&b->known, info->id, from, to, first, &b->window) : err;
    b->cursors[i] = (struct backtest_cursor){ first, b->window.samples.count - first, first };
    b->result->samples += b->cursors[i].count;
    return err;
}

static ql_err window_read(struct backtest *b, ql_time from, ql_time to)
{
    ql_err err = QL_OK;
    ql_batch_reset(&b->window);
    for (uint32_t i = 0; i < b->known.count && err == QL_OK; i++) {
        err = window_series(b, i, from, to);
    }
    return err;
}

/* ---- one side ------------------------------------------------------------------------------ */

static void side_incident(struct backtest *b, struct ql_backtest_side *side,
                          const struct ql_incident *incident)
{
    if (incident->event != QL_INC_OPENED) {
        return;
    }
    side->incidents++;
    if (side->row_count < QL_BACKTEST_ROWS_MAX) {
        side->rows[side->row_count++] = (struct ql_backtest_row){
            .onset = incident->onset, .opened = incident->opened, .resolved = QL_TIME_NONE,
            .entity = incident->entity, .title = ql_arena_str(&b->result->texts, incident->title),
            .id = incident->id.v };
    }
}

static void side_tick(struct backtest *b, enum ql_backtest_which which, ql_time now)
{
    struct ql_backtest_side *side = &b->result->sides[which];
    const struct ql_batch *bus = ql_machine_tick(&b->machines[which], now);
    if (now.ns < b->result->from.ns) {
        return;
    }
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        side->signals += bus->signals.at[i].phase == QL_PHASE_OPEN;
    }
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        side_incident(b, side, &bus->incidents.at[i]);
    }
}

/* The samples in (.., until] that were not given yet, as a door would have decoded them. */
static ql_err feed_fill(struct backtest *b, ql_time until)
{
    ql_batch_reset(&b->feed);
    for (uint32_t i = 0; i < b->known.count; i++) {
        struct backtest_cursor *c = &b->cursors[i];
        const uint32_t begin = c->next, end = c->first + c->count;
        while (c->next < end && b->window.samples.at[c->next].at.ns <= until.ns) {
            c->next++;
        }
        if (c->next == begin) {
            continue;
        }
        struct ql_run *run = ql_batch_add_run(&b->feed);
        const uint32_t first = b->feed.samples.count;
        struct ql_sample *to = ql_batch_more_samples(&b->feed, c->next - begin);
        if (run == NULL || to == NULL) {
            return QL_E_FULL;
        }
        memcpy(to, b->window.samples.at + begin, (c->next - begin) * sizeof(*to));
        const struct ql_series_info *info = &b->known.series[i];
        *run = (struct ql_run){ .raw = ql_hash128_of(info->labels.at, info->labels.bytes),
                                .labels = info->labels, .sample_first = first,
                                .sample_count = c->next - begin, .type = info->type };
    }
    return QL_OK;
}

static ql_err side_step(struct backtest *b, enum ql_backtest_which which, ql_time now)
{
    const int64_t began_ns = ql_clock_cpu_ns();
    ql_err err = QL_OK;
    b->feed.sequence = ++b->machines[which].sequence;
    b->feed.accepted = now;
    if (b->feed.runs.count > 0) {
        err = ql_machine_input(&b->machines[which], now, &b->feed);
    }
    side_tick(b, which, now);
    b->result->sides[which].cpu_s += (double)(ql_clock_cpu_ns() - began_ns) / 1e9;
    return err;
}

/* A stage writes into the batch that it is given, so each side gets it fresh. */
static ql_err window_run(struct backtest *b, ql_time from, ql_time to)
{
    ql_err err = QL_OK;
    for (int side = 0; side < QL_BACKTEST_SIDES && err == QL_OK; side++) {
        for (uint32_t i = 0; i < b->known.count; i++) {
            b->cursors[i].next = b->cursors[i].first;
        }
        for (ql_time now = ql_time_add(from, QL_BACKTEST_STEP); err == QL_OK;
             now = ql_time_add(now, QL_BACKTEST_STEP)) {
            now = now.ns > to.ns ? to : now;
            err = feed_fill(b, now);
            err = err == QL_OK ? side_step(b, (enum ql_backtest_which)side, now) : err;
            if (now.ns >= to.ns) {
                break;
            }
        }
    }
    return err;
}

static ql_err backtest_windows(struct backtest *b)
{
    const uint32_t shorter = b->known.count / SERIES_IN_A_DAY + 1;
    const int64_t window_s = DAY_S / shorter > WINDOW_S_MIN ? DAY_S / shorter : WINDOW_S_MIN;
    const ql_time begin = b->result->learnt_from, end = b->result->to;
    ql_err err = QL_OK;
    for (ql_time from = begin; from.ns < end.ns && err == QL_OK;) {
        ql_time to = ql_time_add(from, QL_S(window_s));
        to = to.ns > end.ns ? end : to;
        /* Bounds of reads are closed: the first instant belongs to the window before. */
        const ql_time open = from.ns == begin.ns ? from : (ql_time){ from.ns + 1 };
        err = window_read(b, open, to);
        if (b->result->samples == 0) { /* before the first sample there is nothing to learn */
            b->result->learnt_from = to;
        } else if (err == QL_OK) {
            err = window_run(b, from, to);
        }
        if (b->env->progress != NULL) {
            b->env->progress(b->env->context,
                             (double)(to.ns - begin.ns) / (double)(end.ns - begin.ns), to);
        }
        from = to;
    }
    return err;
}

/* ---- life ------------------------------------------------------------------------------------ */

static ql_err backtest_open(struct backtest *b)
{
    struct ql_config *configs[QL_BACKTEST_SIDES] = { b->env->running, b->env->config };
    ql_err err = backtest_known_open(b->env->data_dir, &b->known, b->why);
    if (err == QL_OK && configs[QL_BACKTEST_RUNNING] == NULL) {
        err = backtest_running_config(b->env->data_dir, &b->known, &configs[QL_BACKTEST_RUNNING],
                                      b->why);
    }
    for (int i = 0; i < QL_BACKTEST_SIDES && err == QL_OK; i++) {
        struct ql_backtest_side *side = &b->result->sides[i];
        b->stats[i] = ql_stats_new(4096);
        side->rows = calloc(QL_BACKTEST_ROWS_MAX, sizeof(*side->rows));
        err = b->stats[i] == NULL || side->rows == NULL ? QL_E_MEMORY : QL_OK;
        if (err == QL_OK) {
            err = ql_machine_open(&b->machines[i], configs[i], b->stats[i]);
            configs[i] = NULL; /* taken, also on error */
        }
    }
    for (int i = 0; i < QL_BACKTEST_SIDES; i++) {
        ql_config_free(configs[i]);
    }
    b->cursors = err == QL_OK ? calloc((size_t)b->known.count + 1, sizeof(*b->cursors)) : NULL;
    return err == QL_OK && b->cursors == NULL ? QL_E_MEMORY : err;
}

static void backtest_close(struct backtest *b)
{
    for (int i = 0; i < QL_BACKTEST_SIDES; i++) {
        if (b->machines[i].core != NULL) {
            ql_machine_close(&b->machines[i]);
        }
        ql_stats_free(b->stats[i]);
    }
    backtest_known_close(&b->known);
    ql_batch_fini(&b->window);
    ql_batch_fini(&b->feed);
    free(b->cursors);
}

ql_err ql_backtest_run(const struct ql_backtest_env *env, struct ql_backtest_result *ret_result,
                       struct ql_buf *ret_why)
{
    memset(ret_result, 0, sizeof(*ret_result));
    ql_arena_init(&ret_result->texts, ARENA_BYTES_MAX);
    struct backtest *b = calloc(1, sizeof(*b));
    if (b == NULL) {
        ql_config_free(env->running);
        ql_config_free(env->config);
        return QL_E_MEMORY;
    }
    b->env = env;
    b->result = ret_result;
    b->why = ret_why;
    ql_batch_init(&b->window, 1);
    ql_batch_init(&b->feed, ARENA_BYTES_MAX);
    ql_err err = backtest_open(b);
    if (err == QL_OK) {
        ret_result->series = b->known.count;
        ret_result->to = b->known.newest;
        ret_result->from = ql_time_add(ret_result->to, (ql_duration){ -env->since.ns });
        ret_result->learnt_from =
            ql_time_add(ret_result->from, (ql_duration){ -QL_BACKTEST_LEARN.ns });
        err = backtest_windows(b);
    }
    if (err == QL_OK && ret_result->samples == 0) {
        (void)ql_buf_printf(ret_why, "%s: history has no samples in that time", env->data_dir);
        err = QL_E_NOT_FOUND;
    }
    err = err == QL_OK ? backtest_compare(env->data_dir, ret_result) : err;
    backtest_close(b);
    free(b);
    return err;
}

void ql_backtest_fini(struct ql_backtest_result *result)
{
    for (int i = 0; i < QL_BACKTEST_SIDES; i++) {
        free(result->sides[i].rows);
    }
    free(result->recorded);
    ql_arena_fini(&result->texts);
    memset(result, 0, sizeof(*result));
}

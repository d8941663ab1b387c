/* offline_detect - the batch verb's work: rows in, one judgement a row out.
 *
 * The score of a row of one series says how odd the row is and whether that is news: what
 * passes the fading memory of the last odd row lies above 0.5, the rest below. So a
 * threshold on the score finds onsets, and the order below it still says how odd. The more
 * often a series had news lately, the less each is worth: one threshold then asks about
 * equally much of a series that is often odd and of one that hardly ever is.
 */
#include "engine/offline_detect.h"

#include "detect/dt_judge.h"
#include "detect/fusion.h"
#include "engine/offline_table.h"
#include "math/fastlog.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

_Static_assert(QL_TABLE_COLUMNS_MAX == QL_FUSION_METRICS_MAX + 1u, "every column can be fused");
#define SCORE_HALF 15.0f         /* evidence that stands in the middle of the scale */
#define FUSED_HALF 3.0f          /* fused score that does */
#define NEWS_LEAST 10.0f         /* sum of surprises under which nothing is news */
#define NEWS_MARGIN 1.25f        /* of the memory of the last news, that new ones must pass */
#define NEWS_POINTS 100.0f       /* it fades by 1/e in this many rows ... */
#define NEWS_MORE 0.5f           /* ... and this share more for each news before */
#define NEWS_HABIT_POINTS 5000.0f /* the count of those fades by 1/e in this many */

struct offline_verdict {
    bool judged, opened;
    float score;
    uint32_t lead;
    double expected, lower, upper;
};

struct offline {
    const struct ql_offline_detect *in;
    struct ql_buf *out;
    struct ql_offline_table table;
    bool has_last;
    ql_time last_at;
    double step_ms;
    float memory, habit;         /* of the last news, and how many there were lately */
    struct ql_dt_judge judge;
    struct ql_fusion *fusion;    /* NULL for one series */
    struct ql_dt_series fused;   /* the life of the fused signal */
    uint64_t printed;
};

/* ---- reading -------------------------------------------------------------------- */

/* The usual distance of rows so far: short ones count at once, long ones a little. */
static void offline_step(struct offline *o)
{
    if (o->has_last) {
        const double gap = ql_duration_s(ql_time_since(o->table.at, o->last_at)) * 1000.0;
        if (gap > 0.0 && (o->step_ms <= 0.0 || gap < o->step_ms)) {
            o->step_ms += (o->step_ms <= 0.0 ? 1.0 : 0.3) * (gap - o->step_ms);
        } else if (gap > o->step_ms && gap < 2.0 * o->step_ms) {
            o->step_ms += 0.02 * (gap - o->step_ms);
        }
    }
    o->has_last = true;
    o->last_at = o->table.at;
}

/* QL_E_NOT_FOUND after the last row. */
static ql_err offline_row(struct offline *o)
{
    const ql_err err = ql_offline_table_row(&o->table);
    if (err == QL_OK) {
        offline_step(o);
    }
    return err;
}

static void offline_rewind(struct offline *o)
{
    ql_offline_table_rewind(&o->table);
    o->has_last = false;
}

/* ---- judging -------------------------------------------------------------------- */

static uint32_t offline_step_ms(const struct offline *o)
{
    return o->step_ms < 1.0 ? 0 : (o->step_ms > 4e9 ? UINT32_MAX : (uint32_t)(o->step_ms + 0.5));
}

static float offline_scale(float x, float half)
{
    return x > 0.0f ? x / (x + half) : 0.0f;
}

/* News lies above one half: what is clearly stranger than the fading memory of the last. */
static float offline_news(struct offline *o, const struct ql_dt_verdict *v)
{
    o->habit *= 1.0f - 1.0f / NEWS_HABIT_POINTS;
    if (v->sum >= NEWS_LEAST && v->sum > NEWS_MARGIN * o->memory) {
        const float worth = v->sum / (1.0f + ql_logf(1.0f + o->habit));
        o->memory = v->sum;
        o->habit += 1.0f;
        return 0.5f + 0.5f * offline_scale(worth, SCORE_HALF);
    }
    o->memory *= 1.0f - 1.0f / (NEWS_POINTS * (1.0f + NEWS_MORE * o->habit));
    return 0.5f * offline_scale(v->sum > v->evidence ? v->sum : v->evidence, SCORE_HALF);
}

static void offline_single(struct offline *o, struct offline_verdict *ret)
{
    *ret = (struct offline_verdict){ 0 };
    if (isnan(o->table.values[0])) {
        return;
    }
    const struct ql_dt_input in = { o->table.at.ns, o->table.values[0], offline_step_ms(o), true };
    struct ql_dt_verdict v;
    const enum ql_dt_change change = ql_dt_judge_value(&o->judge, 0, 0, &in, &v);
    if (v.judged) {
        ret->judged = true;
        ret->opened = change == QL_DT_OPENED;
        ret->score = offline_news(o, &v);
        ret->expected = v.expected;
        ret->lower = v.lower;
        ret->upper = v.upper;
    }
}

static void offline_fused(struct offline *o, bool learn, struct offline_verdict *ret)
{
    struct ql_fusion_verdict f;
    *ret = (struct offline_verdict){ 0 };
    ql_fusion_step(o->fusion, o->table.values, learn, &f);
    if (!f.judged) {
        return;
    }
    const struct ql_dt_verdict v = {
        .judged = true, .evidence = f.score, .evidence_surprise = f.surprise
    };
    ret->judged = true;
    o->fused.last_ns = o->table.at.ns;
    const struct ql_dt_input in = { .at_ns = o->table.at.ns, .step_ms = offline_step_ms(o) };
    const struct ql_dt_rule *rule = ql_dt_judge_rule(&o->judge, 0, QL_DT_OF_GROUPS);
    ret->opened = ql_dt_signal_step(&o->fused, rule, &in, &v) == QL_DT_OPENED;
    ret->score = offline_scale(f.score, FUSED_HALF);
    ret->lead = f.lead;
    ret->expected = f.expected;
    ret->lower = f.lower;
    ret->upper = f.upper;
}

static void offline_judge(struct offline *o, bool learn, struct offline_verdict *ret)
{
    ql_dt_judge_threshold(&o->judge);
    if (o->fusion != NULL) {
        offline_fused(o, learn, ret);
    } else {
        offline_single(o, ret);
    }
}

static void offline_progress(const struct offline *o, const char *what)
{
    if (o->in->progress != NULL) {
        o->in->progress(what, (uint64_t)(o->table.csv.at - o->in->text.at), o->in->text.bytes);
    }
}

/* ---- rows known to be normal ---------------------------------------------------- */

enum offline_pass { PASS_LEARN, PASS_SETTLE, PASS_COUNT };

static void offline_train_row(struct offline *o, enum offline_pass pass)
{
    struct offline_verdict v;
    if (o->fusion == NULL) {
        if (pass == PASS_LEARN) {
            offline_judge(o, true, &v);
        }
    } else if (pass == PASS_LEARN) {
        ql_fusion_learn(o->fusion, o->table.values);
    } else {
        ql_fusion_settle(o->fusion, o->table.values);
    }
}

static ql_err offline_train(struct offline *o)
{
    for (enum offline_pass pass = PASS_LEARN; pass < PASS_COUNT; pass++) {
        offline_rewind(o);
        for (uint64_t row = 0; row < o->in->train_rows; row++) {
            const ql_err err = offline_row(o);
            if (err == QL_E_NOT_FOUND) {
                break;
            }
            if (err != QL_OK) {
                return err;
            }
            offline_train_row(o, pass);
            offline_progress(o, "learning");
        }
        if (pass == PASS_LEARN && o->fusion != NULL) {
            ql_fusion_fit(o->fusion);
        }
    }
    /* What was odd in rows that are normal is not carried over. */
    o->judge.states[0].flags = 0;
    o->judge.states[0].evidence = o->judge.states[0].peak = 0.0f;
    o->memory = o->habit = 0.0f;
    offline_rewind(o);
    return QL_OK;
}

/* ---- writing -------------------------------------------------------------------- */

static void write_csv(struct offline *o, const struct offline_verdict *v)
{
    (void)ql_csv_put(o->out, o->table.fields[0]);
    (void)ql_buf_printf(o->out, ",%.6f,%d,", (double)v->score, v->opened);
    if (v->judged) {
        (void)ql_csv_put(o->out, o->table.names[v->lead]);
        (void)ql_buf_printf(o->out, ",%.7g,%.7g,%.7g\n", v->expected, v->lower, v->upper);
    } else {
        (void)ql_buf_text(o->out, ",,,\n");
    }
}

static void write_json(struct offline *o, const struct offline_verdict *v)
{
    (void)ql_buf_text(o->out, o->printed == 0 ? "[\n{\"time\":" : ",\n{\"time\":");
    ql_offline_put_text(o->out, o->table.fields[0]);
    (void)ql_buf_printf(o->out, ",\"score\":%.6f,\"anomaly\":%d", (double)v->score, v->opened);
    if (v->judged) {
        (void)ql_buf_text(o->out, ",\"series\":");
        ql_offline_put_text(o->out, o->table.names[v->lead]);
        (void)ql_buf_printf(o->out, ",\"expected\":%.7g,\"lower\":%.7g,\"upper\":%.7g",
                            v->expected, v->lower, v->upper);
    }
    (void)ql_buf_char(o->out, '}');
}

static void write_row(struct offline *o, const struct offline_verdict *v)
{
    if (o->in->json) {
        write_json(o, v);
    } else {
        write_csv(o, v);
    }
    o->printed++;
}

/* ---- the whole ------------------------------------------------------------------ */

static ql_err offline_open(struct offline *o, struct ql_buf *why)
{
    ql_err err = ql_offline_table_init(&o->table, o->in->text, o->in->shown_name, why);
    if (err == QL_OK) {
        err = ql_dt_judge_init(&o->judge, 1, o->in->signals_per_day);
    }
    if (err == QL_OK && o->table.series_count > 1) {
        err = ql_fusion_new(o->table.series_count, &o->fusion);
    }
    return err;
}

static ql_err offline_rows(struct offline *o)
{
    for (uint64_t row = 0;; row++) {
        const ql_err err = offline_row(o);
        if (err != QL_OK) {
            return err == QL_E_NOT_FOUND ? QL_OK : err;
        }
        struct offline_verdict v;
        offline_judge(o, row >= o->in->train_rows, &v);
        write_row(o, &v);
        offline_progress(o, "judging");
        if (o->out->failed) {
            return ql_buf_check(o->out);
        }
    }
}

ql_err ql_offline_detect(const struct ql_offline_detect *in, struct ql_buf *out,
                         struct ql_buf *why)
{
    struct offline o = { .in = in, .out = out };
    ql_err err = offline_open(&o, why);
    if (err == QL_OK && in->train_rows > 0) {
        err = offline_train(&o);
    }
    if (err == QL_OK) {
        (void)ql_buf_text(out, in->json ? "" : "time,score,anomaly,series,expected,lower,upper\n");
        err = offline_rows(&o);
    }
    if (err == QL_OK && in->json) {
        (void)ql_buf_text(out, o.printed == 0 ? "[]\n" : "\n]\n");
        err = ql_buf_check(out);
    }
    ql_fusion_free(o.fusion);
    ql_dt_judge_fini(&o.judge);
    ql_offline_table_fini(&o.table);
    return err;
}

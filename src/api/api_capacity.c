/* api_capacity - when will what has a limit be full? Soonest first.
 *
 * What has a limit, and how it is worked out, is survey.h's business.
 */
#include "api/api_int.h"
#include "config/config.h"
#include "forecast/survey.h"
#include "model/selector.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SHOWN_MAX = 200, WHY_BYTES_MAX = 65536 };

static ql_str name_of(const struct ql_series_info *info)
{
    return ql_labels_get(info->labels, QL_STR("__name__"));
}

/* Likely first, then soon, then disks by their score, then by labels, which series_find sorted. */
static int pair_order(const void *a, const void *b)
{
    const struct ql_surveyed *x = a, *y = b;
    if (x->judged != y->judged) {
        return x->judged ? -1 : 1;
    }
    if (x->capacity.full != y->capacity.full) {
        return x->capacity.full > y->capacity.full ? -1 : 1;
    }
    if (x->capacity.middle_s != y->capacity.middle_s) {
        return x->capacity.middle_s < y->capacity.middle_s ? -1 : 1;
    }
    if (x->source == QL_SURVEY_DISK && y->source == QL_SURVEY_DISK && x->used != y->used) {
        return x->used > y->used ? -1 : 1;
    }
    return x->series != y->series ? (x->series < y->series ? -1 : 1)
                                  : ql_str_cmp(x->limit_name, y->limit_name);
}

/* ---- the answer --------------------------------------------------------------------- */

static ql_time time_in(const struct ql_survey *s, double seconds)
{
    return isfinite(seconds) ? (ql_time){ s->end.ns + (int64_t)(seconds * 1e9) } : QL_TIME_NONE;
}

static void pair_why(struct ql_json_out *w, const struct ql_survey *s,
                     const struct ql_surveyed *pair)
{
    const struct ql_capacity *c = &pair->capacity;
    char early[QL_TIME_TEXT_BYTES], late[QL_TIME_TEXT_BYTES], right[64] = "";
    if (c->tests > 0) {
        (void)snprintf(right, sizeof(right), "; right %u of %u times", c->right, c->tests);
    }
    if (pair->source == QL_SURVEY_DISK) {
        struct ql_buf text;
        ql_buf_init(&text, WHY_BYTES_MAX);
        ql_smart_say(pair->series->labels, pair->smart, &text);
        ql_json_out_str(w, "why", ql_buf_view(&text));
        ql_buf_fini(&text);
    } else if (pair->source == QL_SURVEY_EXPIRY) {
        ql_json_out_printf(w, "why", "ends at %s%s",
                           ql_time_text(time_in(s, c->middle_s), early), right);
    } else if (c->rule == QL_CAPACITY_UNKNOWN) {
        ql_json_out_text(w, "why", "less than three days or clean-up cycles are known");
    } else if (c->rule == QL_CAPACITY_FULL) {
        ql_json_out_printf(w, "why", "%.3g %% full", 100.0 * pair->used / pair->limit);
    } else if (!isfinite(c->early_s)) {
        ql_json_out_printf(w, "why", "not full within a year%s", right);
    } else if (!isfinite(c->late_s)) {
        ql_json_out_printf(w, "why", "not full before %s, 90 %%%s",
                           ql_time_text(time_in(s, c->early_s), early), right);
    } else {
        ql_json_out_printf(w, "why", "full between %s and %s, 80 %%%s",
                           ql_time_text(time_in(s, c->early_s), early),
                           ql_time_text(time_in(s, c->late_s), late), right);
    }
}

static const char *pair_rule(const struct ql_surveyed *pair)
{
    static const char *const rules[] = {
        [QL_CAPACITY_UNKNOWN] = "unknown", [QL_CAPACITY_TREND] = "trend",
        [QL_CAPACITY_RECENT] = "recent", [QL_CAPACITY_FAST] = "fast", [QL_CAPACITY_FULL] = "full",
    };
    if (pair->source == QL_SURVEY_DISK) {
        return "disk";
    }
    return pair->source == QL_SURVEY_EXPIRY ? "expiry" : rules[pair->capacity.rule];
}

static void pair_write(struct ql_json_out *w, const struct ql_survey *s,
                       const struct ql_surveyed *pair)
{
    const struct ql_capacity *c = &pair->capacity;
    ql_json_out_object(w, NULL);
    api_json_series(w, "id", pair->series->id);
    ql_json_out_str(w, "metric", name_of(pair->series));
    ql_json_out_str(w, "limit_metric", pair->limit_name);
    api_json_labels(w, "labels", pair->series->labels, false);
    ql_json_out_str(w, "entity", pair->series->entity);
    ql_json_out_double(w, "used", pair->used);
    ql_json_out_double(w, "limit", pair->limit);
    ql_json_out_text(w, "rule", pair_rule(pair));
    ql_json_out_double(w, "full", c->full);
    ql_json_out_time(w, "early", time_in(s, c->early_s));
    ql_json_out_time(w, "middle", time_in(s, c->middle_s));
    ql_json_out_time(w, "late", time_in(s, c->late_s));
    ql_json_out_double(w, "horizon_s", pair->horizon_s);
    ql_json_out_double(w, "growth_per_day", c->growth_per_day);
    ql_json_out_u64(w, "tests", c->tests);
    ql_json_out_u64(w, "right", c->right);
    pair_why(w, s, pair);
    ql_json_out_end(w);
}

static void survey_answer(struct ql_survey *s, uint32_t shown_max, struct ql_http_request *request)
{
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    uint32_t shown = 0;
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < s->pair_count && i < SHOWN_MAX && err == QL_OK; i++) {
        err = ql_survey_judge(s, &s->pairs[i]);
    }
    const uint32_t count = s->pair_count < SHOWN_MAX ? s->pair_count : SHOWN_MAX;
    s->more |= count < s->pair_count;
    qsort(s->pairs, count, sizeof(s->pairs[0]), pair_order);
    api_answer_init(&answer);
    ql_json_out_object(w, NULL);
    ql_json_out_double(w, "horizon_s", s->horizon_s);
    ql_json_out_array(w, "limits");
    for (uint32_t i = 0; i < count && s->pairs[i].judged; i++) {
        if (shown == shown_max) {
            s->more = true;
            break;
        }
        pair_write(w, s, &s->pairs[i]);
        shown++;
    }
    ql_json_out_end(w);
    ql_json_out_bool(w, "more", s->more);
    ql_json_out_end(w);
    api_answer_send(&answer, request, err);
}

static bool survey_find(struct ql_survey *s, struct ql_http_request *request)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    ql_str text = ql_http_param(request, "match[]");
    text = text.bytes > 0 ? text : ql_http_param(request, "match");
    text = text.bytes > 0 ? text : QL_STR("{}");
    if (ql_selector_parse(text, &selector, why) != QL_OK) {
        ql_http_fail(request, 400, "match[]: '%.*s' is no selector: %s", QL_STR_ARG(text), why);
        return false;
    }
    const ql_err err = ql_survey_find(s, &selector);
    ql_selector_fini(&selector);
    if (err != QL_OK) {
        api_fail(request, err, "the engine did not answer");
    }
    return err == QL_OK;
}

void api_capacity_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    (void)id;
    struct ql_survey s;
    uint32_t shown_max;
    double horizon_s;
    if (!api_param_u32(request, "limit", 1, SHOWN_MAX, 20, &shown_max) ||
        !api_param_horizon(request, &horizon_s)) {
        return;
    }
    (void)pthread_rwlock_rdlock(&api->config_lock);
    if (ql_survey_open(api->env.view, api->env.config, horizon_s, &s) != QL_OK) {
        api_fail(request, QL_E_MEMORY, "judging limits");
    } else {
        const struct ql_config *config = api->env.config;
        if (config != NULL && ql_http_param(request, "horizon").bytes == 0 &&
            config->forecast_expiry_horizon_s > horizon_s) {
            s.expiry_horizon_s = config->forecast_expiry_horizon_s;
        }
        if (survey_find(&s, request)) {
            survey_answer(&s, shown_max, request);
        }
        ql_survey_close(&s);
    }
    (void)pthread_rwlock_unlock(&api->config_lock);
}

/* api_capacity - when will what has a limit be full? Soonest first. */
#include "api/api_int.h"
#include "lookahead/survey.h"
#include "model/selector.h"

#include <math.h>
#include <stdio.h>

enum { PAIRS_MAX = 200 };

/* ---- the answer --------------------------------------------------------------------- */

static void pair_why(struct ql_json_out *w, const struct ql_survey *s, const struct ql_limited *pair)
{
    const struct ql_capacity *c = &pair->capacity;
    char early[QL_TIME_TEXT_BYTES], late[QL_TIME_TEXT_BYTES], right[64] = "";
    if (c->tests > 0) {
        (void)snprintf(right, sizeof(right), "; right %u of %u times", c->right, c->tests);
    }
    if (c->rule == QL_CAPACITY_UNKNOWN) {
        ql_json_out_text(w, "why", "less than three days or clean-up cycles are known");
    } else if (c->rule == QL_CAPACITY_FULL) {
        ql_json_out_printf(w, "why", "%.3g %% full", 100.0 * pair->used / pair->limit);
    } else if (!isfinite(c->early_s)) {
        ql_json_out_printf(w, "why", "not full within a year%s", right);
    } else if (!isfinite(c->late_s)) {
        ql_json_out_printf(w, "why", "not full before %s, 90 %%%s",
                           ql_time_text(ql_survey_time(s, c->early_s), early), right);
    } else {
        ql_json_out_printf(w, "why", "full between %s and %s, 80 %%%s",
                           ql_time_text(ql_survey_time(s, c->early_s), early),
                           ql_time_text(ql_survey_time(s, c->late_s), late), right);
    }
}

static void pair_write(struct ql_json_out *w, const struct ql_survey *s, const struct ql_limited *pair)
{
    static const char *const rules[] = {
        [QL_CAPACITY_UNKNOWN] = "unknown", [QL_CAPACITY_TREND] = "trend",
        [QL_CAPACITY_RECENT] = "recent", [QL_CAPACITY_FAST] = "fast", [QL_CAPACITY_FULL] = "full",
    };
    const struct ql_capacity *c = &pair->capacity;
    ql_json_out_object(w, NULL);
    api_json_series(w, "id", pair->series->id);
    ql_json_out_str(w, "metric", ql_survey_name(pair->series));
    ql_json_out_str(w, "limit_metric", ql_survey_name(pair->limit_series));
    api_json_labels(w, "labels", pair->series->labels, false);
    ql_json_out_str(w, "entity", pair->series->entity);
    ql_json_out_double(w, "used", pair->used);
    ql_json_out_double(w, "limit", pair->limit);
    ql_json_out_text(w, "rule", rules[c->rule]);
    ql_json_out_double(w, "full", c->full);
    ql_json_out_time(w, "early", ql_survey_time(s, c->early_s));
    ql_json_out_time(w, "middle", ql_survey_time(s, c->middle_s));
    ql_json_out_time(w, "late", ql_survey_time(s, c->late_s));
    ql_json_out_double(w, "growth_per_day", c->growth_per_day);
    ql_json_out_u64(w, "tests", c->tests);
    ql_json_out_u64(w, "right", c->right);
    pair_why(w, s, pair);
    ql_json_out_end(w);
}

static void capacity_answer(struct ql_survey *s, struct ql_http_request *request, uint32_t most)
{
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    uint32_t shown = 0;
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < s->pair_count && err == QL_OK; i++) {
        err = ql_survey_judge(s, &s->pairs[i]);
    }
    ql_survey_sort(s);
    api_answer_init(&answer);
    ql_json_out_object(w, NULL);
    ql_json_out_double(w, "horizon_s", s->horizon_s);
    ql_json_out_array(w, "limits");
    for (uint32_t i = 0; i < s->pair_count && s->pairs[i].judged; i++) {
        if (shown == most) {
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

static bool capacity_find(struct ql_survey *s, struct ql_http_request *request)
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
    const ql_err err = ql_survey_find(s, selector.matchers, selector.count);
    ql_selector_fini(&selector);
    if (err != QL_OK) {
        api_fail(request, err, "the engine did not answer");
    }
    return err == QL_OK;
}

void api_capacity_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct ql_survey survey;
    double horizon_s;
    uint32_t most;
    (void)id;
    if (!api_param_u32(request, "limit", 1, PAIRS_MAX, 20, &most) ||
        !api_param_horizon(request, &horizon_s)) {
        return;
    }
    if (ql_survey_open(&survey, api->env.view, PAIRS_MAX, horizon_s) != QL_OK) {
        api_fail(request, QL_E_MEMORY, "judging limits");
    } else if (capacity_find(&survey, request)) {
        capacity_answer(&survey, request, most);
    }
    ql_survey_close(&survey);
}

/* api_alertmanager.c - enough of Alertmanager's API v2 for amtool and Prometheus to feel
 * at home: what fires, who we are, and that there are no silences.
 */
#include "api/api_int.h"
#include "config/config.h"
#include "model/selector.h"

#include <inttypes.h>
#include <stdio.h>

enum { ALERTS_MAX = 10000, FILTERS_MAX = QL_MATCHERS_MAX, CONFIG_BYTES_MAX = 4 << 20 };

/* ---- alerts -------------------------------------------------------------------------- */

struct am_alerts {
    struct ql_json_out *json;
    struct ql_selector selector;
    ql_duration resend; /* how long an alert without an end is good for */
};

/* The filters `a="b"` of the query, in one selector. */
static bool am_filter(struct ql_http_request *request, struct ql_selector *ret_selector)
{
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_buf text;
    ql_str filter;
    ql_buf_init(&text, QL_SELECTOR_BYTES_MAX);
    ql_buf_char(&text, '{');
    for (uint32_t n = 0; ql_http_param_n(request, "filter", n, &filter); n++) {
        ql_buf_str(&text, filter);
        ql_buf_char(&text, ',');
    }
    ql_buf_char(&text, '}');
    ql_err err = ql_buf_check(&text);
    if (err == QL_OK) {
        err = ql_selector_parse(ql_buf_view(&text), ret_selector, why);
    } else {
        (void)snprintf(why, sizeof(why), "too long");
    }
    ql_buf_fini(&text);
    if (err != QL_OK) {
        ql_http_fail(request, 400, "filter: %s (in all filters together, with a { in front)", why);
    }
    return err == QL_OK;
}

static void am_receivers(struct ql_json_out *w, const char *key)
{
    ql_json_out_array(w, key);
    ql_json_out_object(w, NULL);
    ql_json_out_text(w, "name", "quell");
    ql_json_out_end(w);
    ql_json_out_end(w);
}

static void am_alert_status(struct ql_json_out *w)
{
    static const char *const none[] = { "silencedBy", "inhibitedBy", "mutedBy" };
    ql_json_out_object(w, "status");
    ql_json_out_text(w, "state", "active");
    for (size_t i = 0; i < QL_COUNT_OF(none); i++) {
        ql_json_out_array(w, none[i]);
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
}

static bool am_put_alert(void *context, const struct ql_alert_row *row)
{
    struct am_alerts *alerts = context;
    struct ql_json_out *w = alerts->json;
    if (!ql_selector_matches(&alerts->selector, row->alert.labels)) {
        return true;
    }
    const ql_time ends = row->alert.ends.ns == QL_TIME_NONE.ns
                             ? ql_time_add(row->updated, alerts->resend)
                             : row->alert.ends;
    ql_json_out_object(w, NULL);
    api_json_labels(w, "labels", row->alert.labels, true);
    api_json_labels(w, "annotations", row->alert.annotations, true);
    ql_json_out_printf(w, "fingerprint", "%016" PRIx64, row->alert.id.v);
    ql_json_out_time(w, "startsAt", row->alert.starts);
    ql_json_out_time(w, "updatedAt", row->updated);
    ql_json_out_time(w, "endsAt", ends);
    ql_json_out_text(w, "generatorURL", "");
    am_receivers(w, "receivers");
    am_alert_status(w);
    ql_json_out_end(w);
    return true;
}

/* Our only receiver is "quell"; a question for another one has an empty answer. */
static bool am_receiver_asked(struct ql_http_request *request, bool *ret_asked)
{
    static const char block[] = "\x0a\x11\x0a\x08receiver\x12\x05quell";
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    const struct ql_matcher matcher = { QL_STR("receiver"), ql_http_param(request, "receiver"),
                                        '~' };
    *ret_asked = true;
    if (matcher.value.bytes == 0) {
        return true;
    }
    if (ql_selector_of(&matcher, 1, &selector, why) != QL_OK) {
        ql_http_fail(request, 400, "receiver: %s", why);
        return false;
    }
    *ret_asked = ql_selector_matches(&selector, (ql_str){ block, sizeof(block) - 1 });
    ql_selector_fini(&selector);
    return true;
}

void api_am_alerts(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    const struct ql_life_filter firing = { .life = QL_LIFE_ON,
                                           .since = QL_TIME_NONE,
                                           .limit = ALERTS_MAX };
    static const char *const flags[] = { "true", "false" };
    struct am_alerts alerts = { .resend = QL_MIN(5) };
    struct ql_store_reader *reader;
    struct api_answer answer;
    uint32_t inactive;
    bool asked;
    (void)id;
    if (!api_param_choice(request, "active", flags, 2, 0, &inactive) ||
        !am_receiver_asked(request, &asked) || !am_filter(request, &alerts.selector)) {
        return;
    }
    if (api_reader_take(api, request, &reader)) {
        ql_err err = QL_OK;
        api_answer_init(&answer);
        alerts.json = &answer.json;
        ql_json_out_array(&answer.json, NULL);
        if (asked && inactive == 0) {
            err = ql_query_alerts(reader, &firing, am_put_alert, &alerts);
        }
        ql_json_out_end(&answer.json);
        api_reader_give(api, reader);
        api_answer_send(&answer, request, err);
    }
    ql_selector_fini(&alerts.selector);
}

/* ---- the rest ------------------------------------------------------------------------ */

static void am_config(const struct ql_config *config, struct ql_json_out *w)
{
    struct ql_buf yaml;
    ql_buf_init(&yaml, CONFIG_BYTES_MAX);
    const ql_err err = ql_config_explain(config, &yaml);
    ql_json_out_object(w, "config");
    ql_json_out_str(w, "original", err == QL_OK ? ql_buf_view(&yaml) : QL_STR(""));
    ql_json_out_end(w);
    ql_buf_fini(&yaml);
}

void api_am_status(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    static const char *const unknown[] = { "revision", "branch", "buildUser", "buildDate",
                                           "goVersion" };
    struct api_answer answer;
    struct ql_json_out *w = &answer.json;
    (void)id;
    api_answer_init(&answer);
    ql_json_out_object(w, NULL);
    ql_json_out_object(w, "cluster");
    ql_json_out_text(w, "status", "disabled");
    ql_json_out_array(w, "peers");
    ql_json_out_end(w);
    ql_json_out_end(w);
    ql_json_out_object(w, "versionInfo");
    ql_json_out_text(w, "version", "quell " QL_VERSION);
    for (size_t i = 0; i < QL_COUNT_OF(unknown); i++) {
        ql_json_out_text(w, unknown[i], "");
    }
    ql_json_out_end(w);
    (void)pthread_rwlock_rdlock(&api->config_lock);
    am_config(api->env.config, w);
    (void)pthread_rwlock_unlock(&api->config_lock);
    ql_json_out_time(w, "uptime", api->started);
    ql_json_out_end(w);
    api_answer_send(&answer, request, QL_OK);
}

void api_am_receivers(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct api_answer answer;
    (void)api;
    (void)id;
    api_answer_init(&answer);
    am_receivers(&answer.json, NULL);
    api_answer_send(&answer, request, QL_OK);
}

void api_am_silences(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct api_answer answer;
    (void)api;
    (void)id;
    api_answer_init(&answer);
    ql_json_out_array(&answer.json, NULL); /* there is no way to make one */
    ql_json_out_end(&answer.json);
    api_answer_send(&answer, request, QL_OK);
}

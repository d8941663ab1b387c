/* api_slos - how every SLO stands, in the order of the configuration. */
#include "api/api_int.h"

#include <math.h>
#include <stdlib.h>

static const char *slo_state_text(const struct ql_slo_state *slo)
{
    bool any = false;
    for (uint32_t w = 0; w < QL_SLO_WINDOWS; w++) {
        any |= !isnan(slo->burn[w]);
    }
    return slo->page ? "page" : slo->ticket ? "ticket" : slo->held ? "held" : any ? "ok" : "no data";
}

static void slo_write(struct ql_json_out *w, const struct ql_slo_state *slo)
{
    ql_json_out_object(w, NULL);
    ql_json_out_text(w, "name", slo->name);
    ql_json_out_text(w, "entity", slo->entity);
    ql_json_out_text(w, "state", slo_state_text(slo));
    ql_json_out_double(w, "target", slo->target);
    ql_json_out_double(w, "window_s", slo->window_s);
    ql_json_out_object(w, "burn_rate");
    for (uint32_t i = 0; i < QL_SLO_WINDOWS; i++) {
        ql_json_out_double(w, ql_slo_window_text((enum ql_slo_window)i), slo->burn[i]);
    }
    ql_json_out_end(w);
    ql_json_out_double(w, "budget_left", slo->budget_left);
    ql_json_out_time(w, "gone", slo->gone);
    ql_json_out_double(w, "bad", slo->bad);
    ql_json_out_double(w, "total", slo->total);
    ql_json_out_time(w, "since", slo->since);
    ql_json_out_time(w, "at", slo->at);
    ql_json_out_end(w);
}

void api_slos_show(struct ql_api *api, struct ql_http_request *request, ql_str id)
{
    struct api_answer answer;
    struct ql_slo_state *slos = NULL;
    uint32_t count = 0;
    (void)id;
    const struct ql_view *view = api->env.view;
    const ql_err err = view->slos(view->host, &slos, &count);
    if (err != QL_OK) {
        api_fail(request, err, "the engine did not answer");
        return;
    }
    api_answer_init(&answer);
    ql_json_out_object(&answer.json, NULL);
    ql_json_out_array(&answer.json, "slos");
    for (uint32_t i = 0; i < count; i++) {
        slo_write(&answer.json, &slos[i]);
    }
    ql_json_out_end(&answer.json);
    ql_json_out_end(&answer.json);
    free(slos);
    api_answer_send(&answer, request, QL_OK);
}

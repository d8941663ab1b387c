/* api_int.h - what the handlers share. Private to src/api.
 *
 * A handler that could not go on has already answered: helpers that return bool answer
 * with the right code themselves and return false, and the handler just returns.
 */
#ifndef QL_API_API_INT_H
#define QL_API_API_INT_H

#include "api/api.h"
#include "model/record.h"
#include "store/store_query.h"
#include "wire/json.h"
#include "wire/json_out.h"

#include <pthread.h>

struct ql_api_mount { /* what one route of the server stands for: rows of one method */
    struct ql_api *api;
    const char *method;
};

#define API_TOKEN_BYTES_MAX 512u
struct api_token { char text[API_TOKEN_BYTES_MAX]; size_t bytes; }; /* no bytes: none is asked */

struct ql_api {
    struct ql_api_env env;
    pthread_rwlock_t config_lock;  /* of env.config and token: held for reading while used */
    pthread_mutex_t lock;
    struct ql_store_reader *idle[QL_API_READERS_MAX];
    uint32_t idle_count, open_count;
    pthread_cond_t returned;
    struct ql_http_route *routes;
    struct ql_api_mount *mounts;
    uint32_t route_count;
    char **paths;                  /* owned texts of the prefix routes */
    ql_time started;
    bool loopback_only;            /* listens on a loopback address */
    struct api_token token, token_next; /* in force; read, in force from the next reload on */
};

typedef void ql_api_handler(struct ql_api *api, struct ql_http_request *request, ql_str id);
#define QL_API_ROW(method, path, handler, body_bytes_max) ql_api_handler handler;
#include "api/api_rows.def"
ql_api_handler api_prom_prefixed; /* everything below /prometheus/ (api_prom_status.c) */
ql_api_handler api_page; /* the page's addresses (api_ui.c) */

struct ql_api_row {
    const char *method, *path;
    ql_api_handler *handler;
    size_t body_bytes_max;
};
extern const struct ql_api_row ql_api_rows[];
extern const uint32_t ql_api_row_count;
/* Whether `path` is what `pattern` says; *ret_id is what stood at {id}. */
bool ql_api_path_matches(const char *pattern, ql_str path, ql_str *ret_id);

/* ---- who may command (api_guard.c) -------------------------------------------------- */

/* Answers 401, 403 or 415 itself when not. */
QL_MUST_USE bool api_command_allowed(struct ql_api *api, struct ql_http_request *request);
/* "127.0.0.1:9428", "localhost", "[::1]:1": nothing that only begins so. */
bool api_host_is_loopback(ql_str host);
void api_guard_tell(const struct ql_api *api); /* one line of log when others reach the port */

/* ---- answers --------------------------------------------------------------------- */

struct api_answer {
    struct ql_buf buf;
    struct ql_json_out json;
};
void api_answer_init(struct api_answer *answer);
void api_answer_fini(struct api_answer *answer);
/* 200 with the JSON written so far, or 500/503 for `err` or a failed buffer; then fini. */
void api_answer_send(struct api_answer *answer, struct ql_http_request *request, ql_err err);
/* The code and sentence for an error of the store or the view. */
void api_fail(struct ql_http_request *request, ql_err err, const char *what);

/* ---- parameters ------------------------------------------------------------------ */

QL_MUST_USE bool api_param_u32(struct ql_http_request *request, const char *name, uint32_t min,
                               uint32_t max, uint32_t otherwise, uint32_t *ret_value);
/* RFC 3339, Unix seconds, or a duration before the engine's now. */
QL_MUST_USE bool api_param_time(struct ql_api *api, struct ql_http_request *request,
                                const char *name, ql_time otherwise, ql_time *ret_time);
QL_MUST_USE bool api_param_choice(struct ql_http_request *request, const char *name,
                                  const char *const *names, uint32_t count, uint32_t otherwise,
                                  uint32_t *ret_index);
QL_MUST_USE bool api_param_entity(struct ql_http_request *request, ql_entity_id *ret_id);
/* A decimal id in the path: 404 when it is none. */
QL_MUST_USE bool api_id(struct ql_http_request *request, ql_str id, const char *what,
                        ql_id *ret_id);

/* "horizon", a duration of 1s to 400d; a day when left out (api_forecast.c). */
QL_MUST_USE bool api_param_horizon(struct ql_http_request *request, double *ret_s);

/* ---- the store ------------------------------------------------------------------- */

/* Waits up to a second for a free reader; it is inside one snapshot until given back. */
QL_MUST_USE bool api_reader_take(struct ql_api *api, struct ql_http_request *request,
                                 struct ql_store_reader **ret_reader);
void api_reader_give(struct ql_api *api, struct ql_store_reader *reader);

/* ---- JSON of records (api_json.c) ------------------------------------------------ */

#define API_SERIES_TEXT_BYTES 33
const char *api_series_text(ql_series_id id, char out[API_SERIES_TEXT_BYTES]);
void api_json_series(struct ql_json_out *w, const char *key, ql_series_id id); /* zero: null */
void api_json_id(struct ql_json_out *w, const char *key, ql_id id);            /* a string */
/* {"a":"b"}; without __name__ unless `with_name`. */
void api_json_labels(struct ql_json_out *w, const char *key, ql_str block, bool with_name);
void api_json_incident_fields(struct ql_json_out *w, const struct ql_incident_row *row);
void api_json_member(struct ql_json_out *w, const struct ql_member_row *row);
void api_json_cause(struct ql_json_out *w, const struct ql_cause_row *row);
void api_json_signal(struct ql_json_out *w, const struct ql_signal_row *row);
void api_json_timeline(struct ql_json_out *w, const struct ql_timeline_row *row);
void api_json_feedback(struct ql_json_out *w, const struct ql_command *row);
const char *api_verdict_text(enum ql_verdict verdict);
/* The whole object, with its history, which is asked of `reader`. */
QL_MUST_USE ql_err api_json_action(struct ql_json_out *w, struct ql_store_reader *reader,
                                   const struct ql_action_row *row);

/* Answers with the incident as GET shows it (api_incidents.c). */
void api_incident_answer(struct ql_api *api, struct ql_http_request *request, ql_id id);

#endif

/* api.c - the rows become routes, requests find their row, readers are lent out. */
#include "api/api.h"

#include "api/api_int.h"
#include "base/clock.h"
#include "base/wait.h"
#include "config/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const struct ql_api_row ql_api_rows[] = {
#define QL_API_ROW(method, path, handler, body_bytes_max) { method, path, handler, body_bytes_max },
#include "api/api_rows.def"
};
const uint32_t ql_api_row_count = QL_COUNT_OF(ql_api_rows);

/* The page reads its own address, so each of them serves the same file. */
static const char *const api_page_paths[] = {
    "/",         "/index.html", "/favicon.ico", "/favicon.svg",
    "/assets/*", "/incidents",  "/incidents/*", "/signals",
    "/actions",  "/series",     "/topology",    "/status",
};

/* ---- finding the row ------------------------------------------------------------- */

bool ql_api_path_matches(const char *pattern, ql_str path, ql_str *ret_id)
{
    const char *hole = strstr(pattern, "{id}");
    const ql_str before = { pattern, hole != NULL ? (size_t)(hole - pattern) : strlen(pattern) };
    if (hole == NULL) {
        *ret_id = QL_STR("");
        return ql_str_eq(before, path);
    }
    const ql_str after = ql_str_of(hole + 4);
    if (!ql_str_starts(path, before) || !ql_str_ends(path, after) ||
        path.bytes <= before.bytes + after.bytes) {
        return false;
    }
    *ret_id = (ql_str){ path.at + before.bytes, path.bytes - before.bytes - after.bytes };
    return memchr(ret_id->at, '/', ret_id->bytes) == NULL;
}

static void api_not_allowed(struct ql_http_request *request, const char *allow)
{
    const struct ql_http_header headers[] = { { "Allow", allow }, { NULL, NULL } };
    static const char body[] = "{\"error\":\"this address takes another method: see Allow\"}";
    ql_http_answer(request, &(struct ql_http_answer){ .status = 405,
                                                      .content_type = "application/json",
                                                      .body = ql_str_of(body),
                                                      .headers = headers });
}

static void api_dispatch(void *host, struct ql_http_request *request)
{
    const struct ql_api_mount *mount = host;
    const ql_str path = ql_http_path(request);
    const char *allow = NULL;
    for (uint32_t i = 0; i < ql_api_row_count; i++) {
        const struct ql_api_row *row = &ql_api_rows[i];
        ql_str id;
        if (!ql_api_path_matches(row->path, path, &id)) {
            continue;
        }
        if (strcmp(row->method, mount->method) == 0) {
            row->handler(mount->api, request, id);
            return;
        }
        allow = row->method;
    }
    if (allow != NULL) {
        api_not_allowed(request, allow);
    } else {
        ql_http_fail(request, 404, "no such address: see /api/v1/openapi.json");
    }
}

static void api_dispatch_page(void *host, struct ql_http_request *request)
{
    const struct ql_api_mount *mount = host;
    api_page(mount->api, request, ql_http_path(request));
}

static void api_dispatch_prefixed(void *host, struct ql_http_request *request)
{
    const struct ql_api_mount *mount = host;
    api_prom_prefixed(mount->api, request, ql_http_rest(request));
}

/* ---- routes ---------------------------------------------------------------------- */

/* "/a/{id}/b" stands behind the server's route "/a/" with everything below it. */
static char *api_route_path(const char *pattern)
{
    const char *hole = strstr(pattern, "{id}");
    const size_t bytes = hole != NULL ? (size_t)(hole - pattern) : strlen(pattern);
    char *path = malloc(bytes + 2);
    if (path != NULL) {
        memcpy(path, pattern, bytes);
        path[bytes] = '*';
        path[bytes + (hole != NULL ? 1 : 0)] = '\0';
    }
    return path;
}

/* Who watches the daemon, and the page's files, must not wait behind questions; events
 * have threads of their own. All else reads the store or asks the engine. */
static bool api_is_slow(const char *pattern)
{
    static const char *const quick[] = { "/metrics", "/-/healthy", "/healthz", "/health", "/ping",
                                         "/-/ready", "/ready", "/events", "/api/v1/events",
                                         "/api/v1/openapi.json" };
    for (size_t i = 0; i < QL_COUNT_OF(quick); i++) {
        if (strcmp(pattern, quick[i]) == 0) {
            return false;
        }
    }
    return strncmp(pattern, "/api/", 5) == 0 || strncmp(pattern, "/prometheus/", 12) == 0;
}

static bool api_route_add(struct ql_api *api, const char *method, const char *pattern,
                          void (*handle)(void *host, struct ql_http_request *request),
                          size_t body_bytes_max)
{
    char *path = api_route_path(pattern);
    if (path == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < api->route_count; i++) {
        struct ql_http_route *route = &api->routes[i];
        if (strcmp(route->method, method) == 0 && strcmp(route->path, path) == 0) {
            route->body_bytes_max =
                route->body_bytes_max > body_bytes_max ? route->body_bytes_max : body_bytes_max;
            free(path);
            return true;
        }
    }
    const uint32_t at = api->route_count++;
    api->paths[at] = path;
    api->mounts[at] = (struct ql_api_mount){ .api = api, .method = method };
    api->routes[at] = (struct ql_http_route){ .method = method,
                                              .path = path,
                                              .handle = handle,
                                              .host = &api->mounts[at],
                                              .slow = api_is_slow(pattern),
                                              .body_bytes_max = body_bytes_max };
    return true;
}

static ql_err api_routes_make(struct ql_api *api)
{
    const uint32_t count_max = ql_api_row_count + (uint32_t)QL_COUNT_OF(api_page_paths) + 2;
    api->routes = calloc(count_max, sizeof(*api->routes));
    api->mounts = calloc(count_max, sizeof(*api->mounts));
    api->paths = calloc(count_max, sizeof(*api->paths));
    bool good = api->routes != NULL && api->mounts != NULL && api->paths != NULL;
    for (uint32_t i = 0; i < ql_api_row_count && good; i++) {
        const struct ql_api_row *row = &ql_api_rows[i];
        good = api_route_add(api, row->method, row->path, api_dispatch, row->body_bytes_max);
    }
    for (uint32_t i = 0; i < QL_COUNT_OF(api_page_paths) && good; i++) {
        good = api_route_add(api, "GET", api_page_paths[i], api_dispatch_page, 0);
    }
    good = good && api_route_add(api, "GET", "/prometheus/*", api_dispatch_prefixed, 0) &&
           api_route_add(api, "POST", "/prometheus/*", api_dispatch_prefixed, 1 << 20);
    return good ? QL_OK : QL_E_MEMORY;
}

/* ---- life ------------------------------------------------------------------------ */

/* Requests come all the time: a reload must not wait until none is there. */
static void api_config_lock_init(struct ql_api *api)
{
    pthread_rwlockattr_t writer_first;
    (void)pthread_rwlockattr_init(&writer_first);
    (void)pthread_rwlockattr_setkind_np(&writer_first,
                                        PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
    (void)pthread_rwlock_init(&api->config_lock, &writer_first);
    (void)pthread_rwlockattr_destroy(&writer_first);
}

void ql_api_reload(struct ql_api *api, const struct ql_config *config)
{
    (void)pthread_rwlock_wrlock(&api->config_lock);
    api->env.config = config;
    api->token = api->token_next;
    (void)pthread_rwlock_unlock(&api->config_lock);
    api_guard_tell(api);
}

ql_err ql_api_new(const struct ql_api_env *env, struct ql_api **ret_api, char *ret_why,
                  size_t why_bytes)
{
    QL_ASSERT(env->data_dir != NULL && env->view != NULL);
    QL_ASSERT(env->stats != NULL && env->config != NULL);
    struct ql_api *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return QL_E_MEMORY;
    }
    api->env = *env;
    api->started = ql_clock_now();
    api->loopback_only = api_host_is_loopback(ql_str_of(env->config->listen));
    (void)pthread_mutex_init(&api->lock, NULL);
    (void)ql_wait_cond_init(&api->returned);
    api_config_lock_init(api);
    ql_err err = api_routes_make(api);
    if (err == QL_OK) {
        err = ql_api_token_read(api, env->config, ret_why, why_bytes);
    }
    if (err != QL_OK) {
        ql_api_free(api);
        return err;
    }
    api->token = api->token_next;
    api_guard_tell(api);
    *ret_api = api;
    return QL_OK;
}

void ql_api_free(struct ql_api *api)
{
    if (api == NULL) {
        return;
    }
    QL_ASSERT(api->open_count == api->idle_count); /* no request is under way */
    for (uint32_t i = 0; i < api->idle_count; i++) {
        ql_store_reader_close(api->idle[i]);
    }
    for (uint32_t i = 0; i < api->route_count; i++) {
        free(api->paths[i]);
    }
    free(api->paths);
    free(api->mounts);
    free(api->routes);
    (void)pthread_rwlock_destroy(&api->config_lock);
    (void)pthread_cond_destroy(&api->returned);
    (void)pthread_mutex_destroy(&api->lock);
    free(api);
}

const struct ql_http_route *ql_api_routes(const struct ql_api *api, uint32_t *ret_count)
{
    *ret_count = api->route_count;
    return api->routes;
}

/* ---- readers --------------------------------------------------------------------- */

/* An idle reader, or NULL with *ret_open set when a new one may be opened. */
static ql_err api_reader_wait(struct ql_api *api, struct ql_store_reader **ret_reader)
{
    const struct timespec until = ql_wait_deadline(QL_S(1));
    int code = 0;
    ql_err err = QL_OK;
    (void)pthread_mutex_lock(&api->lock);
    while (api->idle_count == 0 && api->open_count == QL_API_READERS_MAX && code != ETIMEDOUT) {
        code = pthread_cond_timedwait(&api->returned, &api->lock, &until);
    }
    if (api->idle_count > 0) {
        *ret_reader = api->idle[--api->idle_count];
    } else if (api->open_count < QL_API_READERS_MAX) {
        api->open_count++;
        *ret_reader = NULL;
    } else {
        err = QL_E_TIMEOUT;
    }
    (void)pthread_mutex_unlock(&api->lock);
    return err;
}

static void api_reader_forget(struct ql_api *api)
{
    (void)pthread_mutex_lock(&api->lock);
    api->open_count--;
    (void)pthread_cond_signal(&api->returned);
    (void)pthread_mutex_unlock(&api->lock);
}

bool api_reader_take(struct ql_api *api, struct ql_http_request *request,
                     struct ql_store_reader **ret_reader)
{
    struct ql_store_reader *reader;
    ql_err err = api_reader_wait(api, &reader);
    if (err != QL_OK) {
        api_fail(request, err, "the store is busy");
        return false;
    }
    if (reader == NULL) {
        err = ql_store_reader_open(api->env.data_dir, &reader);
    }
    if (err == QL_OK) {
        err = ql_store_reader_begin(reader);
        if (err != QL_OK) {
            ql_store_reader_close(reader);
        }
    }
    if (err != QL_OK) {
        api_reader_forget(api);
        ql_http_fail(request, 503, "the store cannot be read: %s", ql_err_text(err));
        return false;
    }
    *ret_reader = reader;
    return true;
}

void api_reader_give(struct ql_api *api, struct ql_store_reader *reader)
{
    ql_store_reader_end(reader);
    (void)pthread_mutex_lock(&api->lock);
    api->idle[api->idle_count++] = reader;
    (void)pthread_cond_signal(&api->returned);
    (void)pthread_mutex_unlock(&api->lock);
}

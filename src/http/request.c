/* request.c - one request: what came, and the one answer it gets. */
#include "base/clock.h"
#include "http/http_int.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define REQUEST_BODY_FIRST 16384u /* of a body that does not say its length */
#define REQUEST_FORM_BYTES_MAX (1u << 20)

struct ql_http_request *ql_http_request_new(struct ql_http *http, const char *uri)
{
    struct ql_http_request *request = calloc(1, sizeof(*request));
    if (request == NULL) {
        return NULL;
    }
    request->http = http;
    request->linger_fd = -1;
    request->began_ns = ql_clock_mono_ns();
    request->method = request->path = QL_STR("");
    atomic_init(&request->state, HTTP_RUNNING);
    atomic_init(&request->refs, 1);
    request->uri = strdup(uri);
    if (request->uri == NULL) {
        free(request);
        return NULL;
    }
    return request;
}

void ql_http_request_unref(struct ql_http_request *request)
{
    if (atomic_fetch_sub(&request->refs, 1) != 1) {
        return;
    }
    if (request->response != NULL) {
        MHD_destroy_response(request->response);
    }
    free(request->uri);
    free(request->params.at);
    free(request->headers.at);
    free(request->header_texts);
    free(request->body);
    free(request->form);
    free(request->form_params.at);
    ql_buf_fini(&request->refusal_body);
    free(request);
}

/* ---- what came ------------------------------------------------------------------ */

struct request_copy { struct ql_http_request *request; char *at; size_t bytes; uint32_t count; };

static enum MHD_Result request_measure(void *context, enum MHD_ValueKind kind, const char *key,
                                       size_t key_bytes, const char *value, size_t value_bytes)
{
    struct request_copy *copy = context;
    (void)kind, (void)key, (void)value;
    copy->bytes += key_bytes + value_bytes;
    copy->count++;
    return MHD_YES;
}

static ql_str request_copy_text(struct request_copy *copy, const char *text, size_t bytes)
{
    const ql_str kept = { copy->at, bytes };
    if (bytes > 0) {
        memcpy(copy->at, text, bytes);
    }
    copy->at += bytes;
    return kept;
}

static enum MHD_Result request_keep(void *context, enum MHD_ValueKind kind, const char *key,
                                    size_t key_bytes, const char *value, size_t value_bytes)
{
    struct request_copy *copy = context;
    struct http_params *headers = &copy->request->headers;
    (void)kind;
    QL_ASSERT(headers->count < copy->count);
    struct http_param *header = &headers->at[headers->count++];
    header->name = request_copy_text(copy, key, key_bytes);
    header->value = request_copy_text(copy, value, value_bytes);
    return MHD_YES;
}

/* The headers are copied because a request may outlive its connection. */
static ql_err request_headers(struct ql_http_request *request, const char *method)
{
    struct request_copy copy = { .request = request, .bytes = strlen(method) + 1 };
    (void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, request_measure, &copy);
    if (copy.count > HTTP_HEADERS_MAX) {
        return QL_E_FULL;
    }
    request->header_texts = malloc(copy.bytes);
    request->headers.at = calloc(copy.count + 1, sizeof(struct http_param));
    if (request->header_texts == NULL || request->headers.at == NULL) {
        return QL_E_MEMORY;
    }
    copy.at = request->header_texts;
    request->method = request_copy_text(&copy, method, strlen(method));
    (void)MHD_get_connection_values_n(request->connection, MHD_HEADER_KIND, request_keep, &copy);
    return QL_OK;
}

/* "http://host/path", as proxies are sent it, is "/path". */
static char *request_origin_form(char *uri)
{
    if (strncasecmp(uri, "http://", strlen("http://")) != 0) {
        return uri;
    }
    char *colon = strchr(uri, ':');
    char *slash = colon == NULL ? NULL : strpbrk(colon, "/?");
    for (int i = 0; i < 2 && slash != NULL && *slash == '/'; i++) {
        slash = strpbrk(slash + 1, "/?"); /* the third ends the host's name */
    }
    return slash == NULL ? uri : slash;
}

ql_err ql_http_request_read(struct ql_http_request *request, const char *method)
{
    char *uri = request_origin_form(request->uri);
    char *query = strchr(uri, '?');
    const size_t path_bytes = query == NULL ? strlen(uri) : (size_t)(query - uri);
    ql_err err = request_headers(request, method);
    if (err == QL_OK) {
        err = ql_http_decode((ql_str){ uri, path_bytes }, false, uri, &request->path);
    }
    if (err == QL_OK && query != NULL) {
        err = ql_http_params_parse(query + 1, strlen(query + 1), &request->params);
    }
    return err;
}

/* Room for `bytes` more of the body. With a Content-Length it was all made at once. */
ql_err ql_http_request_grow(struct ql_http_request *request, size_t bytes)
{
    const size_t limit = request->route->body_bytes_max;
    const size_t need = request->body_bytes + bytes;
    if (bytes > limit || need > limit) {
        return QL_E_TOO_LARGE;
    }
    if (need <= request->body_capacity) {
        return QL_OK;
    }
    size_t capacity = request->body_capacity * 2;
    capacity = capacity < REQUEST_BODY_FIRST ? REQUEST_BODY_FIRST : capacity;
    capacity = capacity < need ? need : capacity;
    capacity = capacity > limit ? limit : capacity;
    char *body = realloc(request->body, capacity + QL_HTTP_BODY_PADDING);
    if (body == NULL) {
        return QL_E_MEMORY;
    }
    request->body = body;
    request->body_capacity = capacity;
    return QL_OK;
}

ql_err ql_http_request_form(struct ql_http_request *request)
{
    const ql_str type = ql_http_header(request, "Content-Type");
    const ql_str form = QL_STR("application/x-www-form-urlencoded");
    if (request->body_bytes == 0 || type.bytes < form.bytes ||
        strncasecmp(type.at, form.at, form.bytes) != 0) {
        return QL_OK;
    }
    if (request->body_bytes > REQUEST_FORM_BYTES_MAX) {
        return QL_E_TOO_LARGE;
    }
    request->form = malloc(request->body_bytes);
    if (request->form == NULL) {
        return QL_E_MEMORY;
    }
    memcpy(request->form, request->body, request->body_bytes);
    return ql_http_params_parse(request->form, request->body_bytes, &request->form_params);
}

ql_str ql_http_method(const struct ql_http_request *request) { return request->method; }
ql_str ql_http_path(const struct ql_http_request *request) { return request->path; }

ql_str ql_http_rest(const struct ql_http_request *request)
{
    if (request->rest_at == 0) {
        return QL_STR("");
    }
    return (ql_str){ request->path.at + request->rest_at, request->path.bytes - request->rest_at };
}

ql_str ql_http_body(const struct ql_http_request *request)
{
    return request->body_bytes == 0 ? QL_STR("")
                                    : (ql_str){ request->body, request->body_bytes };
}

ql_str ql_http_header(const struct ql_http_request *request, const char *name)
{
    const size_t bytes = strlen(name);
    for (uint32_t i = 0; i < request->headers.count; i++) {
        const struct http_param *header = &request->headers.at[i];
        if (header->name.bytes == bytes && strncasecmp(header->name.at, name, bytes) == 0) {
            return header->value;
        }
    }
    return QL_STR("");
}

static bool request_param(const struct http_params *params, ql_str name, uint32_t *n,
                          ql_str *ret_value)
{
    for (uint32_t i = 0; i < params->count; i++) {
        if (ql_str_eq(params->at[i].name, name) && (*n)-- == 0) {
            *ret_value = params->at[i].value;
            return true;
        }
    }
    return false;
}

bool ql_http_param_n(const struct ql_http_request *request, const char *name, uint32_t n,
                     ql_str *ret_value)
{
    const ql_str wanted = ql_str_of(name);
    return request_param(&request->params, wanted, &n, ret_value) ||
           request_param(&request->form_params, wanted, &n, ret_value);
}

ql_str ql_http_param(const struct ql_http_request *request, const char *name)
{
    ql_str value = QL_STR("");
    (void)ql_http_param_n(request, name, 0, &value);
    return value;
}

/* ---- what goes ------------------------------------------------------------------ */

/* Hands the answer over to whoever waits for it: see http_int.h. */
static void request_settle(struct ql_http_request *request)
{
    struct MHD_Connection *connection = request->connection;
    int was = HTTP_RUNNING;
    while (was != HTTP_ABANDONED &&
           !atomic_compare_exchange_weak(&request->state, &was, HTTP_ANSWERED)) {
        QL_ASSERT(was != HTTP_ANSWERED); /* answered twice */
    }
    if (was == HTTP_SUSPENDED) {
        MHD_resume_connection(connection);
    }
    if (was == HTTP_ABANDONED && request->has_stream) {
        request->stream.done(request->stream.context);
    }
    ql_http_request_unref(request);
}

void ql_http_answer(struct ql_http_request *request, const struct ql_http_answer *answer)
{
    QL_ASSERT(answer->status >= 200);
    QL_ASSERT(answer->status < 600);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        answer->body.bytes, (void *)(uintptr_t)answer->body.at,
        answer->body_static ? MHD_RESPMEM_PERSISTENT : MHD_RESPMEM_MUST_COPY);
    if (response != NULL && answer->content_type != NULL) {
        (void)MHD_add_response_header(response, "Content-Type", answer->content_type);
    }
    const struct ql_http_header *header = answer->headers;
    for (; response != NULL && header != NULL && header->name != NULL; header++) {
        (void)MHD_add_response_header(response, header->name, header->value);
    }
    request->status = answer->status;
    request->response = response; /* NULL, without memory: the connection is closed */
    request_settle(request);
}

void ql_http_answer_stream(struct ql_http_request *request, const struct ql_http_stream *stream)
{
    request->status = 200;
    request->stream = *stream;
    request->has_stream = true;
    request_settle(request);
}

static void request_escape(struct ql_buf *out, const char *text)
{
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            (void)ql_buf_printf(out, "\\%c", c);
        } else if (c < ' ') {
            (void)ql_buf_printf(out, "\\u%04x", c);
        } else {
            (void)ql_buf_char(out, (char)c);
        }
    }
}

void ql_http_fail(struct ql_http_request *request, unsigned status, const char *format, ...)
{
    char text[512];
    struct ql_buf body;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ql_buf_init(&body, 8 * sizeof(text));
    (void)ql_buf_text(&body, "{\"error\":\"");
    request_escape(&body, text);
    (void)ql_buf_text(&body, "\"}\n");
    ql_http_answer(request, &(struct ql_http_answer){ .status = status,
                                                      .content_type = "application/json",
                                                      .body = ql_buf_view(&body) });
    ql_buf_fini(&body);
}

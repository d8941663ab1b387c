/* http.h - an HTTP/1.1 server on one port, for doors and faces alike (libmicrohttpd).
 *
 * A route is a row: method, path, handler. A handler gets a whole request (its body
 * already read, up to the route's limit) and answers at once, or answers later from
 * any thread, or streams. Unknown paths get 404, known paths with another method 405
 * with Allow. HEAD is served from GET.
 *
 * Ownership     the request lives until it is answered; its texts die then.
 * Threads       handlers run on the server's pool, slow ones on another of as many threads,
 *               and may run at the same time;
 *               ql_http_answer() may be called from any thread, exactly once a request.
 * Errors        start: QL_E_IO (address in use, bad address), QL_E_CONFIG.
 * Bounds        body_bytes_max per route (413 beyond it, without reading on);
 *               connections_max; idle connections are closed after idle_s, and so are
 *               those whose headers take longer than head_s; a body that comes slower
 *               than 4 KiB/s for long is given up (408); bodies_bytes_max in all (503
 *               beyond it); 256 headers and 256 parameters a request; streams_max.
 *               Who is refused in the middle of a body reads why, if it ends within 2 s.
 * Metrics       ql_http_requests_total{path,code} and its microseconds, request bytes,
 *               requests in flight. `path` is the route, never what a client wrote.
 */
#ifndef QL_HTTP_HTTP_H
#define QL_HTTP_HTTP_H

#include "base/base.h"
#include "base/buf.h"
#include "base/stat.h"

struct ql_http_request;

/* What a request holds; all borrowed until it is answered. */
ql_str ql_http_method(const struct ql_http_request *request);
ql_str ql_http_path(const struct ql_http_request *request);       /* decoded, without query */
ql_str ql_http_rest(const struct ql_http_request *request);       /* what a trailing '*' matched */
/* Stands in one piece of memory of its own, with QL_HTTP_BODY_PADDING zero bytes behind it. */
ql_str ql_http_body(const struct ql_http_request *request);
#define QL_HTTP_BODY_PADDING 64u
ql_str ql_http_header(const struct ql_http_request *request, const char *name); /* "" if absent */
/* Query or, for application/x-www-form-urlencoded bodies, form parameter; "" if absent. */
ql_str ql_http_param(const struct ql_http_request *request, const char *name);
/* The n-th value of a repeated parameter such as match[]; false past the last. */
bool ql_http_param_n(const struct ql_http_request *request, const char *name, uint32_t n,
                     ql_str *ret_value);

struct ql_http_header { const char *name; const char *value; };
struct ql_http_answer {
    unsigned status;
    const char *content_type;              /* NULL: none */
    ql_str body;                           /* copied unless body_static */
    bool body_static;                      /* lives for ever: not copied */
    const struct ql_http_header *headers;  /* ends with { NULL, NULL }; NULL: none */
};
void ql_http_answer(struct ql_http_request *request, const struct ql_http_answer *answer);
/* {"error": text} with the status; the text is formatted and JSON-escaped. */
void ql_http_fail(struct ql_http_request *request, unsigned status, const char *format, ...)
    QL_PRINTF(3, 4);

/* A stream (SSE): `next` is called on a thread of its own and may block up to a second;
 * it appends to `out`; QL_E_CLOSED ends the stream; done frees the context. */
struct ql_http_stream {
    ql_err (*next)(void *context, struct ql_buf *out);
    void (*done)(void *context);
    void *context;
    const char *content_type;
};
void ql_http_answer_stream(struct ql_http_request *request, const struct ql_http_stream *stream);

struct ql_http_refusal { unsigned status; const char *text; };
struct ql_http_route {
    const char *method;     /* "GET", "POST", ... */
    const char *path;       /* exact, or a prefix when it ends in '*' */
    void (*handle)(void *host, struct ql_http_request *request);
    void *host;
    size_t body_bytes_max;  /* 0: the request may carry no body */
    bool deferred;          /* the handler may return before it has answered */
    bool slow;              /* may take long: runs on a pool of its own, 64 wait, then 503 */
    bool raw_body;          /* the body is never taken apart as form parameters */
    /* Called once when the server itself refuses a request to this route (413, 503, 408 ...):
     * counts it, may change the status, and may write the answer in the route's own form to
     * `body`, of which it returns the content type (static). Where it returns NULL, or is
     * NULL, the body is {"error": text}. */
    const char *(*refused)(void *host, const struct ql_http_request *request,
                           struct ql_http_refusal *refusal, struct ql_buf *body);
};

struct ql_http_settings {
    const char *listen;     /* "127.0.0.1:9428", "[::1]:0", ":9428" */
    uint32_t threads, connections_max, idle_s;
    uint32_t head_s;          /* for a request line and its headers to come; 0: 30 */
    uint32_t streams_max;     /* open event streams, one thread each; 0: 64 */
    size_t bodies_bytes_max;  /* of all requests under way together; 0: 1 GiB */
    const struct ql_http_route *routes;
    uint32_t route_count;
    struct ql_stats *stats; /* requests by path and status, seconds, bytes */
};

struct ql_http;
QL_MUST_USE ql_err ql_http_start(const struct ql_http_settings *settings, struct ql_http **ret_http,
                                 char *ret_why, size_t why_bytes);
uint16_t ql_http_port(const struct ql_http *http); /* the real one when 0 was asked for */
/* Stops accepting, answers what is under way (up to drain_ms), closes. */
void ql_http_stop(struct ql_http *http, int drain_ms);

#endif

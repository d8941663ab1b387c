/* http_int.h - what the files of this folder share; nobody else includes it.
 *
 * One request goes RUNNING -> ANSWERED when its handler answers before it returns,
 * RUNNING -> SUSPENDED -> ANSWERED when it answers later, SUSPENDED -> ABANDONED when
 * the server stops first. Whoever moves it out of SUSPENDED resumes the connection,
 * exactly once: that is what makes answers from any thread safe.
 *
 * Ownership     a request has two references: the connection's (dropped when the
 *               connection is done with it) and the handler's (dropped when it answers).
 */
#ifndef QL_HTTP_HTTP_INT_H
#define QL_HTTP_HTTP_INT_H

#include "http/http.h"

#include <microhttpd.h>
#include <pthread.h>
#include <stdatomic.h>

#define HTTP_HEADERS_MAX 256u
#define HTTP_PARAMS_MAX 256u
#define HTTP_ROUTES_MAX 256u

/* ---- uri.c: pure, fuzzed -------------------------------------------------------- */

struct http_param { ql_str name, value; };
struct http_params {
    struct http_param *at; /* malloc'd; NULL when there is none */
    uint32_t count;
};
/* Percent-decodes `from` to `to` (room for from.bytes; may be the same place);
 * QL_E_MALFORMED for a broken escape or a NUL. '+' becomes a space only in queries. */
QL_MUST_USE ql_err ql_http_decode(ql_str from, bool plus_is_space, char *to, ql_str *ret_text);
/* Takes `text` (writable, a=b&c=d) apart, decoding in place; values point into it.
 * QL_E_MALFORMED, QL_E_FULL past HTTP_PARAMS_MAX, QL_E_MEMORY. */
QL_MUST_USE ql_err ql_http_params_parse(char *text, size_t bytes, struct http_params *params);

/* ---- listen.c ------------------------------------------------------------------- */

struct http_address {
    char host[256]; /* "" for every address */
    uint16_t port;
};
/* "127.0.0.1:9428", "[::1]:0", ":9428", "9428", "localhost:9428", "*:9428". Pure, fuzzed. */
QL_MUST_USE ql_err ql_http_listen_parse(ql_str text, struct http_address *ret_address,
                                        char *ret_why, size_t why_bytes);
QL_MUST_USE ql_err ql_http_listen(const char *text, int *ret_fd, uint16_t *ret_port,
                                  char *ret_why, size_t why_bytes);

/* ---- linger.c: lets a client that still sends read why it was refused ------------- */

struct http_linger;
struct http_linger *ql_http_linger_new(void); /* NULL: no memory */
void ql_http_linger_free(struct http_linger *linger);
void ql_http_linger_add(struct http_linger *linger, int fd); /* takes fd */

/* ---- patience.c ----------------------------------------------------------------- */

struct http_patience;
struct http_patience *ql_http_patience_new(uint32_t head_s, uint32_t idle_s);
void ql_http_patience_free(struct http_patience *patience); /* after the daemon has stopped */
void ql_http_patience_notify(void *patience, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode code);
/* A request has begun (its headers are there), or is over. */
void ql_http_patience_set(const struct http_patience *patience, struct MHD_Connection *connection,
                          bool under_way);

/* ---- slow.c --------------------------------------------------------------------- */

struct http_slow;
struct http_slow *ql_http_slow_new(uint32_t threads); /* NULL: no memory or no thread */
/* After what waits was handled; the requests that it handles outlive the daemon's threads. */
void ql_http_slow_free(struct http_slow *slow);
bool ql_http_slow_add(struct http_slow *slow, struct ql_http_request *request); /* false: full */

/* ---- request.c ------------------------------------------------------------------ */

enum http_state { HTTP_RUNNING, HTTP_SUSPENDED, HTTP_ANSWERED, HTTP_ABANDONED };

struct http_route_stats;
struct ql_http_request {
    struct ql_http *http;
    struct MHD_Connection *connection;
    const struct ql_http_route *route; /* NULL: no such path or method */
    uint32_t row;                      /* of the table of metrics */
    _Atomic int state;
    _Atomic int refs;
    struct ql_http_request *next, *previous; /* requests under way, under http->lock */
    bool begun, listed, refused;       /* refused: what still comes of the body is dropped */
    bool long_body;                    /* of unknown length or too long to read for nothing */
    bool on_stage;                     /* the handler was called */
    int64_t began_ns;
    /* what came */
    char *uri;
    ql_str method, path;
    struct http_params params, headers;
    char *header_texts;
    char *body;
    size_t body_bytes, body_capacity, dropped_bytes;
    char *form;                        /* the body again, taken apart as parameters */
    struct http_params form_params;
    size_t rest_at;
    size_t body_held;                  /* this request's share of http->bodies_bytes */
    int linger_fd;
    /* the server's own refusal; only the pool's thread looks at it */
    struct ql_http_refusal refusal;
    const char *refusal_type;
    struct ql_buf refusal_body;
    char allow[64];
    /* the handler's answer; written before `state` says so */
    unsigned status;
    struct MHD_Response *response;
    struct ql_http_stream stream;
    bool has_stream;
};

struct ql_http_request *ql_http_request_new(struct ql_http *http, const char *uri);
void ql_http_request_unref(struct ql_http_request *request);
/* Path, query, method and headers; QL_E_MALFORMED, QL_E_FULL, QL_E_MEMORY. */
QL_MUST_USE ql_err ql_http_request_read(struct ql_http_request *request, const char *method);
QL_MUST_USE ql_err ql_http_request_grow(struct ql_http_request *request, size_t bytes);
QL_MUST_USE ql_err ql_http_request_form(struct ql_http_request *request);

/* ---- stream.c ------------------------------------------------------------------- */

struct http_streams; /* all of one server */
struct http_streams *ql_http_streams_new(uint32_t count_max);
void ql_http_streams_end(struct http_streams *streams);  /* every one ends soon */
void ql_http_streams_free(struct http_streams *streams); /* after the daemon has stopped */
/* NULL and nothing taken when there are too many or no memory. */
struct MHD_Response *ql_http_stream_open(struct http_streams *streams,
                                         struct MHD_Connection *connection,
                                         const struct ql_http_stream *stream);

/* ---- count.c -------------------------------------------------------------------- */

QL_MUST_USE ql_err ql_http_count_open(struct ql_http *http); /* QL_E_MEMORY */
/* One answer: `row` of the table of routes, or route_count for unknown paths. */
void ql_http_count(struct ql_http *http, uint32_t row, unsigned code);

/* ---- route.c -------------------------------------------------------------------- */

/* The row of `path` and `method`; sets *ret_allow when the path is known but not so. */
const struct ql_http_route *ql_http_route_find(const struct ql_http_route *routes, uint32_t count,
                                               ql_str method, ql_str path, ql_str *ret_rest,
                                               char *ret_allow, size_t allow_bytes);

/* ---- exchange.c: what libmicrohttpd calls ------------------------------------------ */

void *ql_http_on_uri(void *http, const char *uri, struct MHD_Connection *connection);
enum MHD_Result ql_http_on_access(void *http, struct MHD_Connection *connection, const char *url,
                                  const char *method, const char *version, const char *data,
                                  size_t *bytes, void **slot);
void ql_http_on_completed(void *http, struct MHD_Connection *connection, void **slot,
                          enum MHD_RequestTerminationCode code);

/* ---- server.c ------------------------------------------------------------------- */

struct ql_http {
    struct MHD_Daemon *daemon;
    const struct ql_http_route *routes;
    uint32_t route_count;
    uint32_t idle_s;
    size_t bodies_bytes_max;
    _Atomic size_t bodies_bytes;
    _Atomic bool closing, aborting;
    uint16_t port;
    pthread_mutex_t lock;
    pthread_cond_t fewer;
    struct ql_http_request *under_way;
    uint32_t under_way_count;
    struct http_streams *streams;
    struct http_linger *linger;
    struct http_patience *patience;
    struct http_slow *slow; /* NULL: no route is */
    struct ql_stats *stats;
    struct ql_stat_cell *in_flight, *bytes_in;
    /* [row][code - 100], filled on first use; the last row is for unknown paths */
    _Atomic(struct ql_stat_cell *) *counts;
    struct ql_stat_cell **micros;
};

#endif

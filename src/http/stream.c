/* stream.c - event streams: a thread each makes the text, the server's pool sends it.
 *
 * While there is nothing to send the connection is suspended, so that a quiet stream costs
 * the pool nothing. A suspended connection is not watched by the pool, so the stream's own
 * thread looks whether the client is still there.
 *
 * Ownership     a stream has two references: its thread's and its response's. The socket
 *               is valid while the response lives.
 */
#include "base/clock.h"
#include "http/http_int.h"

#include <poll.h>
#include <stdlib.h>
#include <time.h>

#define STREAM_BYTES_MAX (1u << 20)
#define STREAM_BYTES_WAIT 65536u /* more than this unsent: the client is slow, wait for it */
#define STREAM_STACK_BYTES 262144u
#define STREAM_BLOCK_BYTES 16384u
#define STREAM_COUNT_MAX 64u
#define STREAM_QUIET_NS (15 * QL_NS_PER_S)

struct http_stream {
    struct http_streams *all;
    struct http_stream *next, *previous; /* under all->lock */
    struct ql_http_stream source;
    struct MHD_Connection *connection;
    pthread_mutex_t lock;
    pthread_cond_t sent;
    struct ql_buf out;
    size_t out_at;
    bool suspended, ended, gone; /* ended: no more text; gone: the response is destroyed */
    bool events;                 /* text/event-stream: a comment now and then keeps it open */
    int fd, refs;
    int64_t quiet_since_ns;
};

struct http_streams {
    pthread_mutex_t lock;
    pthread_cond_t fewer;
    struct http_stream *first;
    uint32_t count, count_max;
    bool ending;
};

struct http_streams *ql_http_streams_new(uint32_t count_max)
{
    struct http_streams *all = calloc(1, sizeof(*all));
    if (all == NULL) {
        return NULL;
    }
    all->count_max = count_max == 0 ? STREAM_COUNT_MAX : count_max;
    (void)pthread_mutex_init(&all->lock, NULL);
    (void)pthread_cond_init(&all->fewer, NULL);
    return all;
}

/* With stream->lock held. */
static void stream_resume(struct http_stream *stream)
{
    if (stream->suspended && !stream->gone) {
        stream->suspended = false;
        MHD_resume_connection(stream->connection);
    }
}

static void stream_end(struct http_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    stream->ended = true;
    stream_resume(stream);
    (void)pthread_cond_signal(&stream->sent);
    (void)pthread_mutex_unlock(&stream->lock);
}

void ql_http_streams_end(struct http_streams *all)
{
    (void)pthread_mutex_lock(&all->lock);
    all->ending = true;
    for (struct http_stream *s = all->first; s != NULL; s = s->next) {
        stream_end(s);
    }
    (void)pthread_mutex_unlock(&all->lock);
}

void ql_http_streams_free(struct http_streams *all)
{
    if (all == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&all->lock);
    while (all->count > 0) {
        (void)pthread_cond_wait(&all->fewer, &all->lock);
    }
    (void)pthread_mutex_unlock(&all->lock);
    (void)pthread_cond_destroy(&all->fewer);
    (void)pthread_mutex_destroy(&all->lock);
    free(all);
}

static bool streams_enter(struct http_streams *all, struct http_stream *stream)
{
    (void)pthread_mutex_lock(&all->lock);
    const bool room = !all->ending && all->count < all->count_max;
    if (room) {
        all->count++;
        stream->next = all->first;
        if (all->first != NULL) {
            all->first->previous = stream;
        }
        all->first = stream;
    }
    (void)pthread_mutex_unlock(&all->lock);
    return room;
}

static void streams_leave(struct http_stream *stream)
{
    struct http_streams *all = stream->all;
    (void)pthread_mutex_lock(&all->lock);
    if (stream->previous != NULL) {
        stream->previous->next = stream->next;
    } else {
        all->first = stream->next;
    }
    if (stream->next != NULL) {
        stream->next->previous = stream->previous;
    }
    QL_ASSERT(all->count > 0);
    all->count--;
    (void)pthread_cond_signal(&all->fewer);
    (void)pthread_mutex_unlock(&all->lock);
}

static void stream_free(struct http_stream *stream)
{
    (void)pthread_cond_destroy(&stream->sent);
    (void)pthread_mutex_destroy(&stream->lock);
    ql_buf_fini(&stream->out);
    free(stream);
}

/* Drops one of the two references; the last one out gives the stream's place back. */
static void stream_unref(struct http_stream *stream)
{
    (void)pthread_mutex_lock(&stream->lock);
    const bool last = --stream->refs == 0;
    (void)pthread_mutex_unlock(&stream->lock);
    if (last) {
        streams_leave(stream);
        stream_free(stream);
    }
}

/* ---- the pool's side ------------------------------------------------------------ */

static ssize_t stream_read(void *context, uint64_t position, char *to, size_t bytes_max)
{
    struct http_stream *stream = context;
    ssize_t given = 0;
    (void)position;
    (void)pthread_mutex_lock(&stream->lock);
    const size_t left = stream->out.bytes - stream->out_at;
    if (left > 0) {
        const size_t bytes = left < bytes_max ? left : bytes_max;
        memcpy(to, stream->out.at + stream->out_at, bytes);
        stream->out_at += bytes;
        if (stream->out_at == stream->out.bytes) {
            ql_buf_reset(&stream->out);
            stream->out_at = 0;
        }
        (void)pthread_cond_signal(&stream->sent);
        given = (ssize_t)bytes;
    } else if (stream->ended) {
        given = MHD_CONTENT_READER_END_OF_STREAM;
    } else {
        stream->suspended = true;
        MHD_suspend_connection(stream->connection);
    }
    (void)pthread_mutex_unlock(&stream->lock);
    return given;
}

static void stream_gone(void *context)
{
    struct http_stream *stream = context;
    (void)pthread_mutex_lock(&stream->lock);
    stream->gone = stream->ended = true;
    (void)pthread_cond_signal(&stream->sent);
    (void)pthread_mutex_unlock(&stream->lock);
    stream_unref(stream);
}

/* ---- the stream's own thread ---------------------------------------------------- */

static bool stream_client_left(const struct http_stream *stream)
{
    struct pollfd look = { .fd = stream->fd, .events = POLLRDHUP };
    return poll(&look, 1, 0) > 0 && (look.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0;
}

/* With stream->lock held: false once there is no more to do. */
static bool stream_room(struct http_stream *stream)
{
    while (!stream->ended && stream->out.bytes - stream->out_at > STREAM_BYTES_WAIT) {
        (void)pthread_cond_wait(&stream->sent, &stream->lock);
    }
    if (!stream->ended && stream_client_left(stream)) {
        stream->ended = true;
    }
    return !stream->ended;
}

static void stream_add(struct http_stream *stream, const struct ql_buf *text)
{
    const int64_t now = ql_clock_mono_ns();
    const size_t before = stream->out.bytes;
    if (text->bytes > 0) {
        (void)ql_buf_put(&stream->out, text->at, text->bytes);
    } else if (stream->events && now - stream->quiet_since_ns > STREAM_QUIET_NS) {
        (void)ql_buf_text(&stream->out, ":\n\n");
    }
    if (stream->out.failed || text->failed) {
        stream->ended = true; /* what was lost cannot be sent later: the client starts anew */
    }
    if (stream->out.bytes != before) {
        stream->quiet_since_ns = now;
        stream_resume(stream);
    }
}

static void *stream_run(void *context)
{
    struct http_stream *stream = context;
    struct ql_buf text;
    ql_buf_init(&text, STREAM_BYTES_MAX);
    (void)pthread_mutex_lock(&stream->lock);
    while (stream_room(stream)) {
        (void)pthread_mutex_unlock(&stream->lock);
        ql_buf_reset(&text);
        const ql_err err = stream->source.next(stream->source.context, &text);
        (void)pthread_mutex_lock(&stream->lock);
        stream_add(stream, &text);
        stream->ended = stream->ended || (err != QL_OK && err != QL_E_TIMEOUT);
    }
    stream->ended = true;
    stream_resume(stream);
    (void)pthread_mutex_unlock(&stream->lock);
    ql_buf_fini(&text);
    stream->source.done(stream->source.context);
    stream_unref(stream);
    return NULL;
}

static bool stream_start(struct http_stream *stream)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes) != 0) {
        return false;
    }
    (void)pthread_attr_setstacksize(&attributes, STREAM_STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    const int failed = pthread_create(&thread, &attributes, stream_run, stream);
    (void)pthread_attr_destroy(&attributes);
    return failed == 0;
}

static struct http_stream *stream_new(struct http_streams *all, struct MHD_Connection *connection,
                                      const struct ql_http_stream *source)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct http_stream *stream = info == NULL ? NULL : calloc(1, sizeof(*stream));
    if (stream == NULL) {
        return NULL;
    }
    stream->all = all;
    stream->source = *source;
    stream->connection = connection;
    stream->fd = info->connect_fd;
    stream->refs = 2;
    stream->quiet_since_ns = ql_clock_mono_ns();
    stream->events = source->content_type != NULL &&
                     ql_str_starts(ql_str_of(source->content_type), QL_STR("text/event-stream"));
    (void)pthread_mutex_init(&stream->lock, NULL);
    (void)pthread_cond_init(&stream->sent, NULL);
    ql_buf_init(&stream->out, STREAM_BYTES_MAX + STREAM_BYTES_WAIT);
    return stream;
}

struct MHD_Response *ql_http_stream_open(struct http_streams *all,
                                         struct MHD_Connection *connection,
                                         const struct ql_http_stream *source)
{
    struct http_stream *stream = stream_new(all, connection, source);
    if (stream == NULL) {
        return NULL;
    }
    if (!streams_enter(all, stream)) {
        stream_free(stream);
        return NULL;
    }
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, STREAM_BLOCK_BYTES, stream_read, stream, stream_gone);
    if (response == NULL || !stream_start(stream)) {
        if (response != NULL) {
            MHD_destroy_response(response); /* drops the response's reference */
            stream_unref(stream);
        } else {
            streams_leave(stream);
            stream_free(stream);
        }
        return NULL;
    }
    (void)MHD_add_response_header(response, "Content-Type",
                                  source->content_type == NULL ? "application/octet-stream"
                                                               : source->content_type);
    (void)MHD_add_response_header(response, "Cache-Control", "no-store");
    return response;
}

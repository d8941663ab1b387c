/* patience.c - closes connections whose next request does not come to the end of its headers.
 *
 * libmicrohttpd's timeout begins anew with every byte, so a client that sends one now and
 * then holds its connection for ever. Here each connection has a time by which its request
 * must have begun; one thread looks once a second and shuts down those that are late.
 */
#include "base/clock.h"
#include "base/wait.h"
#include "http/http_int.h"

#include <stdlib.h>
#include <sys/socket.h>

struct http_patient { /* one connection */
    struct http_patient *next, *previous;
    int fd;
    _Atomic int64_t until_ns; /* INT64_MAX: a request is under way */
};

struct http_patience {
    pthread_mutex_t lock;
    pthread_cond_t end;
    pthread_t thread;
    bool closing;
    int64_t head_ns, idle_ns;
    struct http_patient *first;
};

static void patience_look(const struct http_patience *patience)
{
    const int64_t now = ql_clock_mono_ns();
    for (struct http_patient *p = patience->first; p != NULL; p = p->next) {
        if (now > atomic_load_explicit(&p->until_ns, memory_order_relaxed)) {
            (void)shutdown(p->fd, SHUT_RDWR); /* the server's thread sees it and closes it */
        }
    }
}

static void *patience_run(void *context)
{
    struct http_patience *patience = context;
    (void)pthread_mutex_lock(&patience->lock);
    while (!patience->closing) {
        const struct timespec until = ql_wait_deadline(QL_S(1));
        (void)pthread_cond_timedwait(&patience->end, &patience->lock, &until);
        patience_look(patience);
    }
    (void)pthread_mutex_unlock(&patience->lock);
    return NULL;
}

struct http_patience *ql_http_patience_new(uint32_t head_s, uint32_t idle_s)
{
    struct http_patience *patience = calloc(1, sizeof(*patience));
    if (patience == NULL) {
        return NULL;
    }
    patience->head_ns = head_s * QL_NS_PER_S;
    patience->idle_ns = idle_s * QL_NS_PER_S;
    (void)pthread_mutex_init(&patience->lock, NULL);
    (void)ql_wait_cond_init(&patience->end);
    if (pthread_create(&patience->thread, NULL, patience_run, patience) != 0) {
        (void)pthread_cond_destroy(&patience->end);
        (void)pthread_mutex_destroy(&patience->lock);
        free(patience);
        return NULL;
    }
    return patience;
}

void ql_http_patience_free(struct http_patience *patience)
{
    if (patience == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&patience->lock);
    patience->closing = true;
    (void)pthread_cond_signal(&patience->end);
    (void)pthread_mutex_unlock(&patience->lock);
    (void)pthread_join(patience->thread, NULL);
    QL_ASSERT(patience->first == NULL); /* the daemon has closed them all */
    (void)pthread_cond_destroy(&patience->end);
    (void)pthread_mutex_destroy(&patience->lock);
    free(patience);
}

/* Without memory a connection is only held to the idle limit. */
static void patience_add(struct http_patience *patience, int fd, void **slot)
{
    struct http_patient *p = calloc(1, sizeof(*p));
    if (p == NULL) {
        return;
    }
    p->fd = fd;
    atomic_init(&p->until_ns, ql_clock_mono_ns() + patience->head_ns);
    (void)pthread_mutex_lock(&patience->lock);
    p->next = patience->first;
    if (p->next != NULL) {
        p->next->previous = p;
    }
    patience->first = p;
    (void)pthread_mutex_unlock(&patience->lock);
    *slot = p;
}

static void patience_remove(struct http_patience *patience, struct http_patient *p)
{
    (void)pthread_mutex_lock(&patience->lock);
    if (p->previous != NULL) {
        p->previous->next = p->next;
    } else {
        patience->first = p->next;
    }
    if (p->next != NULL) {
        p->next->previous = p->previous;
    }
    (void)pthread_mutex_unlock(&patience->lock);
    free(p);
}

/* libmicrohttpd says that a connection ends before it closes its socket, so none of these
 * numbers can be another's by then. */
void ql_http_patience_notify(void *context, struct MHD_Connection *connection, void **slot,
                             enum MHD_ConnectionNotificationCode code)
{
    struct http_patience *patience = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        if (info != NULL) {
            patience_add(patience, info->connect_fd, slot);
        }
    } else if (*slot != NULL) {
        patience_remove(patience, *slot);
        *slot = NULL;
    }
}

void ql_http_patience_set(const struct http_patience *patience, struct MHD_Connection *connection,
                          bool under_way)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    struct http_patient *p = info == NULL ? NULL : info->socket_context;
    if (p != NULL) {
        const int64_t late = ql_clock_mono_ns() + patience->idle_ns + patience->head_ns;
        atomic_store_explicit(&p->until_ns, under_way ? INT64_MAX : late, memory_order_relaxed);
    }
}

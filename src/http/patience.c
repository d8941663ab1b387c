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
    struct ql_wait wait;
    pthread_t thread;
    int64_t head_ns, idle_ns;
    pthread_mutex_t lock;
    struct http_patient *first; /* under lock */
};

static void patience_look(struct http_patience *patience)
{
    const int64_t now = ql_clock_mono_ns();
    (void)pthread_mutex_lock(&patience->lock);
    for (struct http_patient *p = patience->first; p != NULL; p = p->next) {
        if (now > atomic_load_explicit(&p->until_ns, memory_order_relaxed)) {
            (void)shutdown(p->fd, SHUT_RDWR); /* the server's thread sees it and closes it */
        }
    }
    (void)pthread_mutex_unlock(&patience->lock);
}

static void *patience_run(void *context)
{
    struct http_patience *patience = context;
    while (ql_wait_for(&patience->wait, 1)) {
        patience_look(patience);
    }
    return NULL;
}

static void patience_release(struct http_patience *patience)
{
    ql_wait_fini(&patience->wait);
    (void)pthread_mutex_destroy(&patience->lock);
    free(patience);
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
    ql_wait_init(&patience->wait);
    if (pthread_create(&patience->thread, NULL, patience_run, patience) != 0) {
        patience_release(patience);
        return NULL;
    }
    return patience;
}

void ql_http_patience_free(struct http_patience *patience)
{
    if (patience == NULL) {
        return;
    }
    ql_wait_stop(&patience->wait);
    (void)pthread_join(patience->thread, NULL);
    QL_ASSERT(patience->first == NULL); /* the daemon has closed them all */
    patience_release(patience);
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

/* linger.c - after a request was refused before its body came, the client may still be
 * sending. Closing at once would reset the connection and the client would never read the
 * refusal; so for two seconds what it sends is read and thrown away.
 *
 * One thread, started when the first connection needs it, asleep while none does.
 */
#include "base/clock.h"
#include "http/http_int.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINGER_COUNT_MAX 64u
#define LINGER_NS (2 * QL_NS_PER_S)

struct http_linger {
    pthread_mutex_t lock;
    pthread_t thread;
    bool started, closing;
    int wake_fd;
    uint32_t count;
    int fds[LINGER_COUNT_MAX];
    int64_t until_ns[LINGER_COUNT_MAX];
};

struct http_linger *ql_http_linger_new(void)
{
    struct http_linger *linger = calloc(1, sizeof(*linger));
    if (linger == NULL) {
        return NULL;
    }
    linger->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (linger->wake_fd < 0 || pthread_mutex_init(&linger->lock, NULL) != 0) {
        if (linger->wake_fd >= 0) {
            (void)close(linger->wake_fd);
        }
        free(linger);
        return NULL;
    }
    return linger;
}

static void linger_wake(const struct http_linger *linger)
{
    const uint64_t one = 1;
    const ssize_t wrote = write(linger->wake_fd, &one, sizeof(one));
    (void)wrote; /* full means that a wake-up is already waiting */
}

/* Reads what is there; false when the client is done or gone. */
static bool linger_drain(int fd)
{
    char scrap[16384];
    for (int i = 0; i < 64; i++) {
        const ssize_t got = recv(fd, scrap, sizeof(scrap), MSG_DONTWAIT);
        if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
            return false;
        }
        if (got < 0) {
            return true;
        }
    }
    return true;
}

static void linger_drop(struct http_linger *linger, uint32_t index)
{
    QL_ASSERT(index < linger->count);
    (void)close(linger->fds[index]);
    linger->count--;
    linger->fds[index] = linger->fds[linger->count];
    linger->until_ns[index] = linger->until_ns[linger->count];
}

/* Fills `polls` behind the wake-up; returns how long to wait. */
static int linger_polls(struct http_linger *linger, struct pollfd *polls, nfds_t *ret_count)
{
    int64_t wait_ns = -1;
    const int64_t now = ql_clock_mono_ns();
    polls[0] = (struct pollfd){ .fd = linger->wake_fd, .events = POLLIN };
    for (uint32_t i = 0; i < linger->count; i++) {
        const int64_t left = linger->until_ns[i] - now;
        polls[i + 1] = (struct pollfd){ .fd = linger->fds[i], .events = POLLIN };
        wait_ns = wait_ns < 0 || left < wait_ns ? (left > 0 ? left : 0) : wait_ns;
    }
    *ret_count = linger->count + 1;
    return wait_ns < 0 ? -1 : (int)(wait_ns / 1000000) + 1;
}

static void linger_turn(struct http_linger *linger, const struct pollfd *polls, nfds_t count)
{
    const int64_t now = ql_clock_mono_ns();
    uint64_t woken;
    const ssize_t got = read(linger->wake_fd, &woken, sizeof(woken));
    (void)got;
    /* Backwards, so that a drop moves only what was already looked at. */
    for (uint32_t i = (uint32_t)count - 1; i > 0; i--) {
        const bool open = polls[i].revents == 0 || linger_drain(polls[i].fd);
        if (!open || now >= linger->until_ns[i - 1]) {
            linger_drop(linger, i - 1);
        }
    }
}

static void *linger_run(void *context)
{
    struct http_linger *linger = context;
    struct pollfd polls[LINGER_COUNT_MAX + 1];
    (void)pthread_mutex_lock(&linger->lock);
    while (!linger->closing) {
        nfds_t count;
        const int wait_ms = linger_polls(linger, polls, &count);
        (void)pthread_mutex_unlock(&linger->lock);
        (void)poll(polls, count, wait_ms);
        (void)pthread_mutex_lock(&linger->lock);
        linger_turn(linger, polls, count);
    }
    (void)pthread_mutex_unlock(&linger->lock);
    return NULL;
}

void ql_http_linger_add(struct http_linger *linger, int fd)
{
    (void)shutdown(fd, SHUT_WR);
    (void)pthread_mutex_lock(&linger->lock);
    if (!linger->started) {
        linger->started = pthread_create(&linger->thread, NULL, linger_run, linger) == 0;
    }
    if (!linger->started || linger->closing || linger->count == LINGER_COUNT_MAX) {
        (void)close(fd); /* then this client may see a reset instead */
    } else {
        linger->fds[linger->count] = fd;
        linger->until_ns[linger->count] = ql_clock_mono_ns() + LINGER_NS;
        linger->count++;
        linger_wake(linger);
    }
    (void)pthread_mutex_unlock(&linger->lock);
}

void ql_http_linger_free(struct http_linger *linger)
{
    if (linger == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&linger->lock);
    linger->closing = true;
    const bool started = linger->started;
    linger_wake(linger);
    (void)pthread_mutex_unlock(&linger->lock);
    if (started) {
        (void)pthread_join(linger->thread, NULL);
    }
    while (linger->count > 0) {
        linger_drop(linger, linger->count - 1);
    }
    (void)close(linger->wake_fd);
    (void)pthread_mutex_destroy(&linger->lock);
    free(linger);
}

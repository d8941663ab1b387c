/* http_test.h - for tests only: a client on a raw socket that does only what it is told. */
#ifndef QL_HTTP_HTTP_TEST_H
#define QL_HTTP_HTTP_TEST_H

#include "http/http.h"

#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define REPLY_BYTES_MAX (1u << 20)
#define CLIENT_PATIENCE_MS 30000 /* long, for a loaded machine: nothing waits for its end */

static inline int client_connect(uint16_t port)
{
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(port) };
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

static inline void client_send(int fd, const char *text)
{
    const size_t bytes = strlen(text);
    assert_int_equal(send(fd, text, bytes, MSG_NOSIGNAL), (ssize_t)bytes);
}

/* Sends until the server takes no more; returns what it took. */
static inline size_t client_send_all(int fd, const char *at, size_t bytes)
{
    size_t sent = 0;
    while (sent < bytes) {
        const ssize_t n = send(fd, at + sent, bytes - sent, MSG_NOSIGNAL);
        if (n <= 0) {
            break;
        }
        sent += (size_t)n;
    }
    return sent;
}

struct reply { int status; char head[4096]; char *body; size_t body_bytes; };
static char reply_bytes[REPLY_BYTES_MAX];
static size_t reply_have;

/* At least one byte more within CLIENT_PATIENCE_MS; false at the end of the stream. */
static inline bool client_more(int fd)
{
    struct pollfd look = { .fd = fd, .events = POLLIN };
    assert_int_equal(poll(&look, 1, CLIENT_PATIENCE_MS), 1);
    assert_true(reply_have < sizeof(reply_bytes) - 1);
    const ssize_t got = recv(fd, reply_bytes + reply_have, sizeof(reply_bytes) - 1 - reply_have, 0);
    reply_have += got > 0 ? (size_t)got : 0;
    reply_bytes[reply_have] = '\0';
    return got > 0;
}

static inline void client_forget(size_t bytes)
{
    memmove(reply_bytes, reply_bytes + bytes, reply_have - bytes + 1);
    reply_have -= bytes;
}

/* Reads one reply with Content-Length (or none); what follows stays for the next. */
static inline struct reply client_read(int fd, bool no_body)
{
    static char body[REPLY_BYTES_MAX];
    struct reply reply = { .body = body };
    char *end;
    reply_bytes[reply_have] = '\0';
    while ((end = strstr(reply_bytes, "\r\n\r\n")) == NULL) {
        if (!client_more(fd)) {
            return reply; /* status 0: the connection ended */
        }
    }
    const size_t head_bytes = (size_t)(end - reply_bytes) + 4;
    assert_true(head_bytes < sizeof(reply.head));
    memcpy(reply.head, reply_bytes, head_bytes);
    assert_int_equal(sscanf(reply.head, "HTTP/1.1 %d", &reply.status), 1);
    const char *length = strstr(reply.head, "Content-Length: ");
    reply.body_bytes = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
    client_forget(head_bytes);
    while (!no_body && reply_have < reply.body_bytes) {
        assert_true(client_more(fd));
    }
    if (!no_body) {
        memcpy(body, reply_bytes, reply.body_bytes);
        body[reply.body_bytes] = '\0';
        client_forget(reply.body_bytes);
    }
    return reply;
}

static inline struct reply client_ask(int fd, const char *request)
{
    client_send(fd, request);
    return client_read(fd, strncmp(request, "HEAD", 4) == 0);
}

#endif

/* listen.c - from "127.0.0.1:9428" to a listening socket, or a reason a person can use. */
#include "http/http_int.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

#define LISTEN_BACKLOG 1024

static ql_err listen_port(ql_str text, uint16_t *ret_port)
{
    uint32_t port = 0;
    if (text.bytes == 0 || text.bytes > 5) {
        return QL_E_CONFIG;
    }
    for (size_t i = 0; i < text.bytes; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') {
            return QL_E_CONFIG;
        }
        port = port * 10 + (uint32_t)(text.at[i] - '0');
    }
    if (port > 65535) {
        return QL_E_CONFIG;
    }
    *ret_port = (uint16_t)port;
    return QL_OK;
}

/* Splits at the last colon outside brackets; a bare number is a port. */
static ql_err listen_split(ql_str text, ql_str *ret_host, ql_str *ret_port)
{
    const char *colon = memrchr(text.at, ':', text.bytes);
    if (colon == NULL) {
        *ret_host = QL_STR("");
        *ret_port = text;
        return QL_OK;
    }
    ql_str host = { text.at, (size_t)(colon - text.at) };
    *ret_port = (ql_str){ colon + 1, text.bytes - host.bytes - 1 };
    if (host.bytes > 0 && host.at[0] == '[') {
        if (host.bytes < 3 || host.at[host.bytes - 1] != ']') {
            return QL_E_CONFIG;
        }
        host = (ql_str){ host.at + 1, host.bytes - 2 };
    } else if (host.bytes > 0 && memchr(host.at, ':', host.bytes) != NULL) {
        return QL_E_CONFIG; /* "::1:80" says two things: brackets are needed */
    }
    *ret_host = ql_str_eq(host, QL_STR("*")) ? QL_STR("") : host;
    return QL_OK;
}

ql_err ql_http_listen_parse(ql_str text, struct http_address *ret_address, char *ret_why,
                            size_t why_bytes)
{
    struct http_address address = { .port = 0 };
    ql_str host = QL_STR(""), port = QL_STR("");
    ql_err err = text.bytes == 0 ? QL_E_CONFIG : listen_split(text, &host, &port);
    if (err == QL_OK) {
        err = listen_port(port, &address.port);
    }
    for (size_t i = 0; err == QL_OK && i < host.bytes; i++) {
        const unsigned char c = (unsigned char)host.at[i];
        if (c <= ' ' || c >= 127 || c == '[' || c == ']' || c == '/') {
            err = QL_E_CONFIG;
        }
    }
    if (err != QL_OK || host.bytes >= sizeof(address.host)) {
        (void)snprintf(ret_why, why_bytes,
                       "'%.*s' is not an address to listen on; allowed: \"127.0.0.1:9428\", "
                       "\"[::1]:9428\", \":9428\" (every address), port 0 for a free one",
                       (int)(text.bytes < 200 ? text.bytes : 200), text.at);
        return QL_E_CONFIG;
    }
    memcpy(address.host, host.at, host.bytes);
    *ret_address = address;
    return QL_OK;
}

static int listen_open(const struct addrinfo *info)
{
    const int fd = socket(info->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -1;
    }
    const int on = 1, off = 0;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (info->ai_family == AF_INET6) {
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    }
    if (bind(fd, info->ai_addr, info->ai_addrlen) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        const int saved = errno;
        (void)close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

static int listen_try(const struct addrinfo *first, bool every)
{
    int fd = -1;
    /* "Every address" means one IPv6 socket that takes IPv4 too, where there is IPv6. */
    for (const struct addrinfo *a = first; every && fd < 0 && a != NULL; a = a->ai_next) {
        fd = a->ai_family == AF_INET6 ? listen_open(a) : -1;
        if (fd < 0 && errno == EADDRINUSE && a->ai_family == AF_INET6) {
            return -1;
        }
    }
    for (const struct addrinfo *a = first; fd < 0 && a != NULL; a = a->ai_next) {
        fd = listen_open(a);
    }
    return fd;
}

static uint16_t listen_port_of(int fd)
{
    struct sockaddr_storage address = { 0 };
    socklen_t bytes = sizeof(address);
    if (getsockname(fd, (struct sockaddr *)&address, &bytes) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        return ntohs(((const struct sockaddr_in6 *)(const void *)&address)->sin6_port);
    }
    return ntohs(((const struct sockaddr_in *)(const void *)&address)->sin_port);
}

static const char *listen_hint(int error)
{
    switch (error) {
    case EADDRINUSE: return "address already in use (is another quell running there?)";
    case EACCES: return "permission denied (ports below 1024 need a privilege)";
    case EADDRNOTAVAIL: return "no such address on this machine";
    default: return strerror(error);
    }
}

ql_err ql_http_listen(const char *text, int *ret_fd, uint16_t *ret_port, char *ret_why,
                      size_t why_bytes)
{
    struct http_address address;
    const ql_err err = ql_http_listen_parse(ql_str_of(text), &address, ret_why, why_bytes);
    if (err != QL_OK) {
        return err;
    }
    char port[8];
    (void)snprintf(port, sizeof(port), "%u", address.port);
    const bool every = address.host[0] == '\0';
    const struct addrinfo hints = { .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
                                    .ai_socktype = SOCK_STREAM };
    struct addrinfo *found = NULL;
    const int looked = getaddrinfo(every ? NULL : address.host, port, &hints, &found);
    if (looked != 0) {
        (void)snprintf(ret_why, why_bytes, "cannot listen on %s: %s", text, gai_strerror(looked));
        return QL_E_IO;
    }
    errno = 0;
    const int fd = listen_try(found, every);
    const int error = errno;
    freeaddrinfo(found);
    if (fd < 0) {
        (void)snprintf(ret_why, why_bytes, "cannot listen on %s: %s", text, listen_hint(error));
        return QL_E_IO;
    }
    *ret_fd = fd;
    *ret_port = listen_port_of(fd);
    return QL_OK;
}

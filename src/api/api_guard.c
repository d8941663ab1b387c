/* api_guard.c - who may command.
 *
 * A command may start a repair, so a page from elsewhere must not be able to send one in
 * the name of whoever has it open. Three things stand in its way: the content type, which
 * a foreign page cannot set without being asked; Sec-Fetch-Site, which browsers add; and
 * the Host, which a rebound name gives away. Beyond loopback a token is asked for, too: who
 * may send telemetry there may not thereby repair (docs/security.md).
 */
#include "api/api_int.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { TOKEN_BYTES_MIN = 16 };

/* ---- hosts ------------------------------------------------------------------------- */

static bool guard_same_name(ql_str a, ql_str b)
{
    return a.bytes == b.bytes && strncasecmp(a.at, b.at, a.bytes) == 0;
}

/* "name:9428", "name", "[::1]:9428" without the port; false when what follows is no port. */
static bool guard_host_name(ql_str host, ql_str *ret_name)
{
    const bool bracket = host.bytes > 0 && host.at[0] == '[';
    const char *end = bracket ? memchr(host.at, ']', host.bytes)
                              : memchr(host.at, ':', host.bytes);
    const size_t bytes = end == NULL ? host.bytes : (size_t)(end - host.at) + (bracket ? 1 : 0);
    *ret_name = (ql_str){ host.at, bytes };
    if (bracket && end == NULL) {
        return false;
    }
    for (size_t i = bytes + 1; i < host.bytes; i++) {
        if (host.at[i] < '0' || host.at[i] > '9') {
            return false;
        }
    }
    return bytes == host.bytes || host.at[bytes] == ':';
}

static bool guard_is_127(ql_str name)
{
    char text[INET_ADDRSTRLEN];
    struct in_addr address;
    if (name.bytes >= sizeof(text)) {
        return false;
    }
    memcpy(text, name.at, name.bytes);
    text[name.bytes] = '\0';
    return inet_pton(AF_INET, text, &address) == 1 && ntohl(address.s_addr) >> 24 == 127;
}

bool api_host_is_loopback(ql_str host)
{
    ql_str name;
    return guard_host_name(host, &name) &&
           (guard_same_name(name, QL_STR("localhost")) || ql_str_eq(name, QL_STR("[::1]")) ||
            guard_is_127(name));
}

/* Behind loopback every other name was rebound; beyond it names are only held to a list
 * that somebody wrote. */
static bool guard_host(const struct ql_api *api, const struct ql_config *config, ql_str host)
{
    ql_str name;
    if (host.bytes == 0 || api_host_is_loopback(host)) {
        return true; /* HTTP/1.0 has none, and no browser speaks it */
    }
    if (!api->loopback_only && config->api_host_count == 0) {
        return true;
    }
    for (uint32_t i = 0; i < config->api_host_count && guard_host_name(host, &name); i++) {
        if (guard_same_name(name, ql_str_of(config->api_hosts[i]))) {
            return true;
        }
    }
    return false;
}

/* ---- the token --------------------------------------------------------------------- */

static ql_err guard_token_of(const char *from, struct ql_buf *text, char *ret_why,
                             size_t why_bytes)
{
    if (strncmp(from, "env:", 4) != 0) {
        const ql_err err = ql_file_read(from, text);
        if (err != QL_OK) {
            (void)snprintf(ret_why, why_bytes, "api.token_file: %s: %s", from,
                           err == QL_E_IO ? strerror(errno) : ql_err_text(err));
        }
        return err;
    }
    const char *value = getenv(from + 4);
    if (value == NULL) {
        (void)snprintf(ret_why, why_bytes, "api.token_file: the environment has no %s", from + 4);
        return QL_E_NOT_FOUND;
    }
    return ql_buf_text(text, value);
}

/* The text without the line's end; never told in any error. */
static ql_err guard_token_keep(const char *from, ql_str text, struct api_token *token,
                               char *ret_why, size_t why_bytes)
{
    while (text.bytes > 0 && (text.at[text.bytes - 1] == '\n' || text.at[text.bytes - 1] == '\r')) {
        text.bytes--;
    }
    bool good = text.bytes >= TOKEN_BYTES_MIN && text.bytes <= API_TOKEN_BYTES_MAX;
    for (size_t i = 0; i < text.bytes && good; i++) {
        good = text.at[i] > ' ' && text.at[i] < 0x7f;
    }
    if (!good) {
        (void)snprintf(ret_why, why_bytes,
                       "api.token_file: %s holds no token; allowed: one line of %d to %u letters,"
                       " digits and signs without spaces", from, TOKEN_BYTES_MIN,
                       API_TOKEN_BYTES_MAX);
        return QL_E_CONFIG;
    }
    memcpy(token->text, text.at, text.bytes);
    token->bytes = text.bytes;
    return QL_OK;
}

ql_err ql_api_token_read(struct ql_api *api, const struct ql_config *config, char *ret_why,
                         size_t why_bytes)
{
    const char *from = config->api_token_file;
    struct ql_buf text;
    api->token_next.bytes = 0;
    if (strcmp(from, "none") == 0) {
        return QL_OK;
    }
    ql_buf_init(&text, 65536);
    ql_err err = guard_token_of(from, &text, ret_why, why_bytes);
    if (err == QL_OK) {
        err = guard_token_keep(from, ql_buf_view(&text), &api->token_next, ret_why, why_bytes);
    }
    ql_buf_fini(&text);
    return err == QL_OK ? QL_OK : QL_E_CONFIG;
}

/* Takes as long for a token that is wrong at its first byte as at its last. */
static bool guard_token_same(const struct api_token *token, ql_str given)
{
    volatile unsigned differs = token->bytes != given.bytes;
    for (size_t i = 0; i < given.bytes; i++) {
        differs |= (unsigned char)given.at[i] ^ (unsigned char)token->text[i % token->bytes];
    }
    return differs == 0;
}

static void guard_ask_for_token(struct ql_http_request *request, bool given)
{
    const struct ql_http_header headers[] = { { "WWW-Authenticate", "Bearer realm=\"quell\"" },
                                              { "Cache-Control", "no-store" },
                                              { NULL, NULL } };
    const ql_str text =
        given ? QL_STR("{\"error\":\"the token is not the one that api.token_file holds\"}\n")
              : QL_STR("{\"error\":\"commands need the token that api.token_file holds, as"
                       " Authorization: Bearer TOKEN (quell: --token-file or QUELL_TOKEN)\"}\n");
    ql_http_answer(request, &(struct ql_http_answer){ .status = 401,
                                                      .content_type = "application/json",
                                                      .body = text,
                                                      .headers = headers });
}

static bool guard_token(struct ql_api *api, struct ql_http_request *request)
{
    const ql_str scheme = QL_STR("Bearer ");
    const ql_str value = ql_http_header(request, "Authorization");
    if (api->token.bytes == 0 && (api->loopback_only || api->env.config->api_open_commands)) {
        return true;
    }
    if (api->token.bytes == 0) {
        ql_http_fail(request, 403,
                     "the daemon listens beyond loopback and takes no commands until"
                     " api.token_file is set (or api.open_commands, behind a proxy that asks)");
        return false;
    }
    const bool given = value.bytes > scheme.bytes &&
                       strncasecmp(value.at, scheme.at, scheme.bytes) == 0;
    if (given && guard_token_same(&api->token, (ql_str){ value.at + scheme.bytes,
                                                         value.bytes - scheme.bytes })) {
        return true;
    }
    guard_ask_for_token(request, given);
    return false;
}

/* ---- all of it --------------------------------------------------------------------- */

static bool guard_allows(struct ql_api *api, struct ql_http_request *request)
{
    const ql_str site = ql_http_header(request, "Sec-Fetch-Site");
    const ql_str host = ql_http_header(request, "Host");
    if (!ql_str_starts(ql_http_header(request, "Content-Type"), QL_STR("application/json"))) {
        ql_http_fail(request, 415, "Content-Type: application/json is required");
        return false;
    }
    if (ql_str_eq(site, QL_STR("cross-site")) || ql_str_eq(site, QL_STR("same-site"))) {
        ql_http_fail(request, 403, "commands are not taken from pages of other sites");
        return false;
    }
    if (!guard_host(api, api->env.config, host)) {
        ql_http_fail(request, 403,
                     "Host '%.*s' is not this machine and not one of api.hosts (a proxy in"
                     " front should send Host: localhost)", QL_STR_ARG(host));
        return false;
    }
    return guard_token(api, request);
}

bool api_command_allowed(struct ql_api *api, struct ql_http_request *request)
{
    (void)pthread_rwlock_rdlock(&api->config_lock);
    const bool allowed = guard_allows(api, request);
    (void)pthread_rwlock_unlock(&api->config_lock);
    return allowed;
}

void api_guard_tell(const struct ql_api *api)
{
    if (api->loopback_only) {
        return;
    }
    if (api->token.bytes > 0) {
        QL_LOG(INFO, "listening beyond loopback: commands need the token, doors and reads do not",
               QL_LOG_T("listen", api->env.config->listen));
    } else if (api->env.config->api_open_commands) {
        QL_LOG(WARN, "api.open_commands: whoever reaches the port may approve actions",
               QL_LOG_T("listen", api->env.config->listen));
    } else {
        QL_LOG(WARN, "listening beyond loopback without a token: commands are refused until"
                     " api.token_file is set; doors and reads are open to whoever reaches them",
               QL_LOG_T("listen", api->env.config->listen));
    }
}

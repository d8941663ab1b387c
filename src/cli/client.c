/* client.c - requests to the daemon over libcurl. */
#include "cli/client.h"

#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"

#include <curl/curl.h>
#include <getopt.h>
#include <math.h>
#include <stdlib.h>

#define CLIENT_URL "http://127.0.0.1:9428"
enum { REPLY_BYTES_MAX = 256 << 20, URL_BYTES_MAX = 65536, TOKEN_BYTES_MAX = 4096 };
enum { CONNECT_MS = 3000, TOTAL_MS = 30000 };

/* ---- options -------------------------------------------------------------------------- */

enum {
    OPTION_URL = 256,
    OPTION_STATE,
    OPTION_ENTITY,
    OPTION_SINCE,
    OPTION_LIMIT,
    OPTION_BY,
    OPTION_NOTE,
    OPTION_ALL,
    OPTION_TOKEN_FILE
};

static const struct option client_all_options[] = {
    { "url", required_argument, NULL, OPTION_URL },
    { "output", required_argument, NULL, 'o' },
    { "state", required_argument, NULL, OPTION_STATE },
    { "entity", required_argument, NULL, OPTION_ENTITY },
    { "since", required_argument, NULL, OPTION_SINCE },
    { "limit", required_argument, NULL, OPTION_LIMIT },
    { "by", required_argument, NULL, OPTION_BY },
    { "note", required_argument, NULL, OPTION_NOTE },
    { "all", no_argument, NULL, OPTION_ALL },
    { "token-file", required_argument, NULL, OPTION_TOKEN_FILE },
    { NULL, 0, NULL, 0 },
};

static bool client_takes(unsigned takes, int option)
{
    switch (option) {
    case OPTION_STATE:
    case OPTION_ENTITY:
    case OPTION_SINCE:
    case OPTION_LIMIT: return (takes & QL_CLIENT_LIST) != 0;
    case OPTION_BY:
    case OPTION_TOKEN_FILE:
    case OPTION_NOTE: return (takes & QL_CLIENT_BY) != 0;
    case OPTION_ALL: return (takes & QL_CLIENT_ALL) != 0;
    default: return true;
    }
}

static bool client_option(struct ql_client *client, int option, const char *value)
{
    struct ql_client_options *o = &client->options;
    switch (option) {
    case OPTION_URL: o->url = value; break;
    case OPTION_STATE: o->state = value; break;
    case OPTION_ENTITY: o->entity = value; break;
    case OPTION_SINCE: o->since = value; break;
    case OPTION_LIMIT: o->limit = value; break;
    case OPTION_BY: o->by = value; break;
    case OPTION_NOTE: o->note = value; break;
    case OPTION_ALL: o->all = true; break;
    case OPTION_TOKEN_FILE: o->token_file = value; break;
    case 'o':
        return ql_cli_table_or_json(client->verb, value, &o->json);
    default: (void)ql_cli_usage(client->verb, false); return false;
    }
    return true;
}

static bool client_options(struct ql_client *client, int argc, char **argv, unsigned takes)
{
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", client_all_options, NULL)) != -1) {
        if (!client_takes(takes, option)) {
            (void)ql_cli_fail(client->verb, "it takes no such option: see quell %s --help",
                              client->verb);
            return false;
        }
        if (!client_option(client, option, optarg)) {
            return false;
        }
    }
    for (; optind < argc; optind++) {
        if (client->options.word_count == QL_CLIENT_WORDS_MAX) {
            (void)ql_cli_fail(client->verb, "unexpected '%s'", argv[optind]);
            return false;
        }
        client->options.words[client->options.word_count++] = argv[optind];
    }
    return true;
}

static const char *client_first_of(const char *a, const char *b, const char *c)
{
    if (a != NULL && a[0] != '\0') {
        return a;
    }
    return b != NULL && b[0] != '\0' ? b : c;
}

/* "Authorization: Bearer TOKEN" of --token-file or $QUELL_TOKEN; empty without either. */
static int client_token(struct ql_client *client)
{
    const char *path = client->options.token_file;
    const char *token = getenv("QUELL_TOKEN");
    struct ql_buf text;
    int status = 0;
    ql_buf_init(&text, TOKEN_BYTES_MAX);
    const ql_err err = path != NULL ? ql_file_read(path, &text)
                                    : ql_buf_text(&text, token != NULL ? token : "");
    while (text.bytes > 0 && strchr("\r\n", text.at[text.bytes - 1]) != NULL) {
        text.at[--text.bytes] = '\0';
    }
    if (err != QL_OK) {
        status = ql_cli_fail(client->verb, "the token in %s cannot be read: %s",
                             path != NULL ? path : "QUELL_TOKEN", ql_err_text(err));
    } else if (text.bytes > 0 && strpbrk(text.at, "\r\n") != NULL) {
        status = ql_cli_fail(client->verb, "the token in %s has more than one line",
                             path != NULL ? path : "QUELL_TOKEN");
    } else if (text.bytes > 0) {
        ql_buf_printf(&client->authorization, "Authorization: Bearer %.*s", (int)text.bytes,
                      text.at);
    }
    ql_buf_fini(&text);
    return status;
}

int ql_client_open(struct ql_client *client, int argc, char **argv, unsigned takes,
                   uint32_t words_min, uint32_t words_max)
{
    *client = (struct ql_client){ .verb = argv[0] };
    if (!client_options(client, argc, argv, takes)) {
        return 2;
    }
    struct ql_client_options *o = &client->options;
    if (o->word_count < words_min || o->word_count > words_max) {
        return ql_cli_usage(client->verb, false);
    }
    o->url = client_first_of(o->url, getenv("QUELL_URL"), CLIENT_URL);
    o->by =
        client_first_of(o->by, getenv("QUELL_USER"), client_first_of(getenv("USER"), NULL, "cli"));
    client->curl = curl_easy_init();
    if (client->curl == NULL) {
        return ql_cli_fail(client->verb, "%s", curl_easy_strerror(CURLE_FAILED_INIT));
    }
    client->term = ql_term_of(stdout);
    ql_buf_init(&client->reply, REPLY_BYTES_MAX);
    ql_buf_init(&client->screen, REPLY_BYTES_MAX);
    ql_buf_init(&client->authorization, TOKEN_BYTES_MAX + 64);
    const int status = (takes & QL_CLIENT_BY) != 0 ? client_token(client) : 0;
    if (status != 0) {
        ql_client_close(client);
    }
    return status;
}

void ql_client_close(struct ql_client *client)
{
    curl_easy_cleanup(client->curl);
    ql_buf_fini(&client->reply);
    ql_buf_fini(&client->screen);
    ql_buf_fini(&client->authorization);
    ql_json_done();
}

/* ---- requests --------------------------------------------------------------------------- */

static size_t client_take(char *at, size_t size, size_t count, void *context)
{
    struct ql_client *client = context;
    return ql_buf_put(&client->reply, at, size * count) == QL_OK ? size * count : 0;
}

static int client_unreachable(const struct ql_client *client, CURLcode code, const char *why)
{
    const char *url = client->options.url;
    if (code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST) {
        (void)ql_cli_fail(client->verb,
                          "no daemon at %s: start one with `quell serve`, or say where it is with"
                          " --url or QUELL_URL",
                          url);
    } else if (code == CURLE_OPERATION_TIMEDOUT) {
        (void)ql_cli_fail(client->verb, "%s did not answer within %d s", url, TOTAL_MS / 1000);
    } else {
        (void)ql_cli_fail(client->verb, "%s: %s", url,
                          why[0] != '\0' ? why : curl_easy_strerror(code));
    }
    return 1;
}

/* What the daemon says is wrong, or the bare code from something that is no quell. */
static int client_refused(const struct ql_client *client, long status)
{
    char why[QL_JSON_WHY_BYTES];
    struct ql_json root;
    ql_str text = QL_STR("");
    if (ql_json_parse(ql_buf_view(&client->reply), QL_JSON_DEPTH_MAX, &root, why) == QL_OK) {
        text = ql_client_str(root, "error");
    }
    if (text.bytes > 0) {
        (void)ql_cli_fail(client->verb, "%.*s", QL_STR_ARG(text));
    } else {
        (void)ql_cli_fail(client->verb, "%s answered %ld: is it a quell?", client->options.url,
                          status);
    }
    return status == 400 ? 2 : 1;
}

static int client_parse(struct ql_client *client, struct ql_json *ret_root)
{
    char why[QL_JSON_WHY_BYTES];
    if (ql_json_parse(ql_buf_view(&client->reply), QL_JSON_DEPTH_MAX, ret_root, why) != QL_OK) {
        (void)ql_cli_fail(client->verb, "%s did not answer in JSON (%s): is it a quell?",
                          client->options.url, why);
        return 1;
    }
    return 0;
}

static int client_perform(struct ql_client *client, const char *path, struct ql_json *ret_root)
{
    char why[CURL_ERROR_SIZE] = "";
    const char *url = client->options.url;
    const char *scheme = strstr(url, "://") == NULL ? "http://" : "";
    struct ql_buf address;
    long status = 0;
    ql_buf_init(&address, URL_BYTES_MAX);
    ql_buf_printf(&address, "%s%s", scheme, url);
    while (address.bytes > 0 && address.at[address.bytes - 1] == '/') {
        address.at[--address.bytes] = '\0';
    }
    ql_buf_text(&address, path);
    ql_buf_reset(&client->reply);
    (void)curl_easy_setopt(client->curl, CURLOPT_URL,
                           ql_buf_check(&address) == QL_OK ? address.at : "");
    (void)curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, why);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEFUNCTION, client_take);
    (void)curl_easy_setopt(client->curl, CURLOPT_WRITEDATA, client);
    (void)curl_easy_setopt(client->curl, CURLOPT_NOSIGNAL, 1L);
    (void)curl_easy_setopt(client->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    (void)curl_easy_setopt(client->curl, CURLOPT_TIMEOUT_MS, (long)TOTAL_MS);
    (void)curl_easy_setopt(client->curl, CURLOPT_PROTOCOLS_STR, "http,https");
    (void)curl_easy_setopt(client->curl, CURLOPT_USERAGENT, "quell/" QL_VERSION);
    const CURLcode code = curl_easy_perform(client->curl);
    (void)curl_easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    (void)curl_easy_setopt(client->curl, CURLOPT_ERRORBUFFER, NULL);
    ql_buf_fini(&address);
    if (code != CURLE_OK) {
        return client_unreachable(client, code, why);
    }
    return status == 200 ? client_parse(client, ret_root) : client_refused(client, status);
}

int ql_client_get(struct ql_client *client, const char *path, struct ql_json *ret_root)
{
    (void)curl_easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    return client_perform(client, path, ret_root);
}

int ql_client_post(struct ql_client *client, const char *path, ql_str body,
                   struct ql_json *ret_root)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json");
    if (client->authorization.bytes > 0) {
        headers = curl_slist_append(headers, client->authorization.at);
    }
    (void)curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, headers);
    (void)curl_easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE, (long)body.bytes);
    (void)curl_easy_setopt(client->curl, CURLOPT_COPYPOSTFIELDS, body.at);
    const int status = client_perform(client, path, ret_root);
    (void)curl_easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return status;
}

/* ---- results ---------------------------------------------------------------------------- */

static int client_write(ql_str text)
{
    const bool written = fwrite(text.at, 1, text.bytes, stdout) == text.bytes;
    return written && fflush(stdout) == 0 ? 0 : 1;
}

int ql_client_print_json(struct ql_client *client)
{
    ql_buf_char(&client->reply, '\n');
    return client_write(ql_buf_view(&client->reply));
}

int ql_client_flush(struct ql_client *client)
{
    return ql_buf_check(&client->screen) == QL_OK ? client_write(ql_buf_view(&client->screen)) : 1;
}

void ql_client_param(struct ql_buf *path, const char *name, const char *value)
{
    char *escaped = value != NULL ? curl_easy_escape(NULL, value, 0) : NULL;
    if (escaped != NULL) {
        ql_buf_printf(path, "%s=%s&", name, escaped);
    }
    curl_free(escaped);
}

int ql_client_now(struct ql_client *client, ql_time *ret_now)
{
    struct ql_json root;
    const int status = ql_client_get(client, "/api/v1/status", &root);
    if (status != 0) {
        return status;
    }
    const ql_time now = ql_client_time(root, "now");
    *ret_now = now.ns == QL_TIME_NONE.ns ? ql_clock_now() : now;
    return 0;
}

ql_str ql_client_str(struct ql_json object, const char *name)
{
    ql_str text = QL_STR("");
    (void)ql_json_str(ql_json_get(object, name), &text);
    return text;
}

void ql_client_importance(struct ql_table *table, ql_str importance)
{
    const enum ql_paint paint = ql_str_eq(importance, QL_STR("critical")) ? QL_PAINT_RED
                                : ql_str_eq(importance, QL_STR("high"))   ? QL_PAINT_YELLOW
                                                                          : QL_PAINT_DIM;
    ql_table_str(table, paint, importance.bytes > 0 ? importance : QL_STR("-"));
}

double ql_client_number(struct ql_json object, const char *name)
{
    double number = (double)NAN;
    (void)ql_json_double(ql_json_get(object, name), &number);
    return number;
}

ql_time ql_client_time(struct ql_json object, const char *name)
{
    ql_time time = QL_TIME_NONE;
    const ql_err err = ql_str_to_time(ql_client_str(object, name), &time);
    return err == QL_OK ? time : QL_TIME_NONE;
}

const char *ql_number_text(double value, char out[QL_NUMBER_TEXT_BYTES])
{
    const double size = fabs(value);
    if (isnan(value)) {
        (void)snprintf(out, QL_NUMBER_TEXT_BYTES, "-");
    } else if (size >= 1e4 && size < 1e15) {
        (void)snprintf(out, QL_NUMBER_TEXT_BYTES, "%.0f", value);
    } else {
        (void)snprintf(out, QL_NUMBER_TEXT_BYTES, "%.4g", value);
    }
    return out;
}

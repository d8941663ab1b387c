/* client.h - what the verbs that talk to a running daemon share: options, requests, JSON.
 *
 * The address is --url, or $QUELL_URL, or http://127.0.0.1:9428. Every failure has been
 * told on standard error, with what to do about it, when a function here returns its
 * exit status: 1 the daemon cannot be reached or says no, 2 it was asked wrongly.
 *
 * Ownership     open/close. JSON values are valid until the next request of the client.
 */
#ifndef QL_CLI_CLIENT_H
#define QL_CLI_CLIENT_H

#include "base/base.h"
#include "base/buf.h"
#include "cli/table.h"
#include "wire/json.h"

#define QL_CLIENT_WORDS_MAX 4u

struct ql_client_options {
    const char *url;
    bool json;
    const char *state, *entity, *since, *limit; /* of lists; NULL: not given */
    const char *by, *note, *token_file;         /* of commands */
    bool all;
    const char *words[QL_CLIENT_WORDS_MAX];     /* what is no option */
    uint32_t word_count;
};

struct ql_client {
    const char *verb;
    struct ql_client_options options;
    struct ql_term term;
    struct ql_buf reply;  /* the newest one, as it came */
    struct ql_buf screen; /* what flush() writes to standard output */
    struct ql_buf authorization; /* the header that commands carry; empty: none */
    void *curl;
};

/* Which options a verb takes; --url and -o always. */
enum { QL_CLIENT_LIST = 1, QL_CLIENT_BY = 2, QL_CLIENT_ALL = 4 };
/* 0, or the exit status. words_min..words_max words must be there. */
int ql_client_open(struct ql_client *client, int argc, char **argv, unsigned takes,
                   uint32_t words_min, uint32_t words_max);
void ql_client_close(struct ql_client *client);
/* 0 with the answer parsed, or the exit status. */
int ql_client_get(struct ql_client *client, const char *path, struct ql_json *ret_root);
int ql_client_post(struct ql_client *client, const char *path, ql_str body,
                   struct ql_json *ret_root);
/* Writes the reply as it came, or the screen; 0 or 1. */
int ql_client_print_json(struct ql_client *client);
int ql_client_flush(struct ql_client *client);
/* Appends "name=value&" percent-encoded, when value is not NULL. */
void ql_client_param(struct ql_buf *path, const char *name, const char *value);
/* The daemon's time (it may run on the clock of its inputs), or this machine's. */
int ql_client_now(struct ql_client *client, ql_time *ret_now);

/* Members of answers; "" / NaN / QL_TIME_NONE when absent or null. */
ql_str ql_client_str(struct ql_json object, const char *name);
double ql_client_number(struct ql_json object, const char *name);
ql_time ql_client_time(struct ql_json object, const char *name);
/* Numbers for people: four figures; "-" for NaN. */
#define QL_NUMBER_TEXT_BYTES 32
const char *ql_number_text(double value, char out[QL_NUMBER_TEXT_BYTES]);
/* The cell of a signal's importance; "-" for "": it is no signal. */
void ql_client_importance(struct ql_table *table, ql_str importance);

#endif

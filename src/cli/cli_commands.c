/* cli_commands.c - `quell ack`, `resolve`, `feedback`, `approve`, `reject`. */
#include "cli/cli.h"
#include "cli/client.h"
#include "wire/json_out.h"

int ql_cli_ack(int argc, char **argv);
int ql_cli_resolve(int argc, char **argv);
int ql_cli_feedback(int argc, char **argv);
int ql_cli_approve(int argc, char **argv);
int ql_cli_reject(int argc, char **argv);

enum { BODY_BYTES_MAX = 16384 };

static void commands_body(const struct ql_client *client, const char *verdict, const char *entity,
                          struct ql_buf *out)
{
    struct ql_json_out w;
    ql_json_out_init(&w, out);
    ql_json_out_object(&w, NULL);
    ql_json_out_text(&w, "by", client->options.by);
    if (client->options.note != NULL) {
        ql_json_out_text(&w, "note", client->options.note);
    }
    if (verdict != NULL) {
        ql_json_out_text(&w, "verdict", verdict);
    }
    if (entity != NULL) {
        ql_json_out_text(&w, "entity", entity);
    }
    ql_json_out_end(&w);
}

static bool commands_is_id(const char *word)
{
    const size_t digits = strspn(word, "0123456789");
    return digits > 0 && digits <= 20 && word[digits] == '\0';
}

/* Sends the command about the thing named by the first word. */
static int commands_send(struct ql_client *client, const char *what, const char *verb,
                         const char *verdict, const char *entity, struct ql_json *ret_root)
{
    char path[128];
    struct ql_buf body;
    const char *id = client->options.words[0];
    if (!commands_is_id(id)) {
        return ql_cli_fail(client->verb, "'%s' is not the number of an %s", id, what);
    }
    (void)snprintf(path, sizeof(path), "/api/v1/%ss/%s/%s", what, id, verb);
    ql_buf_init(&body, BODY_BYTES_MAX);
    commands_body(client, verdict, entity, &body);
    const int status = ql_buf_check(&body) == QL_OK
                           ? ql_client_post(client, path, ql_buf_view(&body), ret_root)
                           : ql_cli_fail(client->verb, "the note is too long");
    ql_buf_fini(&body);
    return status;
}

static int commands_say(struct ql_client *client, const char *what, struct ql_json root)
{
    if (client->options.json) {
        return ql_client_print_json(client);
    }
    ql_buf_printf(&client->screen, "%s %s: ", what, client->options.words[0]);
    ql_term_text(&client->term, &client->screen, QL_PAINT_BOLD, ql_client_str(root, "state"));
    ql_buf_text(&client->screen, ", by ");
    ql_term_text(&client->term, &client->screen, QL_PAINT_NONE, ql_client_str(root, "by"));
    ql_buf_char(&client->screen, '\n');
    return ql_client_flush(client);
}

static int commands_plain(int argc, char **argv, const char *what)
{
    struct ql_client client;
    struct ql_json root;
    int status = ql_client_open(&client, argc, argv, QL_CLIENT_BY, 1, 1);
    if (status != 0) {
        return status;
    }
    status = commands_send(&client, what, argv[0], NULL, NULL, &root);
    if (status == 0) {
        status = commands_say(&client, what, root);
    }
    ql_client_close(&client);
    return status;
}

int ql_cli_ack(int argc, char **argv)
{
    return commands_plain(argc, argv, "incident");
}

int ql_cli_resolve(int argc, char **argv)
{
    return commands_plain(argc, argv, "incident");
}

int ql_cli_approve(int argc, char **argv)
{
    return commands_plain(argc, argv, "action");
}

int ql_cli_reject(int argc, char **argv)
{
    return commands_plain(argc, argv, "action");
}

/* The API's word for what was typed; NULL when there is none. */
static const char *commands_verdict(const char *word)
{
    static const struct {
        const char *typed, *verdict;
    } rows[] = {
        { "true", "true" },
        { "false", "false" },
        { "right-cause", "right_cause" },
        { "right_cause", "right_cause" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        if (strcmp(rows[i].typed, word) == 0) {
            return rows[i].verdict;
        }
    }
    return NULL;
}

static int commands_feedback(struct ql_client *client)
{
    struct ql_json root;
    const char *verdict = commands_verdict(client->options.words[1]);
    const char *entity = client->options.word_count > 2 ? client->options.words[2] : NULL;
    if (verdict == NULL) {
        return ql_cli_fail(client->verb, "'%s' is not one of: true, false, right-cause",
                           client->options.words[1]);
    }
    if (strcmp(verdict, "right_cause") == 0 && entity == NULL) {
        return ql_cli_fail(client->verb,
                           "right-cause needs the entity: quell feedback %s"
                           " right-cause service/checkout",
                           client->options.words[0]);
    }
    const int status = commands_send(client, "incident", "feedback", verdict, entity, &root);
    if (status != 0 || client->options.json) {
        return status != 0 ? status : ql_client_print_json(client);
    }
    ql_buf_printf(&client->screen, "incident %s: feedback '%s' noted, by %s\n",
                  client->options.words[0], client->options.words[1], client->options.by);
    return ql_client_flush(client);
}

int ql_cli_feedback(int argc, char **argv)
{
    struct ql_client client;
    int status = ql_client_open(&client, argc, argv, QL_CLIENT_BY, 2, 3);
    if (status == 0) {
        status = commands_feedback(&client);
        ql_client_close(&client);
    }
    return status;
}

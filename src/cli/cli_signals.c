/* cli_signals.c - `quell signals`: what the detectors find odd, and against which band. */
#include "cli/cli.h"
#include "cli/client.h"

#include <math.h>

int ql_cli_signals(int argc, char **argv);

static const struct ql_table_column signals_columns[] = {
    { "SINCE", true, 0, false },     { "STATE", false, 0, true }, { "ENTITY", false, 16, false },
    { "METRIC", false, 16, false },  { "KIND", false, 0, false }, { "VALUE", true, 0, false },
    { "EXPECTED", false, 0, false }, { "ODDS", true, 0, true },   { "IMPORTANCE", false, 0, true },
    { "INCIDENT", true, 0, true },   { "WHY", false, 24, true },
};

/* A surprise of 6 is one in a million. */
static void signals_odds(struct ql_table *table, double surprise)
{
    if (isnan(surprise)) {
        ql_table_cell(table, QL_PAINT_DIM, "-");
    } else {
        ql_table_cell(table, surprise >= 6.0 ? QL_PAINT_RED : QL_PAINT_YELLOW, "1:10^%.1f",
                      surprise);
    }
}

static void signals_row(struct ql_table *table, struct ql_json signal, ql_time now)
{
    char span[QL_SPAN_TEXT_BYTES], a[QL_NUMBER_TEXT_BYTES], b[QL_NUMBER_TEXT_BYTES];
    const ql_str state = ql_client_str(signal, "state");
    const double incident = ql_client_number(signal, "incident");
    ql_table_cell(table, QL_PAINT_NONE, "%s ago",
                  ql_span_short(ql_time_since(now, ql_client_time(signal, "onset")), span));
    ql_table_str(table, ql_str_eq(state, QL_STR("open")) ? QL_PAINT_RED : QL_PAINT_GREEN, state);
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(signal, "entity"));
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(signal, "metric"));
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(signal, "kind"));
    ql_table_cell(table, QL_PAINT_BOLD, "%s", ql_number_text(ql_client_number(signal, "value"), a));
    ql_table_cell(table, QL_PAINT_NONE, "%s .. %s",
                  ql_number_text(ql_client_number(signal, "lower"), a),
                  ql_number_text(ql_client_number(signal, "upper"), b));
    signals_odds(table, ql_client_number(signal, "surprise"));
    ql_client_importance(table, ql_client_str(signal, "importance"));
    ql_table_cell(table, QL_PAINT_NONE, "%s", ql_number_text(incident, a));
    ql_table_str(table, QL_PAINT_DIM, ql_client_str(signal, "why"));
}

static int signals_show(struct ql_client *client, struct ql_json root, ql_time now)
{
    const struct ql_json list = ql_json_get(root, "signals");
    struct ql_table table;
    if (ql_json_count(list) == 0) {
        ql_buf_text(&client->screen, client->options.all || client->options.state != NULL
                                         ? "No signal.\n"
                                         : "No open signal (--all shows closed ones too).\n");
        return ql_client_flush(client);
    }
    ql_table_init(&table, signals_columns, QL_COUNT_OF(signals_columns));
    for (struct ql_json_iter it = ql_json_each(list); ql_json_next(&it);) {
        signals_row(&table, it.value, now);
    }
    const ql_err err = ql_table_render(&table, &client->term, 0, &client->screen);
    ql_table_fini(&table);
    return err == QL_OK ? ql_client_flush(client) : 1;
}

static int signals_run(struct ql_client *client)
{
    ql_time now;
    struct ql_json root;
    struct ql_buf path;
    const struct ql_client_options *o = &client->options;
    int status = o->json ? 0 : ql_client_now(client, &now);
    if (status != 0) {
        return status;
    }
    ql_buf_init(&path, 8192);
    ql_buf_text(&path, "/api/v1/signals?");
    ql_client_param(&path, "state", o->state != NULL ? o->state : o->all ? "all" : "open");
    ql_client_param(&path, "entity", o->entity);
    ql_client_param(&path, "since", o->since);
    ql_client_param(&path, "limit", o->limit);
    status = ql_client_get(client, path.at, &root);
    ql_buf_fini(&path);
    if (status != 0) {
        return status;
    }
    return o->json ? ql_client_print_json(client) : signals_show(client, root, now);
}

int ql_cli_signals(int argc, char **argv)
{
    struct ql_client client;
    int status = ql_client_open(&client, argc, argv, QL_CLIENT_LIST | QL_CLIENT_ALL, 0, 0);
    if (status == 0) {
        status = signals_run(&client);
        ql_client_close(&client);
    }
    return status;
}

/* cli_incidents.c - `quell incidents`: what is going on, newest first. */
#include "cli/cli.h"
#include "cli/client.h"

#include <math.h>

int ql_cli_incidents(int argc, char **argv);

static const struct ql_table_column incidents_columns[] = {
    { "ID", true, 0, false },     { "STATE", false, 0, false },  { "OPENED", true, 0, false },
    { "LASTED", true, 0, false }, { "NOISE", true, 0, false },   { "SUSPECT", false, 16, false },
    { "SURE", true, 0, false },   { "TITLE", false, 20, false },
};

static enum ql_paint incidents_paint(ql_str state)
{
    return ql_str_eq(state, QL_STR("open"))           ? QL_PAINT_RED
           : ql_str_eq(state, QL_STR("acknowledged")) ? QL_PAINT_YELLOW
                                                      : QL_PAINT_GREEN;
}

static void incidents_suspect(struct ql_table *table, struct ql_json suspect)
{
    const double confidence = ql_client_number(suspect, "confidence");
    const ql_str entity = ql_client_str(suspect, "entity");
    const ql_str metric = ql_client_str(suspect, "metric");
    if (ql_json_type_of(suspect) != QL_JSON_OBJECT) {
        ql_table_cell(table, QL_PAINT_DIM, "-");
        ql_table_cell(table, QL_PAINT_DIM, "-");
        return;
    }
    ql_table_cell(table, QL_PAINT_BOLD, "%.*s %.*s", QL_STR_ARG(entity), QL_STR_ARG(metric));
    if (isnan(confidence)) {
        ql_table_cell(table, QL_PAINT_DIM, "-");
    } else {
        ql_table_cell(table, QL_PAINT_NONE, "%.0f%%", confidence * 100.0);
    }
}

static void incidents_row(struct ql_table *table, struct ql_json incident, ql_time now)
{
    char span[QL_SPAN_TEXT_BYTES];
    const ql_str state = ql_client_str(incident, "state");
    const ql_time opened = ql_client_time(incident, "opened");
    const ql_time resolved = ql_client_time(incident, "resolved");
    const ql_time until = resolved.ns == QL_TIME_NONE.ns ? now : resolved;
    ql_table_cell(table, QL_PAINT_NONE, "%.0f", ql_client_number(incident, "id"));
    ql_table_str(table, incidents_paint(state), state);
    ql_table_cell(table, QL_PAINT_NONE, "%s ago", ql_span_short(ql_time_since(now, opened), span));
    ql_table_cell(table, QL_PAINT_NONE, "%s", ql_span_short(ql_time_since(until, opened), span));
    ql_table_cell(table, QL_PAINT_NONE, "%.0f", ql_client_number(incident, "raw_count"));
    incidents_suspect(table, ql_json_get(incident, "suspect"));
    if (ql_client_number(incident, "awaiting_approval") > 0) {
        ql_table_cell(table, QL_PAINT_YELLOW, "[asks for approval] %.*s",
                      QL_STR_ARG(ql_client_str(incident, "title")));
    } else {
        ql_table_str(table, QL_PAINT_NONE, ql_client_str(incident, "title"));
    }
}

static int incidents_show(struct ql_client *client, struct ql_json root, ql_time now)
{
    const struct ql_json list = ql_json_get(root, "incidents");
    struct ql_table table;
    if (ql_json_count(list) == 0) {
        const struct ql_client_options *o = &client->options;
        const bool filtered = o->state != NULL || o->entity != NULL || o->since != NULL;
        ql_buf_text(&client->screen,
                    filtered ? "No incident of that kind.\n" : "No incident so far.\n");
        return ql_client_flush(client);
    }
    ql_table_init(&table, incidents_columns, QL_COUNT_OF(incidents_columns));
    for (struct ql_json_iter it = ql_json_each(list); ql_json_next(&it);) {
        incidents_row(&table, it.value, now);
    }
    const ql_err err = ql_table_render(&table, &client->term, 0, &client->screen);
    const double more = ql_client_number(root, "next_before");
    if (!isnan(more)) {
        ql_buf_text(&client->screen, "... there are older ones: --limit shows more\n");
    }
    ql_table_fini(&table);
    return err == QL_OK ? ql_client_flush(client) : 1;
}

static int incidents_run(struct ql_client *client)
{
    ql_time now;
    struct ql_json root;
    struct ql_buf path;
    int status = client->options.json ? 0 : ql_client_now(client, &now);
    if (status != 0) {
        return status;
    }
    ql_buf_init(&path, 8192);
    ql_buf_text(&path, "/api/v1/incidents?");
    ql_client_param(&path, "state", client->options.state);
    ql_client_param(&path, "entity", client->options.entity);
    ql_client_param(&path, "since", client->options.since);
    ql_client_param(&path, "limit", client->options.limit);
    status = ql_client_get(client, path.at, &root);
    ql_buf_fini(&path);
    if (status != 0) {
        return status;
    }
    return client->options.json ? ql_client_print_json(client) : incidents_show(client, root, now);
}

int ql_cli_incidents(int argc, char **argv)
{
    struct ql_client client;
    int status = ql_client_open(&client, argc, argv, QL_CLIENT_LIST, 0, 0);
    if (status == 0) {
        status = incidents_run(&client);
        ql_client_close(&client);
    }
    return status;
}

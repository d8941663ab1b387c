/* cli_capacity.c - `quell capacity`: what will be full, when, and how far to believe it. */
#include "cli/cli.h"
#include "cli/client.h"

#include <math.h>

int ql_cli_capacity(int argc, char **argv);

static const struct ql_table_column capacity_columns[] = {
    { "ENTITY", false, 16, false }, { "METRIC", false, 16, false }, { "USED", true, 0, false },
    { "LIMIT", true, 0, false },    { "CHANCE", true, 0, false },   { "RULE", false, 0, true },
    { "RIGHT", true, 0, true },     { "WHY", false, 24, false },
};

/* Nobody knows when a disk fails: found or not is all there is to say. */
static void disk_cells(struct ql_table *table, bool found)
{
    ql_table_cell(table, QL_PAINT_NONE, "-");
    ql_table_cell(table, QL_PAINT_NONE, "-");
    ql_table_cell(table, found ? QL_PAINT_RED : QL_PAINT_GREEN, found ? "found" : "none");
    ql_table_cell(table, QL_PAINT_NONE, "disk");
    ql_table_cell(table, QL_PAINT_NONE, "-");
}

static void capacity_row(struct ql_table *table, struct ql_json limited)
{
    char text[QL_NUMBER_TEXT_BYTES];
    const double used = ql_client_number(limited, "used");
    const double limit = ql_client_number(limited, "limit");
    const double full = ql_client_number(limited, "full");
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(limited, "entity"));
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(limited, "metric"));
    if (ql_str_eq(ql_client_str(limited, "rule"), QL_STR("disk"))) {
        disk_cells(table, full > 0.5);
        ql_table_str(table, QL_PAINT_DIM, ql_client_str(limited, "why"));
        return;
    }
    ql_table_cell(table, QL_PAINT_NONE, "%.0f %%", 100.0 * used / limit);
    ql_table_cell(table, QL_PAINT_NONE, "%s", ql_number_text(limit, text));
    const enum ql_paint calm = full > 0.1 ? QL_PAINT_YELLOW : QL_PAINT_GREEN;
    ql_table_cell(table, full > 0.5 ? QL_PAINT_RED : calm, "%.0f %%", 100.0 * full);
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(limited, "rule"));
    ql_table_cell(table, QL_PAINT_NONE, "%.0f/%.0f", ql_client_number(limited, "right"),
                  ql_client_number(limited, "tests"));
    ql_table_str(table, QL_PAINT_DIM, ql_client_str(limited, "why"));
}

static int capacity_show(struct ql_client *client, struct ql_json root)
{
    const struct ql_json list = ql_json_get(root, "limits");
    struct ql_table table;
    if (ql_json_count(list) == 0) {
        ql_buf_text(&client->screen, "Nothing with a limit is known (docs/forecast.md says how a "
                                     "limit is recognised).\n");
        return ql_client_flush(client);
    }
    ql_table_init(&table, capacity_columns, QL_COUNT_OF(capacity_columns));
    for (struct ql_json_iter it = ql_json_each(list); ql_json_next(&it);) {
        capacity_row(&table, it.value);
    }
    const ql_err err = ql_table_render(&table, &client->term, 0, &client->screen);
    ql_table_fini(&table);
    return err == QL_OK ? ql_client_flush(client) : 1;
}

static int capacity_run(struct ql_client *client)
{
    struct ql_json root;
    struct ql_buf path;
    const struct ql_client_options *o = &client->options;
    ql_buf_init(&path, 8192);
    ql_buf_text(&path, "/api/v1/capacity?");
    ql_client_param(&path, "horizon", o->word_count > 0 ? o->words[0] : NULL);
    const int status = ql_client_get(client, path.at, &root);
    ql_buf_fini(&path);
    if (status != 0) {
        return status;
    }
    return o->json ? ql_client_print_json(client) : capacity_show(client, root);
}

int ql_cli_capacity(int argc, char **argv)
{
    struct ql_client client;
    int status = ql_client_open(&client, argc, argv, 0, 0, 1);
    if (status == 0) {
        status = capacity_run(&client);
        ql_client_close(&client);
    }
    return status;
}

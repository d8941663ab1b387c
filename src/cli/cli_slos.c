/* cli_slos.c - `quell slos`: how every promise stands and how fast its budget burns. */
#include "cli/cli.h"
#include "cli/client.h"

#include <math.h>

int ql_cli_slos(int argc, char **argv);

static const struct ql_table_column slos_columns[] = {
    { "SLO", false, 16, false },    { "STATE", false, 0, false }, { "TARGET", true, 0, true },
    { "BURN 5m", true, 0, false },  { "30m", true, 0, true },     { "1h", true, 0, false },
    { "6h", true, 0, true },        { "BUDGET LEFT", true, 0, false },
    { "GONE IN", true, 0, false },  { "ENTITY", false, 16, true },
};

static void slos_burn(struct ql_table *table, double burn)
{
    char text[QL_NUMBER_TEXT_BYTES];
    const enum ql_paint paint = burn >= 14.4  ? QL_PAINT_RED
                                : burn >= 1.0 ? QL_PAINT_YELLOW
                                              : QL_PAINT_NONE;
    ql_table_cell(table, paint, "%s", ql_number_text(burn, text));
}

static void slos_gone(struct ql_table *table, ql_time gone, ql_time at)
{
    char span[QL_SPAN_TEXT_BYTES];
    if (gone.ns == QL_TIME_NONE.ns) {
        ql_table_cell(table, QL_PAINT_DIM, "-");
    } else if (gone.ns <= at.ns) {
        ql_table_cell(table, QL_PAINT_RED, "used up");
    } else {
        ql_table_cell(table, QL_PAINT_NONE, "%s", ql_span_short(ql_time_since(gone, at), span));
    }
}

static void slos_row(struct ql_table *table, struct ql_json slo)
{
    const ql_str state = ql_client_str(slo, "state");
    const struct ql_json burn = ql_json_get(slo, "burn_rate");
    const double left = ql_client_number(slo, "budget_left");
    const enum ql_paint paint = ql_str_eq(state, QL_STR("page"))     ? QL_PAINT_RED
                                : ql_str_eq(state, QL_STR("ticket")) ? QL_PAINT_YELLOW
                                : ql_str_eq(state, QL_STR("held"))   ? QL_PAINT_CYAN
                                : ql_str_eq(state, QL_STR("ok"))     ? QL_PAINT_GREEN
                                                                     : QL_PAINT_DIM;
    ql_table_str(table, QL_PAINT_BOLD, ql_client_str(slo, "name"));
    ql_table_str(table, paint, state);
    ql_table_cell(table, QL_PAINT_NONE, "%.6g %%", ql_client_number(slo, "target"));
    slos_burn(table, ql_client_number(burn, "5m"));
    slos_burn(table, ql_client_number(burn, "30m"));
    slos_burn(table, ql_client_number(burn, "1h"));
    slos_burn(table, ql_client_number(burn, "6h"));
    if (isnan(left)) {
        ql_table_cell(table, QL_PAINT_DIM, "-");
    } else {
        ql_table_cell(table, left < 0.1 ? QL_PAINT_RED : QL_PAINT_NONE, "%.4g %%", 100.0 * left);
    }
    slos_gone(table, ql_client_time(slo, "gone"), ql_client_time(slo, "at"));
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(slo, "entity"));
}

static int slos_show(struct ql_client *client, struct ql_json root)
{
    const struct ql_json list = ql_json_get(root, "slos");
    struct ql_table table;
    if (ql_json_count(list) == 0) {
        ql_buf_text(&client->screen, "No SLO is configured (docs/slos.md says how).\n");
        return ql_client_flush(client);
    }
    ql_table_init(&table, slos_columns, QL_COUNT_OF(slos_columns));
    for (struct ql_json_iter it = ql_json_each(list); ql_json_next(&it);) {
        slos_row(&table, it.value);
    }
    const ql_err err = ql_table_render(&table, &client->term, 0, &client->screen);
    ql_table_fini(&table);
    return err == QL_OK ? ql_client_flush(client) : 1;
}

int ql_cli_slos(int argc, char **argv)
{
    struct ql_client client;
    struct ql_json root;
    int status = ql_client_open(&client, argc, argv, 0, 0, 0);
    if (status != 0) {
        return status;
    }
    status = ql_client_get(&client, "/api/v1/slos", &root);
    if (status == 0) {
        status = client.options.json ? ql_client_print_json(&client) : slos_show(&client, root);
    }
    ql_client_close(&client);
    return status;
}

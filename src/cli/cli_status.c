/* cli_status.c - `quell status`: how the daemon is, and what it was good for. */
#include "cli/cli.h"
#include "cli/client.h"

#include <math.h>

int ql_cli_status(int argc, char **argv);

/* ---- figures -------------------------------------------------------------------------- */

static const char *status_bytes(double bytes, char out[QL_SPAN_TEXT_BYTES])
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB" };
    size_t unit = 0;
    while (bytes >= 1024.0 && unit + 1 < QL_COUNT_OF(units)) {
        bytes /= 1024.0;
        unit++;
    }
    (void)snprintf(out, QL_SPAN_TEXT_BYTES, unit == 0 ? "%.0f %s" : "%.1f %s", bytes, units[unit]);
    return out;
}

/* The name's ending tells the unit. */
static void status_number(ql_str name, double value, struct ql_buf *out)
{
    char text[QL_SPAN_TEXT_BYTES], number[QL_NUMBER_TEXT_BYTES];
    if (ql_str_ends(name, QL_STR("bytes")) || ql_str_starts(name, QL_STR("bytes_"))) {
        ql_buf_text(out, status_bytes(value, text));
    } else if (ql_str_eq(name, QL_STR("uptime_s"))) {
        ql_buf_text(out, ql_span_long((ql_duration){ (int64_t)(value * 1e9) }, text));
    } else if (ql_str_ends(name, QL_STR("_s"))) {
        ql_buf_printf(out, "%s s", ql_number_text(value, number));
    } else {
        ql_buf_text(out, ql_number_text(value, number));
    }
}

static void status_value(struct ql_client *client, ql_str name, struct ql_json value)
{
    double number;
    bool yes;
    ql_str text;
    if (ql_json_str(value, &text)) {
        ql_term_text(&client->term, &client->screen, QL_PAINT_NONE, text);
    } else if (ql_json_bool(value, &yes)) {
        ql_term_text(&client->term, &client->screen, yes ? QL_PAINT_GREEN : QL_PAINT_RED,
                     yes ? QL_STR("yes") : QL_STR("no"));
    } else if (ql_json_double(value, &number)) {
        status_number(name, number, &client->screen);
    } else {
        ql_buf_char(&client->screen, '-');
    }
}

/* Every member on a line, members of members under "outer.inner": what the engine adds
 * shows without a change here. */
static void status_lines(struct ql_client *client, ql_str prefix, struct ql_json object,
                         uint32_t depth)
{
    enum { DEPTH_MAX = 4 };
    for (struct ql_json_iter it = ql_json_each(object); ql_json_next(&it);) {
        char name[128];
        (void)snprintf(name, sizeof(name), "%.*s%s%.*s", QL_STR_ARG(prefix),
                       prefix.bytes > 0 ? "." : "", QL_STR_ARG(it.key));
        const enum ql_json_type type = ql_json_type_of(it.value);
        if ((type == QL_JSON_OBJECT || type == QL_JSON_ARRAY) && depth < DEPTH_MAX) {
            status_lines(client, ql_str_of(name), it.value, depth + 1);
            continue;
        }
        char label[160];
        (void)snprintf(label, sizeof(label), "%-39s ", name);
        ql_term_text(&client->term, &client->screen, QL_PAINT_DIM, ql_str_of(label));
        status_value(client, it.key, it.value);
        ql_buf_char(&client->screen, '\n');
    }
}

/* ---- what it was good for --------------------------------------------------------------- */

static void status_mean(struct ql_buf *out, const char *what, double seconds)
{
    char text[QL_SPAN_TEXT_BYTES];
    if (!isnan(seconds)) {
        ql_buf_printf(out, "  %-18s %s\n", what,
                      ql_span_long((ql_duration){ (int64_t)(seconds * 1e9) }, text));
    }
}

static void status_week(struct ql_client *client, struct ql_json stats)
{
    struct ql_buf *out = &client->screen;
    const double noise = ql_client_number(stats, "noise_reduction");
    ql_buf_char(out, '\n');
    ql_term_text(&client->term, out, QL_PAINT_BOLD, QL_STR("The last seven days"));
    ql_buf_printf(out, "\n  %-18s %.0f (%.0f resolved), from %.0f signals and alerts\n",
                  "incidents", ql_client_number(stats, "incidents"),
                  ql_client_number(stats, "resolved"), ql_client_number(stats, "raw_count"));
    if (!isnan(noise)) {
        ql_buf_printf(out, "  %-18s %.1f%%\n", "noise taken away", noise * 100.0);
    }
    status_mean(out, "time to detect", ql_client_number(stats, "mttd_s"));
    status_mean(out, "time to ack", ql_client_number(stats, "mtta_s"));
    status_mean(out, "time to recover", ql_client_number(stats, "mttr_s"));
}

static int status_run(struct ql_client *client)
{
    struct ql_json root;
    int status = ql_client_get(client, "/api/v1/status", &root);
    if (status != 0 || client->options.json) {
        return status != 0 ? status : ql_client_print_json(client);
    }
    status_lines(client, QL_STR(""), root, 0);
    status = ql_client_get(client, "/api/v1/stats", &root);
    if (status != 0) {
        return status;
    }
    status_week(client, root);
    return ql_client_flush(client);
}

int ql_cli_status(int argc, char **argv)
{
    struct ql_client client;
    int status = ql_client_open(&client, argc, argv, 0, 0, 0);
    if (status == 0) {
        status = status_run(&client);
        ql_client_close(&client);
    }
    return status;
}

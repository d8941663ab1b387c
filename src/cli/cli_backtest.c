/* cli_backtest.c - `quell backtest`: what would other settings have raised, missed and cost? */
#include "cli/cli.h"
#include "cli/table.h"
#include "config/config.h"
#include "engine/backtest.h"
#include "wire/json_out.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int ql_cli_backtest(int argc, char **argv);

enum { REPORT_BYTES_MAX = 64 << 20, SHOWN_MAX = 40 };
static const char *const side_names[QL_BACKTEST_SIDES] = { "running", "new" };

struct backtest_options { const char *config, *running; bool json; };

static double side_days(const struct ql_backtest_result *r)
{
    return (double)(r->to.ns - r->from.ns) / 86400e9;
}

/* ---- as a table ---------------------------------------------------------------------------- */

static void report_figures(const struct ql_backtest_result *r, struct ql_table *table)
{
    const struct ql_backtest_side *s = r->sides;
    const struct { const char *name; double values[QL_BACKTEST_SIDES]; const char *format; } rows[] = {
        { "signals", { (double)s[0].signals, (double)s[1].signals }, "%.0f" },
        { "signals a day", { (double)s[0].signals / side_days(r),
                             (double)s[1].signals / side_days(r) }, "%.2f" },
        { "incidents", { (double)s[0].incidents, (double)s[1].incidents }, "%.0f" },
        { "recorded, found", { (double)s[0].found, (double)s[1].found }, "%.0f" },
        { "recorded, missed", { (double)s[0].missed, (double)s[1].missed }, "%.0f" },
        { "called false, again", { (double)s[0].false_again, (double)s[1].false_again }, "%.0f" },
        { "called false, gone", { (double)s[0].false_gone, (double)s[1].false_gone }, "%.0f" },
        { "not on record", { (double)s[0].unrecorded, (double)s[1].unrecorded }, "%.0f" },
        { "CPU seconds", { s[0].cpu_s, s[1].cpu_s }, "%.2f" },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_table_cell(table, QL_PAINT_NONE, "%s", rows[i].name);
        for (int side = 0; side < QL_BACKTEST_SIDES; side++) {
            char text[32];
            (void)snprintf(text, sizeof(text), rows[i].format, rows[i].values[side]);
            ql_table_cell(table, QL_PAINT_NONE, "%s", text);
        }
    }
}

static const char *verdict_text(enum ql_verdict verdict)
{
    static const char *const texts[] = { [QL_VERDICT_NONE] = "", [QL_VERDICT_TRUE] = "true",
                                         [QL_VERDICT_FALSE] = "false",
                                         [QL_VERDICT_RIGHT_CAUSE] = "true" };
    return texts[verdict];
}

static void report_recorded(const struct ql_backtest_result *r, struct ql_table *table)
{
    for (uint32_t i = 0; i < r->recorded_count && i < SHOWN_MAX; i++) {
        const struct ql_backtest_row *row = &r->recorded[i];
        char at[QL_TIME_TEXT_BYTES];
        ql_table_cell(table, QL_PAINT_NONE, "%" PRIu64, row->id);
        ql_table_cell(table, QL_PAINT_NONE, "%.19s", ql_time_text(row->opened, at));
        ql_table_cell(table, QL_PAINT_NONE, "%s", verdict_text(row->verdict));
        for (int side = 0; side < QL_BACKTEST_SIDES; side++) {
            ql_table_cell(table, QL_PAINT_NONE, "%s", row->found[side] ? "found" : "-");
        }
        ql_table_str(table, QL_PAINT_NONE, row->title);
    }
}

static void report_unrecorded(const struct ql_backtest_result *r, struct ql_table *table)
{
    for (int side = 0; side < QL_BACKTEST_SIDES; side++) {
        const struct ql_backtest_side *s = &r->sides[side];
        for (uint32_t i = 0, shown = 0; i < s->row_count && shown < SHOWN_MAX; i++) {
            char at[QL_TIME_TEXT_BYTES];
            if (s->rows[i].is_new) {
                ql_table_cell(table, QL_PAINT_NONE, "%s", side_names[side]);
                ql_table_cell(table, QL_PAINT_NONE, "%.19s", ql_time_text(s->rows[i].opened, at));
                ql_table_str(table, QL_PAINT_NONE, s->rows[i].title);
                shown++;
            }
        }
    }
}

static ql_err report_part(struct ql_buf *out, const struct ql_term *term, const char *title,
                          const struct ql_table_column *columns, uint32_t count,
                          const struct ql_backtest_result *result,
                          void (*fill)(const struct ql_backtest_result *, struct ql_table *))
{
    struct ql_table table;
    ql_err err = QL_OK;
    ql_table_init(&table, columns, count);
    fill(result, &table);
    if (table.cell_count > 0) {
        (void)ql_buf_printf(out, "\n%s\n", title);
        err = ql_table_render(&table, term, 0, out);
    }
    ql_table_fini(&table);
    return err;
}

static ql_err report_table(const struct ql_backtest_result *r, struct ql_buf *out)
{
    static const struct ql_table_column figures[] = {
        { "", false, 0, false }, { "RUNNING", true, 0, false }, { "NEW", true, 0, false } };
    static const struct ql_table_column recorded[] = {
        { "ID", true, 0, false }, { "OPENED", false, 0, false }, { "FEEDBACK", false, 0, false },
        { "RUNNING", false, 0, false }, { "NEW", false, 0, false }, { "TITLE", false, 20, false } };
    static const struct ql_table_column unrecorded[] = {
        { "SIDE", false, 0, false }, { "OPENED", false, 0, false }, { "TITLE", false, 20, false } };
    const struct ql_term term = ql_term_of(stdout);
    char from[QL_TIME_TEXT_BYTES], to[QL_TIME_TEXT_BYTES], learnt[QL_TIME_TEXT_BYTES];
    (void)ql_buf_printf(out, "%u series, %" PRIu64 " samples; judged %.19s to %.19s, learnt from"
                        " %.19s (UTC)\n", r->series, r->samples, ql_time_text(r->from, from),
                        ql_time_text(r->to, to), ql_time_text(r->learnt_from, learnt));
    if (r->cells_left_out > 0) {
        (void)ql_buf_printf(out, "part of that time is kept as cells and was left out\n");
    }
    ql_err err = report_part(out, &term, "What each would have done", figures,
                             QL_COUNT_OF(figures), r, report_figures);
    err = err == QL_OK ? report_part(out, &term, "Incidents on record", recorded,
                                     QL_COUNT_OF(recorded), r, report_recorded) : err;
    return err == QL_OK ? report_part(out, &term, "Incidents not on record", unrecorded,
                                      QL_COUNT_OF(unrecorded), r, report_unrecorded) : err;
}

/* ---- as JSON --------------------------------------------------------------------------------- */

static void json_side(struct ql_json_out *w, const char *key, const struct ql_backtest_side *s,
                      double days)
{
    ql_json_out_object(w, key);
    ql_json_out_u64(w, "signals", s->signals);
    ql_json_out_double(w, "signals_per_day", (double)s->signals / days);
    ql_json_out_u64(w, "incidents", s->incidents);
    ql_json_out_u64(w, "recorded_found", s->found);
    ql_json_out_u64(w, "recorded_missed", s->missed);
    ql_json_out_u64(w, "called_false_again", s->false_again);
    ql_json_out_u64(w, "called_false_gone", s->false_gone);
    ql_json_out_u64(w, "not_on_record", s->unrecorded);
    ql_json_out_double(w, "cpu_s", s->cpu_s);
    ql_json_out_array(w, "opened");
    for (uint32_t i = 0; i < s->row_count; i++) {
        ql_json_out_object(w, NULL);
        ql_json_out_time(w, "opened", s->rows[i].opened);
        ql_json_out_time(w, "onset", s->rows[i].onset);
        ql_json_out_str(w, "title", s->rows[i].title);
        ql_json_out_bool(w, "on_record", !s->rows[i].is_new);
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
    ql_json_out_end(w);
}

static void json_recorded(struct ql_json_out *w, const struct ql_backtest_result *r)
{
    ql_json_out_array(w, "recorded");
    for (uint32_t i = 0; i < r->recorded_count; i++) {
        const struct ql_backtest_row *row = &r->recorded[i];
        ql_json_out_object(w, NULL);
        ql_json_out_u64(w, "id", row->id);
        ql_json_out_time(w, "opened", row->opened);
        ql_json_out_str(w, "title", row->title);
        ql_json_out_text(w, "feedback", verdict_text(row->verdict));
        for (int side = 0; side < QL_BACKTEST_SIDES; side++) {
            ql_json_out_bool(w, side_names[side], row->found[side]);
        }
        ql_json_out_end(w);
    }
    ql_json_out_end(w);
}

static ql_err report_json(const struct ql_backtest_result *r, struct ql_buf *out)
{
    struct ql_json_out w;
    ql_json_out_init(&w, out);
    ql_json_out_object(&w, NULL);
    ql_json_out_time(&w, "learnt_from", r->learnt_from);
    ql_json_out_time(&w, "from", r->from);
    ql_json_out_time(&w, "to", r->to);
    ql_json_out_u64(&w, "series", r->series);
    ql_json_out_u64(&w, "samples", r->samples);
    ql_json_out_u64(&w, "cells_left_out", r->cells_left_out);
    for (int side = 0; side < QL_BACKTEST_SIDES; side++) {
        json_side(&w, side_names[side], &r->sides[side], side_days(r));
    }
    json_recorded(&w, r);
    ql_json_out_end(&w);
    (void)ql_buf_char(out, '\n');
    return ql_buf_check(out);
}

/* ---- the verb ---------------------------------------------------------------------------------- */

static void backtest_progress(void *context, double share, ql_time at)
{
    char text[QL_TIME_TEXT_BYTES];
    (void)context;
    if (isatty(STDERR_FILENO)) {
        (void)fprintf(stderr, "\r%3.0f %%  %.19s ", share * 100.0, ql_time_text(at, text));
    }
}

static int backtest_report(const struct ql_backtest_result *result, bool json)
{
    struct ql_buf out;
    ql_buf_init(&out, REPORT_BYTES_MAX);
    const ql_err err = json ? report_json(result, &out) : report_table(result, &out);
    int status = 0;
    if (err != QL_OK) {
        status = ql_cli_fail("backtest", "%s", ql_err_text(err));
    } else if (fwrite(out.at, 1, out.bytes, stdout) != out.bytes || fflush(stdout) != 0) {
        status = 1;
    }
    ql_buf_fini(&out);
    return status;
}

static int backtest_go(struct ql_backtest_env *env, const struct backtest_options *options)
{
    struct ql_backtest_result result;
    struct ql_buf why;
    int status = 0;
    ql_buf_init(&why, 65536);
    ql_err err = ql_config_load(options->config, &env->config, &why);
    if (err == QL_OK && options->running != NULL) {
        err = ql_config_load(options->running, &env->running, &why);
    }
    if (err != QL_OK) {
        (void)fprintf(stderr, "%s", why.bytes > 0 ? why.at : ql_err_text(err));
        ql_config_free(env->config);
        ql_buf_fini(&why);
        return 2;
    }
    err = ql_backtest_run(env, &result, &why);
    if (isatty(STDERR_FILENO)) {
        (void)fputs("\r\033[K", stderr);
    }
    if (err != QL_OK) {
        (void)fprintf(stderr, "quell backtest: %s\n", why.bytes > 0 ? why.at : ql_err_text(err));
        status = err == QL_E_NOT_FOUND ? 2 : 1;
    } else {
        status = backtest_report(&result, options->json);
    }
    ql_backtest_fini(&result);
    ql_buf_fini(&why);
    return status;
}

int ql_cli_backtest(int argc, char **argv)
{
    static const struct option options[] = {
        { "config", required_argument, NULL, 'c' }, { "since", required_argument, NULL, 's' },
        { "data", required_argument, NULL, 'd' },   { "running", required_argument, NULL, 'r' },
        { "output", required_argument, NULL, 'o' }, { NULL, 0, NULL, 0 },
    };
    struct backtest_options chosen = { .json = false };
    struct ql_backtest_env env = { .data_dir = "./quell-data", .since = QL_S(30 * 86400),
                                   .progress = backtest_progress };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'c') {
            chosen.config = optarg;
        } else if (option == 'r') {
            chosen.running = optarg;
        } else if (option == 'd') {
            env.data_dir = optarg;
        } else if (option == 's') {
            if (ql_str_to_duration(ql_str_of(optarg), &env.since) != QL_OK || env.since.ns <= 0 ||
                env.since.ns > QL_S(INT64_C(3650) * 86400).ns) {
                return ql_cli_fail("backtest", "--since takes a duration up to 3650d, such as 30d,"
                                   " not '%s'", optarg);
            }
        } else if (option != 'o') {
            return ql_cli_usage("backtest", false);
        } else if (!ql_cli_table_or_json("backtest", optarg, &chosen.json)) {
            return 2;
        }
    }
    if (optind != argc || chosen.config == NULL) {
        return ql_cli_usage("backtest", false);
    }
    return backtest_go(&env, &chosen);
}

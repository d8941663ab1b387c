/* cli_show.c - `quell show ID` and `quell why ID`: one incident, and who is behind it. */
#include "cli/cli.h"
#include "cli/client.h"
#include "wire/json_out.h"

#include <math.h>
#include <stdarg.h>

int ql_cli_show(int argc, char **argv);
int ql_cli_why(int argc, char **argv);

enum { SHOWN_MEMBERS_MAX = 12, SHOWN_EVENTS_MAX = 6 }; /* without --all */

/* ---- pieces ----------------------------------------------------------------------------- */

static void show_heading(struct ql_client *client, const char *text)
{
    ql_buf_char(&client->screen, '\n');
    ql_term_text(&client->term, &client->screen, QL_PAINT_BOLD, ql_str_of(text));
    ql_buf_char(&client->screen, '\n');
}

/* A table that did not fit into memory is shown as far as it goes; flush reports the rest. */
static void show_table(struct ql_client *client, const struct ql_table *table)
{
    const ql_err err = ql_table_render(table, &client->term, 2, &client->screen);
    client->screen.failed = client->screen.failed || err != QL_OK;
}

/* "09:12:40" on the day of the incident's onset, else with the date. */
static const char *show_clock(ql_time t, ql_time onset, char out[QL_TIME_TEXT_BYTES])
{
    char day[QL_TIME_TEXT_BYTES];
    if (t.ns == QL_TIME_NONE.ns) {
        (void)snprintf(out, QL_TIME_TEXT_BYTES, "-");
        return out;
    }
    (void)ql_time_text(t, out);
    (void)ql_time_text(onset, day);
    if (strncmp(out, day, 10) == 0) {
        memmove(out, out + 11, 8);
        out[8] = '\0';
    } else {
        out[10] = ' ';
        out[19] = '\0';
    }
    return out;
}

static void show_field(struct ql_client *client, const char *name, const char *format, ...)
    QL_PRINTF(3, 4);
static void show_field(struct ql_client *client, const char *name, const char *format, ...)
{
    char label[32], text[1024];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    (void)snprintf(label, sizeof(label), "  %-14s", name);
    ql_term_text(&client->term, &client->screen, QL_PAINT_DIM, ql_str_of(label));
    ql_term_text(&client->term, &client->screen, QL_PAINT_NONE, ql_str_of(text));
    ql_buf_char(&client->screen, '\n');
}

static enum ql_paint show_state_paint(ql_str state)
{
    static const struct {
        const char *state;
        enum ql_paint paint;
    } rows[] = {
        { "open", QL_PAINT_RED },        { "acknowledged", QL_PAINT_YELLOW },
        { "resolved", QL_PAINT_GREEN },  { "closed", QL_PAINT_GREEN },
        { "succeeded", QL_PAINT_GREEN }, { "awaiting approval", QL_PAINT_YELLOW },
        { "running", QL_PAINT_CYAN },    { "verifying", QL_PAINT_CYAN },
        { "failed", QL_PAINT_RED },      { "ineffective", QL_PAINT_RED },
        { "escalated", QL_PAINT_RED },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        if (ql_str_eq(state, ql_str_of(rows[i].state))) {
            return rows[i].paint;
        }
    }
    return QL_PAINT_NONE;
}

/* ---- head ------------------------------------------------------------------------------- */

static void show_times(struct ql_client *client, struct ql_json incident, ql_time now)
{
    char clock[QL_TIME_TEXT_BYTES], a[QL_SPAN_TEXT_BYTES], b[QL_SPAN_TEXT_BYTES];
    const ql_time onset = ql_client_time(incident, "onset");
    const ql_time opened = ql_client_time(incident, "opened");
    const ql_time acknowledged = ql_client_time(incident, "acknowledged");
    const ql_time resolved = ql_client_time(incident, "resolved");
    show_field(client, "began", "%s  (%s ago)", show_clock(onset, QL_TIME_NONE, clock),
               ql_span_long(ql_time_since(now, onset), a));
    show_field(client, "opened", "%s  (%s after it began)", show_clock(opened, onset, clock),
               ql_span_long(ql_time_since(opened, onset), a));
    if (acknowledged.ns != QL_TIME_NONE.ns) {
        show_field(client, "acknowledged", "%s  (%s after it was opened)",
                   show_clock(acknowledged, onset, clock),
                   ql_span_long(ql_time_since(acknowledged, opened), a));
    }
    if (resolved.ns != QL_TIME_NONE.ns) {
        show_field(client, "resolved", "%s  by %.*s, %s after it began, %s after it was opened",
                   show_clock(resolved, onset, clock), QL_STR_ARG(ql_client_str(incident, "by")),
                   ql_span_long(ql_time_since(resolved, onset), a),
                   ql_span_long(ql_time_since(resolved, opened), b));
    }
}

static void show_head(struct ql_client *client, struct ql_json incident, ql_time now)
{
    char id[64];
    const ql_str state = ql_client_str(incident, "state");
    const double merged = ql_client_number(incident, "merged_into");
    const double reopened = ql_client_number(incident, "reopen_count");
    (void)snprintf(id, sizeof(id), "Incident %.0f  ", ql_client_number(incident, "id"));
    ql_term_text(&client->term, &client->screen, QL_PAINT_BOLD, ql_str_of(id));
    ql_term_text(&client->term, &client->screen, show_state_paint(state), state);
    ql_buf_char(&client->screen, '\n');
    ql_term_wrap(&client->term, &client->screen, 2, ql_client_str(incident, "title"));
    ql_buf_char(&client->screen, '\n');
    show_field(client, "first seen at", "%.*s", QL_STR_ARG(ql_client_str(incident, "entity")));
    show_times(client, incident, now);
    show_field(client, "noise",
               "%.0f in, 1 incident out (signals: %.0f, alerts: %.0f, entities:"
               " %.0f)",
               ql_client_number(incident, "raw_count"), ql_client_number(incident, "signal_count"),
               ql_client_number(incident, "alert_count"),
               ql_client_number(incident, "entity_count"));
    if (reopened > 0) {
        show_field(client, "reopened", "%.0f times", reopened);
    }
    if (!isnan(merged)) {
        show_field(client, "merged into", "%.0f", merged);
    }
}

/* ---- causes ----------------------------------------------------------------------------- */

static void show_cause(struct ql_client *client, struct ql_json cause, ql_time onset)
{
    char head[512], clock[QL_TIME_TEXT_BYTES];
    const double rank = ql_client_number(cause, "rank");
    const double confidence = ql_client_number(cause, "confidence");
    (void)snprintf(head, sizeof(head), "  %.0f  %.*s  %.*s", rank,
                   QL_STR_ARG(ql_client_str(cause, "entity")),
                   QL_STR_ARG(ql_client_str(cause, "metric")));
    ql_term_text(&client->term, &client->screen, rank == 1.0 ? QL_PAINT_BOLD : QL_PAINT_NONE,
                 ql_str_of(head));
    (void)snprintf(head, sizeof(head), "  %.*s, %.0f%% sure, since %s\n",
                   QL_STR_ARG(ql_client_str(cause, "role")),
                   isnan(confidence) ? 0.0 : confidence * 100.0,
                   show_clock(ql_client_time(cause, "onset"), onset, clock));
    ql_buf_text(&client->screen, head);
    ql_term_wrap(&client->term, &client->screen, 5, ql_client_str(cause, "evidence"));
}

/* How many there were. */
static uint32_t show_causes(struct ql_client *client, struct ql_json incident)
{
    const struct ql_json causes = ql_json_get(incident, "causes");
    const ql_time onset = ql_client_time(incident, "onset");
    show_heading(client, "Suspects");
    for (struct ql_json_iter it = ql_json_each(causes); ql_json_next(&it);) {
        show_cause(client, it.value, onset);
    }
    if (ql_json_count(causes) == 0) {
        ql_buf_text(&client->screen, "  not known (yet)\n");
    }
    return ql_json_count(causes);
}

/* ---- members, actions, timeline ----------------------------------------------------------- */

static const struct ql_table_column show_member_columns[] = {
    { "SINCE", false, 0, false }, { "UNTIL", false, 0, false },
    { "KIND", false, 0, false },  { "IMPORTANCE", false, 0, true },
    { "ENTITY", false, 12, false }, { "NAME", false, 12, false },
    { "WHY IT IS IN", false, 16, false },
};

static void show_member(struct ql_table *table, struct ql_json member, ql_time onset)
{
    char clock[QL_TIME_TEXT_BYTES];
    const ql_time ended = ql_client_time(member, "ended");
    const bool over = ended.ns != QL_TIME_NONE.ns;
    const enum ql_paint paint = over ? QL_PAINT_DIM : QL_PAINT_NONE;
    const ql_time since = ql_client_time(member, "since");
    ql_table_cell(table, paint, "%s", show_clock(since, onset, clock));
    ql_table_cell(table, paint, "%s", over ? show_clock(ended, onset, clock) : "now");
    ql_table_str(table, paint, ql_client_str(member, "kind"));
    ql_client_importance(table, ql_client_str(ql_json_get(member, "signal"), "importance"));
    ql_table_str(table, paint, ql_client_str(member, "entity"));
    ql_table_str(table, paint, ql_client_str(member, "name"));
    ql_table_str(table, paint, ql_client_str(member, "why"));
}

/* A long incident fills screens: what came first tells most. */
static void show_rest(struct ql_client *client, uint32_t hidden_count)
{
    if (hidden_count > 0) {
        ql_buf_printf(&client->screen, "  ... %u more (--all shows them)\n", hidden_count);
    }
}

static void show_members(struct ql_client *client, struct ql_json incident)
{
    struct ql_table table;
    uint32_t shown = 0, hidden = 0;
    const ql_time onset = ql_client_time(incident, "onset");
    show_heading(client, "Members");
    ql_table_init(&table, show_member_columns, QL_COUNT_OF(show_member_columns));
    for (struct ql_json_iter it = ql_json_each(ql_json_get(incident, "members"));
         ql_json_next(&it);) {
        if (shown == SHOWN_MEMBERS_MAX && !client->options.all) {
            hidden++;
        } else {
            show_member(&table, it.value, onset);
            shown++;
        }
    }
    show_table(client, &table);
    show_rest(client, hidden);
    ql_table_fini(&table);
}

static void show_action(struct ql_client *client, struct ql_json action)
{
    const ql_str state = ql_client_str(action, "state");
    const ql_str id = ql_client_str(action, "id");
    ql_buf_printf(&client->screen, "  %.*s  ", QL_STR_ARG(id));
    ql_term_text(&client->term, &client->screen, show_state_paint(state), state);
    ql_buf_text(&client->screen, "  ");
    ql_term_text(&client->term, &client->screen, QL_PAINT_NONE, ql_client_str(action, "runbook"));
    ql_buf_text(&client->screen, " on ");
    ql_term_text(&client->term, &client->screen, QL_PAINT_NONE, ql_client_str(action, "entity"));
    ql_buf_char(&client->screen, '\n');
    ql_term_wrap(&client->term, &client->screen, 5, ql_client_str(action, "reason"));
    ql_buf_text(&client->screen, "     $ ");
    ql_term_text(&client->term, &client->screen, QL_PAINT_DIM, ql_client_str(action, "command"));
    ql_buf_char(&client->screen, '\n');
    if (ql_json_count(ql_json_get(action, "can")) > 0) {
        ql_buf_printf(&client->screen,
                      "     let it run with: quell approve %.*s"
                      "   or not: quell reject %.*s\n",
                      QL_STR_ARG(id), QL_STR_ARG(id));
    }
}

static void show_actions(struct ql_client *client, struct ql_json incident)
{
    const struct ql_json actions = ql_json_get(incident, "actions");
    if (ql_json_count(actions) == 0) {
        return;
    }
    show_heading(client, "Actions");
    for (struct ql_json_iter it = ql_json_each(actions); ql_json_next(&it);) {
        show_action(client, it.value);
    }
}

static const struct ql_table_column show_event_columns[] = {
    { "AT", false, 0, false }, { "WHAT", false, 0, false }, { "ENTITY", false, 12, false },
    { "BY", false, 0, false }, { "", false, 20, false },
};

static void show_event(struct ql_table *table, struct ql_json event, ql_time onset)
{
    char clock[QL_TIME_TEXT_BYTES];
    const ql_time at = ql_client_time(event, "at");
    ql_table_cell(table, QL_PAINT_DIM, "%s", show_clock(at, onset, clock));
    ql_table_str(table, QL_PAINT_CYAN, ql_client_str(event, "kind"));
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(event, "entity"));
    ql_table_str(table, QL_PAINT_DIM, ql_client_str(event, "by"));
    ql_table_str(table, QL_PAINT_NONE, ql_client_str(event, "text"));
}

/* Comings and goings of members stand in the table above as well. */
static bool show_is_member_event(struct ql_json event)
{
    const ql_str kind = ql_client_str(event, "kind");
    return ql_str_eq(kind, QL_STR("signal")) || ql_str_eq(kind, QL_STR("alert")) ||
           ql_str_eq(kind, QL_STR("ended"));
}

static void show_timeline(struct ql_client *client, struct ql_json incident)
{
    struct ql_table table;
    uint32_t shown = 0, hidden = 0;
    const ql_time onset = ql_client_time(incident, "onset");
    show_heading(client, "Timeline");
    ql_table_init(&table, show_event_columns, QL_COUNT_OF(show_event_columns));
    for (struct ql_json_iter it = ql_json_each(ql_json_get(incident, "timeline"));
         ql_json_next(&it);) {
        const bool of_member = show_is_member_event(it.value);
        if (of_member && shown == SHOWN_EVENTS_MAX && !client->options.all) {
            hidden++;
        } else {
            show_event(&table, it.value, onset);
            shown += of_member ? 1 : 0;
        }
    }
    show_table(client, &table);
    show_rest(client, hidden);
    ql_table_fini(&table);
}

/* ---- the verbs ---------------------------------------------------------------------------- */

static int show_fetch(struct ql_client *client, ql_time *ret_now, struct ql_json *ret_incident)
{
    char path[64];
    int64_t id = 0;
    const char *word = client->options.words[0];
    if (ql_str_to_i64(ql_str_of(word), &id) != QL_OK || id <= 0) {
        return ql_cli_fail(client->verb,
                           "'%s' is not the number of an incident: see `quell"
                           " incidents`",
                           word);
    }
    const int status = client->options.json ? 0 : ql_client_now(client, ret_now);
    if (status != 0) {
        return status;
    }
    (void)snprintf(path, sizeof(path), "/api/v1/incidents/%lld", (long long)id);
    return ql_client_get(client, path, ret_incident);
}

int ql_cli_show(int argc, char **argv)
{
    ql_time now = QL_TIME_NONE;
    struct ql_client client;
    struct ql_json incident;
    int status = ql_client_open(&client, argc, argv, QL_CLIENT_ALL, 1, 1);
    if (status != 0) {
        return status;
    }
    status = show_fetch(&client, &now, &incident);
    if (status == 0 && client.options.json) {
        status = ql_client_print_json(&client);
    } else if (status == 0) {
        show_head(&client, incident, now);
        (void)show_causes(&client, incident);
        show_actions(&client, incident);
        show_members(&client, incident);
        show_timeline(&client, incident);
        status = ql_client_flush(&client);
    }
    ql_client_close(&client);
    return status;
}

/* `why -o json` is the part of the incident that answers the question. */
static int why_json(struct ql_client *client, struct ql_json incident)
{
    struct ql_json_out w;
    const struct ql_json causes = ql_json_get(incident, "causes");
    ql_json_out_init(&w, &client->screen);
    ql_json_out_object(&w, NULL);
    ql_json_out_double(&w, "incident", ql_client_number(incident, "id"));
    ql_json_out_array(&w, "causes");
    for (struct ql_json_iter it = ql_json_each(causes); ql_json_next(&it);) {
        ql_json_out_object(&w, NULL);
        for (struct ql_json_iter part = ql_json_each(it.value); ql_json_next(&part);) {
            ql_str text;
            double number;
            ql_json_out_key(&w, part.key);
            if (ql_json_str(part.value, &text)) {
                ql_json_out_str(&w, NULL, text);
            } else if (ql_json_double(part.value, &number)) {
                ql_json_out_double(&w, NULL, number);
            } else {
                ql_json_out_null(&w, NULL);
            }
        }
        ql_json_out_end(&w);
    }
    ql_json_out_end(&w);
    ql_json_out_end(&w);
    ql_buf_char(&client->screen, '\n');
    const int status = ql_client_flush(client);
    return status == 0 && ql_json_count(causes) == 0 ? 1 : status;
}

static int why_text(struct ql_client *client, struct ql_json incident)
{
    const ql_str title = ql_client_str(incident, "title");
    ql_term_text(&client->term, &client->screen, QL_PAINT_BOLD, title);
    ql_buf_char(&client->screen, '\n');
    const uint32_t count = show_causes(client, incident);
    const double id = ql_client_number(incident, "id");
    if (count > 0) {
        ql_buf_printf(&client->screen, "\nWas it right? quell feedback %.0f right-cause ENTITY\n",
                      id);
    } else {
        ql_term_wrap(&client->term, &client->screen, 2,
                     QL_STR("Nothing stands out clearly enough to name it; the members and the"
                            " timeline are in `quell show`."));
    }
    const int status = ql_client_flush(client);
    return status == 0 && count == 0 ? 1 : status;
}

int ql_cli_why(int argc, char **argv)
{
    ql_time now;
    struct ql_client client;
    struct ql_json incident;
    int status = ql_client_open(&client, argc, argv, 0, 1, 1);
    if (status != 0) {
        return status;
    }
    status = show_fetch(&client, &now, &incident);
    if (status == 0) {
        status = client.options.json ? why_json(&client, incident) : why_text(&client, incident);
    }
    ql_client_close(&client);
    return status;
}

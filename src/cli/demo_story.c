#include "cli/demo.h"
#include "store/audit.h"

#include <inttypes.h>
#include <stdio.h>

#define STORY_ALERTS_MIN 24   /* "dozens" */
#define STORY_CAUSES_SHOWN 3
#define STORY_EVENTS_SHOWN 14

/* ---- small readers ------------------------------------------------------------------------- */

static void story_text(struct ql_json object, const char *name, char *out, size_t bytes)
{
    (void)snprintf(out, bytes, "%.*s", QL_STR_ARG(ql_client_str(object, name)));
}

static int64_t story_number(struct ql_json object, const char *name)
{
    int64_t number = 0;
    (void)ql_json_i64(ql_json_get(object, name), &number);
    return number;
}

static bool story_is(struct ql_json object, const char *name, const char *value)
{
    return ql_str_eq(ql_client_str(object, name), ql_str_of(value));
}

const char *demo_clock(ql_time t, char out[DEMO_CLOCK_BYTES])
{
    char text[QL_TIME_TEXT_BYTES];
    (void)snprintf(out, DEMO_CLOCK_BYTES, "%.8s",
                   t.ns == QL_TIME_NONE.ns ? "--:--:--" : ql_time_text(t, text) + 11);
    return out;
}

const char *demo_span(ql_time from, ql_time to, char out[DEMO_CLOCK_BYTES])
{
    if (from.ns == QL_TIME_NONE.ns || to.ns == QL_TIME_NONE.ns) {
        (void)snprintf(out, DEMO_CLOCK_BYTES, "-");
        return out;
    }
    const double s = ql_duration_s(ql_time_since(to, from));
    (void)snprintf(out, DEMO_CLOCK_BYTES, s < 100 ? "%.0f s" : "%.1f min", s < 100 ? s : s / 60);
    return out;
}

/* ---- reading ----------------------------------------------------------------------------------- */

static void story_count(struct ql_json list, ql_time fault, struct demo_story *story)
{
    for (struct ql_json_iter it = ql_json_each(list); ql_json_next(&it);) {
        const ql_time opened = ql_client_time(it.value, "opened");
        if (ql_json_type_of(ql_json_get(it.value, "merged_into")) == QL_JSON_NUMBER) {
            continue;
        }
        if (fault.ns == QL_TIME_NONE.ns || ql_time_before(opened, fault)) {
            story->incidents_before++;
        } else {
            story->incidents_during++;
            const int64_t id = story_number(it.value, "id");
            /* The first that opened after the fault; the list comes newest first. */
            story->id = id;
        }
    }
}

static void story_actions(struct ql_json actions, struct demo_story *story)
{
    for (struct ql_json_iter it = ql_json_each(actions); ql_json_next(&it);) {
        for (struct ql_json_iter step = ql_json_each(ql_json_get(it.value, "history"));
             ql_json_next(&step);) {
            if (story_is(step.value, "state", "running")) {
                const ql_time at = ql_client_time(step.value, "at");
                story->actions_run++;
                story->acted = story->acted.ns == QL_TIME_NONE.ns ? at : story->acted;
                story_text(it.value, "state", story->action_state, sizeof(story->action_state));
                story_text(it.value, "step", story->action_step, sizeof(story->action_step));
            }
        }
    }
}

static void story_incident(struct ql_json incident, struct demo_story *story)
{
    story_text(incident, "title", story->title, sizeof(story->title));
    story_text(incident, "state", story->state, sizeof(story->state));
    story_text(incident, "by", story->by, sizeof(story->by));
    story->onset = ql_client_time(incident, "onset");
    story->opened = ql_client_time(incident, "opened");
    story->resolved = ql_client_time(incident, "resolved");
    story->alerts = story_number(incident, "alert_count");
    story->signals = story_number(incident, "signal_count");
    story->entities = story_number(incident, "entity_count");
    story->raw = story_number(incident, "raw_count");
    struct ql_json_iter causes = ql_json_each(ql_json_get(incident, "causes"));
    if (ql_json_next(&causes)) {
        story_text(causes.value, "entity", story->cause_entity, sizeof(story->cause_entity));
        story_text(causes.value, "metric", story->cause_metric, sizeof(story->cause_metric));
    }
    story_actions(ql_json_get(incident, "actions"), story);
}

static int story_ask_incident(struct ql_client *client, int64_t id, struct ql_json *ret_incident)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/api/v1/incidents/%" PRId64, id);
    return ql_client_get(client, path, ret_incident);
}

int demo_story_read(struct ql_client *client, const struct demo_run *run,
                    struct demo_story *ret_story)
{
    struct demo_story story = { .onset = QL_TIME_NONE, .opened = QL_TIME_NONE,
                                .resolved = QL_TIME_NONE, .acted = QL_TIME_NONE };
    struct ql_json root;
    int status = ql_client_get(client, "/api/v1/incidents?state=all&limit=1000", &root);
    if (status != 0) {
        return status;
    }
    story_count(ql_json_get(root, "incidents"), run->shop.fault, &story);
    if (story.id != 0) {
        status = story_ask_incident(client, story.id, &root);
        if (status == 0) {
            story_incident(root, &story);
        }
    }
    if (status == 0) {
        *ret_story = story;
    }
    return status;
}

/* ---- printing -------------------------------------------------------------------------------------- */

static void story_print_causes(struct ql_json causes)
{
    uint32_t shown = 0;
    (void)printf("\n  Likely causes\n");
    for (struct ql_json_iter it = ql_json_each(causes);
         shown < STORY_CAUSES_SHOWN && ql_json_next(&it); shown++) {
        char entity[DEMO_TEXT_BYTES], metric[DEMO_TEXT_BYTES], role[64], evidence[1024];
        double confidence = 0;
        story_text(it.value, "entity", entity, sizeof(entity));
        story_text(it.value, "metric", metric, sizeof(metric));
        story_text(it.value, "role", role, sizeof(role));
        story_text(it.value, "evidence", evidence, sizeof(evidence));
        (void)ql_json_double(ql_json_get(it.value, "confidence"), &confidence);
        (void)printf("  %u. %s %s  (%s, %.0f %% sure)\n     %s\n", shown + 1, entity, metric, role,
                     confidence * 100, evidence);
    }
}

static void story_print_actions(struct ql_json actions)
{
    char text[1024], reason[1024], clock[DEMO_CLOCK_BYTES];
    (void)printf("\n  What was done\n");
    for (struct ql_json_iter it = ql_json_each(actions); ql_json_next(&it);) {
        story_text(it.value, "runbook", text, sizeof(text));
        (void)printf("  %s", text);
        story_text(it.value, "command", text, sizeof(text));
        (void)printf(": %s\n", text);
        for (struct ql_json_iter step = ql_json_each(ql_json_get(it.value, "history"));
             ql_json_next(&step);) {
            story_text(step.value, "state", text, sizeof(text));
            story_text(step.value, "reason", reason, sizeof(reason));
            (void)printf("    %s  %-10s %s\n", demo_clock(ql_client_time(step.value, "at"), clock), text,
                         reason);
        }
    }
}

/* Single alerts and signals are counted, what decides is shown. */
static void story_print_timeline(struct ql_json timeline)
{
    uint32_t folded = 0, shown = 0;
    char kind[32], text[1024], clock[DEMO_CLOCK_BYTES];
    (void)printf("\n  Timeline\n");
    for (struct ql_json_iter it = ql_json_each(timeline); ql_json_next(&it);) {
        story_text(it.value, "kind", kind, sizeof(kind));
        const bool small = strcmp(kind, "signal") == 0 || strcmp(kind, "alert") == 0 ||
                           strcmp(kind, "ended") == 0 || strcmp(kind, "cause") == 0;
        folded += small;
        if (small || shown++ >= STORY_EVENTS_SHOWN) {
            continue;
        }
        if (folded > 0) {
            (void)printf("              ... %u signals, alerts and rankings\n", folded);
            folded = 0;
        }
        story_text(it.value, "text", text, sizeof(text));
        (void)printf("    %s  %s\n", demo_clock(ql_client_time(it.value, "at"), clock), text);
    }
    if (folded > 0) {
        (void)printf("              ... %u more\n", folded);
    }
}

int demo_story_print(struct ql_client *client, const struct demo_story *story)
{
    struct ql_json incident;
    char a[DEMO_CLOCK_BYTES], b[DEMO_CLOCK_BYTES], c[DEMO_CLOCK_BYTES];
    const int status = story_ask_incident(client, story->id, &incident);
    if (status != 0) {
        return status;
    }
    (void)printf("\nIncident %" PRId64 ", %s: %s\n", story->id, story->state, story->title);
    (void)printf("  began %s, opened %s, resolved %s\n", demo_clock(story->onset, a),
                 demo_clock(story->opened, b), demo_clock(story->resolved, c));
    (void)printf("  %" PRId64 " alerts and %" PRId64 " signals in %" PRId64 " places\n",
                 story->alerts, story->signals, story->entities);
    story_print_causes(ql_json_get(incident, "causes"));
    story_print_actions(ql_json_get(incident, "actions"));
    story_print_timeline(ql_json_get(incident, "timeline"));
    return 0;
}

/* ---- checking ---------------------------------------------------------------------------------------- */

static bool story_claim(bool holds, const char *format, ...) QL_PRINTF(2, 3);
static bool story_claim(bool holds, const char *format, ...)
{
    va_list args;
    (void)printf("  %s  ", holds ? "yes" : "NO ");
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
    return holds;
}

static bool story_check_audit(const struct demo_run *with)
{
    char data[DEMO_PATH_BYTES + 32];
    struct ql_audit_report report = { 0 };
    (void)snprintf(data, sizeof(data), "%s/data", with->folder);
    const ql_err err = ql_audit_verify(data, NULL, &report);
    return story_claim(err == QL_OK && report.row_count > 0,
                       "every step is in the audit log, and its chain holds (%" PRIu64 " rows%s%s)",
                       report.row_count, err == QL_OK ? "" : ": ",
                       err == QL_OK ? "" : report.why[0] != '\0' ? report.why : ql_err_text(err));
}

bool demo_story_check(const struct demo_run *with, const struct demo_run *without,
                      const struct demo_story *story)
{
    bool all = true;
    (void)printf("\nDid the story come out?\n");
    all &= story_claim(with->feeder_status == 0 && without->feeder_status == 0,
                       "the daemon took everything that was sent (%" PRId64 " refused)",
                       with->shop.refused + without->shop.refused);
    all &= story_claim(story->incidents_before == 0,
                       "nothing was raised while all was well (%u incidents)",
                       story->incidents_before);
    all &= story_claim(story->incidents_during == 1, "one incident for the fault (%u)",
                       story->incidents_during);
    all &= story_claim(story->alerts >= STORY_ALERTS_MIN,
                       "it holds dozens of alerts (%" PRId64 " of %" PRId64 " that fired)",
                       story->alerts, with->shop.alerts_distinct);
    all &= story_claim(strcmp(story->cause_entity, "service/checkout") == 0 &&
                           strncmp(story->cause_metric, "db_connections_", 15) == 0,
                       "the first suspect is checkout's connections (%s %s)", story->cause_entity,
                       story->cause_metric);
    all &= story_claim(story->actions_run == 1 && strcmp(story->action_state, "succeeded") == 0,
                       "the runbook ran once and recovery was verified (%u runs, %s)",
                       story->actions_run,
                       story->actions_run > 0 ? story->action_state : "none");
    all &= story_check_audit(with);
    all &= story_claim(with->shop.well.ns != QL_TIME_NONE.ns &&
                           strcmp(with->shop.restart_by, "request") == 0,
                       "the shop itself says that it was restarted on request and is well");
    all &= story_claim(strcmp(story->state, "resolved") == 0, "the incident is resolved (%s)",
                       story->state);
    return all;
}

void demo_story_worth(const struct demo_run *with, const struct demo_run *without,
                      const struct demo_story *story)
{
    char a[DEMO_CLOCK_BYTES], b[DEMO_CLOCK_BYTES];
    const struct demo_shop *w = &with->shop, *o = &without->shop;
    (void)printf("\n%-44s %14s %14s\n", "What it was worth", "without fix", "with fix");
    (void)printf("  %-42s %14" PRId64 " %14d   %.1f %% less\n",
                 "signals and alerts that would each page", story->raw, 1,
                 story->raw > 0 ? 100.0 * (double)(story->raw - 1) / (double)story->raw : 0.0);
    (void)printf("  %-42s %14s %14s\n", "customers were hurt for", demo_span(o->hurt, o->well, a),
                 demo_span(w->hurt, w->well, b));
    (void)printf("  %-42s %14s %14s\n", "from the fault until all was well",
                 demo_span(o->fault, o->well, a), demo_span(w->fault, w->well, b));
    (void)printf("  Both days were run and measured, in the shop's time. Without the fix act.mode was off, and\n"
                 "  a person restarted checkout a while after the first critical alert (--human).\n");
}

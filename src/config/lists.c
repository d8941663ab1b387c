/* lists.c - the tables behind scrapes, runbooks, edges and remote writes. */
#include "config/config.h"
#include "config/policy_lists.h"
#include "config/row.h"
#include "config/slo_lists.h"
#include "config/tenant.h"
#include "config/yaml.h"

#define LIST_AT(type, field) .at = offsetof(struct type, field)

static const struct cf_node *list_child(const struct cf_node *map, const char *key)
{
    for (const struct cf_node *node = map->first; node != NULL; node = node->next) {
        if (ql_str_eq(node->key, ql_str_of(key))) {
            return node;
        }
    }
    return map;
}

/* ---- scrapes -------------------------------------------------------------------- */

static const struct cf_row list_scrape_rows[] = {
    { "job", CF_TEXT, LIST_AT(ql_scrape, job), .allowed = "a name",
      .sentence = "Becomes the label `job` of every series." },
    { "targets", CF_TEXTS, LIST_AT(ql_scrape, targets),
      .count_at = offsetof(struct ql_scrape, target_count), .allowed = "HOST:PORT",
      .sentence = "Where to scrape; each becomes the label `instance`.",
      .count_max = QL_CONFIG_TARGETS_MAX },
    { "path", CF_TEXT, LIST_AT(ql_scrape, path), .fallback = "/metrics", .allowed = "a path",
      .sentence = "Path of the page with the metrics." },
    { "scheme", CF_CHOICE, LIST_AT(ql_scrape, scheme), .fallback = "http",
      .allowed = "http, https", .sentence = "How to reach the targets." },
    { "interval", CF_DURATION, LIST_AT(ql_scrape, interval_s), .fallback = "15s",
      .allowed = "1s to 1h", .sentence = "How often each target is scraped." },
    { "timeout", CF_DURATION, LIST_AT(ql_scrape, timeout_s), .fallback = "10s",
      .allowed = "100ms to 1h",
      .sentence = "How long a scrape may take; the interval when that is shorter." },
    { "labels", CF_PAIRS, LIST_AT(ql_scrape, label_names), .fallback = "",
      .values_at = offsetof(struct ql_scrape, label_values),
      .count_at = offsetof(struct ql_scrape, label_count), .allowed = "NAME: VALUE",
      .sentence = "Labels added to every series.", .count_max = 32 },
};

static bool list_is_label_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++) {
        const bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_';
        if (!letter && !(at > name && *at >= '0' && *at <= '9')) {
            return false;
        }
    }
    return *name != '\0' && strncmp(name, "__", 2) != 0;
}

static void list_scrape_check(struct cf_problems *problems, const struct cf_node *node,
                              void *item)
{
    struct ql_scrape *scrape = item;
    const struct cf_node *timeout = list_child(node, "timeout");
    if (timeout == node && scrape->timeout_s > scrape->interval_s) {
        scrape->timeout_s = scrape->interval_s;
    }
    if (scrape->timeout_s > scrape->interval_s) {
        cf_problem_add(problems, timeout->at,
                       "the timeout is longer than the interval of %gs; allowed: at most that",
                       scrape->interval_s);
    }
    const struct cf_node *label = list_child(node, "labels")->first;
    for (uint32_t i = 0; i < scrape->label_count; i++, label = label->next) {
        if (!list_is_label_name(scrape->label_names[i])) {
            cf_problem_add(problems, label->key_at,
                           "'%.40s' is not a label name; allowed: letters, digits and '_', "
                           "not starting with a digit or with '__'",
                           scrape->label_names[i]);
        }
    }
}

static const struct cf_table list_scrapes = {
    "a scrape", list_scrape_rows, QL_COUNT_OF(list_scrape_rows), sizeof(struct ql_scrape),
    "job", list_scrape_check,
};

/* ---- runbooks ------------------------------------------------------------------- */

static const struct cf_row list_step_rows[] = {
    { "name", CF_TEXT, LIST_AT(ql_runbook_step, name), .allowed = "a name",
      .sentence = "What people call the step." },
    { "run", CF_TEXTS, LIST_AT(ql_runbook_step, argv), .allowed = "[PROGRAM, ARGUMENT, ...]",
      .count_at = offsetof(struct ql_runbook_step, argc),
      .sentence = "The program and its arguments; no shell. `{entity}`, `{name}` and "
                  "`{incident}` are replaced, not in the program.",
      .count_max = 64 },
    { "timeout", CF_DURATION, LIST_AT(ql_runbook_step, timeout_s), .fallback = "1m",
      .allowed = "1s to 1h", .sentence = "The step and all its children are ended after this." },
};

static const struct cf_table list_steps;

static const struct cf_row list_runbook_rows[] = {
    { "name", CF_TEXT, LIST_AT(ql_runbook, name), .allowed = "a name",
      .sentence = "What people call the runbook." },
    { "entity", CF_TEXT, LIST_AT(ql_runbook, entity), .allowed = "KIND/NAME, with * and ?",
      .sentence = "The suspects it is for, e.g. `service/checkout` or `service/*`." },
    { "metric", CF_TEXT, LIST_AT(ql_runbook, metric), .fallback = "*",
      .allowed = "a metric name, with * and ?",
      .sentence = "The suspect's metric it is for." },
    { "mode", CF_MODE, LIST_AT(ql_runbook, mode), .fallback = "approve",
      .allowed = "off, observe, approve, auto",
      .sentence = "`observe` proposes, `approve` asks a person, `auto` runs; `act.mode` caps it." },
    { "dry_run", CF_BOOL, LIST_AT(ql_runbook, dry_run), .fallback = "false",
      .allowed = "false, true",
      .sentence = "Goes through every gate and records what would run, and runs nothing." },
    { "score_min", CF_REAL, LIST_AT(ql_runbook, score_min), .fallback = "0.5",
      .allowed = "0 to 1", .sentence = "Confidence in the cause that a run needs." },
    { "steady", CF_DURATION, LIST_AT(ql_runbook, steady_s), .fallback = "30s",
      .allowed = "0s to 1h",
      .sentence = "How long the same entity must have been the first suspect." },
    { "verify", CF_DURATION, LIST_AT(ql_runbook, verify_s), .fallback = "5m",
      .allowed = "5s to 1d",
      .sentence = "How long recovery may take after the last step." },
    { "approval", CF_DURATION, LIST_AT(ql_runbook, approval_s), .fallback = "1h",
      .allowed = "10s to 7d",
      .sentence = "A run that nobody approved by then has expired." },
    { "attempts_max", CF_COUNT, LIST_AT(ql_runbook, attempts_max), .fallback = "2",
      .allowed = "1 to 10",
      .sentence = "After this many runs on an entity that did not help, it stops and escalates." },
    { "steps", CF_STEPS, LIST_AT(ql_runbook, steps), .allowed = "a list of steps",
      .count_at = offsetof(struct ql_runbook, step_count),
      .sentence = "What is run, one after the other; the first failure ends the run.",
      .items = &list_steps, .count_max = QL_CONFIG_STEPS_MAX },
};

static const char *const list_placeholders[] = { "entity", "name", "incident" };

/* A word in braces that nearly is a placeholder was surely meant as one; other braces
 * belong to the command. */
static void list_placeholder_check(struct cf_problems *problems, size_t at, const char *text)
{
    for (const char *open = strchr(text, '{'); open != NULL; open = strchr(open + 1, '{')) {
        const size_t bytes = strspn(open + 1, "abcdefghijklmnopqrstuvwxyz_");
        const ql_str word = { open + 1, bytes };
        const char *near = cf_nearest(word, list_placeholders, QL_COUNT_OF(list_placeholders));
        if (bytes == 0 || open[1 + bytes] != '}' || near == NULL ||
            ql_str_eq(word, ql_str_of(near))) {
            continue;
        }
        cf_problem_add(problems, at, "unknown placeholder '{%.*s}'; did you mean '{%s}'?",
                       QL_STR_ARG(word), near);
    }
}

static void list_step_check(struct cf_problems *problems, const struct cf_node *node,
                            void *item)
{
    const struct ql_runbook_step *step = item;
    const struct cf_node *run = list_child(node, "run");
    const struct cf_node *argument = run->first;
    if (step->argc == 0) {
        return; /* reported already */
    }
    if (step->argv[0][0] != '/') {
        cf_problem_add(problems, argument->at,
                       "'%.60s' is not an absolute path; allowed: /path/to/program, so that "
                       "what runs does not depend on PATH",
                       step->argv[0]);
    }
    for (uint32_t i = 0; i < QL_COUNT_OF(list_placeholders); i++) {
        const char *found = strstr(step->argv[0], list_placeholders[i]);
        if (found != NULL && found > step->argv[0] && found[-1] == '{') {
            cf_problem_add(problems, argument->at,
                           "a placeholder must not choose the program; allowed: in arguments");
            break;
        }
    }
    for (uint32_t i = 0; i < step->argc && argument != NULL; i++, argument = argument->next) {
        list_placeholder_check(problems, argument->at, step->argv[i]);
    }
}

static const struct cf_table list_steps = {
    "a step", list_step_rows, QL_COUNT_OF(list_step_rows), sizeof(struct ql_runbook_step),
    "name", list_step_check,
};

static void list_runbook_check(struct cf_problems *problems, const struct cf_node *node,
                               void *item)
{
    const struct ql_runbook *runbook = item;
    if (runbook->entity != NULL && strchr(runbook->entity, '/') == NULL &&
        strcmp(runbook->entity, "*") != 0) {
        cf_problem_add(problems, list_child(node, "entity")->at,
                       "'%.60s' names no kind; allowed: KIND/NAME such as service/%.60s",
                       runbook->entity, runbook->entity);
    }
}

static const struct cf_table list_runbooks = {
    "a runbook", list_runbook_rows, QL_COUNT_OF(list_runbook_rows), sizeof(struct ql_runbook),
    "name", list_runbook_check,
};

/* ---- edges ---------------------------------------------------------------------- */

static const struct cf_row list_edge_rows[] = {
    { "caller", CF_TEXT, LIST_AT(ql_declared_edge, caller), .allowed = "KIND/NAME or a service",
      .sentence = "Who calls." },
    { "callee", CF_TEXT, LIST_AT(ql_declared_edge, callee), .allowed = "KIND/NAME or a service",
      .sentence = "Who is called." },
};

static const struct cf_table list_edges = {
    "an edge", list_edge_rows, QL_COUNT_OF(list_edge_rows), sizeof(struct ql_declared_edge),
    NULL, NULL,
};

/* ---- remote write out --------------------------------------------------------------- */

static const struct cf_row list_remote_write_rows[] = {
    { "url", CF_TEXT, LIST_AT(ql_remote_write, url), .allowed = "http://... or https://...",
      .sentence = "Where to send: the address of a remote write 1.0 receiver." },
    { "match", CF_TEXT, LIST_AT(ql_remote_write, match), .fallback = "{}",
      .allowed = "a selector such as {job=\"node\"}",
      .sentence = "The series that this is about." },
    { "bands", CF_BOOL, LIST_AT(ql_remote_write, bands), .fallback = "true",
      .allowed = "false, true", .sentence = "Sends `yhat`, `yhat_lower` and `yhat_upper`." },
    { "scores", CF_BOOL, LIST_AT(ql_remote_write, scores), .fallback = "true",
      .allowed = "false, true", .sentence = "Sends `anomaly_score`." },
    { "samples", CF_BOOL, LIST_AT(ql_remote_write, samples), .fallback = "false",
      .allowed = "false, true", .sentence = "Sends the samples themselves, as they came." },
    { "labels", CF_PAIRS, LIST_AT(ql_remote_write, label_names), .fallback = "",
      .values_at = offsetof(struct ql_remote_write, label_values),
      .count_at = offsetof(struct ql_remote_write, label_count), .allowed = "NAME: VALUE",
      .sentence = "Labels added to every series that does not have them.", .count_max = 16 },
    { "series_max", CF_COUNT, LIST_AT(ql_remote_write, series_max), .fallback = "100000",
      .allowed = "1 to 1000000",
      .sentence = "At most so many series; the others are counted." },
    { "interval", CF_DURATION, LIST_AT(ql_remote_write, interval_s), .fallback = "15s",
      .allowed = "1s to 1h", .sentence = "How often what is new is sent." },
    { "timeout", CF_DURATION, LIST_AT(ql_remote_write, timeout_s), .fallback = "10s",
      .allowed = "100ms to 5m", .sentence = "How long one request may take." },
    { "backlog", CF_DURATION, LIST_AT(ql_remote_write, backlog_s), .fallback = "2h",
      .allowed = "1m to 1d",
      .sentence = "How far back is sent after the receiver was away; what is older is counted." },
};

static void list_remote_write_check(struct cf_problems *problems, const struct cf_node *node,
                                    void *item)
{
    const struct ql_remote_write *write = item;
    if (write->url != NULL && strncmp(write->url, "http://", 7) != 0 &&
        strncmp(write->url, "https://", 8) != 0) {
        cf_problem_add(problems, list_child(node, "url")->at,
                       "'%.60s' is not an address; allowed: http://... or https://...",
                       write->url);
    }
    const struct cf_node *label = list_child(node, "labels")->first;
    for (uint32_t i = 0; i < write->label_count; i++, label = label->next) {
        if (!list_is_label_name(write->label_names[i])) {
            cf_problem_add(problems, label->key_at,
                           "'%.40s' is not a label name; allowed: letters, digits and '_', "
                           "not starting with a digit or with '__'",
                           write->label_names[i]);
        }
    }
}

static const struct cf_table list_remote_writes = {
    "a remote write", list_remote_write_rows, QL_COUNT_OF(list_remote_write_rows),
    sizeof(struct ql_remote_write), "url", list_remote_write_check,
};

/* ---- all of them ---------------------------------------------------------------- */

#define LIST_ITEMS(name, field, count_field, table, most, sentence_)                           \
    { #name, CF_ITEMS, LIST_AT(ql_config, field), .fallback = "", .allowed = "a list",         \
      .count_at = offsetof(struct ql_config, count_field), .sentence = (sentence_),            \
      .items = &(table), .count_max = (most) }

const struct cf_row cf_lists[] = {
    LIST_ITEMS(scrapes, scrapes, scrape_count, list_scrapes, QL_CONFIG_SCRAPES_MAX,
               "Prometheus metric pages that the daemon fetches itself."),
    LIST_ITEMS(runbooks, runbooks, runbook_count, list_runbooks, QL_CONFIG_RUNBOOKS_MAX,
               "What may be done about a cause; see runbooks.md."),
    LIST_ITEMS(edges, edges, edge_count, list_edges, QL_CONFIG_EDGES_MAX,
               "Calls between entities that no span tells about."),
    LIST_ITEMS(policies, policies, policy_count, cf_policies, QL_CONFIG_POLICIES_MAX,
               "What is to be expected of chosen series; see policies.md."),
    LIST_ITEMS(slos, slos, slo_count, cf_slos, QL_CONFIG_SLOS_MAX,
               "What is promised, and judged by how fast its error budget burns; see slos.md."),
    LIST_ITEMS(resources, resources, resource_count, cf_resources, QL_CONFIG_RESOURCES_MAX,
               "What has a limit that its name does not tell; see forecast.md."),
    LIST_ITEMS(remote_write, remote_writes, remote_write_count, list_remote_writes,
               QL_CONFIG_REMOTE_WRITES_MAX,
               "Where bands, scores and samples are sent on to; see promql.md."),
    LIST_ITEMS(tenants, tenants, tenant_count, cf_tenants, QL_CONFIG_TENANTS_MAX,
               "Whose series have a budget of signals of their own; see detection.md."),
};
const uint32_t cf_list_count = QL_COUNT_OF(cf_lists);

#include "config/policy_lists.h"

#include "config/moment.h"
#include "model/selector.h"

#include <math.h>

#define AT(field) .at = offsetof(struct ql_policy, field)
#define MAYBE(field)                                                                           \
    .fallback = "", .given = 1u << (field), .given_at = offsetof(struct ql_policy, given)

static const struct cf_row policy_rows[] = {
    { "name", CF_TEXT, AT(name), .allowed = "a name",
      .sentence = "What people call the policy; shown as the reason of what it does." },
    { "match", CF_TEXT, AT(match), .allowed = "NAME{label=\"value\"}, as in Prometheus",
      .sentence = "The series it is for; `slo_burn_rate{slo=\"NAME\"}` for the signals of an "
                  "SLO." },
    { "direction", CF_CHOICE, AT(direction_text), MAYBE(QL_POLICY_DIRECTION),
      .allowed = "both, up, down",
      .sentence = "Which way from the expected a value must be to become a signal; `both` unless "
                  "a policy says otherwise." },
    { "min_absolute", CF_REAL, AT(min_absolute), MAYBE(QL_POLICY_MIN_ABSOLUTE),
      .allowed = "0 to 1e300",
      .sentence = "A value nearer to the expected than this is no signal, however odd." },
    { "min_relative", CF_REAL, AT(min_relative), MAYBE(QL_POLICY_MIN_RELATIVE),
      .allowed = "0 to 1e6",
      .sentence = "The same as a share of the expected: 0.2 is a fifth." },
    { "valid_range", CF_TEXTS, AT(range_texts), MAYBE(QL_POLICY_VALID_RANGE),
      .count_at = offsetof(struct ql_policy, range_count), .count_max = 2,
      .allowed = "[LOWEST, HIGHEST], -inf and inf for none",
      .sentence = "A value outside is a signal by itself, from the first value on, and is never "
                  "learnt; `[]` takes the bound away." },
    { "importance", CF_CHOICE, AT(importance_text), MAYBE(QL_POLICY_IMPORTANCE),
      .allowed = "normal, low, high, critical",
      .sentence = "`high` and `critical` signals open an incident alone, `low` ones never do." },
    { "detector", CF_CHOICE, AT(detector_text), MAYBE(QL_POLICY_DETECTOR), .allowed = "off, on",
      .sentence = "`off`: learns and looks ahead, but only valid_range makes signals." },
    { "mute", CF_TEXTS, AT(mute_texts), MAYBE(QL_POLICY_MUTE),
      .count_at = offsetof(struct ql_policy, mute_count), .count_max = QL_CONFIG_MUTES_MAX,
      .allowed = "[\"DAYS HH:MM-HH:MM OFFSET\", ...]",
      .sentence = "When its signals are held back: DAYS is daily, Mon, Mon-Fri, Sat,Sun, a date "
                  "or DATE..DATE; each part but one may be left out." },
    { "mute_after_change", CF_DURATION, AT(mute_after_change_s),
      MAYBE(QL_POLICY_MUTE_AFTER_CHANGE), .allowed = "0s to 1d",
      .sentence = "How long its signals are held back after a change of the same entity." },
};

static const struct cf_node *policy_child(const struct cf_node *map, const char *key)
{
    const struct cf_node *node = map->first;
    while (node != NULL && !ql_str_eq(node->key, ql_str_of(key))) {
        node = node->next;
    }
    return node;
}

static void policy_match_check(struct cf_problems *problems, const struct cf_node *node,
                               const struct ql_policy *policy)
{
    struct ql_selector selector;
    char why[QL_SELECTOR_WHY_BYTES] = "";
    const ql_err err = ql_selector_parse(ql_str_of(policy->match), &selector, why);
    if (err == QL_OK) {
        ql_selector_fini(&selector);
    } else {
        cf_problem_add(problems, policy_child(node, "match")->at, "not a selector: %s",
                       why[0] != '\0' ? why : ql_err_text(err));
    }
}

static bool policy_bound(struct cf_problems *problems, const struct cf_node *item,
                         double *ret_bound)
{
    if (item != NULL && ql_str_to_double(item->text, ret_bound) == QL_OK && !isnan(*ret_bound)) {
        return true;
    }
    if (item != NULL) {
        cf_problem_add(problems, item->at, "'%.*s' is not a number; allowed: a number, -inf, inf",
                       (int)(item->text.bytes < 40 ? item->text.bytes : 40), item->text.at);
    }
    return false;
}

static void policy_range_check(struct cf_problems *problems, const struct cf_node *node,
                               struct ql_policy *policy)
{
    const struct cf_node *range = policy_child(node, "valid_range");
    policy->low = -INFINITY;
    policy->high = INFINITY;
    if (range == NULL || policy->range_count == 0) {
        return;
    }
    if (policy->range_count != 2) {
        cf_problem_add(problems, range->at, "a range has two ends; allowed: [LOWEST, HIGHEST]");
        return;
    }
    if (policy_bound(problems, range->first, &policy->low) &&
        policy_bound(problems, range->first->next, &policy->high) &&
        policy->low > policy->high) {
        cf_problem_add(problems, range->at,
                       "the range is empty: %g is above %g; allowed: [LOWEST, HIGHEST]",
                       policy->low, policy->high);
    }
}

static void policy_mute_check(struct cf_problems *problems, const struct cf_node *node,
                              struct ql_policy *policy)
{
    const struct cf_node *list = policy_child(node, "mute");
    const struct cf_node *item = list == NULL ? NULL : list->first;
    for (uint32_t i = 0; i < policy->mute_count && item != NULL; i++, item = item->next) {
        if (!ql_moment_mute(item->text, &policy->mutes[i])) {
            cf_problem_add(problems, item->at,
                           "'%.*s' is no window of time; allowed: [DAYS] [HH:MM-HH:MM] [+HH:MM], "
                           "DAYS: daily, Mon, Mon-Fri, Sat,Sun, YYYY-MM-DD, "
                           "YYYY-MM-DD..YYYY-MM-DD",
                           (int)(item->text.bytes < 60 ? item->text.bytes : 60), item->text.at);
        }
    }
}

static void policy_check(struct cf_problems *problems, const struct cf_node *node, void *item)
{
    struct ql_policy *policy = item;
    policy_match_check(problems, node, policy);
    policy_range_check(problems, node, policy);
    policy_mute_check(problems, node, policy);
    const char *direction = policy->direction_text;
    policy->direction = direction == NULL             ? QL_POLICY_BOTH
                        : strcmp(direction, "up") == 0 ? QL_POLICY_UP
                        : strcmp(direction, "down") == 0 ? QL_POLICY_DOWN
                                                         : QL_POLICY_BOTH;
    policy->importance = QL_IMPORTANCE_NORMAL;
    for (uint32_t i = 0; policy->importance_text != NULL && i < QL_IMPORTANCE_COUNT; i++) {
        if (strcmp(policy->importance_text, ql_importance_text((enum ql_importance)i)) == 0) {
            policy->importance = (enum ql_importance)i;
        }
    }
    policy->detector = policy->detector_text == NULL || strcmp(policy->detector_text, "on") == 0;
}

const struct cf_table cf_policies = {
    "a policy", policy_rows, QL_COUNT_OF(policy_rows), sizeof(struct ql_policy), "name",
    policy_check,
};

/* ---- resources ------------------------------------------------------------------- */

#define RESOURCE_AT(field) .at = offsetof(struct ql_resource, field)
#define RESOURCE_MAYBE(bit)                                                                    \
    .fallback = "", .given = 1u << (bit), .given_at = offsetof(struct ql_resource, given)

static const struct cf_row resource_rows[] = {
    { "name", CF_TEXT, RESOURCE_AT(name), .allowed = "a name",
      .sentence = "What people call the limit; shown beside the forecast." },
    { "match", CF_TEXT, RESOURCE_AT(match), .allowed = "NAME{label=\"value\"}, as in Prometheus",
      .sentence = "The series that fill up; each is a resource of its own." },
    { "limit", CF_REAL, RESOURCE_AT(limit), RESOURCE_MAYBE(0), .allowed = "0 to 1e300",
      .sentence = "The limit as a number, in the unit of the series." },
    { "limit_match", CF_TEXT, RESOURCE_AT(limit_match), RESOURCE_MAYBE(1),
      .allowed = "NAME{label=\"value\"}, as in Prometheus",
      .sentence = "Instead of `limit`: the series that holds it, with the same labels but the "
                  "name, or the only one that matches." },
    { "counts", CF_CHOICE, RESOURCE_AT(counts), .fallback = "used", .allowed = "used, free",
      .sentence = "`used`: the series grows to the limit; `free`: it says what is left of it." },
};

static void resource_selector_check(struct cf_problems *problems, const struct cf_node *node,
                                    const char *key, const char *text)
{
    struct ql_selector selector;
    char why[QL_SELECTOR_WHY_BYTES] = "";
    const struct cf_node *at = policy_child(node, key);
    if (at == NULL || text == NULL) {
        return;
    }
    if (ql_selector_parse(ql_str_of(text), &selector, why) != QL_OK) {
        cf_problem_add(problems, at->at, "'%.60s' is no selector: %s", text, why);
        return;
    }
    ql_selector_fini(&selector);
}

static void resource_check(struct cf_problems *problems, const struct cf_node *node, void *item)
{
    struct ql_resource *resource = item;
    resource_selector_check(problems, node, "match", resource->match);
    resource_selector_check(problems, node, "limit_match", resource->limit_match);
    const bool by_series = resource->limit_match != NULL;
    if ((resource->limit > 0.0) == by_series) {
        cf_problem_add(problems, node->at,
                       "a resource needs its limit; allowed: either 'limit', above 0, or "
                       "'limit_match'");
    }
    resource->free = resource->counts != NULL && strcmp(resource->counts, "free") == 0;
}

const struct cf_table cf_resources = {
    "a resource", resource_rows, QL_COUNT_OF(resource_rows), sizeof(struct ql_resource), "name",
    resource_check,
};

/* ---- calendar -------------------------------------------------------------------- */

void cf_calendar_check(struct cf_problems *problems, const struct cf_node *root,
                       struct ql_config *config)
{
    const struct cf_node *map = policy_child(root, "calendar");
    if (map == NULL || map->kind != CF_MAP) {
        return;
    }
    const struct cf_node *offset = policy_child(map, "utc_offset");
    if (offset != NULL && offset->kind == CF_SCALAR &&
        !ql_moment_offset(offset->text, &config->calendar_offset_s)) {
        cf_problem_add(problems, offset->at, "'%.*s' is not an offset; allowed: +HH:MM or -HH:MM",
                       (int)(offset->text.bytes < 40 ? offset->text.bytes : 40), offset->text.at);
    }
    const struct cf_node *days = policy_child(map, "holidays");
    for (const struct cf_node *day = days == NULL ? NULL : days->first; day != NULL;
         day = day->next) {
        int32_t year, month, date;
        ql_str name;
        if (day->kind == CF_SCALAR &&
            !ql_moment_holiday(day->text, &year, &month, &date, &name)) {
            cf_problem_add(problems, day->at,
                           "'%.*s' is no day; allowed: YYYY-MM-DD NAME, or MM-DD NAME for every "
                           "year",
                           (int)(day->text.bytes < 40 ? day->text.bytes : 40), day->text.at);
        }
    }
}

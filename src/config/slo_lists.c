#include "config/slo_lists.h"

#include "config/config.h"
#include "config/problem.h"
#include "config/yaml.h"
#include "model/selector.h"

#include <math.h>
#include <stdio.h>

#define AT(field) .at = offsetof(struct ql_slo, field)
#define MAYBE(field)                                                                           \
    .fallback = "", .given = 1u << (field), .given_at = offsetof(struct ql_slo, given)
#define SELECTOR .allowed = "NAME{label=\"value\"}, as in Prometheus"

static const struct cf_row slo_rows[] = {
    { "name", CF_TEXT, AT(name), .allowed = "up to 64 of letters, digits, blanks and _ . - / :",
      .sentence = "What people call the promise; a label of its signals and of its own metrics." },
    { "target", CF_REAL, AT(target), .allowed = "1 to 99.9999",
      .sentence = "The share of events that is to be good, in percent." },
    { "window", CF_DURATION, AT(window_s), .fallback = "30d", .allowed = "1d to 90d",
      .sentence = "The time that the error budget is for." },
    { "good", CF_TEXT, AT(good), MAYBE(QL_SLO_GOOD), SELECTOR,
      .sentence = "Counters of good events, summed; with `total`." },
    { "bad", CF_TEXT, AT(bad), MAYBE(QL_SLO_BAD), SELECTOR,
      .sentence = "Counters of bad events, summed; with `total`, in place of `good`." },
    { "total", CF_TEXT, AT(total), MAYBE(QL_SLO_TOTAL), SELECTOR,
      .sentence = "Counters of all events, summed." },
    { "match", CF_TEXT, AT(match), MAYBE(QL_SLO_MATCH), SELECTOR,
      .sentence = "Series of which each value is an event; with `above` or `below`, in place of "
                  "`good`, `bad` and `total`." },
    { "above", CF_REAL, AT(above), MAYBE(QL_SLO_ABOVE), .allowed = "-1e300 to 1e300",
      .sentence = "A value of `match` above this is bad." },
    { "below", CF_REAL, AT(below), MAYBE(QL_SLO_BELOW), .allowed = "-1e300 to 1e300",
      .sentence = "A value of `match` below this is bad." },
    { "entity", CF_TEXT, AT(entity), MAYBE(QL_SLO_ENTITY), .allowed = "KIND/NAME or a service",
      .sentence = "What the signals are about; without it the one whose series count most of the "
                  "bad events." },
};

static const struct cf_node *slo_child(const struct cf_node *map, const char *key)
{
    const struct cf_node *node = map->first;
    while (node != NULL && !ql_str_eq(node->key, ql_str_of(key))) {
        node = node->next;
    }
    return node;
}

/* The name goes into label values and sentences as it is. */
static void slo_name_check(struct cf_problems *problems, const struct cf_node *node,
                           const struct ql_slo *slo)
{
    const size_t bytes = strspn(slo->name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                           "0123456789 _.-/:");
    if (slo->name[bytes] != '\0' || bytes >= QL_SLO_NAME_BYTES) {
        cf_problem_add(problems, slo_child(node, "name")->at,
                       "'%.70s' is no name for an SLO; allowed: %s", slo->name,
                       slo_rows[0].allowed);
    }
}

static void slo_selector_check(struct cf_problems *problems, const struct cf_node *node,
                               const char *key, const char *text)
{
    struct ql_selector selector;
    char why[QL_SELECTOR_WHY_BYTES] = "";
    if (text == NULL) {
        return;
    }
    const ql_err err = ql_selector_parse(ql_str_of(text), &selector, why);
    if (err == QL_OK) {
        ql_selector_fini(&selector);
    } else {
        cf_problem_add(problems, slo_child(node, key)->at, "not a selector: %s",
                       why[0] != '\0' ? why : ql_err_text(err));
    }
}

/* One of three forms, and nothing of the other two. */
static void slo_form_check(struct cf_problems *problems, const struct cf_node *node,
                           const struct ql_slo *slo)
{
    static const char *const keys[] = { "good", "bad", "total", "match", "above", "below" };
    const uint32_t form = slo->given & ~(1u << QL_SLO_ENTITY);
    const uint32_t match = 1u << QL_SLO_MATCH, total = 1u << QL_SLO_TOTAL;
    if (form == (1u << QL_SLO_GOOD | total) || form == (1u << QL_SLO_BAD | total) ||
        form == (match | 1u << QL_SLO_ABOVE) || form == (match | 1u << QL_SLO_BELOW) ||
        form == (match | 1u << QL_SLO_ABOVE | 1u << QL_SLO_BELOW)) {
        return;
    }
    char found[64] = "none of them";
    size_t bytes = 0;
    for (uint32_t i = 0; i < QL_COUNT_OF(keys); i++) {
        if ((form >> i & 1) != 0) {
            bytes += (size_t)snprintf(found + bytes, sizeof(found) - bytes, "%s%s",
                                      bytes > 0 ? ", " : "", keys[i]);
        }
    }
    cf_problem_add(problems, node->at,
                   "an SLO is good and total, bad and total, or match with above or below; "
                   "found: %s", found);
}

static void slo_limits_check(struct cf_problems *problems, const struct cf_node *node,
                             struct ql_slo *slo)
{
    slo->above = (slo->given >> QL_SLO_ABOVE & 1) != 0 ? slo->above : INFINITY;
    slo->below = (slo->given >> QL_SLO_BELOW & 1) != 0 ? slo->below : -INFINITY;
    if (slo->below > slo->above) {
        cf_problem_add(problems, slo_child(node, "below")->at,
                       "every value is bad: below %g or above %g; allowed: below <= above",
                       slo->below, slo->above);
    }
}

static uint64_t slo_hash(uint64_t hash, const char *text)
{
    const uint64_t parts[] = { hash, text == NULL ? 0 : ql_hash64(text, strlen(text)) };
    return ql_hash64(parts, sizeof(parts));
}

static uint64_t slo_key(const struct ql_slo *slo)
{
    const char *const texts[] = { slo->name, slo->good, slo->bad, slo->total, slo->match };
    const double limits[] = { slo->above, slo->below };
    uint64_t key = ql_hash64(limits, sizeof(limits));
    for (uint32_t i = 0; i < QL_COUNT_OF(texts); i++) {
        key = slo_hash(key, texts[i]);
    }
    return key;
}

static void slo_check(struct cf_problems *problems, const struct cf_node *node, void *item)
{
    struct ql_slo *slo = item;
    slo_name_check(problems, node, slo);
    slo_form_check(problems, node, slo);
    slo_selector_check(problems, node, "good", slo->good);
    slo_selector_check(problems, node, "bad", slo->bad);
    slo_selector_check(problems, node, "total", slo->total);
    slo_selector_check(problems, node, "match", slo->match);
    slo_limits_check(problems, node, slo);
    slo->key = slo_key(slo);
}

const struct cf_table cf_slos = {
    "an SLO", slo_rows, QL_COUNT_OF(slo_rows), sizeof(struct ql_slo), "name", slo_check,
};

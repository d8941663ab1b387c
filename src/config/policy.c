#include "config/policy.h"

#include "config/moment.h"
#include "config/row.h"
#include "config/slo.h"
#include "config/tenant.h"
#include "model/entity.h"
#include "model/labels.h"
#include "model/selector.h"

#include <math.h>
#include <stdlib.h>

struct ql_policy_set {
    const struct ql_config *config;
    struct ql_selector *selectors; /* one a policy */
    uint32_t count;                /* of those that are parsed */
};

void ql_policy_set_close(struct ql_policy_set *set)
{
    if (set == NULL) {
        return;
    }
    for (uint32_t i = 0; i < set->count; i++) {
        ql_selector_fini(&set->selectors[i]);
    }
    free(set->selectors);
    free(set);
}

ql_err ql_policy_set_open(const struct ql_config *config, struct ql_policy_set **ret_set)
{
    struct ql_policy_set *set = calloc(1, sizeof(*set));
    if (set == NULL) {
        return QL_E_MEMORY;
    }
    set->config = config;
    set->selectors = calloc(config->policy_count + 1, sizeof(*set->selectors));
    ql_err err = set->selectors == NULL ? QL_E_MEMORY : QL_OK;
    for (uint32_t i = 0; i < config->policy_count && err == QL_OK; i++) {
        char why[QL_SELECTOR_WHY_BYTES];
        err = ql_selector_parse(ql_str_of(config->policies[i].match), &set->selectors[i], why);
        set->count += err == QL_OK;
    }
    if (err != QL_OK) {
        ql_policy_set_close(set);
        return err == QL_E_MEMORY ? err : QL_E_CONFIG;
    }
    *ret_set = set;
    return QL_OK;
}

static void effect_take(struct ql_policy_effect *e, const struct ql_policy *p, uint16_t by)
{
    const uint32_t given = p->given;
    e->direction = given >> QL_POLICY_DIRECTION & 1 ? p->direction : e->direction;
    e->min_absolute = given >> QL_POLICY_MIN_ABSOLUTE & 1 ? p->min_absolute : e->min_absolute;
    e->min_relative = given >> QL_POLICY_MIN_RELATIVE & 1 ? p->min_relative : e->min_relative;
    e->low = given >> QL_POLICY_VALID_RANGE & 1 ? p->low : e->low;
    e->high = given >> QL_POLICY_VALID_RANGE & 1 ? p->high : e->high;
    e->importance = given >> QL_POLICY_IMPORTANCE & 1 ? p->importance : e->importance;
    e->detector = given >> QL_POLICY_DETECTOR & 1 ? p->detector : e->detector;
    if (given >> QL_POLICY_MUTE_AFTER_CHANGE & 1) {
        e->mute_after_change_ns = (int64_t)llround(p->mute_after_change_s * 1e9);
    }
    for (uint32_t field = 0; field < QL_POLICY_FIELDS; field++) {
        e->by[field] = given >> field & 1 ? by : e->by[field];
    }
}

bool ql_policy_resolve(struct ql_policy_set *set, ql_str labels,
                       struct ql_policy_effect *ret_effect)
{
    bool any = false;
    memset(ret_effect, 0, sizeof(*ret_effect));
    ret_effect->low = -INFINITY;
    ret_effect->high = INFINITY;
    ret_effect->detector = 1;
    for (uint32_t i = 0; i < set->count; i++) {
        if (ql_selector_matches(&set->selectors[i], labels)) {
            effect_take(ret_effect, &set->config->policies[i], (uint16_t)(i + 1));
            any = true;
        }
    }
    return any;
}

const char *ql_policy_muted(const struct ql_policy_set *set,
                            const struct ql_policy_effect *effect, ql_time at)
{
    const uint16_t by = effect->by[QL_POLICY_MUTE];
    const struct ql_policy *policy = by == 0 ? NULL : &set->config->policies[by - 1];
    for (uint32_t i = 0; policy != NULL && i < policy->mute_count; i++) {
        if (ql_mute_holds(&policy->mutes[i], set->config->calendar_offset_s, at)) {
            return policy->mute_texts[i];
        }
    }
    return NULL;
}

const char *ql_policy_name(const struct ql_policy_set *set, uint16_t by)
{
    QL_ASSERT(by <= set->count);
    return by == 0 ? "default" : set->config->policies[by - 1].name;
}

/* ---- for people ------------------------------------------------------------------ */

static void explain_field(const struct ql_policy_set *set, const struct ql_policy_effect *e,
                          enum ql_policy_field field, struct ql_buf *out)
{
    static const char *const directions[] = { "both", "up", "down" };
    const uint16_t by = e->by[field];
    const struct ql_policy *policy = by == 0 ? NULL : &set->config->policies[by - 1];
    switch (field) {
    case QL_POLICY_DIRECTION: (void)ql_buf_text(out, directions[e->direction]); break;
    case QL_POLICY_MIN_ABSOLUTE: (void)ql_buf_printf(out, "%.15g", e->min_absolute); break;
    case QL_POLICY_MIN_RELATIVE: (void)ql_buf_printf(out, "%.15g", e->min_relative); break;
    case QL_POLICY_VALID_RANGE: (void)ql_buf_printf(out, "[%.15g, %.15g]", e->low, e->high); break;
    case QL_POLICY_IMPORTANCE:
        (void)ql_buf_text(out, ql_importance_text((enum ql_importance)e->importance));
        break;
    case QL_POLICY_DETECTOR: (void)ql_buf_text(out, e->detector != 0 ? "on" : "off"); break;
    case QL_POLICY_MUTE:
        (void)ql_buf_text(out, policy == NULL || policy->mute_count == 0 ? "never" : "");
        for (uint32_t i = 0; policy != NULL && i < policy->mute_count; i++) {
            (void)ql_buf_printf(out, "%s%s", i > 0 ? "; " : "", policy->mute_texts[i]);
        }
        break;
    case QL_POLICY_MUTE_AFTER_CHANGE:
        (void)ql_buf_printf(out, "%.15gs", (double)e->mute_after_change_ns / 1e9);
        break;
    default: break;
    }
    (void)ql_buf_printf(out, "  (%s%s)\n", by == 0 ? "" : "set by ", ql_policy_name(set, by));
}

static void explain_matches(struct ql_policy_set *set, ql_str labels, struct ql_buf *out)
{
    uint32_t matched = 0;
    for (uint32_t i = 0; i < set->count; i++) {
        if (ql_selector_matches(&set->selectors[i], labels)) {
            matched++;
            (void)ql_buf_printf(out, "applies: %s  (match: %s)\n", set->config->policies[i].name,
                                set->config->policies[i].match);
        }
    }
    (void)ql_buf_printf(out, "%u of %u policies apply%s\n", matched, set->count,
                        matched > 1 ? "; where two set a field, the later one wins" : "");
}

/* Whose changes mute a series. */
static void explain_entity(ql_str labels, bool burn, struct ql_buf *out)
{
    if (burn) {
        (void)ql_buf_text(out, "the SLO's entity");
    } else if (!ql_entity_of_labels(labels, out)) {
        (void)ql_buf_text(out, "its entity, which no label tells: never");
    }
}

/* Whether one sort of signals is told, when it is held and how much it matters. */
static void explain_told(const struct ql_policy_set *set, const struct ql_policy_effect *e,
                         ql_str labels, enum ql_signal_kind kind, struct ql_buf *out)
{
    const uint16_t mute = e->by[QL_POLICY_MUTE];
    const struct ql_policy *policy = mute == 0 ? NULL : &set->config->policies[mute - 1];
    if (kind != QL_SIGNAL_BOUND && e->detector == 0) {
        (void)ql_buf_printf(out, "never told (detector: off, %s)",
                            ql_policy_name(set, e->by[QL_POLICY_DETECTOR]));
        return;
    }
    (void)ql_buf_text(out, "told");
    if (e->by[QL_POLICY_IMPORTANCE] != 0) {
        (void)ql_buf_printf(out, ", importance %s",
                            ql_importance_text((enum ql_importance)e->importance));
    }
    for (uint32_t i = 0; policy != NULL && i < policy->mute_count; i++) {
        (void)ql_buf_printf(out, "%s%s", i > 0 ? ", " : "; held in ", policy->mute_texts[i]);
    }
    if (e->mute_after_change_ns > 0) {
        (void)ql_buf_printf(out, "; held for %.15gs after a change of ",
                            (double)e->mute_after_change_ns / 1e9);
        explain_entity(labels, kind == QL_SIGNAL_BURN_RATE, out);
    }
}

/* What all of it comes to, by the sorts of signals that such a series may get. */
static void explain_signals(const struct ql_policy_set *set, ql_str labels,
                            const struct ql_policy_effect *e, struct ql_buf *out)
{
    (void)ql_buf_text(out, "what that means\n");
    if (ql_str_eq(ql_labels_get(labels, QL_STR("__name__")), QL_STR("slo_burn_rate"))) {
        (void)ql_buf_text(out, "  burn rate: ");
        explain_told(set, e, labels, QL_SIGNAL_BURN_RATE, out);
        (void)ql_buf_text(out, "; direction, minima and range do not apply\n");
        return;
    }
    (void)ql_buf_text(out, "  value, absence, reset and group signals: ");
    explain_told(set, e, labels, QL_SIGNAL_LEVEL_SHIFT, out);
    if (e->low > -INFINITY || e->high < INFINITY) {
        (void)ql_buf_text(out, "\n  out of bounds: ");
        explain_told(set, e, labels, QL_SIGNAL_BOUND, out);
    }
    (void)ql_buf_text(out, "\n  exhaustion, where it has a limit: ");
    if (set->config->forecast_enabled) {
        explain_told(set, e, labels, QL_SIGNAL_EXHAUSTION, out);
        (void)ql_buf_text(out, "; direction, minima and range do not apply\n");
    } else {
        (void)ql_buf_text(out, "not looked for (forecast: enabled: false)\n");
    }
}

static ql_err explain_series(struct ql_policy_set *set, ql_str labels, struct ql_buf *out)
{
    static const char *const names[] = {
        "direction", "min_absolute", "min_relative", "valid_range", "importance", "detector",
        "mute", "mute_after_change",
    };
    _Static_assert(QL_COUNT_OF(names) == QL_POLICY_FIELDS, "a name a field");
    struct ql_policy_effect effect;
    (void)ql_labels_text(labels, out);
    (void)ql_buf_char(out, '\n');
    explain_matches(set, labels, out);
    (void)ql_policy_resolve(set, labels, &effect);
    for (uint32_t field = 0; field < QL_POLICY_FIELDS; field++) {
        (void)ql_buf_printf(out, "  %s: ", names[field]);
        explain_field(set, &effect, (enum ql_policy_field)field, out);
    }
    explain_signals(set, labels, &effect, out);
    const ql_err err = ql_slo_explain(set->config, labels, out);
    return err == QL_OK ? ql_tenant_explain(set->config, labels, out) : err;
}

ql_err ql_policy_explain(const struct ql_config *config, ql_str series, struct ql_buf *out)
{
    struct ql_policy_set *set = NULL;
    struct ql_buf block;
    ql_buf_init(&block, QL_LABELS_BYTES_MAX);
    ql_err err = ql_labels_parse(series, &block);
    if (err == QL_OK) {
        err = ql_policy_set_open(config, &set);
    }
    if (err == QL_OK) {
        err = explain_series(set, ql_buf_view(&block), out);
    }
    ql_policy_set_close(set);
    ql_buf_fini(&block);
    return err;
}

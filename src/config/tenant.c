#include "config/tenant.h"

#include "config/problem.h"
#include "config/yaml.h"
#include "model/selector.h"

#include <stdlib.h>

/* ---- the table ------------------------------------------------------------------- */

#define AT(field) .at = offsetof(struct ql_tenant, field)

static const struct cf_row tenant_rows[] = {
    { "name", CF_TEXT, AT(name), .allowed = "up to 63 of letters, digits and _ . -, not default",
      .sentence = "What people call the tenant; a label of its metrics." },
    { "match", CF_TEXT, AT(match), .allowed = "NAME{label=\"value\"}, as in Prometheus",
      .sentence = "Its series, less those that a tenant before it takes." },
    { "signals_per_day", CF_REAL, AT(signals_per_day), .allowed = "0.01 to 1000000",
      .sentence = "False signals a day that these series may raise." },
};

static size_t tenant_key_at(const struct cf_node *map, const char *key)
{
    const struct cf_node *node = map->first;
    while (node != NULL && !ql_str_eq(node->key, ql_str_of(key))) {
        node = node->next;
    }
    return node == NULL ? map->at : node->at;
}

/* The name goes into label values as it is. */
static void tenant_name_check(struct cf_problems *problems, const struct cf_node *node,
                              const struct ql_tenant *tenant)
{
    const size_t bytes = strspn(tenant->name, "abcdefghijklmnopqrstuvwxyz"
                                              "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");
    if (tenant->name[bytes] != '\0' || bytes >= QL_TENANT_NAME_BYTES ||
        strcmp(tenant->name, QL_TENANT_DEFAULT) == 0) {
        cf_problem_add(problems, tenant_key_at(node, "name"),
                       "'%.70s' is no name for a tenant; allowed: %s", tenant->name,
                       tenant_rows[0].allowed);
    }
}

static void tenant_check(struct cf_problems *problems, const struct cf_node *node, void *item)
{
    const struct ql_tenant *tenant = item;
    struct ql_selector selector;
    char why[QL_SELECTOR_WHY_BYTES] = "";
    tenant_name_check(problems, node, tenant);
    const ql_err err = ql_selector_parse(ql_str_of(tenant->match), &selector, why);
    if (err == QL_OK) {
        ql_selector_fini(&selector);
    } else {
        cf_problem_add(problems, tenant_key_at(node, "match"), "not a selector: %s",
                       why[0] != '\0' ? why : ql_err_text(err));
    }
}

const struct cf_table cf_tenants = {
    "a tenant", tenant_rows, QL_COUNT_OF(tenant_rows), sizeof(struct ql_tenant), "name",
    tenant_check,
};

/* ---- the set --------------------------------------------------------------------- */

struct ql_tenant_set {
    uint32_t count;
    struct ql_selector selectors[];
};

ql_err ql_tenant_set_open(const struct ql_config *config, struct ql_tenant_set **ret_set)
{
    QL_ASSERT(config->tenant_count <= QL_CONFIG_TENANTS_MAX);
    struct ql_tenant_set *set =
        calloc(1, sizeof(*set) + config->tenant_count * sizeof(set->selectors[0]));
    if (set == NULL) {
        return QL_E_MEMORY;
    }
    for (; set->count < config->tenant_count; set->count++) {
        char why[QL_SELECTOR_WHY_BYTES];
        const ql_err err = ql_selector_parse(ql_str_of(config->tenants[set->count].match),
                                             &set->selectors[set->count], why);
        if (err != QL_OK) {
            ql_tenant_set_close(set);
            return err == QL_E_MEMORY ? err : QL_E_CONFIG;
        }
    }
    *ret_set = set;
    return QL_OK;
}

void ql_tenant_set_close(struct ql_tenant_set *set)
{
    for (uint32_t i = 0; set != NULL && i < set->count; i++) {
        ql_selector_fini(&set->selectors[i]);
    }
    free(set);
}

uint32_t ql_tenant_find(struct ql_tenant_set *set, ql_str labels)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (ql_selector_matches(&set->selectors[i], labels)) {
            return i + 1;
        }
    }
    return 0;
}

ql_err ql_tenant_explain(const struct ql_config *config, ql_str labels, struct ql_buf *out)
{
    struct ql_tenant_set *set;
    if (config->tenant_count == 0) {
        return QL_OK;
    }
    const ql_err err = ql_tenant_set_open(config, &set);
    if (err != QL_OK) {
        return err;
    }
    const uint32_t found = ql_tenant_find(set, labels);
    ql_tenant_set_close(set);
    return found == 0 ? ql_buf_printf(out, "budget: %s  (%.15g signals a day)\n",
                                      QL_TENANT_DEFAULT, config->signals_per_day)
                      : ql_buf_printf(out, "budget: %s  (%.15g signals a day)\n",
                                      config->tenants[found - 1].name,
                                      config->tenants[found - 1].signals_per_day);
}

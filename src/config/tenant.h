/* tenant.h - whose budget the signals of a series are on.
 *
 * A series belongs to the first tenant whose selector matches its labels; one that none takes
 * belongs to the default tenant, whose budget is detect.signals_per_day.
 *
 * Ownership     open/close; a set keeps nothing of the config.
 * Threads       one at a time (matching uses scratch space).
 * Errors        open, explain: QL_E_MEMORY; QL_E_CONFIG when a selector does not parse (a config
 *               that was read has none such).
 * Bounds        QL_CONFIG_TENANTS_MAX; finding walks them until one matches.
 * Determinism   pure.
 */
#ifndef QL_CONFIG_TENANT_H
#define QL_CONFIG_TENANT_H

#include "base/buf.h"
#include "config/config.h"
#include "config/row.h"

struct ql_tenant_set;
QL_MUST_USE ql_err ql_tenant_set_open(const struct ql_config *config,
                                      struct ql_tenant_set **ret_set);
void ql_tenant_set_close(struct ql_tenant_set *set); /* NULL is fine */
/* 0: the default, else 1 + the place in the file. `labels` is a canonical block. */
uint32_t ql_tenant_find(struct ql_tenant_set *set, ql_str labels);
/* A line for people: "budget: NAME  (5 signals a day)"; none without tenants. */
QL_MUST_USE ql_err ql_tenant_explain(const struct ql_config *config, ql_str labels,
                                     struct ql_buf *out);

extern const struct cf_table cf_tenants;

#endif

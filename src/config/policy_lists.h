/* policy_lists.h - the table behind policies, and the check of the calendar. */
#ifndef QL_CONFIG_POLICY_LISTS_H
#define QL_CONFIG_POLICY_LISTS_H

#include "config/config.h"
#include "config/problem.h"
#include "config/row.h"
#include "config/yaml.h"

extern const struct cf_table cf_policies;
extern const struct cf_table cf_resources;
/* Reads the texts of `calendar:`; `root` is the map of the whole file. */
void cf_calendar_check(struct cf_problems *problems, const struct cf_node *root,
                       struct ql_config *config);

#endif

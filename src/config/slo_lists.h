/* slo_lists.h - the table behind `slos:`. */
#ifndef QL_CONFIG_SLO_LISTS_H
#define QL_CONFIG_SLO_LISTS_H

#include "config/row.h"

extern const struct cf_table cf_slos;

#endif

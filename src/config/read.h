/* read.h - fills a ql_config from the tree of a file, collecting every problem.
 *
 * Ownership     texts and arrays go to `arena`.
 * Errors        problems; QL_E_MEMORY when the arena is full.
 */
#ifndef QL_CONFIG_READ_H
#define QL_CONFIG_READ_H

#include "base/arena.h"
#include "config/config.h"
#include "config/problem.h"
#include "config/yaml.h"

/* Every row's default; asserts that the rows are right. */
QL_MUST_USE ql_err cf_read_defaults(struct ql_arena *arena, struct ql_config *config);
/* `root` may be NULL (an empty file). `config` holds the defaults. */
QL_MUST_USE ql_err cf_read_root(const struct cf_node *root, struct ql_arena *arena,
                                struct cf_problems *problems, struct ql_config *config);

#endif

/* yaml.h - the YAML file as a small tree; the only place that knows libfyaml.
 *
 * One document of maps, lists and scalars. Anchors, aliases, tags and keys that are not
 * scalars are refused: a settings file needs none, and each is a way to hide something.
 *
 * Ownership     the tree lies in the caller's arena.
 * Errors        false: at least one problem was added. Nothing else is reported.
 * Bounds        depth CF_DEPTH_MAX, nodes CF_NODES_MAX.
 */
#ifndef QL_CONFIG_YAML_H
#define QL_CONFIG_YAML_H

#include "base/arena.h"
#include "base/base.h"
#include "config/problem.h"

#define CF_DEPTH_MAX 16u
#define CF_NODES_MAX 200000u

enum cf_kind { CF_NOTHING, CF_SCALAR, CF_LIST, CF_MAP };

struct cf_node {
    enum cf_kind kind;
    uint32_t count;            /* children */
    size_t at, key_at;         /* byte offsets into the source */
    ql_str key, text;          /* key: in maps; text: scalars */
    struct cf_node *first, *last, *next;
};

/* *ret_root is NULL for a file without content. */
QL_MUST_USE bool cf_yaml_read(ql_str source, struct ql_arena *arena, struct cf_problems *problems,
                              struct cf_node **ret_root);

#endif

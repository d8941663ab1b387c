#include "config/read.h"

#include "config/policy_lists.h"
#include "config/row.h"

#include <stdio.h>

struct read {
    struct ql_arena *arena;
    struct cf_problems *problems;
    bool out_of_memory;
};

static void *read_take(struct read *read, size_t bytes)
{
    void *at = ql_arena_take(read->arena, bytes > 0 ? bytes : 1);
    if (at == NULL) {
        read->out_of_memory = true;
        return NULL;
    }
    memset(at, 0, bytes);
    return at;
}

static const char *read_kind_text(enum cf_kind kind)
{
    switch (kind) {
    case CF_NOTHING: return "nothing";
    case CF_SCALAR: return "a single value";
    case CF_LIST: return "a list";
    case CF_MAP: return "a map";
    }
    return "";
}

static bool read_is(struct read *read, const struct cf_node *node, enum cf_kind kind,
                    const char *what)
{
    if (node->kind != kind) {
        cf_problem_add(read->problems, node->at, "found %s where %s is needed for '%s'",
                       read_kind_text(node->kind), read_kind_text(kind), what);
    }
    return node->kind == kind;
}

/* ---- keys ----------------------------------------------------------------------- */

/* A key that stands twice is reported at its later place. Comparing with the first 64 is
 * enough: no map has that many known keys, and unknown ones are reported anyway. */
static bool read_is_repeated(struct read *read, const struct cf_node *map,
                             const struct cf_node *node)
{
    uint32_t seen = 0;
    for (const struct cf_node *other = map->first; other != node && seen < 64;
         other = other->next, seen++) {
        if (ql_str_eq(other->key, node->key)) {
            cf_problem_add(read->problems, node->key_at, "the key '%.*s' stands twice",
                           (int)(node->key.bytes < 60 ? node->key.bytes : 60), node->key.at);
            return true;
        }
    }
    return false;
}

#define READ_KNOWN_MAX 96u

/* Names what was probably meant: in this map first, then anywhere among the settings. */
static void read_unknown(struct read *read, const struct cf_node *node, const char *where,
                         const char *const *known, uint32_t count)
{
    const ql_str shown = { node->key.at, node->key.bytes < 60 ? node->key.bytes : 60 };
    const char *near = cf_nearest(node->key, known, count);
    if (near != NULL) {
        cf_problem_add(read->problems, node->key_at, "unknown key '%.*s'%s; did you mean '%s'?",
                       QL_STR_ARG(shown), where, near);
        return;
    }
    for (uint32_t i = 0; i < cf_setting_count; i++) {
        if (ql_str_eq(node->key, ql_str_of(cf_settings[i].key))) {
            cf_problem_add(read->problems, node->key_at,
                           "unknown key '%.*s'%s; it belongs under '%s:'", QL_STR_ARG(shown),
                           where, cf_settings[i].section);
            return;
        }
    }
    char list[200];
    size_t bytes = 0;
    list[0] = '\0';
    for (uint32_t i = 0; i < count && bytes < sizeof(list); i++) {
        const int more = snprintf(list + bytes, sizeof(list) - bytes, "%s%s", i > 0 ? ", " : "",
                                  known[i]);
        bytes += more > 0 ? (size_t)more : 0;
    }
    cf_problem_add(read->problems, node->key_at, "unknown key '%.*s'%s; allowed: %s",
                   QL_STR_ARG(shown), where, list);
}

/* ---- values --------------------------------------------------------------------- */

static const char *read_text(struct read *read, const struct cf_node *node, const char *what)
{
    if (!read_is(read, node, CF_SCALAR, what)) {
        return NULL;
    }
    if (memchr(node->text.at, '\0', node->text.bytes) != NULL) {
        cf_problem_add(read->problems, node->at, "a text must not hold a NUL character");
        return NULL;
    }
    const ql_str copy = ql_arena_str(read->arena, node->text);
    read->out_of_memory |= copy.at == NULL;
    return copy.at;
}

static bool read_is_countable(struct read *read, const struct cf_row *row,
                              const struct cf_node *node)
{
    if (node->count > row->count_max) {
        cf_problem_add(read->problems, node->at, "%u entries under '%s'; allowed: at most %u",
                       node->count, row->key, row->count_max);
        return false;
    }
    if (node->count == 0 && row->fallback == NULL) {
        cf_problem_add(read->problems, node->at, "'%s' is empty; allowed: %s", row->key,
                       row->allowed);
        return false;
    }
    return true;
}

static void read_texts(struct read *read, const struct cf_row *row, const struct cf_node *node,
                       char *object)
{
    if (!read_is(read, node, CF_LIST, row->key) || !read_is_countable(read, row, node)) {
        return;
    }
    const char **texts = read_take(read, node->count * sizeof(*texts));
    if (texts == NULL) {
        return;
    }
    uint32_t count = 0;
    for (const struct cf_node *item = node->first; item != NULL; item = item->next) {
        const char *text = read_text(read, item, row->key);
        if (text != NULL) {
            texts[count++] = text;
        }
    }
    *(const char ***)(void *)(object + row->at) = texts;
    *(uint32_t *)(void *)(object + row->count_at) = count;
}

static void read_pairs(struct read *read, const struct cf_row *row, const struct cf_node *node,
                       char *object)
{
    if (!read_is(read, node, CF_MAP, row->key) || !read_is_countable(read, row, node)) {
        return;
    }
    const char **names = read_take(read, node->count * sizeof(*names));
    const char **values = read_take(read, node->count * sizeof(*values));
    if (names == NULL || values == NULL) {
        return;
    }
    uint32_t count = 0;
    for (const struct cf_node *item = node->first; item != NULL; item = item->next) {
        const ql_str name = ql_arena_str(read->arena, item->key);
        const char *value = read_text(read, item, row->key);
        read->out_of_memory |= name.at == NULL;
        (void)read_is_repeated(read, node, item);
        if (name.at == NULL || value == NULL) {
            return;
        }
        names[count] = name.at;
        values[count++] = value;
    }
    *(const char ***)(void *)(object + row->at) = names;
    *(const char ***)(void *)(object + row->values_at) = values;
    *(uint32_t *)(void *)(object + row->count_at) = count;
}

static void read_items(struct read *read, const struct cf_row *row, const struct cf_node *node,
                       char *object);

static void read_value(struct read *read, const struct cf_row *row, const struct cf_node *node,
                       char *object)
{
    char why[280];
    if (node->kind == CF_NOTHING && !cf_is_single(row->type) && row->fallback != NULL) {
        return; /* "scrapes:" with everything under it commented out */
    }
    switch (row->type) {
    case CF_TEXTS:
    case CF_VARIABLES: read_texts(read, row, node, object); return;
    case CF_PAIRS: read_pairs(read, row, node, object); return;
    case CF_ITEMS:
    case CF_STEPS: read_items(read, row, node, object); return;
    default: break;
    }
    if (node->kind != CF_SCALAR) {
        cf_problem_add(read->problems, node->at, "found %s for '%s'; allowed: %s",
                       read_kind_text(node->kind), row->key, row->allowed);
        return;
    }
    const ql_err err = cf_value_read(row, node->text, read->arena, object, why, sizeof(why));
    if (err == QL_E_CONFIG) {
        cf_problem_add(read->problems, node->at, "%s", why);
    }
    read->out_of_memory |= err == QL_E_MEMORY;
}

static void read_fallbacks(struct read *read, const struct cf_row *rows, uint32_t count,
                           char *object)
{
    for (uint32_t i = 0; i < count; i++) {
        char why[280] = "";
        if (!cf_is_single(rows[i].type) || rows[i].fallback == NULL || rows[i].given != 0) {
            continue;
        }
        const ql_err err = cf_value_read(&rows[i], ql_str_of(rows[i].fallback), read->arena,
                                         object, why, sizeof(why));
        QL_ASSERT(err != QL_E_CONFIG);
        read->out_of_memory |= err == QL_E_MEMORY;
    }
}

/* One map against its rows. */
static void read_map(struct read *read, const struct cf_node *map, const struct cf_row *rows,
                     uint32_t count, const char *where, char *object)
{
    const char *known[READ_KNOWN_MAX];
    QL_ASSERT(count <= READ_KNOWN_MAX);
    for (uint32_t i = 0; i < count; i++) {
        known[i] = rows[i].key;
    }
    for (const struct cf_node *node = map->first; node != NULL; node = node->next) {
        const struct cf_row *row = NULL;
        for (uint32_t i = 0; i < count && row == NULL; i++) {
            row = ql_str_eq(node->key, ql_str_of(known[i])) ? &rows[i] : NULL;
        }
        if (row == NULL) {
            read_unknown(read, node, where, known, count);
        } else if (!read_is_repeated(read, map, node)) {
            read_value(read, row, node, object);
            if (row->given != 0) {
                *(uint32_t *)(void *)(object + row->given_at) |= row->given;
            }
        }
    }
}

/* ---- lists of maps -------------------------------------------------------------- */

static const struct cf_node *read_child(const struct cf_node *map, const char *key)
{
    const struct cf_node *node = map->first;
    while (node != NULL && !ql_str_eq(node->key, ql_str_of(key))) {
        node = node->next;
    }
    return node;
}

static void read_item(struct read *read, const struct cf_table *table, const struct cf_node *node,
                      char *item)
{
    char where[64];
    (void)snprintf(where, sizeof(where), " in %s", table->noun);
    const uint32_t problems_before = read->problems->count + read->problems->unshown_count;
    read_fallbacks(read, table->rows, table->row_count, item);
    read_map(read, node, table->rows, table->row_count, where, item);
    for (uint32_t i = 0; i < table->row_count; i++) {
        if (table->rows[i].fallback == NULL && read_child(node, table->rows[i].key) == NULL) {
            cf_problem_add(read->problems, node->at, "%s needs '%s': %s", table->noun,
                           table->rows[i].key, table->rows[i].allowed);
        }
    }
    const bool is_whole =
        problems_before == read->problems->count + read->problems->unshown_count;
    if (table->check != NULL && is_whole && !read->out_of_memory) {
        table->check(read->problems, node, item);
    }
}

static void read_unique(struct read *read, const struct cf_table *table,
                        const struct cf_node *list)
{
    for (const struct cf_node *a = list->first; a != NULL; a = a->next) {
        const struct cf_node *name = a->kind == CF_MAP ? read_child(a, table->unique_key) : NULL;
        for (const struct cf_node *b = list->first; name != NULL && b != a; b = b->next) {
            const struct cf_node *other =
                b->kind == CF_MAP ? read_child(b, table->unique_key) : NULL;
            if (other != NULL && ql_str_eq(name->text, other->text) && name->text.bytes > 0) {
                cf_problem_add(read->problems, name->at, "%s called '%.*s' stands twice",
                               table->noun, (int)(name->text.bytes < 60 ? name->text.bytes : 60),
                               name->text.at);
                break;
            }
        }
    }
}

static void read_items(struct read *read, const struct cf_row *row, const struct cf_node *node,
                       char *object)
{
    const struct cf_table *table = row->items;
    if (!read_is(read, node, CF_LIST, row->key) || !read_is_countable(read, row, node)) {
        return;
    }
    char *items = row->type == CF_STEPS ? object + row->at
                                        : read_take(read, node->count * table->item_bytes);
    if (items == NULL) {
        return;
    }
    uint32_t count = 0;
    for (const struct cf_node *item = node->first; item != NULL; item = item->next) {
        if (read_is(read, item, CF_MAP, row->key)) {
            read_item(read, table, item, items + table->item_bytes * count);
            count++;
        }
    }
    if (table->unique_key != NULL) {
        read_unique(read, table, node);
    }
    if (row->type == CF_ITEMS) {
        *(void **)(void *)(object + row->at) = items;
    }
    *(uint32_t *)(void *)(object + row->count_at) = count;
}

/* ---- the whole file ------------------------------------------------------------- */

static bool read_section(struct read *read, const struct cf_node *node, char *config)
{
    for (uint32_t i = 0; i < cf_section_count; i++) {
        if (!ql_str_eq(node->key, ql_str_of(cf_sections[i].name))) {
            continue;
        }
        uint32_t count;
        char where[64];
        const struct cf_row *rows = cf_section_rows(cf_sections[i].name, &count);
        (void)snprintf(where, sizeof(where), " under '%s'", cf_sections[i].name);
        if (node->kind != CF_NOTHING && read_is(read, node, CF_MAP, cf_sections[i].name)) {
            read_map(read, node, rows, count, where, config);
        }
        return true;
    }
    return false;
}

static bool read_list(struct read *read, const struct cf_node *node, char *config)
{
    for (uint32_t i = 0; i < cf_list_count; i++) {
        if (ql_str_eq(node->key, ql_str_of(cf_lists[i].key))) {
            read_value(read, &cf_lists[i], node, config);
            return true;
        }
    }
    return false;
}

static void read_top(struct read *read, const struct cf_node *root, char *config)
{
    const char *known[READ_KNOWN_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < cf_section_count; i++) {
        known[count++] = cf_sections[i].name;
    }
    for (uint32_t i = 0; i < cf_list_count; i++) {
        known[count++] = cf_lists[i].key;
    }
    for (const struct cf_node *node = root->first; node != NULL; node = node->next) {
        if (read_is_repeated(read, root, node)) {
            continue;
        }
        if (!read_section(read, node, config) && !read_list(read, node, config)) {
            read_unknown(read, node, "", known, count);
        }
    }
}

ql_err cf_read_defaults(struct ql_arena *arena, struct ql_config *config)
{
    struct read read = { .arena = arena };
    read_fallbacks(&read, cf_settings, cf_setting_count, (char *)config);
    return read.out_of_memory ? QL_E_MEMORY : QL_OK;
}

ql_err cf_read_root(const struct cf_node *root, struct ql_arena *arena,
                    struct cf_problems *problems, struct ql_config *config)
{
    struct read read = { .arena = arena, .problems = problems };
    if (root == NULL || root->kind == CF_NOTHING) {
        return QL_OK;
    }
    if (read_is(&read, root, CF_MAP, "the file")) {
        read_top(&read, root, (char *)config);
        cf_calendar_check(problems, root, config);
    }
    return read.out_of_memory ? QL_E_MEMORY : QL_OK;
}

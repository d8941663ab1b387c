#include "config/yaml.h"

#include <libfyaml.h>

struct yaml_build {
    ql_str source;
    struct ql_arena *arena;
    struct cf_problems *problems;
    struct cf_node *parents[CF_DEPTH_MAX];
    uint32_t depth, node_count, document_count;
    struct cf_node *root;
    bool key_waiting; /* the next scalar in a map is the value of `key` */
    ql_str key;
    size_t key_at;
};

static size_t yaml_at(const struct yaml_build *build, struct fy_event *event)
{
    const struct fy_mark *mark = fy_event_start_mark(event);
    if (mark == NULL) { /* a value that is not there stands at its key */
        return build->key_waiting ? build->key_at : 0;
    }
    return mark->input_pos < build->source.bytes ? mark->input_pos : build->source.bytes;
}

static struct cf_node *yaml_node(struct yaml_build *build, enum cf_kind kind, size_t at)
{
    struct cf_node *node = NULL;
    if (build->node_count < CF_NODES_MAX) {
        node = ql_arena_take(build->arena, sizeof(*node));
    }
    if (node == NULL) {
        cf_problem_add(build->problems, at, "the file holds more than %u values", CF_NODES_MAX);
        return NULL;
    }
    build->node_count++;
    *node = (struct cf_node){ .kind = kind, .at = at };
    return node;
}

/* Puts a finished or opened node where it belongs. */
static bool yaml_attach(struct yaml_build *build, struct cf_node *node)
{
    if (build->depth == 0) {
        build->root = node;
        return true;
    }
    struct cf_node *parent = build->parents[build->depth - 1];
    if (parent->kind == CF_MAP) {
        if (!build->key_waiting) {
            cf_problem_add(build->problems, node->at, "a key must be a plain word");
            return false;
        }
        node->key = build->key;
        node->key_at = build->key_at;
        build->key_waiting = false;
    }
    if (parent->last == NULL) {
        parent->first = node;
    } else {
        parent->last->next = node;
    }
    parent->last = node;
    parent->count++;
    return true;
}

static bool yaml_open(struct yaml_build *build, enum cf_kind kind, size_t at)
{
    struct cf_node *node = yaml_node(build, kind, at);
    if (node == NULL || !yaml_attach(build, node)) {
        return false;
    }
    if (build->depth == CF_DEPTH_MAX) {
        cf_problem_add(build->problems, at, "nested more than %u deep", CF_DEPTH_MAX);
        return false;
    }
    build->parents[build->depth++] = node;
    return true;
}

static bool yaml_is_null(ql_str text, enum fy_scalar_style style)
{
    if (style != FYSS_PLAIN && style != FYSS_ANY) {
        return false;
    }
    return text.bytes == 0 || ql_str_eq(text, QL_STR("~")) || ql_str_eq(text, QL_STR("null"));
}

static bool yaml_scalar(struct yaml_build *build, struct fy_event *event)
{
    size_t at = yaml_at(build, event);
    ql_str text = { "", 0 };
    enum fy_scalar_style style = FYSS_PLAIN;
    if (event->scalar.value != NULL) {
        size_t bytes = 0;
        const char *from = fy_token_get_text(event->scalar.value, &bytes);
        text = ql_arena_str(build->arena, (ql_str){ from == NULL ? "" : from, bytes });
        style = fy_token_scalar_style(event->scalar.value);
        /* libfyaml says where the text begins; people look for the quote before it. */
        at -= at > 0 && style != FYSS_PLAIN && strchr("'\"", build->source.at[at - 1]) != NULL;
    }
    if (text.at == NULL) {
        cf_problem_add(build->problems, at, "the file is too large");
        return false;
    }
    if (build->depth > 0 && build->parents[build->depth - 1]->kind == CF_MAP &&
        !build->key_waiting) {
        build->key = text;
        build->key_at = at;
        build->key_waiting = true;
        return true;
    }
    struct cf_node *node =
        yaml_node(build, yaml_is_null(text, style) ? CF_NOTHING : CF_SCALAR, at);
    if (node == NULL) {
        return false;
    }
    node->text = text;
    return yaml_attach(build, node);
}

/* What YAML offers and a settings file does not need. */
static bool yaml_is_refused(struct yaml_build *build, struct fy_event *event)
{
    struct fy_token *anchor = NULL, *tag = NULL;
    if (event->type == FYET_SCALAR) {
        anchor = event->scalar.anchor;
        tag = event->scalar.tag;
    } else if (event->type == FYET_SEQUENCE_START) {
        anchor = event->sequence_start.anchor;
        tag = event->sequence_start.tag;
    } else if (event->type == FYET_MAPPING_START) {
        anchor = event->mapping_start.anchor;
        tag = event->mapping_start.tag;
    }
    if (anchor == NULL && tag == NULL && event->type != FYET_ALIAS) {
        return false;
    }
    cf_problem_add(build->problems, yaml_at(build, event),
                   "anchors, aliases and tags are not taken here: write the value out");
    return true;
}

static bool yaml_step(struct yaml_build *build, struct fy_event *event)
{
    if (yaml_is_refused(build, event)) {
        return false;
    }
    switch (event->type) {
    case FYET_DOCUMENT_START:
        if (build->document_count++ > 0) {
            cf_problem_add(build->problems, yaml_at(build, event),
                           "a second document ('---'): a settings file holds one");
            return false;
        }
        return true;
    case FYET_SCALAR: return yaml_scalar(build, event);
    case FYET_SEQUENCE_START: return yaml_open(build, CF_LIST, yaml_at(build, event));
    case FYET_MAPPING_START: return yaml_open(build, CF_MAP, yaml_at(build, event));
    case FYET_SEQUENCE_END:
    case FYET_MAPPING_END:
        QL_ASSERT(build->depth > 0);
        build->depth--;
        return true;
    default: return true;
    }
}

static void yaml_errors(struct yaml_build *build, struct fy_diag *diag)
{
    void *iterator = NULL;
    struct fy_diag_error *error;
    while ((error = fy_diag_errors_iterate(diag, &iterator)) != NULL) {
        const size_t line = error->line > 0 ? (size_t)error->line : 1;
        const size_t column = error->column > 0 ? (size_t)error->column : 1;
        cf_problem_add(build->problems, cf_place(build->source, line, column),
                       "not valid YAML: %s", error->msg);
    }
}

static void yaml_run(struct yaml_build *build, struct fy_parser *parser)
{
    bool going = true;
    while (going) {
        struct fy_event *event = fy_parser_parse(parser);
        if (event == NULL) {
            return;
        }
        going = yaml_step(build, event);
        fy_parser_event_free(parser, event);
    }
}

/* Directives are refused before libfyaml sees them: 0.7 loops for ever on a reserved one at
 * the end of the input, and a settings file needs none. */
static bool yaml_has_directive(ql_str source, struct cf_problems *problems)
{
    for (size_t at = 0; at < source.bytes; at++) {
        const bool starts_line =
            at == 0 || source.at[at - 1] == '\n' || source.at[at - 1] == '\r' ||
            (at == 3 && memcmp(source.at, "\xEF\xBB\xBF", 3) == 0);
        if (starts_line && source.at[at] == '%') {
            cf_problem_add(problems, at, "a line must not start with '%%'");
            return true;
        }
    }
    return false;
}

bool cf_yaml_read(ql_str source, struct ql_arena *arena, struct cf_problems *problems,
                  struct cf_node **ret_root)
{
    struct yaml_build build = { .source = source, .arena = arena, .problems = problems };
    if (source.bytes == 0) {
        *ret_root = NULL;
        return true;
    }
    if (yaml_has_directive(source, problems)) {
        return false;
    }
    struct fy_diag_cfg diag_settings;
    fy_diag_cfg_default(&diag_settings);
    diag_settings.colorize = false;
    struct fy_diag *diag = fy_diag_create(&diag_settings);
    const struct fy_parse_cfg settings = { .flags = FYPCF_QUIET, .diag = diag };
    struct fy_parser *parser = diag == NULL ? NULL : fy_parser_create(&settings);
    if (parser == NULL || fy_parser_set_string(parser, source.at, source.bytes) != 0) {
        cf_problem_add(problems, 0, "no memory to read the file");
    } else {
        fy_diag_set_collect_errors(diag, true);
        yaml_run(&build, parser);
        yaml_errors(&build, diag);
        if (problems->count == 0 && fy_parser_get_stream_error(parser)) {
            cf_problem_add(problems, 0, "not valid YAML");
        }
    }
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    if (problems->count > 0) {
        return false;
    }
    *ret_root = build.root;
    return true;
}

#include "config/config.h"

#include "base/arena.h"
#include "base/file.h"
#include "config/problem.h"
#include "config/read.h"
#include "config/yaml.h"

#include <stdlib.h>

#define CONFIG_FILE_BYTES_MAX ((size_t)4 << 20)
#define CONFIG_ARENA_BYTES_MAX ((size_t)64 << 20)

/* A config and all it points to are one allocation and one arena. */
struct config_own {
    struct ql_config config;
    struct ql_arena arena;
};

ql_err ql_config_default(struct ql_config **ret_config)
{
    struct config_own *own = calloc(1, sizeof(*own));
    if (own == NULL) {
        return QL_E_MEMORY;
    }
    ql_arena_init(&own->arena, CONFIG_ARENA_BYTES_MAX);
    own->config.own = own;
    own->config.text = QL_STR("");
    const ql_err err = cf_read_defaults(&own->arena, &own->config);
    if (err != QL_OK) {
        ql_config_free(&own->config);
        return err;
    }
    *ret_config = &own->config;
    return QL_OK;
}

void ql_config_free(struct ql_config *config)
{
    if (config == NULL) {
        return;
    }
    struct config_own *own = config->own;
    QL_ASSERT(&own->config == config);
    ql_arena_fini(&own->arena);
    free(own);
}

static ql_err config_fill(ql_str yaml, const char *shown_name, struct ql_arena *tree,
                          struct ql_config *config, struct ql_buf *ret_why)
{
    struct cf_problems *problems = calloc(1, sizeof(*problems));
    struct cf_node *root = NULL;
    ql_err err = problems == NULL ? QL_E_MEMORY : QL_OK;
    if (err == QL_OK && cf_yaml_read(yaml, tree, problems, &root)) {
        struct config_own *own = config->own;
        err = cf_read_root(root, &own->arena, problems, config);
        config->text = ql_arena_str(&own->arena, yaml);
        err = err == QL_OK && config->text.at == NULL ? QL_E_MEMORY : err;
    }
    if (err == QL_OK && problems->count > 0) {
        (void)cf_problems_show(problems, shown_name, yaml, ret_why);
        err = QL_E_CONFIG;
    }
    if (err == QL_E_MEMORY) {
        (void)ql_buf_printf(ret_why, "%s: no memory to read the settings\n", shown_name);
    }
    free(problems);
    return err;
}

ql_err ql_config_parse(ql_str yaml, const char *shown_name, struct ql_config **ret_config,
                       struct ql_buf *ret_why)
{
    struct ql_config *config = NULL;
    if (yaml.bytes > CONFIG_FILE_BYTES_MAX) {
        (void)ql_buf_printf(ret_why, "%s: larger than 4 MiB\n", shown_name);
        return QL_E_CONFIG;
    }
    ql_err err = ql_config_default(&config);
    if (err != QL_OK) {
        return err;
    }
    struct ql_arena tree;
    ql_arena_init(&tree, CONFIG_ARENA_BYTES_MAX);
    err = config_fill(yaml, shown_name, &tree, config, ret_why);
    ql_arena_fini(&tree);
    if (err != QL_OK) {
        ql_config_free(config);
        return err;
    }
    *ret_config = config;
    return QL_OK;
}

ql_err ql_config_load(const char *path, struct ql_config **ret_config, struct ql_buf *ret_why)
{
    struct ql_buf bytes;
    ql_buf_init(&bytes, CONFIG_FILE_BYTES_MAX);
    ql_err err = ql_file_read(path, &bytes);
    if (err == QL_OK) {
        err = ql_config_parse(ql_buf_view(&bytes), path, ret_config, ret_why);
    } else if (err == QL_E_TOO_LARGE || err == QL_E_FULL) {
        (void)ql_buf_printf(ret_why, "%s: larger than 4 MiB\n", path);
        err = QL_E_CONFIG;
    } else {
        (void)ql_buf_printf(ret_why, "%s: %s\n", path, ql_err_text(err));
    }
    ql_buf_fini(&bytes);
    return err;
}

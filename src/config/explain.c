/* explain.c - the rows for people: the effective settings, and the reference page. */
#include "config/config.h"
#include "config/row.h"

/* ---- effective settings as YAML -------------------------------------------------- */

/* Of NAME=VALUE only the name: whoever reaches the port reads this, and people pass it on. */
static void explain_variable(const char *text, struct ql_buf *out)
{
    const size_t name_bytes = strcspn(text, "=");
    struct ql_buf shown;
    if (text[name_bytes] == '\0') {
        (void)cf_text_show(text, out);
        return;
    }
    ql_buf_init(&shown, name_bytes + sizeof(QL_CONFIG_HIDDEN));
    (void)ql_buf_str(&shown, (ql_str){ text, name_bytes });
    (void)ql_buf_text(&shown, "=" QL_CONFIG_HIDDEN);
    if (ql_buf_check(&shown) == QL_OK) {
        (void)cf_text_show(shown.at, out);
    } else {
        out->failed = true;
        out->error = shown.error;
    }
    ql_buf_fini(&shown);
}

static void explain_texts(const struct cf_row *row, const char *object, struct ql_buf *out)
{
    const char *const *texts = *(const char *const *const *)(const void *)(object + row->at);
    const uint32_t count = *(const uint32_t *)(const void *)(object + row->count_at);
    (void)ql_buf_char(out, '[');
    for (uint32_t i = 0; i < count; i++) {
        (void)ql_buf_text(out, i > 0 ? ", " : "");
        if (row->type == CF_VARIABLES) {
            explain_variable(texts[i], out);
        } else {
            (void)cf_text_show(texts[i], out);
        }
    }
    (void)ql_buf_char(out, ']');
}

static void explain_pairs(const struct cf_row *row, const char *object, struct ql_buf *out)
{
    const char *const *names = *(const char *const *const *)(const void *)(object + row->at);
    const char *const *values =
        *(const char *const *const *)(const void *)(object + row->values_at);
    const uint32_t count = *(const uint32_t *)(const void *)(object + row->count_at);
    (void)ql_buf_char(out, '{');
    for (uint32_t i = 0; i < count; i++) {
        (void)ql_buf_text(out, i > 0 ? ", " : "");
        (void)cf_text_show(names[i], out);
        (void)ql_buf_text(out, ": ");
        (void)cf_text_show(values[i], out);
    }
    (void)ql_buf_char(out, '}');
}

static void explain_items(const struct cf_row *row, const char *object, uint32_t indent,
                          struct ql_buf *out);

static void explain_value(const struct cf_row *row, const char *object, uint32_t indent,
                          struct ql_buf *out)
{
    if (row->type == CF_ITEMS || row->type == CF_STEPS) {
        explain_items(row, object, indent, out);
        return;
    }
    (void)ql_buf_printf(out, "%s: ", row->key);
    if (row->type == CF_TEXTS || row->type == CF_VARIABLES) {
        explain_texts(row, object, out);
    } else if (row->type == CF_PAIRS) {
        explain_pairs(row, object, out);
    } else {
        (void)cf_value_show(row, object, out);
    }
    (void)ql_buf_char(out, '\n');
}

static void explain_items(const struct cf_row *row, const char *object, uint32_t indent,
                          struct ql_buf *out)
{
    const struct cf_table *table = row->items;
    const uint32_t count = *(const uint32_t *)(const void *)(object + row->count_at);
    const char *items = row->type == CF_STEPS ? object + row->at
                                              : *(const char *const *)(const void *)(object + row->at);
    (void)ql_buf_printf(out, "%s:%s\n", row->key, count == 0 ? " []" : "");
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t r = 0; r < table->row_count; r++) {
            const struct cf_row *cell = &table->rows[r];
            const char *item = items + table->item_bytes * i;
            if (cell->given != 0 &&
                (*(const uint32_t *)(const void *)(item + cell->given_at) & cell->given) == 0) {
                continue;
            }
            (void)ql_buf_printf(out, "%*s%s", (int)indent + 2, "", r == 0 ? "- " : "  ");
            explain_value(cell, item, indent + 4, out);
        }
    }
}

ql_err ql_config_explain(const struct ql_config *config, struct ql_buf *out)
{
    const char *object = (const char *)config;
    for (uint32_t s = 0; s < cf_section_count; s++) {
        uint32_t count;
        const struct cf_row *rows = cf_section_rows(cf_sections[s].name, &count);
        (void)ql_buf_printf(out, "# %s\n%s:\n", cf_sections[s].sentence, cf_sections[s].name);
        for (uint32_t i = 0; i < count; i++) {
            (void)ql_buf_printf(out, "  # %s Allowed: %s.\n  ", rows[i].sentence,
                                rows[i].allowed);
            explain_value(&rows[i], object, 2, out);
        }
        (void)ql_buf_char(out, '\n');
    }
    for (uint32_t i = 0; i < cf_list_count; i++) {
        (void)ql_buf_printf(out, "# %s\n", cf_lists[i].sentence);
        explain_value(&cf_lists[i], object, 0, out);
    }
    return ql_buf_check(out);
}

/* ---- docs/configuration.md ------------------------------------------------------- */

static const char explain_head[] =
    "# Configuration\n"
    "\n"
    "<!-- Made from src/config by `quell check --reference`; edit the rows, not this page. -->\n"
    "\n"
    "One YAML file, given as `quell serve --config FILE`; without one, every default holds.\n"
    "`quell check FILE` says `ok` or shows every mistake with its line, column and what is\n"
    "allowed; `quell check --explain FILE` prints the settings as they take effect. On SIGHUP the\n"
    "daemon reads the file again and takes all of it or, when anything is wrong, none of it; what\n"
    "the process is made of (`server`, `limits`, `engine`, `act.env`) changes at its next start.\n"
    "\n"
    "Durations are written `90s`, `5m`, `1h30m`, `250ms`, `2d`; sizes `64MiB`, `1GiB` or `1GB`.\n"
    "A key that is not known, or stands twice, is an error. Anchors, aliases and tags are not\n"
    "taken.\n";

static void explain_cell(const char *text, struct ql_buf *out)
{
    for (const char *at = text; *at != '\0'; at++) {
        (void)ql_buf_text(out, *at == '|' ? "\\" : "");
        (void)ql_buf_char(out, *at);
    }
}

static void explain_rows(const struct cf_row *rows, uint32_t count, struct ql_buf *out)
{
    (void)ql_buf_text(out, "\n| key | default | allowed | what it does |\n|---|---|---|---|\n");
    for (uint32_t i = 0; i < count; i++) {
        const struct cf_row *row = &rows[i];
        (void)ql_buf_printf(out, "| `%s` | ", row->key);
        if (row->fallback == NULL) {
            (void)ql_buf_text(out, "must be given");
        } else {
            (void)ql_buf_printf(out, row->fallback[0] == '\0' ? "none%s" : "`%s`", row->fallback);
        }
        (void)ql_buf_text(out, " | ");
        explain_cell(row->allowed, out);
        if (row->count_max > 0) {
            (void)ql_buf_printf(out, " (at most %u)", row->count_max);
        }
        (void)ql_buf_text(out, " | ");
        explain_cell(row->sentence, out);
        (void)ql_buf_text(out, " |\n");
    }
}

static void explain_table(const struct cf_row *list, const char *path, struct ql_buf *out)
{
    const struct cf_table *table = list->items;
    (void)ql_buf_printf(out, "\n## %s\n\n%s A list, at most %u long.\n", path, list->sentence,
                        list->count_max);
    explain_rows(table->rows, table->row_count, out);
    for (uint32_t i = 0; i < table->row_count; i++) {
        if (table->rows[i].items != NULL) {
            char inner[64];
            struct ql_buf name;
            ql_buf_init(&name, sizeof(inner) - 1);
            (void)ql_buf_printf(&name, "%s[].%s", path, table->rows[i].key);
            explain_table(&table->rows[i], name.at, out);
            ql_buf_fini(&name);
        }
    }
}

ql_err ql_config_reference(struct ql_buf *out)
{
    (void)ql_buf_text(out, explain_head);
    for (uint32_t s = 0; s < cf_section_count; s++) {
        uint32_t count;
        const struct cf_row *rows = cf_section_rows(cf_sections[s].name, &count);
        (void)ql_buf_printf(out, "\n## %s\n\n%s\n", cf_sections[s].name, cf_sections[s].sentence);
        explain_rows(rows, count, out);
    }
    for (uint32_t i = 0; i < cf_list_count; i++) {
        explain_table(&cf_lists[i], cf_lists[i].key, out);
    }
    return ql_buf_check(out);
}

#include "act/act_int.h"

#include <stdarg.h>
#include <stdio.h>

/* The texts of a run lie one after the other in run->texts. */
struct render {
    struct ac_run *run;
    ql_str entity, name;
    char incident[24];
    bool full;
};

static void render_put(struct render *r, const char *at, size_t bytes)
{
    if (bytes > AC_TEXT_BYTES - r->run->text_bytes) {
        r->full = true;
        return;
    }
    memcpy(r->run->texts + r->run->text_bytes, at, bytes);
    r->run->text_bytes += (uint32_t)bytes;
}

static struct ac_text render_text(struct render *r, const char *text)
{
    const uint32_t at = r->run->text_bytes;
    render_put(r, text, strlen(text));
    return (struct ac_text){ at, r->run->text_bytes - at };
}

/* What stands at `at` when it is a placeholder; *ret_bytes is its length in the pattern. */
static ql_str render_placeholder(const struct render *r, const char *at, size_t *ret_bytes)
{
    const struct { ql_str word, value; } rows[] = {
        { QL_STR("{entity}"), r->entity },
        { QL_STR("{name}"), r->name },
        { QL_STR("{incident}"), { r->incident, strlen(r->incident) } },
    };
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        if (strncmp(at, rows[i].word.at, rows[i].word.bytes) == 0) {
            *ret_bytes = rows[i].word.bytes;
            return rows[i].value;
        }
    }
    *ret_bytes = 1;
    return (ql_str){ at, 1 };
}

static struct ac_text render_argv(struct render *r, const struct ql_runbook_step *step)
{
    const uint32_t begin = r->run->text_bytes;
    for (uint32_t i = 0; i < step->argc; i++) {
        for (const char *at = step->argv[i]; *at != '\0';) {
            size_t bytes;
            const ql_str value = render_placeholder(r, at, &bytes);
            render_put(r, value.at, value.bytes);
            at += bytes;
        }
        render_put(r, "", 1);
    }
    return (struct ac_text){ begin, r->run->text_bytes - begin };
}

static bool render_is_plain(ql_str word)
{
    for (size_t i = 0; i < word.bytes; i++) {
        const char c = word.at[i];
        const bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                           (c >= '0' && c <= '9');
        if (!alnum && strchr("_-./:=@%+,", c) == NULL) {
            return false;
        }
    }
    return word.bytes > 0;
}

/* As a shell would take it, so that people can paste it; control characters as '?'. */
static void render_word(struct render *r, ql_str word)
{
    if (render_is_plain(word)) {
        render_put(r, word.at, word.bytes);
        return;
    }
    render_put(r, "'", 1);
    for (size_t i = 0; i < word.bytes; i++) {
        const char c = (unsigned char)word.at[i] < 0x20 ? '?' : word.at[i];
        if (c == '\'') {
            render_put(r, "'\\''", 4);
        } else {
            render_put(r, &c, 1);
        }
    }
    render_put(r, "'", 1);
}

static struct ac_text render_command(struct render *r, struct ac_text argv)
{
    const uint32_t begin = r->run->text_bytes;
    for (uint32_t at = argv.at; at < argv.at + argv.bytes && !r->full;) {
        const ql_str word = ql_str_of(r->run->texts + at);
        if (at > argv.at) {
            render_put(r, " ", 1);
        }
        render_word(r, word);
        at += (uint32_t)word.bytes + 1;
    }
    return (struct ac_text){ begin, r->run->text_bytes - begin };
}

ql_err ql_ac_render(struct ac_run *run, const struct ql_runbook *runbook, ql_str entity_name)
{
    struct render r = { .run = run, .entity = entity_name, .name = entity_name };
    QL_ASSERT(runbook->step_count <= QL_CONFIG_STEPS_MAX);
    const char *slash = memchr(entity_name.at, '/', entity_name.bytes);
    if (slash != NULL) {
        r.name.at = slash + 1;
        r.name.bytes = entity_name.bytes - (size_t)(slash + 1 - entity_name.at);
    }
    (void)snprintf(r.incident, sizeof(r.incident), "%llu", (unsigned long long)run->incident.v);
    run->text_bytes = 0;
    run->runbook = render_text(&r, runbook->name);
    run->step_count = runbook->step_count;
    for (uint32_t i = 0; i < runbook->step_count; i++) {
        const struct ql_runbook_step *from = &runbook->steps[i];
        struct ac_step *to = &run->steps[i];
        to->name = render_text(&r, from->name);
        to->argv = render_argv(&r, from);
        to->command = render_command(&r, to->argv);
        to->timeout = (ql_duration){ (int64_t)(from->timeout_s * 1e9) };
    }
    return r.full ? QL_E_FULL : QL_OK;
}

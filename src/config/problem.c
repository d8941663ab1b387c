#include "config/problem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define PROBLEM_WIDTH 100u /* characters of a source line that are shown */

void cf_problem_add(struct cf_problems *problems, size_t at, const char *format, ...)
{
    if (problems->count == QL_CONFIG_PROBLEMS_MAX) {
        problems->unshown_count++;
        return;
    }
    struct cf_problem *problem = &problems->rows[problems->count++];
    problem->at = at;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(problem->text, sizeof(problem->text), format, args);
    va_end(args);
}

size_t cf_place(ql_str source, size_t line, size_t column)
{
    size_t at = 0;
    for (size_t i = 1; i < line; i++) {
        const char *end = memchr(source.at + at, '\n', source.bytes - at);
        if (end == NULL) {
            return source.bytes;
        }
        at = (size_t)(end - source.at) + 1;
    }
    for (size_t i = 1; i < column && at < source.bytes && source.at[at] != '\n'; i++) {
        at++;
        while (at < source.bytes && ((unsigned char)source.at[at] & 0xC0) == 0x80) {
            at++;
        }
    }
    return at;
}

static size_t problem_characters(const char *from, const char *to)
{
    size_t count = 0;
    for (const char *at = from; at < to; at++) {
        count += ((unsigned char)*at & 0xC0) != 0x80;
    }
    return count;
}

/* The line with control characters as '?', cut so that the caret stays in view. */
static void problem_quote(ql_str source, size_t begin, size_t at, struct ql_buf *out)
{
    size_t end = at, from = begin;
    while (end < source.bytes && source.at[end] != '\n' && source.at[end] != '\r') {
        end++;
    }
    if (at - begin > PROBLEM_WIDTH - 20) {
        from = at - (PROBLEM_WIDTH - 20);
    }
    end = end - from > PROBLEM_WIDTH ? from + PROBLEM_WIDTH : end;
    while (from < at && ((unsigned char)source.at[from] & 0xC0) == 0x80) {
        from++;
    }
    (void)ql_buf_text(out, "    ");
    for (size_t i = from; i < end; i++) {
        const unsigned char c = (unsigned char)source.at[i];
        (void)ql_buf_char(out, (c < 0x20 && c != '\t') || c == 0x7f ? '?' : source.at[i]);
    }
    (void)ql_buf_text(out, "\n    ");
    for (size_t i = from; i < at; i++) {
        if (((unsigned char)source.at[i] & 0xC0) != 0x80) {
            (void)ql_buf_char(out, source.at[i] == '\t' ? '\t' : ' ');
        }
    }
    (void)ql_buf_text(out, "^\n");
}

static void problem_show(const struct cf_problem *problem, const char *shown_name, ql_str source,
                         struct ql_buf *out)
{
    size_t at = problem->at < source.bytes ? problem->at : source.bytes;
    /* The end of a file that ends in a newline is the end of its last line. */
    if (at == source.bytes && at > 0 && source.at[at - 1] == '\n') {
        at--;
    }
    size_t begin = at, line = 1;
    while (begin > 0 && source.at[begin - 1] != '\n') {
        begin--;
    }
    for (size_t i = 0; i < begin; i++) {
        line += source.at[i] == '\n';
    }
    (void)ql_buf_printf(out, "%s:%zu:%zu: %s\n", shown_name, line,
                        problem_characters(source.at + begin, source.at + at) + 1, problem->text);
    problem_quote(source, begin, at, out);
}

/* By place; equal places keep the order in which they were found. */
static void problem_sort(struct cf_problems *problems)
{
    for (uint32_t i = 1; i < problems->count; i++) {
        const struct cf_problem moved = problems->rows[i];
        uint32_t j = i;
        for (; j > 0 && problems->rows[j - 1].at > moved.at; j--) {
            problems->rows[j] = problems->rows[j - 1];
        }
        problems->rows[j] = moved;
    }
}

ql_err cf_problems_show(struct cf_problems *problems, const char *shown_name, ql_str source,
                        struct ql_buf *out)
{
    problem_sort(problems);
    for (uint32_t i = 0; i < problems->count; i++) {
        problem_show(&problems->rows[i], shown_name, source, out);
    }
    if (problems->unshown_count > 0) {
        (void)ql_buf_printf(out, "and %u more\n", problems->unshown_count);
    }
    return ql_buf_check(out);
}

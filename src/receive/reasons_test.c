/* docs/doors.md explains every reason under which what came in is counted as dropped, at the
 * door and in the stage behind it, and none that there is not.
 */
#include "base/file.h"
#include "normalise/normalise_int.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define X(name, text) text,
static const char *const reasons[] = { QL_REASON_MAP(X) NM_REASON_MAP(X) };
#undef X

/* The word of a row such as "| `word` | ..."; "" in other lines. */
static ql_str row_word(const char *line)
{
    static const char before[] = "| `", behind[] = "` | ";
    const char *word = line + sizeof(before) - 1;
    const size_t bytes = strncmp(line, before, sizeof(before) - 1) == 0 ? strcspn(word, "`\n") : 0;
    return bytes > 0 && strncmp(word + bytes, behind, sizeof(behind) - 1) == 0
               ? (ql_str){ word, bytes }
               : QL_STR("");
}

/* What the table lacks and what it has too much, as "-word +word "; it must be there. */
static void table_differs(const char *page, char *out, size_t out_bytes)
{
    bool seen[QL_COUNT_OF(reasons)] = { false };
    const char *line = strstr(page, "\n| reason |");
    const char *end = line == NULL ? NULL : strstr(line, "\n\n");
    size_t used = 0;
    out[0] = '\0';
    assert_non_null(end);
    for (; line != NULL && line < end; line = strchr(line + 1, '\n')) {
        const ql_str word = row_word(line + 1);
        bool known = word.bytes == 0;
        for (size_t i = 0; i < QL_COUNT_OF(reasons); i++) {
            const bool same = ql_str_eq(word, ql_str_of(reasons[i]));
            seen[i] = seen[i] || same;
            known = known || same;
        }
        if (!known) {
            used += (size_t)snprintf(out + used, out_bytes - used, "+%.*s ", QL_STR_ARG(word));
        }
    }
    for (size_t i = 0; i < QL_COUNT_OF(reasons); i++) {
        if (!seen[i]) {
            used += (size_t)snprintf(out + used, out_bytes - used, "-%s ", reasons[i]);
        }
    }
}

static void read_page(struct ql_buf *page)
{
    const char *root = getenv("QL_SOURCE_ROOT");
    char path[4096];
    ql_buf_init(page, 1 << 20);
    (void)snprintf(path, sizeof(path), "%s/docs/doors.md", root == NULL ? "." : root);
    assert_int_equal(ql_file_read(path, page), QL_OK);
}

static void every_reason_is_explained(void **state)
{
    struct ql_buf page;
    char differs[1000];
    (void)state;
    read_page(&page);
    table_differs(page.at, differs, sizeof(differs));
    assert_string_equal(differs, "");
    ql_buf_fini(&page);
}

static void a_row_too_few_or_too_many_is_seen(void **state)
{
    struct ql_buf page;
    char differs[1000];
    (void)state;
    read_page(&page);
    char *word = strstr(page.at, "\n| `batch_full`");
    assert_non_null(word);
    word[4] = 'B';
    table_differs(page.at, differs, sizeof(differs));
    assert_string_equal(differs, "+Batch_full -batch_full ");
    ql_buf_fini(&page);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_reason_is_explained),
        cmocka_unit_test(a_row_too_few_or_too_many_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* labels_test - label blocks: text in, canonical bytes, text out; and what is refused. */
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct text_row { const char *story, *in, *out; ql_err err; };

static const struct text_row text_rows[] = {
    { "a bare name", "up", "up", QL_OK },
    { "labels are sorted", "up{job=\"a\",instance=\"b\"}", "up{instance=\"b\",job=\"a\"}", QL_OK },
    { "an empty value is no label", "up{job=\"\",x=\"1\"}", "up{x=\"1\"}", QL_OK },
    { "no name at all", "{job=\"a\"}", "{job=\"a\"}", QL_OK },
    { "nothing", "{}", "{}", QL_OK },
    { "escapes come back", "m{a=\"x\\\"y\\\\z\\n\"}", "m{a=\"x\\\"y\\\\z\\n\"}", QL_OK },
    { "spaces are free", " m { a = \"1\" , b = \"2\" } ", "m{a=\"1\",b=\"2\"}", QL_OK },
    { "UTF-8 is kept", "m{a=\"gr\xc3\xbc\xc3\x9f\"}", "m{a=\"gr\xc3\xbc\xc3\x9f\"}", QL_OK },
    { "the same name twice", "m{a=\"1\",a=\"2\"}", NULL, QL_E_CONFLICT },
    { "a name label and a name", "m{__name__=\"n\"}", NULL, QL_E_CONFLICT },
    { "no closing brace", "m{a=\"1\"", NULL, QL_E_MALFORMED },
    { "no closing quote", "m{a=\"1}", NULL, QL_E_MALFORMED },
    { "no quotes", "m{a=1}", NULL, QL_E_MALFORMED },
    { "text behind", "m{a=\"1\"} 7", NULL, QL_E_MALFORMED },
    { "broken UTF-8", "m{a=\"\xc3(\"}", NULL, QL_E_MALFORMED },
    { "a surrogate is no character", "m{a=\"\xed\xa0\x80\"}", NULL, QL_E_MALFORMED },
};

static void text_comes_back_canonical(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(text_rows); i++) {
        const struct text_row *row = &text_rows[i];
        struct ql_buf block, text;
        bool canonical = false;
        ql_buf_init(&block, 65536);
        ql_buf_init(&text, 65536);
        const ql_err err = ql_labels_parse(ql_str_of(row->in), &block);
        if (err != row->err) {
            fail_msg("%s: error %s, wanted %s", row->story, ql_err_name(err),
                     ql_err_name(row->err));
        }
        if (err == QL_OK) {
            assert_int_equal(ql_labels_check(ql_buf_view(&block), &canonical), QL_OK);
            assert_true(canonical);
            assert_int_equal(ql_labels_text(ql_buf_view(&block), &text), QL_OK);
            assert_string_equal(text.at, row->out);
        }
        ql_buf_fini(&block);
        ql_buf_fini(&text);
    }
}

/* Blocks as senders may write them, byte for byte. */
struct block_row { const char *story, *bytes; size_t count; ql_err err; bool canonical; };
#define BLOCK(text) text, sizeof(text) - 1
static const struct block_row block_rows[] = {
    { "sorted", BLOCK("\x0a\x06\x0a\x01" "a" "\x12\x01" "1" "\x0a\x06\x0a\x01" "b" "\x12\x01" "2"),
      QL_OK, true },
    { "not sorted", BLOCK("\x0a\x06\x0a\x01" "b" "\x12\x01" "2" "\x0a\x06\x0a\x01" "a" "\x12\x01" "1"),
      QL_OK, false },
    { "value before name", BLOCK("\x0a\x06\x12\x01" "1" "\x0a\x01" "a"), QL_OK, true },
    { "no value field", BLOCK("\x0a\x03\x0a\x01" "a"), QL_OK, false },
    { "no name", BLOCK("\x0a\x03\x12\x01" "1"), QL_E_MALFORMED, false },
    { "twice", BLOCK("\x0a\x06\x0a\x01" "a" "\x12\x01" "1" "\x0a\x06\x0a\x01" "a" "\x12\x01" "2"),
      QL_E_CONFLICT, false },
    { "twice, apart", BLOCK("\x0a\x06\x0a\x01" "a" "\x12\x01" "1" "\x0a\x06\x0a\x01" "b" "\x12\x01"
      "1" "\x0a\x06\x0a\x01" "a" "\x12\x01" "2"), QL_E_CONFLICT, false },
    { "another field", BLOCK("\x12\x01" "x"), QL_E_MALFORMED, false },
    { "longer than it is", BLOCK("\x0a\x7f\x0a\x01" "a"), QL_E_MALFORMED, false },
    { "an endless varint", BLOCK("\x0a\xff\xff\xff\xff\xff\xff\xff\x01"), QL_E_MALFORMED, false },
};

static void blocks_are_checked(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(block_rows); i++) {
        const struct block_row *row = &block_rows[i];
        bool canonical = false;
        /* An exact copy, so that a sanitizer sees a read past the end. */
        char *exact = malloc(row->count);
        assert_non_null(exact);
        memcpy(exact, row->bytes, row->count);
        const ql_err err = ql_labels_check((ql_str){ exact, row->count }, &canonical);
        if (err != row->err || canonical != row->canonical) {
            fail_msg("%s: %s, canonical %d", row->story, ql_err_name(err), canonical);
        }
        for (size_t cut = 0; cut < row->count; cut++) {
            char *part = malloc(cut + 1);
            assert_non_null(part);
            memcpy(part, row->bytes, cut);
            (void)!ql_labels_check((ql_str){ part, cut }, &canonical);
            (void)ql_labels_get((ql_str){ part, cut }, QL_STR("zz"));
            free(part);
        }
        free(exact);
    }
}

static void limits_are_kept(void **state)
{
    (void)state;
    struct ql_label labels[QL_LABELS_COUNT_MAX + 1];
    char names[QL_LABELS_COUNT_MAX + 1][8];
    struct ql_buf out;
    ql_buf_init(&out, 1 << 20);
    for (uint32_t i = 0; i <= QL_LABELS_COUNT_MAX; i++) {
        (void)snprintf(names[i], sizeof(names[i]), "l%03u", QL_LABELS_COUNT_MAX - i);
        labels[i] = (struct ql_label){ ql_str_of(names[i]), QL_STR("v") };
    }
    assert_int_equal(ql_labels_build(labels, QL_LABELS_COUNT_MAX + 1, &out), QL_E_RANGE);
    assert_int_equal(ql_labels_build(labels, QL_LABELS_COUNT_MAX, &out), QL_OK);
    ql_str view = ql_buf_view(&out);
    assert_true(ql_str_eq(ql_labels_get(view, QL_STR("l001")), QL_STR("v")));
    assert_int_equal(ql_labels_get(view, QL_STR("l999")).bytes, 0);
    ql_buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_comes_back_canonical),
        cmocka_unit_test(blocks_are_checked),
        cmocka_unit_test(limits_are_kept),
    };
    return cmocka_run_group_tests_name("model/labels", tests, NULL, NULL);
}

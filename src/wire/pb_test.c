/* pb_test - varints, fields, and everything that is cut off or too long. */
#include "wire/utf8.h"
#include "wire/wire_test.h"

#include "wire/pb.h"

#define B(literal) { literal, sizeof(literal) - 1 }

struct varint { const char *story; ql_str bytes; bool fine; uint64_t value; };

static const struct varint varints[] = {
    { "zero", B("\x00"), true, 0 },
    { "one byte", B("\x7F"), true, 127 },
    { "two bytes", B("\x80\x01"), true, 128 },
    { "zero, spelt long", B("\x80\x80\x00"), true, 0 },
    { "the largest", B("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), true, UINT64_MAX },
    { "nothing", B(""), false, 0 },
    { "no end", B("\x80"), false, 0 },
    { "nine bytes and no end", B("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"), false, 0 },
    { "a 65th bit", B("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02"), false, 0 },
    { "eleven bytes", B("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00"), false, 0 },
};

static void varints_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(varints); i++) {
        const ql_str bytes = varints[i].bytes;
        char *exact = malloc(bytes.bytes > 0 ? bytes.bytes : 1);
        assert_non_null(exact);
        memcpy(exact, bytes.at, bytes.bytes);
        const uint8_t *at = (const uint8_t *)exact;
        uint64_t value = 77;
        const uint8_t *next = ql_pb_varint(at, at + bytes.bytes, &value);
        if ((next != NULL) != varints[i].fine) {
            fail_msg("%s", varints[i].story);
        }
        assert_true(!varints[i].fine || value == varints[i].value);
        assert_true(!varints[i].fine || next == at + bytes.bytes);
        assert_true(varints[i].fine || value == 77); /* written only on success */
        free(exact);
    }
}

struct message { const char *story; ql_str bytes; const char *want; };

/* number:type=value or number:"bytes"; "!" and the offset of the faulty field. */
static const struct message messages[] = {
    { "nothing", B(""), "" },
    { "every type", B("\x08\x96\x01\x11\x01\0\0\0\0\0\0\0\x1A\x02hi\x25\x02\0\0\0"),
      "1:0=150 2:1=1 3:\"hi\" 4:5=2 " },
    { "the largest number", B("\xF8\xFF\xFF\xFF\x0F\x01"), "536870911:0=1 " },
    { "no bytes", B("\x0A\x00"), "1:\"\" " },
    { "bytes past the end", B("\x08\x01\x0A\x03hi"), "1:0=1 !2" },
    { "half a fixed64", B("\x09\x01\x02\x03"), "!0" },
    { "half a fixed32", B("\x0D\x01\x02\x03"), "!0" },
    { "a tag alone", B("\x08"), "!0" },
    { "field number 0", B("\x00\x01"), "!0" },
    { "a field number past 2^29", B("\x80\x80\x80\x80\x10\x01"), "!0" },
    { "a group", B("\x0B\x0C"), "!0" },
    { "wire type 6", B("\x0E\x01"), "!0" },
    { "wire type 7", B("\x0F\x01"), "!0" },
    { "a length of 2^64 - 1", B("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"), "!0" },
};

static void messages_walk(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(messages); i++) {
        const ql_str bytes = messages[i].bytes;
        struct ql_buf got;
        char *exact = malloc(bytes.bytes > 0 ? bytes.bytes : 1);
        assert_non_null(exact);
        memcpy(exact, bytes.at, bytes.bytes);
        struct ql_pb pb = ql_pb_of((ql_str){ exact, bytes.bytes });
        ql_buf_init(&got, 1 << 12);
        (void)ql_buf_text(&got, "");
        for (struct ql_pb_field f; ql_pb_next(&pb, &f);) {
            if (f.type == QL_PB_BYTES) {
                (void)ql_buf_printf(&got, "%u:\"%.*s\" ", f.number, QL_STR_ARG(f.bytes));
            } else {
                (void)ql_buf_printf(&got, "%u:%u=%llu ", f.number, f.type,
                                    (unsigned long long)f.value);
            }
        }
        if (pb.failed) {
            (void)ql_buf_printf(&got, "!%td", pb.at - (const uint8_t *)exact);
        }
        const char *text = got.bytes > 0 ? got.at : "";
        if (strcmp(text, messages[i].want) != 0) {
            fail_msg("%s\n  want %s\n  got  %s", messages[i].story, messages[i].want, text);
        }
        ql_buf_fini(&got);
        free(exact);
    }
}

static void zigzag_and_packed(void **state)
{
    (void)state;
    assert_true(ql_pb_zigzag(0) == 0 && ql_pb_zigzag(1) == -1 && ql_pb_zigzag(2) == 1);
    assert_true(ql_pb_zigzag(UINT64_MAX) == INT64_MIN);
    assert_int_equal(ql_pb_packed_fixed64_count((ql_str){ "0123456789abcdef", 16 }), 2);
    assert_int_equal(ql_pb_packed_fixed64_count((ql_str){ "0123456789abcdef", 15 }), UINT32_MAX);
}

static void utf8_as_rfc_3629(void **state)
{
    (void)state;
    static const struct { ql_str text; bool fine; } texts[] = {
        { B(""), true }, { B("plain ASCII of some length"), true }, { B("\x00\x7F"), true },
        { B("\xC2\x80"), true }, { B("\xDF\xBF"), true }, { B("\xE0\xA0\x80"), true },
        { B("\xED\x9F\xBF"), true }, { B("\xEE\x80\x80"), true }, { B("\xF0\x90\x80\x80"), true },
        { B("\xF4\x8F\xBF\xBF"), true }, { B("12345678\xE2\x82\xAC" "9"), true },
        { B("\x80"), false }, { B("\xC0\xAF"), false }, { B("\xC1\xBF"), false },
        { B("\xC2"), false }, { B("\xE0\x9F\xBF"), false }, { B("\xED\xA0\x80"), false },
        { B("\xF0\x8F\xBF\xBF"), false }, { B("\xF4\x90\x80\x80"), false },
        { B("\xF5\x80\x80\x80"), false }, { B("\xE2\x82"), false }, { B("\xE2\x82z"), false },
        { B("12345678\xFF"), false },
    };
    for (size_t i = 0; i < QL_COUNT_OF(texts); i++) {
        assert_int_equal(ql_utf8_valid(texts[i].text), texts[i].fine);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_read), cmocka_unit_test(messages_walk),
        cmocka_unit_test(zigzag_and_packed), cmocka_unit_test(utf8_as_rfc_3629),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

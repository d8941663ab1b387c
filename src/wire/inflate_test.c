/* inflate_test - each encoding: whole, exactly at the limit, one past it, cut, bombs. */
#include "wire/wire_test.h"

#include "wire/inflate.h"

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>

static void pack(enum ql_encoding encoding, ql_str plain, struct ql_buf *out)
{
    const size_t room = plain.bytes * 2 + 4096;
    char *to = NULL;
    size_t bytes = room;
    assert_int_equal(ql_buf_reserve(out, room, &to), QL_OK);
    if (encoding == QL_ENCODING_NONE) {
        memcpy(to, plain.at, plain.bytes);
        bytes = plain.bytes;
    } else if (encoding == QL_ENCODING_SNAPPY) {
        assert_int_equal(snappy_compress(plain.at, plain.bytes, to, &bytes), SNAPPY_OK);
    } else if (encoding == QL_ENCODING_GZIP) {
        struct libdeflate_compressor *c = libdeflate_alloc_compressor(6);
        bytes = libdeflate_gzip_compress(c, plain.at, plain.bytes, to, room);
        libdeflate_free_compressor(c);
    } else {
        bytes = ZSTD_compress(to, room, plain.at, plain.bytes, 3);
    }
    assert_true(bytes > 0 || plain.bytes == 0);
    ql_buf_advance(out, bytes);
}

static void text_make(size_t bytes, struct ql_buf *out)
{
    uint32_t seed = 1;
    while (out->bytes < bytes) {
        seed = seed * 1664525u + 1013904223u;
        (void)ql_buf_char(out, (char)('a' + (seed >> 24) % 11));
    }
    assert_int_equal(ql_buf_check(out), QL_OK);
}

static void inflate_check(enum ql_encoding encoding, ql_str packed, size_t limit, ql_err want_err,
                          ql_str want)
{
    struct ql_blob *blob = NULL;
    /* An exact copy, so that a sanitizer sees a read past the end. */
    char *exact = malloc(packed.bytes > 0 ? packed.bytes : 1);
    assert_non_null(exact);
    memcpy(exact, packed.at, packed.bytes);
    const ql_err err = ql_inflate(encoding, (ql_str){ exact, packed.bytes }, limit, &blob);
    free(exact);
    if (err != want_err) {
        fail_msg("encoding %d, %zu bytes, limit %zu: %s", (int)encoding, packed.bytes, limit,
                 ql_err_text(err));
    }
    if (err == QL_OK) {
        const ql_str got = ql_blob_view(blob);
        assert_true(ql_str_eq(got, want));
        for (uint32_t i = 0; i < QL_INFLATE_SLACK; i++) {
            assert_int_equal(got.at[got.bytes + i], 0);
        }
        ql_blob_unref(blob);
    }
}

static void sizes_and_limits(void **state)
{
    (void)state;
    static const size_t sizes[] = { 0, 1, 100, 4096, 4097, 70000, 1 << 20 };
    for (int e = QL_ENCODING_NONE; e <= QL_ENCODING_ZSTD; e++) {
        for (size_t i = 0; i < QL_COUNT_OF(sizes); i++) {
            const enum ql_encoding encoding = (enum ql_encoding)e;
            struct ql_buf plain, packed;
            ql_buf_init(&plain, 1 << 22);
            ql_buf_init(&packed, 1 << 23);
            text_make(sizes[i], &plain);
            pack(encoding, ql_buf_view(&plain), &packed);
            const ql_str in = ql_buf_view(&packed), want = ql_buf_view(&plain);
            inflate_check(encoding, in, 1 << 22, QL_OK, want);
            inflate_check(encoding, in, sizes[i], QL_OK, want);
            if (sizes[i] > 0) {
                inflate_check(encoding, in, sizes[i] - 1, QL_E_TOO_LARGE, want);
            }
            ql_buf_fini(&packed);
            ql_buf_fini(&plain);
        }
    }
}

static void cut_anywhere(void **state)
{
    (void)state;
    for (int e = QL_ENCODING_SNAPPY; e <= QL_ENCODING_ZSTD; e++) {
        struct ql_buf plain, packed;
        ql_buf_init(&plain, 1 << 20);
        ql_buf_init(&packed, 1 << 20);
        text_make(300, &plain);
        pack((enum ql_encoding)e, ql_buf_view(&plain), &packed);
        for (size_t cut = 0; cut < packed.bytes; cut++) {
            inflate_check((enum ql_encoding)e, (ql_str){ packed.at, cut }, 1 << 20,
                          QL_E_MALFORMED, (ql_str){ "", 0 });
        }
        ql_buf_fini(&packed);
        ql_buf_fini(&plain);
    }
}

/* A gigabyte of nothing in a few kilobytes must be refused without being made. */
static void bombs(void **state)
{
    (void)state;
    enum { PLAIN = 64 << 20, LIMIT = 1 << 20 };
    char *zeros = calloc(1, PLAIN);
    assert_non_null(zeros);
    for (int e = QL_ENCODING_SNAPPY; e <= QL_ENCODING_ZSTD; e++) {
        struct ql_buf packed;
        ql_buf_init(&packed, (size_t)PLAIN * 3);
        pack((enum ql_encoding)e, (ql_str){ zeros, PLAIN }, &packed);
        inflate_check((enum ql_encoding)e, ql_buf_view(&packed), LIMIT, QL_E_TOO_LARGE,
                      (ql_str){ "", 0 });
        ql_buf_fini(&packed);
    }
    free(zeros);
    /* A snappy header that promises 4 GB, followed by nothing. */
    inflate_check(QL_ENCODING_SNAPPY, QL_STR("\xFF\xFF\xFF\xFF\x0F"), LIMIT, QL_E_TOO_LARGE,
                  (ql_str){ "", 0 });
}

static void several_members_and_what_is_none(void **state)
{
    (void)state;
    for (int e = QL_ENCODING_GZIP; e <= QL_ENCODING_ZSTD; e++) {
        struct ql_buf packed;
        ql_buf_init(&packed, 1 << 20);
        pack((enum ql_encoding)e, QL_STR("one "), &packed);
        pack((enum ql_encoding)e, QL_STR(""), &packed);
        pack((enum ql_encoding)e, QL_STR("two"), &packed);
        inflate_check((enum ql_encoding)e, ql_buf_view(&packed), 7, QL_OK, QL_STR("one two"));
        inflate_check((enum ql_encoding)e, ql_buf_view(&packed), 6, QL_E_TOO_LARGE, QL_STR(""));
        (void)ql_buf_text(&packed, "something else behind it");
        inflate_check((enum ql_encoding)e, ql_buf_view(&packed), 1 << 20, QL_E_MALFORMED,
                      QL_STR(""));
        ql_buf_fini(&packed);
    }
    /* Snappy's framed format, which remote write never uses. */
    inflate_check(QL_ENCODING_SNAPPY, QL_STR("\xFF\x06\x00\x00sNaPpY"), 1 << 20, QL_E_MALFORMED,
                  QL_STR(""));
    inflate_check(QL_ENCODING_GZIP, QL_STR("this is no gzip data at all"), 1 << 20,
                  QL_E_MALFORMED, QL_STR(""));
    inflate_check((enum ql_encoding)9, QL_STR("x"), 1 << 20, QL_E_UNSUPPORTED, QL_STR(""));
}

static void what_the_door_says(void **state)
{
    (void)state;
    struct ql_wire_input in = { .door = QL_DOOR_REMOTE_WRITE, .format = QL_FORMAT_PROTOBUF,
                                .encoding = QL_ENCODING_SNAPPY, .body = QL_STR("\xFF\x06 no") };
    decode_check("not snappy", &in,
                 "!MALFORMED\nencoding 1\nremote_write: the body is not valid snappy data (block "
                 "format, not framed)\n");
    in.body = QL_STR("\xFF\xFF\xFF\xFF\x0F");
    decode_check("too large", &in,
                 "!TOO_LARGE\ntoo_large 1\nremote_write: the body is larger than 1048576 bytes "
                 "after decompression\n");
    in.format = QL_FORMAT_TEXT;
    decode_check("not a format of the door", &in,
                 "!UNSUPPORTED\ncontent_type 1\nremote_write: not a format this door reads\n");
    in.format = QL_FORMAT_PROTOBUF;
    in.encoding = (enum ql_encoding)7;
    decode_check("unknown encoding", &in,
                 "!UNSUPPORTED\nencoding 1\nremote_write: unknown content encoding; snappy, gzip, "
                 "zstd and none are read\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sizes_and_limits), cmocka_unit_test(cut_anywhere),
        cmocka_unit_test(bombs), cmocka_unit_test(several_members_and_what_is_none),
        cmocka_unit_test(what_the_door_says),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

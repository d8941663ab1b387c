/* json_fuzz - reads any bytes as JSON and writes them; what was written reads back the same. */
#include "wire/json.h"
#include "wire/json_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 24 };

static void value_write(struct ql_json value, struct ql_json_out *w)
{
    ql_str text;
    int64_t i64;
    uint64_t u64;
    double real;
    bool yes;
    const enum ql_json_type type = ql_json_type_of(value);
    if (type == QL_JSON_OBJECT || type == QL_JSON_ARRAY) {
        type == QL_JSON_OBJECT ? ql_json_out_object(w, NULL) : ql_json_out_array(w, NULL);
        for (struct ql_json_iter it = ql_json_each(value); ql_json_next(&it);) {
            if (type == QL_JSON_OBJECT) {
                ql_json_out_key(w, it.key);
            }
            value_write(it.value, w); /* bounded: the parser refused deeper nesting */
        }
        ql_json_out_end(w);
    } else if (ql_json_str(value, &text)) {
        ql_json_out_str(w, NULL, text);
    } else if (ql_json_bool(value, &yes)) {
        ql_json_out_bool(w, NULL, yes);
    } else if (ql_json_i64(value, &i64)) {
        ql_json_out_i64(w, NULL, i64);
    } else if (ql_json_u64(value, &u64)) {
        ql_json_out_u64(w, NULL, u64);
    } else if (ql_json_double(value, &real)) {
        ql_json_out_double(w, NULL, real);
    } else {
        ql_json_out_null(w, NULL);
    }
}

static bool text_rewrite(ql_str text, struct ql_buf *out)
{
    struct ql_json root;
    struct ql_json_out w;
    char why[QL_JSON_WHY_BYTES];
    if (ql_json_parse(text, DEPTH_MAX, &root, why) != QL_OK) {
        return false;
    }
    ql_json_out_init(&w, out);
    value_write(root, &w);
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ql_buf first, second;
    ql_buf_init(&first, 1 << 24);
    ql_buf_init(&second, 1 << 24);
    if (text_rewrite((ql_str){ (const char *)data, size }, &first)) {
        QL_ASSERT(text_rewrite(ql_buf_view(&first), &second));
        QL_ASSERT(ql_str_eq(ql_buf_view(&first), ql_buf_view(&second)));
    }
    ql_json_done();
    ql_buf_fini(&first);
    ql_buf_fini(&second);
    return 0;
}

/* json_fuzz - reads any bytes as JSON and writes them; what was written reads back the same. */
#include "wire/json_test.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { DEPTH_MAX = 24 };

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

/* csv_fuzz - reads any bytes as CSV, writes the rows, reads them again: the same fields. */
#include "wire/csv.h"

enum { FIELDS_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ql_arena arena;
    struct ql_buf text;
    struct ql_csv csv;
    ql_str fields[FIELDS_MAX], again[FIELDS_MAX];
    uint32_t count = 0, again_count = 0;
    ql_arena_init(&arena, 1 << 24);
    ql_buf_init(&text, 1 << 24);
    ql_csv_init(&csv, (ql_str){ (const char *)data, size }, &arena);
    while (ql_csv_row(&csv, fields, FIELDS_MAX, &count) == QL_OK) {
        struct ql_csv back;
        ql_buf_reset(&text);
        QL_ASSERT(ql_csv_put_row(&text, fields, count) == QL_OK);
        ql_csv_init(&back, ql_buf_view(&text), &arena);
        QL_ASSERT(ql_csv_row(&back, again, FIELDS_MAX, &again_count) == QL_OK);
        QL_ASSERT(again_count == count);
        for (uint32_t i = 0; i < count; i++) {
            QL_ASSERT(ql_str_eq(fields[i], again[i]));
        }
    }
    ql_buf_fini(&text);
    ql_arena_fini(&arena);
    return 0;
}

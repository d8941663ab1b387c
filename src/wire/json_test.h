/* json_test.h - for tests and fuzzers only: a document that was read is written again. */
#ifndef QL_WIRE_JSON_TEST_H
#define QL_WIRE_JSON_TEST_H

#include "wire/json.h"
#include "wire/json_out.h"

static inline void value_write(struct ql_json value, struct ql_json_out *w)
{
    const enum ql_json_type type = ql_json_type_of(value);
    ql_str text;
    int64_t i64;
    uint64_t u64;
    double real;
    bool yes = false;
    if (type == QL_JSON_OBJECT || type == QL_JSON_ARRAY) {
        if (type == QL_JSON_OBJECT) {
            ql_json_out_object(w, NULL);
        } else {
            ql_json_out_array(w, NULL);
        }
        uint32_t count = 0;
        for (struct ql_json_iter it = ql_json_each(value); ql_json_next(&it); count++) {
            if (type == QL_JSON_OBJECT) {
                ql_json_out_key(w, it.key);
            }
            value_write(it.value, w); /* the parser bounded the depth */
        }
        QL_ASSERT(count == ql_json_count(value));
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
        QL_ASSERT(type == QL_JSON_NULL);
        ql_json_out_null(w, NULL);
    }
}

#endif

/* json_out.h - JSON written as it comes, straight into a buffer.
 *
 * Every value function takes the key it stands under, or NULL in an array and at the
 * top; commas come by themselves. Output is one line of valid JSON whatever the input:
 * bytes that are not UTF-8 become U+FFFD, numbers that are not finite become null.
 *
 *     ql_json_out_object(&w, NULL);
 *     ql_json_out_text(&w, "state", "open");
 *     ql_json_out_array(&w, "ids");
 *     ql_json_out_u64(&w, NULL, 7);
 *     ql_json_out_end(&w);
 *     ql_json_out_end(&w);              {"state":"open","ids":[7]}
 *
 * Ownership     the buffer is the caller's; texts are copied into it.
 * Errors        none here: check the buffer once at the end (ql_buf_check). Wrong nesting,
 *               a key in an array or none in an object is a bug and asserts.
 * Bounds        O(bytes written); nesting up to 63.
 */
#ifndef QL_WIRE_JSON_OUT_H
#define QL_WIRE_JSON_OUT_H

#include "base/base.h"
#include "base/buf.h"

struct ql_json_out {
    struct ql_buf *buf;
    uint64_t object_bits, filled_bits; /* bit d: what is open at depth d */
    uint32_t depth;
    bool key_pending;
};

void ql_json_out_init(struct ql_json_out *w, struct ql_buf *buf);

void ql_json_out_object(struct ql_json_out *w, const char *key);
void ql_json_out_array(struct ql_json_out *w, const char *key);
void ql_json_out_end(struct ql_json_out *w); /* closes the innermost open one */

/* A key that is no literal; the value follows with key NULL. */
void ql_json_out_key(struct ql_json_out *w, ql_str key);

void ql_json_out_str(struct ql_json_out *w, const char *key, ql_str value);
void ql_json_out_text(struct ql_json_out *w, const char *key, const char *value); /* NULL: null */
void ql_json_out_printf(struct ql_json_out *w, const char *key, const char *format, ...)
    QL_PRINTF(3, 4); /* a string, cut at 1023 bytes */
void ql_json_out_i64(struct ql_json_out *w, const char *key, int64_t value);
void ql_json_out_u64(struct ql_json_out *w, const char *key, uint64_t value);
void ql_json_out_double(struct ql_json_out *w, const char *key, double value);
void ql_json_out_bool(struct ql_json_out *w, const char *key, bool value);
void ql_json_out_null(struct ql_json_out *w, const char *key);
void ql_json_out_time(struct ql_json_out *w, const char *key, ql_time value); /* RFC 3339 or null */
void ql_json_out_raw(struct ql_json_out *w, const char *key, ql_str json); /* JSON already */

/* The shortest text that reads back as the same double: "0.1", "100000", "1e+21"; "NaN",
 * "+Inf", "-Inf". The same on every machine and in every locale. Returns its length. */
#define QL_DOUBLE_TEXT_BYTES 32
size_t ql_double_text(double value, char out[QL_DOUBLE_TEXT_BYTES]); /* NUL-terminated */

/* The body of a JSON string, without its quotes. */
void ql_json_escape(struct ql_buf *out, ql_str text);

#endif

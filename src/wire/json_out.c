#include "wire/json_out.h"

#include "wire/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

enum { DEPTH_MAX = 63 };

void ql_json_out_init(struct ql_json_out *w, struct ql_buf *buf)
{
    QL_ASSERT(w != NULL);
    QL_ASSERT(buf != NULL);
    *w = (struct ql_json_out){ .buf = buf };
}

static void out_escape_char(struct ql_buf *out, unsigned char c)
{
    static const char shorts[][2] = { { '"', '"' },  { '\\', '\\' }, { '\n', 'n' }, { '\r', 'r' },
                                      { '\t', 't' }, { '\b', 'b' },  { '\f', 'f' } };
    for (size_t i = 0; i < QL_COUNT_OF(shorts); i++) {
        if (c == (unsigned char)shorts[i][0]) {
            (void)ql_buf_char(out, '\\');
            (void)ql_buf_char(out, shorts[i][1]);
            return;
        }
    }
    (void)ql_buf_printf(out, "\\u%04x", (unsigned)c);
}

void ql_json_escape(struct ql_buf *out, ql_str text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    size_t from = 0, i = 0; /* [from, i) passes as it is */
    while (i < text.bytes) {
        const unsigned char c = at[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        const size_t bytes = ql_utf8_step(at + i, text.bytes - i);
        if (bytes > 1) {
            i += bytes;
            continue;
        }
        if (i > from) {
            (void)ql_buf_put(out, at + from, i - from);
        }
        if (bytes == 0) {
            (void)ql_buf_put(out, "\xEF\xBF\xBD", 3);
        } else {
            out_escape_char(out, c);
        }
        from = ++i;
    }
    if (i > from) {
        (void)ql_buf_put(out, at + from, i - from);
    }
}

static void out_quoted(struct ql_buf *out, ql_str text)
{
    (void)ql_buf_char(out, '"');
    ql_json_escape(out, text);
    (void)ql_buf_char(out, '"');
}

void ql_json_out_key(struct ql_json_out *w, ql_str key)
{
    const uint64_t bit = UINT64_C(1) << w->depth;
    QL_ASSERT((w->object_bits & bit) != 0);
    QL_ASSERT(!w->key_pending);
    if ((w->filled_bits & bit) != 0) {
        (void)ql_buf_char(w->buf, ',');
    }
    w->filled_bits |= bit;
    out_quoted(w->buf, key);
    (void)ql_buf_char(w->buf, ':');
    w->key_pending = true;
}

/* Everything that must stand before a value: the comma, the key. */
static void out_lead(struct ql_json_out *w, const char *key)
{
    const uint64_t bit = UINT64_C(1) << w->depth;
    if (key != NULL) {
        ql_json_out_key(w, ql_str_of(key));
    }
    if ((w->object_bits & bit) != 0) {
        QL_ASSERT(w->key_pending);
        w->key_pending = false;
        return;
    }
    QL_ASSERT(w->depth > 0 || (w->filled_bits & 1) == 0); /* one value at the top */
    if ((w->filled_bits & bit) != 0) {
        (void)ql_buf_char(w->buf, ',');
    }
    w->filled_bits |= bit;
}

static void out_open(struct ql_json_out *w, const char *key, bool object)
{
    out_lead(w, key);
    QL_ASSERT(w->depth < DEPTH_MAX);
    w->depth++;
    const uint64_t bit = UINT64_C(1) << w->depth;
    w->object_bits = object ? w->object_bits | bit : w->object_bits & ~bit;
    w->filled_bits &= ~bit;
    (void)ql_buf_char(w->buf, object ? '{' : '[');
}

void ql_json_out_object(struct ql_json_out *w, const char *key)
{
    out_open(w, key, true);
}

void ql_json_out_array(struct ql_json_out *w, const char *key)
{
    out_open(w, key, false);
}

void ql_json_out_end(struct ql_json_out *w)
{
    QL_ASSERT(w->depth > 0);
    QL_ASSERT(!w->key_pending);
    (void)ql_buf_char(w->buf, (w->object_bits >> w->depth & 1) != 0 ? '}' : ']');
    w->depth--;
}

void ql_json_out_str(struct ql_json_out *w, const char *key, ql_str value)
{
    out_lead(w, key);
    out_quoted(w->buf, value);
}

void ql_json_out_text(struct ql_json_out *w, const char *key, const char *value)
{
    if (value == NULL) {
        ql_json_out_null(w, key);
        return;
    }
    ql_json_out_str(w, key, ql_str_of(value));
}

void ql_json_out_printf(struct ql_json_out *w, const char *key, const char *format, ...)
{
    char text[1024];
    va_list args;
    va_start(args, format);
    const int wanted = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    QL_ASSERT(wanted >= 0);
    ql_json_out_str(w, key, ql_str_of(text));
}

void ql_json_out_i64(struct ql_json_out *w, const char *key, int64_t value)
{
    out_lead(w, key);
    (void)ql_buf_printf(w->buf, "%" PRId64, value);
}

void ql_json_out_u64(struct ql_json_out *w, const char *key, uint64_t value)
{
    out_lead(w, key);
    (void)ql_buf_printf(w->buf, "%" PRIu64, value);
}

void ql_json_out_double(struct ql_json_out *w, const char *key, double value)
{
    char text[QL_DOUBLE_TEXT_BYTES];
    if (!isfinite(value)) {
        ql_json_out_null(w, key);
        return;
    }
    const size_t bytes = ql_double_text(value, text);
    out_lead(w, key);
    (void)ql_buf_put(w->buf, text, bytes);
}

void ql_json_out_bool(struct ql_json_out *w, const char *key, bool value)
{
    out_lead(w, key);
    (void)ql_buf_text(w->buf, value ? "true" : "false");
}

void ql_json_out_null(struct ql_json_out *w, const char *key)
{
    out_lead(w, key);
    (void)ql_buf_text(w->buf, "null");
}

void ql_json_out_time(struct ql_json_out *w, const char *key, ql_time value)
{
    char text[QL_TIME_TEXT_BYTES];
    ql_json_out_text(w, key, value.ns == QL_TIME_NONE.ns ? NULL : ql_time_text(value, text));
}

void ql_json_out_raw(struct ql_json_out *w, const char *key, ql_str json)
{
    out_lead(w, key);
    (void)ql_buf_str(w->buf, json);
}

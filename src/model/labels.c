#include "model/labels.h"

#include <stdlib.h>

/* Reads one varint of at most 32 bits; NULL when it does not end in time. */
static const unsigned char *labels_varint(const unsigned char *at, const unsigned char *end,
                                          size_t *ret_value)
{
    size_t value = 0;
    for (unsigned shift = 0; at < end && shift <= 28; shift += 7) {
        const unsigned char byte = *at++;
        value |= (size_t)(byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

/* One field `tag length bytes`; NULL when it is not there whole. */
static const unsigned char *labels_field(const unsigned char *at, const unsigned char *end,
                                         unsigned char *ret_tag, ql_str *ret_text)
{
    size_t bytes;
    if (at >= end) {
        return NULL;
    }
    *ret_tag = *at++;
    at = labels_varint(at, end, &bytes);
    if (at == NULL || bytes > (size_t)(end - at)) {
        return NULL;
    }
    *ret_text = (ql_str){ (const char *)at, bytes };
    return at + bytes;
}

static bool labels_pair(ql_str pair, struct ql_label *ret_label)
{
    const unsigned char *at = (const unsigned char *)pair.at;
    const unsigned char *end = at + pair.bytes;
    struct ql_label label = { { "", 0 }, { "", 0 } };
    while (at < end) {
        unsigned char tag;
        ql_str text;
        at = labels_field(at, end, &tag, &text);
        if (at == NULL || (tag != 0x0a && tag != 0x12)) {
            return false;
        }
        *(tag == 0x0a ? &label.name : &label.value) = text;
    }
    *ret_label = label;
    return true;
}

/* The usual pair: 0x0a bytes 0x0a bytes name 0x12 bytes value, all lengths below 128. Its end, or
 * NULL when it has to be read the long way. */
static const unsigned char *labels_pair_short(const unsigned char *at, size_t left,
                                              struct ql_label *ret_label)
{
    if (left < 4 || at[0] != 0x0a || at[1] >= 0x80 || at[2] != 0x0a || at[3] >= 0x80) {
        return NULL;
    }
    const size_t pair_bytes = at[1], name_bytes = at[3];
    if (pair_bytes + 2 > left || name_bytes + 4 > pair_bytes) {
        return NULL;
    }
    const unsigned char *value = at + 4 + name_bytes;
    if (value[0] != 0x12 || value[1] != pair_bytes - name_bytes - 4) {
        return NULL; /* a length of 128 and more takes two bytes, so it differs here too */
    }
    ret_label->name = (ql_str){ (const char *)at + 4, name_bytes };
    ret_label->value = (ql_str){ (const char *)value + 2, value[1] };
    return at + 2 + pair_bytes;
}

bool ql_labels_next(ql_str block, size_t *at, struct ql_label *ret_label)
{
    const unsigned char *start = (const unsigned char *)block.at;
    unsigned char tag;
    ql_str pair;
    if (*at >= block.bytes) {
        return false;
    }
    const unsigned char *end = labels_pair_short(start + *at, block.bytes - *at, ret_label);
    if (end != NULL) {
        *at = (size_t)(end - start);
        return true;
    }
    const unsigned char *next = labels_field(start + *at, start + block.bytes, &tag, &pair);
    if (next == NULL || tag != 0x0a || !labels_pair(pair, ret_label)) {
        return false;
    }
    *at = (size_t)(next - start);
    return true;
}

ql_str ql_labels_get(ql_str block, ql_str name)
{
    struct ql_label label;
    for (size_t at = 0; ql_labels_next(block, &at, &label);) {
        if (ql_str_eq(label.name, name)) {
            return label.value;
        }
    }
    return (ql_str){ "", 0 };
}

/* Length of the well-formed UTF-8 sequence at `at`, 0 when there is none (RFC 3629). */
static size_t labels_utf8_step(const unsigned char *at, size_t left)
{
    const unsigned char a = at[0];
    if (a < 0x80) {
        return 1;
    }
    const size_t length = a >= 0xf0 && a <= 0xf4 ? 4 : a >= 0xe0 ? 3 : a >= 0xc2 ? 2 : 0;
    if (length == 0 || a > 0xf4 || left < length) {
        return 0;
    }
    for (size_t i = 1; i < length; i++) {
        if ((at[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((a == 0xe0 && at[1] < 0xa0) || (a == 0xed && at[1] > 0x9f) ||
        (a == 0xf0 && at[1] < 0x90) || (a == 0xf4 && at[1] > 0x8f)) {
        return 0;
    }
    return length;
}

static bool labels_utf8(ql_str s)
{
    const unsigned char *at = (const unsigned char *)s.at;
    for (size_t i = 0; i < s.bytes;) {
        uint64_t word;
        if (s.bytes - i >= sizeof(word)) {
            memcpy(&word, at + i, sizeof(word));
            if ((word & UINT64_C(0x8080808080808080)) == 0) {
                i += sizeof(word);
                continue;
            }
        }
        const size_t step = labels_utf8_step(at + i, s.bytes - i);
        if (step == 0) {
            return false;
        }
        i += step;
    }
    return true;
}

ql_err ql_labels_check(ql_str block, bool *ret_canonical)
{
    struct ql_label label, labels[QL_LABELS_COUNT_MAX];
    uint32_t count = 0;
    bool canonical = true;
    size_t at = 0;
    if (block.bytes > QL_LABELS_BYTES_MAX) {
        return QL_E_RANGE;
    }
    while (ql_labels_next(block, &at, &label)) {
        if (label.name.bytes == 0 || !labels_utf8(label.name) || !labels_utf8(label.value)) {
            return QL_E_MALFORMED;
        }
        if (count == QL_LABELS_COUNT_MAX) {
            return QL_E_RANGE;
        }
        canonical = canonical && label.value.bytes > 0 &&
                    (count == 0 || ql_str_cmp(labels[count - 1].name, label.name) < 0);
        labels[count++] = label;
    }
    if (at != block.bytes) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; !canonical && i < count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            if (ql_str_eq(labels[i].name, labels[j].name)) {
                return QL_E_CONFLICT;
            }
        }
    }
    *ret_canonical = canonical;
    return QL_OK;
}

static int labels_order(const void *a, const void *b)
{
    return ql_str_cmp(((const struct ql_label *)a)->name, ((const struct ql_label *)b)->name);
}

static size_t labels_varint_put(size_t value, char *out)
{
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7) {
        out[bytes++] = (char)(unsigned char)(value | 0x80);
    }
    out[bytes++] = (char)(unsigned char)value;
    return bytes;
}

static void labels_put(const struct ql_label *label, struct ql_buf *out)
{
    char head[32], middle[16];
    size_t head_bytes = 0, middle_bytes = 0;
    middle[middle_bytes++] = 0x12;
    middle_bytes += labels_varint_put(label->value.bytes, middle + middle_bytes);
    char name_length[10];
    const size_t name_length_bytes = labels_varint_put(label->name.bytes, name_length);
    head[head_bytes++] = 0x0a;
    head_bytes += labels_varint_put(1 + name_length_bytes + label->name.bytes + middle_bytes +
                                        label->value.bytes, head + head_bytes);
    head[head_bytes++] = 0x0a;
    memcpy(head + head_bytes, name_length, name_length_bytes);
    head_bytes += name_length_bytes;
    (void)ql_buf_put(out, head, head_bytes);
    (void)ql_buf_str(out, label->name);
    (void)ql_buf_put(out, middle, middle_bytes);
    (void)ql_buf_str(out, label->value);
}

ql_err ql_labels_build(struct ql_label *labels, uint32_t count, struct ql_buf *out)
{
    if (count > QL_LABELS_COUNT_MAX) {
        return QL_E_RANGE;
    }
    if (count > 1) {
        qsort(labels, count, sizeof(*labels), labels_order);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (labels[i].name.bytes == 0 || !labels_utf8(labels[i].name) ||
            !labels_utf8(labels[i].value)) {
            return QL_E_MALFORMED;
        }
        if (i > 0 && ql_str_eq(labels[i - 1].name, labels[i].name)) {
            return QL_E_CONFLICT;
        }
    }
    const size_t before = out->bytes;
    for (uint32_t i = 0; i < count; i++) {
        if (labels[i].value.bytes > 0) {
            labels_put(&labels[i], out);
        }
    }
    if (out->bytes - before > QL_LABELS_BYTES_MAX) {
        return QL_E_RANGE;
    }
    return ql_buf_check(out);
}

ql_err ql_labels_canonical(ql_str block, struct ql_buf *out)
{
    struct ql_label labels[QL_LABELS_COUNT_MAX];
    uint32_t count = 0;
    bool canonical;
    const ql_err err = ql_labels_check(block, &canonical);
    if (err != QL_OK) {
        return err;
    }
    if (canonical) {
        return ql_buf_str(out, block);
    }
    for (size_t at = 0; ql_labels_next(block, &at, &labels[count]);) {
        count++;
        QL_ASSERT(count <= QL_LABELS_COUNT_MAX);
        if (count == QL_LABELS_COUNT_MAX) {
            break;
        }
    }
    return ql_labels_build(labels, count, out);
}

static void labels_quote(ql_str value, struct ql_buf *out)
{
    (void)ql_buf_char(out, '"');
    for (size_t i = 0; i < value.bytes; i++) {
        const char c = value.at[i];
        if (c == '\n') {
            (void)ql_buf_text(out, "\\n");
            continue;
        }
        if (c == '"' || c == '\\') {
            (void)ql_buf_char(out, '\\');
        }
        (void)ql_buf_char(out, c);
    }
    (void)ql_buf_char(out, '"');
}

ql_err ql_labels_text(ql_str block, struct ql_buf *out)
{
    struct ql_label label;
    const ql_str name = ql_labels_get(block, QL_STR("__name__"));
    bool open = false;
    (void)ql_buf_str(out, name);
    for (size_t at = 0; ql_labels_next(block, &at, &label);) {
        if (ql_str_eq(label.name, QL_STR("__name__"))) {
            continue;
        }
        (void)ql_buf_char(out, open ? ',' : '{');
        (void)ql_buf_str(out, label.name);
        (void)ql_buf_char(out, '=');
        labels_quote(label.value, out);
        open = true;
    }
    if (open) {
        (void)ql_buf_char(out, '}');
    } else if (name.bytes == 0) {
        (void)ql_buf_text(out, "{}");
    }
    return ql_buf_check(out);
}

/* A cursor over `name{a="b"}`. */
struct labels_text { const char *at, *end; };

static void labels_space(struct labels_text *t)
{
    while (t->at < t->end && (*t->at == ' ' || *t->at == '\t')) {
        t->at++;
    }
}

static ql_str labels_word(struct labels_text *t)
{
    const char *start = t->at;
    while (t->at < t->end && strchr("{}=,\" \t", *t->at) == NULL) {
        t->at++;
    }
    return (ql_str){ start, (size_t)(t->at - start) };
}

/* A quoted value, unescaped into `texts`; the slice is an offset until texts is complete. */
static bool labels_unquote(struct labels_text *t, struct ql_buf *texts, size_t *ret_at,
                           size_t *ret_bytes)
{
    if (t->at >= t->end || *t->at != '"') {
        return false;
    }
    *ret_at = texts->bytes;
    for (t->at++; t->at < t->end && *t->at != '"'; t->at++) {
        char c = *t->at;
        if (c == '\\' && t->at + 1 < t->end) {
            t->at++;
            c = *t->at == 'n' ? '\n' : *t->at;
        }
        (void)ql_buf_char(texts, c);
    }
    if (t->at >= t->end) {
        return false;
    }
    t->at++;
    *ret_bytes = texts->bytes - *ret_at;
    return true;
}

static ql_err labels_parse_into(ql_str text, struct ql_buf *texts, struct ql_buf *out)
{
    struct ql_label labels[QL_LABELS_COUNT_MAX];
    size_t value_at[QL_LABELS_COUNT_MAX] = { 0 };
    struct labels_text t = { text.at, text.at + text.bytes };
    uint32_t count = 0, quoted_from = 0;
    labels_space(&t);
    const ql_str name = labels_word(&t);
    if (name.bytes > 0) {
        labels[count++] = (struct ql_label){ QL_STR("__name__"), name };
    }
    quoted_from = count;
    labels_space(&t);
    if (t.at < t.end && *t.at == '{') {
        for (t.at++;; t.at++) {
            labels_space(&t);
            if (t.at < t.end && *t.at == '}') {
                break;
            }
            if (count == QL_LABELS_COUNT_MAX) {
                return QL_E_RANGE;
            }
            labels[count].name = labels_word(&t);
            labels_space(&t);
            if (t.at >= t.end || *t.at++ != '=') {
                return QL_E_MALFORMED;
            }
            labels_space(&t);
            if (!labels_unquote(&t, texts, &value_at[count], &labels[count].value.bytes)) {
                return QL_E_MALFORMED;
            }
            count++;
            labels_space(&t);
            if (t.at < t.end && *t.at == '}') {
                break;
            }
            if (t.at >= t.end || *t.at != ',') {
                return QL_E_MALFORMED;
            }
        }
        t.at++;
        labels_space(&t);
    }
    if (t.at != t.end || ql_buf_check(texts) != QL_OK) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = quoted_from; i < count; i++) {
        labels[i].value.at = labels[i].value.bytes > 0 ? texts->at + value_at[i] : "";
    }
    return ql_labels_build(labels, count, out);
}

ql_err ql_labels_parse(ql_str text, struct ql_buf *out)
{
    struct ql_buf texts;
    ql_buf_init(&texts, QL_LABELS_BYTES_MAX);
    const ql_err err = labels_parse_into(text, &texts, out);
    ql_buf_fini(&texts);
    return err;
}

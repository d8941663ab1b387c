/* otlp_value.c - OTLP attributes and bodies as text.
 *
 * An AnyValue may hold lists and maps of AnyValues. They become compact JSON, built
 * into the arena; nesting is bounded here, because a sender decides it.
 */
#include "wire/json_out.h"
#include "wire/otlp.h"

#include <stdio.h>

enum { VALUE_DEPTH_MAX = 16, VALUE_BYTES_MAX = 1 << 26 };

enum any_field { ANY_STRING = 1, ANY_BOOL, ANY_INT, ANY_DOUBLE, ANY_ARRAY, ANY_MAP, ANY_BYTES };

static const struct ql_otlp_name any_names[] = {
    { "stringValue", ANY_STRING }, { "boolValue", ANY_BOOL },   { "intValue", ANY_INT },
    { "doubleValue", ANY_DOUBLE }, { "arrayValue", ANY_ARRAY }, { "kvlistValue", ANY_MAP },
    { "bytesValue", ANY_BYTES },   { NULL, 0 },
};
static const struct ql_otlp_name list_names[] = { { "values", 1 }, { NULL, 0 } };
static const struct ql_otlp_name pair_names[] = { { "key", 1 }, { "value", 2 }, { NULL, 0 } };
static const struct ql_otlp_name resource_names[] = { { "attributes", 1 }, { NULL, 0 } };

static void value_write(struct ql_otlp *otlp, const struct ql_otlp_field *any,
                        struct ql_json_out *w);

/* protobuf bytes as the base64 that the JSON form carries. */
static void value_base64(ql_str bytes, struct ql_buf *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const unsigned char *at = (const unsigned char *)bytes.at;
    for (size_t left = bytes.bytes, count; left > 0; at += count, left -= count) {
        count = left < 3 ? left : 3;
        const uint32_t bits = (uint32_t)at[0] << 16 | (count > 1 ? (uint32_t)at[1] << 8 : 0) |
                              (count > 2 ? (uint32_t)at[2] : 0);
        const char text[4] = { digits[bits >> 18], digits[bits >> 12 & 63],
                               count > 1 ? digits[bits >> 6 & 63] : '=',
                               count > 2 ? digits[bits & 63] : '=' };
        (void)ql_buf_put(out, text, 4);
    }
}

/* The last member wins, as in protobuf's oneof; false when there is none. */
static bool value_pick(struct ql_otlp *otlp, const struct ql_otlp_field *any,
                       struct ql_otlp_field *ret_value)
{
    struct ql_otlp_cursor cursor;
    bool found = false;
    if (!ql_otlp_sub(otlp, any, any_names, &cursor)) {
        return false;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number >= ANY_STRING && field.number <= ANY_BYTES) {
            *ret_value = field;
            found = true;
        }
    }
    return found && otlp->err == QL_OK;
}

static void value_list(struct ql_otlp *otlp, const struct ql_otlp_field *list,
                       struct ql_json_out *w)
{
    struct ql_otlp_cursor cursor;
    ql_json_out_array(w, NULL);
    if (ql_otlp_sub(otlp, list, list_names, &cursor)) {
        for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
            if (field.number == 1) {
                value_write(otlp, &field, w);
            }
        }
    }
    ql_json_out_end(w);
}

static void value_pair(struct ql_otlp *otlp, const struct ql_otlp_field *pair,
                       struct ql_json_out *w)
{
    struct ql_otlp_cursor cursor;
    struct ql_otlp_field value = { .number = 0 };
    ql_str key = { "", 0 };
    if (!ql_otlp_sub(otlp, pair, pair_names, &cursor)) {
        return;
    }
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number == 1) {
            (void)ql_otlp_text(otlp, &field, &key);
        } else if (field.number == 2) {
            value = field;
        }
    }
    ql_json_out_key(w, key);
    if (value.number == 0) {
        ql_json_out_null(w, NULL);
    } else {
        value_write(otlp, &value, w);
    }
}

static void value_map(struct ql_otlp *otlp, const struct ql_otlp_field *map,
                      struct ql_json_out *w)
{
    struct ql_otlp_cursor cursor;
    ql_json_out_object(w, NULL);
    if (ql_otlp_sub(otlp, map, list_names, &cursor)) {
        for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
            if (field.number == 1) {
                value_pair(otlp, &field, w);
            }
        }
    }
    ql_json_out_end(w);
}

/* protobuf has the bytes, JSON their base64 already. */
static bool value_bytes(struct ql_otlp *otlp, const struct ql_otlp_field *value,
                        struct ql_buf *out)
{
    ql_str bytes;
    if (!ql_otlp_text(otlp, value, &bytes)) {
        return false;
    }
    if (value->json) {
        (void)ql_buf_str(out, bytes);
    } else {
        value_base64(bytes, out);
    }
    return ql_buf_check(out) == QL_OK;
}

static void value_write_plain(struct ql_otlp *otlp, const struct ql_otlp_field *value,
                              struct ql_json_out *w)
{
    int64_t i64 = 0;
    double real = 0.0;
    bool yes = false;
    ql_str text = { "", 0 };
    struct ql_buf bytes;
    switch (value->number) {
    case ANY_STRING:
        (void)ql_otlp_text(otlp, value, &text);
        ql_json_out_str(w, NULL, text);
        break;
    case ANY_BOOL:
        (void)ql_otlp_bool(otlp, value, &yes);
        ql_json_out_bool(w, NULL, yes);
        break;
    case ANY_INT:
        (void)ql_otlp_i64(otlp, value, &i64);
        ql_json_out_i64(w, NULL, i64);
        break;
    case ANY_DOUBLE:
        (void)ql_otlp_double(otlp, value, &real);
        ql_json_out_double(w, NULL, real);
        break;
    default:
        ql_buf_init(&bytes, VALUE_BYTES_MAX);
        (void)value_bytes(otlp, value, &bytes);
        ql_json_out_str(w, NULL, ql_buf_view(&bytes));
        ql_buf_fini(&bytes);
    }
}

/* Writes an AnyValue as JSON: always exactly one value, so that nesting stays whole. */
static void value_write(struct ql_otlp *otlp, const struct ql_otlp_field *any,
                        struct ql_json_out *w)
{
    struct ql_otlp_field value;
    if (w->depth > VALUE_DEPTH_MAX) {
        ql_otlp_malformed(otlp, "a value is nested deeper than 16 levels");
    }
    if (otlp->err != QL_OK || !value_pick(otlp, any, &value)) {
        ql_json_out_null(w, NULL);
    } else if (value.number == ANY_ARRAY) {
        value_list(otlp, &value, w);
    } else if (value.number == ANY_MAP) {
        value_map(otlp, &value, w);
    } else {
        value_write_plain(otlp, &value, w);
    }
}

/* What needs more room than a number. */
static bool value_text_long(struct ql_otlp *otlp, const struct ql_otlp_field *any,
                            const struct ql_otlp_field *value, ql_str *ret_text)
{
    struct ql_buf out;
    struct ql_json_out w;
    ql_buf_init(&out, VALUE_BYTES_MAX);
    if (value->number == ANY_BYTES) {
        (void)value_bytes(otlp, value, &out);
    } else {
        ql_json_out_init(&w, &out);
        value_write(otlp, any, &w);
    }
    const bool kept = otlp->err == QL_OK && ql_buf_check(&out) == QL_OK &&
                      ql_wire_keep(otlp->job, ql_buf_view(&out), ret_text);
    ql_buf_fini(&out);
    if (!kept) {
        ql_otlp_full(otlp); /* says nothing when a fault was said already */
    }
    return kept;
}

static bool value_text_short(struct ql_otlp *otlp, const struct ql_otlp_field *value,
                             ql_str *ret_text)
{
    char text[QL_DOUBLE_TEXT_BYTES];
    int64_t i64;
    double real;
    bool yes;
    size_t bytes = 0;
    if (value->number == ANY_BOOL && ql_otlp_bool(otlp, value, &yes)) {
        *ret_text = yes ? QL_STR("true") : QL_STR("false");
        return true;
    }
    if (value->number == ANY_INT && ql_otlp_i64(otlp, value, &i64)) {
        bytes = (size_t)snprintf(text, sizeof(text), "%lld", (long long)i64);
    } else if (value->number == ANY_DOUBLE && ql_otlp_double(otlp, value, &real)) {
        bytes = ql_double_text(real, text);
    }
    if (otlp->err == QL_OK && !ql_wire_keep(otlp->job, (ql_str){ text, bytes }, ret_text)) {
        ql_otlp_full(otlp);
    }
    return otlp->err == QL_OK;
}

bool ql_otlp_any(struct ql_otlp *otlp, const struct ql_otlp_field *any, ql_str *ret_text)
{
    struct ql_otlp_field value;
    if (!value_pick(otlp, any, &value)) {
        *ret_text = (ql_str){ "", 0 };
        return otlp->err == QL_OK;
    }
    switch (value.number) {
    case ANY_STRING: return ql_otlp_text(otlp, &value, ret_text);
    case ANY_BOOL:
    case ANY_INT:
    case ANY_DOUBLE: return value_text_short(otlp, &value, ret_text);
    default: return value_text_long(otlp, any, &value, ret_text);
    }
}

bool ql_otlp_attribute(struct ql_otlp *otlp, const struct ql_otlp_field *field,
                       struct ql_otlp_attributes *attributes)
{
    struct ql_otlp_cursor cursor;
    if (attributes->count == QL_OTLP_ATTRIBUTES_MAX) {
        attributes->overflow = true;
        return true;
    }
    struct ql_otlp_attribute *attribute = &attributes->at[attributes->count];
    attribute->key = (ql_str){ "", 0 };
    attribute->value.number = 0;
    if (!ql_otlp_sub(otlp, field, pair_names, &cursor)) {
        return false;
    }
    for (struct ql_otlp_field part; ql_otlp_next(&cursor, &part);) {
        if (part.number == 1) {
            (void)ql_otlp_text(otlp, &part, &attribute->key);
        } else if (part.number == 2) {
            attribute->value = part;
        }
    }
    attributes->count++;
    return otlp->err == QL_OK;
}

bool ql_otlp_attribute_read(struct ql_otlp *otlp, const struct ql_otlp_attribute *attribute,
                            ql_str *ret_text)
{
    if (attribute->value.number == 0) {
        *ret_text = (ql_str){ "", 0 };
        return true;
    }
    return ql_otlp_any(otlp, &attribute->value, ret_text);
}

ql_str ql_otlp_attribute_text(struct ql_otlp *otlp, const struct ql_otlp_attributes *attributes,
                              const char *key)
{
    const ql_str wanted = ql_str_of(key);
    ql_str text = { "", 0 };
    for (uint32_t i = 0; i < attributes->count; i++) {
        if (ql_str_eq(attributes->at[i].key, wanted)) {
            return ql_otlp_attribute_read(otlp, &attributes->at[i], &text) ? text
                                                                           : (ql_str){ "", 0 };
        }
    }
    return text;
}

bool ql_otlp_resource(struct ql_otlp *otlp, struct ql_otlp_cursor cursor,
                      struct ql_otlp_attributes *attributes)
{
    struct ql_otlp_cursor resource;
    ql_otlp_attributes_reset(attributes);
    for (struct ql_otlp_field field; ql_otlp_next(&cursor, &field);) {
        if (field.number != 1 || !ql_otlp_sub(otlp, &field, resource_names, &resource)) {
            continue;
        }
        for (struct ql_otlp_field part; ql_otlp_next(&resource, &part);) {
            if (part.number == 1) {
                (void)ql_otlp_attribute(otlp, &part, attributes);
            }
        }
    }
    return otlp->err == QL_OK;
}

ql_str ql_otlp_service(struct ql_otlp *otlp, const struct ql_otlp_attributes *resource)
{
    ql_str service = ql_otlp_attribute_text(otlp, resource, "service.name");
    if (service.bytes == 0) {
        return QL_STR("unknown_service");
    }
    (void)ql_otlp_keep(otlp, service, &service);
    return service;
}

#include "wire/otlp.h"

#include "wire/utf8.h"

#include <stdarg.h>
#include <stdio.h>

enum { JSON_DEPTH_MAX = 128 };

/* ---- faults ----------------------------------------------------------------------- */

static void otlp_say(struct ql_otlp *otlp, enum ql_reason reason, const char *what)
{
    ql_reject_add(otlp->job->reject, reason, "%s: resource %u, %s %u: %s",
                  ql_door_name(otlp->job->in->door), otlp->resource_index, otlp->record_noun,
                  otlp->record_index, what);
}

void ql_otlp_malformed(struct ql_otlp *otlp, const char *what)
{
    if (otlp->err == QL_OK) {
        otlp->err = QL_E_MALFORMED;
        otlp_say(otlp, QL_REASON_MALFORMED, what);
    }
}

void ql_otlp_full(struct ql_otlp *otlp)
{
    if (otlp->err == QL_OK) {
        otlp->err = QL_E_FULL;
        otlp_say(otlp, QL_REASON_TOO_LARGE,
                 "more than one request may hold; send smaller requests");
    }
}

void ql_otlp_reject(struct ql_otlp *otlp, enum ql_reason reason, const char *format, ...)
{
    char what[192];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    otlp_say(otlp, reason, what);
}

static bool otlp_wrong(struct ql_otlp *otlp, const struct ql_otlp_field *field, const char *want)
{
    char what[96];
    (void)snprintf(what, sizeof(what), "field %u is a %s; %s is wanted", field->number,
                   field->json ? ql_json_type_text(ql_json_type_of(field->value))
                               : "value of another wire type", want);
    ql_otlp_malformed(otlp, what);
    return false;
}

/* ---- walking ---------------------------------------------------------------------- */

ql_err ql_otlp_open(struct ql_otlp *otlp, const struct ql_otlp_name *names,
                    struct ql_otlp_cursor *ret_cursor)
{
    struct ql_otlp_cursor cursor = { .otlp = otlp, .names = names };
    cursor.json = otlp->job->in->format == QL_FORMAT_JSON;
    if (!cursor.json) {
        cursor.pb = ql_pb_of(otlp->job->body);
        *ret_cursor = cursor;
        return QL_OK;
    }
    struct ql_json root;
    ql_err err = ql_wire_json(otlp->job, JSON_DEPTH_MAX, &root);
    if (err == QL_OK && ql_json_type_of(root) != QL_JSON_OBJECT) {
        ql_reject_add(otlp->job->reject, QL_REASON_MALFORMED,
                      "%s: the body is a JSON %s; an object is wanted",
                      ql_door_name(otlp->job->in->door), ql_json_type_text(ql_json_type_of(root)));
        err = QL_E_MALFORMED;
    }
    if (err == QL_OK) {
        cursor.members = ql_json_each(root);
        *ret_cursor = cursor;
    }
    return err;
}

static uint32_t otlp_number(const struct ql_otlp_name *names, ql_str key)
{
    for (; names->json != NULL; names++) {
        if (strlen(names->json) == key.bytes && memcmp(names->json, key.at, key.bytes) == 0) {
            return names->number;
        }
    }
    return 0;
}

static bool otlp_next_json(struct ql_otlp_cursor *cursor, struct ql_otlp_field *field)
{
    for (;;) {
        if (cursor->repeat_number != 0) {
            if (ql_json_next(&cursor->elements)) {
                field->number = cursor->repeat_number;
                field->value = cursor->elements.value;
                return true;
            }
            cursor->repeat_number = 0;
        }
        if (!ql_json_next(&cursor->members)) {
            return false;
        }
        const uint32_t number = otlp_number(cursor->names, cursor->members.key);
        const enum ql_json_type type = ql_json_type_of(cursor->members.value);
        if (number == 0 || type == QL_JSON_NULL) {
            continue;
        }
        if (type == QL_JSON_ARRAY) {
            cursor->repeat_number = number;
            cursor->elements = ql_json_each(cursor->members.value);
            continue;
        }
        field->number = number;
        field->value = cursor->members.value;
        return true;
    }
}

bool ql_otlp_next(struct ql_otlp_cursor *cursor, struct ql_otlp_field *ret_field)
{
    if (cursor->otlp->err != QL_OK) {
        return false;
    }
    ret_field->json = cursor->json;
    if (cursor->json) {
        return otlp_next_json(cursor, ret_field);
    }
    if (ql_pb_next(&cursor->pb, &ret_field->pb)) {
        ret_field->number = ret_field->pb.number;
        return true;
    }
    if (cursor->pb.failed) {
        ql_otlp_malformed(cursor->otlp, "cut off here or no protobuf message");
    }
    return false;
}

bool ql_otlp_sub(struct ql_otlp *otlp, const struct ql_otlp_field *field,
                 const struct ql_otlp_name *names, struct ql_otlp_cursor *ret_cursor)
{
    /* Only what the form uses is written: clearing the rest would be a fifth of the time. */
    ret_cursor->otlp = otlp;
    ret_cursor->names = names;
    ret_cursor->json = field->json;
    ret_cursor->repeat_number = 0;
    if (field->json) {
        ret_cursor->members = ql_json_each(field->value);
        return ql_json_type_of(field->value) == QL_JSON_OBJECT ||
               otlp_wrong(otlp, field, "an object");
    }
    if (field->pb.type != QL_PB_BYTES) {
        return otlp_wrong(otlp, field, "a message"); /* its bytes are undefined */
    }
    ret_cursor->pb = ql_pb_of(field->pb.bytes);
    return true;
}

/* ---- values ----------------------------------------------------------------------- */

bool ql_otlp_text(struct ql_otlp *otlp, const struct ql_otlp_field *field, ql_str *ret_text)
{
    if (field->json) {
        return ql_json_str(field->value, ret_text) || otlp_wrong(otlp, field, "a string");
    }
    if (field->pb.type != QL_PB_BYTES) {
        return otlp_wrong(otlp, field, "a string");
    }
    *ret_text = field->pb.bytes;
    return true;
}

bool ql_otlp_i64(struct ql_otlp *otlp, const struct ql_otlp_field *field, int64_t *ret_number)
{
    ql_str text;
    if (!field->json) {
        if (field->pb.type == QL_PB_BYTES) {
            return otlp_wrong(otlp, field, "an integer");
        }
        *ret_number = (int64_t)field->pb.value;
        return true;
    }
    return ql_json_i64(field->value, ret_number) ||
           (ql_json_str(field->value, &text) && ql_str_to_i64(text, ret_number) == QL_OK) ||
           otlp_wrong(otlp, field, "an integer");
}

/* Digits only, up to 2^64 - 1: what a uint64 looks like in JSON. */
static bool otlp_u64_text(ql_str text, uint64_t *ret_number)
{
    uint64_t number = 0;
    for (size_t i = 0; i < text.bytes; i++) {
        const unsigned digit = (unsigned)(unsigned char)text.at[i] - '0';
        if (digit > 9 || number > (UINT64_MAX - digit) / 10) {
            return false;
        }
        number = number * 10 + digit;
    }
    *ret_number = number;
    return text.bytes > 0;
}

bool ql_otlp_u64(struct ql_otlp *otlp, const struct ql_otlp_field *field, uint64_t *ret_number)
{
    ql_str text;
    if (!field->json) {
        if (field->pb.type == QL_PB_BYTES) {
            return otlp_wrong(otlp, field, "an integer");
        }
        *ret_number = field->pb.value;
        return true;
    }
    return ql_json_u64(field->value, ret_number) ||
           (ql_json_str(field->value, &text) && otlp_u64_text(text, ret_number)) ||
           otlp_wrong(otlp, field, "an integer of at least 0");
}

/* protobuf's JSON writes numbers that are not finite as words. */
static bool otlp_double_text(ql_str text, double *ret_number)
{
    static const struct { const char *word; double value; } words[] = {
        { "NaN", __builtin_nan("") }, { "Infinity", __builtin_inf() },
        { "-Infinity", -__builtin_inf() },
    };
    for (size_t i = 0; i < QL_COUNT_OF(words); i++) {
        if (ql_str_eq(text, ql_str_of(words[i].word))) {
            *ret_number = words[i].value;
            return true;
        }
    }
    return ql_str_to_double(text, ret_number) == QL_OK;
}

bool ql_otlp_double(struct ql_otlp *otlp, const struct ql_otlp_field *field, double *ret_number)
{
    ql_str text;
    if (!field->json) {
        if (field->pb.type != QL_PB_FIXED64) {
            return otlp_wrong(otlp, field, "a double");
        }
        *ret_number = ql_pb_double(&field->pb);
        return true;
    }
    return ql_json_double(field->value, ret_number) ||
           (ql_json_str(field->value, &text) && otlp_double_text(text, ret_number)) ||
           otlp_wrong(otlp, field, "a number");
}

bool ql_otlp_bool(struct ql_otlp *otlp, const struct ql_otlp_field *field, bool *ret_yes)
{
    if (!field->json) {
        if (field->pb.type != QL_PB_VARINT) {
            return otlp_wrong(otlp, field, "true or false");
        }
        *ret_yes = field->pb.value != 0;
        return true;
    }
    return ql_json_bool(field->value, ret_yes) || otlp_wrong(otlp, field, "true or false");
}

/* Packed numbers; true when the field was such. */
static bool otlp_packed(struct ql_otlp *otlp, const struct ql_otlp_field *field,
                        struct ql_buf *out)
{
    if (field->json || field->pb.type != QL_PB_BYTES) {
        return false;
    }
    if (ql_pb_packed_fixed64_count(field->pb.bytes) == UINT32_MAX) {
        ql_otlp_malformed(otlp, "a list of 8-byte numbers does not divide by 8");
    } else if (ql_buf_str(out, field->pb.bytes) != QL_OK) {
        ql_otlp_full(otlp);
    }
    return true;
}

bool ql_otlp_u64s(struct ql_otlp *otlp, const struct ql_otlp_field *field, struct ql_buf *out)
{
    uint64_t number;
    if (otlp_packed(otlp, field, out)) {
        return otlp->err == QL_OK;
    }
    if (!ql_otlp_u64(otlp, field, &number)) {
        return false;
    }
    if (ql_buf_u64(out, number) != QL_OK) {
        ql_otlp_full(otlp);
    }
    return otlp->err == QL_OK;
}

bool ql_otlp_doubles(struct ql_otlp *otlp, const struct ql_otlp_field *field, struct ql_buf *out)
{
    double number;
    if (otlp_packed(otlp, field, out)) {
        return otlp->err == QL_OK;
    }
    if (!ql_otlp_double(otlp, field, &number)) {
        return false;
    }
    if (ql_buf_f64(out, number) != QL_OK) {
        ql_otlp_full(otlp);
    }
    return otlp->err == QL_OK;
}

/* 16 for what is no hex digit. */
static unsigned otlp_hex_digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char lower = (char)(c >= 'A' && c <= 'F' ? c + ('a' - 'A') : c);
    const char *at = lower == '\0' ? NULL : strchr(digits, lower);
    return at == NULL ? 16 : (unsigned)(at - digits);
}

bool ql_otlp_id(struct ql_otlp *otlp, const struct ql_otlp_field *field, uint32_t bytes,
                uint8_t *ret_id, bool *ret_fine)
{
    ql_str text;
    if (!ql_otlp_text(otlp, field, &text)) {
        return false;
    }
    memset(ret_id, 0, bytes);
    *ret_fine = text.bytes == 0 || text.bytes == (field->json ? bytes * 2 : bytes);
    if (!field->json) {
        if (*ret_fine && text.bytes > 0) {
            memcpy(ret_id, text.at, bytes);
        }
        return true;
    }
    for (uint32_t i = 0; *ret_fine && i < text.bytes / 2; i++) {
        const unsigned high = otlp_hex_digit(text.at[2 * i]);
        const unsigned low = otlp_hex_digit(text.at[2 * i + 1]);
        *ret_fine = high < 16 && low < 16;
        ret_id[i] = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* Each byte that begins no character becomes U+FFFD, three bytes. */
static bool otlp_mend(struct ql_otlp *otlp, ql_str text, ql_str *ret_text)
{
    const unsigned char *at = (const unsigned char *)text.at;
    char *to = ql_arena_take(&otlp->job->out->arena, text.bytes * 3);
    size_t bytes = 0;
    for (size_t i = 0; to != NULL && i < text.bytes;) {
        const size_t step = ql_utf8_step(at + i, text.bytes - i);
        memcpy(to + bytes, step > 0 ? (const char *)at + i : "\xEF\xBF\xBD", step > 0 ? step : 3);
        bytes += step > 0 ? step : 3;
        i += step > 0 ? step : 1;
    }
    *ret_text = (ql_str){ to, bytes };
    return to != NULL;
}

bool ql_otlp_keep(struct ql_otlp *otlp, ql_str text, ql_str *ret_text)
{
    bool kept = true;
    if (otlp->job->in->format == QL_FORMAT_JSON) {
        kept = ql_wire_keep(otlp->job, text, ret_text);
    } else if (ql_utf8_valid(text)) {
        *ret_text = text.bytes > 0 ? text : (ql_str){ "", 0 };
    } else {
        kept = otlp_mend(otlp, text, ret_text);
    }
    if (!kept) {
        ql_otlp_full(otlp);
        *ret_text = (ql_str){ "", 0 };
    }
    return kept;
}

bool ql_otlp_time(uint64_t ns, ql_time absent, ql_time *ret_time)
{
    if (ns > INT64_MAX) {
        return false;
    }
    *ret_time = ns == 0 ? absent : (ql_time){ (int64_t)ns };
    return true;
}

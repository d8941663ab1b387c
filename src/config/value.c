#include "config/config.h"
#include "config/row.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const value_modes[] = { "off", "observe", "approve", "auto" };

const char *ql_act_mode_text(enum ql_act_mode mode)
{
    QL_ASSERT((size_t)mode < QL_COUNT_OF(value_modes));
    return value_modes[mode];
}

/* ---- sizes and numbers ---------------------------------------------------------- */

static const struct { const char *name; double bytes; } value_units[] = {
    { "TiB", 1099511627776.0 }, { "GiB", 1073741824.0 }, { "MiB", 1048576.0 }, { "KiB", 1024.0 },
    { "TB", 1e12 }, { "GB", 1e9 }, { "MB", 1e6 }, { "kB", 1e3 }, { "B", 1.0 },
};

static ql_err value_bytes(ql_str text, double *ret_bytes)
{
    for (uint32_t i = 0; i < QL_COUNT_OF(value_units); i++) {
        const ql_str unit = ql_str_of(value_units[i].name);
        if (text.bytes <= unit.bytes || !ql_str_ends(text, unit)) {
            continue;
        }
        ql_str digits = { text.at, text.bytes - unit.bytes };
        while (digits.bytes > 0 && digits.at[digits.bytes - 1] == ' ') {
            digits.bytes--;
        }
        double number;
        if (ql_str_to_double(digits, &number) != QL_OK || !isfinite(number) || number < 0.0) {
            return QL_E_MALFORMED;
        }
        *ret_bytes = number * value_units[i].bytes;
        return QL_OK;
    }
    return QL_E_MALFORMED;
}

/* Any of the numeric types as one double. */
static ql_err value_number(enum cf_type type, ql_str text, double *ret_number)
{
    int64_t whole;
    ql_duration duration;
    ql_err err = QL_E_MALFORMED;
    switch (type) {
    case CF_COUNT:
        err = ql_str_to_i64(text, &whole);
        if (err == QL_OK) {
            *ret_number = (double)whole;
        } else if (err == QL_E_RANGE) {
            *ret_number = HUGE_VAL; /* too long for 64 bits: let the range say so */
            err = QL_OK;
        }
        return err;
    case CF_REAL: return ql_str_to_double(text, ret_number);
    case CF_DURATION:
        err = ql_str_to_duration(text, &duration);
        if (err == QL_OK) {
            *ret_number = ql_duration_s(duration);
        }
        return err;
    case CF_BYTES: return value_bytes(text, ret_number);
    default: return err;
    }
}

static const char *value_form(enum cf_type type)
{
    switch (type) {
    case CF_COUNT: return "a whole number";
    case CF_REAL: return "a number";
    case CF_DURATION: return "a duration such as 90s, 5m or 1h30m";
    case CF_BYTES: return "a size such as 64MiB or 1GiB";
    default: return "a value";
    }
}

/* "A to B" of the row. A row that does not parse is our own mistake. */
static void value_range(const struct cf_row *row, double *ret_low, double *ret_high)
{
    const char *split = strstr(row->allowed, " to ");
    QL_ASSERT(split != NULL);
    const ql_str low = { row->allowed, (size_t)(split - row->allowed) };
    const ql_err low_err = value_number(row->type, low, ret_low);
    const ql_err high_err = value_number(row->type, ql_str_of(split + 4), ret_high);
    QL_ASSERT(low_err == QL_OK);
    QL_ASSERT(high_err == QL_OK);
}

/* Long or strange input is shown cut and with control characters as '?'. */
static const char *value_found(ql_str text, char out[64])
{
    const size_t keep = text.bytes < 40 ? text.bytes : 40;
    for (size_t i = 0; i < keep; i++) {
        out[i] = (unsigned char)text.at[i] < 0x20 ? '?' : text.at[i];
    }
    (void)snprintf(out + keep, 64 - keep, "%s", keep < text.bytes ? "..." : "");
    return out;
}

static ql_err value_read_number(const struct cf_row *row, ql_str text, void *to, char *ret_why,
                                size_t why_bytes)
{
    char found[64];
    double number = 0.0, low, high;
    value_range(row, &low, &high);
    if (value_number(row->type, text, &number) != QL_OK) {
        (void)snprintf(ret_why, why_bytes, "'%s' is not %s; allowed: %s",
                       value_found(text, found), value_form(row->type), row->allowed);
        return QL_E_CONFIG;
    }
    if (!(number >= low && number <= high)) { /* NaN is in no range */
        (void)snprintf(ret_why, why_bytes, "%s is out of range; allowed: %s",
                       value_found(text, found), row->allowed);
        return QL_E_CONFIG;
    }
    if (row->type == CF_COUNT) {
        const uint32_t count = (uint32_t)number;
        memcpy(to, &count, sizeof(count));
    } else {
        memcpy(to, &number, sizeof(number));
    }
    return QL_OK;
}

/* ---- words ---------------------------------------------------------------------- */

/* Index of `text` in "a, b, c", or -1. */
static int value_choice(const char *allowed, ql_str text, ql_str *ret_word)
{
    int index = 0;
    for (const char *at = allowed; *at != '\0'; index++) {
        const char *end = strchr(at, ',');
        const ql_str word = { at, end == NULL ? strlen(at) : (size_t)(end - at) };
        if (ql_str_eq(word, text)) {
            *ret_word = word;
            return index;
        }
        at = end == NULL ? at + word.bytes : end + 2;
    }
    return -1;
}

static ql_err value_read_choice(const struct cf_row *row, ql_str text, struct ql_arena *arena,
                                void *to, char *ret_why, size_t why_bytes)
{
    char found[64];
    ql_str word;
    const int index = value_choice(row->allowed, text, &word);
    if (index < 0) {
        (void)snprintf(ret_why, why_bytes, "'%s' is not known; allowed: %s",
                       value_found(text, found), row->allowed);
        return QL_E_CONFIG;
    }
    if (row->type == CF_BOOL) {
        *(bool *)to = index == 1;
    } else if (row->type == CF_MODE) {
        *(enum ql_act_mode *)to = (enum ql_act_mode)index;
    } else {
        const ql_str copy = ql_arena_str(arena, word);
        if (copy.at == NULL) {
            return QL_E_MEMORY;
        }
        *(const char **)to = copy.at;
    }
    return QL_OK;
}

static bool value_is_port(ql_str text)
{
    int64_t port;
    return ql_str_to_i64(text, &port) == QL_OK && port >= 0 && port <= 65535;
}

static bool value_is_address(ql_str text)
{
    size_t colon = text.bytes;
    while (colon > 0 && text.at[colon - 1] != ':') {
        colon--;
    }
    if (colon == 0 || !value_is_port((ql_str){ text.at + colon, text.bytes - colon })) {
        return false;
    }
    const ql_str host = { text.at, colon - 1 };
    if (host.bytes > 0 && host.at[0] == '[') {
        return host.bytes > 2 && host.at[host.bytes - 1] == ']';
    }
    for (size_t i = 0; i < host.bytes; i++) {
        if (host.at[i] == ':' || host.at[i] == '/' || (unsigned char)host.at[i] <= ' ') {
            return false;
        }
    }
    return true;
}

static ql_err value_read_text(const struct cf_row *row, ql_str text, struct ql_arena *arena,
                              void *to, char *ret_why, size_t why_bytes)
{
    char found[64];
    if (row->type == CF_ADDRESS && !value_is_address(text)) {
        (void)snprintf(ret_why, why_bytes, "'%s' is not an address; allowed: %s",
                       value_found(text, found), row->allowed);
        return QL_E_CONFIG;
    }
    if (text.bytes == 0 || memchr(text.at, '\0', text.bytes) != NULL) {
        (void)snprintf(ret_why, why_bytes, "an empty text is not allowed here; allowed: %s",
                       row->allowed);
        return QL_E_CONFIG;
    }
    const ql_str copy = ql_arena_str(arena, text);
    if (copy.at == NULL) {
        return QL_E_MEMORY;
    }
    *(const char **)to = copy.at;
    return QL_OK;
}

ql_err cf_value_read(const struct cf_row *row, ql_str text, struct ql_arena *arena, void *object,
                     char *ret_why, size_t why_bytes)
{
    QL_ASSERT(cf_is_single(row->type));
    void *to = (char *)object + row->at;
    char unused[1];
    if (ret_why == NULL) {
        ret_why = unused;
        why_bytes = sizeof(unused);
    }
    switch (row->type) {
    case CF_TEXT:
    case CF_ADDRESS: return value_read_text(row, text, arena, to, ret_why, why_bytes);
    case CF_CHOICE:
    case CF_MODE:
    case CF_BOOL: return value_read_choice(row, text, arena, to, ret_why, why_bytes);
    default: return value_read_number(row, text, to, ret_why, why_bytes);
    }
}

/* ---- showing -------------------------------------------------------------------- */

static ql_err value_show_duration(double seconds, struct ql_buf *out)
{
    static const struct { const char *name; int64_t ns; } units[] = {
        { "d", 86400 * QL_NS_PER_S }, { "h", 3600 * QL_NS_PER_S }, { "m", 60 * QL_NS_PER_S },
        { "s", QL_NS_PER_S },         { "ms", 1000000 },
    };
    int64_t left = (int64_t)llround(seconds * 1e9);
    if (left < 1000000) {
        return ql_buf_text(out, "0s");
    }
    for (uint32_t i = 0; i < QL_COUNT_OF(units); i++) {
        const int64_t count = left / units[i].ns;
        left -= count * units[i].ns;
        if (count > 0) {
            (void)ql_buf_printf(out, "%lld%s", (long long)count, units[i].name);
        }
    }
    return QL_OK;
}

static ql_err value_show_bytes(double bytes, struct ql_buf *out)
{
    for (uint32_t i = 0; i < 4; i++) {
        const double count = bytes / value_units[i].bytes;
        if (count >= 1.0 && count == floor(count)) {
            return ql_buf_printf(out, "%.0f%s", count, value_units[i].name);
        }
    }
    return ql_buf_printf(out, "%.0fB", bytes);
}

static bool value_is_plain(const char *text)
{
    static const char safe[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_/.-";
    const size_t bytes = strlen(text);
    return bytes > 0 && strspn(text, safe) == bytes && text[0] != '-';
}

ql_err cf_text_show(const char *text, struct ql_buf *out)
{
    if (value_is_plain(text)) {
        return ql_buf_text(out, text);
    }
    (void)ql_buf_char(out, '"');
    for (const char *at = text; *at != '\0'; at++) {
        const unsigned char c = (unsigned char)*at;
        if (c == '"' || c == '\\') {
            (void)ql_buf_printf(out, "\\%c", c);
        } else if (c < 0x20 || c == 0x7f) {
            (void)ql_buf_printf(out, "\\x%02x", c);
        } else {
            (void)ql_buf_char(out, *at);
        }
    }
    return ql_buf_char(out, '"');
}

ql_err cf_value_show(const struct cf_row *row, const void *object, struct ql_buf *out)
{
    QL_ASSERT(cf_is_single(row->type));
    const void *from = (const char *)object + row->at;
    double number;
    switch (row->type) {
    case CF_MODE: return ql_buf_text(out, value_modes[*(const enum ql_act_mode *)from]);
    case CF_BOOL: return ql_buf_text(out, *(const bool *)from ? "true" : "false");
    case CF_COUNT: return ql_buf_printf(out, "%u", *(const uint32_t *)from);
    case CF_REAL: return ql_buf_printf(out, "%.15g", *(const double *)from);
    case CF_DURATION: return value_show_duration(*(const double *)from, out);
    case CF_BYTES:
        memcpy(&number, from, sizeof(number));
        return value_show_bytes(number, out);
    default: return cf_text_show(*(const char *const *)from, out);
    }
}

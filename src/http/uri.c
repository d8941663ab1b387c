/* uri.c - percent-decoding and the taking apart of queries and forms. Pure. */
#include "http/http_int.h"

#include <stdlib.h>

static int uri_hex(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

ql_err ql_http_decode(ql_str from, bool plus_is_space, char *to, ql_str *ret_text)
{
    size_t out = 0;
    for (size_t i = 0; i < from.bytes; i++) {
        char c = from.at[i];
        if (c == '%') {
            if (from.bytes - i < 3) {
                return QL_E_MALFORMED;
            }
            const int high = uri_hex(from.at[i + 1]), low = uri_hex(from.at[i + 2]);
            if (high < 0 || low < 0) {
                return QL_E_MALFORMED;
            }
            c = (char)(unsigned char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        if (c == '\0') {
            return QL_E_MALFORMED; /* would end a C text early: "/a%00b" is not "/a" */
        }
        to[out++] = c;
    }
    QL_ASSERT(out <= from.bytes);
    *ret_text = (ql_str){ to, out };
    return QL_OK;
}

static uint32_t uri_parts(const char *text, size_t bytes)
{
    uint32_t count = 1;
    for (size_t i = 0; i < bytes && count <= HTTP_PARAMS_MAX; i++) {
        count += text[i] == '&';
    }
    return count;
}

static ql_err uri_param(char *text, size_t bytes, struct http_param *ret_param)
{
    char *equals = memchr(text, '=', bytes);
    const size_t name_bytes = equals == NULL ? bytes : (size_t)(equals - text);
    char *value = equals == NULL ? text + bytes : equals + 1;
    const size_t value_bytes = (size_t)(text + bytes - value);
    const ql_err err = ql_http_decode((ql_str){ text, name_bytes }, true, text, &ret_param->name);
    if (err != QL_OK) {
        return err;
    }
    return ql_http_decode((ql_str){ value, value_bytes }, true, value, &ret_param->value);
}

ql_err ql_http_params_parse(char *text, size_t bytes, struct http_params *params)
{
    QL_ASSERT(params->at == NULL);
    if (bytes == 0) {
        return QL_OK;
    }
    const uint32_t parts = uri_parts(text, bytes);
    if (parts > HTTP_PARAMS_MAX) {
        return QL_E_FULL;
    }
    params->at = calloc(parts, sizeof(*params->at));
    if (params->at == NULL) {
        return QL_E_MEMORY;
    }
    char *const end = text + bytes;
    while (text < end) {
        char *stop = memchr(text, '&', (size_t)(end - text));
        stop = stop == NULL ? end : stop;
        if (stop > text) { /* "a=b&&c=d" has no third, nameless parameter */
            const ql_err err = uri_param(text, (size_t)(stop - text), &params->at[params->count]);
            if (err != QL_OK) {
                return err;
            }
            params->count++;
            QL_ASSERT(params->count <= parts);
        }
        text = stop + 1;
    }
    return QL_OK;
}

/* api_answer.c - answers and parameters: what every handler does the same way. */
#include "api/api_int.h"
#include "model/entity.h"

#include <stdio.h>

void api_answer_init(struct api_answer *answer)
{
    ql_buf_init(&answer->buf, QL_API_ANSWER_BYTES_MAX);
    ql_json_out_init(&answer->json, &answer->buf);
}

void api_answer_fini(struct api_answer *answer)
{
    ql_buf_fini(&answer->buf);
}

void api_answer_send(struct api_answer *answer, struct ql_http_request *request, ql_err err)
{
    static const struct ql_http_header headers[] = { { "Cache-Control", "no-store" },
                                                     { "X-Content-Type-Options", "nosniff" },
                                                     { NULL, NULL } };
    if (err == QL_OK) {
        err = ql_buf_check(&answer->buf);
    }
    if (err == QL_OK) {
        ql_http_answer(request, &(struct ql_http_answer){ .status = 200,
                                                          .content_type = "application/json",
                                                          .body = ql_buf_view(&answer->buf),
                                                          .headers = headers });
    } else if (err == QL_E_FULL && answer->buf.failed) {
        ql_http_fail(request, 400, "the answer would be over %zu MiB: ask for less",
                     QL_API_ANSWER_BYTES_MAX >> 20);
    } else {
        api_fail(request, err, "reading failed");
    }
    api_answer_fini(answer);
}

void api_fail(struct ql_http_request *request, ql_err err, const char *what)
{
    unsigned status;
    switch (err) {
    case QL_E_NOT_FOUND: status = 404; break;
    case QL_E_CONFLICT: status = 409; break;
    case QL_E_TIMEOUT: status = 504; break;
    case QL_E_CLOSED:
    case QL_E_FULL:
    case QL_E_IO: status = 503; break;
    case QL_E_MALFORMED:
    case QL_E_RANGE: status = 400; break;
    default: status = 500; break;
    }
    ql_http_fail(request, status, "%s: %s", what, ql_err_text(err));
}

bool api_param_u32(struct ql_http_request *request, const char *name, uint32_t min, uint32_t max,
                   uint32_t otherwise, uint32_t *ret_value)
{
    const ql_str text = ql_http_param(request, name);
    int64_t value = otherwise;
    if (text.bytes > 0 && (ql_str_to_i64(text, &value) != QL_OK || value < min || value > max)) {
        ql_http_fail(request, 400, "%s: '%.*s' is not a whole number from %u to %u", name,
                     QL_STR_ARG(text), min, max);
        return false;
    }
    *ret_value = (uint32_t)value;
    return true;
}

bool api_param_time(struct ql_api *api, struct ql_http_request *request, const char *name,
                    ql_time otherwise, ql_time *ret_time)
{
    const ql_str text = ql_http_param(request, name);
    ql_duration before;
    *ret_time = otherwise;
    if (text.bytes == 0 || ql_str_to_time(text, ret_time) == QL_OK) {
        return true;
    }
    if (ql_str_to_duration(text, &before) == QL_OK) {
        const ql_time now = api->env.view->now(api->env.view->host);
        *ret_time = ql_time_add(now, (ql_duration){ -before.ns });
        return true;
    }
    ql_http_fail(request, 400,
                 "%s: '%.*s' is not a time: RFC 3339, seconds since 1970, or a"
                 " duration before now such as 90m or 24h",
                 name, QL_STR_ARG(text));
    return false;
}

bool api_param_choice(struct ql_http_request *request, const char *name, const char *const *names,
                      uint32_t count, uint32_t otherwise, uint32_t *ret_index)
{
    const ql_str text = ql_http_param(request, name);
    char allowed[256] = "";
    size_t used = 0;
    *ret_index = otherwise;
    if (text.bytes == 0) {
        return true;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (ql_str_eq(text, ql_str_of(names[i]))) {
            *ret_index = i;
            return true;
        }
        const int n =
            snprintf(allowed + used, sizeof(allowed) - used, "%s%s", i > 0 ? ", " : "", names[i]);
        used += n > 0 && (size_t)n < sizeof(allowed) - used ? (size_t)n : 0;
    }
    ql_http_fail(request, 400, "%s: '%.*s' is not one of: %s", name, QL_STR_ARG(text), allowed);
    return false;
}

bool api_param_entity(struct ql_http_request *request, ql_entity_id *ret_id)
{
    enum { NAME_BYTES_MAX = 4096 };
    const ql_str text = ql_http_param(request, "entity");
    *ret_id = (ql_entity_id){ 0 };
    if (text.bytes == 0) {
        return true;
    }
    struct ql_buf name;
    ql_buf_init(&name, NAME_BYTES_MAX);
    ql_entity_of_name(text, &name);
    const bool good = ql_buf_check(&name) == QL_OK;
    if (good) {
        *ret_id = ql_entity_id_of(ql_buf_view(&name));
    } else {
        ql_http_fail(request, 400, "entity: at most %d bytes are allowed", NAME_BYTES_MAX);
    }
    ql_buf_fini(&name);
    return good;
}

bool api_id(struct ql_http_request *request, ql_str id, const char *what, ql_id *ret_id)
{
    uint64_t value = 0;
    bool good = id.bytes > 0 && id.bytes <= 20;
    for (size_t i = 0; i < id.bytes && good; i++) {
        const unsigned digit = (unsigned)(unsigned char)id.at[i] - '0';
        good = digit <= 9 && !__builtin_mul_overflow(value, 10, &value) &&
               !__builtin_add_overflow(value, digit, &value);
    }
    if (!good || value == 0) {
        ql_http_fail(request, 404, "no %s '%.*s': ids are whole numbers", what, QL_STR_ARG(id));
        return false;
    }
    ret_id->v = value;
    return true;
}

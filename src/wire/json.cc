// json.cc - simdjson's DOM behind the C calls of json.h; the only C++ in the tree. It also
// lends the C++ library's shortest printing of doubles, which C17 lacks.
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <type_traits>

#include <simdjson.h>

// The headers of the tree are C17; both compilers take that in C++ when told not to argue.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpedantic"
#define _Noreturn [[noreturn]]
extern "C" {
#include "wire/json.h"
#include "wire/json_out.h"
}
#undef _Noreturn
#pragma GCC diagnostic pop

namespace dom = simdjson::dom;

// A value of json.h is the bytes of a simdjson cursor (document, index): C sees no C++ type.
static_assert(sizeof(ql_json) == sizeof(dom::element) &&
              std::is_trivially_copyable<dom::element>::value, "a cursor is plain bytes");
static_assert(sizeof(ql_json) == sizeof(dom::object::iterator) &&
              std::is_trivially_copyable<dom::object::iterator>::value, "so is an iterator");
static_assert(sizeof(ql_json) == sizeof(dom::array::iterator) &&
              std::is_trivially_copyable<dom::array::iterator>::value, "of either kind");

template <typename To, typename From> static To json_cast(const From &from)
{
    To to;
    std::memcpy(static_cast<void *>(&to), &from, sizeof(to));
    return to;
}

static constexpr size_t keep_bytes_max = 1 << 20; // a larger document's memory is not kept
static constexpr size_t text_bytes_max = 0xFFFFFF00; // simdjson addresses 32 bits

static thread_local dom::parser json_parser;

static ql_err json_error(simdjson::error_code code)
{
    switch (code) {
    case simdjson::MEMALLOC: return QL_E_MEMORY;
    case simdjson::CAPACITY: return QL_E_TOO_LARGE;
    case simdjson::DEPTH_ERROR: return QL_E_RANGE;
    default: return QL_E_MALFORMED;
    }
}

extern "C" ql_err ql_json_parse(ql_str text, uint32_t depth_max, struct ql_json *ret_root,
                                char ret_why[QL_JSON_WHY_BYTES])
{
    dom::parser &parser = json_parser;
    dom::element root;
    simdjson::error_code code = simdjson::SUCCESS;
    if (text.bytes > text_bytes_max) {
        code = simdjson::CAPACITY;
    } else if (parser.max_depth() != depth_max + 1 || parser.capacity() < text.bytes) {
        // simdjson counts the document itself as one level.
        code = parser.allocate(text.bytes > 4096 ? text.bytes : 4096, depth_max + 1);
    }
    if (code == simdjson::SUCCESS) {
        // The parser copies the text, because it reads up to 64 bytes past its end.
        code = parser.parse(text.bytes > 0 ? text.at : "", text.bytes, true).get(root);
    }
    if (code != simdjson::SUCCESS) {
        (void)std::snprintf(ret_why, QL_JSON_WHY_BYTES, "%s", simdjson::error_message(code));
        return json_error(code);
    }
    *ret_root = json_cast<ql_json>(root);
    return QL_OK;
}

extern "C" void ql_json_done(void)
{
    if (json_parser.capacity() > keep_bytes_max) {
        json_parser = dom::parser();
    }
}

extern "C" enum ql_json_type ql_json_type_of(struct ql_json value)
{
    if (value.document == nullptr) {
        return QL_JSON_NONE;
    }
    switch (json_cast<dom::element>(value).type()) {
    case dom::element_type::NULL_VALUE: return QL_JSON_NULL;
    case dom::element_type::BOOL: return QL_JSON_BOOL;
    case dom::element_type::STRING: return QL_JSON_STRING;
    case dom::element_type::ARRAY: return QL_JSON_ARRAY;
    case dom::element_type::OBJECT: return QL_JSON_OBJECT;
    default: return QL_JSON_NUMBER;
    }
}

extern "C" const char *ql_json_type_text(enum ql_json_type type)
{
    static const char *const texts[] = { "nothing", "null", "bool", "number",
                                         "string", "array", "object" };
    return texts[type];
}

extern "C" struct ql_json ql_json_get(struct ql_json object, const char *name)
{
    dom::element found;
    if (ql_json_type_of(object) != QL_JSON_OBJECT ||
        json_cast<dom::element>(object).at_key(name).get(found) != simdjson::SUCCESS) {
        return ql_json{ nullptr, 0 };
    }
    return json_cast<ql_json>(found);
}

extern "C" bool ql_json_str(struct ql_json value, ql_str *ret_text)
{
    std::string_view text;
    if (value.document == nullptr ||
        json_cast<dom::element>(value).get_string().get(text) != simdjson::SUCCESS) {
        return false;
    }
    *ret_text = ql_str{ text.data(), text.size() };
    return true;
}

// simdjson's own integer getters refuse 1.0 and 1e3, which JSON does not tell from 1 and 1000.
template <typename Integer>
static bool json_integer(struct ql_json value, double low, double high, Integer *ret_number)
{
    if (value.document == nullptr) {
        return false;
    }
    const dom::element element = json_cast<dom::element>(value);
    Integer same;
    if (element.get<Integer>().get(same) == simdjson::SUCCESS) {
        *ret_number = same;
        return true;
    }
    double real;
    if (element.type() != dom::element_type::DOUBLE ||
        element.get_double().get(real) != simdjson::SUCCESS || real != std::floor(real) ||
        real < low || real >= high) {
        return false;
    }
    *ret_number = static_cast<Integer>(real);
    return true;
}

extern "C" bool ql_json_i64(struct ql_json value, int64_t *ret_number)
{
    return json_integer<int64_t>(value, -0x1p63, 0x1p63, ret_number);
}

extern "C" bool ql_json_u64(struct ql_json value, uint64_t *ret_number)
{
    return json_integer<uint64_t>(value, 0.0, 0x1p64, ret_number);
}

extern "C" bool ql_json_double(struct ql_json value, double *ret_number)
{
    double real;
    if (value.document == nullptr ||
        json_cast<dom::element>(value).get_double().get(real) != simdjson::SUCCESS) {
        return false;
    }
    *ret_number = real;
    return true;
}

extern "C" bool ql_json_bool(struct ql_json value, bool *ret_bool)
{
    return value.document != nullptr &&
           json_cast<dom::element>(value).get_bool().get(*ret_bool) == simdjson::SUCCESS;
}

extern "C" struct ql_json_iter ql_json_each(struct ql_json container)
{
    struct ql_json_iter it = {};
    it.key = ql_str{ "", 0 };
    const enum ql_json_type type = ql_json_type_of(container);
    if (type == QL_JSON_OBJECT) {
        const dom::object object = json_cast<dom::element>(container).get_object().value_unsafe();
        it.at = json_cast<ql_json>(object.begin()).at;
        it.end = json_cast<ql_json>(object.end()).at;
    } else if (type == QL_JSON_ARRAY) {
        const dom::array array = json_cast<dom::element>(container).get_array().value_unsafe();
        it.at = json_cast<ql_json>(array.begin()).at;
        it.end = json_cast<ql_json>(array.end()).at;
    }
    it.document = container.document;
    it.object = type == QL_JSON_OBJECT;
    return it;
}

extern "C" bool ql_json_next(struct ql_json_iter *it)
{
    if (it->at == it->end) {
        return false;
    }
    const ql_json cursor = { it->document, it->at };
    if (it->object) {
        auto at = json_cast<dom::object::iterator>(cursor);
        const std::string_view key = at.key();
        it->key = ql_str{ key.data(), key.size() };
        it->value = json_cast<ql_json>(at.value());
        it->at = json_cast<ql_json>(++at).at;
    } else {
        auto at = json_cast<dom::array::iterator>(cursor);
        it->value = json_cast<ql_json>(*at);
        it->at = json_cast<ql_json>(++at).at;
    }
    return true;
}

extern "C" uint32_t ql_json_count(struct ql_json container)
{
    // simdjson's own size() saturates at 2^24 - 1; doors refuse long before that.
    switch (ql_json_type_of(container)) {
    case QL_JSON_OBJECT:
        return (uint32_t)json_cast<dom::element>(container).get_object().value_unsafe().size();
    case QL_JSON_ARRAY:
        return (uint32_t)json_cast<dom::element>(container).get_array().value_unsafe().size();
    default: return 0;
    }
}

// Fixed notation where people expect it; the library's plain choice would give 1e+05. A
// negative zero keeps its point, or a JSON reader would take it for the integer 0.
extern "C" size_t ql_double_text(double value, char out[QL_DOUBLE_TEXT_BYTES])
{
    const double size = std::fabs(value);
    if (!(size <= 1.7976931348623157e308)) {
        const char *text = value != value ? "NaN" : value > 0 ? "+Inf" : "-Inf";
        std::memcpy(out, text, std::strlen(text) + 1);
        return std::strlen(text);
    }
    if (size == 0.0 && std::signbit(value)) {
        std::memcpy(out, "-0.0", 5);
        return 4;
    }
    const bool fixed = size == 0.0 || (size >= 1e-5 && size < 1e17);
    const auto done = std::to_chars(out, out + QL_DOUBLE_TEXT_BYTES - 1, value,
                                    fixed ? std::chars_format::fixed
                                          : std::chars_format::scientific);
    *done.ptr = '\0';
    return static_cast<size_t>(done.ptr - out);
}

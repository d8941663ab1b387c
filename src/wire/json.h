/* json.h - JSON read through a few calls on small values (simdjson behind one file).
 *
 * A value is a cursor into the document this thread parsed last: cheap to copy, no
 * freeing. Asking a value for what it is not, or for a member it does not have, gives
 * a value of type QL_JSON_NONE or false: so a chain of questions needs one check.
 *
 * Ownership     the document belongs to the thread; values and their strings are valid
 *               until the thread's next ql_json_parse() or ql_json_done().
 * Threads       each thread has its own parser; values stay on their thread.
 * Errors        parse: QL_E_MALFORMED (not JSON, not UTF-8, an integer past 64 bits),
 *               QL_E_RANGE (nested deeper than depth_max), QL_E_TOO_LARGE (over 4 GiB),
 *               QL_E_MEMORY; a sentence in ret_why.
 * Bounds        parse O(bytes), about nine times the text's size while it lives; member
 *               lookup O(members); no recursion.
 */
#ifndef QL_WIRE_JSON_H
#define QL_WIRE_JSON_H

#include "base/base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define QL_JSON_WHY_BYTES 160
#define QL_JSON_DEPTH_MAX 64u /* what doors allow */

enum ql_json_type {
    QL_JSON_NONE, /* absent, or the question did not fit */
    QL_JSON_NULL,
    QL_JSON_BOOL,
    QL_JSON_NUMBER,
    QL_JSON_STRING,
    QL_JSON_ARRAY,
    QL_JSON_OBJECT
};

struct ql_json {
    const void *document; /* NULL: NONE */
    size_t at;
};

QL_MUST_USE ql_err ql_json_parse(ql_str text, uint32_t depth_max, struct ql_json *ret_root,
                                 char ret_why[QL_JSON_WHY_BYTES]);
/* The thread needs its document no longer; memory of a large one is given back. */
void ql_json_done(void);

enum ql_json_type ql_json_type_of(struct ql_json value);
const char *ql_json_type_text(enum ql_json_type type); /* "object", ... */

/* The first member of that name; NONE when absent or `object` is no object. */
struct ql_json ql_json_get(struct ql_json object, const char *name);
uint32_t ql_json_count(struct ql_json container); /* elements or members; 0 for others */

/* false, and nothing written, when the value is not that. An integer is taken as a
 * double, a double as an integer only when it is whole and fits. */
bool ql_json_str(struct ql_json value, ql_str *ret_text);
bool ql_json_i64(struct ql_json value, int64_t *ret_number);
bool ql_json_u64(struct ql_json value, uint64_t *ret_number);
bool ql_json_double(struct ql_json value, double *ret_number);
bool ql_json_bool(struct ql_json value, bool *ret_bool);

/* Walks an array (key "") or an object; no round at all for other values.
 *     for (struct ql_json_iter it = ql_json_each(list); ql_json_next(&it);) { it.value } */
struct ql_json_iter {
    struct ql_json value;
    ql_str key;
    const void *document;
    size_t at, end;
    bool object;
};
struct ql_json_iter ql_json_each(struct ql_json container);
bool ql_json_next(struct ql_json_iter *it);

#ifdef __cplusplus
}
#endif

#endif

/* intern.h - each distinct text once, named by a dense 32-bit number from 0.
 *
 * Ownership     the table owns the bytes; a view is valid for the table's life.
 * Errors        QL_E_FULL at count_max or bytes_max, QL_E_MEMORY.
 * Bounds        O(bytes) each; about 28 B a text on top of its bytes.
 * Determinism   numbers are given in order of first sight.
 */
#ifndef QL_BASE_INTERN_H
#define QL_BASE_INTERN_H

#include "base/arena.h"
#include "base/base.h"
#include "base/map.h"

struct ql_intern {
    struct ql_map128 by_hash;
    struct ql_arena arena;
    ql_str *texts;
    uint32_t count, capacity, count_max;
};

void ql_intern_init(struct ql_intern *in, uint32_t count_max, size_t bytes_max);
void ql_intern_fini(struct ql_intern *in);
QL_MUST_USE ql_err ql_intern_put(struct ql_intern *in, ql_str text, uint32_t *ret_number);
uint32_t ql_intern_find(const struct ql_intern *in, ql_str text); /* QL_MAP_NONE if absent */
ql_str ql_intern_text(const struct ql_intern *in, uint32_t number); /* asserts number < count */
size_t ql_intern_bytes(const struct ql_intern *in);                 /* memory in use */

#endif

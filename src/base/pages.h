/* pages.h - large zeroed arrays reserved at their maximum and paid for as they are touched.
 *
 * A table of a million rows costs address space when it is made and memory only for
 * the rows in use, and its rows never move.
 *
 * Ownership     new/free; count and row size as given to new.
 * Errors        NULL: no address space.
 */
#ifndef QL_BASE_PAGES_H
#define QL_BASE_PAGES_H

#include "base/base.h"

void *ql_pages_new(size_t bytes);
void ql_pages_free(void *at, size_t bytes); /* NULL is fine */

/* For tables that fill from the front: once row after row is new, the pages up to `upto` and a
 * stretch beyond are got by one call instead of a fault each, of which the first, a read, would
 * map the shared zero page only to be undone by the write (and told to every core). `ready` is the
 * caller's, 0 at first. */
void ql_pages_more(void *at, size_t bytes, size_t *ready, size_t upto);
static inline void ql_pages_ready(void *at, size_t bytes, size_t *ready, size_t upto)
{
    if (upto > *ready) {
        ql_pages_more(at, bytes, ready, upto);
    }
}

#endif

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

#endif

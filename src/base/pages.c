#include "base/pages.h"

#include <sys/mman.h>

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; older ones say EINVAL, and the pages fault in */
#endif
#define PAGES_STRETCH_BYTES ((size_t)128 << 10)

void *ql_pages_new(size_t bytes)
{
    QL_ASSERT(bytes > 0);
    void *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return at == MAP_FAILED ? NULL : at;
}

void ql_pages_more(void *at, size_t bytes, size_t *ready, size_t upto)
{
    const size_t wanted = (upto / PAGES_STRETCH_BYTES + 1) * PAGES_STRETCH_BYTES;
    const size_t end = wanted < bytes ? wanted : bytes;
    QL_ASSERT(upto <= bytes);
    if (end > *ready) {
        (void)madvise((char *)at + *ready, end - *ready, MADV_POPULATE_WRITE);
    }
    *ready = wanted;
}

void ql_pages_free(void *at, size_t bytes)
{
    if (at != NULL) {
        (void)munmap(at, bytes);
    }
}

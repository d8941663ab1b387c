#include "base/base.h"

#include <stdio.h>
#include <stdlib.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const char *ql_err_text(ql_err err)
{
    switch (err) {
    case QL_OK: return "ok";
#define X(name, code, class_, text) case QL_E_##name: return text;
    QL_ERR_MAP(X)
#undef X
    }
    return "unknown error code";
}

const char *ql_err_name(ql_err err)
{
    switch (err) {
    case QL_OK: return "OK";
#define X(name, code, class_, text) case QL_E_##name: return #name;
    QL_ERR_MAP(X)
#undef X
    }
    return "UNKNOWN";
}

enum ql_err_class ql_err_class_of(ql_err err)
{
    switch (err) {
    case QL_OK: return QL_CLASS_NONE;
#define X(name, code, class_, text) case QL_E_##name: return QL_CLASS_##class_;
    QL_ERR_MAP(X)
#undef X
    }
    return QL_CLASS_BUG;
}

_Noreturn void ql_assert_failed(const char *cond, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: assertion failed: %s\n", file, line, cond);
    abort();
}

uint64_t ql_hash64(const void *at, size_t bytes)
{
    return XXH3_64bits(at, bytes);
}

ql_hash128 ql_hash128_of(const void *at, size_t bytes)
{
    const XXH128_hash_t hash = XXH3_128bits(at, bytes);
    return (ql_hash128){ .high = hash.high64, .low = hash.low64 };
}

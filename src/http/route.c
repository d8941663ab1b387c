/* route.c - which row of the table serves a path. Pure.
 *
 * The most specific path wins before the method is looked at: an exact path over a prefix,
 * a longer prefix over a shorter. So "GET /" with a star does not swallow GET of a path that
 * takes POST only: that is 405.
 */
#include "http/http_int.h"

#include <stdio.h>

static bool route_is_prefix(const char *path, size_t bytes)
{
    return bytes > 0 && path[bytes - 1] == '*';
}

/* How specific the row is for `path`: 0 no match, else longer is more, exact most. */
static size_t route_weight(const char *row_path, ql_str path)
{
    const size_t bytes = strlen(row_path);
    if (!route_is_prefix(row_path, bytes)) {
        return ql_str_eq((ql_str){ row_path, bytes }, path) ? SIZE_MAX : 0;
    }
    return ql_str_starts(path, (ql_str){ row_path, bytes - 1 }) ? bytes : 0;
}

static size_t route_best(const struct ql_http_route *routes, uint32_t count, ql_str path)
{
    size_t best = 0;
    for (uint32_t i = 0; i < count; i++) {
        const size_t weight = route_weight(routes[i].path, path);
        best = weight > best ? weight : best;
    }
    return best;
}

static void route_allow_add(char *allow, size_t allow_bytes, const char *method)
{
    const size_t at = strlen(allow);
    const bool get = strcmp(method, "GET") == 0;
    if (at < allow_bytes) {
        (void)snprintf(allow + at, allow_bytes - at, "%s%s%s", at > 0 ? ", " : "", method,
                       get ? ", HEAD" : "");
    }
}

const struct ql_http_route *ql_http_route_find(const struct ql_http_route *routes, uint32_t count,
                                               ql_str method, ql_str path, ql_str *ret_rest,
                                               char *ret_allow, size_t allow_bytes)
{
    const size_t best = route_best(routes, count, path);
    const ql_str wanted = ql_str_eq(method, QL_STR("HEAD")) ? QL_STR("GET") : method;
    ret_allow[0] = '\0';
    for (uint32_t i = 0; best > 0 && i < count; i++) {
        if (route_weight(routes[i].path, path) != best) {
            continue;
        }
        if (ql_str_eq(ql_str_of(routes[i].method), wanted)) {
            const size_t skip = best == SIZE_MAX ? path.bytes : best - 1;
            *ret_rest = (ql_str){ path.at + skip, path.bytes - skip };
            ret_allow[0] = '\0';
            return &routes[i];
        }
        route_allow_add(ret_allow, allow_bytes, routes[i].method);
    }
    return NULL;
}

/* api.h - what the world may ask: REST, events, metrics, health, an Alertmanager façade.
 *
 * Questions about conclusions are answered from the store (own readers), questions about
 * series and the engine through the view, so no handler reaches into a stage. Shapes and
 * codes: docs/api.md and openapi.json, which a test holds against the route table.
 *
 * Ownership     new borrows everything in env until free, the settings until the next reload
 *               has returned; routes live until free. Stop the server before free.
 * Threads       handlers run on any thread of the server at the same time.
 * Errors        new: QL_E_MEMORY; QL_E_CONFIG with a text: no token where one is to be.
 * Bounds        at most QL_API_READERS_MAX connections to the store; an answer is at most
 *               QL_API_ANSWER_BYTES_MAX; every list has a limit.
 *
 * Adding one    a row in api_rows.def, its handler, its path in openapi.json.
 */
#ifndef QL_API_API_H
#define QL_API_API_H

#include "base/base.h"
#include "base/stat.h"
#include "http/http.h"
#include "model/view.h"

#define QL_API_READERS_MAX 16u
#define QL_API_ANSWER_BYTES_MAX ((size_t)64 << 20)

struct ql_config; /* config/config.h */

struct ql_api_env {
    const char *data_dir;
    const struct ql_view *view;
    struct ql_stats *stats;
    const struct ql_config *config;
};

struct ql_api;
QL_MUST_USE ql_err ql_api_new(const struct ql_api_env *env, struct ql_api **ret_api, char *ret_why,
                              size_t why_bytes);
void ql_api_free(struct ql_api *api); /* NULL is fine */
/* Before a reload, as this may fail: reads the token that `config` names, for ql_api_reload().
 * QL_E_CONFIG with a text; the token in force stays. */
QL_MUST_USE ql_err ql_api_token_read(struct ql_api *api, const struct ql_config *config,
                                     char *ret_why, size_t why_bytes);
/* Answers that are worked out from settings use these from now on; waits for those under way.
 * What `listen` says stays as it was at the start. */
void ql_api_reload(struct ql_api *api, const struct ql_config *config);
const struct ql_http_route *ql_api_routes(const struct ql_api *api, uint32_t *ret_count);

#endif

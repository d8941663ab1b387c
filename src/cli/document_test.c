/* Every door stands in the API's document, with its method, and every door of the document is
 * there. What api_rows.def has is held against the document by api_test.
 */
#include "api/openapi.h"
#include "receive/receive.h"
#include "wire/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

static struct ql_batch *no_batch(void *host)
{
    (void)host;
    return NULL;
}

static void no_give_back(void *host, struct ql_batch *batch) { (void)host, (void)batch; }

static ql_err no_submit(void *host, const struct ql_submission *submission)
{
    (void)host, (void)submission;
    return QL_E_CLOSED;
}

static const struct ql_accept nobody = { NULL, no_batch, no_give_back, no_submit };

/* A path item, or the one that it refers to: {"$ref": "#/paths/~1v1~1logs"}. */
static struct ql_json item_resolve(struct ql_json paths, struct ql_json item)
{
    static const char before[] = "#/paths/";
    char path[128];
    size_t bytes = 0;
    ql_str ref;
    if (!ql_json_str(ql_json_get(item, "$ref"), &ref)) {
        return item;
    }
    assert_true(ql_str_starts(ref, QL_STR("#/paths/")) && ref.bytes < sizeof(path));
    for (size_t i = sizeof(before) - 1; i < ref.bytes; i++) {
        const bool slash = ref.at[i] == '~' && i + 1 < ref.bytes && ref.at[i + 1] == '1';
        path[bytes++] = slash ? '/' : ref.at[i];
        i += slash;
    }
    path[bytes] = '\0';
    return ql_json_get(paths, path);
}

static bool is_door(struct ql_json operation)
{
    bool tagged = false;
    ql_str tag;
    for (struct ql_json_iter it = ql_json_each(ql_json_get(operation, "tags")); ql_json_next(&it);) {
        tagged = tagged || (ql_json_str(it.value, &tag) && ql_str_eq(tag, QL_STR("doors")));
    }
    return tagged;
}

/* What differs, as "-door +door ": not in the document, and nowhere else. */
static void doors_differ(const struct ql_http_route *routes, uint32_t count, ql_str document,
                         struct ql_buf *out)
{
    char why[QL_JSON_WHY_BYTES];
    struct ql_json root;
    assert_int_equal(ql_json_parse(document, 64, &root, why), QL_OK);
    const struct ql_json paths = ql_json_get(root, "paths");
    for (uint32_t i = 0; i < count; i++) {
        assert_string_equal(routes[i].method, "POST");
        const struct ql_json item = item_resolve(paths, ql_json_get(paths, routes[i].path));
        if (!is_door(ql_json_get(item, "post"))) {
            (void)ql_buf_printf(out, "-%s ", routes[i].path);
        }
    }
    for (struct ql_json_iter path = ql_json_each(paths); ql_json_next(&path);) {
        const struct ql_json item = item_resolve(paths, path.value);
        bool known = !is_door(ql_json_get(item, "post"));
        for (uint32_t i = 0; i < count && !known; i++) {
            known = ql_str_eq(path.key, ql_str_of(routes[i].path));
        }
        if (!known) {
            (void)ql_buf_printf(out, "+%.*s ", QL_STR_ARG(path.key));
        }
        assert_false(is_door(ql_json_get(item, "get")));
    }
    ql_json_done();
}

static void document_and_doors_agree(void **state)
{
    (void)state;
    const struct ql_receive_env env = { .accept = &nobody, .body_bytes_max = 1 << 20,
                                        .stats = ql_stats_new(100) };
    struct ql_receive *receive;
    struct ql_http_route fewer_and_one[64];
    struct ql_buf differs;
    uint32_t count;
    ql_buf_init(&differs, 4096);
    assert_int_equal(ql_receive_new(&env, &receive), QL_OK);
    const struct ql_http_route *routes = ql_receive_routes(receive, &count);
    doors_differ(routes, count, ql_openapi_document(), &differs);
    assert_int_equal(differs.bytes, 0);
    /* It can say no: a door that the document does not have, and one that is missing. */
    assert_true(count > 2 && count <= QL_COUNT_OF(fewer_and_one));
    assert_string_equal(routes[0].path, "/api/v1/write");
    memcpy(fewer_and_one, routes, count * sizeof(*routes));
    fewer_and_one[0].path = "/v1/profiles";
    doors_differ(fewer_and_one, count, ql_openapi_document(), &differs);
    assert_string_equal(differs.at, "-/v1/profiles +/api/v1/write ");
    ql_buf_fini(&differs);
    ql_receive_free(receive);
    ql_stats_free(env.stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(document_and_doors_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

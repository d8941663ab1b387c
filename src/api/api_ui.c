/* api_ui.c - the page: its files, and its own addresses, which all show the same file. */
#include "api/api_int.h"
#include "api/ui.h"

#include <libdeflate.h>
#include <stdlib.h>

static const char ui_policy[] =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; object-src 'none';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static void ui_hint(struct ql_http_request *request)
{
    static const char text[] =
        "This quell was built without its page (make build makes one with it).\n"
        "The API is under /api/v1/ and described at /api/v1/openapi.json;\n"
        "`quell incidents` shows what is going on in a terminal.\n";
    ql_http_answer(request, &(struct ql_http_answer){ .status = 200,
                                                      .content_type = "text/plain; charset=utf-8",
                                                      .body = ql_str_of(text),
                                                      .body_static = true });
}

/* For clients that do not take gzip, such as a plain curl. */
static void ui_answer_plain(struct ql_http_request *request, const struct ql_ui_file *file,
                            struct ql_http_answer *answer)
{
    struct libdeflate_decompressor *inflater = libdeflate_alloc_decompressor();
    char *plain = malloc(file->plain_bytes + 1);
    if (inflater == NULL || plain == NULL ||
        libdeflate_gzip_decompress(inflater, file->gzip, file->gzip_bytes, plain, file->plain_bytes,
                                   NULL) != LIBDEFLATE_SUCCESS) {
        api_fail(request, QL_E_MEMORY, "unpacking the page");
    } else {
        answer->body = (ql_str){ plain, file->plain_bytes };
        ql_http_answer(request, answer);
    }
    free(plain);
    libdeflate_free_decompressor(inflater);
}

static void ui_answer(struct ql_http_request *request, const struct ql_ui_file *file)
{
    const ql_str accepts = ql_http_header(request, "Accept-Encoding");
    const bool gzip = memmem(accepts.at, accepts.bytes, "gzip", 4) != NULL;
    const struct ql_http_header headers[] = {
        { "ETag", file->etag },
        { "Cache-Control", file->immutable ? "public, max-age=31536000, immutable" : "no-cache" },
        { "Vary", "Accept-Encoding" },
        { "X-Content-Type-Options", "nosniff" },
        { "Referrer-Policy", "no-referrer" },
        { "Content-Security-Policy", ui_policy },
        { gzip ? "Content-Encoding" : NULL, "gzip" },
        { NULL, NULL },
    };
    struct ql_http_answer answer = { .status = 200,
                                     .content_type = file->content_type,
                                     .headers = headers };
    if (ql_str_eq(ql_http_header(request, "If-None-Match"), ql_str_of(file->etag))) {
        answer.status = 304;
        ql_http_answer(request, &answer);
    } else if (gzip) {
        answer.body = (ql_str){ (const char *)file->gzip, file->gzip_bytes };
        answer.body_static = true;
        ql_http_answer(request, &answer);
    } else {
        ui_answer_plain(request, file, &answer);
    }
}

void api_page(struct ql_api *api, struct ql_http_request *request, ql_str path)
{
    const struct ql_ui_file *file = ql_ui_find(path);
    const bool is_file =
        ql_str_starts(path, QL_STR("/assets/")) || ql_str_starts(path, QL_STR("/favicon."));
    (void)api;
    if (file == NULL && !is_file) { /* the page reads its address itself */
        file = ql_ui_find(QL_STR("/index.html"));
    }
    if (file != NULL) {
        ui_answer(request, file);
    } else if (is_file) {
        ql_http_fail(request, 404, "no such file");
    } else {
        ui_hint(request);
    }
}

/* uri_fuzz - decoding never writes past its input and never gives more than it got. */
#include "http/http_int.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void uri_fuzz_decode(const uint8_t *data, size_t size, bool plus)
{
    char *to = malloc(size > 0 ? size : 1);
    ql_str got;
    if (to != NULL && ql_http_decode((ql_str){ (const char *)data, size }, plus, to, &got) == QL_OK) {
        QL_ASSERT(got.bytes <= size);
        QL_ASSERT(got.bytes == 0 || memchr(got.at, '\0', got.bytes) == NULL);
    }
    free(to);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_params params = { .at = NULL };
    uri_fuzz_decode(data, size, false);
    uri_fuzz_decode(data, size, true);
    char *text = malloc(size > 0 ? size : 1);
    if (text == NULL) {
        return 0;
    }
    if (size > 0) {
        memcpy(text, data, size);
    }
    if (ql_http_params_parse(text, size, &params) == QL_OK) {
        for (uint32_t i = 0; i < params.count; i++) {
            QL_ASSERT(params.at[i].name.bytes + params.at[i].value.bytes <= size);
        }
    }
    free(params.at);
    free(text);
    return 0;
}

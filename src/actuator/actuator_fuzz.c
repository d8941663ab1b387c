/* Any bytes as what comes over the socket, from either side. */
#include "actuator/actuator.h"
#include "actuator/message.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void fuzz_request(ql_str bytes)
{
    struct ql_request request, again;
    struct ql_buf out;
    char *words[QL_REQUEST_WORDS_MAX + 1];
    size_t used;
    while (ql_request_read(bytes, &request, &used) == QL_OK && used > 0) {
        const uint32_t count = ql_request_words(&request, words);
        if (count == 0 || words[count] != NULL || words[0][0] != '/') {
            abort();
        }
        ql_buf_init(&out, QL_REQUEST_BYTES_MAX + 8);
        size_t used_again = 0;
        if (ql_request_write(&request, &out) != QL_OK || out.bytes != used ||
            memcmp(out.at, bytes.at, used) != 0 ||
            ql_request_read(ql_buf_view(&out), &again, &used_again) != QL_OK ||
            used_again != used) {
            abort();
        }
        ql_buf_fini(&out);
        bytes.at += used;
        bytes.bytes -= used;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const ql_str bytes = { (const char *)data, size };
    struct ql_outcome outcome;
    size_t used;
    fuzz_request(bytes);
    if (ql_response_read(bytes, &outcome, &used) == QL_OK && used > size) {
        abort();
    }
    return 0;
}

/* listen_fuzz - any text is either an address or a reason. */
#include "http/http_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct http_address address;
    char why[128] = "";
    const ql_err err = ql_http_listen_parse((ql_str){ (const char *)data, size }, &address, why,
                                            sizeof(why));
    if (err == QL_OK) {
        QL_ASSERT(memchr(address.host, '\0', sizeof(address.host)) != NULL);
        QL_ASSERT(why[0] == '\0');
    } else {
        QL_ASSERT(err == QL_E_CONFIG);
        QL_ASSERT(why[0] != '\0');
    }
    return 0;
}

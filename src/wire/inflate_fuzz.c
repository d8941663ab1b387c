/* inflate_fuzz - the first byte picks the encoding, the rest is its data. */
#include "wire/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum { LIMIT = 1 << 18 };
    struct ql_blob *blob = NULL;
    if (size == 0) {
        return 0;
    }
    const ql_str in = { (const char *)data + 1, size - 1 };
    if (ql_inflate((enum ql_encoding)(data[0] % 5), in, LIMIT, &blob) == QL_OK) {
        const ql_str out = ql_blob_view(blob);
        QL_ASSERT(out.bytes <= LIMIT);
        for (uint32_t i = 0; i < QL_INFLATE_SLACK; i++) {
            QL_ASSERT(out.at[out.bytes + i] == 0);
        }
        ql_blob_unref(blob);
    }
    return 0;
}

/* media_fuzz - any three headers get a verdict, and slices stay inside what came. */
#include "receive/receive_int.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ql_str fuzz_line(const uint8_t **at, size_t *left)
{
    const uint8_t *stop = *left == 0 ? NULL : memchr(*at, '\n', *left);
    const size_t bytes = stop == NULL ? *left : (size_t)(stop - *at);
    const ql_str line = { (const char *)*at, bytes };
    const size_t skip = bytes + (stop == NULL ? 0 : 1);
    *at += skip;
    *left -= skip;
    return line;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct media_headers headers;
    headers.content_type = fuzz_line(&data, &size);
    headers.content_encoding = fuzz_line(&data, &size);
    headers.write_version = fuzz_line(&data, &size);
    const struct media media = ql_receive_media(headers.content_type);
    QL_ASSERT(media.type.bytes <= headers.content_type.bytes);
    QL_ASSERT(media.proto.bytes <= headers.content_type.bytes);
    for (int door = QL_DOOR_REMOTE_WRITE; door <= QL_DOOR_CHANGES; door++) {
        struct media_verdict verdict;
        const ql_err err = ql_receive_judge_media((enum ql_door)door, &headers, &verdict);
        QL_ASSERT(err == QL_OK || err == QL_E_UNSUPPORTED);
        QL_ASSERT(err == QL_OK || verdict.why != NULL);
    }
    return 0;
}

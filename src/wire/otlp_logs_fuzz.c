/* otlp_logs_fuzz - the first byte picks JSON or protobuf, the rest is the request. */
#include "wire/door_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        struct ql_wire_input in = { .door = QL_DOOR_OTLP_LOGS };
        in.format = data[0] % 2 == 0 ? QL_FORMAT_PROTOBUF : QL_FORMAT_JSON;
        in.body = (ql_str){ (const char *)data + 1, size - 1 };
        door_fuzz(&in);
    }
    return 0;
}

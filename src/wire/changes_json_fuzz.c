/* changes_json_fuzz - any bytes through the door: records keep their promises, twice the same. */
#include "wire/door_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ql_wire_input in = { .door = QL_DOOR_CHANGES, .format = QL_FORMAT_JSON };
    in.body = (ql_str){ (const char *)data, size };
    door_fuzz(&in);
    return 0;
}

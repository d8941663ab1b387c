/* exposition_fuzz - any bytes through the door: records keep their promises, twice the same. */
#include "wire/door_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ql_wire_input in = { .door = QL_DOOR_SCRAPE, .format = QL_FORMAT_TEXT };
    in.body = (ql_str){ (const char *)data, size };
    in.origin = (ql_str){ "\x0A\x0A\x0A\x03job\x12\x03own", 12 };
    door_fuzz(&in);
    return 0;
}

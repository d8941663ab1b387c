/* command_fuzz - the first byte picks commands or outcomes, the rest is their journal form. */
#include "wire/door_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 0) {
        struct ql_wire_input in = { .format = QL_FORMAT_OWN };
        in.door = data[0] % 2 == 0 ? QL_DOOR_COMMAND : QL_DOOR_OUTCOME;
        in.body = (ql_str){ (const char *)data + 1, size - 1 };
        door_fuzz(&in);
    }
    return 0;
}

/* finding_fuzz - the journal form of findings. */
#include "wire/door_fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct ql_wire_input in = { .door = QL_DOOR_FINDING, .format = QL_FORMAT_OWN,
                                      .body = { (const char *)data, size } };
    door_fuzz(&in);
    return 0;
}

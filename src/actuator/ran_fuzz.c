/* Any bytes as the journal of actions: what is taken is written again as it was. */
#include "actuator/ran.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    ql_str text = { (const char *)data, size };
    const char *end;
    while (text.bytes > 0 && (end = memchr(text.at, '\n', text.bytes)) != NULL) {
        const ql_str line = { text.at, (size_t)(end - text.at) };
        struct ql_ran_line read;
        struct ql_buf out;
        ql_buf_init(&out, 4096);
        if (ql_ran_line_read(line, &read) == QL_OK) {
            ql_ran_line_write(&read, &out);
            if (out.bytes != line.bytes + 1 || memcmp(out.at, line.at, out.bytes) != 0) {
                abort();
            }
        }
        ql_buf_fini(&out);
        text = (ql_str){ end + 1, text.bytes - line.bytes - 1 };
    }
    return 0;
}

/* Any bytes as a settings file: taken or told what is wrong, and what was taken reads back. */
#include "config/config.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ql_config *config = NULL, *again = NULL;
    struct ql_buf why, shown;
    ql_buf_init(&why, 1 << 20);
    ql_buf_init(&shown, 16 << 20);
    const ql_str yaml = { (const char *)data, size };
    if (ql_config_parse(yaml, "f", &config, &why) == QL_OK) {
        if (ql_config_explain(config, &shown) != QL_OK ||
            ql_config_parse(ql_buf_view(&shown), "shown", &again, &why) != QL_OK) {
            abort();
        }
    } else if (why.bytes == 0) {
        abort(); /* refused without a word */
    }
    ql_config_free(config);
    ql_config_free(again);
    ql_buf_fini(&shown);
    ql_buf_fini(&why);
    return 0;
}

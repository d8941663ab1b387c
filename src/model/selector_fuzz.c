/* Any text as a selector: it parses and can be asked, or says why not. */
#include "model/selector.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes);
int LLVMFuzzerTestOneInput(const uint8_t *at, size_t bytes)
{
    /* up{a="xy",job="node"} */
    static const char block[] = "\x0a\x0e\x0a\x08__name__\x12\x02up\x0a\x07\x0a\x01"
                                "a\x12\x02xy\x0a\x0b\x0a\x03job\x12\x04node";
    char why[QL_SELECTOR_WHY_BYTES];
    struct ql_selector selector;
    if (ql_selector_parse((ql_str){ (const char *)at, bytes }, &selector, why) != QL_OK) {
        QL_ASSERT(strlen(why) < sizeof(why));
        return 0;
    }
    (void)ql_selector_matches(&selector, (ql_str){ block, sizeof(block) - 1 });
    for (uint32_t i = 0; i < selector.count; i++) {
        QL_ASSERT(selector.matchers[i].value.at != NULL);
    }
    ql_selector_fini(&selector);
    return 0;
}

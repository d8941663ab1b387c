/* config_test.h - for tests only: settings from a text that must be right. */
#ifndef QL_CONFIG_CONFIG_TEST_H
#define QL_CONFIG_CONFIG_TEST_H

#include "base/buf.h"
#include "config/config.h"

/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static inline struct ql_config *test_config(const char *yaml)
{
    struct ql_config *config = NULL;
    struct ql_buf why;
    ql_buf_init(&why, 65536);
    if (ql_config_parse(ql_str_of(yaml), "test", &config, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
    return config;
}

#endif

/* view_test.h - for tests only: the list of series that a view made by hand answers with. */
#ifndef QL_MODEL_VIEW_TEST_H
#define QL_MODEL_VIEW_TEST_H

#include "model/labels.h"
#include "model/view.h"

#include <stdlib.h>
/* cmocka.h wants these before it */
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* As series_find gives it: ids count from 0, the labels of each are text(number). */
static inline struct ql_series_info *test_infos(uint32_t count, const char *(*text)(uint32_t number),
                                                struct ql_arena *texts)
{
    struct ql_series_info *infos = calloc(count, sizeof(*infos));
    assert_non_null(infos);
    for (uint32_t i = 0; i < count; i++) {
        struct ql_buf block;
        ql_buf_init(&block, 4096);
        assert_int_equal(ql_labels_parse(ql_str_of(text(i)), &block), QL_OK);
        infos[i].id.h.low = i;
        infos[i].labels = ql_arena_str(texts, ql_buf_view(&block));
        ql_buf_fini(&block);
    }
    return infos;
}

#endif

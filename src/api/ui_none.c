/* ui_none.c - a build without the page. */
#include "api/ui.h"

const struct ql_ui_file *ql_ui_find(ql_str path)
{
    (void)path;
    return NULL;
}

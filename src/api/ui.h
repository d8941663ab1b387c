/* ui.h - the built page's files, embedded in the binary already compressed.
 *
 * The table in ui_files.c comes from the build of ui/ (ui_embed.py); in a build without the
 * page it is empty, nothing is found, and `GET /` then says how to get one.
 *
 * Ownership     static; lives for ever.
 * Threads       any.
 */
#ifndef QL_API_UI_H
#define QL_API_UI_H

#include "base/base.h"

struct ql_ui_file {
    const char *path;          /* as asked for: "/index.html", "/assets/index-1f2e3d.js" */
    const char *content_type;
    const char *etag;          /* with its quotes: "\"1f2e3d\"" */
    const unsigned char *gzip;
    size_t gzip_bytes, plain_bytes;
    bool immutable;            /* its name changes with its content: cache for ever */
};

const struct ql_ui_file *ql_ui_find(ql_str path); /* NULL: no such file */

#endif

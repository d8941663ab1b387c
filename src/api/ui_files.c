/* ui_files.c - the table of the embedded page; its rows come from ui_embed.py. */
#include "api/ui.h"

#define QL_UI_FILE(index, path, type, etag, gzip_bytes, plain_bytes, immutable)                    \
    extern const unsigned char ql_ui_file_##index[];
#include "api/ui_files.def"
#undef QL_UI_FILE

static const struct ql_ui_file ui_files[] = {
#define QL_UI_FILE(index, path, type, etag, gzip_bytes, plain_bytes, immutable)                    \
    { path, type, etag, ql_ui_file_##index, gzip_bytes, plain_bytes, immutable },
#include "api/ui_files.def"
#undef QL_UI_FILE
    { 0 }, /* a build without the page has this row only */
};

const struct ql_ui_file *ql_ui_find(ql_str path)
{
    for (const struct ql_ui_file *file = ui_files; file->path != NULL; file++) {
        if (ql_str_eq(ql_str_of(file->path), path)) {
            return file;
        }
    }
    return NULL;
}

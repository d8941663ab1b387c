/* file.h - whole-file reads and writes that survive a crash, for the edges only.
 *
 * Errors        QL_E_NOT_FOUND, QL_E_IO, QL_E_TOO_LARGE (read), QL_E_MEMORY.
 */
#ifndef QL_BASE_FILE_H
#define QL_BASE_FILE_H

#include "base/base.h"
#include "base/buf.h"

/* Appends the file's bytes to `out`; "-" is standard input. */
QL_MUST_USE ql_err ql_file_read(const char *path, struct ql_buf *out);
/* Writes path.tmp, syncs it, renames it over path, syncs the folder: all or nothing. */
QL_MUST_USE ql_err ql_file_replace(const char *path, ql_str bytes);
QL_MUST_USE ql_err ql_file_make_dirs(const char *path); /* like mkdir -p, mode 0700 */
QL_MUST_USE ql_err ql_file_sync_dir(const char *path);

#endif

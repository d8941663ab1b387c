#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_READ_BYTES = 65536 };

static ql_err file_error(void)
{
    return errno == ENOENT || errno == ENOTDIR ? QL_E_NOT_FOUND : QL_E_IO;
}

static ql_err file_read_all(int fd, struct ql_buf *out)
{
    for (;;) {
        char chunk[FILE_READ_BYTES];
        const ssize_t got = read(fd, chunk, sizeof(chunk));
        if (got == 0) {
            return QL_OK;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return QL_E_IO;
        }
        const ql_err err = ql_buf_put(out, chunk, (size_t)got);
        if (err != QL_OK) {
            return err == QL_E_FULL ? QL_E_TOO_LARGE : err;
        }
    }
}

ql_err ql_file_read(const char *path, struct ql_buf *out)
{
    if (strcmp(path, "-") == 0) {
        return file_read_all(STDIN_FILENO, out);
    }
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return file_error();
    }
    const ql_err err = file_read_all(fd, out);
    (void)close(fd);
    return err;
}

static bool file_write_all(int fd, ql_str bytes)
{
    while (bytes.bytes > 0) {
        const ssize_t put = write(fd, bytes.at, bytes.bytes);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        bytes = (ql_str){ bytes.at + put, bytes.bytes - (size_t)put };
    }
    return true;
}

static ql_err file_write_synced(const char *path, ql_str bytes)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return file_error();
    }
    const bool written = file_write_all(fd, bytes) && fsync(fd) == 0;
    return close(fd) == 0 && written ? QL_OK : QL_E_IO;
}

/* The folder of a path: "." when it names none. */
static ql_err file_sync_parent(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    const size_t bytes = slash == NULL ? 0 : slash == path ? 1 : (size_t)(slash - path);
    if (bytes >= sizeof(folder)) {
        return QL_E_IO;
    }
    memcpy(folder, path, bytes);
    folder[bytes] = '\0';
    return ql_file_sync_dir(bytes == 0 ? "." : folder);
}

ql_err ql_file_replace(const char *path, ql_str bytes)
{
    char temporary[PATH_MAX];
    const int wanted = snprintf(temporary, sizeof(temporary), "%s.tmp", path);
    if (wanted < 0 || (size_t)wanted >= sizeof(temporary)) {
        return QL_E_IO;
    }
    ql_err err = file_write_synced(temporary, bytes);
    if (err == QL_OK && rename(temporary, path) != 0) {
        err = file_error();
    }
    if (err != QL_OK) {
        (void)unlink(temporary);
        return err;
    }
    return file_sync_parent(path);
}

ql_err ql_file_make_dirs(const char *path)
{
    char part[PATH_MAX];
    const size_t bytes = strlen(path);
    if (bytes == 0 || bytes >= sizeof(part)) {
        return QL_E_IO;
    }
    for (size_t i = 1; i <= bytes; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(part, path, i);
        part[i] = '\0';
        if (mkdir(part, 0700) != 0 && errno != EEXIST) {
            return file_error();
        }
    }
    struct stat status;
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode) ? QL_OK : QL_E_IO;
}

ql_err ql_file_sync_dir(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return file_error();
    }
    const int synced = fsync(fd);
    (void)close(fd);
    return synced == 0 ? QL_OK : QL_E_IO;
}

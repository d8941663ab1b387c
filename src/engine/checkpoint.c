#include "engine/checkpoint.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define CHECKPOINT_MAGIC UINT64_C(0x31544e50434c51) /* "QLCPNT1" */
#define CHECKPOINTS_SEEN_MAX 64u
#define CHECKPOINT_BYTES_MAX ((size_t)16 << 30)

struct checkpoint_head {
    uint64_t magic, sequence, part_count;
};

static void checkpoint_path(const char *dir, uint64_t sequence, const char *tail, char out[4096])
{
    (void)snprintf(out, 4096, "%s/checkpoint-%016" PRIx64 ".qlc%s", dir, sequence, tail);
}

/* Sequences found, newest first. */
static uint32_t checkpoint_list(const char *path, uint64_t sequences[CHECKPOINTS_SEEN_MAX])
{
    uint32_t count = 0;
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return 0;
    }
    for (struct dirent *entry;
         (entry = readdir(dir)) != NULL && count < CHECKPOINTS_SEEN_MAX;) {
        uint64_t sequence;
        char tail[8];
        if (sscanf(entry->d_name, "checkpoint-%16" SCNx64 "%7s", &sequence, tail) != 2 ||
            strcmp(tail, ".qlc") != 0) {
            continue;
        }
        uint32_t at = count++;
        for (; at > 0 && sequences[at - 1] < sequence; at--) {
            sequences[at] = sequences[at - 1];
        }
        sequences[at] = sequence;
    }
    (void)closedir(dir);
    return count;
}

static bool checkpoint_put(int fd, const void *at, size_t bytes)
{
    for (size_t done = 0; done < bytes;) {
        const ssize_t wrote = write(fd, (const char *)at + done, bytes - done);
        if (wrote <= 0) {
            return false;
        }
        done += (size_t)wrote;
    }
    return true;
}

static void checkpoint_prune(const char *dir)
{
    uint64_t sequences[CHECKPOINTS_SEEN_MAX];
    const uint32_t count = checkpoint_list(dir, sequences);
    for (uint32_t i = QL_CHECKPOINTS_KEPT; i < count; i++) {
        char path[4096];
        checkpoint_path(dir, sequences[i], "", path);
        (void)unlink(path);
    }
}

/* Each part stands behind its length and hash. */
static bool checkpoint_put_part(int fd, ql_str part)
{
    const uint64_t head[2] = { part.bytes, ql_hash64(part.at, part.bytes) };
    return checkpoint_put(fd, head, sizeof(head)) && checkpoint_put(fd, part.at, part.bytes);
}

ql_err ql_checkpoint_write(const char *dir, uint64_t sequence, const ql_str *parts,
                           uint32_t part_count)
{
    char temporary[4096], path[4096];
    const struct checkpoint_head head = { CHECKPOINT_MAGIC, sequence, part_count };
    checkpoint_path(dir, sequence, ".tmp", temporary);
    checkpoint_path(dir, sequence, "", path);
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return QL_E_IO;
    }
    bool ok = checkpoint_put(fd, &head, sizeof(head));
    for (uint32_t i = 0; i < part_count && ok; i++) {
        ok = checkpoint_put_part(fd, parts[i]);
    }
    ok = ok && fdatasync(fd) == 0;
    (void)close(fd);
    if (!ok || rename(temporary, path) != 0) {
        (void)unlink(temporary);
        return QL_E_IO;
    }
    checkpoint_prune(dir);
    return ql_file_sync_dir(dir);
}

/* Appends the parts' bytes without their heads; false when a part is not whole. */
static bool checkpoint_parse(ql_str file, uint64_t sequence, struct ql_buf *out)
{
    struct ql_reader in = ql_reader_of(file);
    if (ql_reader_u64(&in) != CHECKPOINT_MAGIC || ql_reader_u64(&in) != sequence) {
        return false;
    }
    const uint64_t part_count = ql_reader_u64(&in);
    for (uint64_t i = 0; i < part_count; i++) {
        const uint64_t bytes = ql_reader_u64(&in), hash = ql_reader_u64(&in);
        if (in.failed || bytes > ql_reader_left(&in)) {
            return false;
        }
        const char *at = ql_reader_bytes(&in, (size_t)bytes);
        if (at == NULL || ql_hash64(at, (size_t)bytes) != hash) {
            return false;
        }
        (void)ql_buf_put(out, at, (size_t)bytes);
    }
    return !in.failed && ql_buf_check(out) == QL_OK;
}

ql_err ql_checkpoint_read(const char *dir, uint64_t at_most, struct ql_buf *out,
                          uint64_t *ret_sequence)
{
    uint64_t sequences[CHECKPOINTS_SEEN_MAX];
    const uint32_t count = checkpoint_list(dir, sequences);
    for (uint32_t i = 0; i < count; i++) {
        char path[4096];
        struct ql_buf file;
        if (sequences[i] > at_most) {
            continue;
        }
        checkpoint_path(dir, sequences[i], "", path);
        ql_buf_init(&file, CHECKPOINT_BYTES_MAX);
        ql_buf_reset(out);
        const bool whole = ql_file_read(path, &file) == QL_OK &&
                           checkpoint_parse(ql_buf_view(&file), sequences[i], out);
        ql_buf_fini(&file);
        if (whole) {
            *ret_sequence = sequences[i];
            return QL_OK;
        }
    }
    ql_buf_reset(out);
    return QL_E_NOT_FOUND;
}

uint64_t ql_checkpoint_oldest(const char *dir)
{
    uint64_t sequences[CHECKPOINTS_SEEN_MAX];
    const uint32_t count = checkpoint_list(dir, sequences);
    return count == 0 ? 0 : sequences[count - 1];
}

#include "engine/checkpoint.h"

#include "base/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define CHECKPOINT_MAGIC UINT64_C(0x32544e50434c51) /* "QLCPNT2" */
#define CHECKPOINT_PART_MAGIC UINT64_C(0x325452504c51) /* "QLPRT2" */
#define CHECKPOINTS_SEEN_MAX 64u
#define CHECKPOINT_PARTS_MAX 4096u
#define CHECKPOINT_BYTES_MAX ((size_t)16 << 30)
#define CHECKPOINT_ROOM_BYTES ((uint64_t)8 << 20) /* left free on the disk */

struct ql_checkpoint_part {
    int fd;
    bool failed;
    struct ql_buf buf;
};

static void checkpoint_path(const char *dir, uint64_t sequence, const char *tail, char out[4096])
{
    (void)snprintf(out, 4096, "%s/checkpoint-%016" PRIx64 ".%s", dir, sequence, tail);
}

static void part_path(const char *dir, uint64_t sequence, uint32_t number, char out[4096])
{
    char tail[32];
    (void)snprintf(tail, sizeof(tail), "%" PRIu32 ".qlp", number);
    checkpoint_path(dir, sequence, tail, out);
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

/* ---- writing ------------------------------------------------------------------------ */

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

/* The last of a disk belongs to the journal: without it input is refused, without a newer
 * checkpoint only the next start takes longer. */
static bool part_has_room(const struct ql_checkpoint_part *part, size_t bytes)
{
    struct statvfs about;
    return fstatvfs(part->fd, &about) != 0 ||
           (uint64_t)about.f_bavail * about.f_frsize >= CHECKPOINT_ROOM_BYTES + bytes;
}

static void part_block(void *context, const char *at, size_t bytes)
{
    struct ql_checkpoint_part *part = context;
    const uint64_t head[2] = { bytes, ql_hash64(at, bytes) };
    part->failed = part->failed || !part_has_room(part, bytes) ||
                   !checkpoint_put(part->fd, head, sizeof(head)) ||
                   !checkpoint_put(part->fd, at, bytes);
}

ql_err ql_checkpoint_part_open(const char *dir, uint64_t sequence, uint32_t number,
                               struct ql_checkpoint_part **ret_part)
{
    const uint64_t head[2] = { CHECKPOINT_PART_MAGIC, sequence };
    char path[4096];
    QL_ASSERT(number < CHECKPOINT_PARTS_MAX);
    struct ql_checkpoint_part *part = calloc(1, sizeof(*part));
    if (part == NULL) {
        return QL_E_MEMORY;
    }
    part_path(dir, sequence, number, path);
    part->fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (part->fd < 0) {
        free(part);
        return QL_E_IO;
    }
    ql_buf_init_spill(&part->buf, QL_CHECKPOINT_BLOCK_BYTES, part_block, part);
    part->failed = !checkpoint_put(part->fd, head, sizeof(head));
    *ret_part = part;
    return QL_OK;
}

struct ql_buf *ql_checkpoint_part_buf(struct ql_checkpoint_part *part)
{
    return &part->buf;
}

ql_err ql_checkpoint_part_close(struct ql_checkpoint_part *part)
{
    ql_buf_flush(&part->buf);
    part_block(part, "", 0);
    const bool ok = !part->failed && ql_buf_check(&part->buf) == QL_OK && fdatasync(part->fd) == 0;
    (void)close(part->fd);
    ql_buf_fini(&part->buf);
    free(part);
    return ok ? QL_OK : QL_E_IO;
}

/* Checkpoints beyond those kept, and parts that belong to none: of an older one that went, or
 * that a crash or a full disk left behind. */
static void checkpoint_prune(const char *path)
{
    uint64_t sequences[CHECKPOINTS_SEEN_MAX];
    const uint32_t count = checkpoint_list(path, sequences);
    const uint32_t kept = count < QL_CHECKPOINTS_KEPT ? count : QL_CHECKPOINTS_KEPT;
    DIR *dir = kept == 0 ? NULL : opendir(path);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        uint64_t sequence;
        bool keep = false;
        if (sscanf(entry->d_name, "checkpoint-%16" SCNx64 ".", &sequence) != 1) {
            continue;
        }
        for (uint32_t i = 0; i < kept; i++) {
            keep = keep || sequences[i] == sequence;
        }
        if (!keep && sequence < sequences[0]) {
            (void)unlinkat(dirfd(dir), entry->d_name, 0);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
}

ql_err ql_checkpoint_commit(const char *dir, uint64_t sequence, uint32_t part_count)
{
    char temporary[4096], path[4096];
    const uint64_t head[3] = { CHECKPOINT_MAGIC, sequence, part_count };
    checkpoint_path(dir, sequence, "tmp", temporary);
    checkpoint_path(dir, sequence, "qlc", path);
    const int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return QL_E_IO;
    }
    const bool ok = checkpoint_put(fd, head, sizeof(head)) && fdatasync(fd) == 0;
    (void)close(fd);
    if (!ok || rename(temporary, path) != 0) {
        (void)unlink(temporary);
        return QL_E_IO;
    }
    checkpoint_prune(dir);
    return ql_file_sync_dir(dir);
}

void ql_checkpoint_drop(const char *dir, uint64_t sequence, uint32_t part_count)
{
    char path[4096];
    /* There is one when only the folder could not be synced: without its parts it must not count. */
    checkpoint_path(dir, sequence, "qlc", path);
    (void)unlink(path);
    for (uint32_t i = 0; i < part_count; i++) {
        part_path(dir, sequence, i, path);
        (void)unlink(path);
    }
}

/* ---- reading ------------------------------------------------------------------------ */

/* Appends the bytes of the blocks; false when one is not whole or the last is missing. */
static bool part_parse(ql_str file, uint64_t sequence, struct ql_buf *out)
{
    struct ql_reader in = ql_reader_of(file);
    if (ql_reader_u64(&in) != CHECKPOINT_PART_MAGIC || ql_reader_u64(&in) != sequence) {
        return false;
    }
    for (;;) {
        const uint64_t bytes = ql_reader_u64(&in), hash = ql_reader_u64(&in);
        if (in.failed || bytes > ql_reader_left(&in)) {
            return false;
        }
        const char *at = ql_reader_bytes(&in, (size_t)bytes);
        if (at == NULL || ql_hash64(at, (size_t)bytes) != hash) {
            return false;
        }
        if (bytes == 0) {
            return ql_buf_check(out) == QL_OK;
        }
        (void)ql_buf_put(out, at, (size_t)bytes);
    }
}

static bool checkpoint_read_one(const char *dir, uint64_t sequence, struct ql_buf *out)
{
    char path[4096];
    struct ql_buf file;
    ql_buf_init(&file, CHECKPOINT_BYTES_MAX);
    checkpoint_path(dir, sequence, "qlc", path);
    bool whole = ql_file_read(path, &file) == QL_OK;
    struct ql_reader in = ql_reader_of(ql_buf_view(&file));
    whole = whole && ql_reader_u64(&in) == CHECKPOINT_MAGIC && ql_reader_u64(&in) == sequence;
    const uint64_t part_count = ql_reader_u64(&in);
    whole = whole && !in.failed && part_count <= CHECKPOINT_PARTS_MAX;
    for (uint32_t i = 0; i < part_count && whole; i++) {
        ql_buf_reset(&file);
        part_path(dir, sequence, i, path);
        whole = ql_file_read(path, &file) == QL_OK &&
                part_parse(ql_buf_view(&file), sequence, out);
    }
    ql_buf_fini(&file);
    return whole;
}

ql_err ql_checkpoint_read(const char *dir, uint64_t at_most, struct ql_buf *out,
                          uint64_t *ret_sequence)
{
    uint64_t sequences[CHECKPOINTS_SEEN_MAX];
    const uint32_t count = checkpoint_list(dir, sequences);
    for (uint32_t i = 0; i < count; i++) {
        if (sequences[i] > at_most) {
            continue;
        }
        ql_buf_reset(out);
        if (checkpoint_read_one(dir, sequences[i], out)) {
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

uint64_t ql_checkpoint_newest(const char *dir)
{
    uint64_t sequences[CHECKPOINTS_SEEN_MAX];
    return checkpoint_list(dir, sequences) == 0 ? 0 : sequences[0];
}

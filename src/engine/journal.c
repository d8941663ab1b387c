#include "engine/journal_int.h"

#include "base/file.h"
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

struct ql_journal {
    char *dir;
    struct journal_list segments;
    uint64_t last;
    int fd;          /* of the newest segment; -1: start a new one */
    uint64_t synced; /* bytes of the newest segment that are on disk for certain */
    struct ql_buf unsynced; /* what was written behind them */
    bool doubted;    /* a sync failed, or a torn record could not be cut off */
};

/* Where the whole records of a segment end; QL_E_MALFORMED when that is not at a torn tail. */
static ql_err journal_measure(const char *path, uint64_t *last, size_t *ret_at, size_t *ret_bytes,
                              struct ql_buf *ret_why)
{
    const char *map;
    size_t bytes, at = 0;
    ql_err err = journal_map(path, &map, &bytes);
    if (err != QL_OK) {
        (void)ql_buf_printf(ret_why, "%s: %s", path, strerror(errno));
        return err;
    }
    struct ql_journal_record record;
    bool grows = true;
    for (ql_str origin, body; journal_parse(map + at, bytes - at, &record, &origin, &body);) {
        grows = record.sequence > *last;
        if (!grows) {
            break;
        }
        *last = record.sequence;
        at += sizeof(record) + record.payload_bytes;
    }
    if (!grows || (at < bytes && journal_holds_more(map + at, bytes - at, *last))) {
        err = journal_damaged(path, at, true, ret_why);
    }
    journal_unmap(map, bytes);
    *ret_at = at;
    *ret_bytes = bytes;
    return err;
}

/* Opens the newest segment for more and cuts a torn tail off. What a killed process wrote may
 * still be on its way to the disk. */
static ql_err journal_mend(struct ql_journal *journal, struct ql_buf *ret_why)
{
    char path[4096];
    size_t bytes, at;
    struct journal_segment *segment = &journal->segments.at[journal->segments.count - 1];
    journal_path(journal->dir, segment->first, path);
    const ql_err err = journal_measure(path, &journal->last, &at, &bytes, ret_why);
    if (err != QL_OK) {
        return err;
    }
    journal->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    if (journal->fd < 0 || (at < bytes && ftruncate(journal->fd, (off_t)at) != 0) ||
        fdatasync(journal->fd) != 0) {
        (void)ql_buf_printf(ret_why, "%s: %s", path, strerror(errno));
        return QL_E_IO;
    }
    if (at < bytes) {
        QL_LOG(WARN, "the journal ended in a torn record, which was cut off",
               QL_LOG_T("file", path), QL_LOG_N("at", at), QL_LOG_N("bytes", bytes - at));
    }
    segment->bytes = journal->synced = at;
    return QL_OK;
}

ql_err ql_journal_open(const char *dir, struct ql_journal **ret_journal, struct ql_buf *ret_why)
{
    struct ql_journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL) {
        return QL_E_MEMORY;
    }
    journal->fd = -1;
    ql_buf_init(&journal->unsynced, QL_JOURNAL_UNSYNCED_BYTES);
    journal->dir = strdup(dir);
    ql_err err = journal->dir == NULL ? QL_E_MEMORY : ql_file_make_dirs(dir);
    if (err == QL_OK) {
        err = journal_list_read(dir, &journal->segments);
    }
    if (err != QL_OK) {
        (void)ql_buf_printf(ret_why, "%s: %s", dir, strerror(errno));
    } else if (journal->segments.count > 0) {
        journal->last = journal->segments.at[journal->segments.count - 1].first - 1;
        err = journal_mend(journal, ret_why);
    }
    if (err != QL_OK) {
        ql_journal_close(journal);
        return err;
    }
    *ret_journal = journal;
    return QL_OK;
}

void ql_journal_close(struct ql_journal *journal)
{
    if (journal == NULL) {
        return;
    }
    if (journal->fd >= 0) {
        (void)fdatasync(journal->fd);
        (void)close(journal->fd);
    }
    ql_buf_fini(&journal->unsynced);
    free(journal->segments.at);
    free(journal->dir);
    free(journal);
}

uint64_t ql_journal_last(const struct ql_journal *journal)
{
    return journal->last;
}

uint64_t ql_journal_bytes(const struct ql_journal *journal)
{
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < journal->segments.count; i++) {
        bytes += journal->segments.at[i].bytes;
    }
    return bytes;
}

static struct journal_segment *journal_newest(struct ql_journal *journal)
{
    return &journal->segments.at[journal->segments.count - 1];
}

static ql_err journal_sync(struct ql_journal *journal)
{
    if (fdatasync(journal->fd) != 0) {
        journal->doubted = true;
        return QL_E_IO;
    }
    journal->doubted = false;
    journal->synced = journal_newest(journal)->bytes;
    ql_buf_reset(&journal->unsynced);
    return QL_OK;
}

ql_err ql_journal_rotate(struct ql_journal *journal)
{
    if (journal->fd < 0 || journal->doubted || journal_newest(journal)->bytes == 0) {
        return QL_OK;
    }
    const ql_err err = journal_sync(journal);
    if (err == QL_OK) {
        (void)close(journal->fd);
        journal->fd = -1;
    }
    return err;
}

/* Leaves the newest segment as far as it is on disk for certain. A second sync of what one could
 * not write says nothing (the kernel may have dropped it), so that what was not synced is written
 * again, to the next segment. Nothing may follow before this has come true. */
static ql_err journal_leave(struct ql_journal *journal)
{
    char path[4096];
    struct journal_segment *segment = journal_newest(journal);
    if (ftruncate(journal->fd, (off_t)journal->synced) != 0 || fdatasync(journal->fd) != 0) {
        return QL_E_IO;
    }
    segment->bytes = journal->synced;
    if (segment->bytes == 0) {
        journal_path(journal->dir, segment->first, path);
        if (unlink(path) != 0 && errno != ENOENT) {
            return QL_E_IO;
        }
        journal->segments.count--;
    }
    (void)close(journal->fd);
    journal->fd = -1;
    return QL_OK;
}

static bool journal_put(int fd, ql_str bytes)
{
    size_t done = 0;
    while (done < bytes.bytes) {
        const ssize_t wrote = write(fd, bytes.at + done, bytes.bytes - done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            return false;
        }
        done += (size_t)wrote;
    }
    return true;
}

static uint64_t journal_first_of(ql_str encoded)
{
    struct ql_journal_record record;
    QL_ASSERT(encoded.bytes >= sizeof(record));
    memcpy(&record, encoded.at, sizeof(record));
    return record.sequence;
}

/* A new segment, which begins with what the one before may have lost. */
static ql_err journal_segment_new(struct ql_journal *journal, ql_str encoded)
{
    char path[4096];
    const ql_str again = ql_buf_view(&journal->unsynced);
    const uint64_t first = journal_first_of(again.bytes > 0 ? again : encoded);
    const ql_err err = journal_list_reserve(&journal->segments);
    if (err != QL_OK) {
        return err;
    }
    journal_path(journal->dir, first, path);
    const int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) {
        return QL_E_IO;
    }
    if (ql_file_sync_dir(journal->dir) != QL_OK || !journal_put(fd, again)) {
        const int saved = errno;
        (void)unlink(path);
        (void)close(fd);
        errno = saved;
        return QL_E_IO;
    }
    journal->fd = fd;
    journal->synced = 0;
    journal->segments.at[journal->segments.count++] = (struct journal_segment){ first, again.bytes };
    return QL_OK;
}

/* A segment that can be written to, after what became of the one before. */
static ql_err journal_ready(struct ql_journal *journal, ql_str encoded)
{
    ql_err err = QL_OK;
    if (journal->fd >= 0 && journal->doubted) {
        err = journal_leave(journal);
    } else if (journal->fd >= 0 && journal_newest(journal)->bytes > QL_JOURNAL_SEGMENT_BYTES) {
        err = ql_journal_rotate(journal);
    }
    return err == QL_OK && journal->fd < 0 ? journal_segment_new(journal, encoded) : err;
}

/* Until the next sync; false: that had better be now. */
static bool journal_keep(struct ql_journal *journal, ql_str encoded)
{
    struct ql_buf *kept = &journal->unsynced;
    return kept->bytes + encoded.bytes <= QL_JOURNAL_UNSYNCED_BYTES &&
           ql_buf_put(kept, encoded.at, encoded.bytes) == QL_OK;
}

ql_err ql_journal_write(struct ql_journal *journal, ql_str encoded, uint64_t last, bool sync)
{
    QL_ASSERT(last > journal->last);
    const ql_err err = journal_ready(journal, encoded);
    if (err != QL_OK) {
        return err;
    }
    struct journal_segment *segment = journal_newest(journal);
    const uint64_t before = segment->bytes;
    bool ok = journal_put(journal->fd, encoded);
    if (ok) {
        segment->bytes += encoded.bytes;
        ok = (!sync && !journal->doubted && journal_keep(journal, encoded)) ||
             journal_sync(journal) == QL_OK;
    }
    if (!ok) {
        const int saved = errno;
        segment->bytes = before;
        journal->doubted |= ftruncate(journal->fd, (off_t)before) != 0;
        errno = saved;
        return QL_E_IO;
    }
    journal->last = last;
    return QL_OK;
}

ql_err ql_journal_drop_before(struct ql_journal *journal, uint64_t sequence)
{
    uint32_t drop = 0;
    while (drop + 1 < journal->segments.count && journal->segments.at[drop + 1].first <= sequence) {
        char path[4096];
        journal_path(journal->dir, journal->segments.at[drop].first, path);
        if (unlink(path) != 0) {
            break;
        }
        drop++;
    }
    if (drop > 0) {
        journal->segments.count -= drop;
        memmove(journal->segments.at, journal->segments.at + drop,
                journal->segments.count * sizeof(*journal->segments.at));
        return ql_file_sync_dir(journal->dir);
    }
    return QL_OK;
}

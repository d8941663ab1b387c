#include "engine/journal.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_MAGIC 0x31524c51u /* "QLR1" */
#define JOURNAL_NAME_MAX 64
#define JOURNAL_SEGMENTS_MAX 65536u

struct journal_segment { uint64_t first, bytes; };

struct ql_journal {
    char *dir;
    struct journal_segment *segments;
    uint32_t segment_count;
    uint64_t last;
    int fd;          /* of the newest segment; -1: start a new one */
};

struct ql_journal_reader {
    char *dir;
    struct journal_segment *segments;
    uint32_t segment_count, segment;
    const char *map; /* of the current segment */
    size_t map_bytes, at;
    uint64_t from, last;
};

static void journal_path(const char *dir, uint64_t first, char out[4096])
{
    (void)snprintf(out, 4096, "%s/journal-%016" PRIx64 ".qlj", dir, first);
}

static int journal_order(const void *a, const void *b)
{
    const uint64_t x = ((const struct journal_segment *)a)->first;
    const uint64_t y = ((const struct journal_segment *)b)->first;
    return x < y ? -1 : x > y;
}

static ql_err journal_list(const char *path, struct journal_segment **ret_segments,
                           uint32_t *ret_count)
{
    DIR *dir = opendir(path);
    struct journal_segment *segments = calloc(JOURNAL_SEGMENTS_MAX, sizeof(*segments));
    uint32_t count = 0;
    if (dir == NULL || segments == NULL) {
        free(segments);
        if (dir != NULL) {
            (void)closedir(dir);
        }
        return dir == NULL ? QL_E_IO : QL_E_MEMORY;
    }
    for (struct dirent *entry; (entry = readdir(dir)) != NULL && count < JOURNAL_SEGMENTS_MAX;) {
        uint64_t first;
        char tail[8], file[4096];
        struct stat st;
        if (sscanf(entry->d_name, "journal-%16" SCNx64 "%7s", &first, tail) != 2 ||
            strcmp(tail, ".qlj") != 0) {
            continue;
        }
        journal_path(path, first, file);
        if (stat(file, &st) == 0) {
            segments[count++] = (struct journal_segment){ first, (uint64_t)st.st_size };
        }
    }
    (void)closedir(dir);
    if (count > 1) {
        qsort(segments, count, sizeof(*segments), journal_order);
    }
    *ret_segments = segments;
    *ret_count = count;
    return QL_OK;
}

static uint64_t journal_checksum(const struct ql_journal_record *record, ql_str origin, ql_str body)
{
    const size_t skip = offsetof(struct ql_journal_record, sequence);
    const uint64_t parts[3] = {
        ql_hash64((const char *)record + skip, sizeof(*record) - skip),
        origin.bytes == 0 ? 0 : ql_hash64(origin.at, origin.bytes),
        body.bytes == 0 ? 0 : ql_hash64(body.at, body.bytes),
    };
    return ql_hash64(parts, sizeof(parts)) ^ record->payload_bytes;
}

ql_err ql_journal_encode(struct ql_journal_record *record, ql_str origin, ql_str body,
                         struct ql_buf *out)
{
    if (origin.bytes + body.bytes > QL_JOURNAL_PAYLOAD_MAX) {
        return QL_E_TOO_LARGE;
    }
    char *at;
    const size_t bytes = sizeof(*record) + origin.bytes + body.bytes;
    record->magic = JOURNAL_MAGIC;
    record->payload_bytes = (uint32_t)(origin.bytes + body.bytes);
    record->origin_bytes = (uint32_t)origin.bytes;
    record->checksum = journal_checksum(record, origin, body);
    const ql_err err = ql_buf_reserve(out, bytes, &at);
    if (err != QL_OK) {
        return err;
    }
    memcpy(at, record, sizeof(*record));
    if (origin.bytes > 0) {
        memcpy(at + sizeof(*record), origin.at, origin.bytes);
    }
    if (body.bytes > 0) {
        memcpy(at + sizeof(*record) + origin.bytes, body.at, body.bytes);
    }
    ql_buf_advance(out, bytes);
    return QL_OK;
}

/* Whether a whole, undamaged record stands at `at`. Fills the outputs if so. */
static bool journal_parse(const char *at, size_t left, struct ql_journal_record *ret_record,
                          ql_str *ret_origin, ql_str *ret_body)
{
    struct ql_journal_record record;
    if (left < sizeof(record)) {
        return false;
    }
    memcpy(&record, at, sizeof(record));
    if (record.magic != JOURNAL_MAGIC || record.payload_bytes > QL_JOURNAL_PAYLOAD_MAX ||
        record.payload_bytes > left - sizeof(record) ||
        record.origin_bytes > record.payload_bytes) {
        return false;
    }
    const ql_str origin = { at + sizeof(record), record.origin_bytes };
    const ql_str body = { origin.at + origin.bytes, record.payload_bytes - record.origin_bytes };
    if (journal_checksum(&record, origin, body) != record.checksum) {
        return false;
    }
    *ret_record = record;
    *ret_origin = origin;
    *ret_body = body;
    return true;
}

static ql_err journal_map(const char *path, const char **ret_map, size_t *ret_bytes)
{
    struct stat st;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return QL_E_IO;
    }
    if (fstat(fd, &st) != 0) {
        (void)close(fd);
        return QL_E_IO;
    }
    void *map = NULL;
    if (st.st_size > 0) {
        map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    }
    (void)close(fd);
    if (map == MAP_FAILED) {
        return QL_E_IO;
    }
    *ret_map = map;
    *ret_bytes = (size_t)st.st_size;
    return QL_OK;
}

/* Finds where the whole records of the newest segment end and cuts a torn tail off. */
static ql_err journal_mend(struct ql_journal *journal, struct ql_buf *ret_why)
{
    char path[4096];
    const char *map;
    size_t bytes, at = 0;
    struct journal_segment *segment = &journal->segments[journal->segment_count - 1];
    journal_path(journal->dir, segment->first, path);
    ql_err err = journal_map(path, &map, &bytes);
    if (err != QL_OK) {
        (void)ql_buf_printf(ret_why, "%s: %s", path, strerror(errno));
        return err;
    }
    struct ql_journal_record record;
    for (ql_str origin, body; journal_parse(map + at, bytes - at, &record, &origin, &body);) {
        journal->last = record.sequence;
        at += sizeof(record) + record.payload_bytes;
    }
    if (bytes > 0) {
        (void)munmap((void *)(uintptr_t)map, bytes);
    }
    segment->bytes = at;
    if (at < bytes && truncate(path, (off_t)at) != 0) {
        (void)ql_buf_printf(ret_why, "%s: cannot cut the torn end: %s", path, strerror(errno));
        return QL_E_IO;
    }
    journal->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
    return journal->fd < 0 ? QL_E_IO : QL_OK;
}

ql_err ql_journal_open(const char *dir, struct ql_journal **ret_journal, struct ql_buf *ret_why)
{
    struct ql_journal *journal = calloc(1, sizeof(*journal));
    if (journal == NULL) {
        return QL_E_MEMORY;
    }
    journal->fd = -1;
    journal->dir = strdup(dir);
    ql_err err = journal->dir == NULL ? QL_E_MEMORY : ql_file_make_dirs(dir);
    if (err == QL_OK) {
        err = journal_list(dir, &journal->segments, &journal->segment_count);
    }
    if (err != QL_OK) {
        (void)ql_buf_printf(ret_why, "%s: %s", dir, strerror(errno));
    } else if (journal->segment_count > 0) {
        journal->last = journal->segments[journal->segment_count - 1].first - 1;
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
    free(journal->segments);
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
    for (uint32_t i = 0; i < journal->segment_count; i++) {
        bytes += journal->segments[i].bytes;
    }
    return bytes;
}

void ql_journal_rotate(struct ql_journal *journal)
{
    if (journal->fd >= 0 && journal->segments[journal->segment_count - 1].bytes > 0) {
        (void)fdatasync(journal->fd);
        (void)close(journal->fd);
        journal->fd = -1;
    }
}

static ql_err journal_segment_new(struct ql_journal *journal, uint64_t first)
{
    char path[4096];
    if (journal->segment_count == JOURNAL_SEGMENTS_MAX) {
        return QL_E_FULL;
    }
    journal_path(journal->dir, first, path);
    journal->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (journal->fd < 0) {
        return QL_E_IO;
    }
    journal->segments[journal->segment_count++] = (struct journal_segment){ first, 0 };
    return ql_file_sync_dir(journal->dir);
}

static uint64_t journal_first_of(ql_str encoded)
{
    struct ql_journal_record record;
    QL_ASSERT(encoded.bytes >= sizeof(record));
    memcpy(&record, encoded.at, sizeof(record));
    return record.sequence;
}

ql_err ql_journal_write(struct ql_journal *journal, ql_str encoded, uint64_t last, bool sync)
{
    QL_ASSERT(last > journal->last);
    if (journal->fd >= 0 &&
        journal->segments[journal->segment_count - 1].bytes > QL_JOURNAL_SEGMENT_BYTES) {
        ql_journal_rotate(journal);
    }
    if (journal->fd < 0) {
        const ql_err err = journal_segment_new(journal, journal_first_of(encoded));
        if (err != QL_OK) {
            return err;
        }
    }
    struct journal_segment *segment = &journal->segments[journal->segment_count - 1];
    size_t done = 0;
    while (done < encoded.bytes) {
        const ssize_t wrote = write(journal->fd, encoded.at + done, encoded.bytes - done);
        if (wrote < 0 && errno == EINTR) {
            continue;
        }
        if (wrote <= 0) {
            break;
        }
        done += (size_t)wrote;
    }
    if (done < encoded.bytes || (sync && fdatasync(journal->fd) != 0)) {
        const int saved = errno;
        (void)!ftruncate(journal->fd, (off_t)segment->bytes);
        errno = saved;
        return QL_E_IO;
    }
    segment->bytes += encoded.bytes;
    journal->last = last;
    return QL_OK;
}

ql_err ql_journal_drop_before(struct ql_journal *journal, uint64_t sequence)
{
    uint32_t drop = 0;
    while (drop + 1 < journal->segment_count && journal->segments[drop + 1].first <= sequence) {
        char path[4096];
        journal_path(journal->dir, journal->segments[drop].first, path);
        if (unlink(path) != 0) {
            break;
        }
        drop++;
    }
    if (drop > 0) {
        journal->segment_count -= drop;
        memmove(journal->segments, journal->segments + drop,
                journal->segment_count * sizeof(*journal->segments));
        return ql_file_sync_dir(journal->dir);
    }
    return QL_OK;
}

ql_err ql_journal_reader_open(const char *dir, uint64_t from, struct ql_journal_reader **ret_reader)
{
    struct ql_journal_reader *reader = calloc(1, sizeof(*reader));
    if (reader == NULL) {
        return QL_E_MEMORY;
    }
    reader->dir = strdup(dir);
    reader->from = from;
    const ql_err err = reader->dir == NULL
                           ? QL_E_MEMORY
                           : journal_list(dir, &reader->segments, &reader->segment_count);
    if (err != QL_OK) {
        ql_journal_reader_close(reader);
        return err;
    }
    while (reader->segment + 1 < reader->segment_count &&
           reader->segments[reader->segment + 1].first <= from) {
        reader->segment++;
    }
    *ret_reader = reader;
    return QL_OK;
}

static void journal_reader_unmap(struct ql_journal_reader *reader)
{
    if (reader->map != NULL) {
        (void)munmap((void *)(uintptr_t)reader->map, reader->map_bytes);
    }
    reader->map = NULL;
    reader->map_bytes = reader->at = 0;
}

void ql_journal_reader_close(struct ql_journal_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    journal_reader_unmap(reader);
    free(reader->segments);
    free(reader->dir);
    free(reader);
}

uint64_t ql_journal_reader_first(const struct ql_journal_reader *reader)
{
    return reader->segment_count == 0 ? 0 : reader->segments[0].first;
}

/* Moves to the next segment that has bytes; QL_E_NOT_FOUND after the last. */
static ql_err journal_reader_segment(struct ql_journal_reader *reader, struct ql_buf *ret_why)
{
    while (reader->segment < reader->segment_count) {
        char path[4096];
        journal_path(reader->dir, reader->segments[reader->segment].first, path);
        journal_reader_unmap(reader);
        const ql_err err = journal_map(path, &reader->map, &reader->map_bytes);
        if (err != QL_OK) {
            (void)ql_buf_printf(ret_why, "%s: %s", path, strerror(errno));
            return err;
        }
        if (reader->map_bytes > 0) {
            return QL_OK;
        }
        reader->segment++;
    }
    return QL_E_NOT_FOUND;
}

static ql_err journal_damage(const struct ql_journal_reader *reader, struct ql_buf *ret_why)
{
    /* A torn record at the end of the newest segment is what a crash leaves: the end. */
    if (reader->segment + 1 == reader->segment_count) {
        return QL_E_NOT_FOUND;
    }
    (void)ql_buf_printf(ret_why, "%s/journal-%016" PRIx64 ".qlj: damaged record at byte %zu",
                        reader->dir, reader->segments[reader->segment].first, reader->at);
    return QL_E_MALFORMED;
}

ql_err ql_journal_next(struct ql_journal_reader *reader, struct ql_journal_record *ret_record,
                       ql_str *ret_origin, ql_str *ret_body, struct ql_buf *ret_why)
{
    for (;;) {
        if (reader->map == NULL || reader->at >= reader->map_bytes) {
            reader->segment += reader->map != NULL;
            const ql_err err = journal_reader_segment(reader, ret_why);
            if (err != QL_OK) {
                return err;
            }
        }
        struct ql_journal_record record;
        ql_str origin, body;
        if (!journal_parse(reader->map + reader->at, reader->map_bytes - reader->at, &record,
                           &origin, &body)) {
            return journal_damage(reader, ret_why);
        }
        if (record.sequence <= reader->last) {
            return journal_damage(reader, ret_why);
        }
        reader->at += sizeof(record) + record.payload_bytes;
        reader->last = record.sequence;
        if (record.sequence >= reader->from) {
            *ret_record = record;
            *ret_origin = origin;
            *ret_body = body;
            return QL_OK;
        }
    }
}

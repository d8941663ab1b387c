/* journal_segment.c - what a segment's file is called, and what its bytes are. */
#include "engine/journal_int.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOURNAL_MAGIC 0x31524c51u /* "QLR1" */
#define JOURNAL_LIST_ROOM 16u     /* most folders hold fewer; times two reaches the maximum */
#define JOURNAL_SEARCH_FACTOR 8u  /* a search hashes at most so many times what it searches */

void journal_path(const char *dir, uint64_t first, char out[4096])
{
    (void)snprintf(out, 4096, "%s/journal-%016" PRIx64 ".qlj", dir, first);
}

static int journal_order(const void *a, const void *b)
{
    const uint64_t x = ((const struct journal_segment *)a)->first;
    const uint64_t y = ((const struct journal_segment *)b)->first;
    return x < y ? -1 : x > y;
}

ql_err journal_list_reserve(struct journal_list *list)
{
    if (list->count < list->room) {
        return QL_OK;
    }
    if (list->count == QL_JOURNAL_SEGMENTS_MAX) {
        return QL_E_FULL;
    }
    const uint32_t room = list->room == 0 ? JOURNAL_LIST_ROOM : list->room * 2;
    struct journal_segment *grown = realloc(list->at, room * sizeof(*grown));
    if (grown == NULL) {
        return QL_E_MEMORY;
    }
    list->at = grown;
    list->room = room;
    return QL_OK;
}

ql_err journal_list_read(const char *path, struct journal_list *ret_list)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return QL_E_IO;
    }
    ql_err err = QL_OK;
    for (struct dirent *entry; err == QL_OK && (entry = readdir(dir)) != NULL;) {
        uint64_t first;
        char tail[8], file[4096];
        struct stat st;
        if (sscanf(entry->d_name, "journal-%16" SCNx64 "%7s", &first, tail) != 2 ||
            strcmp(tail, ".qlj") != 0) {
            continue;
        }
        journal_path(path, first, file);
        if (stat(file, &st) == 0 && (err = journal_list_reserve(ret_list)) == QL_OK) {
            ret_list->at[ret_list->count++] =
                (struct journal_segment){ first, (uint64_t)st.st_size };
        }
    }
    (void)closedir(dir);
    if (ret_list->count > 1) {
        qsort(ret_list->at, ret_list->count, sizeof(*ret_list->at), journal_order);
    }
    return err;
}

ql_err journal_map(const char *path, const char **ret_map, size_t *ret_bytes)
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

void journal_unmap(const char *map, size_t bytes)
{
    if (map != NULL) {
        (void)munmap((void *)(uintptr_t)map, bytes);
    }
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

bool journal_parse(const char *at, size_t left, struct ql_journal_record *ret_record,
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

bool journal_holds_more(const char *at, size_t left, uint64_t last)
{
    static const uint32_t magic = JOURNAL_MAGIC;
    const char *const end = at + left;
    uint64_t budget = (uint64_t)left * JOURNAL_SEARCH_FACTOR;
    while (at < end &&
           (at = memmem(at + 1, (size_t)(end - at) - 1, &magic, sizeof(magic))) != NULL) {
        struct ql_journal_record record;
        ql_str origin, body;
        if ((size_t)(end - at) < sizeof(record)) {
            return false;
        }
        memcpy(&record, at, sizeof(record));
        if (record.sequence <= last || record.payload_bytes > (size_t)(end - at) - sizeof(record)) {
            continue;
        }
        if (record.payload_bytes > budget ||
            journal_parse(at, (size_t)(end - at), &record, &origin, &body)) {
            return true;
        }
        budget -= record.payload_bytes;
    }
    return false;
}

ql_err journal_damaged(const char *path, size_t at, bool newest, struct ql_buf *ret_why)
{
    (void)ql_buf_printf(ret_why, "%s: damaged record at byte %zu", path, at);
    if (newest) {
        (void)ql_buf_printf(ret_why, ", and whole ones behind it: bring the file back from a copy, "
                            "or give up what stands there with: truncate -s %zu %s", at, path);
    }
    return QL_E_MALFORMED;
}

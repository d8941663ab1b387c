/* journal_reader.c - the journal's records, in order, from a place on. */
#include "engine/journal_int.h"

#include <errno.h>
#include <stdlib.h>

struct ql_journal_reader {
    char *dir;
    struct journal_list segments;
    uint32_t segment; /* the one that is read */
    const char *map; /* of the current segment */
    size_t map_bytes, at;
    uint64_t from, last;
};

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
                           : journal_list_read(dir, &reader->segments);
    if (err != QL_OK) {
        ql_journal_reader_close(reader);
        return err;
    }
    while (reader->segment + 1 < reader->segments.count &&
           reader->segments.at[reader->segment + 1].first <= from) {
        reader->segment++;
    }
    *ret_reader = reader;
    return QL_OK;
}

static void journal_reader_unmap(struct ql_journal_reader *reader)
{
    journal_unmap(reader->map, reader->map_bytes);
    reader->map = NULL;
    reader->map_bytes = reader->at = 0;
}

void ql_journal_reader_close(struct ql_journal_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    journal_reader_unmap(reader);
    free(reader->segments.at);
    free(reader->dir);
    free(reader);
}

uint64_t ql_journal_reader_first(const struct ql_journal_reader *reader)
{
    return reader->segments.count == 0 ? 0 : reader->segments.at[0].first;
}

/* Moves to the next segment that has bytes; QL_E_NOT_FOUND after the last. */
static ql_err journal_reader_segment(struct ql_journal_reader *reader, struct ql_buf *ret_why)
{
    while (reader->segment < reader->segments.count) {
        char path[4096];
        journal_path(reader->dir, reader->segments.at[reader->segment].first, path);
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

static ql_err journal_damage(const struct ql_journal_reader *reader, bool whole,
                             struct ql_buf *ret_why)
{
    char path[4096];
    const bool newest = reader->segment + 1 == reader->segments.count;
    /* A torn record at the end of the newest segment is what a crash leaves: the end. */
    if (newest && !whole && !journal_holds_more(reader->map + reader->at,
                                                reader->map_bytes - reader->at, reader->last)) {
        return QL_E_NOT_FOUND;
    }
    journal_path(reader->dir, reader->segments.at[reader->segment].first, path);
    return journal_damaged(path, reader->at, newest, ret_why);
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
            return journal_damage(reader, false, ret_why);
        }
        if (record.sequence <= reader->last) {
            return journal_damage(reader, true, ret_why);
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

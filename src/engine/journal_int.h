/* journal_int.h - segment files and their records, for the half that writes and the half that
 * reads. */
#ifndef QL_ENGINE_JOURNAL_INT_H
#define QL_ENGINE_JOURNAL_INT_H

#include "engine/journal.h"

#define QL_JOURNAL_SEGMENTS_MAX 65536u

struct journal_segment { uint64_t first, bytes; };
/* In the order of their sequences. The room grows with what is there, up to the maximum. */
struct journal_list {
    struct journal_segment *at;
    uint32_t count, room;
};

void journal_path(const char *dir, uint64_t first, char out[4096]);
/* The folder's segments, into a list of zeros; the caller frees its `at`, after an error too. */
ql_err journal_list_read(const char *path, struct journal_list *ret_list);
/* Room for one more segment. QL_E_FULL at the maximum. */
ql_err journal_list_reserve(struct journal_list *list);
/* A whole file to read; nothing (NULL) of an empty one. */
ql_err journal_map(const char *path, const char **ret_map, size_t *ret_bytes);
void journal_unmap(const char *map, size_t bytes);
/* Whether a whole, undamaged record stands at `at`. Fills the outputs if so. */
bool journal_parse(const char *at, size_t left, struct ql_journal_record *ret_record,
                   ql_str *ret_origin, ql_str *ret_body);
/* Whether a whole record with a later sequence than `last` begins anywhere behind the first of
 * these bytes. What looks like more records than can be tried counts as one. */
bool journal_holds_more(const char *at, size_t left, uint64_t last);
/* QL_E_MALFORMED, and the words for it. */
ql_err journal_damaged(const char *path, size_t at, bool newest, struct ql_buf *ret_why);

#endif

/* journal.h - every accepted input in one order, on disk before it is acknowledged.
 *
 * A folder of segment files journal-<first sequence>.qlj. A record is a 48-byte header
 * (below) and a payload: the origin, then the bytes as the door took them. Sequences
 * only grow. A torn record at the very end (a crash mid-write) is cut off at open, with a line
 * in the log; damage with a whole record behind it is an error, never skipped.
 *
 * Units         sequences count from 1; times as in record.h.
 * Ownership     open/close; a reader's payload is borrowed until its next call.
 * Threads       one thread at a time; the engine's sequencer holds its own lock.
 * Errors        QL_E_IO (disk full included: the file is cut back to its last whole record; where
 *               that or a sync fails, all that was not synced is cut off before anything follows,
 *               and written again to a new segment, with a sync),
 *               QL_E_MALFORMED (a damaged record; ret_why has the place and what can be done).
 * Bounds        a segment is closed past QL_JOURNAL_SEGMENT_BYTES; append is one write. At most
 *               QL_JOURNAL_UNSYNCED_BYTES stay without a sync.
 */
#ifndef QL_ENGINE_JOURNAL_H
#define QL_ENGINE_JOURNAL_H

#include "base/base.h"
#include "base/buf.h"

#define QL_JOURNAL_SEGMENT_BYTES ((uint64_t)64 << 20)
#define QL_JOURNAL_UNSYNCED_BYTES ((size_t)256 << 10)
#define QL_JOURNAL_PAYLOAD_MAX ((uint32_t)256 << 20)

/* Kinds below 100 are doors (wire.h). */
enum ql_journal_kind {
    QL_JOURNAL_TICK = 100,   /* `now` is the tick's time; flags say QL_TICK_* */
    QL_JOURNAL_DIGEST = 101, /* what the tick with sequence `accepted` appended, per stage */
    QL_JOURNAL_CONFIG = 102, /* the settings in force from here on, as YAML */
    QL_JOURNAL_BEHIND = 103, /* records before this one were lost; the state here is that behind
                              * the record with sequence `accepted` */
    QL_JOURNAL_START = 104,  /* settings as well, where a daemon began: limits.series_max is
                              * taken too */
    QL_JOURNAL_ANEW = 105    /* the same, and all that was learnt before is forgotten; incidents
                              * are counted on from `accepted` */
};
static inline bool ql_journal_has_settings(uint16_t kind)
{
    return kind == QL_JOURNAL_CONFIG || kind == QL_JOURNAL_START || kind == QL_JOURNAL_ANEW;
}
#define QL_TICK_CHECKPOINT 1u /* state is saved right after this tick */

struct ql_journal_record {
    uint32_t magic;
    uint32_t payload_bytes;
    uint64_t checksum;   /* XXH3-64 of everything behind it, payload included */
    uint64_t sequence;
    int64_t accepted_ns; /* when the door took it: the time of records without one */
    int64_t now_ns;      /* the engine's time at this place */
    uint16_t kind;
    uint8_t encoding, format; /* ticks: format holds the flags */
    uint32_t origin_bytes;
};
_Static_assert(sizeof(struct ql_journal_record) == 48, "stored");

struct ql_journal;

QL_MUST_USE ql_err ql_journal_open(const char *dir, struct ql_journal **ret_journal,
                                   struct ql_buf *ret_why);
void ql_journal_close(struct ql_journal *journal);
uint64_t ql_journal_last(const struct ql_journal *journal);  /* newest sequence; 0: empty */
uint64_t ql_journal_bytes(const struct ql_journal *journal); /* on disk, all segments */

/* Fills magic and checksum and appends record and payload to `out`, in memory. */
ql_err ql_journal_encode(struct ql_journal_record *record, ql_str origin, ql_str body,
                         struct ql_buf *out);
/* Writes encoded records, all or nothing; `last` is the newest sequence among them. */
QL_MUST_USE ql_err ql_journal_write(struct ql_journal *journal, ql_str encoded, uint64_t last,
                                    bool sync);
/* The next write starts a new segment; QL_E_IO: it cannot be left, and the next write tries. */
QL_MUST_USE ql_err ql_journal_rotate(struct ql_journal *journal);
/* Removes whole segments all of whose records are older than `sequence`. */
QL_MUST_USE ql_err ql_journal_drop_before(struct ql_journal *journal, uint64_t sequence);

struct ql_journal_reader;
/* Starts at the first record whose sequence is at least `from`. */
QL_MUST_USE ql_err ql_journal_reader_open(const char *dir, uint64_t from,
                                          struct ql_journal_reader **ret_reader);
void ql_journal_reader_close(struct ql_journal_reader *reader);
/* QL_E_NOT_FOUND at the end; QL_E_MALFORMED with the place in ret_why for damage. */
QL_MUST_USE ql_err ql_journal_next(struct ql_journal_reader *reader,
                                   struct ql_journal_record *ret_record, ql_str *ret_origin,
                                   ql_str *ret_body, struct ql_buf *ret_why);
uint64_t ql_journal_reader_first(const struct ql_journal_reader *reader); /* of the folder */

#endif

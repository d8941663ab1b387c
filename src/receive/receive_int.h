/* receive_int.h - what the files of this folder share; nobody else includes it. */
#ifndef QL_RECEIVE_RECEIVE_INT_H
#define QL_RECEIVE_RECEIVE_INT_H

#include "receive/receive.h"
#include "wire/wire.h"

/* ---- count.c: every record that came is in one of these numbers -------------------- */

struct receive_counts {
    struct ql_stats *stats;
    struct ql_stat_cell *accepted[QL_DOOR_COUNT]; /* NULL where nothing comes in over HTTP */
};
void ql_receive_counts_init(struct receive_counts *counts, struct ql_stats *stats);
void ql_receive_count_accepted(const struct receive_counts *counts, enum ql_door door, uint64_t n);
void ql_receive_count_dropped(const struct receive_counts *counts, enum ql_door door,
                              enum ql_reason reason, uint64_t n);
void ql_receive_count_rejected(const struct receive_counts *counts, enum ql_door door,
                               const struct ql_reject *reject);
/* How many records a door put into a batch. */
uint32_t ql_receive_records(const struct ql_batch *batch);
/* The reason under which a refusal by decoder, engine or journal is counted. */
enum ql_reason ql_receive_reason(ql_err err);

/* ---- media.c: what a sender says its bytes are. Pure, fuzzed ------------------------ */

struct media {
    ql_str type;  /* "application/json", as written; compare with ql_receive_is() */
    ql_str proto; /* value of the parameter proto, or "" */
};
struct media ql_receive_media(ql_str content_type);
bool ql_receive_is(ql_str text, const char *lower_case); /* without regard to case */
/* "" and "identity" are NONE; QL_E_UNSUPPORTED for what is not taken. */
QL_MUST_USE ql_err ql_receive_encoding(ql_str content_encoding, enum ql_encoding *ret_encoding);

/* What was asked for, when it can be taken; otherwise QL_E_UNSUPPORTED with a reason. */
struct media_verdict {
    enum ql_door door;
    enum ql_encoding encoding;
    enum ql_format format;
    enum ql_reason reason;
    const char *why; /* static text: what came and what is allowed */
};
struct media_headers { ql_str content_type, content_encoding, write_version; };
QL_MUST_USE ql_err ql_receive_judge_media(enum ql_door door, const struct media_headers *headers,
                                          struct media_verdict *ret_verdict);

/* ---- window.c: samples that the engine will leave out for their time alone. Pure --------- */

struct receive_window { double ahead_s, behind_s; };
struct receive_outside {
    uint32_t count;
    char text[256]; /* about the first; set when count > 0 */
};
void ql_receive_find_outside(const struct ql_batch *batch, ql_time now,
                             const struct receive_window *window,
                             struct receive_outside *ret_outside);

/* ---- reply.c: what each kind of sender is told -------------------------------------- */

enum receive_style { STYLE_WRITE, STYLE_OTLP, STYLE_ALERTS, STYLE_CHANGES };

struct receive_outcome {
    ql_err err;              /* of the decoder, the queue or the journal; QL_OK: durable */
    uint32_t accepted_count;
    const struct ql_reject *reject;
    const struct receive_outside *outside; /* counted in accepted_count, and told as refused */
    enum ql_format format;   /* answers come in the form of the question */
    enum ql_door door;
};
void ql_receive_reply(struct ql_http_request *request, enum receive_style style,
                      const struct receive_outcome *outcome);
/* The body of a refusal as this kind of sender reads it; returns its content type. */
const char *ql_receive_refusal(enum receive_style style, enum ql_format format, unsigned status,
                               ql_str text, struct ql_buf *out);

#endif

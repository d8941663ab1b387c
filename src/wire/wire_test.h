/* wire_test.h - for the tests of this folder only: bodies by hand, batches as text. */
#ifndef QL_WIRE_WIRE_TEST_H
#define QL_WIRE_WIRE_TEST_H

#include "model/labels.h"
#include "wire/json_out.h"
#include "wire/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- protobuf by hand ------------------------------------------------------------- */

static inline void pb_varint(struct ql_buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        (void)ql_buf_u8(out, (uint8_t)(value | 0x80));
    }
    (void)ql_buf_u8(out, (uint8_t)value);
}
static inline void pb_tag(struct ql_buf *out, uint32_t number, uint32_t type)
{
    pb_varint(out, (uint64_t)number << 3 | type);
}
static inline void pb_int(struct ql_buf *out, uint32_t number, uint64_t value)
{
    pb_tag(out, number, 0);
    pb_varint(out, value);
}
static inline void pb_fixed64(struct ql_buf *out, uint32_t number, uint64_t value)
{
    pb_tag(out, number, 1);
    (void)ql_buf_u64(out, value);
}
static inline void pb_double(struct ql_buf *out, uint32_t number, double value)
{
    pb_tag(out, number, 1);
    (void)ql_buf_f64(out, value);
}
static inline void pb_bytes(struct ql_buf *out, uint32_t number, ql_str bytes)
{
    pb_tag(out, number, 2);
    pb_varint(out, bytes.bytes);
    (void)ql_buf_str(out, bytes);
}

/* ---- batches as text -------------------------------------------------------------- */

static inline void number_text(double value, struct ql_buf *out)
{
    char text[QL_DOUBLE_TEXT_BYTES];
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    if (bits == UINT64_C(0x7ff0000000000002)) {
        (void)ql_buf_text(out, "stale");
        return;
    }
    (void)ql_double_text(value, text);
    (void)ql_buf_text(out, text);
}

static inline void batch_text_runs(const struct ql_batch *b, struct ql_buf *out)
{
    static const char *const types[] = { "", " counter", " gauge", " delta" };
    for (uint32_t i = 0; i < b->runs.count; i++) {
        const struct ql_run *run = &b->runs.at[i];
        const ql_hash128 hash = ql_hash128_of(run->labels.at, run->labels.bytes);
        assert_true(ql_hash128_eq(hash, run->raw));
        assert_true(run->sample_first + run->sample_count <= b->samples.count);
        (void)ql_labels_text(run->labels, out);
        (void)ql_buf_text(out, types[run->type]);
        for (uint32_t k = 0; k < run->sample_count; k++) {
            const struct ql_sample *sample = &b->samples.at[run->sample_first + k];
            (void)ql_buf_char(out, ' ');
            number_text(sample->value, out);
            (void)ql_buf_printf(out, "@%lld", (long long)ql_time_to_ms(sample->at));
        }
        (void)ql_buf_char(out, '\n');
    }
}

static inline void batch_text_others(const struct ql_batch *b, struct ql_buf *out)
{
    char time[QL_TIME_TEXT_BYTES];
    for (uint32_t i = 0; i < b->logs.count; i++) {
        const struct ql_log *log = &b->logs.at[i];
        (void)ql_buf_printf(out, "log %lld %u %.*s/%.*s: %.*s\n",
                            (long long)ql_time_to_ms(log->at), log->severity,
                            QL_STR_ARG(log->service), QL_STR_ARG(log->host),
                            QL_STR_ARG(log->body));
    }
    for (uint32_t i = 0; i < b->spans.count; i++) {
        const struct ql_span *span = &b->spans.at[i];
        (void)ql_buf_printf(out, "span %02x%02x %llx<%llx %lld+%lldns kind %u%s %.*s %.*s -> "
            "%.*s\n",
                            span->trace_id[0], span->trace_id[15],
                            (unsigned long long)span->span_id,
                            (unsigned long long)span->parent_id,
                            (long long)ql_time_to_ms(span->start), (long long)span->duration.ns,
                            span->kind, span->error ? " error" : "", QL_STR_ARG(span->service),
                            QL_STR_ARG(span->operation), QL_STR_ARG(span->peer));
    }
    for (uint32_t i = 0; i < b->alerts_in.count; i++) {
        const struct ql_alert_in *alert = &b->alerts_in.at[i];
        (void)ql_buf_text(out, "alert ");
        (void)ql_labels_text(alert->labels, out);
        (void)ql_buf_char(out, ' ');
        (void)ql_labels_text(alert->annotations, out);
        (void)ql_buf_printf(out, " %s", ql_time_text(alert->starts, time));
        (void)ql_buf_printf(out, " to %s %.*s\n",
                            ql_time_text(alert->ends, time),
                            QL_STR_ARG(alert->generator_url));
    }
    for (uint32_t i = 0; i < b->changes_in.count; i++) {
        const struct ql_change_in *change = &b->changes_in.at[i];
        (void)ql_buf_printf(out, "change %s %.*s|%.*s|%.*s|%.*s|%.*s\n",
                            ql_time_text(change->at, time), QL_STR_ARG(change->kind),
                            QL_STR_ARG(change->entity), QL_STR_ARG(change->summary),
                            QL_STR_ARG(change->source), QL_STR_ARG(change->link));
    }
}

static inline void reject_text(const struct ql_reject *reject, struct ql_buf *out)
{
    for (int i = 0; i < QL_REASON_COUNT; i++) {
        if (reject->counts[i] > 0) {
            (void)ql_buf_printf(out, "%s %u\n", ql_reason_text((enum ql_reason)i),
                                reject->counts[i]);
        }
    }
    if (reject->total > 0) {
        (void)ql_buf_printf(out, "%s\n", reject->text);
    }
}

/* ---- running a decoder ------------------------------------------------------------ */

#define TEST_ACCEPTED QL_TIME_S(1767225600) /* 2026-01-01T00:00:00Z */
#define QL_TIME_S(n) ((ql_time){ (int64_t)(n) * QL_NS_PER_S })

/* Records as text, then "!ERROR" when the request was refused, then what was left out. */
static inline void decode_text(const struct ql_wire_input *in, struct ql_buf *out)
{
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 20 };
    struct ql_reject reject = { 0 };
    struct ql_batch batch;
    /* A copy of exactly the body's size, which is gone before the records are read. */
    struct ql_wire_input copy = *in;
    char *body = malloc(in->body.bytes > 0 ? in->body.bytes : 1);
    assert_non_null(body);
    if (in->body.bytes > 0) {
        memcpy(body, in->body.at, in->body.bytes);
    }
    copy.body.at = body;
    copy.accepted = TEST_ACCEPTED;
    ql_batch_init(&batch, 1 << 24);
    const ql_err err = ql_wire_decode(&copy, &limits, &batch, &reject);
    free(body);
    if (err == QL_OK) {
        batch_text_runs(&batch, out);
        batch_text_others(&batch, out);
    } else {
        (void)ql_buf_printf(out, "!%s\n", ql_err_name(err));
        assert_true(reject.total > 0);
    }
    reject_text(&reject, out);
    ql_batch_fini(&batch);
}

static inline void decode_check(const char *story, const struct ql_wire_input *in, const char *want)
{
    struct ql_buf got;
    ql_buf_init(&got, 1 << 20);
    decode_text(in, &got);
    (void)ql_buf_put(&got, "", 0);
    const char *text = got.bytes > 0 ? got.at : "";
    if (strcmp(text, want) != 0) {
        fail_msg("%s\n--- want\n%s--- got\n%s", story, want, text);
    }
    ql_buf_fini(&got);
}

/* Every prefix is read or refused; sanitizers watch that nothing past it is touched. */
static inline void decode_cut(const struct ql_wire_input *in)
{
    for (size_t cut = 0; cut < in->body.bytes; cut++) {
        struct ql_wire_input part = *in;
        struct ql_buf got;
        part.body.bytes = cut;
        ql_buf_init(&got, 1 << 20);
        decode_text(&part, &got);
        ql_buf_fini(&got);
    }
}

#endif

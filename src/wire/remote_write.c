/* remote_write.c - Prometheus remote write 1.0: a WriteRequest to runs and samples.
 *
 * Good for     what senders really send: names ascending, one sample a series. Such a
 *              series costs one walk over its label lengths and one hash of its label
 *              bytes; no label is copied and no name is looked up.
 * Bad for      label fields scattered between samples (legal, never seen): these series
 *              are gathered into the arena first.
 * Method       fast path by the shape of the bytes; whatever does not fit it exactly is
 *              read again by the plain protobuf reader, which alone decides what is wrong.
 *              So there is one set of rules, and the fast path can only say "fine".
 * Cost         see remote_write_bench.c; docs/wire.md has the figures.
 *
 * WriteRequest { 1 TimeSeries*, 3 MetricMetadata* }
 * TimeSeries   { 1 Label* { 1 name, 2 value }, 2 Sample* { 1 double value, 2 int64 ms },
 *                3 Exemplar*, 4 Histogram* }
 */
#include "model/labels.h"
#include "wire/pb.h"
#include "wire/wire_int.h"

#include <stdio.h>

/* Elements taken from the batch at once; what is left over is given back at the end. */
enum { TAKE_COUNT = 1024 };
/* Past this a time does not fit nanoseconds in 64 bits: 9e12 ms is the year 2255. */
#define TIME_MS_MAX INT64_C(9000000000000)

struct rw {
    const struct ql_wire_job *job;
    struct ql_batch *out;
    uint32_t runs_left, samples_left; /* taken from the batch and not yet used */
    uint32_t series_index;            /* in the request, for texts */
    uint32_t metadata_count;
};

static struct ql_run *rw_run_take(struct rw *w)
{
    if (w->runs_left == 0) {
        w->runs_left = ql_batch_more_runs(w->out, TAKE_COUNT) != NULL ? TAKE_COUNT
                       : ql_batch_more_runs(w->out, 1) != NULL        ? 1
                                                                      : 0;
        if (w->runs_left == 0) {
            return NULL;
        }
    }
    return &w->out->runs.at[w->out->runs.count - w->runs_left--];
}

static uint32_t rw_sample_index(const struct rw *w)
{
    return w->out->samples.count - w->samples_left;
}

static struct ql_sample *rw_sample_take(struct rw *w)
{
    if (w->samples_left == 0) {
        w->samples_left = ql_batch_more_samples(w->out, TAKE_COUNT) != NULL ? TAKE_COUNT
                          : ql_batch_more_samples(w->out, 1) != NULL        ? 1
                                                                            : 0;
        if (w->samples_left == 0) {
            return NULL;
        }
    }
    return &w->out->samples.at[w->out->samples.count - w->samples_left--];
}

static void rw_give_back(struct rw *w)
{
    w->out->runs.count -= w->runs_left;
    w->out->samples.count -= w->samples_left;
    w->runs_left = w->samples_left = 0;
}

static ql_err rw_malformed(const struct rw *w, const char *what)
{
    ql_reject_add(w->job->reject, QL_REASON_MALFORMED, "remote write: series %u: %s",
                  w->series_index, what);
    return QL_E_MALFORMED;
}

static ql_err rw_full(const struct rw *w)
{
    ql_reject_add(w->job->reject, QL_REASON_TOO_LARGE,
                  "remote write: series %u: more series or samples than one request may hold; "
                  "send smaller requests", w->series_index);
    return QL_E_FULL;
}

/* ---- the fast path ---------------------------------------------------------------- */

static uint64_t rw_high_bits(const uint8_t *at, size_t bytes)
{
    uint64_t seen = 0;
    for (; bytes >= 32; at += 32, bytes -= 32) {
        seen |= ql_pb_load64(at) | ql_pb_load64(at + 8) | ql_pb_load64(at + 16) |
                ql_pb_load64(at + 24);
    }
    for (; bytes >= 8; at += 8, bytes -= 8) {
        seen |= ql_pb_load64(at);
    }
    /* The slack behind every body makes this load safe; the mask drops what is not ours. */
    seen |= ql_pb_load64(at) & ~(~UINT64_C(0) << (8 * bytes));
    return seen & UINT64_C(0x8080808080808080);
}

/* The first eight bytes of a name as a number that compares as the bytes do. */
static inline uint64_t rw_name_key(const uint8_t *name, size_t bytes)
{
    const uint64_t key = __builtin_bswap64(ql_pb_load64(name));
    return bytes >= 8 ? key : key & ~(~UINT64_C(0) >> (8 * bytes));
}

/* The end of a label block that is surely well-formed, in order, named, ASCII and within
 * the limits; NULL when that cannot be said cheaply, which says nothing against it. */
static const uint8_t *rw_labels_walk(const uint8_t *at, const uint8_t *end)
{
    static const uint64_t name_key = UINT64_C(0x5f5f6e616d655f5f); /* "__name__" */
    const uint8_t *const start = at, *before = at;
    uint64_t key_before = 0;
    size_t before_bytes = 0;
    uint32_t count = 0;
    bool named = false;
    while (at < end && *at == 0x0A) {
        /* 0x0A pair_bytes 0x0A name_bytes name 0x12 value_bytes value, lengths below 128. */
        const size_t left = (size_t)(end - at);
        const size_t pair_bytes = at[1]; /* slack: at[3] may be read in any case */
        const size_t name_bytes = at[3];
        const uint8_t *const name = at + 4;
        if (pair_bytes + 2 > left || name_bytes + 4 > pair_bytes || at[2] != 0x0A ||
            name_bytes == 0 || name[name_bytes] != 0x12 ||
            name[name_bytes + 1] != pair_bytes - name_bytes - 4 || pair_bytes >= 0x80) {
            return NULL;
        }
        const uint64_t key = rw_name_key(name, name_bytes);
        if (key <= key_before &&
            (key < key_before || ql_str_cmp((ql_str){ (const char *)before, before_bytes },
                                            (ql_str){ (const char *)name, name_bytes }) >= 0)) {
            return NULL;
        }
        named |= key == name_key && name_bytes == 8 && pair_bytes > 12;
        before = name;
        before_bytes = name_bytes;
        key_before = key;
        count++;
        at += 2 + pair_bytes;
    }
    if (!named || count > QL_LABELS_COUNT_MAX || (size_t)(at - start) > QL_LABELS_BYTES_MAX ||
        rw_high_bits(start, (size_t)(at - start)) != 0) {
        return NULL;
    }
    return at;
}

/* A sample as Prometheus writes it for times from 2004 to 2109: 0x12 16 0x09 value 0x10
 * and six bytes of time. */
static inline bool rw_sample_walk(const uint8_t *at, struct ql_sample *ret_sample)
{
    if (at[0] != 0x12 || at[1] != 16 || at[2] != 0x09 || at[11] != 0x10 ||
        (ql_pb_load64(at + 12) & UINT64_C(0x808080808080)) != UINT64_C(0x008080808080)) {
        return false;
    }
    const uint64_t t = ql_pb_load64(at + 12);
    const uint64_t ms = (t & 0x7f) | (t >> 1 & 0x3f80) | (t >> 2 & 0x1fc000) |
                        (t >> 3 & 0xfe00000) | (t >> 4 & 0x7f0000000) | (t >> 5 & 0x3f800000000);
    ret_sample->at.ns = (int64_t)ms * 1000000;
    memcpy(&ret_sample->value, at + 3, sizeof(ret_sample->value));
    return true;
}

/* One series with one or more samples in the usual shape; false: read it the plain way. */
static bool rw_series_fast(struct rw *w, ql_str series, ql_err *ret_err)
{
    const uint8_t *at = (const uint8_t *)series.at, *const end = at + series.bytes;
    const uint8_t *const labels = at;
    at = rw_labels_walk(at, end);
    if (at == NULL || (size_t)(end - at) % 18 != 0 || at == end) {
        return false;
    }
    const uint32_t first = rw_sample_index(w);
    const size_t labels_bytes = (size_t)(at - labels);
    for (; at < end; at += 18) {
        struct ql_sample *sample = rw_sample_take(w);
        if (sample == NULL) {
            *ret_err = rw_full(w);
            return true;
        }
        if (!rw_sample_walk(at, sample)) {
            w->samples_left += rw_sample_index(w) - first;
            return false;
        }
    }
    struct ql_run *run = rw_run_take(w);
    if (run == NULL) {
        *ret_err = rw_full(w);
        return true;
    }
    *run = (struct ql_run){ .raw = ql_hash128_of(labels, labels_bytes),
                            .labels = { (const char *)labels, labels_bytes },
                            .sample_first = first,
                            .sample_count = rw_sample_index(w) - first };
    return true;
}

/* ---- the plain path --------------------------------------------------------------- */

/* The label fields of one series: usually one stretch of bytes. */
struct rw_labels {
    const uint8_t *start, *end; /* of the stretch; NULL while there is none */
    size_t bytes;               /* of all label fields */
    bool scattered;
};

static void rw_labels_see(struct rw_labels *labels, const uint8_t *from, const uint8_t *to)
{
    if (labels->start == NULL) {
        labels->start = from;
    } else if (labels->end != from) {
        labels->scattered = true;
    }
    labels->end = to;
    labels->bytes += (size_t)(to - from);
}

/* Copies the label fields of a series next to each other. */
static ql_err rw_labels_gather(struct rw *w, ql_str series, size_t bytes, ql_str *ret_block)
{
    char *block = ql_arena_take(&w->out->arena, bytes);
    if (block == NULL) {
        return rw_full(w);
    }
    size_t used = 0;
    struct ql_pb pb = ql_pb_of(series);
    for (const uint8_t *from = pb.at; ; from = pb.at) {
        struct ql_pb_field field;
        if (!ql_pb_next(&pb, &field)) {
            break;
        }
        if (field.number == 1) {
            memcpy(block + used, from, (size_t)(pb.at - from));
            used += (size_t)(pb.at - from);
        }
    }
    QL_ASSERT(used == bytes);
    *ret_block = (ql_str){ block, bytes };
    return QL_OK;
}

static ql_err rw_sample_read(struct rw *w, ql_str message)
{
    struct ql_pb pb = ql_pb_of(message);
    double value = 0.0; /* a field that is absent is zero in proto3 */
    int64_t ms = 0;
    for (struct ql_pb_field field; ql_pb_next(&pb, &field);) {
        if (field.number == 1 && field.type == QL_PB_FIXED64) {
            value = ql_pb_double(&field);
        } else if (field.number == 2 && field.type == QL_PB_VARINT) {
            ms = (int64_t)field.value;
        }
    }
    if (pb.failed) {
        return rw_malformed(w, "a sample is cut off or no protobuf message");
    }
    if (ms > TIME_MS_MAX || ms < -TIME_MS_MAX) {
        ql_reject_add(w->job->reject, QL_REASON_TIME,
                      "remote write: series %u: time %lld ms; times are milliseconds since 1970, "
                      "at most %lld", w->series_index, (long long)ms, (long long)TIME_MS_MAX);
        return QL_OK;
    }
    struct ql_sample *sample = rw_sample_take(w);
    if (sample == NULL) {
        return rw_full(w);
    }
    *sample = (struct ql_sample){ ql_time_from_ms(ms), value };
    return QL_OK;
}

static void rw_unsupported(struct rw *w, const char *what)
{
    ql_reject_add(w->job->reject, QL_REASON_UNSUPPORTED,
                  "remote write: series %u: %s is not taken; only samples are", w->series_index,
                  what);
}

static ql_err rw_series_fields(struct rw *w, ql_str series, struct rw_labels *labels)
{
    struct ql_pb pb = ql_pb_of(series);
    for (const uint8_t *from = pb.at;; from = pb.at) {
        struct ql_pb_field field;
        if (!ql_pb_next(&pb, &field)) {
            return pb.failed ? rw_malformed(w, "its fields are cut off or no protobuf message")
                             : QL_OK;
        }
        if (field.number > 4 || field.number == 0) {
            continue; /* a field of a later version */
        }
        if (field.type != QL_PB_BYTES) {
            return rw_malformed(w, "a field has another wire type than the protocol gives it");
        }
        ql_err err = QL_OK;
        switch (field.number) {
        case 1: rw_labels_see(labels, from, pb.at); break;
        case 2: err = rw_sample_read(w, field.bytes); break;
        case 3: rw_unsupported(w, "an exemplar"); break;
        default: rw_unsupported(w, "a native histogram"); break;
        }
        if (err != QL_OK) {
            return err;
        }
    }
}

static bool rw_name_twice(ql_str block, ql_str *ret_name)
{
    struct ql_label one, other;
    for (size_t i = 0; ql_labels_next(block, &i, &one);) {
        for (size_t j = i; ql_labels_next(block, &j, &other);) {
            if (ql_str_eq(one.name, other.name)) {
                *ret_name = one.name;
                return true;
            }
        }
    }
    return false;
}

/* True when the labels may stand; else `count` records are refused with the reason. */
static bool rw_labels_fine(struct rw *w, ql_str block, uint32_t count)
{
    bool canonical;
    ql_str name = { "", 0 };
    enum ql_reason reason = QL_REASON_COUNT;
    char what[200] = "";
    switch (ql_labels_check(block, &canonical)) {
    case QL_OK:
        if (ql_labels_get(block, QL_STR("__name__")).bytes == 0) {
            reason = QL_REASON_NO_NAME;
            (void)snprintf(what, sizeof(what), "no label \"__name__\"; every series needs one");
        }
        break;
    case QL_E_CONFLICT:
        reason = QL_REASON_DUPLICATE_LABEL;
        (void)rw_name_twice(block, &name);
        (void)snprintf(what, sizeof(what), "label \"%.*s\" stands twice; names must be unique",
                       name.bytes > 64 ? 64 : (int)name.bytes, name.at);
        break;
    case QL_E_RANGE:
        reason = QL_REASON_LABEL_LIMIT;
        (void)snprintf(what, sizeof(what), "more than %u labels or %u bytes of them",
                       QL_LABELS_COUNT_MAX, QL_LABELS_BYTES_MAX);
        break;
    default:
        reason = QL_REASON_MALFORMED;
        (void)snprintf(what, sizeof(what), "a label without a name, cut off or not UTF-8");
    }
    for (uint32_t i = 0; reason != QL_REASON_COUNT && i < count; i++) {
        ql_reject_add(w->job->reject, reason, "remote write: series %u: %s", w->series_index,
                      what);
    }
    return reason == QL_REASON_COUNT;
}

static ql_err rw_series_plain(struct rw *w, ql_str series)
{
    struct rw_labels labels = { 0 };
    const uint32_t first = rw_sample_index(w);
    ql_err err = rw_series_fields(w, series, &labels);
    if (err != QL_OK) {
        return err;
    }
    const uint32_t count = rw_sample_index(w) - first;
    ql_str block = { labels.start == NULL ? "" : (const char *)labels.start, labels.bytes };
    if (labels.scattered) {
        err = rw_labels_gather(w, series, labels.bytes, &block);
        if (err != QL_OK) {
            return err;
        }
    }
    if (!rw_labels_fine(w, block, count > 0 ? count : 1) || count == 0) {
        w->samples_left += count;
        return QL_OK;
    }
    struct ql_run *run = rw_run_take(w);
    if (run == NULL) {
        return rw_full(w);
    }
    *run = (struct ql_run){ .raw = ql_hash128_of(block.at, block.bytes), .labels = block,
                            .sample_first = first, .sample_count = count };
    return QL_OK;
}

/* ---- the request ------------------------------------------------------------------ */

static ql_err rw_series(struct rw *w, ql_str series)
{
    ql_err err = QL_OK;
    if (!rw_series_fast(w, series, &err)) {
        err = rw_series_plain(w, series);
    }
    w->series_index++;
    return err;
}

static ql_err rw_request(struct rw *w, ql_str body)
{
    struct ql_pb pb = ql_pb_of(body);
    while (pb.at < pb.end) {
        struct ql_pb_field field = { .number = 1, .type = QL_PB_BYTES };
        const uint8_t *next = *pb.at == 0x0A ? ql_pb_slice(pb.at + 1, pb.end, &field.bytes) : NULL;
        if (next != NULL) {
            pb.at = next;
        } else if (!ql_pb_next(&pb, &field)) {
            return rw_malformed(w, "the request is cut off here or no protobuf message");
        }
        ql_err err = QL_OK;
        if (field.number == 1) {
            err = field.type == QL_PB_BYTES
                      ? rw_series(w, field.bytes)
                      : rw_malformed(w, "a series is a length-delimited message");
        } else if (field.number == 3 && field.type == QL_PB_BYTES) {
            w->metadata_count++;
        }
        if (err != QL_OK) {
            return err;
        }
    }
    return QL_OK;
}

ql_err ql_remote_write_decode(const struct ql_wire_job *job)
{
    struct rw w = { .job = job, .out = job->out };
    ql_err err = rw_request(&w, job->body);
    rw_give_back(&w);
    if (err == QL_OK && w.metadata_count > 0 && job->out->runs.count > 0) {
        err = ql_remote_write_types(job);
    }
    return err;
}

/* remote_write_fuzz - any bytes as a request: what is accepted keeps its promises, and the
 * fast path says what the plain path says. */
#include "model/labels.h"
#include "wire/pb.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ql_err body_decode(ql_str body, struct ql_batch *batch, struct ql_reject *reject)
{
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 20 };
    const struct ql_wire_input in = { .door = QL_DOOR_REMOTE_WRITE, .format = QL_FORMAT_PROTOBUF,
                                      .body = body };
    *reject = (struct ql_reject){ 0 };
    ql_batch_reset(batch);
    return ql_wire_decode(&in, &limits, batch, reject);
}

static void batch_check(const struct ql_batch *batch)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < batch->runs.count; i++) {
        const struct ql_run *run = &batch->runs.at[i];
        bool canonical;
        QL_ASSERT(run->sample_first == next);
        QL_ASSERT(run->sample_count > 0);
        next += run->sample_count;
        QL_ASSERT(ql_labels_check(run->labels, &canonical) == QL_OK);
        QL_ASSERT(ql_labels_get(run->labels, QL_STR("__name__")).bytes > 0);
        QL_ASSERT(ql_hash128_eq(run->raw, ql_hash128_of(run->labels.at, run->labels.bytes)));
    }
    QL_ASSERT(next == batch->samples.count);
}

static void varint_put(struct ql_buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        (void)ql_buf_u8(out, (uint8_t)(value | 0x80));
    }
    (void)ql_buf_u8(out, (uint8_t)value);
}

/* The same request with an unknown field behind each series, which the fast path refuses. */
static void body_make_plain(ql_str body, struct ql_buf *out)
{
    struct ql_pb pb = ql_pb_of(body);
    for (const uint8_t *from = pb.at;; from = pb.at) {
        struct ql_pb_field field;
        if (!ql_pb_next(&pb, &field)) {
            return;
        }
        if (field.number != 1 || field.type != QL_PB_BYTES) {
            (void)ql_buf_put(out, from, (size_t)(pb.at - from));
            continue;
        }
        (void)ql_buf_u8(out, 0x0A);
        varint_put(out, field.bytes.bytes + 2);
        (void)ql_buf_str(out, field.bytes);
        (void)ql_buf_put(out, "\x78\x01", 2);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ql_batch one, other;
    struct ql_reject reject_one, reject_other;
    struct ql_buf plain;
    ql_batch_init(&one, 1 << 24);
    ql_batch_init(&other, 1 << 24);
    ql_buf_init(&plain, 1 << 20);
    if (body_decode((ql_str){ (const char *)data, size }, &one, &reject_one) == QL_OK) {
        batch_check(&one);
        body_make_plain((ql_str){ (const char *)data, size }, &plain);
        if (ql_buf_check(&plain) == QL_OK) {
            QL_ASSERT(body_decode(ql_buf_view(&plain), &other, &reject_other) == QL_OK);
            QL_ASSERT(ql_batch_digest(&one, QL_LIST_runs, 0, 1) ==
                      ql_batch_digest(&other, QL_LIST_runs, 0, 1));
            QL_ASSERT(ql_batch_digest(&one, QL_LIST_samples, 0, 1) ==
                      ql_batch_digest(&other, QL_LIST_samples, 0, 1));
            QL_ASSERT(memcmp(&reject_one, &reject_other, sizeof(reject_one)) == 0);
        }
    }
    ql_buf_fini(&plain);
    ql_batch_fini(&other);
    ql_batch_fini(&one);
    return 0;
}

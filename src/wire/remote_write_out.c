#include "wire/remote_write_out.h"

#include <snappy-c.h>

enum { VARINT_BYTES_MAX = 10 };

void ql_remote_write_out_init(struct ql_remote_write_out *out, size_t bytes_max)
{
    *out = (struct ql_remote_write_out){ .series_count = 0 };
    ql_buf_init(&out->plain, bytes_max);
    ql_buf_init(&out->packed, bytes_max + bytes_max / 6 + 64); /* what snappy may need at worst */
}

void ql_remote_write_out_fini(struct ql_remote_write_out *out)
{
    ql_buf_fini(&out->plain);
    ql_buf_fini(&out->packed);
}

void ql_remote_write_out_begin(struct ql_remote_write_out *out)
{
    ql_buf_reset(&out->plain);
    ql_buf_reset(&out->packed);
    out->series_count = out->sample_count = 0;
}

static size_t varint_put(char out[VARINT_BYTES_MAX], uint64_t value)
{
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7) {
        out[bytes++] = (char)(unsigned char)(value | 0x80);
    }
    out[bytes++] = (char)(unsigned char)value;
    return bytes;
}

/* Sample { double value = 1; int64 timestamp = 2; } as field 2 of its series. */
enum { SAMPLE_BYTES_MAX = 2 + 9 + 1 + VARINT_BYTES_MAX };
static size_t sample_put(char out[SAMPLE_BYTES_MAX], struct ql_sample sample)
{
    const uint64_t ms = (uint64_t)ql_time_to_ms(sample.at);
    char *const body = out + 2;
    body[0] = 0x09;
    memcpy(body + 1, &sample.value, sizeof(sample.value)); /* little-endian, as the wire */
    body[9] = 0x10;
    const size_t bytes = 10 + varint_put(body + 10, ms);
    out[0] = 0x12;
    out[1] = (char)bytes;
    return bytes + 2;
}

ql_err ql_remote_write_out_add(struct ql_remote_write_out *out, ql_str labels,
                               const struct ql_sample *samples, uint32_t count)
{
    char sample[SAMPLE_BYTES_MAX], head[1 + VARINT_BYTES_MAX] = { 0x0a };
    size_t bytes = labels.bytes;
    char *room;
    for (uint32_t i = 0; i < count; i++) {
        bytes += sample_put(sample, samples[i]);
    }
    const size_t head_bytes = 1 + varint_put(head + 1, bytes);
    const ql_err err = ql_buf_reserve(&out->plain, head_bytes + bytes, &room);
    if (err != QL_OK) {
        out->plain.failed = false; /* what stands in it already is whole */
        return err;
    }
    (void)ql_buf_put(&out->plain, head, head_bytes);
    (void)ql_buf_str(&out->plain, labels);
    for (uint32_t i = 0; i < count; i++) {
        (void)ql_buf_put(&out->plain, sample, sample_put(sample, samples[i]));
    }
    out->series_count++;
    out->sample_count += count;
    return QL_OK;
}

ql_err ql_remote_write_out_finish(struct ql_remote_write_out *out, ql_str *ret_body)
{
    const ql_str plain = ql_buf_view(&out->plain);
    size_t bytes = snappy_max_compressed_length(plain.bytes);
    char *room;
    const ql_err err = ql_buf_reserve(&out->packed, bytes, &room);
    if (err != QL_OK) {
        return err;
    }
    const snappy_status status = snappy_compress(plain.at, plain.bytes, room, &bytes);
    QL_ASSERT(status == SNAPPY_OK);
    ql_buf_advance(&out->packed, bytes);
    *ret_body = ql_buf_view(&out->packed);
    return QL_OK;
}

/* chunk_fuzz - any bytes are either a chunk or refused; any samples come back exactly. */
#include "store/chunk.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_anything(const uint8_t *data, size_t size)
{
    static struct ql_sample samples[QL_CHUNK_SAMPLES_MAX];
    uint32_t count = 0;
    if (ql_chunk_read(data, size, samples, &count) == QL_OK) {
        QL_ASSERT(count <= QL_CHUNK_SAMPLES_MAX);
        for (uint32_t i = 1; i < count; i++) {
            QL_ASSERT(samples[i].at.ns > samples[i - 1].at.ns);
        }
    }
}

/* 12 bytes a sample: time step, then the value's bits; odd steps make a short decimal. */
static void append_and_read(const uint8_t *data, size_t size)
{
    static struct ql_sample in[QL_CHUNK_SAMPLES_MAX], out[QL_CHUNK_SAMPLES_MAX];
    struct ql_chunk chunk;
    uint32_t in_count = 0, out_count = 0;
    int64_t at_ms = 0;
    ql_chunk_init(&chunk);
    for (; size >= 12; data += 12, size -= 12) {
        uint32_t step;
        struct ql_sample sample;
        memcpy(&step, data, sizeof(step));
        memcpy(&sample.value, data + 4, sizeof(sample.value));
        at_ms += step >> 1;
        if ((step & 1) != 0) {
            int16_t digits;
            memcpy(&digits, data + 4, sizeof(digits));
            sample.value = (double)digits / 100.0;
        }
        sample.at = ql_time_from_ms(at_ms);
        if (ql_chunk_append(&chunk, sample)) {
            in[in_count++] = sample;
        }
    }
    const ql_err err = ql_chunk_read(&chunk, ql_chunk_used(&chunk), out, &out_count);
    QL_ASSERT(err == QL_OK);
    QL_ASSERT(out_count == in_count);
    for (uint32_t i = 0; i < in_count; i++) {
        QL_ASSERT(out[i].at.ns == in[i].at.ns);
        QL_ASSERT(memcmp(&out[i].value, &in[i].value, sizeof(double)) == 0);
    }
}

/* Two bytes of count, two of bits, then a stream. */
static void read_any_stream(const uint8_t *data, size_t size)
{
    static struct ql_sample samples[UINT16_MAX];
    uint16_t count, bits;
    if (size < 4) {
        return;
    }
    memcpy(&count, data, sizeof(count));
    memcpy(&bits, data + 2, sizeof(bits));
    const ql_str stream = { (const char *)data + 4, size - 4 };
    if (ql_chunk_read_stream(0, count, bits, stream, samples) == QL_OK) {
        for (uint32_t i = 1; i < count; i++) {
            QL_ASSERT(samples[i].at.ns > samples[i - 1].at.ns);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    read_any_stream(data, size);
    read_anything(data, size);
    append_and_read(data, size);
    return 0;
}

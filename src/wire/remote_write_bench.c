/* remote_write_bench - what one sample of remote write costs, step by step.
 *
 *   usage: wire_remote_write_bench [FILE [ROUNDS]]
 *
 * FILE holds bodies, each behind its length as 32 bits little-endian (snappy), as
 * rwenc writes them. Without one: 100,000 series of ten labels, 10,000 to a request.
 * Figures are CPU time of this thread, best of the rounds.
 */
#include "base/clock.h"
#include "base/file.h"
#include "model/labels.h"
#include "wire/inflate.h"
#include "wire/pb.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <snappy-c.h>

enum { SERIES_COUNT = 100000, REQUEST_SERIES = 10000, BODIES_MAX = 4096 };

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void varint_put(struct ql_buf *out, uint64_t value)
{
    for (; value >= 0x80; value >>= 7) {
        (void)ql_buf_u8(out, (uint8_t)(value | 0x80));
    }
    (void)ql_buf_u8(out, (uint8_t)value);
}

static void series_put(struct ql_buf *out, uint32_t i, struct ql_buf *labels)
{
    static const char *const names[] = { "node_cpu_seconds_total", "http_requests_total",
                                         "container_memory_working_set_bytes",
                                         "http_request_duration_seconds_bucket",
                                         "go_goroutines" };
    static const char *const methods[] = { "GET", "POST", "PUT", "DELETE" };
    static const char *const statuses[] = { "200", "201", "404", "500", "503" };
    const uint32_t pod = i / 50, node = pod / 20;
    ql_buf_reset(labels);
    char text[512];
    (void)snprintf(text, sizeof(text),
                   "%s{cluster=\"prod-eu-%u\",container=\"app-%u\",instance=\"10.%u.%u.%u:9100\","
                   "job=\"kubernetes-pods\",method=\"%s\",namespace=\"team-%u\","
                   "pod=\"checkout-service-%08x-%05x\",status=\"%s\",zone=\"shard-%u\"}",
                   names[i % 5], node / 100, pod % 7, node >> 16 & 255, node >> 8 & 255,
                   node & 255, methods[i / 10 % 4], pod % 40, pod * 2654435761u, pod & 0xfffff,
                   statuses[i / 10 % 5], i % 50);
    QL_ASSERT(ql_labels_parse(ql_str_of(text), labels) == QL_OK);
    (void)ql_buf_u8(out, 0x0A);
    varint_put(out, labels->bytes + 18);
    (void)ql_buf_put(out, labels->at, labels->bytes);
    (void)ql_buf_put(out, "\x12\x10\x09", 3);
    (void)ql_buf_f64(out, (double)(i * 7919u % 1000000u) / 100.0);
    (void)ql_buf_u8(out, 0x10);
    varint_put(out, UINT64_C(1767225600000) + i % 7);
}

static void bodies_make(struct ql_buf *file)
{
    struct ql_buf body, labels;
    ql_buf_init(&body, 1 << 26);
    ql_buf_init(&labels, 1 << 16);
    for (uint32_t first = 0; first < SERIES_COUNT; first += REQUEST_SERIES) {
        ql_buf_reset(&body);
        for (uint32_t i = first; i < first + REQUEST_SERIES; i++) {
            series_put(&body, i, &labels);
        }
        size_t bytes = snappy_max_compressed_length(body.bytes);
        char *packed = malloc(bytes);
        QL_ASSERT(packed != NULL);
        QL_ASSERT(snappy_compress(body.at, body.bytes, packed, &bytes) == SNAPPY_OK);
        (void)ql_buf_u32(file, (uint32_t)bytes);
        QL_ASSERT(ql_buf_put(file, packed, bytes) == QL_OK);
        free(packed);
    }
    ql_buf_fini(&labels);
    ql_buf_fini(&body);
}

struct bodies {
    ql_str packed[BODIES_MAX];
    struct ql_blob *plain[BODIES_MAX];
    uint32_t count;
    size_t packed_bytes, plain_bytes;
};

static void bodies_open(struct ql_buf *file, struct bodies *b)
{
    struct ql_reader r = ql_reader_of(ql_buf_view(file));
    while (ql_reader_left(&r) > 4 && b->count < BODIES_MAX) {
        ql_str *packed = &b->packed[b->count];
        *packed = ql_reader_lstr(&r);
        QL_ASSERT(ql_inflate(QL_ENCODING_SNAPPY, *packed, 1 << 28, &b->plain[b->count]) == QL_OK);
        b->packed_bytes += packed->bytes;
        b->plain_bytes += ql_blob_view(b->plain[b->count]).bytes;
        b->count++;
    }
}

struct figures { double inflate_s, decode_s, hash_s, both_s; uint64_t samples, check; };

static double inflate_run(const struct bodies *b)
{
    const double start = cpu_s();
    for (uint32_t i = 0; i < b->count; i++) {
        struct ql_blob *blob;
        QL_ASSERT(ql_inflate(QL_ENCODING_SNAPPY, b->packed[i], 1 << 28, &blob) == QL_OK);
        ql_blob_unref(blob);
    }
    return cpu_s() - start;
}

static double decode_run(const struct bodies *b, bool packed, struct ql_batch *batch,
                         uint64_t *ret_samples)
{
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 28 };
    struct ql_reject reject = { 0 };
    uint64_t samples = 0;
    const double start = cpu_s();
    for (uint32_t i = 0; i < b->count; i++) {
        const struct ql_wire_input in = {
            .door = QL_DOOR_REMOTE_WRITE, .format = QL_FORMAT_PROTOBUF,
            .encoding = packed ? QL_ENCODING_SNAPPY : QL_ENCODING_NONE,
            .body = packed ? b->packed[i] : ql_blob_view(b->plain[i]),
        };
        ql_batch_reset(batch);
        QL_ASSERT(ql_wire_decode(&in, &limits, batch, &reject) == QL_OK);
        samples += batch->samples.count;
    }
    const double end = cpu_s();
    QL_ASSERT(reject.total == 0);
    *ret_samples = samples;
    return end - start;
}

/* The hash alone, over label blocks that the decoder found. */
static double hash_run(const struct bodies *b, struct ql_batch *batch, uint64_t *check)
{
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 28 };
    struct ql_reject reject = { 0 };
    double sum_s = 0.0;
    for (uint32_t i = 0; i < b->count; i++) {
        const struct ql_wire_input in = { .door = QL_DOOR_REMOTE_WRITE,
                                          .format = QL_FORMAT_PROTOBUF,
                                          .body = ql_blob_view(b->plain[i]) };
        ql_batch_reset(batch);
        QL_ASSERT(ql_wire_decode(&in, &limits, batch, &reject) == QL_OK);
        const double start = cpu_s();
        for (uint32_t k = 0; k < batch->runs.count; k++) {
            const ql_str labels = batch->runs.at[k].labels;
            *check ^= ql_hash128_of(labels.at, labels.bytes).low;
        }
        sum_s += cpu_s() - start;
    }
    return sum_s;
}

static double copy_run(const struct bodies *b)
{
    const double start = cpu_s();
    for (uint32_t i = 0; i < b->count; i++) {
        struct ql_blob *blob;
        QL_ASSERT(ql_inflate(QL_ENCODING_NONE, ql_blob_view(b->plain[i]), 1 << 28, &blob) == QL_OK);
        ql_blob_unref(blob);
    }
    return cpu_s() - start;
}

static void line_print(const char *what, double best_s, uint64_t samples)
{
    (void)printf("%-34s %7.1f ns/sample  %7.2f M samples/s\n", what,
                 best_s / (double)samples * 1e9, (double)samples / best_s / 1e6);
}

static double least(double a, double b)
{
    return a < b ? a : b;
}

int main(int argc, char **argv)
{
    static struct bodies b;
    struct ql_buf file;
    struct ql_batch batch;
    const int rounds = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 15;
    ql_buf_init(&file, (size_t)1 << 32);
    ql_batch_init(&batch, 1 << 26);
    if (argc > 1) {
        if (ql_file_read(argv[1], &file) != QL_OK) {
            (void)fprintf(stderr, "cannot read %s\n", argv[1]);
            return 1;
        }
    } else {
        bodies_make(&file);
    }
    bodies_open(&file, &b);
    double inflate_s = 1e9, copy_s = 1e9, hash_s = 1e9, plain_s = 1e9, all_s = 1e9;
    uint64_t samples = 1, check = 0;
    for (int i = 0; i < rounds; i++) {
        inflate_s = least(inflate_s, inflate_run(&b));
        copy_s = least(copy_s, copy_run(&b));
        plain_s = least(plain_s, decode_run(&b, false, &batch, &samples));
        hash_s = least(hash_s, hash_run(&b, &batch, &check));
        all_s = least(all_s, decode_run(&b, true, &batch, &samples));
    }
    (void)printf("%u requests, %llu samples, %.1f B/sample plain, %.1f B packed (%llx)\n", b.count,
                 (unsigned long long)samples, (double)b.plain_bytes / (double)samples,
                 (double)b.packed_bytes / (double)samples, (unsigned long long)check);
    line_print("decompress (snappy)", inflate_s, samples);
    line_print("walk, check labels, hash", plain_s - copy_s, samples);
    line_print("  of it the hash (XXH3-128)", hash_s, samples);
    line_print("all: bytes as sent to batch", all_s, samples);
    for (uint32_t i = 0; i < b.count; i++) {
        ql_blob_unref(b.plain[i]);
    }
    ql_batch_fini(&batch);
    ql_buf_fini(&file);
    return 0;
}

/* door_bench - what one record costs at any door.
 *
 *   usage: wire_door_bench DOOR protobuf|json|text|own FILE [ROUNDS]
 *
 * FILE holds bodies, each behind its length as 32 bits little-endian, not compressed.
 * Figures are CPU time of this thread, best of the rounds, from bytes to batch.
 */
#include "base/file.h"
#include "wire/wire.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double cpu_s(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static enum ql_door door_of(const char *name)
{
    for (int door = 1; door < QL_DOOR_COUNT; door++) {
        if (strcmp(ql_door_name((enum ql_door)door), name) == 0) {
            return (enum ql_door)door;
        }
    }
    return QL_DOOR_COUNT;
}

static int format_of(const char *name)
{
    static const char *const names[] = { "protobuf", "json", "text", "own" };
    for (int i = 0; i < 4; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return -1;
}

static double file_run(ql_str file, struct ql_wire_input in, struct ql_batch *batch,
                       uint64_t *ret_records, uint64_t *ret_left_out)
{
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 28 };
    struct ql_reader r = ql_reader_of(file);
    struct ql_reject reject = { 0 };
    uint64_t records = 0;
    const double start = cpu_s();
    while (ql_reader_left(&r) >= 4) {
        in.body = ql_reader_lstr(&r);
        ql_batch_reset(batch);
        if (ql_wire_decode(&in, &limits, batch, &reject) != QL_OK) {
            (void)fprintf(stderr, "%s\n", reject.text);
            exit(1);
        }
        records += batch->samples.count + batch->logs.count + batch->spans.count +
                   batch->alerts_in.count + batch->changes_in.count;
    }
    const double end = cpu_s();
    *ret_records = records;
    *ret_left_out = reject.total;
    return end - start;
}

int main(int argc, char **argv)
{
    struct ql_buf file;
    struct ql_batch batch;
    const int format = argc > 2 ? format_of(argv[2]) : -1;
    struct ql_wire_input in = { .door = argc > 1 ? door_of(argv[1]) : QL_DOOR_COUNT };
    ql_buf_init(&file, (size_t)1 << 32);
    if (argc < 4 || format < 0 || in.door == QL_DOOR_COUNT ||
        ql_file_read(argv[3], &file) != QL_OK) {
        (void)fprintf(stderr, "usage: %s DOOR protobuf|json|text|own FILE [ROUNDS]\n", argv[0]);
        return 2;
    }
    in.format = (enum ql_format)format;
    ql_batch_init(&batch, (size_t)1 << 30);
    double best_s = 1e9;
    uint64_t records = 0, left_out = 0;
    for (int i = 0; i < (argc > 4 ? (int)strtol(argv[4], NULL, 10) : 9); i++) {
        const double s = file_run(ql_buf_view(&file), in, &batch, &records, &left_out);
        best_s = s < best_s ? s : best_s;
    }
    (void)printf("%s %s: %llu records (%llu left out), %.0f ns each, %.2f M/s, %.0f MB/s\n",
                 argv[1], argv[2], (unsigned long long)records, (unsigned long long)left_out,
                 best_s / (double)records * 1e9, (double)records / best_s / 1e6,
                 (double)file.bytes / best_s / 1e6);
    ql_batch_fini(&batch);
    ql_buf_fini(&file);
    return 0;
}

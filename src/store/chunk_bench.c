/* chunk_bench - bytes and nanoseconds a sample for the kinds of series that matter.
 *
 * Counter and walk are the two that the remote-write generator of the bench makes. */
#include "base/clock.h"
#include "base/rng.h"
#include "store/chunk.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { SAMPLE_COUNT = 2000000, CHUNK_COUNT_MAX = 200000 };

struct bench_row {
    const char *name;
    double (*next)(struct ql_rng *rng, double last);
    uint64_t jitter_ms;
};

static double next_counter(struct ql_rng *rng, double last)
{
    return last + (double)ql_rng_below(rng, 200);
}
static double next_walk(struct ql_rng *rng, double last)
{
    return round(last * 100.0 + (double)ql_rng_below(rng, 201) - 100.0) / 100.0;
}
static double next_drifting_walk(struct ql_rng *rng, double last)
{
    /* Sums of hundredths that are not rounded again, as the generator makes them. */
    return fabs(last + ((double)ql_rng_below(rng, 201) - 100.0) / 100.0);
}
static double next_constant(struct ql_rng *rng, double last)
{
    (void)rng;
    return last;
}
static double next_random(struct ql_rng *rng, double last)
{
    (void)last;
    return ql_rng_ratio(rng);
}
static double next_pages(struct ql_rng *rng, double last)
{
    return last + 4096.0 * ((double)ql_rng_below(rng, 201) - 100.0);
}

static const struct bench_row rows[] = {
    { "integer counter +0..199", next_counter, 0 },
    { "two-decimal walk", next_walk, 0 },
    { "two-decimal walk, sums not rounded", next_drifting_walk, 0 },
    { "constant", next_constant, 0 },
    { "random doubles", next_random, 0 },
    { "bytes in pages", next_pages, 0 },
    { "counter, 20 ms of jitter", next_counter, 20 },
};

static void row_run(const struct bench_row *row, struct ql_sample *samples, struct ql_chunk *chunks)
{
    static struct ql_sample back[QL_CHUNK_SAMPLES_MAX];
    struct ql_rng rng;
    ql_rng_init(&rng, 1, row->name);
    double value = row->next == next_pages ? 1e5 * 4096.0 : 123456.0;
    for (int64_t i = 0; i < SAMPLE_COUNT; i++) {
        const int64_t jitter = row->jitter_ms ? (int64_t)ql_rng_below(&rng, row->jitter_ms) : 0;
        samples[i] = (struct ql_sample){ ql_time_from_ms(i * 10000 + jitter), value };
        value = row->next(&rng, value);
    }
    size_t chunk_count = 0, used_bytes = 0;
    ql_chunk_init(&chunks[0]);
    const int64_t append_from = ql_clock_cpu_ns();
    for (size_t i = 0; i < SAMPLE_COUNT; i++) {
        if (!ql_chunk_append(&chunks[chunk_count], samples[i])) {
            chunk_count++;
            QL_ASSERT(chunk_count < CHUNK_COUNT_MAX);
            ql_chunk_init(&chunks[chunk_count]);
            QL_ASSERT(ql_chunk_append(&chunks[chunk_count], samples[i]));
        }
    }
    const int64_t read_from = ql_clock_cpu_ns();
    size_t total = 0;
    for (size_t i = 0; i <= chunk_count; i++) {
        uint32_t count = 0;
        QL_ASSERT(ql_chunk_read(&chunks[i], sizeof(chunks[i]), back, &count) == QL_OK);
        used_bytes += ql_chunk_used(&chunks[i]);
        total += count;
    }
    const int64_t end = ql_clock_cpu_ns();
    QL_ASSERT(total == SAMPLE_COUNT);
    printf("%-36s %6.1f samples a chunk %6.2f B a sample  append %5.1f ns  read %5.1f ns\n",
           row->name, (double)total / (double)(chunk_count + 1), (double)used_bytes / (double)total,
           (double)(read_from - append_from) / (double)total, (double)(end - read_from) / (double)total);
}

int main(void)
{
    struct ql_sample *samples = malloc(SAMPLE_COUNT * sizeof(*samples));
    struct ql_chunk *chunks = malloc(CHUNK_COUNT_MAX * sizeof(*chunks));
    if (samples == NULL || chunks == NULL) {
        return 1;
    }
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        row_run(&rows[i], samples, chunks);
    }
    free(samples);
    free(chunks);
    return 0;
}

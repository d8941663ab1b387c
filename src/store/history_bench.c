/* history_bench - bytes a sample on disk, all in, and the time to read one series over a day.
 *
 * usage: history_bench [SERIES]   (default 2000)
 *
 * The samples are those of the remote-write generator: half counters that grow by 0..199, half
 * walks in steps of hundredths whose sums are not rounded, one sample in 15 s, a day, with bands.
 * Beside it the same samples as rows of SQLite, and as pairs of 16 bytes through zlib. */
#include "base/clock.h"
#include "base/rng.h"
#include "base/stat.h"
#include "store/db.h"
#include "store/history.h"

#include <libdeflate.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { STEP_MS = 15000, DAY_SAMPLES = 86400000 / STEP_MS, BANDS = 3, READS = 200 };
static const int64_t start_ms = INT64_C(1767571200000);

struct bench {
    char root[64];
    uint32_t series;
    struct ql_stats *stats;
    struct ql_history *history;
};

static ql_series_id series_of(uint32_t i)
{
    struct ql_rng rng;
    ql_rng_init(&rng, i, "history_bench id");
    return (ql_series_id){ { ql_rng_u64(&rng), ql_rng_u64(&rng) } };
}

static void series_make(uint32_t i, struct ql_sample samples[DAY_SAMPLES])
{
    struct ql_rng rng;
    ql_rng_init(&rng, i, "history_bench");
    double value = i % 2 == 0 ? (double)ql_rng_below(&rng, 1000000)
                              : (double)ql_rng_below(&rng, 10000) / 100.0;
    for (int64_t n = 0; n < DAY_SAMPLES; n++) {
        samples[n] = (struct ql_sample){ ql_time_from_ms(start_ms + n * STEP_MS), value };
        value = i % 2 == 0 ? value + (double)ql_rng_below(&rng, 200)
                           : fabs(value + ((double)ql_rng_below(&rng, 201) - 100.0) / 100.0);
    }
}

/* As the engine seals them: a full chunk and three bands that span it. */
static void row_append(struct bench *b, struct ql_history_row *row)
{
    row->band_count = BANDS;
    for (uint32_t k = 0; k < BANDS; k++) {
        const int64_t at_ms =
            row->chunk.first_ms + (row->chunk.last_ms - row->chunk.first_ms) * k / BANDS;
        const float expected = (float)(at_ms % 9973) * 0.01f;
        row->bands[k] = (struct ql_band){ .at = ql_time_from_ms(at_ms), .expected = expected,
                                          .lower = expected - 3.1f, .upper = expected + 3.3f };
    }
    while (ql_history_append(b->history, row) == QL_E_FULL) {
        (void)!ql_history_flush(b->history);
    }
}

static void series_append(struct bench *b, uint32_t i, const struct ql_sample *samples)
{
    struct ql_history_row row = { .series = series_of(i) };
    ql_chunk_init(&row.chunk);
    for (uint32_t n = 0; n < DAY_SAMPLES; n++) {
        if (!ql_chunk_append(&row.chunk, samples[n])) {
            row_append(b, &row);
            ql_chunk_init(&row.chunk);
            QL_ASSERT(ql_chunk_append(&row.chunk, samples[n]));
        }
    }
    row_append(b, &row);
}

/* Of the first day's file alone; the second exists to make the first one old. */
static double bench_bytes(const struct bench *b, const char *name)
{
    char path[200];
    struct stat about;
    (void)snprintf(path, sizeof(path), "%s/%s", b->root, name);
    return stat(path, &about) == 0 ? (double)about.st_size : 0.0;
}

static void bench_reads(struct bench *b, const char *what)
{
    const ql_time from = ql_time_from_ms(start_ms), to = ql_time_from_ms(start_ms + 86399999);
    struct ql_batch out;
    uint64_t samples = 0;
    int64_t worst_ns = 0;
    ql_batch_init(&out, 1 << 20);
    const int64_t cpu_from = ql_clock_cpu_ns();
    for (uint32_t i = 0; i < READS; i++) {
        const int64_t began_ns = ql_clock_mono_ns();
        ql_batch_reset(&out);
        const ql_err err = ql_history_read(b->history, series_of(i * 7919 % b->series), from, to,
                                           QL_HISTORY_MEAN, &out, NULL);
        QL_ASSERT(err == QL_OK);
        const int64_t took_ns = ql_clock_mono_ns() - began_ns;
        worst_ns = took_ns > worst_ns ? took_ns : worst_ns;
        samples += out.samples.count;
    }
    printf("%-34s one series, one day: %6.3f ms CPU (worst %.2f ms wall), %llu samples\n", what,
           (double)(ql_clock_cpu_ns() - cpu_from) / 1e6 / READS, (double)worst_ns / 1e6,
           (unsigned long long)(samples / READS));
    ql_batch_fini(&out);
}

static void bench_state(struct bench *b, const char *what)
{
    const double bytes = bench_bytes(b, "history/history-20260105.db");
    printf("%-34s %10.0f B  %6.3f B a sample\n", what, bytes,
           bytes / ((double)b->series * DAY_SAMPLES));
    bench_reads(b, what);
}

static void bench_open(struct bench *b, double raw_s, double minutes_s)
{
    const struct ql_history_limits limits = { .days = 4000.0, .raw_s = raw_s,
                                              .minutes_s = minutes_s };
    QL_ASSERT(ql_history_open(b->root, &limits, b->stats, &b->history) == QL_OK);
}

static void bench_tidy(struct bench *b, double raw_s, double minutes_s, const char *what)
{
    bench_open(b, raw_s, minutes_s);
    const int64_t cpu_from = ql_clock_cpu_ns();
    QL_ASSERT(ql_history_tidy(b->history) == QL_OK);
    printf("%-34s rewriting the day: %.1f us CPU a series\n", what,
           (double)(ql_clock_cpu_ns() - cpu_from) / 1e3 / b->series);
    bench_state(b, what);
    ql_history_close(b->history);
}

/* ---- peers ------------------------------------------------------------------------------ */

static void peer_rows(struct bench *b, struct ql_sample *samples)
{
    char path[100];
    sqlite3 *db;
    sqlite3_stmt *put;
    const uint32_t series = b->series < 50 ? b->series : 50;
    (void)snprintf(path, sizeof(path), "%s/rows.db", b->root);
    QL_ASSERT(ql_db_open(path, QL_DB_WRITE, &db) == QL_OK);
    QL_ASSERT(ql_db_run(db, "CREATE TABLE s(series INTEGER, at INTEGER, value REAL,"
                            " PRIMARY KEY(series, at)) WITHOUT ROWID; BEGIN") == QL_OK);
    QL_ASSERT(ql_db_prepare(db, "INSERT INTO s VALUES(?, ?, ?)", &put) == QL_OK);
    for (uint32_t i = 0; i < series; i++) {
        series_make(i, samples);
        for (uint32_t n = 0; n < DAY_SAMPLES; n++) {
            struct ql_bind bind = ql_bind_to(put);
            ql_bind_i64(&bind, i);
            ql_bind_i64(&bind, ql_time_to_ms(samples[n].at));
            ql_bind_f64(&bind, samples[n].value);
            QL_ASSERT(ql_bind_run(&bind) == QL_OK);
        }
    }
    ql_db_finalize_all(&put, 1);
    QL_ASSERT(ql_db_run(db, "COMMIT") == QL_OK);
    ql_db_close(db);
    printf("%-34s %28.3f B a sample\n", "peer: rows of SQLite",
           bench_bytes(b, "rows.db") / ((double)series * DAY_SAMPLES));
    (void)unlink(path);
}

static void peer_zlib(struct bench *b, struct ql_sample *samples)
{
    static unsigned char out[DAY_SAMPLES * 20];
    const uint32_t series = b->series < 50 ? b->series : 50;
    struct libdeflate_compressor *deflate = libdeflate_alloc_compressor(9);
    double bytes = 0.0;
    QL_ASSERT(deflate != NULL);
    for (uint32_t i = 0; i < series; i++) {
        series_make(i, samples);
        bytes += (double)libdeflate_zlib_compress(deflate, samples, DAY_SAMPLES * sizeof(*samples),
                                                  out, sizeof(out));
    }
    libdeflate_free_compressor(deflate);
    printf("%-34s %28.3f B a sample\n", "peer: pairs through zlib -9",
           bytes / ((double)series * DAY_SAMPLES));
}

/* The same samples in the text that `promtool tsdb create-blocks-from openmetrics` reads. */
static int write_openmetrics(uint32_t series, struct ql_sample *samples)
{
    printf("# TYPE bench gauge\n");
    for (uint32_t i = 0; i < series; i++) {
        series_make(i, samples);
        for (uint32_t n = 0; n < DAY_SAMPLES; n++) {
            printf("bench{i=\"%u\"} %.17g %lld\n", i, samples[n].value,
                   (long long)(ql_time_to_ms(samples[n].at) / 1000));
        }
    }
    printf("# EOF\n");
    return 0;
}

int main(int argc, char **argv)
{
    static struct ql_sample samples[DAY_SAMPLES];
    struct bench b = { .series = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 10) : 2000 };
    if (argc > 2 && strcmp(argv[2], "--openmetrics") == 0) {
        return write_openmetrics(b.series, samples);
    }
    (void)snprintf(b.root, sizeof(b.root), "/tmp/ql_history_bench_XXXXXX");
    if (b.series == 0 || mkdtemp(b.root) == NULL) {
        return 1;
    }
    b.stats = ql_stats_new(100);
    bench_open(&b, 0.0, 0.0);
    for (uint32_t i = 0; i < b.series; i++) {
        series_make(i, samples);
        series_append(&b, i, samples);
    }
    QL_ASSERT(ql_history_flush(b.history) == QL_OK);
    bench_state(&b, "as sealed (the last day or so)");
    /* A sample five days later makes the day old. */
    struct ql_history_row late = { .series = series_of(b.series) };
    ql_chunk_init(&late.chunk);
    QL_ASSERT(ql_chunk_append(&late.chunk, (struct ql_sample){
        ql_time_from_ms(start_ms + 5 * INT64_C(86400000)), 1.0 }));
    row_append(&b, &late);
    ql_history_close(b.history);
    bench_tidy(&b, 0.0, 0.0, "packed");
    bench_tidy(&b, 86400.0, 0.0, "cells of five minutes");
    bench_tidy(&b, 86400.0, 86400.0, "cells of an hour");
    peer_rows(&b, samples);
    peer_zlib(&b, samples);
    ql_stats_free(b.stats);
    printf("the files are in %s\n", b.root);
    return 0;
}

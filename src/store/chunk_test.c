/* chunk_test - what goes in comes out, bit for bit, whatever the numbers are. */
#include "base/rng.h"
#include "store/chunk.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static double bits_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

/* Reads from a copy of exactly the used bytes, so that a sanitizer sees every step past. */
static void chunk_expect(const struct ql_chunk *chunk, const struct ql_sample *want, uint32_t count)
{
    static struct ql_sample got[QL_CHUNK_SAMPLES_MAX];
    uint32_t got_count = 0;
    const size_t used = ql_chunk_used(chunk);
    void *copy = malloc(used);
    assert_non_null(copy);
    memcpy(copy, chunk, used);
    assert_int_equal(ql_chunk_read(copy, used, got, &got_count), QL_OK);
    free(copy);
    assert_int_equal(got_count, count);
    for (uint32_t i = 0; i < count; i++) {
        assert_true(got[i].at.ns == ql_time_from_ms(ql_time_to_ms(want[i].at)).ns);
        assert_memory_equal(&got[i].value, &want[i].value, sizeof(double));
    }
    assert_int_equal(ql_chunk_read(chunk, sizeof(*chunk), got, &got_count), QL_OK);
}

static void one_value_each(void **state)
{
    static const double rows[] = {
        0.0, -0.0, 1.0, -1.0, 0.1, 1e14, 1e-14, 1.23456789012345, 4096.0, 1099511627776.0,
        4503599627370496.0, -4503599627370497.0, 9007199254740993.0, 1e300, 5e-324, 0.5,
        0.49999999999999994, INFINITY, -INFINITY, 3.141592653589793,
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        for (size_t k = 0; k < QL_COUNT_OF(rows); k++) {
            struct ql_chunk chunk;
            const struct ql_sample samples[] = { { ql_time_from_ms(0), rows[i] },
                                                 { ql_time_from_ms(1), rows[k] },
                                                 { ql_time_from_ms(9), rows[i] },
                                                 { ql_time_from_ms(9999), rows[i] } };
            ql_chunk_init(&chunk);
            for (uint32_t n = 0; n < QL_COUNT_OF(samples); n++) {
                assert_true(ql_chunk_append(&chunk, samples[n]));
                chunk_expect(&chunk, samples, n + 1);
            }
        }
    }
}

/* The stale marker and other payloads, between plain numbers and alone. */
static void nan_payloads_are_kept(void **state)
{
    static const uint64_t payloads[] = {
        UINT64_C(0x7ff0000000000002), UINT64_C(0x7ff8000000000000), UINT64_C(0x7ff8000000000001),
        UINT64_C(0xffffffffffffffff), UINT64_C(0xfff0000000000001),
    };
    struct ql_sample samples[11];
    struct ql_chunk chunk;
    (void)state;
    ql_chunk_init(&chunk);
    for (uint32_t i = 0; i < QL_COUNT_OF(samples); i++) {
        samples[i].at = ql_time_from_ms(1000 * (int64_t)i);
        samples[i].value = i % 2 == 0 ? (double)i : bits_double(payloads[i / 2]);
        assert_true(ql_chunk_append(&chunk, samples[i]));
        chunk_expect(&chunk, samples, i + 1);
    }
    ql_chunk_init(&chunk);
    assert_true(ql_chunk_append(&chunk, samples[1]));
    chunk_expect(&chunk, &samples[1], 1);
}

static void times_that_do_not_fit_are_refused(void **state)
{
    static const struct { int64_t first_ms, second_ms; bool fits; } rows[] = {
        { 0, 1, true },
        { 0, 0, false },
        { 0, -1, false },
        { 0, INT32_MAX, true },
        { 0, (int64_t)INT32_MAX + 1, false },
        { INT64_MAX / 1000000 - 1, INT64_MAX / 1000000, true },
        { -INT64_MAX / 1000000, -INT64_MAX / 1000000 + 1, true },
        { -INT64_MAX / 1000000, INT64_MAX / 1000000, false },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const struct ql_sample samples[] = { { ql_time_from_ms(rows[i].first_ms), 1.5 },
                                             { ql_time_from_ms(rows[i].second_ms), 2.5 } };
        struct ql_chunk chunk;
        ql_chunk_init(&chunk);
        assert_true(ql_chunk_append(&chunk, samples[0]));
        assert_int_equal(ql_chunk_append(&chunk, samples[1]), rows[i].fits);
        chunk_expect(&chunk, samples, rows[i].fits ? 2 : 1);
    }
}

static void below_a_millisecond_is_floored(void **state)
{
    struct ql_chunk chunk;
    (void)state;
    ql_chunk_init(&chunk);
    const struct ql_sample samples[] = { { { -1 }, 1.0 }, { { 1999999 }, 2.0 } };
    assert_true(ql_chunk_append(&chunk, samples[0]));
    assert_true(ql_chunk_append(&chunk, samples[1]));
    assert_false(ql_chunk_append(&chunk, (struct ql_sample){ { 1999999 + 1 - 2 }, 3.0 }));
    chunk_expect(&chunk, samples, 2);
}

/* One row is one kind of series: how its next sample follows from the last. */
enum kind { COUNTER, WALK, CONSTANT, RANDOM, RESETS, PAGES, MIXED, JITTER, SUMS, KIND_COUNT };

static double next_value(enum kind kind, struct ql_rng *rng, double last)
{
    const double u = ql_rng_ratio(rng);
    switch (kind) {
    case COUNTER:
    case JITTER: return last + (double)ql_rng_below(rng, 201);
    case WALK: return round(last * 100.0 + (double)ql_rng_below(rng, 201) - 100.0) / 100.0;
    case SUMS: return fabs(last + ((double)ql_rng_below(rng, 201) - 100.0) / 100.0);
    case CONSTANT: return last;
    case RESETS: return u < 0.02 ? 0.0 : last + (double)ql_rng_below(rng, 1000);
    case PAGES: return last + 4096.0 * (double)ql_rng_below(rng, 100);
    case MIXED:
        return u < 0.05   ? bits_double(ql_rng_u64(rng))
               : u < 0.1  ? -0.0
               : u < 0.15 ? NAN
               : u < 0.6  ? round(u * 1000.0) / pow(10.0, (double)ql_rng_below(rng, 15))
                          : (double)ql_rng_below(rng, 7);
    default: return (u - 0.5) * 1e6;
    }
}

static int64_t next_delta_ms(enum kind kind, struct ql_rng *rng)
{
    switch (kind) {
    case JITTER: return 9990 + (int64_t)ql_rng_below(rng, 21);
    case MIXED: {
        const uint64_t shift = 33 + ql_rng_below(rng, 31);
        return 1 + (int64_t)(ql_rng_u64(rng) >> shift);
    }
    default: return 10000;
    }
}

/* Bytes a sample of a full chunk; the rows also hold the rates that chunk.h promises. */
static void chunks_hold_what_they_promise(void **state)
{
    static const struct { enum kind kind; uint32_t count_min; } rows[] = {
        { COUNTER, 84 }, { WALK, 80 },  { CONSTANT, 400 }, { RANDOM, 8 },
        { RESETS, 36 },  { PAGES, 80 }, { MIXED, 4 },      { JITTER, 44 },
        { SUMS, 62 },
    };
    const uint64_t seed = 31;
    static struct ql_sample samples[QL_CHUNK_SAMPLES_MAX];
    struct ql_rng rng;
    (void)state;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "chunk_test");
    assert_int_equal(QL_COUNT_OF(rows), KIND_COUNT);
    for (size_t row = 0; row < QL_COUNT_OF(rows); row++) {
        for (int round = 0; round < 1000; round++) {
            struct ql_chunk chunk;
            uint32_t count = 0;
            struct ql_sample next = { ql_time_from_ms(1767603600000),
                                      (double)ql_rng_below(&rng, 1000000) * 4096.0 };
            next.value = rows[row].kind == WALK ? next.value / 409600.0 : next.value;
            ql_chunk_init(&chunk);
            while (ql_chunk_append(&chunk, next)) {
                samples[count++] = next;
                next.at.ns += next_delta_ms(rows[row].kind, &rng) * 1000000;
                next.value = next_value(rows[row].kind, &rng, next.value);
            }
            chunk_expect(&chunk, samples, count);
            if (count < rows[row].count_min) {
                fail_msg("row %zu: a chunk held %u samples only", row, count);
            }
        }
    }
}

/* A refused sample leaves the chunk as it was, so the caller may seal what it has. */
static void refusal_changes_nothing(void **state)
{
    struct ql_rng rng;
    struct ql_chunk chunk;
    struct ql_sample next = { ql_time_from_ms(0), 0.25 };
    (void)state;
    ql_rng_init(&rng, 5, "refusal");
    ql_chunk_init(&chunk);
    while (ql_chunk_append(&chunk, next)) {
        next.at.ns += 10000000000;
        next.value = ql_rng_ratio(&rng);
    }
    const struct ql_chunk before = chunk;
    next.value = NAN;
    assert_false(ql_chunk_append(&chunk, next));
    assert_memory_equal(&before, &chunk, offsetof(struct ql_chunk, data));
    assert_memory_equal(before.data, chunk.data, chunk.bits / 8);
}

static void broken_chunks_are_refused(void **state)
{
    static struct ql_sample got[QL_CHUNK_SAMPLES_MAX];
    uint32_t count = 4711;
    struct ql_chunk good, bad;
    (void)state;
    ql_chunk_init(&good);
    for (int i = 0; i < 10; i++) {
        assert_true(ql_chunk_append(&good, (struct ql_sample){ QL_TIME_NONE, 0.0 }) || i > 0);
        const struct ql_sample s = { ql_time_from_ms(i * 10), (double)i };
        if (i == 0) {
            ql_chunk_init(&good);
        }
        assert_true(ql_chunk_append(&good, s));
    }
    const size_t used = ql_chunk_used(&good);
    assert_int_equal(ql_chunk_read(&good, used, got, &count), QL_OK);
    count = 4711;
    for (size_t cut = 0; cut < used; cut++) {
        assert_int_equal(ql_chunk_read(&good, cut, got, &count), QL_E_MALFORMED);
    }
#define BROKEN(change)                                                                 \
    bad = good;                                                                        \
    change;                                                                            \
    assert_int_equal(ql_chunk_read(&bad, sizeof(bad), got, &count), QL_E_MALFORMED)
    BROKEN(bad.count++);
    BROKEN(bad.count--);
    BROKEN(bad.count = UINT16_MAX);
    BROKEN(bad.bits = UINT16_MAX);
    BROKEN(bad.bits++);
    BROKEN(bad.last_ms++);
    BROKEN(bad.first_ms = INT64_MAX);
    BROKEN(bad.first_ms = INT64_MIN);
    assert_int_equal(ql_chunk_read(&good, sizeof(good) + 1, got, &count), QL_E_MALFORMED);
    assert_int_equal(count, 4711);
}

/* Kinds of values that change the coder's form in the middle of a stream. */
static double stream_value(struct ql_rng *rng, int kind, int64_t i)
{
    switch (kind) {
    case 0: return (double)(i * 37 + (int64_t)ql_rng_below(rng, 200));
    case 1: return (double)ql_rng_below(rng, 20001) / 100.0 - 100.0;
    case 2: return ql_rng_ratio(rng);
    case 3: return ql_rng_below(rng, 9) == 0 ? ql_stale_marker() : (double)ql_rng_below(rng, 5);
    default: return 0.1 * (double)i + 0.2; /* near-decimals */
    }
}

static void a_stream_is_longer_than_a_chunk(void **state)
{
    static struct ql_sample in[4096], out[4096];
    struct ql_rng rng;
    (void)state;
    ql_rng_init(&rng, 9, "streams");
    for (int kind = 0; kind < 5; kind++) {
        char data[QL_CHUNK_STREAM_BYTES_MAX];
        struct ql_chunk chunk;
        size_t bytes = 0;
        uint32_t count = 0;
        ql_chunk_init(&chunk);
        for (; count < QL_COUNT_OF(in); count++) {
            in[count] = (struct ql_sample){ ql_time_from_ms(1000 * (int64_t)count),
                                            stream_value(&rng, kind, count) };
            if (ql_chunk_append(&chunk, in[count])) {
                continue;
            }
            if (bytes + 2 * QL_CHUNK_DATA_BYTES > sizeof(data)) {
                break;
            }
            bytes += ql_chunk_drain(&chunk, data + bytes);
            assert_true(ql_chunk_append(&chunk, in[count]));
        }
        const size_t tail = (chunk.bits + 7u) / 8;
        const uint32_t bits = (uint32_t)bytes * 8 + chunk.bits;
        memcpy(data + bytes, chunk.data, tail);
        const ql_str stream = { data, bytes + tail };
        assert_true(count > 80);
        assert_int_equal(chunk.count, count);
        assert_int_equal(ql_chunk_read_stream(0, count, bits, stream, out), QL_OK);
        for (uint32_t i = 0; i < count; i++) {
            assert_true(in[i].at.ns == out[i].at.ns);
            assert_memory_equal(&in[i].value, &out[i].value, sizeof(double));
        }
        /* Too few bits, too many, a sample too many, bytes cut off. */
        assert_int_equal(ql_chunk_read_stream(0, count, bits - 1, stream, out), QL_E_MALFORMED);
        assert_int_equal(ql_chunk_read_stream(0, count, bits + 8, stream, out), QL_E_MALFORMED);
        assert_int_equal(ql_chunk_read_stream(0, count - 1, bits, stream, out), QL_E_MALFORMED);
        assert_int_equal(ql_chunk_read_stream(0, count, bits, (ql_str){ data, bytes }, out),
                         QL_E_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_value_each),
        cmocka_unit_test(a_stream_is_longer_than_a_chunk),
        cmocka_unit_test(nan_payloads_are_kept),
        cmocka_unit_test(times_that_do_not_fit_are_refused),
        cmocka_unit_test(below_a_millisecond_is_floored),
        cmocka_unit_test(chunks_hold_what_they_promise),
        cmocka_unit_test(refusal_changes_nothing),
        cmocka_unit_test(broken_chunks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

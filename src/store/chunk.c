/* chunk.c - the bits of a chunk: times, scaled integers, XORed doubles.
 *
 * Good for     metrics: counters, gauges with few digits, their sums, constants, regular steps.
 * Bad for      random doubles (about 10 bytes a sample: there is nothing to save).
 * Method       times: delta of delta in five widths. Values: v = k / 10^s (or k * 4096)
 *              with integer k; |k - k'| in Rice codes whose parameter follows a running
 *              mean (as LOCO-I does, Weinberger et al. 2000), without sign until the series
 *              first falls. Where v is a few units in the last place away from k / 10^s, as
 *              sums of decimals are, the change of that distance follows in unary. What does
 *              not fit is announced by a run of ones that no Rice code has: signs, a new
 *              scale, one odd value, or XOR from here on (Gorilla).
 * Cost         append 10 to 20 ns, read 5 to 15 ns a sample (chunk_bench). Bits are packed
 *              from the least significant end, so codes are read with one shift and mask.
 */
#include "store/chunk.h"

#include <endian.h>
#include <math.h>

enum {
    DATA_BYTES = sizeof(((struct ql_chunk *)0)->data),
    DATA_BITS = DATA_BYTES * 8,
    PUT_BITS_MAX = 57,   /* what fits above any bit offset of one 64-bit word */
    ONES_MAX = 12,       /* this many ones: no Rice code but an escape */
    SCALE_COUNT = 16,
    ULPS_MAX = 1 << 14,
    ULPS_BITS = 17,      /* of a zigzagged change of such a distance */
    SPREAD_SHIFT = 3     /* the running mean forgets 1/8 a step */
};

enum chunk_mode {
    MODE_EMPTY,
    MODE_RISING, /* scaled integers that never fell so far: differences without sign */
    MODE_SIGNED, /* scaled integers */
    MODE_NEAR,   /* scaled integers and a distance in units in the last place */
    MODE_XOR
};

/* Three bits behind ONES_MAX ones. */
enum chunk_escape {
    ESCAPE_SIGNED, ESCAPE_DELTA, ESCAPE_SCALE, ESCAPE_NEAR, ESCAPE_ONCE, ESCAPE_XOR
};

/* Every scale divides the one before: what fits one scale fits all finer ones while it is
 * below 2^52. The first is for sizes of memory, which come in pages. */
static const double chunk_scales[SCALE_COUNT] = { 0x1p-12, 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,
                                                  1e7,     1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14 };
#define SCALED_MAX (INT64_C(1) << 52) /* below it, adding 0.5 rounds nothing away */

static uint64_t double_bits(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return bits;
}

static double bits_double(uint64_t bits)
{
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

static uint64_t zigzag(int64_t v)
{
    return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}

static int64_t unzigzag(uint64_t u)
{
    return (int64_t)(u >> 1) ^ -(int64_t)(u & 1);
}

static uint32_t bit_width(uint64_t u)
{
    return u == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(u);
}

/* What a reader computes from a scaled integer; the writer checks with the same words. */
static inline double scaled_value(int64_t k, uint8_t scale)
{
    return (double)k / chunk_scales[scale];
}

/* The nearest scaled integer, and how many doubles lie between it and `v`. */
static inline bool scaled_near(double v, uint8_t scale, int64_t *ret_k, int64_t *ret_ulps)
{
    const double product = v * chunk_scales[scale];
    if (!(fabs(product) < (double)SCALED_MAX)) {
        return false;
    }
    const int64_t k = (int64_t)(product + (product < 0.0 ? -0.5 : 0.5));
    *ret_ulps = (int64_t)(double_bits(v) - double_bits(scaled_value(k, scale)));
    *ret_k = k;
    return true;
}

/* Is a distance no accident? A random double is this near to a multiple of the scale with
 * a chance of about 2^-53 times this product. */
static bool scaled_is_sum(int64_t k, int64_t ulps)
{
    const int64_t k_size = k < 0 ? -k : k;
    return ulps > -ULPS_MAX && ulps < ULPS_MAX &&
           (k_size + 1) < (INT64_C(1) << 42) / ((ulps < 0 ? -ulps : ulps) + 1);
}

/* The Rice parameter: floor(log2) of the mean code so far. */
static inline uint32_t spread_parameter(uint32_t spread)
{
    const uint32_t mean = spread >> SPREAD_SHIFT;
    return mean == 0 ? 0 : 31 - (uint32_t)__builtin_clz(mean);
}

/* One wild code moves the mean by a factor of 5 at most, unless nothing was known. */
static inline uint32_t spread_after(uint32_t spread, uint64_t code)
{
    const uint64_t limit = spread == 0 ? UINT32_MAX >> SPREAD_SHIFT
                                       : ((uint64_t)spread + 8) * 4;
    const uint64_t step = code < limit ? code : limit;
    const uint64_t next = spread == 0 ? step << SPREAD_SHIFT
                                      : spread - (spread >> SPREAD_SHIFT) + step;
    return next > UINT32_MAX ? UINT32_MAX : (uint32_t)next;
}

/* ---- writing ---------------------------------------------------------------------- */

/* Appends the low `n` bits of `value`, which has no others; false when there is no room. */
static inline bool chunk_put(struct ql_chunk *c, uint64_t value, uint32_t n)
{
    uint64_t word;
    QL_ASSERT(n <= PUT_BITS_MAX);
    if (c->bits + n > DATA_BITS) {
        return false;
    }
    /* Near the end the word is the last one, with a larger offset: never past the data. */
    const uint32_t at = c->bits / 8 < DATA_BYTES - 8 ? c->bits / 8 : DATA_BYTES - 8;
    const uint32_t offset = c->bits - at * 8;
    memcpy(&word, c->data + at, sizeof(word));
    word = (le64toh(word) & ~(UINT64_MAX << offset)) | value << offset;
    word = htole64(word);
    memcpy(c->data + at, &word, sizeof(word));
    c->bits = (uint16_t)(c->bits + n);
    return true;
}

static bool chunk_put_wide(struct ql_chunk *c, uint64_t value, uint32_t n)
{
    if (n <= PUT_BITS_MAX) {
        return chunk_put(c, value, n);
    }
    return chunk_put(c, value & UINT32_MAX, 32) && chunk_put(c, value >> 32, n - 32);
}

static bool chunk_put_escape(struct ql_chunk *c, enum chunk_escape escape)
{
    return chunk_put(c, (UINT64_C(1) << ONES_MAX) - 1 + ((uint64_t)escape << ONES_MAX),
                     ONES_MAX + 3);
}

/* Widths of a delta of delta after 1, 2, 3, 4 ones and a zero, and after 5 ones. */
static const uint8_t time_widths[] = { 4, 8, 12, 20, 32 };

static bool chunk_put_time(struct ql_chunk *c, int64_t delta_of_delta)
{
    if (delta_of_delta == 0) {
        return chunk_put(c, 0, 1);
    }
    uint32_t i = 0;
    for (; i + 1 < QL_COUNT_OF(time_widths); i++) {
        const int64_t half = INT64_C(1) << (time_widths[i] - 1);
        if (delta_of_delta >= -half && delta_of_delta < half) {
            break;
        }
    }
    const uint32_t width = time_widths[i];
    const uint32_t prefix_bits = i + 1 < QL_COUNT_OF(time_widths) ? i + 2 : i + 1;
    const uint64_t ones = (UINT64_C(1) << (i + 1)) - 1;
    const uint64_t low = (uint64_t)delta_of_delta & ((UINT64_C(1) << width) - 1);
    return chunk_put(c, ones | low << prefix_bits, prefix_bits + width);
}

static inline bool chunk_put_code(struct ql_chunk *c, uint64_t code)
{
    const uint32_t parameter = spread_parameter(c->spread);
    const uint64_t ones = code >> parameter;
    c->spread = spread_after(c->spread, code);
    if (ones < ONES_MAX) {
        const uint64_t low = code & ((UINT64_C(1) << parameter) - 1);
        return chunk_put(c, ((UINT64_C(1) << ones) - 1) | low << (ones + 1),
                         (uint32_t)ones + 1 + parameter);
    }
    const uint32_t width = bit_width(code);
    return chunk_put_escape(c, ESCAPE_DELTA) && chunk_put(c, width, 6) &&
           chunk_put(c, code, width);
}

static bool chunk_put_ulps(struct ql_chunk *c, int64_t ulps)
{
    const uint64_t code = zigzag(ulps - c->ulps);
    c->ulps = (int16_t)ulps;
    if (code < ONES_MAX) {
        return chunk_put(c, (UINT64_C(1) << code) - 1, (uint32_t)code + 1);
    }
    return chunk_put(c, ((UINT64_C(1) << ONES_MAX) - 1) | code << ONES_MAX, ONES_MAX + ULPS_BITS);
}

/* The window of the last XOR: leading zeros, then bits that have a meaning (0: no window). */
static uint32_t window_of(uint32_t leading, uint32_t meaning)
{
    return leading | meaning << 8;
}

static bool chunk_put_xor(struct ql_chunk *c, double v)
{
    const uint64_t bits = double_bits(v), changed = bits ^ c->last;
    c->last = bits;
    if (changed == 0) {
        return chunk_put(c, 0, 1);
    }
    uint32_t leading = (uint32_t)__builtin_clzll(changed);
    const uint32_t trailing = (uint32_t)__builtin_ctzll(changed);
    leading = leading > 31 ? 31 : leading;
    const uint32_t window_leading = c->spread & 255, window_meaning = c->spread >> 8;
    const uint32_t window_trailing = 64 - window_leading - window_meaning;
    if (window_meaning != 0 && leading >= window_leading && trailing >= window_trailing) {
        return chunk_put(c, 1, 2) && chunk_put_wide(c, changed >> window_trailing, window_meaning);
    }
    const uint32_t meaning = 64 - leading - trailing;
    c->spread = window_of(leading, meaning);
    return chunk_put(c, 3 | leading << 2 | (uint64_t)(meaning - 1) << 7, 13) &&
           chunk_put_wide(c, changed >> trailing, meaning);
}

static void chunk_to_xor(struct ql_chunk *c, double last)
{
    c->mode = MODE_XOR;
    c->last = double_bits(last);
    c->spread = window_of(0, 0);
}

/* The coarsest scale from `scale` on that holds v exactly, or nearly enough to be a sum. */
static uint8_t scale_find(double v, uint8_t scale, int64_t *ret_k, int64_t *ret_ulps)
{
    for (; scale < SCALE_COUNT; scale++) {
        if (scaled_near(v, scale, ret_k, ret_ulps) &&
            (*ret_ulps == 0 || scaled_is_sum(*ret_k, *ret_ulps))) {
            break;
        }
    }
    return scale;
}

enum chunk_fit { FIT_NO_ROOM, FIT_DONE, FIT_CHANGED };

/* Announces the scale and form of the next value, and predicts from the last one in it. */
static enum chunk_fit chunk_put_change(struct ql_chunk *c, uint8_t scale, int64_t last_k, bool near)
{
    c->scale = scale;
    c->last = (uint64_t)last_k;
    c->mode = near ? MODE_NEAR : c->mode;
    return chunk_put_escape(c, near ? ESCAPE_NEAR : ESCAPE_SCALE) && chunk_put(c, scale, 4)
               ? FIT_CHANGED : FIT_NO_ROOM;
}

/* The value does not fit the present form: another scale or form is announced; or it is an
 * odd value, kept apart, that changes nothing; or this is no decimal series. */
static enum chunk_fit chunk_put_misfit(struct ql_chunk *c, double v, int64_t *ret_k,
                                       int64_t *ret_ulps)
{
    int64_t last_k, last_ulps;
    const bool near = c->mode == MODE_NEAR;
    const bool odd = !isfinite(v) || v == 0.0; /* of zeros only -0 comes here */
    const double last = scaled_value((int64_t)c->last, c->scale);
    const uint8_t scale = odd ? SCALE_COUNT
                              : scale_find(v, (uint8_t)(c->scale + near), ret_k, ret_ulps);
    if (scale < SCALE_COUNT && scaled_near(last, scale, &last_k, &last_ulps)) {
        return chunk_put_change(c, scale, last_k, near || *ret_ulps != 0);
    }
    if (near || odd) {
        return chunk_put_escape(c, ESCAPE_ONCE) && chunk_put_wide(c, double_bits(v), 64)
                   ? FIT_DONE : FIT_NO_ROOM;
    }
    if (!chunk_put_escape(c, ESCAPE_XOR)) {
        return FIT_NO_ROOM;
    }
    chunk_to_xor(c, last);
    return chunk_put_xor(c, v) ? FIT_DONE : FIT_NO_ROOM;
}

static inline bool chunk_fits(const struct ql_chunk *c, int64_t ulps)
{
    return ulps == 0 || (c->mode == MODE_NEAR && ulps > -ULPS_MAX && ulps < ULPS_MAX);
}

static inline bool chunk_put_scaled(struct ql_chunk *c, double v)
{
    int64_t k, ulps;
    if (!scaled_near(v, c->scale, &k, &ulps) || !chunk_fits(c, ulps)) {
        const enum chunk_fit fit = chunk_put_misfit(c, v, &k, &ulps);
        if (fit != FIT_CHANGED) {
            return fit == FIT_DONE;
        }
    }
    const int64_t delta = k - (int64_t)c->last;
    if (delta < 0 && c->mode == MODE_RISING) {
        c->mode = MODE_SIGNED;
        if (!chunk_put_escape(c, ESCAPE_SIGNED)) {
            return false;
        }
    }
    c->last = (uint64_t)k;
    return chunk_put_code(c, c->mode == MODE_RISING ? (uint64_t)delta : zigzag(delta)) &&
           (c->mode != MODE_NEAR || chunk_put_ulps(c, ulps));
}

static bool chunk_put_first(struct ql_chunk *c, double v)
{
    int64_t k, ulps;
    const uint8_t scale = scale_find(v, 0, &k, &ulps);
    if (scale == SCALE_COUNT) {
        chunk_to_xor(c, v);
        return chunk_put(c, MODE_XOR, 3) && chunk_put_wide(c, c->last, 64);
    }
    c->mode = ulps != 0 ? MODE_NEAR : MODE_RISING;
    c->scale = scale;
    c->last = (uint64_t)k;
    const uint32_t width = bit_width(zigzag(k));
    return chunk_put(c, c->mode | (uint64_t)scale << 3 | (uint64_t)width << 7, 13) &&
           chunk_put(c, zigzag(k), width) && (ulps == 0 || chunk_put_ulps(c, ulps));
}

void ql_chunk_init(struct ql_chunk *chunk)
{
    memset(chunk, 0, sizeof(*chunk));
}

bool ql_chunk_append(struct ql_chunk *chunk, struct ql_sample sample)
{
    const int64_t at_ms = ql_time_to_ms(sample.at);
    if (chunk->count == 0) {
        chunk->first_ms = chunk->last_ms = at_ms;
        chunk->count = 1;
        const bool fits = chunk_put_first(chunk, sample.value);
        QL_ASSERT(fits);
        return true;
    }
    const int64_t delta_ms = at_ms - chunk->last_ms; /* both are ns / 10^6: no overflow */
    if (delta_ms < 1 || delta_ms > INT32_MAX) {
        return false;
    }
    unsigned char before[offsetof(struct ql_chunk, data)];
    memcpy(before, chunk, sizeof(before));
    const bool fits = chunk_put_time(chunk, delta_ms - chunk->last_delta_ms) &&
                      (chunk->mode == MODE_XOR ? chunk_put_xor(chunk, sample.value)
                                               : chunk_put_scaled(chunk, sample.value));
    if (!fits) {
        memcpy(chunk, before, sizeof(before)); /* bits past `bits` do not count */
        return false;
    }
    chunk->last_ms = at_ms;
    chunk->last_delta_ms = (int32_t)delta_ms;
    chunk->count++;
    return true;
}

size_t ql_chunk_used(const struct ql_chunk *chunk)
{
    return offsetof(struct ql_chunk, data) + (chunk->bits + 7u) / 8;
}

/* ---- reading ---------------------------------------------------------------------- */

/* The coder's state is rebuilt from the bits; of the header only first_ms, count and bits
 * are believed. `failed` sticks and makes every later read give zero. */
struct chunk_reader {
    const uint8_t *data; /* and eight bytes behind it, so that a word may be loaded at every byte */
    uint32_t at, bits;
    bool failed;
    enum chunk_mode mode;
    uint8_t scale;
    uint32_t spread, xor_leading, xor_meaning;
    int64_t last_k, ulps;
    uint64_t last_bits;
};

static inline uint64_t reader_peek(const struct chunk_reader *r)
{
    uint64_t word;
    memcpy(&word, r->data + r->at / 8, sizeof(word));
    return le64toh(word) >> (r->at % 8);
}

static inline uint64_t reader_get(struct chunk_reader *r, uint32_t n)
{
    if (r->failed || n > r->bits - r->at) {
        r->failed = true;
        return 0;
    }
    const uint64_t word = reader_peek(r);
    r->at += n;
    return word & ((UINT64_C(1) << n) - 1);
}

static uint64_t reader_get_wide(struct chunk_reader *r, uint32_t n)
{
    if (n <= PUT_BITS_MAX) {
        return reader_get(r, n);
    }
    const uint64_t low = reader_get(r, 32);
    return low | reader_get(r, n - 32) << 32;
}

/* Counts ones up to `ones_max`; the zero that ends a shorter run is read too. */
static inline uint32_t reader_ones(struct chunk_reader *r, uint32_t ones_max)
{
    const uint64_t word = r->failed ? 0 : reader_peek(r);
    const uint32_t run = (uint32_t)__builtin_ctzll(~word | UINT64_C(1) << ones_max);
    (void)reader_get(r, run < ones_max ? run + 1 : ones_max);
    return run;
}

static inline int64_t reader_time(struct chunk_reader *r)
{
    const uint32_t ones = reader_ones(r, QL_COUNT_OF(time_widths));
    if (ones == 0) {
        return 0;
    }
    const uint32_t width = time_widths[ones - 1];
    return (int64_t)(reader_get(r, width) << (64 - width)) >> (64 - width);
}

static double reader_xor(struct chunk_reader *r)
{
    if (reader_get(r, 1) == 0) {
        return bits_double(r->last_bits);
    }
    if (reader_get(r, 1) == 1) {
        r->xor_leading = (uint32_t)reader_get(r, 5);
        r->xor_meaning = (uint32_t)reader_get(r, 6) + 1;
    }
    if (r->xor_meaning == 0 || r->xor_leading + r->xor_meaning > 64) {
        r->failed = true;
        return 0.0;
    }
    r->last_bits ^= reader_get_wide(r, r->xor_meaning) << (64 - r->xor_leading - r->xor_meaning);
    return bits_double(r->last_bits);
}

/* Predicts from the last value at its new scale: the writer did the same. */
static void reader_rescale(struct chunk_reader *r, uint8_t scale_min)
{
    int64_t ulps;
    const uint8_t scale = (uint8_t)reader_get(r, 4);
    const double last = scaled_value(r->last_k, r->scale);
    r->failed = r->failed || scale < scale_min || !scaled_near(last, scale, &r->last_k, &ulps);
    r->scale = r->failed ? r->scale : scale;
}

static double reader_value(struct chunk_reader *r)
{
    const double value = scaled_value(r->last_k, r->scale);
    if (r->mode != MODE_NEAR) {
        return value;
    }
    const uint32_t ones = reader_ones(r, ONES_MAX);
    r->ulps += unzigzag(ones < ONES_MAX ? ones : reader_get(r, ULPS_BITS));
    if (r->ulps <= -ULPS_MAX || r->ulps >= ULPS_MAX) {
        r->failed = true;
        r->ulps = 0;
    }
    return bits_double(double_bits(value) + (uint64_t)r->ulps);
}

static double reader_step(struct chunk_reader *r, uint64_t code)
{
    const int64_t delta = r->mode == MODE_RISING ? (int64_t)code : unzigzag(code);
    r->spread = spread_after(r->spread, code);
    r->last_k += delta; /* below 2^52 + 2^55 */
    if (r->last_k >= SCALED_MAX || r->last_k <= -SCALED_MAX) {
        r->failed = true;
        r->last_k = 0;
    }
    return reader_value(r);
}

/* Changes that no writer makes are refused: so a reader never goes round in circles. */
static void reader_change(struct chunk_reader *r, enum chunk_escape escape)
{
    const bool near = r->mode == MODE_NEAR;
    if ((escape == ESCAPE_SIGNED && r->mode != MODE_RISING) || (escape == ESCAPE_SCALE && near)) {
        r->failed = true;
    } else if (escape == ESCAPE_SIGNED) {
        r->mode = MODE_SIGNED;
    } else {
        reader_rescale(r, (uint8_t)(r->scale + (near || escape == ESCAPE_SCALE)));
        r->mode = escape == ESCAPE_NEAR ? MODE_NEAR : r->mode;
    }
}

/* A value by scaled integers: escapes that change the form are followed by another code. */
static inline double reader_scaled(struct chunk_reader *r)
{
    while (!r->failed) {
        const uint32_t parameter = spread_parameter(r->spread);
        const uint32_t ones = reader_ones(r, ONES_MAX);
        if (ones < ONES_MAX) {
            return reader_step(r, (uint64_t)ones << parameter | reader_get(r, parameter));
        }
        const enum chunk_escape escape = (enum chunk_escape)reader_get(r, 3);
        switch (escape) {
        case ESCAPE_SIGNED:
        case ESCAPE_SCALE:
        case ESCAPE_NEAR: reader_change(r, escape); break;
        case ESCAPE_DELTA: {
            const uint32_t width = (uint32_t)reader_get(r, 6);
            r->failed = r->failed || width > 55;
            return reader_step(r, reader_get(r, r->failed ? 0 : width));
        }
        case ESCAPE_ONCE: return bits_double(reader_get_wide(r, 64));
        case ESCAPE_XOR:
            r->mode = MODE_XOR;
            r->last_bits = double_bits(scaled_value(r->last_k, r->scale));
            return reader_xor(r);
        default: r->failed = true;
        }
    }
    return 0.0;
}

static double reader_first(struct chunk_reader *r)
{
    r->mode = (enum chunk_mode)reader_get(r, 3);
    if (r->mode == MODE_XOR) {
        r->last_bits = reader_get_wide(r, 64);
        return bits_double(r->last_bits);
    }
    r->scale = (uint8_t)reader_get(r, 4);
    const uint32_t width = (uint32_t)reader_get(r, 6);
    r->failed = r->failed || width > 53 || (r->mode != MODE_RISING && r->mode != MODE_NEAR);
    r->last_k = unzigzag(reader_get(r, r->failed ? 0 : width));
    return reader_value(r);
}

/* Bits to samples; *ret_last_ms is the time of the last one. */
static ql_err reader_samples(struct chunk_reader *r, int64_t first_ms, uint32_t count,
                             struct ql_sample *ret_samples, int64_t *ret_last_ms)
{
    const int64_t ms_max = INT64_MAX / 1000000;
    int64_t at_ms = first_ms, delta_ms = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0) {
            delta_ms += reader_time(r);
            if (delta_ms < 1 || delta_ms > INT32_MAX) {
                return QL_E_MALFORMED;
            }
            at_ms += delta_ms;
        }
        if (at_ms > ms_max || at_ms < -ms_max) {
            return QL_E_MALFORMED;
        }
        ret_samples[i].at = ql_time_from_ms(at_ms);
        ret_samples[i].value = i == 0            ? reader_first(r)
                               : r->mode == MODE_XOR ? reader_xor(r)
                                                     : reader_scaled(r);
        if (r->failed) {
            return QL_E_MALFORMED;
        }
    }
    *ret_last_ms = at_ms;
    return r->at == r->bits ? QL_OK : QL_E_MALFORMED;
}

ql_err ql_chunk_read(const void *chunk, size_t bytes,
                     struct ql_sample ret_samples[QL_CHUNK_SAMPLES_MAX], uint32_t *ret_count)
{
    struct ql_chunk head;
    uint8_t data[DATA_BYTES + 8] = { 0 };
    int64_t last_ms = 0;
    if (bytes < offsetof(struct ql_chunk, data) || bytes > sizeof(head)) {
        return QL_E_MALFORMED;
    }
    const size_t data_bytes = bytes - offsetof(struct ql_chunk, data);
    memcpy(&head, chunk, offsetof(struct ql_chunk, data));
    memcpy(data, (const unsigned char *)chunk + offsetof(struct ql_chunk, data), data_bytes);
    if (head.bits > data_bytes * 8 || head.count > QL_CHUNK_SAMPLES_MAX) {
        return QL_E_MALFORMED;
    }
    struct chunk_reader r = { .data = data, .bits = head.bits };
    const ql_err err = reader_samples(&r, head.first_ms, head.count, ret_samples, &last_ms);
    if (err != QL_OK || (head.count > 0 && last_ms != head.last_ms)) {
        return QL_E_MALFORMED;
    }
    *ret_count = head.count;
    return QL_OK;
}

/* ---- streams ------------------------------------------------------------------------- */

bool ql_chunk_is_xor(const struct ql_chunk *chunk)
{
    return chunk->mode == MODE_XOR;
}

/* All of the coder's state stands in the head, so the bytes that are full may leave. */
size_t ql_chunk_drain(struct ql_chunk *chunk, void *ret_bytes)
{
    const size_t whole = chunk->bits / 8;
    memcpy(ret_bytes, chunk->data, whole);
    chunk->data[0] = chunk->data[whole < DATA_BYTES ? whole : DATA_BYTES - 1];
    chunk->bits = (uint16_t)(chunk->bits % 8);
    return whole;
}

ql_err ql_chunk_read_stream(int64_t first_ms, uint32_t count, uint32_t bits, ql_str data,
                            struct ql_sample *ret_samples)
{
    uint8_t padded[QL_CHUNK_STREAM_BYTES_MAX + 8] = { 0 };
    int64_t last_ms;
    if (data.bytes > QL_CHUNK_STREAM_BYTES_MAX || bits > data.bytes * 8) {
        return QL_E_MALFORMED;
    }
    memcpy(padded, data.at, data.bytes);
    struct chunk_reader r = { .data = padded, .bits = bits };
    return reader_samples(&r, first_ms, count, ret_samples, &last_ms);
}

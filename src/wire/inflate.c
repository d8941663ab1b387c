#include "wire/inflate.h"

#include <stdlib.h>

#include <libdeflate.h>
#include <snappy-c.h>
#include <zstd.h>
#include <zstd_errors.h>

/* The result while it grows. */
struct inflate_out {
    char *at;
    size_t bytes, capacity, bytes_max;
};

/* Room for `capacity` bytes, clipped to the limit; what stood there stays. */
static ql_err out_grow(struct inflate_out *out, size_t capacity)
{
    if (capacity > out->bytes_max) {
        capacity = out->bytes_max;
    }
    char *moved = realloc(out->at, capacity + QL_INFLATE_SLACK);
    if (moved == NULL) {
        return QL_E_MEMORY;
    }
    out->at = moved;
    out->capacity = capacity;
    return QL_OK;
}

static ql_err out_double(struct inflate_out *out)
{
    if (out->capacity == out->bytes_max) {
        return QL_E_TOO_LARGE;
    }
    return out_grow(out, out->capacity > out->bytes_max / 2 ? out->bytes_max : out->capacity * 2);
}

static ql_err inflate_none(ql_str in, struct inflate_out *out)
{
    if (in.bytes > out->bytes_max) {
        return QL_E_TOO_LARGE;
    }
    const ql_err err = out_grow(out, in.bytes);
    if (err == QL_OK && in.bytes > 0) {
        memcpy(out->at, in.at, in.bytes);
        out->bytes = in.bytes;
    }
    return err;
}

static ql_err inflate_snappy(ql_str in, struct inflate_out *out)
{
    size_t bytes = 0;
    if (snappy_uncompressed_length(in.at, in.bytes, &bytes) != SNAPPY_OK) {
        return QL_E_MALFORMED;
    }
    if (bytes > out->bytes_max) {
        return QL_E_TOO_LARGE;
    }
    const ql_err err = out_grow(out, bytes);
    if (err != QL_OK) {
        return err;
    }
    if (snappy_uncompress(in.at, in.bytes, out->at, &bytes) != SNAPPY_OK) {
        return QL_E_MALFORMED;
    }
    out->bytes = bytes;
    return QL_OK;
}

/* What the last member says about its own size, as a first guess only. */
static size_t gzip_guess(ql_str in)
{
    uint32_t told;
    memcpy(&told, in.at + in.bytes - 4, sizeof(told));
    const size_t likely_max = in.bytes > SIZE_MAX / 1032 ? SIZE_MAX : in.bytes * 1032;
    return told > likely_max ? likely_max : told;
}

/* One gzip member after the other, as RFC 1952 allows; each is tried again after the
 * output grew, which by doubling costs no more than the last try once over. */
static ql_err gzip_members(struct libdeflate_decompressor *d, ql_str in, struct inflate_out *out)
{
    while (in.bytes > 0) {
        size_t taken = 0, made = 0;
        const enum libdeflate_result result =
            libdeflate_gzip_decompress_ex(d, in.at, in.bytes, out->at + out->bytes,
                                          out->capacity - out->bytes, &taken, &made);
        if (result == LIBDEFLATE_INSUFFICIENT_SPACE) {
            const ql_err err = out_double(out);
            if (err != QL_OK) {
                return err;
            }
            continue;
        }
        if (result != LIBDEFLATE_SUCCESS) {
            return QL_E_MALFORMED;
        }
        out->bytes += made;
        in = (ql_str){ in.at + taken, in.bytes - taken };
    }
    return QL_OK;
}

static ql_err inflate_gzip(ql_str in, struct inflate_out *out)
{
    if (in.bytes < 18) { /* header and trailer alone */
        return QL_E_MALFORMED;
    }
    const size_t guess = gzip_guess(in);
    ql_err err = out_grow(out, guess > 4096 ? guess : 4096);
    struct libdeflate_decompressor *d = libdeflate_alloc_decompressor();
    if (err == QL_OK) {
        err = d == NULL ? QL_E_MEMORY : gzip_members(d, in, out);
    }
    libdeflate_free_decompressor(d);
    return err;
}

static ql_err zstd_frames(ZSTD_DCtx *context, ql_str in, struct inflate_out *out)
{
    ZSTD_inBuffer from = { in.at, in.bytes, 0 };
    for (;;) {
        /* One byte more than wanted (there is slack), so that a result of exactly the limit
         * is told from one past it. */
        ZSTD_outBuffer to = { out->at, out->capacity + 1, out->bytes };
        const size_t left = ZSTD_decompressStream(context, &to, &from);
        if (ZSTD_isError(left)) {
            return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? QL_E_MEMORY
                                                                            : QL_E_MALFORMED;
        }
        out->bytes = to.pos;
        if (to.pos == to.size) {
            const ql_err err = out_double(out);
            if (err != QL_OK) {
                return err;
            }
        } else if (from.pos == from.size) {
            return left == 0 ? QL_OK : QL_E_MALFORMED; /* it wants more than there is */
        }
    }
}

static ql_err inflate_zstd(ql_str in, struct inflate_out *out)
{
    const unsigned long long told = ZSTD_getFrameContentSize(in.at, in.bytes);
    if (told == ZSTD_CONTENTSIZE_ERROR) {
        return QL_E_MALFORMED;
    }
    if (told != ZSTD_CONTENTSIZE_UNKNOWN && told > out->bytes_max) {
        return QL_E_TOO_LARGE;
    }
    size_t guess = told == ZSTD_CONTENTSIZE_UNKNOWN ? in.bytes * 4 : (size_t)told;
    ql_err err = out_grow(out, guess > 4096 ? guess : 4096);
    ZSTD_DCtx *context = ZSTD_createDCtx();
    if (err == QL_OK) {
        err = context == NULL ? QL_E_MEMORY : zstd_frames(context, in, out);
    }
    (void)ZSTD_freeDCtx(context);
    return err;
}

ql_err ql_inflate(enum ql_encoding encoding, ql_str in, size_t bytes_max,
                  struct ql_blob **ret_blob)
{
    struct inflate_out out = { .bytes_max = bytes_max };
    ql_err err = QL_E_UNSUPPORTED;
    QL_ASSERT(bytes_max < SIZE_MAX - QL_INFLATE_SLACK);
    if (in.at == NULL) {
        in = (ql_str){ "", 0 };
    }
    switch (encoding) {
    case QL_ENCODING_NONE: err = inflate_none(in, &out); break;
    case QL_ENCODING_SNAPPY: err = inflate_snappy(in, &out); break;
    case QL_ENCODING_GZIP: err = inflate_gzip(in, &out); break;
    case QL_ENCODING_ZSTD: err = inflate_zstd(in, &out); break;
    }
    if (err != QL_OK) {
        free(out.at);
        return err;
    }
    QL_ASSERT(out.bytes <= bytes_max);
    memset(out.at + out.bytes, 0, QL_INFLATE_SLACK);
    struct ql_blob *blob = ql_blob_take(out.at, out.bytes);
    if (blob == NULL) {
        return QL_E_MEMORY;
    }
    *ret_blob = blob;
    return QL_OK;
}

#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

enum { BUF_BYTES_MIN = 256 };

void ql_buf_init(struct ql_buf *buf, size_t bytes_max)
{
    QL_ASSERT(bytes_max < SIZE_MAX / 2);
    *buf = (struct ql_buf){ .bytes_max = bytes_max };
}

void ql_buf_init_spill(struct ql_buf *buf, size_t bytes_max,
                       void (*spill)(void *context, const char *at, size_t bytes), void *context)
{
    ql_buf_init(buf, bytes_max);
    buf->spill = spill;
    buf->spill_context = context;
}

void ql_buf_flush(struct ql_buf *buf)
{
    QL_ASSERT(buf->spill != NULL);
    if (buf->bytes > 0) {
        buf->spill(buf->spill_context, buf->at, buf->bytes);
        buf->bytes = 0;
    }
}

void ql_buf_fini(struct ql_buf *buf)
{
    if (buf != NULL) {
        free(buf->at);
        *buf = (struct ql_buf){ .bytes_max = buf->bytes_max, .spill = buf->spill,
                                .spill_context = buf->spill_context };
    }
}

void ql_buf_reset(struct ql_buf *buf)
{
    buf->bytes = 0;
    buf->failed = false;
    buf->error = QL_OK;
    if (buf->at != NULL) {
        buf->at[0] = '\0';
    }
}

char *ql_buf_give(struct ql_buf *buf, size_t *ret_bytes)
{
    char *at = buf->at != NULL ? buf->at : calloc(1, 1);
    *ret_bytes = buf->bytes;
    *buf = (struct ql_buf){ .bytes_max = buf->bytes_max };
    return at;
}

static ql_err buf_fail(struct ql_buf *buf, ql_err err)
{
    if (!buf->failed) {
        buf->failed = true;
        buf->error = err;
    }
    return buf->error;
}

/* `capacity` does not count the byte kept for the NUL. */
static ql_err buf_grow(struct ql_buf *buf, size_t need)
{
    size_t capacity = buf->capacity < BUF_BYTES_MIN ? BUF_BYTES_MIN : buf->capacity;
    while (capacity < need) {
        capacity += capacity / 2;
    }
    if (capacity > buf->bytes_max) {
        capacity = buf->bytes_max;
    }
    char *at = realloc(buf->at, capacity + 1);
    if (at == NULL) {
        return buf_fail(buf, QL_E_MEMORY);
    }
    buf->at = at;
    buf->capacity = capacity;
    buf->at[buf->bytes] = '\0';
    return QL_OK;
}

/* Makes room for `bytes` more, or fails and changes nothing else. */
static inline ql_err buf_room(struct ql_buf *buf, size_t bytes)
{
    if (buf->failed) {
        return buf->error;
    }
    if (bytes > buf->bytes_max - buf->bytes) {
        if (buf->spill == NULL || bytes > buf->bytes_max) {
            return buf_fail(buf, QL_E_FULL);
        }
        ql_buf_flush(buf);
    }
    const size_t need = buf->bytes + bytes;
    return buf->at != NULL && need <= buf->capacity ? QL_OK : buf_grow(buf, need);
}

ql_err ql_buf_put(struct ql_buf *buf, const void *at, size_t bytes)
{
    if (buf->spill != NULL && bytes > buf->bytes_max && !buf->failed) {
        ql_buf_flush(buf);
        buf->spill(buf->spill_context, at, bytes);
        return QL_OK;
    }
    const ql_err err = buf_room(buf, bytes);
    if (err != QL_OK) {
        return err;
    }
    if (bytes > 0) {
        memcpy(buf->at + buf->bytes, at, bytes);
    }
    buf->bytes += bytes;
    buf->at[buf->bytes] = '\0';
    return QL_OK;
}

ql_err ql_buf_str(struct ql_buf *buf, ql_str s)
{
    return ql_buf_put(buf, s.at, s.bytes);
}

ql_err ql_buf_text(struct ql_buf *buf, const char *nul_terminated)
{
    return ql_buf_put(buf, nul_terminated, strlen(nul_terminated));
}

ql_err ql_buf_char(struct ql_buf *buf, char c)
{
    return ql_buf_put(buf, &c, 1);
}

ql_err ql_buf_vprintf(struct ql_buf *buf, const char *format, va_list args)
{
    char small[256];
    va_list again;
    va_copy(again, args);
    const int wanted = vsnprintf(small, sizeof(small), format, args);
    ql_err err = wanted < 0 ? buf_fail(buf, QL_E_MEMORY) : buf_room(buf, (size_t)wanted);
    if (err == QL_OK) {
        if ((size_t)wanted < sizeof(small)) {
            memcpy(buf->at + buf->bytes, small, (size_t)wanted + 1);
        } else {
            (void)vsnprintf(buf->at + buf->bytes, (size_t)wanted + 1, format, again);
        }
        buf->bytes += (size_t)wanted;
    }
    va_end(again);
    return err;
}

ql_err ql_buf_printf(struct ql_buf *buf, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    const ql_err err = ql_buf_vprintf(buf, format, args);
    va_end(args);
    return err;
}

ql_err ql_buf_reserve(struct ql_buf *buf, size_t bytes, char **ret_at)
{
    const ql_err err = buf_room(buf, bytes);
    if (err == QL_OK) {
        *ret_at = buf->at + buf->bytes;
    }
    return err;
}

void ql_buf_advance(struct ql_buf *buf, size_t bytes)
{
    QL_ASSERT(bytes <= buf->capacity - buf->bytes);
    buf->bytes += bytes;
    if (buf->at != NULL) {
        buf->at[buf->bytes] = '\0';
    }
}

ql_err ql_buf_check(const struct ql_buf *buf)
{
    return buf->failed ? buf->error : QL_OK;
}

/* ---- fixed-width little-endian --------------------------------------------------- */

static ql_err buf_little_endian(struct ql_buf *buf, uint64_t v, size_t bytes)
{
    unsigned char out[8];
    for (size_t i = 0; i < bytes; i++) {
        out[i] = (unsigned char)(v >> (8 * i));
    }
    return ql_buf_put(buf, out, bytes);
}

ql_err ql_buf_u8(struct ql_buf *buf, uint8_t v)
{
    return ql_buf_put(buf, &v, 1);
}

ql_err ql_buf_u32(struct ql_buf *buf, uint32_t v)
{
    return buf_little_endian(buf, v, 4);
}

ql_err ql_buf_u64(struct ql_buf *buf, uint64_t v)
{
    return buf_little_endian(buf, v, 8);
}

ql_err ql_buf_i64(struct ql_buf *buf, int64_t v)
{
    return ql_buf_u64(buf, (uint64_t)v);
}

ql_err ql_buf_f64(struct ql_buf *buf, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, sizeof(bits));
    return ql_buf_u64(buf, bits);
}

ql_err ql_buf_lstr(struct ql_buf *buf, ql_str s)
{
    if (s.bytes > UINT32_MAX) {
        return buf_fail(buf, QL_E_FULL);
    }
    /* Room for both first: half a text must not stay behind. */
    const ql_err err = buf_room(buf, buf->spill != NULL ? 4 : s.bytes + 4);
    if (err != QL_OK) {
        return err;
    }
    (void)ql_buf_u32(buf, (uint32_t)s.bytes);
    return ql_buf_str(buf, s);
}

/* ---- the reading half ------------------------------------------------------------ */

struct ql_reader ql_reader_of(ql_str bytes)
{
    if (bytes.bytes == 0) {
        return (struct ql_reader){ .at = "", .end = "" };
    }
    return (struct ql_reader){ .at = bytes.at, .end = bytes.at + bytes.bytes };
}

const char *ql_reader_bytes(struct ql_reader *r, size_t bytes)
{
    if (r->failed || bytes > (size_t)(r->end - r->at)) {
        r->failed = true;
        return NULL;
    }
    const char *at = r->at;
    r->at += bytes;
    return at;
}

bool ql_reader_copy(struct ql_reader *r, void *at, size_t bytes)
{
    const char *from = ql_reader_bytes(r, bytes);
    if (from != NULL && bytes > 0) {
        memcpy(at, from, bytes);
    }
    return !r->failed;
}

static uint64_t reader_little_endian(struct ql_reader *r, size_t bytes)
{
    const char *at = ql_reader_bytes(r, bytes);
    uint64_t v = 0;
    for (size_t i = 0; at != NULL && i < bytes; i++) {
        v |= (uint64_t)(unsigned char)at[i] << (8 * i);
    }
    return v;
}

uint8_t ql_reader_u8(struct ql_reader *r)
{
    return (uint8_t)reader_little_endian(r, 1);
}

uint32_t ql_reader_u32(struct ql_reader *r)
{
    return (uint32_t)reader_little_endian(r, 4);
}

uint64_t ql_reader_u64(struct ql_reader *r)
{
    return reader_little_endian(r, 8);
}

int64_t ql_reader_i64(struct ql_reader *r)
{
    return (int64_t)reader_little_endian(r, 8);
}

double ql_reader_f64(struct ql_reader *r)
{
    const uint64_t bits = reader_little_endian(r, 8);
    double v;
    memcpy(&v, &bits, sizeof(v));
    return v;
}

ql_str ql_reader_lstr(struct ql_reader *r)
{
    const uint32_t bytes = ql_reader_u32(r);
    const char *at = ql_reader_bytes(r, bytes);
    return at != NULL ? (ql_str){ at, bytes } : (ql_str){ "", 0 };
}

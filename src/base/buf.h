/* buf.h - a growable run of bytes that is told its maximum when it is made.
 *
 * Always NUL-terminated one past `bytes` once anything was written, so `at` may
 * be printed. A write that would pass the maximum, or finds no memory, changes
 * nothing and sets `failed`; later writes fail too, so a long sequence of writes
 * needs one check at its end.
 *
 * A buffer that spills holds only the newest part of what was written: when it is full it hands
 * its bytes on, in order, and goes on empty. It is written to and flushed, nothing else.
 *
 * Ownership     init/fini; `at` is borrowed until the next write; give() hands it over.
 * Errors        QL_E_FULL (maximum), QL_E_MEMORY.
 * Bounds        amortised O(bytes written); never more than bytes_max + 1 allocated.
 */
#ifndef QL_BASE_BUF_H
#define QL_BASE_BUF_H

#include "base/base.h"

#include <stdarg.h>

struct ql_buf {
    char *at;
    size_t bytes;
    size_t capacity;
    size_t bytes_max;
    void (*spill)(void *context, const char *at, size_t bytes); /* NULL: keeps all */
    void *spill_context;
    bool failed;
    ql_err error; /* the first reason, while failed */
};

void ql_buf_init(struct ql_buf *buf, size_t bytes_max);
/* One that spills when it holds `bytes_max`. */
void ql_buf_init_spill(struct ql_buf *buf, size_t bytes_max,
                       void (*spill)(void *context, const char *at, size_t bytes), void *context);
void ql_buf_flush(struct ql_buf *buf); /* spills what is left */
void ql_buf_fini(struct ql_buf *buf);
void ql_buf_reset(struct ql_buf *buf); /* keeps storage, drops content and `failed` */
char *ql_buf_give(struct ql_buf *buf, size_t *ret_bytes); /* caller frees with free() */

ql_err ql_buf_put(struct ql_buf *buf, const void *at, size_t bytes);
ql_err ql_buf_str(struct ql_buf *buf, ql_str s);
ql_err ql_buf_text(struct ql_buf *buf, const char *nul_terminated);
ql_err ql_buf_char(struct ql_buf *buf, char c);
ql_err ql_buf_printf(struct ql_buf *buf, const char *format, ...) QL_PRINTF(2, 3);
ql_err ql_buf_vprintf(struct ql_buf *buf, const char *format, va_list args);
/* Makes room for `bytes` more and returns where they go; follow with ql_buf_advance(). */
QL_MUST_USE ql_err ql_buf_reserve(struct ql_buf *buf, size_t bytes, char **ret_at);
void ql_buf_advance(struct ql_buf *buf, size_t bytes);
static inline ql_str ql_buf_view(const struct ql_buf *buf)
{
    return (ql_str){ buf->bytes > 0 ? buf->at : "", buf->bytes };
}
/* QL_OK, or the first reason why a write failed. */
QL_MUST_USE ql_err ql_buf_check(const struct ql_buf *buf);

/* Fixed-width little-endian, as journals and checkpoints hold them. */
ql_err ql_buf_u8(struct ql_buf *buf, uint8_t v);
ql_err ql_buf_u32(struct ql_buf *buf, uint32_t v);
ql_err ql_buf_u64(struct ql_buf *buf, uint64_t v);
ql_err ql_buf_i64(struct ql_buf *buf, int64_t v);
ql_err ql_buf_f64(struct ql_buf *buf, double v);
ql_err ql_buf_lstr(struct ql_buf *buf, ql_str s); /* u32 length, then the bytes */

/* The reading half: a cursor that sticks at its first error, so that a long
 * sequence of reads needs one check at its end. Reads past the end give 0. */
struct ql_reader {
    const char *at, *end;
    bool failed;
};
struct ql_reader ql_reader_of(ql_str bytes);
uint8_t ql_reader_u8(struct ql_reader *r);
uint32_t ql_reader_u32(struct ql_reader *r);
uint64_t ql_reader_u64(struct ql_reader *r);
/* Copies `bytes` bytes to `at`; false, and `at` untouched, when there are not so many. */
bool ql_reader_copy(struct ql_reader *r, void *at, size_t bytes);
int64_t ql_reader_i64(struct ql_reader *r);
double ql_reader_f64(struct ql_reader *r);
ql_str ql_reader_lstr(struct ql_reader *r); /* borrowed from the input */
const char *ql_reader_bytes(struct ql_reader *r, size_t bytes); /* NULL past the end */
static inline size_t ql_reader_left(const struct ql_reader *r) { return (size_t)(r->end - r->at); }

#endif

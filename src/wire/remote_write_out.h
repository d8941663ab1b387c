/* remote_write_out.h - samples as a remote write 1.0 request, the way we send them on.
 *
 * A label block already is what stands on the wire (model/labels.h), so a series is its
 * block with samples behind it, and a request is series after series, compressed whole.
 *
 * Ownership     begin starts over; the request is borrowed until the next begin.
 * Errors        add, finish: QL_E_FULL (over bytes_max), QL_E_MEMORY; then nothing of the
 *               series was added.
 * Bounds        O(bytes).
 */
#ifndef QL_WIRE_REMOTE_WRITE_OUT_H
#define QL_WIRE_REMOTE_WRITE_OUT_H

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

struct ql_remote_write_out {
    struct ql_buf plain, packed;
    uint32_t series_count, sample_count;
};

void ql_remote_write_out_init(struct ql_remote_write_out *out, size_t bytes_max);
void ql_remote_write_out_fini(struct ql_remote_write_out *out);
void ql_remote_write_out_begin(struct ql_remote_write_out *out);
QL_MUST_USE ql_err ql_remote_write_out_add(struct ql_remote_write_out *out, ql_str labels,
                                           const struct ql_sample *samples, uint32_t count);
/* The request's body, snappy as a block. */
QL_MUST_USE ql_err ql_remote_write_out_finish(struct ql_remote_write_out *out,
                                              ql_str *ret_body);

#endif

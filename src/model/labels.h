/* labels.h - a series' labels as one block of bytes, and the ways to read and build it.
 *
 * A label block is the run of `labels` fields of a remote-write 1.0 TimeSeries, as
 * they stand on the wire: for each label 0x0A, length, { 0x0A, length, name, 0x12,
 * length, value }. It is canonical when names are strictly ascending and no value is
 * empty, which is what Prometheus sends, so its blocks are used as they arrive. The
 * metric's name is the label "__name__". Alerts and annotations use the same form.
 *
 * Ownership     a block is borrowed bytes; the builder's result lives in its buf.
 * Errors        QL_E_MALFORMED (not this form, or text is not UTF-8), QL_E_CONFLICT
 *               (a name stands twice), QL_E_RANGE (over a limit below).
 * Bounds        at most QL_LABELS_COUNT_MAX labels and QL_LABELS_BYTES_MAX bytes.
 */
#ifndef QL_MODEL_LABELS_H
#define QL_MODEL_LABELS_H

#include "base/base.h"
#include "base/buf.h"

#define QL_LABELS_COUNT_MAX 64u
#define QL_LABELS_BYTES_MAX 16384u

struct ql_label { ql_str name, value; };

/* Steps through a well-formed block: start with *at = 0; false at the end. A block
 * that did not pass ql_labels_check() ends early, and is never read past its end. */
bool ql_labels_next(ql_str block, size_t *at, struct ql_label *ret_label);
/* The value of `name`; { "", 0 } when it is absent. */
ql_str ql_labels_get(ql_str block, ql_str name);
QL_MUST_USE ql_err ql_labels_check(ql_str block, bool *ret_canonical);

/* Sorts, drops empty values, appends the canonical block to `out`. Sorts in place. */
QL_MUST_USE ql_err ql_labels_build(struct ql_label *labels, uint32_t count, struct ql_buf *out);
/* Canonical form of any well-formed block. */
QL_MUST_USE ql_err ql_labels_canonical(ql_str block, struct ql_buf *out);
/* name{a="b",c="d"} with Prometheus escaping; "{}" for an empty block. */
ql_err ql_labels_text(ql_str block, struct ql_buf *out);
/* The other way: `name{a="b"}` or `{a="b"}` to a canonical block. */
QL_MUST_USE ql_err ql_labels_parse(ql_str text, struct ql_buf *out);

#endif

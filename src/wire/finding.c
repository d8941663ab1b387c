/* finding.c - the look-ahead's findings in their journal form.
 *
 * One record is a version byte and its fields, fixed-width little-endian; a body holds any
 * number of them. This form stands in journals: a new field needs a new version, and old
 * versions stay readable. Version 2 has the counters of a disk; all else is still written as
 * version 1.
 */
#include "wire/wire_int.h"

#include "model/labels.h"

#include <math.h>

enum { FINDING_VERSION = 1, FINDING_VERSION_DISK = 2 };
#define SMART_RAW_MAX 281474976710656.0 /* 2^48 */

ql_err ql_wire_finding_write(const struct ql_finding *finding, struct ql_buf *out)
{
    QL_ASSERT((unsigned)finding->kind < QL_FINDING_KINDS);
    const double reals[] = { finding->used, finding->limit, finding->full, finding->horizon_s,
                             finding->early_s, finding->middle_s, finding->late_s };
    const bool disk = finding->kind == QL_FINDING_DISK;
    (void)ql_buf_u8(out, disk ? FINDING_VERSION_DISK : FINDING_VERSION);
    (void)ql_buf_u8(out, (uint8_t)finding->kind);
    (void)ql_buf_u64(out, finding->series.h.low);
    (void)ql_buf_u64(out, finding->series.h.high);
    (void)ql_buf_i64(out, finding->at.ns);
    for (size_t i = 0; i < QL_COUNT_OF(reals); i++) {
        (void)ql_buf_f64(out, reals[i]);
    }
    (void)ql_buf_u32(out, finding->tests);
    (void)ql_buf_u32(out, finding->right);
    for (size_t i = 0; disk && i < QL_COUNT_OF(finding->smart); i++) {
        (void)ql_buf_f64(out, finding->smart[i]);
    }
    (void)ql_buf_lstr(out, finding->labels);
    return ql_buf_lstr(out, finding->limit_name);
}

static bool smart_sane(const struct ql_finding *f)
{
    for (size_t i = 0; i < QL_COUNT_OF(f->smart); i++) {
        if (f->smart[i] != -1.0 && !(f->smart[i] >= 0.0 && f->smart[i] <= SMART_RAW_MAX)) {
            return false;
        }
    }
    return true;
}

/* Numbers that no look-ahead says: what follows may rely on the rest. */
static bool finding_sane(const struct ql_finding *f)
{
    bool canonical;
    return isfinite(f->used) && isfinite(f->limit) && f->limit > 0.0 && f->full >= 0.0 &&
           f->full <= 1.0 && f->horizon_s > 0.0 && f->horizon_s < 1e9 && f->early_s >= 0.0 &&
           f->middle_s >= f->early_s && f->late_s >= f->middle_s && f->right <= f->tests &&
           f->at.ns >= 0 && f->at.ns < INT64_MAX / 2 &&
           smart_sane(f) && ql_labels_check(f->labels, &canonical) == QL_OK && canonical;
}

static bool finding_read(struct ql_reader *r, struct ql_finding *ret_finding)
{
    const uint8_t version = ql_reader_u8(r), kind = ql_reader_u8(r);
    const bool disk = kind == QL_FINDING_DISK;
    if (version != (disk ? FINDING_VERSION_DISK : FINDING_VERSION) || kind >= QL_FINDING_KINDS) {
        return false;
    }
    struct ql_finding f = { .kind = (enum ql_finding_kind)kind };
    f.series.h.low = ql_reader_u64(r);
    f.series.h.high = ql_reader_u64(r);
    f.at.ns = ql_reader_i64(r);
    double *const reals[] = { &f.used, &f.limit, &f.full, &f.horizon_s,
                              &f.early_s, &f.middle_s, &f.late_s };
    for (size_t i = 0; i < QL_COUNT_OF(reals); i++) {
        *reals[i] = ql_reader_f64(r);
    }
    f.tests = ql_reader_u32(r);
    f.right = ql_reader_u32(r);
    for (size_t i = 0; disk && i < QL_COUNT_OF(f.smart); i++) {
        f.smart[i] = ql_reader_f64(r);
    }
    f.labels = ql_reader_lstr(r);
    f.limit_name = ql_reader_lstr(r);
    *ret_finding = f;
    return !r->failed && finding_sane(&f);
}

ql_err ql_finding_decode(const struct ql_wire_job *job)
{
    struct ql_reader r = ql_reader_of(job->body);
    while (ql_reader_left(&r) > 0) {
        struct ql_finding finding, *added;
        if (!finding_read(&r, &finding)) {
            ql_reject_add(job->reject, QL_REASON_MALFORMED,
                          "look_ahead: cut off, out of range, or of an unknown version or kind");
            return QL_E_MALFORMED;
        }
        added = ql_batch_add_finding(job->out);
        if (added == NULL) {
            ql_reject_add(job->reject, QL_REASON_TOO_LARGE,
                          "look_ahead: more findings than one batch holds");
            return QL_E_FULL;
        }
        *added = finding;
    }
    return QL_OK;
}

/* remote_write_types.c - the metadata of a remote-write request, used for its own series.
 *
 * Prometheus sends metadata in requests of its own about once a minute; such a request
 * has no series and sets nothing. Senders that put both into one request (the spec allows
 * it, agents do it) get exact types from the first sample on.
 */
#include "base/map.h"
#include "model/labels.h"
#include "wire/pb.h"
#include "wire/wire_int.h"

enum { FAMILIES_MAX = 100000 };

/* MetricMetadata { 1 enum type, 2 metric_family_name, 4 help, 5 unit } */
static ql_err types_learn(struct ql_map64 *families, ql_str message)
{
    struct ql_pb pb = ql_pb_of(message);
    ql_str name = { "", 0 };
    uint64_t type = 0;
    for (struct ql_pb_field field; ql_pb_next(&pb, &field);) {
        if (field.number == 1 && field.type == QL_PB_VARINT) {
            type = field.value;
        } else if (field.number == 2 && field.type == QL_PB_BYTES) {
            name = field.bytes;
        }
    }
    if (pb.failed) {
        return QL_E_MALFORMED;
    }
    /* The numbers of the enum are those of ql_metric_family. */
    if (name.bytes == 0 || type == 0 || type > QL_FAMILY_STATE_SET) {
        return QL_OK;
    }
    const ql_err err = ql_map64_put(families, ql_hash64(name.at, name.bytes), (uint32_t)type);
    return err == QL_E_FULL ? QL_OK : err; /* more families than that: the rest is learnt */
}

static enum ql_metric_type types_find(const struct ql_map64 *families, ql_str name)
{
    uint32_t family = ql_map64_get(families, ql_hash64(name.at, name.bytes));
    if (family != QL_MAP_NONE) {
        return ql_family_type((enum ql_metric_family)family, (ql_str){ "", 0 });
    }
    for (size_t at = name.bytes; at-- > 1;) {
        if (name.at[at] == '_') {
            const ql_str part = { name.at + at, name.bytes - at };
            family = ql_map64_get(families, ql_hash64(name.at, at));
            return family == QL_MAP_NONE
                       ? QL_METRIC_UNKNOWN
                       : ql_family_type((enum ql_metric_family)family, part);
        }
    }
    return QL_METRIC_UNKNOWN;
}

static ql_err types_read(const struct ql_wire_job *job, struct ql_map64 *families)
{
    struct ql_pb pb = ql_pb_of(job->body);
    for (struct ql_pb_field field; ql_pb_next(&pb, &field);) {
        if (field.number != 3 || field.type != QL_PB_BYTES) {
            continue;
        }
        const ql_err err = types_learn(families, field.bytes);
        if (err != QL_OK) {
            ql_reject_add(job->reject, QL_REASON_MALFORMED,
                          "remote write: metadata is cut off or no protobuf message");
            return err;
        }
    }
    return QL_OK;
}

ql_err ql_remote_write_types(const struct ql_wire_job *job)
{
    struct ql_map64 families;
    ql_map64_init(&families, FAMILIES_MAX);
    const ql_err err = types_read(job, &families);
    for (uint32_t i = 0; err == QL_OK && i < job->out->runs.count; i++) {
        struct ql_run *run = &job->out->runs.at[i];
        run->type = types_find(&families, ql_labels_get(run->labels, QL_STR("__name__")));
    }
    ql_map64_fini(&families);
    return err;
}

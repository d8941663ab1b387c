/* digest.c - a hash of what a stage appended, by content: what replay compares.
 *
 * Method       each field goes through one multiply-xor step (the finaliser of
 *              splitmix64, Steele et al. 2014); texts by XXH3-64 of their bytes. Order
 *              counts. Not meant against an adversary.
 * Cost         about 1 ns a field.
 */
#include "model/batch.h"

static uint64_t digest_u64(uint64_t hash, uint64_t value)
{
    hash = (hash ^ value) * UINT64_C(0xbf58476d1ce4e5b9);
    return hash ^ (hash >> 29);
}
static uint64_t digest_f64(uint64_t hash, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return digest_u64(hash, bits);
}
static uint64_t digest_text(uint64_t hash, ql_str text)
{
    return digest_u64(hash, text.bytes == 0 ? 0 : ql_hash64(text.at, text.bytes));
}

#define U(field) hash = digest_u64(hash, (uint64_t)(record->field));
#define F(field) hash = digest_f64(hash, (double)(record->field));
#define T(field) hash = digest_text(hash, record->field);
#define DIGEST(one, type, fields)                                                      \
    static uint64_t digest_##one(const type *record, uint64_t hash)                    \
    {                                                                                  \
        fields return hash;                                                            \
    }

DIGEST(run, struct ql_run, U(raw.low) U(raw.high) U(sample_count) U(type))
DIGEST(sample, struct ql_sample, U(at.ns) F(value))
DIGEST(log, struct ql_log, U(at.ns) U(severity) T(service) T(host) T(body))
DIGEST(span, struct ql_span, U(span_id) U(parent_id) U(start.ns) U(duration.ns) U(kind)
       U(error) T(service) T(operation) T(peer))
DIGEST(alert_in, struct ql_alert_in, T(labels) T(annotations) U(starts.ns) U(ends.ns)
       T(generator_url))
DIGEST(change_in, struct ql_change_in, U(at.ns) T(kind) T(entity) T(summary) T(source) T(link))
DIGEST(command, struct ql_command, U(kind) U(incident.v) U(action.v) U(verdict) T(entity) T(by)
       T(note) U(at.ns))
DIGEST(outcome, struct ql_outcome, U(action.v) U(at.ns) U(exit_code) U(timed_out) T(output))
DIGEST(finding, struct ql_finding, U(series.h.low) U(series.h.high) T(labels) T(limit_name)
       U(kind) U(at.ns) F(used) F(limit) F(full) F(horizon_s) F(early_s) F(middle_s) F(late_s)
       U(tests) U(right) F(smart[0]) F(smart[1]) F(smart[2]) F(smart[3]) F(smart[4]))
DIGEST(point, struct ql_point, U(at.ns) F(value) U(series) U(kind))
DIGEST(retired_one, struct ql_retired, U(series) U(idle_s))
DIGEST(edge, struct ql_edge, U(caller.v) U(callee.v) U(at.ns) U(calls) U(errors) U(source))
DIGEST(entity, struct ql_entity_seen, U(id.v) T(name))
DIGEST(alert, struct ql_alert, U(id.v) U(entity.v) T(name) T(labels) T(annotations) T(severity)
       U(starts.ns) U(ends.ns) U(firing))
DIGEST(change, struct ql_change, U(id.v) U(entity.v) U(at.ns) T(kind) T(summary) T(source)
       T(link))
DIGEST(signal, struct ql_signal, U(id.v) U(series.h.low) U(entity.v) T(metric) T(labels) U(kind)
       U(phase) U(importance) U(lapsed) U(onset.ns) U(at.ns)
      F(value) F(expected) F(lower) F(upper) F(surprise) T(why))
DIGEST(band, struct ql_band, U(at.ns) U(series) F(expected) F(lower) F(upper) F(surprise))
DIGEST(slo_part, struct ql_slo_part, U(slo) U(entity.v) U(minute) U(bad) U(total) U(covered)
       U(silent))
DIGEST(incident, struct ql_incident, U(id.v) U(event) U(state) U(entity.v) U(onset.ns)
       U(opened.ns) U(updated.ns) U(resolved.ns) T(title) T(by) U(alert_count) U(signal_count)
       U(entity_count) U(raw_count) U(reopen_count) U(merged_into.v))
DIGEST(member, struct ql_member, U(incident.v) U(id.v) U(kind) U(entity.v) U(series.h.low)
       T(name) T(labels) U(since.ns) U(joined.ns) U(ended.ns) T(why))
DIGEST(window_request, struct ql_window_request, U(incident.v) U(entity.v) U(from.ns)
       U(onset.ns))
DIGEST(window, struct ql_window, U(incident.v) U(series.h.low) U(entity.v) T(metric) U(type)
       U(sample_count))
DIGEST(cause, struct ql_cause, U(incident.v) U(rank) U(entity.v) U(series.h.low) T(metric)
       F(score) F(confidence) U(onset.ns) U(role) T(evidence))
DIGEST(action, struct ql_action, U(id.v) U(incident.v) U(entity.v) T(runbook) T(step) U(state)
       U(at.ns) U(dispatch) U(dry_run) T(argv) U(timeout.ns) T(reason) T(by))
DIGEST(audit, struct ql_audit, U(at.ns) U(incident.v) U(action.v) T(actor) T(what) T(detail))

uint64_t ql_batch_digest(const struct ql_batch *batch, enum ql_list list, uint32_t from,
                         uint64_t seed)
{
    uint64_t hash = seed;
    switch (list) {
#define X(name, one, type, max)                                                        \
    case QL_LIST_##name:                                                               \
        for (uint32_t i = from; i < batch->name.count; i++) {                          \
            hash = digest_##one(&batch->name.at[i], hash);                             \
        }                                                                              \
        break;
    QL_BATCH_MAP(X)
#undef X
    default: break;
    }
    return hash;
}

/* door_fuzz.h - for the fuzzers of this folder: decode, check every promise, decode again. */
#ifndef QL_WIRE_DOOR_FUZZ_H
#define QL_WIRE_DOOR_FUZZ_H

#include "model/labels.h"
#include "wire/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline void block_check(ql_str labels)
{
    bool canonical = false;
    QL_ASSERT(ql_labels_check(labels, &canonical) == QL_OK);
    QL_ASSERT(canonical);
}

static inline void batch_check(const struct ql_batch *b)
{
    uint32_t next = 0;
    for (uint32_t i = 0; i < b->runs.count; i++) {
        const struct ql_run *run = &b->runs.at[i];
        QL_ASSERT(run->sample_first == next);
        next += run->sample_count;
        block_check(run->labels);
        QL_ASSERT(ql_labels_get(run->labels, QL_STR("__name__")).bytes > 0);
        QL_ASSERT(ql_hash128_eq(run->raw, ql_hash128_of(run->labels.at, run->labels.bytes)));
    }
    QL_ASSERT(next == b->samples.count);
    for (uint32_t i = 0; i < b->alerts_in.count; i++) {
        const struct ql_alert_in *alert = &b->alerts_in.at[i];
        block_check(alert->labels);
        block_check(alert->annotations);
        QL_ASSERT(alert->labels.bytes > 0);
        QL_ASSERT(!ql_time_before(alert->ends, alert->starts));
    }
    for (uint32_t i = 0; i < b->changes_in.count; i++) {
        QL_ASSERT(b->changes_in.at[i].entity.bytes > 0);
        QL_ASSERT(b->changes_in.at[i].kind.bytes > 0);
    }
    for (uint32_t i = 0; i < b->spans.count; i++) {
        QL_ASSERT(b->spans.at[i].duration.ns >= 0);
        QL_ASSERT(b->spans.at[i].service.bytes > 0);
    }
}

static inline uint64_t batch_hash(const struct ql_batch *b)
{
    uint64_t hash = 1;
    for (int list = 0; list < QL_LIST_COUNT; list++) {
        hash = ql_batch_digest(b, (enum ql_list)list, 0, hash); /* reads every text */
    }
    return hash;
}

static inline void door_fuzz(const struct ql_wire_input *input)
{
    const struct ql_wire_limits limits = { .body_bytes_max = 1 << 20 };
    uint64_t hashes[2] = { 0, 0 };
    ql_err errs[2] = { QL_OK, QL_OK };
    for (int round = 0; round < 2; round++) {
        struct ql_wire_input in = *input;
        struct ql_reject reject = { 0 };
        struct ql_batch batch;
        in.accepted = (ql_time){ INT64_C(1767225600000000000) };
        ql_batch_init(&batch, 1 << 24);
        errs[round] = ql_wire_decode(&in, &limits, &batch, &reject);
        QL_ASSERT(errs[round] == QL_OK || reject.total > 0);
        QL_ASSERT((reject.total > 0) == (reject.text[0] != '\0'));
        if (errs[round] == QL_OK) {
            batch_check(&batch);
            hashes[round] = batch_hash(&batch);
        }
        ql_batch_fini(&batch);
    }
    QL_ASSERT(errs[0] == errs[1]);
    QL_ASSERT(hashes[0] == hashes[1]);
}

#endif

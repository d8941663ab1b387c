/* machine_test.h - a machine of settings and the runs of samples that it is fed, for tests that
 * drive all stages without threads. */
#ifndef QL_ENGINE_MACHINE_TEST_H
#define QL_ENGINE_MACHINE_TEST_H

#include "base/buf.h"
#include "config/config_test.h"
#include "engine/machine.h"
#include "model/labels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static inline struct ql_machine *machine_of(const char *yaml, struct ql_stats *stats)
{
    struct ql_machine *machine = calloc(1, sizeof(*machine));
    assert_non_null(machine);
    assert_int_equal(ql_machine_open(machine, test_config(yaml), stats), QL_OK);
    return machine;
}

/* What a checkpoint holds of it; the machine is gone. */
static inline void machine_put_away(struct ql_machine *machine, struct ql_buf *ret_saved)
{
    ql_buf_init(ret_saved, (size_t)1 << 30);
    assert_int_equal(ql_machine_save(machine, ret_saved), QL_OK);
    ql_machine_close(machine);
    free(machine);
}

/* A new machine goes on from there. */
static inline struct ql_machine *machine_resume(struct ql_machine *machine, struct ql_buf *saved)
{
    struct ql_reader in = ql_reader_of(ql_buf_view(saved));
    assert_int_equal(ql_machine_load(machine, &in), QL_OK);
    assert_int_equal(ql_reader_left(&in), 0);
    ql_buf_fini(saved);
    return machine;
}

/* One sample of the series that `text` names, as a sender's run of one. */
static inline void run_of_one(struct ql_batch *batch, const char *text, enum ql_metric_type type,
                              ql_time at, double value)
{
    struct ql_buf block;
    ql_buf_init(&block, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(text), &block), QL_OK);
    struct ql_run *run = ql_batch_add_run(batch);
    const uint32_t first = batch->samples.count;
    struct ql_sample *sample = ql_batch_more_samples(batch, 1);
    assert_true(run != NULL && sample != NULL);
    *run = (struct ql_run){ .labels = ql_batch_text(batch, ql_buf_view(&block)),
                            .raw = ql_hash128_of(block.at, block.bytes), .type = type,
                            .sample_first = first, .sample_count = 1 };
    *sample = (struct ql_sample){ at, value };
    ql_buf_fini(&block);
}

#endif

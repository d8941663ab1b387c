/* exhaust_test.h - for tests only: the stage in a bed, pass after pass in virtual time. */
#ifndef QL_FORECAST_EXHAUST_TEST_H
#define QL_FORECAST_EXHAUST_TEST_H

#include "config/config_test.h"
#include "forecast/exhaust.h"
#include "model/labels.h"

#include <stdio.h>

#define PASS_S 900
#define START_S INT64_C(1700000000)
enum { PASSES_MAX = 128 };

struct bed {
    struct ql_config *config;
    struct ql_stats *stats;
    void *stage;
    struct ql_batch bus;
    struct ql_buf labels;      /* of the series that is seen */
    char said[PASSES_MAX + 1]; /* '.', 'o' opened, 'u' updated, 'c' closed: one a pass */
    char why[600];
    uint64_t id;
    double surprise, value;
    enum ql_importance importance;
    ql_time onset;
};

static inline void bed_stage_open(struct bed *bed)
{
    const struct ql_stage_env env = { .config = bed->config, .stats = bed->stats,
                                      .shard_count = 1 };
    assert_int_equal(ql_exhaust_stage.open(&env, &bed->stage), QL_OK);
}

static inline void bed_open_for(struct bed *bed, const char *yaml, const char *labels)
{
    *bed = (struct bed){ .config = test_config(yaml), .stats = ql_stats_new(64) };
    bed_stage_open(bed);
    ql_batch_init(&bed->bus, 1 << 20);
    ql_buf_init(&bed->labels, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(labels), &bed->labels), QL_OK);
}

static inline void bed_close(struct bed *bed)
{
    ql_exhaust_stage.close(bed->stage);
    ql_batch_fini(&bed->bus);
    ql_buf_fini(&bed->labels);
    ql_stats_free(bed->stats);
    ql_config_free(bed->config);
}

static inline ql_time bed_time(uint32_t pass)
{
    return (ql_time){ (START_S + (int64_t)pass * PASS_S) * QL_NS_PER_S };
}

/* A pass with the findings that stand on the bus; the signal it made, or NULL. */
static inline const struct ql_signal *bed_hear(struct bed *bed, uint32_t pass,
                                               enum ql_signal_kind kind)
{
    static const char phases[] = { [QL_PHASE_OPEN] = 'o', [QL_PHASE_UPDATE] = 'u',
                                   [QL_PHASE_CLOSE] = 'c' };
    assert_true(pass < PASSES_MAX);
    ql_exhaust_stage.push(bed->stage, bed_time(pass), &bed->bus);
    ql_exhaust_stage.tick(bed->stage, bed_time(pass), &bed->bus);
    bed->said[pass] = '.';
    assert_true(bed->bus.signals.count <= 1);
    if (bed->bus.signals.count == 0) {
        return NULL;
    }
    const struct ql_signal *signal = &bed->bus.signals.at[0];
    bed->said[pass] = phases[signal->phase];
    assert_int_equal(signal->kind, kind);
    assert_true(signal->entity.v != 0);
    assert_true(signal->phase == QL_PHASE_OPEN || signal->id.v == bed->id);
    bed->id = signal->id.v;
    bed->importance = signal->importance;
    bed->onset = signal->onset;
    bed->surprise = signal->surprise;
    bed->value = signal->value;
    (void)snprintf(bed->why, sizeof(bed->why), "%.*s", QL_STR_ARG(signal->why));
    return signal;
}

/* Saved and loaded; what is cut anywhere is refused. */
static inline void bed_restart(struct bed *bed)
{
    struct ql_buf state;
    ql_buf_init(&state, 1 << 20);
    assert_int_equal(ql_exhaust_stage.save(bed->stage, &state), QL_OK);
    for (size_t bytes = 0; bytes <= state.bytes; bytes++) {
        struct ql_reader in = ql_reader_of((ql_str){ state.at, bytes });
        ql_exhaust_stage.close(bed->stage);
        bed_stage_open(bed);
        const ql_err err = ql_exhaust_stage.load(bed->stage, ql_exhaust_stage.state_version, &in);
        assert_int_equal(err == QL_OK, bytes == state.bytes);
        assert_true(bytes < state.bytes || ql_reader_left(&in) == 0);
    }
    ql_buf_fini(&state);
}

static inline void bed_assert_said(const struct bed *bed, const char *what, const char *findings,
                                   const char *said)
{
    if (strcmp(bed->said, said) != 0) {
        fail_msg("%s: %s gave %s, not %s", what, findings, bed->said, said);
    }
}

#endif

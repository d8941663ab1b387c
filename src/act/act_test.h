/* act_test.h - a stage with a bus, a topology and a clock in hand, for the tests of act. */
#ifndef QL_ACT_ACT_TEST_H
#define QL_ACT_ACT_TEST_H

#include "act/act.h"
#include "act/act_int.h"
#include "config/config_test.h"
#include "model/entity.h"
#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig {
    struct ql_config *config;
    struct ql_topology *topology;
    struct ql_stats *stats;
    struct ql_batch bus;
    void *stage;
    ql_time now;
};

#define RIG_START INT64_C(1767603600) /* 2026-01-05 09:00:00 */

static inline ql_entity_id rig_entity(struct rig *rig, const char *name)
{
    const ql_entity_id id = ql_entity_id_of(ql_str_of(name));
    assert_int_equal(ql_topology_see(rig->topology, id, ql_str_of(name)), QL_OK);
    return id;
}

static inline void rig_open_stage(struct rig *rig)
{
    const struct ql_stage_env env = { .config = rig->config, .topology = rig->topology,
                                      .stats = rig->stats, .shard_count = 1 };
    assert_int_equal(ql_act_stage.open(&env, &rig->stage), QL_OK);
}

static inline void rig_open(struct rig *rig, const char *yaml)
{
    memset(rig, 0, sizeof(*rig));
    rig->config = test_config(yaml);
    rig->stats = ql_stats_new(1024);
    rig->now = (ql_time){ RIG_START * QL_NS_PER_S };
    assert_int_equal(ql_topology_new(&rig->topology), QL_OK);
    ql_batch_init(&rig->bus, (size_t)16 << 20);
    rig_open_stage(rig);
    (void)rig_entity(rig, "service/checkout");
    (void)rig_entity(rig, "service/payments");
    (void)rig_entity(rig, "service/web");
}

static inline void rig_close(struct rig *rig)
{
    ql_act_stage.close(rig->stage);
    ql_batch_fini(&rig->bus);
    ql_topology_free(rig->topology);
    ql_stats_free(rig->stats);
    ql_config_free(rig->config);
}

/* Seconds pass; what was put on the bus is judged, what comes out is on the bus. */
static inline void rig_tick(struct rig *rig, int seconds)
{
    rig->now = ql_time_add(rig->now, QL_S(seconds));
    ql_act_stage.push(rig->stage, rig->now, &rig->bus);
    ql_act_stage.tick(rig->stage, rig->now, &rig->bus);
}

/* Saves, opens a new stage, loads. */
static inline void rig_restart(struct rig *rig)
{
    struct ql_buf saved;
    ql_buf_init(&saved, (size_t)16 << 20);
    assert_int_equal(ql_act_stage.save(rig->stage, &saved), QL_OK);
    ql_act_stage.close(rig->stage);
    rig_open_stage(rig);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_act_stage.load(rig->stage, ql_act_stage.state_version, &in), QL_OK);
    assert_int_equal(ql_reader_left(&in), 0);
    ql_buf_fini(&saved);
}

static inline void rig_incident(struct rig *rig, uint64_t id, enum ql_incident_event event,
                                const char *entity)
{
    struct ql_incident *incident = ql_batch_add_incident(&rig->bus);
    incident->id.v = id;
    incident->event = event;
    incident->state = event == QL_INC_RESOLVED || event == QL_INC_MERGED ? QL_INCIDENT_RESOLVED
                                                                        : QL_INCIDENT_OPEN;
    incident->entity = ql_entity_id_of(ql_str_of(entity));
}

/* A signal of the incident: number names both the signal and its series. */
static inline void rig_member(struct rig *rig, uint64_t incident, uint64_t number,
                              const char *entity, bool open)
{
    struct ql_signal *signal = ql_batch_add_signal(&rig->bus);
    signal->id.v = number;
    signal->series.h.low = number;
    signal->entity = ql_entity_id_of(ql_str_of(entity));
    signal->phase = open ? QL_PHASE_OPEN : QL_PHASE_CLOSE;
    signal->kind = QL_SIGNAL_RANGE;
    signal->at = rig->now;
    struct ql_member *member = ql_batch_add_member(&rig->bus);
    member->incident.v = incident;
    member->id.v = number;
    member->kind = QL_MEMBER_SIGNAL;
    member->series.h.low = number;
    member->entity = signal->entity;
    member->since = rig->now;
    member->ended = open ? QL_TIME_NONE : rig->now;
}

static inline void rig_absence(struct rig *rig, uint64_t number, bool open)
{
    struct ql_signal *signal = ql_batch_add_signal(&rig->bus);
    signal->id.v = number + 1000000;
    signal->series.h.low = number;
    signal->phase = open ? QL_PHASE_OPEN : QL_PHASE_CLOSE;
    signal->kind = QL_SIGNAL_ABSENCE;
}

static inline void rig_cause(struct rig *rig, uint64_t incident, const char *entity,
                             const char *metric, double confidence)
{
    struct ql_cause *cause = ql_batch_add_cause(&rig->bus);
    cause->incident.v = incident;
    cause->rank = 1;
    cause->entity = ql_entity_id_of(ql_str_of(entity));
    cause->metric = ql_str_of(metric);
    cause->confidence = confidence;
}

static inline void rig_command(struct rig *rig, enum ql_command_kind kind, ql_id action)
{
    struct ql_command *command = ql_batch_add_command(&rig->bus);
    command->kind = kind;
    command->action = action;
    command->by = QL_STR("ana");
}

static inline void rig_outcome(struct rig *rig, ql_id action, int exit_code)
{
    struct ql_outcome *outcome = ql_batch_add_outcome(&rig->bus);
    outcome->action = action;
    outcome->exit_code = exit_code;
    outcome->output = QL_STR("first line\nlast line\n");
}

/* An incident with one open signal at checkout and a sure cause there. */
static inline void rig_trouble(struct rig *rig, uint64_t incident, uint64_t signal)
{
    rig_incident(rig, incident, QL_INC_OPENED, "service/checkout");
    rig_member(rig, incident, signal, "service/checkout", true);
    rig_cause(rig, incident, "service/checkout", "db_connections", 0.9);
}

static inline const struct ql_action *rig_last(const struct rig *rig)
{
    assert_true(rig->bus.actions.count > 0);
    return &rig->bus.actions.at[rig->bus.actions.count - 1];
}

/* "proposed,awaiting approval": the states on the bus, then forgets the bus. */
static inline void rig_expect(struct rig *rig, const char *states)
{
    char got[1024] = "";
    size_t used = 0;
    for (uint32_t i = 0; i < rig->bus.actions.count; i++) {
        used += (size_t)snprintf(got + used, sizeof(got) - used, "%s%s%s", i > 0 ? "," : "",
                                 ql_action_state_text(rig->bus.actions.at[i].state),
                                 rig->bus.actions.at[i].dispatch ? "!" : "");
        assert_true(used < sizeof(got));
    }
    if (strcmp(got, states) != 0) {
        fail_msg("expected '%s', got '%s' (%.*s)", states, got,
                 rig->bus.actions.count > 0 ? (int)rig_last(rig)->reason.bytes : 0,
                 rig->bus.actions.count > 0 ? rig_last(rig)->reason.at : "");
    }
}

static const char one_step[] = "runbooks:\n"
                               "- name: restart\n"
                               "  entity: service/*\n"
                               "  mode: %s\n"
                               "  dry_run: %s\n"
                               "  steady: 0s\n"
                               "  steps: [{name: go, run: [/bin/ctl, '{name}'], timeout: 10s}]\n"
                               "act: {mode: %s}\n";

static inline void rig_open_one(struct rig *rig, const char *mode, const char *ceiling,
                                bool dry_run)
{
    char yaml[1024];
    (void)snprintf(yaml, sizeof(yaml), one_step, mode, dry_run ? "true" : "false", ceiling);
    rig_open(rig, yaml);
}

static inline ql_id rig_step(struct rig *rig, int seconds, const char *states)
{
    rig_tick(rig, seconds);
    rig_expect(rig, states);
    const ql_id id = rig->bus.actions.count > 0 ? rig_last(rig)->id : (ql_id){ 0 };
    ql_batch_reset(&rig->bus);
    return id;
}

#endif

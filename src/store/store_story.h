/* store_story.h - one small incident told in ticks, for tests of the store and of the api.
 *
 * story_tick(bus, n) fills the bus with what tick n says, n = 1 .. STORY_TICKS: checkout
 * leaks, an alert fires, an incident opens, is blamed, fixed and resolved; a second one
 * opens and is merged into it. The same n gives the same records. Tests only.
 */
#ifndef QL_STORE_STORE_STORY_H
#define QL_STORE_STORE_STORY_H

#include "model/batch.h"
#include "model/entity.h"
#include "model/labels.h"

#define STORY_TICKS 12u
#define STORY_START_S INT64_C(1767603600) /* 2026-01-05T09:00:00Z */
#define STORY_SIGNAL UINT64_C(0xf000000000000001) /* past INT64_MAX on purpose */
#define STORY_ALERT UINT64_C(77)
#define STORY_CHANGE UINT64_C(55)
#define STORY_ACTION UINT64_C(5)

static inline ql_time story_at(uint32_t tick)
{
    return (ql_time){ (STORY_START_S + (int64_t)tick * 10) * QL_NS_PER_S };
}

static inline ql_entity_id story_entity(const char *name)
{
    return ql_entity_id_of(ql_str_of(name));
}

static inline ql_series_id story_series(void)
{
    return (ql_series_id){ { UINT64_C(0x0011223344556677), UINT64_C(0x8899aabbccddeeff) } };
}

/* `text` as in `{a="b"}`. */
static inline ql_str story_labels(struct ql_batch *bus, const char *text)
{
    struct ql_buf block;
    ql_buf_init(&block, QL_LABELS_BYTES_MAX);
    QL_ASSERT(ql_labels_parse(ql_str_of(text), &block) == QL_OK);
    const ql_str copy = ql_batch_text(bus, ql_buf_view(&block));
    ql_buf_fini(&block);
    return copy;
}

static inline void story_seen(struct ql_batch *bus, const char *name)
{
    *ql_batch_add_entity(bus) =
        (struct ql_entity_seen){ .id = story_entity(name), .name = ql_str_of(name) };
}

static inline void story_signal(struct ql_batch *bus, uint32_t tick, enum ql_phase phase,
                                double value, double surprise, const char *why)
{
    *ql_batch_add_signal(bus) = (struct ql_signal){
        .id = { STORY_SIGNAL }, .series = story_series(),
        .entity = story_entity("service/checkout"), .metric = QL_STR("db_connections"),
        .labels = story_labels(bus, "db_connections{pool=\"main\",service=\"checkout\"}"),
        .kind = QL_SIGNAL_LEVEL_SHIFT, .phase = phase, .onset = story_at(1),
        .at = story_at(tick), .value = value, .expected = 10, .lower = 8, .upper = 12,
        .surprise = surprise, .why = ql_str_of(why),
        .importance = phase == QL_PHASE_OPEN ? QL_IMPORTANCE_LOW : QL_IMPORTANCE_HIGH,
    };
}

static inline struct ql_incident story_incident(uint32_t tick, uint64_t id)
{
    return (struct ql_incident){
        .id = { id }, .event = QL_INC_OPENED, .state = QL_INCIDENT_OPEN,
        .entity = story_entity("service/checkout"), .onset = story_at(1), .opened = story_at(3),
        .updated = story_at(tick), .resolved = QL_TIME_NONE,
        .title = QL_STR("checkout: db_connections level shift"), .by = QL_STR("engine"),
        .alert_count = 1, .signal_count = 1, .entity_count = 1, .raw_count = 6,
    };
}

static inline void story_action(struct ql_batch *bus, uint32_t tick, enum ql_action_state state,
                                const char *reason, const char *by)
{
    *ql_batch_add_action(bus) = (struct ql_action){
        .id = { STORY_ACTION }, .incident = { 1 }, .entity = story_entity("service/checkout"),
        .runbook = QL_STR("restart-on-leak"), .step = QL_STR("restart"), .state = state,
        .at = story_at(tick), .command = QL_STR("shopctl restart checkout"),
        .timeout = QL_S(30), .reason = ql_str_of(reason), .by = ql_str_of(by),
    };
    *ql_batch_add_audit(bus) = (struct ql_audit){
        .at = story_at(tick), .incident = { 1 }, .action = { STORY_ACTION },
        .actor = ql_str_of(by), .what = ql_str_of(ql_action_state_text(state)),
        .detail = ql_str_of(reason),
    };
}

static inline void story_alert(struct ql_batch *bus, uint32_t tick, bool firing)
{
    *ql_batch_add_alert(bus) = (struct ql_alert){
        .id = { STORY_ALERT }, .entity = story_entity("service/frontend"),
        .name = QL_STR("HighLatency"), .severity = QL_STR("critical"),
        .labels = story_labels(
            bus, "{alertname=\"HighLatency\",service=\"frontend\",severity=\"critical\"}"),
        .annotations = story_labels(bus, "{summary=\"slow\"}"), .starts = story_at(2),
        .ends = firing ? story_at(tick + 30) : story_at(tick), .firing = firing,
    };
}

static inline void story_member(struct ql_batch *bus, enum ql_member_kind kind, uint64_t id,
                                uint32_t since, ql_time ended)
{
    static const char *const names[] = { "db_connections", "HighLatency", "deploy" };
    static const char *const entities[] = { "service/checkout", "service/frontend",
                                            "service/checkout" };
    static const char *const labels[] = {
        "db_connections{pool=\"main\",service=\"checkout\"}",
        "{alertname=\"HighLatency\",service=\"frontend\",severity=\"critical\"}", "{}",
    };
    *ql_batch_add_member(bus) = (struct ql_member){
        .incident = { 1 }, .id = { id }, .kind = kind, .entity = story_entity(entities[kind]),
        .series = kind == QL_MEMBER_SIGNAL ? story_series() : (ql_series_id){ { 0, 0 } },
        .name = ql_str_of(names[kind]), .labels = story_labels(bus, labels[kind]),
        .since = story_at(since), .joined = story_at(3), .ended = ended,
        .why = QL_STR("calls service/checkout, which was already in"),
    };
}

static inline void story_causes(struct ql_batch *bus, double confidence)
{
    *ql_batch_add_cause(bus) = (struct ql_cause){
        .incident = { 1 }, .rank = 1, .entity = story_entity("service/checkout"),
        .series = story_series(), .metric = QL_STR("db_connections"), .score = 41.5,
        .confidence = confidence, .onset = story_at(1), .role = QL_CAUSE_STATE_CHANGE,
        .evidence = QL_STR("40 connections where 8 to 12 were expected"),
    };
    *ql_batch_add_cause(bus) = (struct ql_cause){
        .incident = { 1 }, .rank = 2, .entity = story_entity("service/frontend"),
        .metric = QL_STR("http_request_duration_seconds"), .score = 3.25, .confidence = 0.125,
        .onset = story_at(2), .role = QL_CAUSE_IMPACT, .evidence = QL_STR("slower by 2 s"),
    };
}

static inline void story_command(struct ql_batch *bus, uint32_t tick, enum ql_command_kind kind,
                                 enum ql_verdict verdict, const char *entity, const char *note)
{
    *ql_batch_add_command(bus) = (struct ql_command){
        .kind = kind, .incident = { 1 }, .verdict = verdict, .entity = ql_str_of(entity),
        .by = QL_STR("ana"), .note = ql_str_of(note), .at = story_at(tick),
    };
}

static inline void story_first_half(struct ql_batch *bus, uint32_t n)
{
    struct ql_incident incident = story_incident(n, 1);
    if (n == 1) {
        story_seen(bus, "service/checkout");
        story_seen(bus, "service/frontend");
        *ql_batch_add_change(bus) = (struct ql_change){
            .id = { STORY_CHANGE }, .entity = story_entity("service/checkout"),
            .at = story_at(1), .kind = QL_STR("deploy"), .summary = QL_STR("checkout 1.2"),
            .source = QL_STR("ci"), .link = QL_STR("https://ci.example/7"),
        };
        story_signal(bus, n, QL_PHASE_OPEN, 25, 4.5, "25 where 8 to 12 was expected");
    } else if (n == 2) {
        story_alert(bus, n, true);
        story_signal(bus, n, QL_PHASE_UPDATE, 40, 7.25, "40 where 8 to 12 was expected");
    } else if (n == 3) {
        *ql_batch_add_incident(bus) = incident;
        story_member(bus, QL_MEMBER_SIGNAL, STORY_SIGNAL, 1, QL_TIME_NONE);
        story_member(bus, QL_MEMBER_ALERT, STORY_ALERT, 2, QL_TIME_NONE);
        story_member(bus, QL_MEMBER_CHANGE, STORY_CHANGE, 1, story_at(1));
    } else if (n == 4) {
        story_causes(bus, 0.5);
        story_causes(bus, 0.75);
        story_action(bus, n, QL_ACTION_PROPOSED, "confidence 0.75 is over 0.5", "engine");
        story_action(bus, n, QL_ACTION_AWAITING, "mode approve", "engine");
    } else if (n == 5) {
        incident.event = QL_INC_ACKED;
        incident.state = QL_INCIDENT_ACKNOWLEDGED;
        incident.by = QL_STR("ana");
        *ql_batch_add_incident(bus) = incident;
        story_command(bus, n, QL_COMMAND_ACK, QL_VERDICT_NONE, "", "on it");
    }
}

static inline void story_second_half(struct ql_batch *bus, uint32_t n)
{
    struct ql_incident incident = story_incident(n, 1);
    incident.state = QL_INCIDENT_ACKNOWLEDGED;
    if (n == 6) {
        story_action(bus, n, QL_ACTION_RUNNING, "approved", "ana");
        story_alert(bus, n, true);
    } else if (n == 7) {
        story_signal(bus, n, QL_PHASE_CLOSE, 10, 0.5, "back in its band");
        story_action(bus, n, QL_ACTION_SUCCEEDED, "the signal closed", "engine");
    } else if (n == 8) {
        story_alert(bus, n, false);
        story_member(bus, QL_MEMBER_SIGNAL, STORY_SIGNAL, 1, story_at(7));
        story_member(bus, QL_MEMBER_ALERT, STORY_ALERT, 2, story_at(8));
    } else if (n == 9) {
        *ql_batch_add_incident(bus) = story_incident(n, 2);
    } else if (n == 10) {
        struct ql_incident merged = story_incident(n, 2);
        merged.event = QL_INC_MERGED;
        merged.state = QL_INCIDENT_RESOLVED;
        merged.resolved = story_at(n);
        merged.merged_into = (ql_id){ 1 };
        *ql_batch_add_incident(bus) = merged;
    } else if (n == 11) {
        incident.event = QL_INC_RESOLVED;
        incident.state = QL_INCIDENT_RESOLVED;
        incident.resolved = story_at(n);
        *ql_batch_add_incident(bus) = incident;
        *ql_batch_add_edge(bus) = (struct ql_edge){
            .caller = story_entity("service/frontend"), .callee = story_entity("service/checkout"),
            .at = story_at(n), .calls = 20, .errors = 3, .source = QL_EDGE_SPAN,
        };
    } else if (n == 12) {
        story_command(bus, n, QL_COMMAND_FEEDBACK, QL_VERDICT_RIGHT_CAUSE, "service/checkout",
                      "the pool");
    }
}

static inline void story_tick(struct ql_batch *bus, uint32_t n)
{
    story_first_half(bus, n);
    story_second_half(bus, n);
}

#endif

/* correlate_test.h - for tests only: an engine core with this stage alone, what happens to it in
 * virtual time, and all that it ever said. */
#ifndef QL_CORRELATE_CORRELATE_TEST_H
#define QL_CORRELATE_CORRELATE_TEST_H

#include "correlate/correlate.h"

#include "config/config.h"
#include "model/entity.h"
#include "model/labels.h"
#include "topology/topology.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SEEN_MAX 4096u
#define CO_VERSION (ql_correlate_stage.state_version)
#define T(s) ((ql_time){ (INT64_C(1800000000) + (s)) * QL_NS_PER_S })

struct seen { uint64_t id; enum ql_incident_event event; struct ql_incident at; char title[128]; };

/* One engine core with only this stage, and all that it ever said. */
struct world {
    struct ql_config config;
    struct ql_stats *stats;
    struct ql_topology *topology;
    void *stage;
    struct ql_batch bus;
    struct seen seen[SEEN_MAX];
    uint32_t seen_count, member_count, audit_count;
    char why[256], audit[256]; /* of the newest member and audit */
    uint64_t digest;
};

static struct ql_declared_edge world_edges[] = {
    { "frontend", "checkout" }, { "checkout", "payment" }, { "checkout", "db" },
    { "catalogue", "db" },      { "search", "index" },
};

static inline void world_open(struct world *w)
{
    w->config = (struct ql_config){ .join_s = 300.0, .close_s = 600.0, .hops_max = 2,
                                    .edges = world_edges,
                                    .edge_count = QL_COUNT_OF(world_edges) };
    w->stats = ql_stats_new(64);
    assert_int_equal(ql_topology_new(&w->topology), QL_OK);
    const struct ql_stage_env env = { .config = &w->config, .topology = w->topology,
                                      .stats = w->stats, .shard_count = 1 };
    assert_int_equal(ql_correlate_stage.open(&env, &w->stage), QL_OK);
    ql_batch_init(&w->bus, 64u << 20);
}

static inline struct world *world_new(void)
{
    struct world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    world_open(w);
    return w;
}

static inline void world_shut(struct world *w)
{
    ql_correlate_stage.close(w->stage);
    ql_topology_free(w->topology);
    ql_stats_free(w->stats);
    ql_batch_fini(&w->bus);
}

static inline void world_free(struct world *w)
{
    world_shut(w);
    free(w);
}

static inline ql_entity_id entity(const char *name)
{
    struct ql_buf full;
    ql_buf_init(&full, 256);
    ql_entity_of_name(ql_str_of(name), &full);
    const ql_entity_id id = name[0] == '\0' ? (ql_entity_id){ 0 }
                                            : ql_entity_id_of(ql_buf_view(&full));
    ql_buf_fini(&full);
    return id;
}

static inline uint64_t text_hash(const char *a, const char *b)
{
    char both[256];
    const int bytes = snprintf(both, sizeof both, "%s|%s", a, b);
    return ql_hash64(both, (size_t)bytes);
}

static inline void alert(struct world *w, const char *at, const char *name, int starts_s,
                         int ends_s, bool firing)
{
    struct ql_alert *a = ql_batch_add_alert(&w->bus);
    *a = (struct ql_alert){ .id = { text_hash(at, name) }, .entity = entity(at),
                            .name = ql_str_of(name), .labels = QL_STR(""), .starts = T(starts_s),
                            .ends = ends_s < 0 ? QL_TIME_NONE : T(ends_s), .firing = firing };
}

static inline void fires(struct world *w, const char *at, const char *name, int starts_s)
{
    alert(w, at, name, starts_s, -1, true);
}

static inline void ends(struct world *w, const char *at, const char *name, int ends_s)
{
    alert(w, at, name, 0, ends_s, false);
}

static inline void signal_kind(struct world *w, const char *at, const char *metric, int onset_s,
                               double surprise, enum ql_phase phase, enum ql_signal_kind kind)
{
    struct ql_signal *s = ql_batch_add_signal(&w->bus);
    const uint64_t series = text_hash(at, metric);
    const uint64_t id = ql_hash64((const uint64_t[]){ series, (uint64_t)onset_s }, 16);
    *s = (struct ql_signal){ .id = { id }, .series = { { series, 1 } }, .entity = entity(at),
                             .metric = ql_str_of(metric), .labels = QL_STR(""), .kind = kind,
                             .phase = phase, .onset = T(onset_s), .at = T(onset_s),
                             .surprise = surprise, .why = QL_STR("odd") };
}

static inline void odd(struct world *w, const char *at, const char *metric, int onset_s,
                       double surprise)
{
    signal_kind(w, at, metric, onset_s, surprise, QL_PHASE_OPEN, QL_SIGNAL_LEVEL_SHIFT);
}

static inline void command(struct world *w, enum ql_command_kind kind, uint64_t incident)
{
    struct ql_command *c = ql_batch_add_command(&w->bus);
    *c = (struct ql_command){ .kind = kind, .incident = { incident }, .by = QL_STR("ana"),
                              .entity = QL_STR(""), .note = QL_STR("") };
}

static inline void change(struct world *w, const char *at, int at_s, const char *link)
{
    struct ql_change *c = ql_batch_add_change(&w->bus);
    *c = (struct ql_change){ .id = { text_hash(at, link) }, .entity = entity(at), .at = T(at_s),
                             .kind = QL_STR("deploy"), .summary = QL_STR("release 42"),
                             .source = QL_STR("ci"), .link = ql_str_of(link) };
}

static inline void remember(struct world *w)
{
    for (uint32_t i = 0; i < w->bus.incidents.count; i++) {
        const struct ql_incident *in = &w->bus.incidents.at[i];
        assert_true(w->seen_count < SEEN_MAX);
        struct seen *s = &w->seen[w->seen_count++];
        *s = (struct seen){ in->id.v, in->event, *in, "" };
        (void)snprintf(s->title, sizeof s->title, "%.*s", QL_STR_ARG(in->title));
    }
    for (uint32_t i = 0; i < w->bus.members.count; i++) {
        (void)snprintf(w->why, sizeof w->why, "%.*s", QL_STR_ARG(w->bus.members.at[i].why));
    }
    for (uint32_t i = 0; i < w->bus.audits.count; i++) {
        (void)snprintf(w->audit, sizeof w->audit, "%.*s", QL_STR_ARG(w->bus.audits.at[i].detail));
    }
    w->member_count += w->bus.members.count;
    w->audit_count += w->bus.audits.count;
    w->digest = ql_batch_digest(&w->bus, QL_LIST_incidents, 0, w->digest);
    w->digest = ql_batch_digest(&w->bus, QL_LIST_members, 0, w->digest);
}

/* What was put on the bus happens now; then time passes. */
static inline void step(struct world *w, int now_s)
{
    ql_correlate_stage.push(w->stage, T(now_s), &w->bus);
    ql_correlate_stage.tick(w->stage, T(now_s), &w->bus);
    remember(w);
    ql_batch_reset(&w->bus);
}

static inline uint32_t count_of(const struct world *w, enum ql_incident_event event)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < w->seen_count; i++) {
        count += w->seen[i].event == event;
    }
    return count;
}

static inline const struct seen *last_of(const struct world *w, uint64_t id)
{
    const struct seen *last = NULL;
    for (uint32_t i = 0; i < w->seen_count; i++) {
        last = w->seen[i].id == id ? &w->seen[i] : last;
    }
    assert_non_null(last);
    return last;
}

#endif

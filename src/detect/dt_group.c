/* dt_group - who belongs together, rows, and the life of a group's signal. */
#include "detect/dt_group.h"

#include "base/pages.h"
#include "math/fastlog.h"
#include "model/labels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    MEET_COUNT = 64,           /* values before a series is worth a place */
    MEET_MOVES = 8,            /* times that its value changed: constants say nothing */
    JOIN_ROWS = 64,            /* rows without a new member that seal a group */
    ROW_MS_MIN = 60000,        /* a finer grain costs more than it shows */
    FUSION_FREED_MIN = 8192,   /* words; less is not worth moving the others */
    POOL_REFRESH_FIRST = 512,
    POOL_POINTS_MAX = 1 << 28
};
#define RISE_SURPRISE 1.0f
#define THRESHOLD_MIN 3.0f
#define ACCEPT_MS 86400000.0
#define ROW_PRESENT_MIN 0.5       /* of an entity's metrics, or the row says nothing */
static const struct ql_pool_prior group_prior = { 1.5f, 0.62f, 30000.0f };

static uint32_t fusion_words(uint32_t metrics)
{
    return (uint32_t)((ql_fusion_bytes(metrics) + 7) / 8);
}

ql_err ql_dt_groups_open(struct ql_dt_groups *g, struct ql_series_table *series,
                         uint32_t series_max, bool enabled)
{
    *g = (struct ql_dt_groups){ .enabled = enabled, .series = series, .series_max = series_max };
    g->max = series_max / QL_DT_GROUP_SHARE + 4;
    g->fusion_words_max = 2 * g->max * fusion_words(QL_DT_GROUP_MAX); /* half may be freed */
    g->members = ql_pages_new((size_t)series_max * sizeof(*g->members));
    g->fusions = ql_pages_new((size_t)g->fusion_words_max * sizeof(*g->fusions));
    bool whole = g->members != NULL && g->fusions != NULL;
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        g->groups[k] = ql_pages_new((size_t)g->max * sizeof(*g->groups[k]));
        whole = whole && g->groups[k] != NULL;
        ql_map64_init(&g->open_of[k], series_max + 16);
        ql_pool_init(&g->pools[k], group_prior);
        g->pool_refresh_at[k] = POOL_REFRESH_FIRST;
    }
    ql_buf_init(&g->scratch, 64 * 1024);
    if (!whole) {
        ql_dt_groups_close(g);
        return QL_E_MEMORY;
    }
    return QL_OK;
}

void ql_dt_groups_close(struct ql_dt_groups *g)
{
    ql_pages_free(g->members, (size_t)g->series_max * sizeof(*g->members));
    ql_pages_free(g->fusions, (size_t)g->fusion_words_max * sizeof(*g->fusions));
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        ql_pages_free(g->groups[k], (size_t)g->max * sizeof(*g->groups[k]));
        ql_map64_fini(&g->open_of[k]);
        g->groups[k] = NULL;
    }
    ql_buf_fini(&g->scratch);
    g->members = NULL;
    g->fusions = NULL;
}

struct ql_fusion *ql_dt_group_fusion(const struct ql_dt_groups *g, uint32_t index)
{
    return (struct ql_fusion *)(void *)(g->fusions + g->groups[QL_DT_GROUP_ENTITY][index].fusion);
}

/* Fusions of live groups move together; without memory for it they stay as they are. */
static void fusions_move(struct ql_dt_groups *g)
{
    uint64_t *fusions = ql_pages_new((size_t)g->fusion_words_max * sizeof(*fusions));
    uint32_t used = 0;
    for (uint32_t i = 0; fusions != NULL && i < g->counts[QL_DT_GROUP_ENTITY]; i++) {
        struct ql_dt_group *group = &g->groups[QL_DT_GROUP_ENTITY][i];
        if (group->sealed != 0) {
            const uint32_t words = fusion_words(group->count);
            memcpy(fusions + used, g->fusions + group->fusion, words * sizeof(*fusions));
            group->fusion = used;
            used += words;
        }
    }
    if (fusions != NULL) {
        ql_pages_free(g->fusions, (size_t)g->fusion_words_max * sizeof(*g->fusions));
        g->fusions = fusions;
        g->fusion_words = used;
        g->fusion_words_freed = 0;
    }
}

bool ql_dt_group_fusion_take(struct ql_dt_groups *g, uint32_t index)
{
    struct ql_dt_group *group = &g->groups[QL_DT_GROUP_ENTITY][index];
    if (g->fusion_words_max - g->fusion_words < fusion_words(group->count)) {
        return false;
    }
    group->fusion = g->fusion_words;
    g->fusion_words += fusion_words(group->count);
    (void)ql_fusion_place(ql_dt_group_fusion(g, index), group->count);
    return true;
}

size_t ql_dt_groups_bytes(const struct ql_dt_groups *g)
{
    size_t bytes = (size_t)ql_series_count(g->series) * sizeof(*g->members) +
                   (size_t)g->fusion_words * sizeof(*g->fusions);
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        bytes += (size_t)g->counts[k] * sizeof(*g->groups[k]) +
                 (size_t)g->open_of[k].capacity * sizeof(struct ql_map64_slot);
    }
    return bytes;
}

/* ---- who belongs together ---------------------------------------------------------- */

bool ql_dt_label_is_place(ql_str name)
{
    static const char *const places[] = {
        "instance", "pod", "pod_name", "host", "hostname", "node", "nodename", "container_id",
        "replica", "server", "exported_instance", "host_name", "k8s_pod_name", "k8s_node_name",
        "service_instance_id", "uid", "pod_uid", "container", "id", "ip", "pod_ip", "machine"
    };
    for (size_t i = 0; i < QL_COUNT_OF(places); i++) {
        if (ql_str_eq(name, ql_str_of(places[i]))) {
            return true;
        }
    }
    return false;
}

/* 0: no label tells replicas apart. */
static uint64_t peers_key(struct ql_dt_groups *g, uint32_t series)
{
    struct ql_label label;
    size_t at = 0;
    uint64_t key = 0;
    bool placed = false;
    ql_buf_reset(&g->scratch);
    if (ql_series_labels(g->series, series, &g->scratch) != QL_OK) {
        return 0;
    }
    while (ql_labels_next(ql_buf_view(&g->scratch), &at, &label)) {
        if (ql_dt_label_is_place(label.name)) {
            placed = true;
            continue;
        }
        const uint64_t words[3] = { key, ql_hash64(label.name.at, label.name.bytes),
                                    ql_hash64(label.value.at, label.value.bytes) };
        key = ql_hash64(words, sizeof(words));
    }
    return placed ? key | 1u : 0;
}

static void group_join(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t index,
                       uint32_t series, int64_t at_ns)
{
    struct ql_dt_group *group = &g->groups[kind][index];
    QL_ASSERT(group->count < QL_DT_GROUP_MAX && group->sealed == 0);
    const uint32_t step_ms = ql_series_at(g->series, series)->step_ms;
    group->members[group->count] = series;
    group->values[group->count] = NAN;
    group->count++;
    group->joined_ns = at_ns;
    group->step_ms = step_ms > group->step_ms ? step_ms : group->step_ms;
    group->step_ms = group->step_ms > ROW_MS_MIN ? group->step_ms : ROW_MS_MIN;
    g->members[series].of[kind] = 1 + index * QL_DT_GROUP_MAX + group->count - 1;
}

static uint32_t group_new(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint64_t key)
{
    uint32_t index = g->free_head[kind];
    if (index != 0) {
        g->free_head[kind] = g->groups[kind][--index].members[0];
    } else if (g->counts[kind] < g->max) {
        index = g->counts[kind]++;
    } else {
        g->full++;
        return QL_MAP_NONE;
    }
    g->live[kind]++;
    g->groups[kind][index] = (struct ql_dt_group){ .key = key };
    return index;
}

/* The place in the map goes to whoever takes the next member; without memory for the map
 * the series stays alone. */
static void group_meet(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint64_t key,
                       uint32_t series, int64_t at_ns)
{
    const uint32_t found = ql_map64_get(&g->open_of[kind], key);
    if (found == QL_MAP_NONE && kind == QL_DT_GROUP_PEERS) {
        if (ql_map64_put(&g->open_of[kind], key, QL_DT_GROUP_SINGLE | series) != QL_OK) {
            g->full++;
        }
        return;
    }
    const bool single = found != QL_MAP_NONE && (found & QL_DT_GROUP_SINGLE) != 0;
    const bool open = found != QL_MAP_NONE && !single && g->groups[kind][found].sealed == 0 &&
                      g->groups[kind][found].count < QL_DT_GROUP_MAX;
    if (single && (found & ~QL_DT_GROUP_SINGLE) == series) {
        return;
    }
    const uint32_t index = open ? found : group_new(g, kind, key);
    if (index == QL_MAP_NONE || ql_map64_put(&g->open_of[kind], key, index) != QL_OK) {
        return;
    }
    if (single) {
        group_join(g, kind, index, found & ~QL_DT_GROUP_SINGLE, at_ns);
    }
    group_join(g, kind, index, series, at_ns);
}

void ql_dt_groups_meet(struct ql_dt_groups *g, uint32_t series, const struct ql_dt_series *state,
                       int64_t at_ns)
{
    const struct ql_series *row = ql_series_at(g->series, series);
    if (state->count != MEET_COUNT || row->step_ms == 0 || state->moves < MEET_MOVES) {
        return;
    }
    if (row->entity.v != 0 && g->members[series].of[QL_DT_GROUP_ENTITY] == 0) {
        group_meet(g, QL_DT_GROUP_ENTITY, row->entity.v, series, at_ns);
    }
    const uint64_t key = peers_key(g, series);
    if (key != 0 && g->members[series].of[QL_DT_GROUP_PEERS] == 0) {
        group_meet(g, QL_DT_GROUP_PEERS, key, series, at_ns);
    }
}

/* ---- rows --------------------------------------------------------------------------- */

static float group_calibrated(struct ql_dt_groups *g, enum ql_dt_group_kind kind, float surprise,
                              bool odd)
{
    struct ql_pool *pool = &g->pools[kind];
    const float calibrated = surprise > 0.0f ? ql_pool_map(pool, surprise) : 0.0f;
    if (odd) {
        return calibrated;
    }
    g->pool_points[kind]++;
    if (surprise > 0.0f) {
        ql_pool_count(pool, surprise);
    }
    if (g->pool_points[kind] >= g->pool_refresh_at[kind]) {
        ql_pool_refresh(pool, group_prior, g->pool_points[kind]);
        if (g->pool_points[kind] >= POOL_POINTS_MAX) {
            ql_pool_halve(pool);
            g->pool_points[kind] /= 2;
        }
        g->pool_refresh_at[kind] = g->pool_points[kind] * 2;
    }
    return calibrated;
}

/* Whether so many members are enough for a row to say something. */
static bool group_enough(const struct ql_dt_group *group, enum ql_dt_group_kind kind,
                         uint32_t present)
{
    return kind == QL_DT_GROUP_PEERS
               ? present >= QL_DT_PEERS_MIN
               : (double)present >= ROW_PRESENT_MIN * (double)group->count;
}

static uint32_t entity_row(struct ql_dt_groups *g, uint32_t index, struct ql_dt_verdict *v,
                           uint32_t *ret_present)
{
    struct ql_dt_group *group = &g->groups[QL_DT_GROUP_ENTITY][index];
    struct ql_fusion_verdict f;
    uint32_t present = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        present += isfinite(group->values[i]) != 0;
    }
    *ret_present = present;
    *v = (struct ql_dt_verdict){ 0 };
    if (!group_enough(group, QL_DT_GROUP_ENTITY, present)) {
        return 0;
    }
    ql_fusion_step(ql_dt_group_fusion(g, index), group->values, group->run <= 1, &f);
    group->rows++;
    v->judged = f.judged;
    v->evidence = f.score;
    v->evidence_surprise = f.surprise;
    v->expected = f.expected;
    v->lower = f.lower;
    v->upper = f.upper;
    v->has_band = true;
    return f.lead;
}

/* Who else is odd, and how much of it is whose. */
static void entity_shares(struct ql_dt_groups *g, uint32_t index, uint32_t lead,
                          struct ql_dt_group_finding *f)
{
    const struct ql_dt_group *group = &g->groups[QL_DT_GROUP_ENTITY][index];
    struct ql_fusion *fusion = ql_dt_group_fusion(g, index);
    f->share = ql_fusion_share(fusion, lead);
    for (uint32_t i = 0; i < group->count; i++) {
        if (i == lead || group->members[i] == QL_DT_GROUP_GONE) {
            continue;
        }
        const float share = ql_fusion_share(fusion, i);
        uint32_t at = QL_COUNT_OF(f->with);
        while (at > 0 && share > f->with_share[at - 1]) {
            at--;
        }
        for (uint32_t k = QL_COUNT_OF(f->with) - 1; k > at; k--) {
            f->with[k] = f->with[k - 1];
            f->with_share[k] = f->with_share[k - 1];
        }
        if (at < QL_COUNT_OF(f->with)) {
            f->with[at] = group->members[i];
            f->with_share[at] = share;
        }
    }
}

/* A row is one test for all of its members: at the members' threshold it would raise as many
 * false signals as one of them. Half as many as all of them is its share. */
static struct ql_dt_rule group_rule(const struct ql_dt_rule *rule, uint32_t count)
{
    struct ql_dt_rule own = *rule;
    const float eased = rule->threshold - ql_log10f((float)count * 0.5f);
    const float least = rule->threshold < THRESHOLD_MIN ? rule->threshold : THRESHOLD_MIN;
    own.threshold = eased > least ? eased : least;
    return own;
}

/* Who leads may be a place that is empty by now, of which the fusion still has a picture. */
static uint32_t group_lead(const struct ql_dt_group *group, uint32_t lead)
{
    for (uint32_t i = 0; i < group->count && group->members[lead] == QL_DT_GROUP_GONE; i++) {
        lead = group->members[i] != QL_DT_GROUP_GONE ? i : lead;
    }
    return lead;
}

/* The signal's life, as that of a series; only a judged row moves it. */
static bool group_live(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t index,
                       const struct ql_dt_rule *rule, uint32_t lead,
                       struct ql_dt_group_finding *f)
{
    struct ql_dt_group *group = &g->groups[kind][index];
    struct ql_dt_verdict *v = &f->verdict;
    const struct ql_dt_input in = { .at_ns = group->row_ns - (int64_t)group->step_ms * 1000000,
                                    .step_ms = group->step_ms };
    const struct ql_dt_rule own = group_rule(rule, group->count);
    const bool was_open = (group->signal.flags & QL_DT_OPEN) != 0;
    group->run = v->evidence_surprise > 0.0f || was_open ? group->run + 1 : 0;
    v->evidence_surprise = group_calibrated(g, kind, v->evidence_surprise, group->run > 1);
    if (!was_open && v->evidence_surprise < RISE_SURPRISE) {
        group->rise_ns = 0;
    } else if (group->rise_ns == 0) {
        group->rise_ns = in.at_ns;
    }
    group->signal.last_ns = in.at_ns;
    f->change = ql_dt_signal_step(&group->signal, &own, &in, v);
    const bool held = was_open && group->told == QL_DT_GROUP_HELD && f->change == QL_DT_SAME &&
                      v->evidence_surprise >= own.threshold;
    if (!held && f->change != QL_DT_OPENED && f->change != QL_DT_GREW &&
        f->change != QL_DT_CLOSED) {
        return false;
    }
    if (f->change == QL_DT_OPENED) {
        group->lead = group_lead(group, lead);
    }
    lead = group->lead < group->count ? group->lead : 0;
    f->series = group->members[lead];
    f->value = isfinite(group->values[lead]) ? group->values[lead] : v->expected;
    f->onset_ns = group->rise_ns;
    f->at_ns = in.at_ns;
    f->group = group;
    return true;
}

/* What was unusual for a day without a break is how things are now, and is learnt from the
 * start again. What is open closes when the new picture is there and calm. */
static void group_accept(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t index)
{
    struct ql_dt_group *group = &g->groups[kind][index];
    if ((double)group->run * (double)group->step_ms < ACCEPT_MS) {
        return;
    }
    group->run = group->rows = 0;
    group->tails = (struct ql_tails){ 0 };
    if (kind == QL_DT_GROUP_ENTITY) {
        (void)ql_fusion_place(ql_dt_group_fusion(g, index), group->count);
    }
}

/* Ends what is open; true when it was told. */
static bool group_end(struct ql_dt_group *group, enum ql_dt_group_kind kind, int64_t now_ns,
                      struct ql_dt_group_finding *f)
{
    const uint32_t lead = group->lead < group->count ? group->lead : 0;
    const bool told = group->told == QL_DT_GROUP_TOLD;
    *f = (struct ql_dt_group_finding){
        .kind = kind, .change = QL_DT_CLOSED, .series = group->members[lead],
        .onset_ns = group->rise_ns, .at_ns = now_ns, .count = group->count,
    };
    group->signal.flags &= (uint8_t)~QL_DT_OPEN;
    group->told = QL_DT_GROUP_UNTOLD;
    group->missed = 0;
    group->run = 0;
    group->rise_ns = 0;
    return told;
}

/* Of what is open a row says nothing when too few are there, or not the one that it is about: it
 * waits for a while, and then ends. True: the row was such a one. */
static bool group_misses(struct ql_dt_group *group, struct ql_dt_group_finding *f, bool *ret_told)
{
    const enum ql_dt_group_kind kind = f->kind;
    const uint32_t lead = group->lead < group->count ? group->lead : 0, present = f->peers;
    const bool few = !group_enough(group, kind, present);
    *ret_told = false;
    if ((group->signal.flags & QL_DT_OPEN) == 0 || (!few && isfinite(group->values[lead]))) {
        group->missed = 0;
        return false;
    }
    if (++group->missed >= QL_DT_GROUP_MISSED) {
        *ret_told = group_end(group, kind, group->row_ns, f);
        f->lapse = few ? QL_DT_GROUP_FEW : QL_DT_GROUP_AWAY;
        f->peers = present;
    }
    return true;
}

static bool group_row(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t index,
                      const struct ql_dt_rule *rule, struct ql_dt_group_finding *f)
{
    struct ql_dt_group *group = &g->groups[kind][index];
    bool ended;
    *f = (struct ql_dt_group_finding){ .kind = kind };
    const uint32_t lead = kind == QL_DT_GROUP_ENTITY
                              ? entity_row(g, index, &f->verdict, &f->peers)
                              : ql_dt_peers_row(group, &f->verdict, &f->peers);
    if (group_misses(group, f, &ended)) {
        return ended;
    }
    if (!f->verdict.judged) {
        return false;
    }
    const bool told = group_live(g, kind, index, rule, lead, f);
    group_accept(g, kind, index);
    if (!told) {
        return false;
    }
    if (kind == QL_DT_GROUP_ENTITY && f->change != QL_DT_CLOSED) {
        entity_shares(g, index, g->groups[kind][index].lead, f);
    }
    return true;
}

/* A group is sealed once it is full or nobody came for a while. */
static bool group_ready(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t index,
                        int64_t at_ns)
{
    struct ql_dt_group *group = &g->groups[kind][index];
    const uint32_t least = kind == QL_DT_GROUP_ENTITY ? QL_DT_ENTITY_MIN : QL_DT_PEERS_MIN;
    const int64_t wait_ns = (int64_t)group->step_ms * 1000000 * JOIN_ROWS;
    if (group->sealed != 0) {
        return true;
    }
    if (group->count < least ||
        (group->count < QL_DT_GROUP_MAX && at_ns - group->joined_ns < wait_ns)) {
        return false;
    }
    if (kind == QL_DT_GROUP_ENTITY && !ql_dt_group_fusion_take(g, index)) {
        return false;
    }
    group->sealed = 1;
    return true;
}

bool ql_dt_groups_value(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t series,
                        int64_t at_ns, double value, const struct ql_dt_rule *rule,
                        struct ql_dt_group_finding *ret_finding)
{
    const uint32_t of = g->members[series].of[kind];
    const uint32_t index = (of - 1) / QL_DT_GROUP_MAX;
    if (of == 0 || !group_ready(g, kind, index, at_ns)) {
        return false;
    }
    struct ql_dt_group *group = &g->groups[kind][index];
    const int64_t step_ns = (int64_t)group->step_ms * 1000000;
    bool told = false;
    if (group->row_ns != 0 && at_ns < group->row_ns - step_ns) {
        return false; /* late: its row was judged without it */
    }
    if (group->row_ns == 0 || at_ns >= group->row_ns) {
        told = group->row_ns != 0 && group_row(g, kind, index, rule, ret_finding);
        group->row_ns = at_ns - at_ns % step_ns + step_ns;
        for (uint32_t i = 0; i < group->count; i++) {
            group->values[i] = NAN;
        }
    }
    group->values[(of - 1) % QL_DT_GROUP_MAX] = value;
    return told;
}

/* ---- leaving ------------------------------------------------------------------------ */

static void group_free(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t index)
{
    struct ql_dt_group *group = &g->groups[kind][index];
    for (uint32_t i = 0; i < group->count; i++) {
        if (group->members[i] != QL_DT_GROUP_GONE) {
            g->members[group->members[i]].of[kind] = 0;
        }
    }
    if (ql_map64_get(&g->open_of[kind], group->key) == index) {
        (void)ql_map64_drop(&g->open_of[kind], group->key);
    }
    const bool fused = kind == QL_DT_GROUP_ENTITY && group->sealed != 0;
    g->fusion_words_freed += fused ? fusion_words(group->count) : 0;
    *group = (struct ql_dt_group){ 0 };
    group->members[0] = g->free_head[kind];
    g->free_head[kind] = index + 1;
    g->live[kind]--;
    if (g->fusion_words_freed > FUSION_FREED_MIN &&
        g->fusion_words_freed > g->fusion_words / 2) {
        fusions_move(g);
    }
}

/* Whether a row can still say something. */
static bool group_lives(const struct ql_dt_group *group, enum ql_dt_group_kind kind)
{
    uint32_t left = 0;
    for (uint32_t i = 0; i < group->count; i++) {
        left += group->members[i] != QL_DT_GROUP_GONE;
    }
    return group->sealed == 0 ? left > 0 : group_enough(group, kind, left);
}

/* Whoever waits alone for peers waits no more. */
static void single_leave(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t series)
{
    const uint64_t key = kind == QL_DT_GROUP_PEERS ? peers_key(g, series) : 0;
    if (key != 0 && ql_map64_get(&g->open_of[kind], key) == (QL_DT_GROUP_SINGLE | series)) {
        (void)ql_map64_drop(&g->open_of[kind], key);
    }
}

static void place_leave(struct ql_dt_groups *g, enum ql_dt_group_kind kind,
                        struct ql_dt_group *group, uint32_t place, uint32_t of)
{
    if (group->sealed != 0) {
        group->members[place] = QL_DT_GROUP_GONE;
        group->values[place] = NAN;
        return;
    }
    const uint32_t last = --group->count;
    if (place != last) {
        group->members[place] = group->members[last];
        group->values[place] = group->values[last];
        g->members[group->members[place]].of[kind] = of;
    }
}

bool ql_dt_groups_leave(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t series,
                        int64_t now_ns, struct ql_dt_group_finding *ret_finding)
{
    const uint32_t of = g->members[series].of[kind];
    if (of == 0) {
        single_leave(g, kind, series);
        return false;
    }
    const uint32_t index = (of - 1) / QL_DT_GROUP_MAX, place = (of - 1) % QL_DT_GROUP_MAX;
    struct ql_dt_group *group = &g->groups[kind][index];
    struct ql_dt_group before = *group;
    bool told = false;
    g->members[series].of[kind] = 0;
    place_leave(g, kind, group, place, of);
    const bool lives = group_lives(group, kind);
    if ((group->signal.flags & QL_DT_OPEN) != 0 && (!lives || group->lead == place)) {
        told = group_end(&before, kind, now_ns, ret_finding);
        (void)group_end(group, kind, now_ns, &(struct ql_dt_group_finding){ 0 });
    }
    if (!lives) {
        group_free(g, kind, index);
    }
    return told;
}

bool ql_dt_groups_leads(const struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t series)
{
    const uint32_t index = ql_dt_group_of(g, kind, series);
    const struct ql_dt_group *group = index == QL_MAP_NONE ? NULL : &g->groups[kind][index];
    return group != NULL && (group->signal.flags & QL_DT_OPEN) != 0 &&
           group->lead < group->count && group->members[group->lead] == series;
}

bool ql_dt_groups_end(struct ql_dt_groups *g, enum ql_dt_group_kind kind, uint32_t index,
                      int64_t now_ns, struct ql_dt_group_finding *ret_finding)
{
    struct ql_dt_group *group = &g->groups[kind][index];
    return (group->signal.flags & QL_DT_OPEN) != 0 && group_end(group, kind, now_ns, ret_finding);
}

/* Evidence from spans: self time of operations, and gaps on call edges.
 *
 * Good for     telling a slow callee, a starved process and a slow network apart: a gap is
 *              what a caller waited beyond what the callee's own span lasted.
 * Bad for      asynchronous children (they cover their parent only in part); clock skew
 *              between hosts (a child is cut to its parent's interval).
 * Method       self = duration less the union of the children's intervals. A span that only
 *              wraps one call to another entity (a client's span: not an entry, one child) has
 *              no work of its own: what it lasts beyond its child is the gap of that edge.
 *              An entry that calls out without such a wrapper keeps its self time as work.
 *              A gap is discounted where the caller is itself starved (its own work or cpu
 *              rose as much): it could not pick up the answer.
 * Cost         O(n log n) for sorting children and groups.
 */
#include "base/map.h"
#include "diagnose/evidence.h"

#include <math.h>
#include <stdlib.h>

#define SELF_FLOOR_RATIO 0.2
#define GAP_FLOOR_RATIO 0.3
#define COUNT_MIN 3u          /* spans on either side */
#define COUNT_FULL 5.0        /* fewer than this in the fault window weigh less */

/* One duration of one group: an operation of an entity, or a caller and a callee. */
struct piece { uint64_t group; double ms; uint32_t entity, other, operation; bool is_past; };

struct interval { double from, to; };

struct spans {
    const struct ql_case *c;
    uint32_t *parent;         /* span number, or QL_CASE_NONE */
    uint32_t *child_first, *child_next; /* + 1 */
    struct piece *selves, *gaps;
    uint32_t self_count, gap_count;
    struct interval *intervals;
    ql_time past_end;         /* spans before this are the past */
};

static int time_cmp(const void *a, const void *b)
{
    const int64_t x = ((const ql_time *)a)->ns, y = ((const ql_time *)b)->ns;
    return (x > y) - (x < y);
}

/* The past ends a guard before `at` but holds at least half of what was before. */
static ql_err spans_past(struct spans *s, struct ql_arena *arena)
{
    const struct ql_case *c = s->c;
    uint32_t count = 0, before_guard = 0;
    ql_time *starts = ql_arena_take(arena, (c->span_count + 1) * sizeof *starts);
    if (starts == NULL) {
        return QL_E_MEMORY;
    }
    const int64_t guard_ns = c->at.ns - QL_MEASURE_GUARD.ns;
    for (uint32_t i = 0; i < c->span_count; i++) {
        if (c->spans[i].start.ns < c->at.ns) {
            starts[count++] = c->spans[i].start;
            before_guard += c->spans[i].start.ns < guard_ns;
        }
    }
    qsort(starts, count, sizeof *starts, time_cmp);
    s->past_end = count == 0 ? QL_TIME_NONE : starts[ql_measure_past(before_guard, count) - 1];
    return QL_OK;
}

static ql_err spans_link(struct spans *s)
{
    const struct ql_case *c = s->c;
    struct ql_map64 by_id;
    ql_err err = QL_OK;
    ql_map64_init(&by_id, c->span_count + 1);
    for (uint32_t i = 0; i < c->span_count && err == QL_OK; i++) {
        s->child_first[i] = 0;
        err = ql_map64_put(&by_id, c->spans[i].id, i);
    }
    for (uint32_t i = 0; i < c->span_count && err == QL_OK; i++) {
        const uint64_t wanted = c->spans[i].parent;
        const uint32_t parent = wanted == 0 ? QL_MAP_NONE : ql_map64_get(&by_id, wanted);
        s->parent[i] = parent == QL_MAP_NONE || parent == i ? QL_CASE_NONE : parent;
        if (s->parent[i] != QL_CASE_NONE) {
            s->child_next[i] = s->child_first[parent];
            s->child_first[parent] = i + 1;
        }
    }
    ql_map64_fini(&by_id);
    return err;
}

static int interval_cmp(const void *a, const void *b)
{
    const struct interval *x = a, *y = b;
    return x->from != y->from ? (x->from > y->from) - (x->from < y->from)
                              : (x->to > y->to) - (x->to < y->to);
}

/* Does it wrap one call to another entity and nothing else? */
static bool span_is_client(const struct spans *s, uint32_t number)
{
    const struct ql_case_span *spans = s->c->spans, *own = &spans[number];
    const uint32_t child = s->child_first[number], parent = s->parent[number];
    return child != 0 && s->child_next[child - 1] == 0 && parent != QL_CASE_NONE &&
           spans[parent].entity == own->entity && spans[child - 1].entity != own->entity;
}

/* Milliseconds of a span that no child covers. */
static double span_self(struct spans *s, uint32_t number)
{
    const struct ql_case_span *spans = s->c->spans, *own = &spans[number];
    uint32_t count = 0;
    for (uint32_t i = s->child_first[number]; i != 0; i = s->child_next[i - 1]) {
        const double from = (double)(spans[i - 1].start.ns - own->start.ns) / 1e6;
        const double to = from + spans[i - 1].duration_ms;
        s->intervals[count++] = (struct interval){ from > 0.0 ? from : 0.0,
                                                   to < own->duration_ms ? to : own->duration_ms };
    }
    qsort(s->intervals, count, sizeof *s->intervals, interval_cmp);
    double covered = 0.0, end = -1.0;
    for (uint32_t i = 0; i < count; i++) {
        const struct interval in = s->intervals[i];
        if (in.to > end) {
            covered += in.to - (in.from > end ? in.from : end);
            end = in.to;
        }
    }
    return own->duration_ms > covered ? own->duration_ms - covered : 0.0;
}

static uint64_t pair_group(uint32_t a, uint32_t b)
{
    return (uint64_t)a << 32 | b;
}

static void spans_cut(struct spans *s, struct ql_evidence_list *list)
{
    const struct ql_case_span *spans = s->c->spans;
    for (uint32_t i = 0; i < s->c->span_count; i++) {
        const struct ql_case_span *own = &spans[i];
        const struct ql_case_span *parent =
            s->parent[i] == QL_CASE_NONE ? NULL : &spans[s->parent[i]];
        const bool is_fault = own->start.ns >= s->c->at.ns;
        const bool is_past = !is_fault && own->start.ns <= s->past_end.ns;
        const bool was_called = parent != NULL && parent->entity != own->entity;
        if (was_called) {
            ql_evidence_edge(list, parent->entity, own->entity);
        }
        if (!is_fault && !is_past) {
            continue;
        }
        if (was_called && span_is_client(s, s->parent[i])) {
            const double gap = parent->duration_ms - own->duration_ms;
            s->gaps[s->gap_count++] = (struct piece){
                pair_group(own->entity, parent->entity), gap > 0.0 ? gap : 0.0, own->entity,
                parent->entity, own->operation, is_past };
        }
        if (!span_is_client(s, i)) {
            const double self = span_self(s, i);
            s->selves[s->self_count++] =
                (struct piece){ pair_group(own->entity, own->operation), self, own->entity,
                                QL_CASE_NONE, own->operation, is_past };
        }
    }
}

/* By group, past before fault, then by size: a total order, whatever came first. */
static int piece_cmp(const void *a, const void *b)
{
    const struct piece *x = a, *y = b;
    if (x->group != y->group) {
        return x->group < y->group ? -1 : 1;
    }
    if (x->is_past != y->is_past) {
        return x->is_past ? -1 : 1;
    }
    if (x->ms < y->ms || x->ms > y->ms) {
        return x->ms < y->ms ? -1 : 1;
    }
    return (x->operation > y->operation) - (x->operation < y->operation);
}

struct group { const struct piece *at; uint32_t past_count, fault_count; };

static struct group group_at(const struct piece *pieces, uint32_t count, uint32_t first)
{
    struct group g = { .at = pieces + first };
    for (uint32_t i = first; i < count && pieces[i].group == pieces[first].group; i++) {
        g.past_count += pieces[i].is_past;
        g.fault_count += !pieces[i].is_past;
    }
    return g;
}

struct judged { double z, strength, weight, before, after; };

/* `pool` stands in for a past of fewer than COUNT_MIN: what all groups did together. */
static bool group_judge(const struct group *g, const double *pool, uint32_t pool_count,
                        double floor_ratio, double *scratch, struct judged *ret_judged)
{
    uint32_t past_count = 0;
    for (uint32_t i = 0; i < g->past_count; i++) {
        scratch[past_count++] = g->at[i].ms;
    }
    if (past_count < COUNT_MIN) {
        memcpy(scratch + past_count, pool, pool_count * sizeof *pool);
        past_count += pool_count;
    }
    if (past_count < COUNT_MIN || g->fault_count < 2) {
        return false;
    }
    double *fault = scratch + past_count;
    for (uint32_t i = 0; i < g->fault_count; i++) {
        fault[i] = g->at[g->past_count + i].ms;
    }
    struct judged j = { 0 };
    j.after = fault[g->fault_count / 2];
    j.z = ql_measure_durations(scratch, past_count, fault, g->fault_count, floor_ratio);
    j.before = g->past_count > 0 ? g->at[g->past_count / 2].ms : 0.0;
    j.weight = (double)g->fault_count < COUNT_FULL ? (double)g->fault_count / COUNT_FULL : 1.0;
    j.strength = ql_measure_bend(log1p(j.z));
    *ret_judged = j;
    return true;
}

static void item_fill(const struct ql_case *c, struct ql_evidence *item, const struct group *g,
                      const struct judged *j)
{
    item->measure = (struct ql_measure){ .z = j->z, .strength = j->strength, .before = j->before,
                                         .after = j->after, .onset = c->at, .rose = true };
    item->past_count = g->past_count;
    item->fault_count = g->fault_count;
    item->name = c->operations[g->at[0].operation];
}

static void selves_add(struct spans *s, struct ql_evidence_list *list)
{
    for (uint32_t i = 0; i < s->self_count;) {
        const struct group g = group_at(s->selves, s->self_count, i);
        struct judged j;
        if (g.past_count >= COUNT_MIN && g.fault_count >= COUNT_MIN &&
            group_judge(&g, NULL, 0, SELF_FLOOR_RATIO, list->scratch, &j) && j.z > 0.0) {
            struct ql_evidence *item =
                ql_evidence_add(list, g.at[0].entity, QL_EVIDENCE_SELF,
                                ql_measure_bend(log1p(j.z) * j.weight));
            if (item != NULL) {
                item_fill(s->c, item, &g, &j);
            }
        }
        i += g.past_count + g.fault_count;
    }
}

static uint32_t gaps_pool(const struct spans *s, double *pool)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < s->gap_count; i++) {
        if (s->gaps[i].is_past) {
            pool[count++] = s->gaps[i].ms;
        }
    }
    return count;
}

static void gaps_add(struct spans *s, struct ql_evidence_list *list)
{
    double *pool = list->scratch + 2 * s->c->span_count;
    const uint32_t pool_count = gaps_pool(s, pool);
    for (uint32_t i = 0; i < s->gap_count;) {
        const struct group g = group_at(s->gaps, s->gap_count, i);
        struct judged j;
        if (group_judge(&g, pool, pool_count, GAP_FLOOR_RATIO, list->scratch, &j)) {
            struct ql_evidence *item = ql_evidence_add(list, g.at[0].entity, QL_EVIDENCE_GAP,
                                                       j.strength * j.weight);
            if (item != NULL) {
                item_fill(s->c, item, &g, &j);
                item->other = g.at[0].other;
                item->measure.usual = j.weight; /* how much this edge may say */
            }
        }
        i += g.past_count + g.fault_count;
    }
}

ql_err ql_evidence_from_spans(const struct ql_case *c, struct ql_evidence_list *list)
{
    struct spans s = { .c = c };
    const size_t n = (size_t)c->span_count + 1;
    if (c->span_count == 0) {
        return QL_OK;
    }
    s.parent = ql_arena_take(list->arena, n * sizeof *s.parent);
    s.child_first = ql_arena_take(list->arena, n * sizeof *s.child_first);
    s.child_next = ql_arena_take(list->arena, n * sizeof *s.child_next);
    s.selves = ql_arena_take(list->arena, n * sizeof *s.selves);
    s.gaps = ql_arena_take(list->arena, n * sizeof *s.gaps);
    s.intervals = ql_arena_take(list->arena, n * sizeof *s.intervals);
    if (s.parent == NULL || s.child_first == NULL || s.child_next == NULL || s.selves == NULL ||
        s.gaps == NULL || s.intervals == NULL) {
        return QL_E_MEMORY;
    }
    ql_err err = spans_past(&s, list->arena);
    if (err == QL_OK) {
        err = spans_link(&s);
    }
    if (err != QL_OK) {
        return err;
    }
    spans_cut(&s, list);
    qsort(s.selves, s.self_count, sizeof *s.selves, piece_cmp);
    qsort(s.gaps, s.gap_count, sizeof *s.gaps, piece_cmp);
    selves_add(&s, list);
    gaps_add(&s, list);
    return QL_OK;
}

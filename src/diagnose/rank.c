/* rank - strongest plus a share of all, of what explaining away leaves (explain.c).
 *
 * Good for     faults that show in the faulty entity's own state (cpu, memory, pools), in
 *              its latency and errors, or in the waiting of its callers.
 * Bad for      faults that leave no trace in any number, message or span; calls that are
 *              not known as edges.
 * Method       callees explain what their callers feel (latency, errors, own time): such
 *              evidence counts 0.3 when a callee's own is at least 0.6 of it. What a client
 *              measures of its calls is passed on to those it calls, summed over callers
 *              and divided by the root of their number, so that the callee which all the
 *              suffering callers share stands out. See also measure.c and from_spans.c.
 *              Thresholds were chosen on public cases (Sock Shop, PetShop, Nezha) and are
 *              flat there; they are constants, not settings.
 * Cost         entities x kinds, edges x kinds.
 */
#include "diagnose/rank.h"

#include "diagnose/rank_int.h"
#include "diagnose/words.h"
#include "model/model_set.h"

#include <math.h>
#include <stdlib.h>

#define SUM_SHARE 0.2
#define CHANGE_FACTOR 2.0
#define CHANGE_BEFORE QL_MIN(30)
#define INDICATOR_RATIO 0.5     /* items this strong may name the cause's metric */
#define SURE_SCORE 1.5          /* confidence: half way up at this score */
#define ALONE_WEIGHT 0.6        /* ... of something felt that nothing else confirms */
#define CONFIRM_RATIO 0.3

/* ---- score ---- */

static double prior_factor(const struct ql_case *c, ql_str metric)
{
    if (c->model == NULL || metric.bytes == 0) {
        return 1.0;
    }
    const uint64_t family = ql_hash64(metric.at, metric.bytes);
    for (uint32_t i = 0; i < c->model->prior_count; i++) {
        const struct ql_cause_prior *p = &c->model->priors[i];
        if (p->family_hash == family) {
            const double seen = (double)p->right + (double)p->wrong + 2.0;
            return 1.0 + (double)p->right / seen - 0.5 * (double)p->wrong / seen;
        }
    }
    return 1.0;
}

static bool was_changed(const struct ql_case *c, uint32_t entity)
{
    for (uint32_t i = 0; i < c->change_count; i++) {
        const int64_t before = c->at.ns - c->changes[i].at.ns;
        if (c->changes[i].entity == entity && before >= -QL_MEASURE_GUARD.ns &&
            before <= CHANGE_BEFORE.ns) {
            return true;
        }
    }
    return false;
}

static const struct ql_evidence *row_strongest(const struct entity_row *row)
{
    uint32_t best = QL_EVIDENCE_COUNT;
    for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
        if (row->counted[k] > 0.0 &&
            (best == QL_EVIDENCE_COUNT || row->counted[k] > row->counted[best])) {
            best = k;
        }
    }
    return best == QL_EVIDENCE_COUNT ? NULL : row->best[best];
}

static void rows_score(struct ranking *r)
{
    for (uint32_t e = 0; e < r->c->entity_count; e++) {
        struct entity_row *row = &r->rows[e];
        double best = 0.0, sum = 0.0;
        for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
            best = larger(best, row->counted[k]);
            sum += row->counted[k];
        }
        const struct ql_evidence *strongest = row_strongest(row);
        row->score = best + SUM_SHARE * sum;
        if (strongest != NULL) {
            row->score *= prior_factor(r->c, strongest->name);
            row->score *= was_changed(r->c, e) ? CHANGE_FACTOR : 1.0;
        }
    }
}

/* ---- words and order ---- */

/* Waiting for a pool follows from the pool being full: the amount names it, if that is about
 * as odd. */
static const struct ql_evidence *waited_for(const struct ranking *r,
                                            const struct ql_evidence *wait)
{
    const struct ql_evidence *best = wait;
    for (uint32_t i = 0; i < r->list.count; i++) {
        const struct ql_evidence *item = &r->list.items[i];
        if (item->entity == wait->entity && item->kind == wait->kind &&
            !ql_metric_is_wait(item->name) && item->strength >= INDICATOR_RATIO * wait->strength &&
            (best == wait || item->strength > best->strength)) {
            best = item;
        }
    }
    return best;
}

/* Which item names the cause: among the strong ones a state before what is felt, then the
 * largest by its own quartile range, which is not bent. */
static const struct ql_evidence *indicator(const struct ranking *r, uint32_t entity,
                                           uint32_t *ret_kind)
{
    const struct entity_row *row = &r->rows[entity];
    double most = 0.0;
    bool state = false;
    for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
        most = larger(most, row->counted[k]);
    }
    for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
        state = state || (row->counted[k] >= INDICATOR_RATIO * most && most > 0.0 &&
                          k < QL_METRIC_KIND_COUNT && ql_evidence_is_state(k));
    }
    const struct ql_evidence *best = NULL;
    uint32_t kind = QL_EVIDENCE_COUNT;
    for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
        if (row->counted[k] <= 0.0 || row->counted[k] < INDICATOR_RATIO * most ||
            (state && !(k < QL_METRIC_KIND_COUNT && ql_evidence_is_state(k)))) {
            continue;
        }
        const bool better = kind == QL_EVIDENCE_COUNT ||
                            (state ? row->best[k]->measure.raw_z > best->measure.raw_z
                                   : row->counted[k] > row->counted[kind]);
        if (better) {
            best = row->best[k];
            kind = k;
        }
    }
    *ret_kind = kind;
    return best == NULL || !ql_metric_is_wait(best->name) ? best : waited_for(r, best);
}

struct order { uint32_t entity; double score; };

static int order_cmp(const void *a, const void *b)
{
    const struct order *x = a, *y = b;
    if (x->score < y->score || x->score > y->score) {
        return x->score > y->score ? -1 : 1;
    }
    return (x->entity > y->entity) - (x->entity < y->entity);
}

static bool row_confirms(const struct entity_row *row, uint32_t but, double least)
{
    for (uint32_t k = 0; k < QL_EVIDENCE_COUNT; k++) {
        if (k != but && row->strength[k] >= least) {
            return true;
        }
    }
    return false;
}

/* One odd latency somewhere is common on a quiet day; a fault shows twice: in a state, in
 * another number of the entity, at a neighbour, or where the symptom was seen. */
static bool is_confirmed(const struct ranking *r, uint32_t entity)
{
    const struct entity_row *row = &r->rows[entity];
    uint32_t best = 0;
    for (uint32_t k = 1; k < QL_EVIDENCE_COUNT; k++) {
        best = row->counted[k] > row->counted[best] ? k : best;
    }
    const double least = CONFIRM_RATIO * row->strength[best];
    if (ql_evidence_is_state(best) || r->c->symptom_entity != QL_CASE_NONE ||
        row_confirms(row, best, least)) {
        return true;
    }
    for (uint32_t i = 0; i < r->list.edge_count; i++) {
        const struct ql_case_edge e = r->list.edges[i];
        if ((e.caller == entity && row_confirms(&r->rows[e.callee], QL_EVIDENCE_INBOUND, least)) ||
            (e.callee == entity && row_confirms(&r->rows[e.caller], QL_EVIDENCE_COUNT, least))) {
            return true;
        }
    }
    return false;
}

/* How strong the best is, how far before the next, and whether anything else confirms it. */
static double confidence_of(const struct ranking *r, const struct order *order, uint32_t count,
                            uint32_t rank)
{
    const double first = order[0].score, second = count > 1 ? order[1].score : 0.0;
    const double strong = first * first / (first * first + SURE_SCORE * SURE_SCORE);
    const double margin = (first - second) / first;
    const double alone = is_confirmed(r, order[0].entity) ? 1.0 : ALONE_WEIGHT;
    const double best = strong * alone * (0.4 + 0.6 * sqrt(margin));
    return rank == 0 ? best : best * 0.5 * order[rank].score / first;
}

static enum ql_cause_role role_of(const struct ranking *r, uint32_t entity, uint32_t kind,
                                  ql_time onset, ql_time first_felt)
{
    const struct entity_row *row = &r->rows[entity];
    if (ql_evidence_is_state(kind)) {
        return QL_CAUSE_STATE_CHANGE;
    }
    if (!row->explained && onset.ns <= first_felt.ns) {
        return QL_CAUSE_FIRST_SYMPTOM;
    }
    return row->explained || kind == QL_EVIDENCE_OUTBOUND ? QL_CAUSE_IMPACT
                                                           : QL_CAUSE_FIRST_SYMPTOM;
}

static ql_time first_felt(const struct ranking *r)
{
    ql_time first = { INT64_MAX };
    for (uint32_t i = 0; i < r->list.count; i++) {
        const struct ql_evidence *item = &r->list.items[i];
        if (ql_evidence_is_felt(item->kind) && item->measure.onset.ns < first.ns) {
            first = item->measure.onset;
        }
    }
    return first;
}

static ql_str shown_metric(struct ranking *r, const struct ql_evidence *item, uint32_t kind)
{
    static const char *const prefixes[] = { [QL_EVIDENCE_GAP] = "span:",
                                            [QL_EVIDENCE_SELF] = "span:",
                                            [QL_EVIDENCE_LOG] = "log:",
                                            [QL_EVIDENCE_ALERT] = "alert:",
                                            [QL_EVIDENCE_CHANGE] = "change:",
                                            [QL_EVIDENCE_COUNT] = NULL };
    if (prefixes[kind] == NULL) {
        return item->name;
    }
    return ql_arena_printf(r->list.arena, "%s%.*s", prefixes[kind], QL_STR_ARG(item->name));
}

static bool callees_are_quiet(const struct ranking *r, uint32_t entity)
{
    for (uint32_t i = 0; i < r->list.edge_count; i++) {
        if (r->list.edges[i].caller == entity &&
            ql_rank_explaining(&r->rows[r->list.edges[i].callee]) >
                RANK_EXPLAINED_RATIO * ql_rank_explaining(&r->rows[entity])) {
            return false;
        }
    }
    return r->rows[entity].has_callees;
}

static void cause_fill(struct ranking *r, const struct order *order, uint32_t count,
                       uint32_t rank, ql_time felt, struct ql_rank_cause *cause)
{
    uint32_t kind = QL_EVIDENCE_COUNT;
    const uint32_t entity = order[rank].entity;
    const struct ql_evidence *item = indicator(r, entity, &kind);
    QL_ASSERT(item != NULL);
    *cause = (struct ql_rank_cause){
        .entity = entity, .series = item->series, .score = order[rank].score,
        .confidence = confidence_of(r, order, count, rank), .onset = item->measure.onset,
        .metric = shown_metric(r, item, kind),
        .role = role_of(r, entity, kind, item->measure.onset, felt),
    };
    if (kind == QL_EVIDENCE_INBOUND) {
        cause->series = QL_CASE_NONE; /* the series is the caller's */
    }
    const struct ql_words words = { .c = r->c, .item = item, .kind = kind, .entity = entity,
                                    .callees_quiet = callees_are_quiet(r, entity),
                                    .explained = r->rows[entity].explained,
                                    .changed = was_changed(r->c, entity) };
    cause->evidence = ql_words_evidence(&words, r->list.arena);
}

static ql_err ranking_init(struct ranking *r, const struct ql_case *c, struct ql_arena *arena)
{
    uint32_t longest = c->span_count > c->entity_count ? c->span_count : c->entity_count;
    for (uint32_t i = 0; i < c->series_count; i++) {
        longest = c->series[i].count > longest ? c->series[i].count : longest;
    }
    *r = (struct ranking){ .c = c, .list.arena = arena };
    r->list.count_max = c->series_count + 2 * c->span_count + c->log_count + c->change_count +
                        c->alert_count;
    r->list.edge_count_max = c->edge_count + c->span_count;
    r->list.items = ql_arena_take(arena, (r->list.count_max + 1) * sizeof *r->list.items);
    r->list.edges = ql_arena_take(arena, (r->list.edge_count_max + 1) * sizeof *r->list.edges);
    r->list.scratch = ql_arena_take(arena, 3 * ((size_t)longest + 1) * sizeof(double));
    r->rows = ql_arena_take(arena, (c->entity_count + 1) * sizeof *r->rows);
    if (r->list.items == NULL || r->list.edges == NULL || r->list.scratch == NULL ||
        r->rows == NULL) {
        return QL_E_MEMORY;
    }
    memset(r->rows, 0, (c->entity_count + 1) * sizeof *r->rows);
    for (uint32_t i = 0; i < c->edge_count; i++) {
        ql_evidence_edge(&r->list, c->edges[i].caller, c->edges[i].callee);
    }
    return QL_OK;
}

static ql_err evidence_collect(struct ranking *r)
{
    ql_err err = ql_evidence_from_spans(r->c, &r->list);
    if (err == QL_OK) {
        err = ql_evidence_from_metrics(r->c, &r->list);
    }
    if (err == QL_OK) {
        err = ql_evidence_from_logs(r->c, &r->list);
    }
    ql_evidence_from_events(r->c, &r->list);
    return err;
}

ql_err ql_rank(const struct ql_case *c, struct ql_arena *arena, struct ql_rank_cause **ret_causes,
               uint32_t *ret_count)
{
    struct ranking r;
    ql_err err = ranking_init(&r, c, arena);
    if (err == QL_OK) {
        err = evidence_collect(&r);
    }
    struct order *order = ql_arena_take(arena, (c->entity_count + 1) * sizeof *order);
    if (err != QL_OK || order == NULL) {
        return err != QL_OK ? err : QL_E_MEMORY;
    }
    ql_rank_explain(&r);
    rows_score(&r);
    uint32_t count = 0;
    for (uint32_t e = 0; e < c->entity_count; e++) {
        if (r.rows[e].score > 0.0) {
            order[count++] = (struct order){ e, r.rows[e].score };
        }
    }
    qsort(order, count, sizeof *order, order_cmp);
    struct ql_rank_cause *causes = ql_arena_take(arena, (count + 1) * sizeof *causes);
    if (causes == NULL) {
        return QL_E_MEMORY;
    }
    const ql_time felt = first_felt(&r);
    for (uint32_t i = 0; i < count; i++) {
        cause_fill(&r, order, count, i, felt, &causes[i]);
    }
    *ret_causes = causes;
    *ret_count = count;
    return QL_OK;
}

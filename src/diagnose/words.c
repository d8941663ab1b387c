#include "diagnose/words.h"

#include <math.h>
#include <stdio.h>

#define MOMENT_S 1.0

static ql_str entity_name(const struct ql_case *c, uint32_t entity)
{
    return entity == QL_CASE_NONE ? QL_STR("?") : c->entities[entity];
}

/* " 3 min before the incident was noticed" */
static void words_when(const struct ql_words *w, char *out, size_t bytes)
{
    const double ahead_s = (double)(w->c->at.ns - w->item->measure.onset.ns) / 1e9;
    const double size_s = fabs(ahead_s);
    const char *side = ahead_s > 0.0 ? "before" : "after";
    if (size_s < MOMENT_S) {
        (void)snprintf(out, bytes, "as the incident was noticed");
    } else if (size_s < 120.0) {
        (void)snprintf(out, bytes, "%.0f s %s the incident was noticed", size_s, side);
    } else if (size_s < 7200.0) {
        (void)snprintf(out, bytes, "%.0f min %s the incident was noticed", size_s / 60.0, side);
    } else {
        (void)snprintf(out, bytes, "%.1f h %s the incident was noticed", size_s / 3600.0, side);
    }
}

/* "rose from 12 to 100 (8.3 times)" */
static void words_move(const struct ql_measure *m, char *out, size_t bytes)
{
    const double ratio = m->before > 0.0 && m->after > 0.0 ? m->after / m->before : 0.0;
    char times[48] = "";
    if (ratio >= 1.5 && ratio < 1e6) {
        (void)snprintf(times, sizeof times, " (%.3g times)", ratio);
    } else if (ratio > 0.0 && ratio < 0.95) {
        (void)snprintf(times, sizeof times, " (by %.0f %%)", (1.0 - ratio) * 100.0);
    }
    (void)snprintf(out, bytes, "%s from %.4g to %.4g%s", m->rose ? "rose" : "fell", m->before,
                   m->after, times);
}

static const char *words_rest(const struct ql_words *w)
{
    if (w->explained) {
        return "; what it calls is odd too and explains part of it";
    }
    if (w->callees_quiet && w->kind != QL_EVIDENCE_INBOUND) {
        return "; what it calls looks normal";
    }
    return "";
}

static ql_str words_metric(const struct ql_words *w, struct ql_arena *arena)
{
    char when[96], move[128];
    const struct ql_measure *m = &w->item->measure;
    words_when(w, when, sizeof when);
    words_move(m, move, sizeof move);
    return ql_arena_printf(arena,
                           "%.*s %s, beginning %s: %.3g times its usual spread, where %.2g is "
                           "rare for it%s%s",
                           QL_STR_ARG(w->item->name), move, when, m->z, m->usual, words_rest(w),
                           w->changed ? "; it was changed shortly before" : "");
}

static ql_str words_inbound(const struct ql_words *w, struct ql_arena *arena)
{
    char move[128];
    const struct ql_evidence *item = w->item;
    const ql_str caller = entity_name(w->c, item->entity);
    words_move(&item->measure, move, sizeof move);
    if (item->kind == QL_EVIDENCE_OUTBOUND) {
        return ql_arena_printf(arena,
                               "its callers wait longer for their calls (%.*s: %.*s %s), and it "
                               "is among what the suffering callers share",
                               QL_STR_ARG(caller), QL_STR_ARG(item->name), move);
    }
    if (item->series == QL_CASE_NONE) {
        return ql_arena_printf(arena,
                               "sends no data itself; what its callers have in common is that "
                               "they call it and suffer (%.*s: %.*s)",
                               QL_STR_ARG(caller), QL_STR_ARG(item->name));
    }
    return ql_arena_printf(arena,
                           "sends no data itself; what its callers have in common is that they "
                           "call it and suffer (%.*s: %.*s %s)",
                           QL_STR_ARG(caller), QL_STR_ARG(item->name), move);
}

static ql_str words_gap(const struct ql_words *w, struct ql_arena *arena)
{
    const struct ql_measure *m = &w->item->measure;
    return ql_arena_printf(arena,
                           "calls from %.*s waited %.4g ms beyond its own work where %.4g ms was "
                           "usual (%u calls against %u): the network or a queue before it%s",
                           QL_STR_ARG(entity_name(w->c, w->item->other)), m->after, m->before,
                           (unsigned)w->item->fault_count, (unsigned)w->item->past_count,
                           w->changed ? "; it was changed shortly before" : "");
}

static ql_str words_self(const struct ql_words *w, struct ql_arena *arena)
{
    const struct ql_measure *m = &w->item->measure;
    return ql_arena_printf(arena, "%.*s spent %.4g ms in itself where %.4g ms was usual "
                                  "(%u spans against %u)%s",
                           QL_STR_ARG(w->item->name), m->after, m->before,
                           (unsigned)w->item->fault_count, (unsigned)w->item->past_count,
                           words_rest(w));
}

static ql_str words_log(const struct ql_words *w, struct ql_arena *arena)
{
    const struct ql_measure *m = &w->item->measure;
    return ql_arena_printf(arena, "wrote '%.*s' %u times where %.2g were to be expected%s",
                           QL_STR_ARG(w->item->name), (unsigned)w->item->fault_count, m->before,
                           words_rest(w));
}

static ql_str words_change(const struct ql_words *w, struct ql_arena *arena)
{
    char when[96];
    words_when(w, when, sizeof when);
    return ql_arena_printf(arena, "%.*s, %s; no stronger evidence", QL_STR_ARG(w->item->name),
                           when);
}

static ql_str words_alert(const struct ql_words *w, struct ql_arena *arena)
{
    char when[96];
    words_when(w, when, sizeof when);
    return ql_arena_printf(arena, "%.*s fires, %s%s", QL_STR_ARG(w->item->name), when,
                           w->explained ? words_rest(w) : "; nothing that it calls explains it");
}

ql_str ql_words_evidence(const struct ql_words *w, struct ql_arena *arena)
{
    ql_str text;
    switch (w->kind) {
    case QL_EVIDENCE_INBOUND: text = words_inbound(w, arena); break;
    case QL_EVIDENCE_GAP: text = words_gap(w, arena); break;
    case QL_EVIDENCE_SELF: text = words_self(w, arena); break;
    case QL_EVIDENCE_LOG: text = words_log(w, arena); break;
    case QL_EVIDENCE_ALERT: text = words_alert(w, arena); break;
    case QL_EVIDENCE_CHANGE: text = words_change(w, arena); break;
    default: text = words_metric(w, arena); break;
    }
    return text.at == NULL ? QL_STR("") : text;
}

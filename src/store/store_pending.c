/* store_pending.c - deep copies of the records that the store keeps. */
#include "store/store_pending.h"

#include <stdlib.h>

/* PENDING_<list>(T): its texts. */
#define PENDING_edges(T)
#define PENDING_entities(T)  T(name)
#define PENDING_alerts(T)    T(name) T(labels) T(annotations) T(severity)
#define PENDING_changes(T)   T(kind) T(summary) T(source) T(link)
#define PENDING_signals(T)   T(metric) T(labels) T(why)
#define PENDING_incidents(T) T(title) T(by)
#define PENDING_members(T)   T(name) T(labels) T(why)
#define PENDING_causes(T)    T(metric) T(evidence)
#define PENDING_actions(T)   T(runbook) T(step) T(command) T(reason) T(by)
#define PENDING_commands(T)  T(entity) T(by) T(note)
#define PENDING_audits(T)    T(actor) T(what) T(detail)
#define PENDING_MAP(X)                                                                             \
    X(edges, edge)                                                                                 \
    X(entities, entity) X(alerts, alert) X(changes, change) X(signals, signal)                     \
        X(incidents, incident) X(members, member) X(causes, cause) X(actions, action)              \
            X(commands, command) X(audits, audit)

static bool pending_text(struct ql_batch *to, ql_str *text)
{
    if (text->bytes > 0) {
        *text = ql_batch_text(to, *text);
        return text->bytes > 0;
    }
    return true;
}

static bool pending_copy(struct ql_batch *to, const struct ql_batch *from)
{
    bool good = true;
#define T(field) good = good && pending_text(to, &copy->field);
#define X(list, one)                                                                               \
    for (uint32_t i = 0; i < from->list.count && good; i++) {                                      \
        __typeof__(from->list.at) copy = ql_batch_add_##one(to);                                   \
        good = copy != NULL;                                                                       \
        if (good) {                                                                                \
            *copy = from->list.at[i];                                                              \
            PENDING_##list(T)                                                                      \
        }                                                                                          \
    }
    PENDING_MAP(X)
#undef X
#undef T
    return good;
}

void ql_pending_init(struct ql_pending *pending)
{
    *pending = (struct ql_pending){ .count = 0 };
}

void ql_pending_fini(struct ql_pending *pending)
{
    while (pending->count > 0) {
        ql_pending_drop_first(pending);
    }
}

ql_err ql_pending_add(struct ql_pending *pending, uint64_t sequence, ql_time now,
                      const struct ql_batch *bus)
{
    struct ql_pending_tick *tick = NULL;
    if (pending->count < QL_PENDING_TICKS_MAX) {
        tick = calloc(1, sizeof(*tick));
    }
    if (tick == NULL) {
        return QL_E_FULL;
    }
    tick->sequence = sequence;
    tick->now = now;
    ql_batch_init(&tick->bus, QL_PENDING_TEXT_BYTES_MAX);
    if (!pending_copy(&tick->bus, bus)) {
        ql_batch_fini(&tick->bus);
        free(tick);
        return QL_E_FULL;
    }
    pending->ticks[(pending->first + pending->count++) % QL_PENDING_TICKS_MAX] = tick;
    return QL_OK;
}

const struct ql_pending_tick *ql_pending_first(const struct ql_pending *pending)
{
    return pending->count > 0 ? pending->ticks[pending->first] : NULL;
}

void ql_pending_drop_first(struct ql_pending *pending)
{
    QL_ASSERT(pending->count > 0);
    struct ql_pending_tick *tick = pending->ticks[pending->first];
    ql_batch_fini(&tick->bus);
    free(tick);
    pending->first = (pending->first + 1) % QL_PENDING_TICKS_MAX;
    pending->count--;
}

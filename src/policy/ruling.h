/* ruling.h - what people said about signals that are made in the core.
 *
 * Such a signal is about something larger than a series of a shard, yet it carries labels:
 * they decide which policies apply, looked up whenever it is asked, as signals of the core are
 * few. Whoever makes them keeps what is held open inside and asks again while it lasts.
 * Directions, minima and valid ranges speak of a value against its band: they mean nothing here.
 *
 * Ownership     open/close. A ruling borrows the configuration until adopt or close.
 * Threads       one at a time.
 * Errors        open, adopt: QL_E_MEMORY; adopt then changed nothing. load: QL_E_MALFORMED,
 *               QL_E_MEMORY.
 * Bounds        asking walks all policies; changed.h for entities that were changed.
 * Determinism   policies, labels, changes and the time given.
 */
#ifndef QL_POLICY_RULING_H
#define QL_POLICY_RULING_H

#include "model/batch.h"
#include "policy/held.h"

struct ql_ruling {
    struct ql_policy_set *set;      /* NULL: no policies */
    bool by_change;                 /* one of them mutes after changes */
    struct ql_changed changed;
    struct ql_held_counts counts;
};
/* A signal in the making. */
struct ql_ruled {
    ql_str labels;                  /* canonical block */
    ql_entity_id entity;
    enum ql_signal_kind kind;
    enum ql_importance importance;  /* what it is without policies */
};
/* What policies say of it. */
struct ql_policy_word {
    enum ql_held held;              /* NONE: tell it */
    enum ql_importance importance;
    const char *held_by;            /* names of policies; borrowed like the configuration */
    const char *importance_by;      /* NULL: as it is without policies */
};

QL_MUST_USE ql_err ql_ruling_open(struct ql_ruling *ruling, const struct ql_config *config,
                                  struct ql_stats *stats);
void ql_ruling_close(struct ql_ruling *ruling); /* zeroed memory is fine */
QL_MUST_USE ql_err ql_ruling_adopt(struct ql_ruling *ruling, const struct ql_config *config);
/* Each push: takes note of the changes on the bus. Each tick: forgets old ones. */
void ql_ruling_push(struct ql_ruling *ruling, const struct ql_batch *bus);
void ql_ruling_tick(struct ql_ruling *ruling, ql_time now);

struct ql_policy_word ql_ruling_of(struct ql_ruling *ruling, const struct ql_ruled *ruled,
                                   ql_time at);
/* True: not to be told now. `*held` is what became of it when it was asked last, and is kept:
 * the first time it is counted, and so is when it comes out. */
bool ql_ruling_holds(struct ql_ruling *ruling, const struct ql_ruled *ruled, ql_time at,
                     bool *held);
/* " (importance high, policy night)" where a policy made it another than it was. */
void ql_ruling_say(const struct ql_ruled *ruled, const struct ql_policy_word *word,
                   struct ql_buf *out);

ql_err ql_ruling_save(const struct ql_ruling *ruling, struct ql_buf *out);
QL_MUST_USE ql_err ql_ruling_load(struct ql_ruling *ruling, struct ql_reader *in);

#endif

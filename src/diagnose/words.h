/* words.h - the sentence with numbers behind a suspect.
 *
 * Ownership     the text lives in the arena; "" when there is no room.
 */
#ifndef QL_DIAGNOSE_WORDS_H
#define QL_DIAGNOSE_WORDS_H

#include "diagnose/evidence.h"

struct ql_words {
    const struct ql_case *c;
    const struct ql_evidence *item;
    uint32_t kind, entity;      /* kind: as what the item counts for the entity */
    bool callees_quiet, explained, changed;
};
ql_str ql_words_evidence(const struct ql_words *words, struct ql_arena *arena);

#endif

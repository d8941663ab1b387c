/* nearest - the known word that a mistyped one most likely meant.
 *
 * Good for     unknown keys and names of runbooks: tens of candidates, short words.
 * Bad for      long texts (cut at 64 bytes: then nothing is near).
 * Method       Levenshtein distance by the two-row table of Wagner and Fischer (1974);
 *              near means at most a third of the word, and at least one edit is allowed.
 * Cost         O(a*b) per pair.
 */
#include "config/row.h"

#define NEAREST_BYTES_MAX 64u

uint32_t cf_distance(ql_str a, ql_str b)
{
    uint32_t row[NEAREST_BYTES_MAX + 1];
    if (a.bytes > NEAREST_BYTES_MAX || b.bytes > NEAREST_BYTES_MAX) {
        return NEAREST_BYTES_MAX;
    }
    for (uint32_t j = 0; j <= b.bytes; j++) {
        row[j] = j;
    }
    for (uint32_t i = 1; i <= a.bytes; i++) {
        uint32_t diagonal = row[0];
        row[0] = i;
        for (uint32_t j = 1; j <= b.bytes; j++) {
            const uint32_t swap = diagonal + (a.at[i - 1] == b.at[j - 1] ? 0u : 1u);
            const uint32_t drop = row[j] + 1, add = row[j - 1] + 1;
            diagonal = row[j];
            row[j] = swap < drop ? swap : drop;
            row[j] = row[j] < add ? row[j] : add;
        }
    }
    return row[b.bytes];
}

const char *cf_nearest(ql_str word, const char *const *known, uint32_t count)
{
    const char *best = NULL;
    uint32_t best_distance = (uint32_t)(word.bytes / 3 > 1 ? word.bytes / 3 : 1) + 1;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t distance = cf_distance(word, ql_str_of(known[i]));
        if (distance < best_distance) {
            best_distance = distance;
            best = known[i];
        }
    }
    return best;
}

#include "policy/held.h"

#include <stdio.h>

enum { NAME_BYTES = 64, LABELS_BYTES = 128 };
static const char held_name[] = "ql_detect_held_total";
static const char held_help[] =
    "Signals that a policy held back, by the field that did, the policy and the signal's kind.";

const char *ql_held_text(enum ql_held held)
{
    static const char *const texts[] = {
#define X(name, text) text,
        QL_HELD_MAP(X)
#undef X
    };
    return (unsigned)held < QL_HELD_COUNT ? texts[held] : "";
}

enum ql_held ql_held_at(const struct ql_policy_set *set, const struct ql_policy_effect *effect,
                        const struct ql_changed *changed, ql_entity_id entity, ql_time at)
{
    if (ql_policy_muted(set, effect, at) != NULL) {
        return QL_HELD_MUTE;
    }
    return ql_changed_within(changed, entity, effect->mute_after_change_ns, at) ? QL_HELD_CHANGE
                                                                                : QL_HELD_NONE;
}

/* Of two minima the later policy's is named. */
const char *ql_held_by(const struct ql_policy_set *set, const struct ql_policy_effect *effect,
                       enum ql_held held)
{
    const uint16_t *by = effect->by;
    switch (held) {
    case QL_HELD_DETECTOR: return ql_policy_name(set, by[QL_POLICY_DETECTOR]);
    case QL_HELD_DIRECTION: return ql_policy_name(set, by[QL_POLICY_DIRECTION]);
    case QL_HELD_SMALL:
        return ql_policy_name(set, by[QL_POLICY_MIN_ABSOLUTE] > by[QL_POLICY_MIN_RELATIVE]
                                       ? by[QL_POLICY_MIN_ABSOLUTE]
                                       : by[QL_POLICY_MIN_RELATIVE]);
    case QL_HELD_MUTE: return ql_policy_name(set, by[QL_POLICY_MUTE]);
    case QL_HELD_CHANGE: return ql_policy_name(set, by[QL_POLICY_MUTE_AFTER_CHANGE]);
    default: return "";
    }
}

void ql_held_counts_init(struct ql_held_counts *counts, struct ql_stats *stats)
{
    *counts = (struct ql_held_counts){ .stats = stats };
    counts->told_late = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_told_late_total",
                                      "Signals that outlasted what held them back.", "");
    counts->dropped = ql_stats_cell(stats, QL_STAT_COUNTER, "ql_detect_dropped_total",
                                    "Detections that could not be written.", "what=\"policy\"");
}

/* A name as the value of a label: escaped, and no longer than a cell has room for. A
 * character of several bytes is taken whole or not at all. */
static void name_escape(const char *name, char ret_name[NAME_BYTES])
{
    size_t used = 0;
    while (*name != '\0') {
        const bool special = *name == '"' || *name == '\\' || *name == '\n';
        size_t bytes = 1;
        while (((unsigned char)name[bytes] & 0xc0u) == 0x80u) {
            bytes++;
        }
        if (used + bytes + (special ? 1 : 0) >= NAME_BYTES) {
            break;
        }
        if (special) {
            ret_name[used++] = '\\';
        }
        memcpy(ret_name + used, name, bytes);
        if (*name == '\n') {
            ret_name[used] = 'n';
        }
        used += bytes;
        name += bytes;
    }
    ret_name[used] = '\0';
}

static struct ql_stat_cell *held_cell(struct ql_held_counts *counts, const char *labels)
{
    const uint64_t key = ql_hash64(labels, strlen(labels));
    for (uint32_t i = 0; i < counts->count; i++) {
        if (counts->cells[i].key == key) {
            return counts->cells[i].cell;
        }
    }
    if (counts->count == QL_HELD_CELLS_MAX) {
        return NULL;
    }
    struct ql_stat_cell *cell =
        ql_stats_cell(counts->stats, QL_STAT_COUNTER, held_name, held_help, labels);
    counts->cells[counts->count++] = (struct ql_held_cell){ key, cell };
    return cell;
}

static void held_labels(enum ql_held held, const char *policy, enum ql_signal_kind kind,
                        char ret_labels[LABELS_BYTES])
{
    (void)snprintf(ret_labels, LABELS_BYTES, "kind=\"%s\",policy=\"%s\",reason=\"%s\"",
                   ql_signal_kind_text(kind), policy, ql_held_text(held));
}

void ql_held_count(struct ql_held_counts *counts, enum ql_held held, const char *policy,
                   enum ql_signal_kind kind)
{
    char name[NAME_BYTES], labels[LABELS_BYTES];
    QL_ASSERT(held != QL_HELD_NONE);
    name_escape(policy, name);
    held_labels(held, name, kind, labels);
    struct ql_stat_cell *cell = held_cell(counts, labels);
    if (cell == NULL) {
        held_labels(held, "(others)", kind, labels);
        cell = ql_stats_cell(counts->stats, QL_STAT_COUNTER, held_name, held_help, labels);
    }
    ql_stat_add(cell, 1);
}

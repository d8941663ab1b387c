#include "policy/ruling.h"

ql_err ql_ruling_open(struct ql_ruling *ruling, const struct ql_config *config,
                      struct ql_stats *stats)
{
    *ruling = (struct ql_ruling){ .by_change = false };
    ql_held_counts_init(&ruling->counts, stats);
    ql_changed_init(&ruling->changed, ruling->counts.dropped);
    const ql_err err = ql_ruling_adopt(ruling, config);
    if (err != QL_OK) {
        ql_ruling_close(ruling);
    }
    return err;
}

void ql_ruling_close(struct ql_ruling *ruling)
{
    ql_policy_set_close(ruling->set);
    ql_changed_fini(&ruling->changed);
    *ruling = (struct ql_ruling){ .by_change = false };
}

ql_err ql_ruling_adopt(struct ql_ruling *ruling, const struct ql_config *config)
{
    struct ql_policy_set *set = NULL;
    bool by_change = false;
    for (uint32_t i = 0; i < config->policy_count; i++) {
        by_change |= config->policies[i].mute_after_change_s > 0.0;
    }
    ql_err err = config->policy_count > 0 ? ql_policy_set_open(config, &set) : QL_OK;
    if (err == QL_OK && by_change) {
        err = ql_changed_activate(&ruling->changed);
    }
    if (err != QL_OK) {
        ql_policy_set_close(set);
        return err;
    }
    ql_policy_set_close(ruling->set);
    ruling->set = set;
    ruling->by_change = by_change;
    return QL_OK;
}

void ql_ruling_push(struct ql_ruling *ruling, const struct ql_batch *bus)
{
    for (uint32_t i = 0; ruling->by_change && i < bus->changes.count; i++) {
        ql_changed_note(&ruling->changed, bus->changes.at[i].entity, bus->changes.at[i].at);
    }
}

void ql_ruling_tick(struct ql_ruling *ruling, ql_time now)
{
    ql_changed_sweep(&ruling->changed, now);
}

struct ql_policy_word ql_ruling_of(struct ql_ruling *ruling, const struct ql_ruled *ruled,
                                   ql_time at)
{
    struct ql_policy_word word = { .importance = ruled->importance };
    struct ql_policy_effect effect;
    if (ruling->set == NULL || !ql_policy_resolve(ruling->set, ruled->labels, &effect)) {
        return word;
    }
    const uint16_t by = effect.by[QL_POLICY_IMPORTANCE];
    if (by != 0) {
        word.importance = (enum ql_importance)effect.importance;
        word.importance_by = ql_policy_name(ruling->set, by);
    }
    word.held = effect.detector == 0 ? QL_HELD_DETECTOR
                                     : ql_held_at(ruling->set, &effect, &ruling->changed,
                                                  ruled->entity, at);
    word.held_by = ql_held_by(ruling->set, &effect, word.held);
    return word;
}

bool ql_ruling_holds(struct ql_ruling *ruling, const struct ql_ruled *ruled, ql_time at,
                     bool *held)
{
    const struct ql_policy_word word = ql_ruling_of(ruling, ruled, at);
    if (word.held == QL_HELD_NONE) {
        ql_stat_add(ruling->counts.told_late, *held ? 1 : 0);
    } else if (!*held) {
        ql_held_count(&ruling->counts, word.held, word.held_by, ruled->kind);
    }
    *held = word.held != QL_HELD_NONE;
    return *held;
}

void ql_ruling_say(const struct ql_ruled *ruled, const struct ql_policy_word *word,
                   struct ql_buf *out)
{
    if (word->importance_by != NULL && word->importance != ruled->importance) {
        (void)ql_buf_printf(out, " (importance %s, policy %s)",
                            ql_importance_text(word->importance), word->importance_by);
    }
}

ql_err ql_ruling_save(const struct ql_ruling *ruling, struct ql_buf *out)
{
    return ql_changed_save(&ruling->changed, out);
}

ql_err ql_ruling_load(struct ql_ruling *ruling, struct ql_reader *in)
{
    return ql_changed_load(&ruling->changed, in);
}

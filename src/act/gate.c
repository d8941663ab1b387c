#include "act/act_int.h"

static const struct { const char *word; enum ac_again again; } gate_rows[] = {
#define QL_GATE(name, word, again, sentence) { word, AC_##again },
#include "act/gates.def"
};

const char *ql_ac_gate_word(enum ac_gate gate)
{
    QL_ASSERT(gate < AC_GATE_COUNT);
    return gate_rows[gate].word;
}

enum ac_again ql_ac_gate_again(enum ac_gate gate)
{
    QL_ASSERT(gate < AC_GATE_COUNT);
    return gate_rows[gate].again;
}

enum ql_act_mode ql_ac_mode(const struct ql_config *config, const struct ql_runbook *runbook)
{
    return runbook->mode < config->act_mode ? runbook->mode : config->act_mode;
}

/* One part of a name: safe letters, no option, no "." or ".." that a path would follow. */
static bool gate_part_is_safe(ql_str part)
{
    for (size_t i = 0; i < part.bytes; i++) {
        const char c = part.at[i];
        const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        const bool digit = c >= '0' && c <= '9';
        if (!letter && !digit && (c == '\0' || strchr("._:@-", c) == NULL)) {
            return false;
        }
    }
    return part.bytes > 0 && part.at[0] != '-' && !ql_str_eq(part, QL_STR(".")) &&
           !ql_str_eq(part, QL_STR(".."));
}

/* "kind/name" or a bare name: the name is what {name} becomes, so no '/' may stand in it. */
bool ql_ac_name_is_safe(ql_str name)
{
    const char *slash = name.bytes > 0 ? memchr(name.at, '/', name.bytes) : NULL;
    const size_t kind_bytes = slash != NULL ? (size_t)(slash - name.at) : 0;
    const ql_str kind = { name.at, kind_bytes };
    const ql_str rest = slash != NULL
                            ? (ql_str){ slash + 1, name.bytes - kind_bytes - 1 }
                            : name;
    return name.bytes <= AC_NAME_BYTES && (slash == NULL || gate_part_is_safe(kind)) &&
           gate_part_is_safe(rest);
}

/* ---- the gates: each says what it saw -------------------------------------------- */

static bool gate_mode(const struct ac_proposal *p, struct ql_buf *why)
{
    if (p->runbook == NULL) {
        (void)ql_buf_text(why, "the runbook is no longer configured");
        return false;
    }
    const enum ql_act_mode mode = ql_ac_mode(p->act->config, p->runbook);
    const enum ql_act_mode least = p->self != NULL ? QL_ACT_APPROVE : QL_ACT_OBSERVE;
    (void)ql_buf_printf(why, "mode %s", ql_act_mode_text(mode));
    return mode >= least;
}

static bool gate_confidence(const struct ac_proposal *p, struct ql_buf *why)
{
    if (p->self != NULL) {
        return true; /* a person looked at the cause */
    }
    const bool pass = p->c->confidence >= p->runbook->score_min;
    (void)ql_buf_printf(why, "confidence %.2f %s %.2f asked", p->c->confidence,
                        pass ? "reaches the" : "is under the", p->runbook->score_min);
    return pass;
}

/* The first ranking of an incident sees one or two odd values; acting can wait for the next. */
static bool gate_steady(const struct ac_proposal *p, struct ql_buf *why)
{
    if (p->self != NULL || p->runbook->steady_s <= 0.0) {
        return true;
    }
    const double age_s = ql_duration_s((ql_duration){ p->act->now.ns - p->c->suspect_at.ns });
    (void)ql_buf_printf(why, "first suspect for %.0f s of the %.0f asked", age_s,
                        p->runbook->steady_s);
    return age_s >= p->runbook->steady_s;
}

/* Silence about a cause means that it stands as it was ranked, as long as its signals are
 * open and heard. */
static bool gate_fresh(const struct ac_proposal *p, struct ql_buf *why)
{
    if (p->self != NULL) {
        return true;
    }
    const int64_t newest = p->c->cause_at.ns > p->c->evidence_at.ns ? p->c->cause_at.ns
                                                                    : p->c->evidence_at.ns;
    const int64_t age_ns = p->act->now.ns - newest;
    const double age_s = ql_duration_s((ql_duration){ age_ns });
    const double age_s_max = p->act->config->evidence_s_max;
    const bool holds = age_ns <= AC_RANKING_HOLDS.ns && ql_ac_case_heard(p->act, p->c) > 0;
    (void)ql_buf_printf(why, "evidence %.0f s old", age_s);
    if (age_s > age_s_max) {
        if (holds) {
            (void)ql_buf_text(why, " and unchanged");
        } else {
            (void)ql_buf_printf(why, " (at most %.0f s)", age_s_max);
        }
    }
    return age_s <= age_s_max || holds;
}

static bool gate_verifiable(const struct ac_proposal *p, struct ql_buf *why)
{
    const uint32_t heard = ql_ac_case_heard(p->act, p->c);
    const uint32_t open = ql_ac_case_triggers(p->act, p->c, NULL);
    if (heard > 0) {
        (void)ql_buf_printf(why, "%u open signal%s to verify by", heard, heard == 1 ? "" : "s");
        return true;
    }
    (void)ql_buf_text(why, open == 0 ? "no signal of the suspect or of the symptom is open"
                                     : "the open signals get no data any more");
    (void)ql_buf_text(why, ": recovery could not be seen");
    return false;
}

static bool gate_name(const struct ac_proposal *p, struct ql_buf *why)
{
    if (ql_ac_name_is_safe(p->entity_name)) {
        return true;
    }
    (void)ql_buf_text(why, "the entity's name holds what no command may get");
    return false;
}

static bool gate_strikes(const struct ac_proposal *p, struct ql_buf *why)
{
    const uint32_t strikes = ql_ac_ledger_strikes(p->ledger, p->act->now);
    const bool stopped = p->ledger->stopped || strikes >= p->runbook->attempts_max;
    (void)ql_buf_printf(why, "%u of %u strikes", strikes, p->runbook->attempts_max);
    if (stopped) {
        (void)ql_buf_printf(why, " on %.*s: it ran %u times and the trouble stayed or came back; "
                                 "approve this action to let it try again",
                            QL_STR_ARG(p->entity_name), p->ledger->attempts);
    }
    return !stopped;
}

static bool gate_backoff(const struct ac_proposal *p, struct ql_buf *why)
{
    if (p->self != NULL || p->ledger->ended.ns == QL_TIME_NONE.ns || p->ledger->strikes == 0) {
        return true;
    }
    const int64_t until = p->ledger->ended.ns + ql_ac_ledger_backoff(p->ledger).ns;
    if (p->act->now.ns >= until) {
        return true;
    }
    (void)ql_buf_printf(why, "the last run did not help; next try in %.0f s",
                        ql_duration_s((ql_duration){ until - p->act->now.ns }));
    return false;
}

static bool gate_busy(const struct ac_proposal *p, struct ql_buf *why)
{
    for (uint32_t i = 0; i < QL_ACT_RUNS_MAX; i++) {
        const struct ac_run *run = &p->act->runs[i];
        if (run->used && run != p->self && run->entity.v == p->entity.v) {
            (void)ql_buf_printf(why, "run '%.*s' of incident %llu holds the entity",
                                QL_STR_ARG(ql_ac_text(run, run->runbook)),
                                (unsigned long long)run->incident.v);
            return false;
        }
    }
    if (p->self == NULL && p->act->run_count == QL_ACT_RUNS_MAX) {
        (void)ql_buf_printf(why, "all %u places for runs are taken", QL_ACT_RUNS_MAX);
        return false;
    }
    return true;
}

static bool gate_rate(const struct ac_proposal *p, struct ql_buf *why)
{
    const struct ql_config *config = p->act->config;
    const uint32_t mine = ql_ac_ledger_starts(p->ledger, p->act->now);
    const uint32_t all = ql_ac_all_starts(p->act, p->act->now);
    (void)ql_buf_printf(why, "%u of %u runs an hour here, %u of %u in all", mine,
                        config->runs_entity_per_hour_max, all, config->runs_per_hour_max);
    return mine < config->runs_entity_per_hour_max && all < config->runs_per_hour_max;
}

/* ---- all of them ------------------------------------------------------------------ */

bool ql_ac_gates(const struct ac_proposal *p, struct ql_buf *why, enum ac_gate *ret_gate)
{
    static bool (*const checks[])(const struct ac_proposal *, struct ql_buf *) = {
#define QL_GATE(name, word, again, sentence) gate_##name,
#include "act/gates.def"
    };
    struct ql_buf one;
    ql_buf_init(&one, 1024);
    ql_buf_reset(why);
    bool pass = true;
    for (uint32_t i = 0; i < AC_GATE_COUNT && pass; i++) {
        ql_buf_reset(&one);
        pass = checks[i](p, &one);
        if (!pass) {
            *ret_gate = (enum ac_gate)i;
            ql_buf_reset(why);
            (void)ql_buf_printf(why, "refused by gate '%s': ", gate_rows[i].word);
        } else if (one.bytes > 0) {
            (void)ql_buf_text(why, why->bytes > 0 ? "; " : "gates passed: ");
        }
        (void)ql_buf_str(why, ql_buf_view(&one));
    }
    ql_buf_fini(&one);
    return pass;
}

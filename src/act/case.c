#include "act/act_int.h"

/* ---- rows ------------------------------------------------------------------------ */

struct ac_case *ql_ac_case_find(const struct ql_act *act, ql_id incident)
{
    const uint32_t row = ql_map64_get(&act->case_of, incident.v);
    return row == QL_MAP_NONE ? NULL : &act->cases[row];
}

static struct ac_case *case_add(struct ql_act *act, ql_id incident)
{
    for (uint32_t row = 0; row < QL_ACT_CASES_MAX; row++) {
        struct ac_case *c = &act->cases[row];
        if (c->used) {
            continue;
        }
        if (ql_map64_put(&act->case_of, incident.v, row) != QL_OK) {
            break;
        }
        *c = (struct ac_case){ .incident = incident, .used = 1, .cause_at = QL_TIME_NONE,
                               .evidence_at = QL_TIME_NONE, .succeeded = QL_TIME_NONE };
        return c;
    }
    ql_stat_add(act->drop_case, 1);
    return NULL;
}

static uint64_t case_series_key(ql_series_id series)
{
    return series.h.low ^ series.h.high;
}

static void case_member_free(struct ql_act *act, struct ac_member *m)
{
    const uint32_t row = (uint32_t)(m - act->members);
    const uint64_t series = case_series_key(m->series);
    (void)ql_map64_drop(&act->member_of, m->id.v);
    if (ql_map64_get(&act->series_of, series) == row) {
        (void)ql_map64_drop(&act->series_of, series);
    }
    *m = (struct ac_member){ .next = act->member_free };
    act->member_free = row + 1;
}

void ql_ac_case_drop(struct ql_act *act, struct ac_case *c)
{
    QL_ASSERT(c->used);
    QL_ASSERT(c->run == 0);
    for (uint32_t at = c->member_first; at != 0;) {
        struct ac_member *m = &act->members[at - 1];
        at = m->next;
        case_member_free(act, m);
    }
    (void)ql_map64_drop(&act->case_of, c->incident.v);
    *c = (struct ac_case){ 0 };
}

/* ---- incidents ------------------------------------------------------------------- */

static void case_over(struct ql_act *act, struct ac_case *c, const char *how)
{
    c->active = 0;
    c->pending = 0;
    if (c->run != 0) {
        ql_ac_run_incident_over(act, &act->runs[c->run - 1], how);
    }
}

void ql_ac_incident_seen(struct ql_act *act, const struct ql_incident *incident)
{
    struct ac_case *c = ql_ac_case_find(act, incident->id);
    if (incident->merged_into.v != 0 || incident->event == QL_INC_MERGED) {
        if (c != NULL) {
            case_over(act, c, "the incident became part of another");
        }
        return;
    }
    if (incident->state == QL_INCIDENT_RESOLVED) {
        if (c != NULL) {
            case_over(act, c, "the incident is over");
        }
        return;
    }
    if (c == NULL) {
        c = case_add(act, incident->id);
    }
    if (c == NULL) {
        return;
    }
    if (incident->event == QL_INC_REOPENED) {
        memset(c->done, 0, sizeof(c->done)); /* it came back: ask people again */
    }
    c->symptom = incident->entity;
    c->active = 1;
}

void ql_ac_case_done(struct ac_case *c, uint64_t ledger_key)
{
    if (!ql_ac_case_is_done(c, ledger_key)) {
        c->done[c->done_next] = ledger_key;
        c->done_next = (c->done_next + 1) % AC_DONE_MAX;
    }
}

bool ql_ac_case_is_done(const struct ac_case *c, uint64_t ledger_key)
{
    for (uint32_t i = 0; i < AC_DONE_MAX; i++) {
        if (c->done[i] == ledger_key) {
            return true;
        }
    }
    return false;
}

/* ---- signals of an incident ------------------------------------------------------- */

static bool case_concerns(const struct ac_case *c, const struct ac_member *m)
{
    return m->entity.v != 0 && (m->entity.v == c->suspect.v || m->entity.v == c->symptom.v);
}

/* Appends, so that the order of members is the order in which they came. */
static void case_member_link(struct ql_act *act, struct ac_case *c, uint32_t row)
{
    uint32_t *at = &c->member_first;
    while (*at != 0) {
        at = &act->members[*at - 1].next;
    }
    *at = row + 1;
    act->members[row].next = 0;
    act->members[row].case_row = ql_ac_case_row(act, c) + 1;
}

static void case_member_unlink(struct ql_act *act, struct ac_member *m)
{
    uint32_t *at = &act->cases[m->case_row - 1].member_first;
    const uint32_t row = (uint32_t)(m - act->members);
    while (*at != row + 1) {
        QL_ASSERT(*at != 0);
        at = &act->members[*at - 1].next;
    }
    *at = m->next;
}

ql_err ql_ac_member_add(struct ql_act *act, struct ac_case *c, const struct ac_member *member)
{
    uint32_t row = act->member_free;
    if (row != 0) {
        row--;
    } else if (act->member_used < AC_MEMBERS_MAX) {
        row = act->member_used;
    } else {
        return QL_E_FULL;
    }
    const ql_err err = ql_map64_put(&act->member_of, member->id.v, row);
    if (err != QL_OK) {
        return err;
    }
    /* Only a hint for absences: a series that does not fit is not watched for them. */
    (void)!ql_map64_put(&act->series_of, case_series_key(member->series), row);
    if (row == act->member_used) {
        act->member_used++;
    } else {
        act->member_free = act->members[row].next;
    }
    act->members[row] = *member;
    case_member_link(act, c, row);
    return QL_OK;
}

/* A storm has thousands of members; past AC_CASE_MEMBERS_MAX they are not kept here: the
 * first ones say enough about recovery. */
static uint32_t case_member_count(const struct ql_act *act, const struct ac_case *c)
{
    uint32_t count = 0;
    for (uint32_t at = c->member_first; at != 0; at = act->members[at - 1].next) {
        count++;
    }
    return count;
}

void ql_ac_member_seen(struct ql_act *act, const struct ql_member *member)
{
    struct ac_case *c = ql_ac_case_find(act, member->incident);
    if (member->kind != QL_MEMBER_SIGNAL) {
        return;
    }
    const bool open = member->ended.ns == QL_TIME_NONE.ns;
    ql_ac_run_signal(act, member->id, NULL, open);
    const uint32_t row = ql_map64_get(&act->member_of, member->id.v);
    if (row != QL_MAP_NONE) {
        struct ac_member *m = &act->members[row];
        m->open = open;
        m->since = member->since;
        if (c != NULL && m->case_row != ql_ac_case_row(act, c) + 1) { /* incidents merged */
            case_member_unlink(act, m);
            case_member_link(act, c, row);
        }
    } else if (c != NULL && open) {
        const struct ac_member m = { .id = member->id, .series = member->series,
                                     .entity = member->entity, .since = member->since,
                                     .open = 1 };
        if (case_member_count(act, c) >= AC_CASE_MEMBERS_MAX ||
            ql_ac_member_add(act, c, &m) != QL_OK) {
            ql_stat_add(act->drop_member, 1);
        }
        if (case_concerns(c, &m)) {
            c->evidence_at = act->now;
        }
    }
}

static void case_silence(struct ql_act *act, const struct ql_signal *signal, bool silent)
{
    const uint32_t row = ql_map64_get(&act->series_of, case_series_key(signal->series));
    if (row == QL_MAP_NONE) {
        return;
    }
    const struct ac_case *c = &act->cases[act->members[row].case_row - 1];
    for (uint32_t at = c->member_first; at != 0; at = act->members[at - 1].next) {
        struct ac_member *m = &act->members[at - 1];
        if (m->id.v != signal->id.v && ql_series_id_eq(m->series, signal->series)) {
            m->silent = silent;
        }
    }
}

void ql_ac_signal_seen(struct ql_act *act, const struct ql_signal *signal)
{
    const bool open = signal->phase != QL_PHASE_CLOSE;
    ql_ac_run_signal(act, signal->id, signal, open);
    if (signal->kind == QL_SIGNAL_ABSENCE) {
        case_silence(act, signal, open || signal->lapsed);
    }
    const uint32_t row = ql_map64_get(&act->member_of, signal->id.v);
    if (row == QL_MAP_NONE) {
        return;
    }
    struct ac_member *m = &act->members[row];
    struct ac_case *c = &act->cases[m->case_row - 1];
    m->open = open;
    if (open && case_concerns(c, m)) {
        c->evidence_at = act->now;
    }
}

static bool case_calls(const struct ac_case *c, const struct ac_member *m)
{
    return m->open && case_concerns(c, m) &&
           (c->succeeded.ns == QL_TIME_NONE.ns || m->since.ns > c->succeeded.ns);
}

uint32_t ql_ac_case_triggers(const struct ql_act *act, const struct ac_case *c,
                             struct ac_trigger *ret_triggers)
{
    uint32_t count = 0;
    for (uint32_t at = c->member_first; at != 0 && count < AC_TRIGGERS_MAX;
         at = act->members[at - 1].next) {
        const struct ac_member *m = &act->members[at - 1];
        if (!case_calls(c, m)) {
            continue;
        }
        if (ret_triggers != NULL) {
            ret_triggers[count] = (struct ac_trigger){ .id = m->id, .series = m->series,
                                                       .open = 1, .silent = m->silent };
        }
        count++;
    }
    return count;
}

uint32_t ql_ac_case_heard(const struct ql_act *act, const struct ac_case *c)
{
    uint32_t count = 0;
    for (uint32_t at = c->member_first; at != 0; at = act->members[at - 1].next) {
        const struct ac_member *m = &act->members[at - 1];
        count += case_calls(c, m) && !m->silent;
    }
    return count;
}

/* ---- causes ----------------------------------------------------------------------- */

void ql_ac_cause_seen(struct ql_act *act, const struct ql_cause *cause)
{
    struct ac_case *c = ql_ac_case_find(act, cause->incident);
    if (cause->rank != 1 || c == NULL || !c->active) {
        return;
    }
    if (c->suspect.v != cause->entity.v) {
        c->suspect_at = act->now;
    }
    c->suspect = cause->entity;
    c->confidence = cause->confidence;
    c->cause_at = act->now;
    c->metric_bytes = (uint16_t)(cause->metric.bytes < AC_NAME_BYTES ? cause->metric.bytes
                                                                     : AC_NAME_BYTES);
    memcpy(c->metric, cause->metric.at, c->metric_bytes);
    c->pending = 1;
}

/* save.c - the checkpoint of the act stage: every used row, field by field. */
#include "act/act_int.h"

static void save_case(const struct ql_act *act, const struct ac_case *c, struct ql_buf *out)
{
    uint32_t count = 0;
    (void)ql_buf_u64(out, c->incident.v);
    (void)ql_buf_u64(out, c->symptom.v);
    (void)ql_buf_u64(out, c->suspect.v);
    (void)ql_buf_f64(out, c->confidence);
    (void)ql_buf_i64(out, c->suspect_at.ns);
    (void)ql_buf_i64(out, c->cause_at.ns);
    (void)ql_buf_i64(out, c->evidence_at.ns);
    (void)ql_buf_i64(out, c->succeeded.ns);
    (void)ql_buf_u64(out, c->told.v);
    (void)ql_buf_u64(out, c->escalated.v);
    (void)ql_buf_u32(out, c->escalated_ledger);
    (void)ql_buf_u32(out, c->run);
    (void)ql_buf_u32(out, c->done_next);
    for (uint32_t i = 0; i < AC_DONE_MAX; i++) {
        (void)ql_buf_u64(out, c->done[i]);
    }
    (void)ql_buf_u8(out, c->active);
    (void)ql_buf_u8(out, c->pending);
    (void)ql_buf_u8(out, c->told_gate);
    (void)ql_buf_lstr(out, (ql_str){ c->metric, c->metric_bytes });
    for (uint32_t at = c->member_first; at != 0; at = act->members[at - 1].next) {
        count++;
    }
    (void)ql_buf_u32(out, count);
    for (uint32_t at = c->member_first; at != 0; at = act->members[at - 1].next) {
        const struct ac_member *m = &act->members[at - 1];
        (void)ql_buf_u64(out, m->id.v);
        (void)ql_buf_u64(out, m->series.h.high);
        (void)ql_buf_u64(out, m->series.h.low);
        (void)ql_buf_u64(out, m->entity.v);
        (void)ql_buf_i64(out, m->since.ns);
        (void)ql_buf_u8(out, (uint8_t)(m->open | m->silent << 1));
    }
}

static void save_ledger(const struct ac_ledger *l, struct ql_buf *out)
{
    (void)ql_buf_u64(out, l->key);
    (void)ql_buf_u64(out, l->entity.v);
    (void)ql_buf_i64(out, l->touched.ns);
    (void)ql_buf_i64(out, l->ended.ns);
    (void)ql_buf_i64(out, l->succeeded.ns);
    (void)ql_buf_u64(out, l->escalated.v);
    (void)ql_buf_u32(out, l->attempts);
    (void)ql_buf_u32(out, l->strikes);
    (void)ql_buf_u8(out, l->stopped);
    (void)ql_buf_u32(out, l->start_next);
    (void)ql_buf_u32(out, l->start_count);
    for (uint32_t i = 0; i < l->start_count; i++) {
        (void)ql_buf_i64(out, l->starts[i]);
    }
}

static void save_text(struct ac_text text, struct ql_buf *out)
{
    (void)ql_buf_u32(out, text.at);
    (void)ql_buf_u32(out, text.bytes);
}

static void save_run(const struct ac_run *r, struct ql_buf *out)
{
    (void)ql_buf_u64(out, r->incident.v);
    (void)ql_buf_u64(out, r->entity.v);
    (void)ql_buf_u32(out, r->case_row);
    (void)ql_buf_u32(out, r->ledger);
    (void)ql_buf_u32(out, r->attempt);
    (void)ql_buf_u32(out, r->attempts_max);
    (void)ql_buf_u32(out, r->step);
    (void)ql_buf_u32(out, (uint32_t)r->state);
    (void)ql_buf_i64(out, r->deadline.ns);
    (void)ql_buf_i64(out, r->started.ns);
    (void)ql_buf_i64(out, r->verify.ns);
    (void)ql_buf_u8(out, r->dry_run);
    (void)ql_buf_u8(out, r->overdue);
    save_text(r->runbook, out);
    (void)ql_buf_lstr(out, (ql_str){ r->texts, r->text_bytes });
    (void)ql_buf_u32(out, r->trigger_count);
    for (uint32_t i = 0; i < r->trigger_count; i++) {
        const struct ac_trigger *t = &r->triggers[i];
        (void)ql_buf_u64(out, t->id.v);
        (void)ql_buf_u64(out, t->series.h.high);
        (void)ql_buf_u64(out, t->series.h.low);
        (void)ql_buf_u8(out, (uint8_t)(t->open | t->silent << 1));
    }
    (void)ql_buf_u32(out, r->step_count);
    for (uint32_t i = 0; i < r->step_count; i++) {
        save_text(r->steps[i].name, out);
        save_text(r->steps[i].command, out);
        save_text(r->steps[i].argv, out);
        (void)ql_buf_i64(out, r->steps[i].timeout.ns);
    }
}

ql_err ql_ac_save(const void *stage, struct ql_buf *out)
{
    const struct ql_act *act = stage;
    for (uint32_t i = 0; i < QL_ACT_CASES_MAX; i++) {
        if (act->cases[i].used) {
            (void)ql_buf_u32(out, i);
            save_case(act, &act->cases[i], out);
        }
    }
    (void)ql_buf_u32(out, UINT32_MAX);
    for (uint32_t i = 0; i < AC_LEDGERS_MAX; i++) {
        if (act->ledgers[i].used) {
            (void)ql_buf_u32(out, i);
            save_ledger(&act->ledgers[i], out);
        }
    }
    (void)ql_buf_u32(out, UINT32_MAX);
    for (uint32_t i = 0; i < QL_ACT_RUNS_MAX; i++) {
        if (act->runs[i].used) {
            (void)ql_buf_u32(out, i);
            save_run(&act->runs[i], out);
        }
    }
    (void)ql_buf_u32(out, UINT32_MAX);
    (void)ql_buf_u32(out, act->start_next);
    (void)ql_buf_u32(out, act->start_count);
    for (uint32_t i = 0; i < act->start_count; i++) {
        (void)ql_buf_i64(out, act->starts[i]);
    }
    return ql_buf_check(out);
}

/* ---- load: everything is checked, for a checkpoint is a file ---------------------- */

static bool load_members(struct ql_act *act, struct ac_case *c, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    if (count > AC_MEMBERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        struct ac_member m = { 0 };
        m.id.v = ql_reader_u64(in);
        m.series.h.high = ql_reader_u64(in);
        m.series.h.low = ql_reader_u64(in);
        m.entity.v = ql_reader_u64(in);
        m.since.ns = ql_reader_i64(in);
        const uint8_t flags = ql_reader_u8(in);
        m.open = flags & 1;
        m.silent = flags >> 1 & 1;
        if (ql_map64_get(&act->member_of, m.id.v) != QL_MAP_NONE ||
            ql_ac_member_add(act, c, &m) != QL_OK) {
            return false;
        }
    }
    return !in->failed;
}

static bool load_case(struct ql_act *act, uint32_t row, struct ql_reader *in)
{
    if (row >= QL_ACT_CASES_MAX || act->cases[row].used) {
        return false;
    }
    struct ac_case *c = &act->cases[row];
    c->used = 1;
    c->incident.v = ql_reader_u64(in);
    c->symptom.v = ql_reader_u64(in);
    c->suspect.v = ql_reader_u64(in);
    c->confidence = ql_reader_f64(in);
    c->suspect_at.ns = ql_reader_i64(in);
    c->cause_at.ns = ql_reader_i64(in);
    c->evidence_at.ns = ql_reader_i64(in);
    c->succeeded.ns = ql_reader_i64(in);
    c->told.v = ql_reader_u64(in);
    c->escalated.v = ql_reader_u64(in);
    c->escalated_ledger = ql_reader_u32(in);
    c->run = ql_reader_u32(in);
    c->done_next = ql_reader_u32(in);
    for (uint32_t i = 0; i < AC_DONE_MAX; i++) {
        c->done[i] = ql_reader_u64(in);
    }
    c->active = ql_reader_u8(in);
    c->pending = ql_reader_u8(in);
    c->told_gate = ql_reader_u8(in);
    const ql_str metric = ql_reader_lstr(in);
    if (metric.bytes > AC_NAME_BYTES || c->run > QL_ACT_RUNS_MAX ||
        c->escalated_ledger > AC_LEDGERS_MAX || c->done_next >= AC_DONE_MAX ||
        (c->escalated.v != 0 && c->escalated_ledger == 0)) {
        return false;
    }
    c->metric_bytes = (uint16_t)metric.bytes;
    memcpy(c->metric, metric.at, metric.bytes);
    return ql_map64_put(&act->case_of, c->incident.v, row) == QL_OK && load_members(act, c, in);
}

static bool load_ledger(struct ql_act *act, uint32_t row, struct ql_reader *in)
{
    if (row >= AC_LEDGERS_MAX || act->ledgers[row].used) {
        return false;
    }
    struct ac_ledger *l = &act->ledgers[row];
    l->used = 1;
    l->key = ql_reader_u64(in);
    l->entity.v = ql_reader_u64(in);
    l->touched.ns = ql_reader_i64(in);
    l->ended.ns = ql_reader_i64(in);
    l->succeeded.ns = ql_reader_i64(in);
    l->escalated.v = ql_reader_u64(in);
    l->attempts = ql_reader_u32(in);
    l->strikes = ql_reader_u32(in);
    l->stopped = ql_reader_u8(in);
    const uint32_t next = ql_reader_u32(in);
    l->start_count = ql_reader_u32(in);
    if (next >= AC_ENTITY_STARTS_MAX || l->start_count > AC_ENTITY_STARTS_MAX) {
        return false;
    }
    l->start_next = (uint16_t)next;
    for (uint32_t i = 0; i < l->start_count; i++) {
        l->starts[i] = ql_reader_i64(in);
    }
    return ql_map64_put(&act->ledger_of, l->key, row) == QL_OK;
}

static bool load_text(const struct ac_run *r, struct ac_text *text, struct ql_reader *in)
{
    text->at = ql_reader_u32(in);
    text->bytes = ql_reader_u32(in);
    return text->at <= r->text_bytes && text->bytes <= r->text_bytes - text->at;
}

static bool load_run_lists(struct ac_run *r, struct ql_reader *in)
{
    r->trigger_count = ql_reader_u32(in);
    if (r->trigger_count > AC_TRIGGERS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < r->trigger_count; i++) {
        struct ac_trigger *t = &r->triggers[i];
        t->id.v = ql_reader_u64(in);
        t->series.h.high = ql_reader_u64(in);
        t->series.h.low = ql_reader_u64(in);
        const uint8_t flags = ql_reader_u8(in);
        t->open = flags & 1;
        t->silent = flags >> 1 & 1;
    }
    r->step_count = ql_reader_u32(in);
    if (r->step_count == 0 || r->step_count > QL_CONFIG_STEPS_MAX || r->step >= r->step_count) {
        return false;
    }
    for (uint32_t i = 0; i < r->step_count; i++) {
        struct ac_step *s = &r->steps[i];
        if (!load_text(r, &s->name, in) || !load_text(r, &s->command, in) ||
            !load_text(r, &s->argv, in)) {
            return false;
        }
        s->timeout.ns = ql_reader_i64(in);
    }
    return true;
}

static bool load_run(struct ql_act *act, uint32_t row, struct ql_reader *in)
{
    if (row >= QL_ACT_RUNS_MAX || act->runs[row].used) {
        return false;
    }
    struct ac_run *r = &act->runs[row];
    r->used = 1;
    act->run_count++;
    r->incident.v = ql_reader_u64(in);
    r->entity.v = ql_reader_u64(in);
    r->case_row = ql_reader_u32(in);
    r->ledger = ql_reader_u32(in);
    r->attempt = ql_reader_u32(in);
    r->attempts_max = ql_reader_u32(in);
    r->step = ql_reader_u32(in);
    const uint32_t state = ql_reader_u32(in);
    r->deadline.ns = ql_reader_i64(in);
    r->started.ns = ql_reader_i64(in);
    r->verify.ns = ql_reader_i64(in);
    r->dry_run = ql_reader_u8(in);
    r->overdue = ql_reader_u8(in);
    r->runbook.at = ql_reader_u32(in);
    r->runbook.bytes = ql_reader_u32(in);
    const ql_str texts = ql_reader_lstr(in);
    if (texts.bytes > AC_TEXT_BYTES || state >= QL_ACTION_STATE_COUNT ||
        !ql_ac_is_live((enum ql_action_state)state) || r->case_row == 0 ||
        r->case_row > QL_ACT_CASES_MAX || r->ledger == 0 || r->ledger > AC_LEDGERS_MAX) {
        return false;
    }
    r->state = (enum ql_action_state)state;
    r->text_bytes = (uint32_t)texts.bytes;
    memcpy(r->texts, texts.at, texts.bytes);
    return r->runbook.at <= r->text_bytes && r->runbook.bytes <= r->text_bytes - r->runbook.at &&
           act->cases[r->case_row - 1].used && act->cases[r->case_row - 1].run == row + 1 &&
           act->ledgers[r->ledger - 1].used && load_run_lists(r, in);
}

static bool load_rows(struct ql_act *act, struct ql_reader *in,
                      bool (*load)(struct ql_act *, uint32_t, struct ql_reader *))
{
    for (;;) {
        const uint32_t row = ql_reader_u32(in);
        if (in->failed) {
            return false;
        }
        if (row == UINT32_MAX) {
            return true;
        }
        if (!load(act, row, in) || in->failed) {
            return false;
        }
    }
}

static bool load_is_whole(const struct ql_act *act)
{
    for (uint32_t i = 0; i < QL_ACT_CASES_MAX; i++) {
        const struct ac_case *c = &act->cases[i];
        if (c->run != 0 && (!act->runs[c->run - 1].used || act->runs[c->run - 1].case_row != i + 1)) {
            return false;
        }
    }
    return true;
}

ql_err ql_ac_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct ql_act *act = stage;
    if (version != ql_act_stage.state_version) {
        return QL_E_VERSION;
    }
    if (!load_rows(act, in, load_case) || !load_rows(act, in, load_ledger) ||
        !load_rows(act, in, load_run) || !load_is_whole(act)) {
        return QL_E_MALFORMED;
    }
    act->start_next = ql_reader_u32(in);
    act->start_count = ql_reader_u32(in);
    if (act->start_next >= AC_STARTS_MAX || act->start_count > AC_STARTS_MAX) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < act->start_count; i++) {
        act->starts[i] = ql_reader_i64(in);
    }
    return in->failed ? QL_E_MALFORMED : QL_OK;
}

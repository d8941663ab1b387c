/* The checkpoint of the stage: incidents that are followed, changes, learnt priors. */
#include "diagnose/diagnose.h"
#include "diagnose/diagnose_int.h"

static void member_put(struct ql_buf *out, const struct di_member *m)
{
    (void)ql_buf_u64(out, m->entity.v);
    (void)ql_buf_i64(out, m->since.ns);
    (void)ql_buf_u8(out, m->is_alert);
    (void)ql_buf_lstr(out, (ql_str){ m->name, m->name_bytes });
}

static bool text_get(struct ql_reader *in, char *to, size_t room, uint8_t *ret_bytes)
{
    const ql_str s = ql_reader_lstr(in);
    if (in->failed || s.bytes > room) {
        in->failed = true;
        return false;
    }
    memcpy(to, s.at, s.bytes);
    *ret_bytes = (uint8_t)s.bytes;
    return true;
}

static void incident_put(struct ql_buf *out, const struct di_incident *in)
{
    uint32_t count = 0;
    while (count < DI_MEMBER_ENTITIES_MAX && in->members[count].entity.v != 0) {
        count++;
    }
    (void)ql_buf_u64(out, in->id.v);
    (void)ql_buf_i64(out, in->onset.ns);
    (void)ql_buf_i64(out, in->asked.ns);
    (void)ql_buf_u32(out, in->ask_count);
    (void)ql_buf_u32(out, in->member_count);
    (void)ql_buf_u32(out, in->lasting);
    (void)ql_buf_u32(out, in->lasting_peak);
    (void)ql_buf_u8(out, in->grew);
    (void)ql_buf_u8(out, in->waits);
    (void)ql_buf_u64(out, in->told_hash);
    (void)ql_buf_f64(out, in->told_confidence);
    (void)ql_buf_u32(out, count);
    for (uint32_t i = 0; i < count; i++) {
        member_put(out, &in->members[i]);
    }
    (void)ql_buf_u32(out, in->since_count);
    for (uint32_t i = 0; i < in->since_count; i++) {
        (void)ql_buf_i64(out, in->sinces[i].ns);
    }
}

static void incident_get(struct ql_reader *in, struct di_incident *to)
{
    to->id.v = ql_reader_u64(in);
    to->onset.ns = ql_reader_i64(in);
    to->asked.ns = ql_reader_i64(in);
    to->ask_count = ql_reader_u32(in);
    to->member_count = ql_reader_u32(in);
    to->lasting = ql_reader_u32(in);
    to->lasting_peak = ql_reader_u32(in);
    to->grew = ql_reader_u8(in);
    to->waits = ql_reader_u8(in);
    to->told_hash = ql_reader_u64(in);
    to->told_confidence = ql_reader_f64(in);
    const uint32_t count = ql_reader_u32(in);
    in->failed = in->failed || count > DI_MEMBER_ENTITIES_MAX ||
                 (to->asked.ns != QL_TIME_NONE.ns && to->ask_count == 0);
    for (uint32_t i = 0; i < count && !in->failed; i++) {
        struct di_member *m = &to->members[i];
        m->entity.v = ql_reader_u64(in);
        m->since.ns = ql_reader_i64(in);
        m->is_alert = ql_reader_u8(in);
        (void)text_get(in, m->name, sizeof m->name, &m->name_bytes);
    }
    to->since_count = ql_reader_u32(in);
    in->failed = in->failed || to->since_count > DI_SINCES_MAX;
    for (uint32_t i = 0; i < to->since_count && !in->failed; i++) {
        to->sinces[i].ns = ql_reader_i64(in);
    }
}

ql_err ql_di_save(const void *stage, struct ql_buf *out)
{
    const struct ql_diagnose *di = stage;
    for (uint32_t i = 0; i < DI_INCIDENTS_MAX; i++) {
        (void)ql_buf_u8(out, di->incidents[i].id.v != 0); /* row by row: order decides replies */
        if (di->incidents[i].id.v != 0) {
            incident_put(out, &di->incidents[i]);
        }
    }
    (void)ql_buf_u32(out, di->change_next);
    (void)ql_buf_u32(out, di->change_count);
    for (uint32_t i = 0; i < di->change_count; i++) {
        (void)ql_buf_u64(out, di->changes[i].entity.v);
        (void)ql_buf_i64(out, di->changes[i].at.ns);
        (void)ql_buf_lstr(out, (ql_str){ di->changes[i].text, di->changes[i].text_bytes });
    }
    (void)ql_buf_u32(out, di->model.version);
    (void)ql_buf_u32(out, di->model.prior_count);
    for (uint32_t i = 0; i < di->model.prior_count; i++) {
        (void)ql_buf_u64(out, di->model.priors[i].family_hash);
        (void)ql_buf_f64(out, (double)di->model.priors[i].right);
        (void)ql_buf_f64(out, (double)di->model.priors[i].wrong);
    }
    return ql_buf_check(out);
}

static void model_get(struct ql_reader *in, struct ql_model_set *model)
{
    model->version = ql_reader_u32(in);
    model->prior_count = ql_reader_u32(in);
    in->failed = in->failed || model->prior_count > QL_MODEL_PRIORS_MAX;
    for (uint32_t i = 0; !in->failed && i < model->prior_count; i++) {
        model->priors[i].family_hash = ql_reader_u64(in);
        model->priors[i].right = (float)ql_reader_f64(in);
        model->priors[i].wrong = (float)ql_reader_f64(in);
    }
}

ql_err ql_di_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct ql_diagnose *di = stage;
    if (version != ql_diagnose_stage.state_version) {
        return QL_E_VERSION;
    }
    for (uint32_t i = 0; i < DI_INCIDENTS_MAX && !in->failed; i++) {
        if (ql_reader_u8(in) != 0) {
            incident_get(in, &di->incidents[i]);
        }
    }
    di->change_next = ql_reader_u32(in);
    di->change_count = ql_reader_u32(in);
    in->failed = in->failed || di->change_next >= DI_CHANGES_MAX ||
                 di->change_count > DI_CHANGES_MAX;
    for (uint32_t i = 0; !in->failed && i < di->change_count; i++) {
        struct di_change *row = &di->changes[i];
        row->entity.v = ql_reader_u64(in);
        row->at.ns = ql_reader_i64(in);
        (void)text_get(in, row->text, sizeof row->text, &row->text_bytes);
    }
    model_get(in, &di->model);
    return in->failed ? QL_E_MALFORMED : QL_OK;
}

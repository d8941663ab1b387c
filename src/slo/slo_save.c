/* slo_save - the core's state in a checkpoint: a row an SLO, found again by what it counts. */
#include "slo/slo_int.h"

static void row_save(const struct slo_row *row, struct ql_buf *out)
{
    (void)ql_buf_u64(out, row->key);
    (void)ql_buf_lstr(out, ql_str_of(row->name));
    (void)ql_buf_f64(out, row->target);
    (void)ql_buf_f64(out, row->window_s);
    (void)ql_buf_i64(out, row->first);
    (void)ql_buf_i64(out, row->covered);
    for (uint32_t i = 0; i < SLO_SEVERITIES; i++) {
        (void)ql_buf_u64(out, row->burns[i].id);
        (void)ql_buf_u64(out, row->burns[i].entity);
        (void)ql_buf_i64(out, row->burns[i].onset_ns);
        (void)ql_buf_f64(out, row->burns[i].told);
        (void)ql_buf_u8(out, row->burns[i].held);
    }
    for (uint32_t i = 0; i < SLO_ENTITIES; i++) {
        (void)ql_buf_u64(out, row->entities[i].id);
        (void)ql_buf_i64(out, row->entities[i].bad);
        (void)ql_buf_i64(out, row->entities[i].total);
    }
    slo_ring_save(row->ring, out);
}

ql_err slo_save(const void *stage, struct ql_buf *out)
{
    const struct slo_stage *s = stage;
    uint32_t count = 0;
    for (uint32_t i = 0; s->rows != NULL && i < SLO_ROWS; i++) {
        count += s->rows[i].key != 0;
    }
    (void)ql_buf_i64(out, s->judged);
    (void)ql_buf_u32(out, count);
    for (uint32_t i = 0; s->rows != NULL && i < SLO_ROWS; i++) {
        if (s->rows[i].key != 0) {
            row_save(&s->rows[i], out);
        }
    }
    return ql_ruling_save(&s->ruling, out);
}

static bool row_load(struct slo_row *row, struct ql_reader *in)
{
    const ql_str name = ql_reader_lstr(in);
    if (in->failed || name.bytes >= sizeof(row->name)) {
        return false;
    }
    if (row->slo == NULL) { /* the configuration has another word on the rest */
        memset(row->name, 0, sizeof(row->name));
        memcpy(row->name, name.at, name.bytes);
    }
    const double target = ql_reader_f64(in), window_s = ql_reader_f64(in);
    row->target = row->slo == NULL ? target : row->target;
    row->window_s = row->slo == NULL ? window_s : row->window_s;
    row->first = ql_reader_i64(in);
    row->covered = ql_reader_i64(in);
    for (uint32_t i = 0; i < SLO_SEVERITIES; i++) {
        row->burns[i].id = ql_reader_u64(in);
        row->burns[i].entity = ql_reader_u64(in);
        row->burns[i].onset_ns = ql_reader_i64(in);
        row->burns[i].told = ql_reader_f64(in);
        row->burns[i].held = ql_reader_u8(in) != 0;
    }
    for (uint32_t i = 0; i < SLO_ENTITIES; i++) {
        row->entities[i].id = ql_reader_u64(in);
        row->entities[i].bad = ql_reader_i64(in);
        row->entities[i].total = ql_reader_i64(in);
    }
    return slo_ring_load(row->ring, in);
}

ql_err slo_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct slo_stage *s = stage;
    if (version != SLO_STATE_VERSION) {
        return QL_E_VERSION;
    }
    s->judged = ql_reader_i64(in);
    const uint32_t count = ql_reader_u32(in);
    if (in->failed || count > SLO_ROWS) {
        return QL_E_MALFORMED;
    }
    const ql_err err = count > 0 ? slo_activate(s) : QL_OK;
    if (err != QL_OK) {
        return err;
    }
    for (uint32_t i = 0; i < count; i++) {
        const uint64_t key = ql_reader_u64(in);
        struct slo_row *row = key == 0 ? NULL : slo_row_of(s, key);
        if (row == NULL && key != 0 && slo_row_of(s, 0) != NULL) {
            row = slo_row_add(s, key); /* taken out while the daemon was down: closed at the tick */
        }
        if (row == NULL || !row_load(row, in)) {
            return QL_E_MALFORMED;
        }
    }
    if (s->rows != NULL) {
        slo_look_again(s);
    }
    return in->failed ? QL_E_MALFORMED : ql_ruling_load(&s->ruling, in);
}

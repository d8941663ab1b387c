/* dt_change - a ring of changes, newest found first. */
#include "detect/dt_change.h"

#include <stdio.h>
#include <string.h>

void ql_dt_changes_note(struct ql_dt_changes *c, const struct ql_change *change)
{
    struct ql_dt_change_row *row = &c->rows[c->next];
    if (change->entity.v == 0) {
        return;
    }
    c->next = (c->next + 1) % QL_DT_RECENT_CHANGES;
    c->count += c->count < QL_DT_RECENT_CHANGES;
    *row = (struct ql_dt_change_row){ .entity = change->entity.v, .at_ns = change->at.ns };
    (void)snprintf(row->text, sizeof(row->text), "%.*s%s%.*s", QL_STR_ARG(change->kind),
                   change->summary.bytes > 0 ? " " : "", QL_STR_ARG(change->summary));
    /* A character that was cut in two is left out. */
    size_t bytes = strlen(row->text);
    if (bytes == sizeof(row->text) - 1) {
        while (bytes > 0 && ((unsigned char)row->text[bytes - 1] & 0xC0u) == 0x80u) {
            bytes--;
        }
        bytes -= bytes > 0 && (unsigned char)row->text[bytes - 1] >= 0xC0u;
        row->text[bytes] = '\0';
    }
}

const struct ql_dt_change_row *ql_dt_changes_find(const struct ql_dt_changes *c,
                                                  ql_entity_id entity, int64_t onset_ns,
                                                  uint32_t step_ms)
{
    const int64_t early_ns = onset_ns - QL_DT_CHANGE_AFTER_S * QL_NS_PER_S;
    const int64_t late_ns = onset_ns + (int64_t)step_ms * 1000000;
    const struct ql_dt_change_row *newest = NULL;
    for (uint32_t i = 0; i < c->count && entity.v != 0; i++) {
        const struct ql_dt_change_row *row = &c->rows[i];
        if (row->entity == entity.v && row->at_ns >= early_ns && row->at_ns <= late_ns &&
            (newest == NULL || row->at_ns >= newest->at_ns)) {
            newest = row;
        }
    }
    return newest;
}

ql_err ql_dt_changes_save(const struct ql_dt_changes *c, struct ql_buf *out)
{
    (void)ql_buf_u32(out, c->count);
    (void)ql_buf_u32(out, c->next);
    return ql_buf_put(out, c->rows, (size_t)c->count * sizeof(c->rows[0]));
}

ql_err ql_dt_changes_load(struct ql_dt_changes *c, struct ql_reader *in)
{
    c->count = ql_reader_u32(in);
    c->next = ql_reader_u32(in);
    if (in->failed || c->count > QL_DT_RECENT_CHANGES || c->next >= QL_DT_RECENT_CHANGES) {
        return QL_E_MALFORMED;
    }
    if (!ql_reader_copy(in, c->rows, (size_t)c->count * sizeof(c->rows[0]))) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < c->count; i++) {
        c->rows[i].text[QL_DT_CHANGE_TEXT_BYTES - 1] = '\0';
    }
    return QL_OK;
}

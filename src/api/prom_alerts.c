/* prom_alerts.c - alerts that came in and signals, as the periods of ALERTS series.
 *
 * The store keeps one row an alert, with its latest period, and one row a signal; so an
 * alert that fired twice shows its latest firing only.
 */
#include "api/prom_source.h"
#include "model/labels.h"
#include "store/store_query.h"

#include <stdlib.h>

struct periods {
    struct ql_arena *arena;
    struct prom_period *at;
    uint32_t count, seen;
    int64_t from_ms, to_ms;
    bool full;
};

static ql_str period_labels(struct periods *p, ql_str labels, const struct ql_label *more,
                            uint32_t more_count)
{
    struct ql_label list[QL_LABELS_COUNT_MAX + 8], label;
    struct ql_buf block;
    uint32_t count = 0;
    size_t at = 0;
    for (uint32_t i = 0; i < more_count; i++) {
        list[count++] = more[i];
    }
    while (count < QL_COUNT_OF(list) && ql_labels_next(labels, &at, &label)) {
        bool mine = ql_str_eq(label.name, QL_STR("__name__"));
        for (uint32_t i = 0; i < more_count && !mine; i++) {
            mine = ql_str_eq(label.name, more[i].name);
        }
        if (!mine) {
            list[count++] = label;
        }
    }
    ql_buf_init(&block, (size_t)QL_LABELS_BYTES_MAX * 2);
    const ql_err err = ql_labels_build(list, count, &block);
    const ql_str built = err == QL_OK ? ql_arena_str(p->arena, ql_buf_view(&block))
                                      : (ql_str){ NULL, 0 };
    ql_buf_fini(&block);
    return built;
}

static bool period_add(struct periods *p, ql_str labels, ql_time from, ql_time to, bool lasts)
{
    if (p->seen++ == QL_API_ALERT_ROWS_MAX) {
        p->full = true; /* there are more rows than are looked at */
        return false;
    }
    const int64_t from_ms = ql_time_to_ms(from), to_ms = lasts ? INT64_MAX : ql_time_to_ms(to);
    if (from_ms > p->to_ms || to_ms < p->from_ms || to_ms <= from_ms) {
        return true;
    }
    if (labels.at == NULL || p->count == QL_API_ALERT_ROWS_MAX * 2) {
        p->full = true;
        return false;
    }
    p->at[p->count++] = (struct prom_period){ labels, from_ms, to_ms };
    return true;
}

static bool period_of_alert(void *context, const struct ql_alert_row *row)
{
    const struct ql_label more[] = { { QL_STR("__name__"), QL_STR("ALERTS") },
                                     { QL_STR("alertname"), row->alert.name },
                                     { QL_STR("alertstate"), QL_STR("firing") } };
    struct periods *p = context;
    return period_add(p, period_labels(p, row->alert.labels, more, QL_COUNT_OF(more)),
                      row->alert.starts, row->alert.ends, row->alert.firing);
}

static bool period_of_signal(void *context, const struct ql_signal_row *row)
{
    const struct ql_signal *signal = &row->signal;
    const struct ql_label more[] = {
        { QL_STR("__name__"), QL_STR("ALERTS") },
        { QL_STR("alertname"), QL_STR("QuellSignal") },
        { QL_STR("alertstate"), QL_STR("firing") },
        { QL_STR("for"), signal->metric },
        { QL_STR("kind"), ql_str_of(ql_signal_kind_text(signal->kind)) },
    };
    struct periods *p = context;
    return period_add(p, period_labels(p, signal->labels, more, QL_COUNT_OF(more)), signal->onset,
                      row->closed, row->open);
}

static int period_order(const void *a, const void *b)
{
    const struct prom_period *x = a, *y = b;
    const int order = ql_str_cmp(x->labels, y->labels);
    return order != 0 ? order : x->from_ms < y->from_ms ? -1 : x->from_ms > y->from_ms;
}

/* What lasts may have been heard of last long ago; what is over is asked for by its end. */
static ql_err periods_read(struct periods *p, struct ql_store_reader *reader)
{
    const struct ql_life_filter filters[] = {
        { .life = QL_LIFE_ON, .since = QL_TIME_NONE, .limit = QL_API_ALERT_ROWS_MAX + 1 },
        { .life = QL_LIFE_OVER, .since = ql_time_from_ms(p->from_ms),
          .limit = QL_API_ALERT_ROWS_MAX + 1 },
    };
    ql_err err = ql_store_reader_begin(reader);
    if (err != QL_OK) {
        return err;
    }
    for (size_t i = 0; i < QL_COUNT_OF(filters) && err == QL_OK; i++) {
        p->seen = 0;
        err = ql_query_alerts(reader, &filters[i], period_of_alert, p);
        p->seen = 0;
        err = err == QL_OK ? ql_query_signals(reader, &filters[i], period_of_signal, p) : err;
    }
    ql_store_reader_end(reader);
    return err;
}

ql_err prom_alert_periods(const char *data_dir, int64_t from_ms, int64_t to_ms,
                          struct ql_arena *arena, struct prom_period **ret_periods,
                          uint32_t *ret_count)
{
    struct periods p = { .arena = arena, .from_ms = from_ms, .to_ms = to_ms };
    struct ql_store_reader *reader;
    p.at = ql_arena_take(arena, sizeof(*p.at) * QL_API_ALERT_ROWS_MAX * 2);
    if (p.at == NULL) {
        return QL_E_FULL;
    }
    ql_err err = ql_store_reader_open(data_dir, &reader);
    if (err != QL_OK) {
        return err;
    }
    err = periods_read(&p, reader);
    ql_store_reader_close(reader);
    if (err == QL_OK && p.full) {
        return QL_E_FULL;
    }
    if (err == QL_OK && p.count > 1) {
        qsort(p.at, p.count, sizeof(*p.at), period_order);
    }
    *ret_periods = p.at;
    *ret_count = p.count;
    return err;
}

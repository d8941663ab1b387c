/* export_series.c - which series a receiver gets, and how much of each it has. */
#include "export/export_int.h"

#include <stdlib.h>

#define TEXTS_BYTES_MAX ((size_t)512 << 20)

ql_err export_list_init(struct export_list *list, uint32_t series_max)
{
    *list = (struct export_list){ .count = 0 };
    ql_arena_init(&list->texts, TEXTS_BYTES_MAX);
    ql_map128_init(&list->by_id, series_max);
    list->at = calloc(series_max, sizeof(*list->at));
    return list->at != NULL ? QL_OK : QL_E_MEMORY;
}

void export_list_fini(struct export_list *list)
{
    free(list->at);
    ql_map128_fini(&list->by_id);
    ql_arena_fini(&list->texts);
    *list = (struct export_list){ .count = 0 };
}

/* A series that was not known before begins at the last look, so that its first samples
 * are sent too; at the very first look only what comes from now on is. */
static ql_err list_add(struct export_list *list, const struct export_list *old,
                       const struct ql_series_info *info, ql_time from)
{
    const uint32_t before = ql_map128_get(&old->by_id, info->id.h);
    struct export_series *series = &list->at[list->count];
    *series = (struct export_series){ .id = info->id, .sent = from,
                                      .band = { .at = QL_TIME_NONE } };
    if (before != QL_MAP_NONE) {
        *series = old->at[before];
    }
    series->labels = info->labels; /* in the texts of the new list */
    series->step_ms = info->step_ms;
    return ql_map128_put(&list->by_id, info->id.h, list->count++);
}

ql_err export_discover(struct export_target *target, ql_time now)
{
    const struct ql_view *view = target->view;
    struct ql_series_info *infos = NULL;
    struct export_list list;
    uint32_t count = 0;
    ql_err err = export_list_init(&list, target->series_max);
    if (err == QL_OK) {
        err = view->series_find(view->host, target->selector.matchers, target->selector.count,
                                target->series_max + 1, &list.texts, &infos, &count);
        err = err == QL_E_NOT_FOUND ? QL_OK : err;
    }
    if (count > target->series_max) {
        ql_stat_add(target->counts.series_over, 1);
        count = target->series_max;
    }
    const ql_time from = target->listed.ns != QL_TIME_NONE.ns ? target->listed : target->started;
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        err = list_add(&list, &target->list, &infos[i], from);
    }
    free(infos);
    if (err != QL_OK) {
        export_list_fini(&list);
        return err;
    }
    export_list_fini(&target->list);
    target->list = list;
    target->listed = now;
    ql_stat_set(target->counts.series, list.count);
    return QL_OK;
}

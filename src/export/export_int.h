/* export_int.h - one receiver: what it gets, what it has got, how it is reached. */
#ifndef QL_EXPORT_EXPORT_INT_H
#define QL_EXPORT_EXPORT_INT_H

#include "base/map.h"
#include "base/wait.h"
#include "export/export.h"
#include "model/band_series.h"
#include "model/selector.h"
#include "wire/remote_write_out.h"

#include <pthread.h>

/* A series and how much of it was sent. */
struct export_series {
    ql_series_id id;
    ql_str labels;
    ql_time sent;          /* what is later was not */
    struct ql_band band;   /* the newest that was seen; at QL_TIME_NONE: none */
    uint32_t step_ms;
    bool waits;            /* history owes what lies behind `sent` */
    bool gone;             /* the engine forgot it, and history gave the rest */
};

struct export_list {
    struct export_series *at;
    uint32_t count;
    struct ql_map128 by_id;
    struct ql_arena texts;
};
QL_MUST_USE ql_err export_list_init(struct export_list *list, uint32_t series_max);
void export_list_fini(struct export_list *list);

struct export_counts {
    struct ql_stat_cell *samples, *requests, *retries, *refused, *lag_s, *series;
    struct ql_stat_cell *dropped_refused, *dropped_old, *series_over, *history_waits;
};

enum export_outcome { EXPORT_SENT, EXPORT_GONE, EXPORT_STOPPED }; /* GONE: counted, go on */

struct export_target {
    const struct ql_view *view;
    char *url;
    struct ql_selector selector;
    bool bands, scores, samples;
    char **label_names, **label_values;
    uint32_t label_count, series_max;
    double interval_s, timeout_s, backlog_s;
    struct export_counts counts;
    struct export_list list;
    ql_time listed, started;       /* when the list was made; when this receiver began */
    bool history_told;             /* that history does not answer stands in the log */
    struct ql_batch tails;
    struct ql_remote_write_out out;
    void *easy;                    /* CURL; the thread's own */
    pthread_t thread;
    bool running;
    struct ql_wait wait;
};

/* export_series.c: finds the series again, keeping what is known of each. */
QL_MUST_USE ql_err export_discover(struct export_target *target, ql_time now);
/* export_turn.c: sends what is new of all of them; false when it was stopped. */
bool export_turn(struct export_target *target, ql_time now);
/* export_send.c: posts the request that stands in target->out until it is taken, refused or
 * `oldest` is older than the backlog. */
enum export_outcome export_send(struct export_target *target, ql_time oldest);

#endif

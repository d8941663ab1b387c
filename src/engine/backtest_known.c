/* backtest_known.c - the folder of a daemon, read without touching it. */
#include "engine/backtest_int.h"

#include "engine/checkpoint.h"
#include "engine/journal.h"
#include "store/store_query.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATH_BYTES = 4096 };
#define STATE_BYTES_MAX ((size_t)16 << 30)
#define TEXTS_BYTES_MAX ((size_t)4 << 30)

/* ---- series ------------------------------------------------------------------------------- */

static ql_err known_load(struct backtest_known *known, ql_str state)
{
    known->stats = ql_stats_new(4096);
    return known->stats == NULL ? QL_E_MEMORY
                                : ql_machine_restore(&known->machine, state, NULL, known->stats);
}

static int info_order(const void *a, const void *b)
{
    const struct ql_series_info *x = a, *y = b;
    return ql_str_cmp(x->labels, y->labels);
}

static ql_err known_list(struct backtest_known *known)
{
    uint64_t total = 0;
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < known->machine.shard_count; i++) {
        total += ql_shard_series_count(known->machine.shards[i]);
    }
    known->series = calloc((size_t)total + 1, sizeof(*known->series));
    if (known->series == NULL) {
        return QL_E_MEMORY;
    }
    known->newest = QL_TIME_NONE;
    for (uint32_t i = 0; i < known->machine.shard_count && err == QL_OK; i++) {
        uint32_t found = 0;
        err = ql_shard_find(known->machine.shards[i], NULL, 0, (uint32_t)total - known->count,
                            &known->texts, known->series + known->count, &found);
        known->count += found;
    }
    for (uint32_t i = 0; i < known->count; i++) {
        const ql_time at = known->series[i].last_at;
        known->newest = at.ns > known->newest.ns ? at : known->newest;
    }
    qsort(known->series, known->count, sizeof(*known->series), info_order);
    return err;
}

ql_err backtest_known_open(const char *data_dir, struct backtest_known *known,
                           struct ql_buf *ret_why)
{
    char dir[PATH_BYTES];
    struct ql_buf state;
    uint64_t sequence;
    (void)snprintf(dir, sizeof(dir), "%s/checkpoint", data_dir);
    ql_arena_init(&known->texts, TEXTS_BYTES_MAX);
    ql_buf_init(&state, STATE_BYTES_MAX);
    ql_err err = ql_checkpoint_read(dir, UINT64_MAX, &state, &sequence);
    if (err == QL_OK) {
        err = known_load(known, ql_buf_view(&state));
        err = err == QL_OK ? known_list(known) : err;
    }
    ql_buf_fini(&state);
    if (err != QL_OK) {
        (void)ql_buf_printf(ret_why, "%s: no checkpoint that this build reads: %s", dir,
                            ql_err_text(err));
    } else if (known->count == 0) {
        (void)ql_buf_printf(ret_why, "%s: the checkpoint knows no series", dir);
        err = QL_E_NOT_FOUND;
    }
    return err;
}

void backtest_known_close(struct backtest_known *known)
{
    if (known->machine.core != NULL) {
        ql_machine_close(&known->machine);
    }
    ql_stats_free(known->stats);
    ql_arena_fini(&known->texts);
    free(known->series);
}

static int sample_order(const void *a, const void *b)
{
    const int64_t x = ((const struct ql_sample *)a)->at.ns, y = ((const struct ql_sample *)b)->at.ns;
    return x < y ? -1 : x > y;
}

ql_err backtest_known_tail(const struct backtest_known *known, ql_series_id id, ql_time from,
                           ql_time to, uint32_t first, struct ql_batch *out)
{
    enum ql_metric_type type;
    ql_err err = QL_E_NOT_FOUND;
    for (uint32_t i = 0; i < known->machine.shard_count && err == QL_E_NOT_FOUND; i++) {
        err = ql_shard_read(known->machine.shards[i], id, from, to, out, &type);
    }
    out->bands.count = 0; /* nobody asked for them */
    struct ql_sample *at = out->samples.at;
    const uint32_t count = out->samples.count;
    if (count - first > 1) {
        qsort(at + first, count - first, sizeof(*at), sample_order);
    }
    uint32_t kept = first;
    for (uint32_t i = first; i < count; i++) {
        if (kept == first || at[i].at.ns != at[kept - 1].at.ns) {
            at[kept++] = at[i];
        }
    }
    out->samples.count = kept;
    return err == QL_E_NOT_FOUND ? QL_OK : err;
}

/* ---- settings -------------------------------------------------------------------------------- */

ql_err backtest_running_config(const char *data_dir, const struct backtest_known *known,
                               struct ql_config **ret_config, struct ql_buf *ret_why)
{
    char dir[PATH_BYTES];
    struct ql_journal_reader *reader;
    struct ql_journal_record record;
    struct ql_buf yaml;
    ql_str origin, body;
    (void)snprintf(dir, sizeof(dir), "%s/journal", data_dir);
    ql_err err = ql_journal_reader_open(dir, known->machine.sequence + 1, &reader);
    if (err != QL_OK) {
        (void)ql_buf_printf(ret_why, "%s: %s", dir, ql_err_text(err));
        return err;
    }
    ql_buf_init(&yaml, 64 << 20);
    err = ql_buf_str(&yaml, known->machine.config->text);
    while (ql_journal_next(reader, &record, &origin, &body, ret_why) == QL_OK) {
        if (ql_journal_has_settings(record.kind)) {
            ql_buf_reset(&yaml);
            err = ql_buf_str(&yaml, body);
        }
    }
    ql_journal_reader_close(reader);
    ql_buf_reset(ret_why); /* the end of a journal that is being written is no fault */
    err = err == QL_OK ? ql_config_parse(ql_buf_view(&yaml), "the running settings", ret_config,
                                         ret_why) : err;
    ql_buf_fini(&yaml);
    return err;
}

/* ---- what was recorded ------------------------------------------------------------------------ */

static bool recorded_add(void *context, const struct ql_incident_row *row)
{
    struct ql_backtest_result *result = context;
    const struct ql_incident *incident = &row->incident;
    if (incident->opened.ns < result->from.ns || incident->onset.ns > result->to.ns) {
        return true;
    }
    result->recorded[result->recorded_count++] = (struct ql_backtest_row){
        .onset = incident->onset, .opened = incident->opened, .resolved = incident->resolved,
        .entity = incident->entity, .title = ql_arena_str(&result->texts, incident->title),
        .id = incident->id.v };
    return result->recorded_count < QL_BACKTEST_ROWS_MAX;
}

static bool recorded_verdict(void *context, const struct ql_command *row)
{
    struct ql_backtest_row *recorded = context;
    recorded->verdict = row->verdict;
    return true;
}

static bool is_near(const struct ql_backtest_row *recorded, const struct ql_backtest_row *made)
{
    const int64_t from_ns = recorded->onset.ns - QL_BACKTEST_NEAR.ns;
    const ql_time end = recorded->resolved.ns == QL_TIME_NONE.ns ? recorded->opened
                                                                  : recorded->resolved;
    return recorded->entity.v == made->entity.v && made->opened.ns >= from_ns &&
           made->onset.ns <= end.ns + QL_BACKTEST_NEAR.ns;
}

static void side_compare(struct ql_backtest_result *result, enum ql_backtest_which which)
{
    struct ql_backtest_side *side = &result->sides[which];
    for (uint32_t i = 0; i < side->row_count; i++) {
        side->rows[i].is_new = true;
        for (uint32_t k = 0; k < result->recorded_count; k++) {
            if (is_near(&result->recorded[k], &side->rows[i])) {
                result->recorded[k].found[which] = true;
                side->rows[i].is_new = false;
            }
        }
        side->unrecorded += side->rows[i].is_new;
    }
    for (uint32_t k = 0; k < result->recorded_count; k++) {
        const struct ql_backtest_row *row = &result->recorded[k];
        const bool was_false = row->verdict == QL_VERDICT_FALSE, found = row->found[which];
        side->found += !was_false && found;
        side->missed += !was_false && !found;
        side->false_again += was_false && found;
        side->false_gone += was_false && !found;
    }
}

ql_err backtest_compare(const char *data_dir, struct ql_backtest_result *result)
{
    const struct ql_incident_filter filter = { .since = result->from,
                                               .limit = QL_BACKTEST_ROWS_MAX };
    struct ql_store_reader *reader;
    result->recorded = calloc(QL_BACKTEST_ROWS_MAX, sizeof(*result->recorded));
    if (result->recorded == NULL) {
        return QL_E_MEMORY;
    }
    ql_err err = ql_store_reader_open(data_dir, &reader);
    if (err == QL_OK) {
        err = ql_query_incidents(reader, &filter, recorded_add, result);
        for (uint32_t i = 0; i < result->recorded_count && err == QL_OK; i++) {
            err = ql_query_feedback(reader, (ql_id){ result->recorded[i].id }, recorded_verdict,
                                    &result->recorded[i]);
        }
        ql_store_reader_close(reader);
    }
    err = err == QL_E_NOT_FOUND ? QL_OK : err; /* nothing was ever recorded */
    for (int i = 0; i < QL_BACKTEST_SIDES && err == QL_OK; i++) {
        side_compare(result, (enum ql_backtest_which)i);
    }
    return err;
}

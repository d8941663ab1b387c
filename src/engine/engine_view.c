/* engine_view.c - answers for the faces, without reaching into anything that runs. */
#include "engine/engine_int.h"

#include "base/clock.h"
#include "base/wait.h"
#include "config/config.h"
#include "model/selector.h"
#include "model/counter.h"
#include "wire/json_out.h"
#include "wire/wire.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define VIEW_WAIT_MS 5000
#define VIEW_ARENA_BYTES_MAX ((size_t)64 << 20)

/* Has one shard run `answer` between two of its batches. After a timeout the shard will
 * not touch `context` any more. */
static ql_err view_ask(struct ql_engine *engine, uint32_t shard,
                       void (*answer)(struct ql_shard *, struct engine_question *), void *context)
{
    struct engine_question *question = calloc(1, sizeof(*question));
    struct engine_message *message = calloc(1, sizeof(*message));
    if (question == NULL || message == NULL) {
        free(question);
        free(message);
        return QL_E_MEMORY;
    }
    *question = (struct engine_question){ .answer = answer, .refs = 2, .context = context };
    (void)pthread_mutex_init(&question->lock, NULL);
    (void)ql_wait_cond_init(&question->answered);
    *message = (struct engine_message){ .type = MESSAGE_ASK, .question = question };
    ql_err err = engine->shards[shard].running ? ql_ring_push(&engine->shards[shard].ring, message)
                                               : QL_E_CLOSED;
    if (err != QL_OK) {
        free(message);
        question->refs--;
    }
    const struct timespec deadline = ql_wait_deadline_ms(VIEW_WAIT_MS);
    (void)pthread_mutex_lock(&question->lock);
    while (err == QL_OK && !question->done) {
        if (pthread_cond_timedwait(&question->answered, &question->lock, &deadline) == ETIMEDOUT &&
            !question->done) {
            question->abandoned = true;
            err = QL_E_TIMEOUT;
        }
    }
    const bool last = --question->refs == 0;
    (void)pthread_mutex_unlock(&question->lock);
    if (last) {
        (void)pthread_cond_destroy(&question->answered);
        (void)pthread_mutex_destroy(&question->lock);
        free(question);
    }
    return err;
}

/* ---- which series ------------------------------------------------------------------- */

struct view_find {
    const struct ql_matcher *matchers;
    uint32_t matcher_count, count_max, count;
    struct ql_arena *texts;
    struct ql_series_info *infos;
    ql_err err;
};

static void view_find_answer(struct ql_shard *shard, struct engine_question *question)
{
    struct view_find *find = question->context;
    uint32_t found = 0;
    find->err = ql_shard_find(shard, find->matchers, find->matcher_count,
                              find->count_max - find->count, find->texts,
                              find->infos + find->count, &found);
    find->count += found;
}

static int view_info_order(const void *a, const void *b)
{
    const struct ql_series_info *x = a, *y = b;
    const int by_name = ql_str_cmp(ql_labels_get(x->labels, QL_STR("__name__")),
                                   ql_labels_get(y->labels, QL_STR("__name__")));
    return by_name != 0 ? by_name : ql_str_cmp(x->labels, y->labels);
}

static ql_err view_series_find(void *host, const struct ql_matcher *matchers,
                               uint32_t matcher_count, uint32_t count_max, struct ql_arena *texts,
                               struct ql_series_info **ret_infos, uint32_t *ret_count)
{
    struct ql_engine *engine = host;
    struct view_find find = { .matchers = matchers, .matcher_count = matcher_count,
                              .count_max = count_max, .texts = texts };
    find.infos = calloc(count_max > 0 ? count_max : 1, sizeof(*find.infos));
    ql_err err = find.infos == NULL ? QL_E_MEMORY : QL_OK;
    for (uint32_t i = 0; i < engine->machine.shard_count && err == QL_OK; i++) {
        err = view_ask(engine, i, view_find_answer, &find);
        err = err == QL_OK ? find.err : err;
    }
    if (err != QL_OK) {
        free(find.infos);
        return err;
    }
    if (find.count > 1) {
        qsort(find.infos, find.count, sizeof(*find.infos), view_info_order);
    }
    *ret_infos = find.infos;
    *ret_count = find.count;
    return QL_OK;
}

/* Drops those that a shard knows: they came back. */
static void view_past_answer(struct ql_shard *shard, struct engine_question *question)
{
    struct view_find *find = question->context;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < find->count; i++) {
        if (!ql_shard_has(shard, find->infos[i].id)) {
            find->infos[kept++] = find->infos[i];
        }
    }
    find->count = kept;
}

static ql_err view_series_past(void *host, const struct ql_matcher *matchers,
                               uint32_t matcher_count, ql_time from, uint32_t count_max,
                               struct ql_arena *texts, struct ql_series_info **ret_infos,
                               uint32_t *ret_count)
{
    struct ql_engine *engine = host;
    struct view_find find = { .count = 0 };
    struct ql_selector selector;
    char why[QL_SELECTOR_WHY_BYTES];
    ql_err err = ql_selector_of(matchers, matcher_count, &selector, why);
    if (err != QL_OK) {
        return err;
    }
    find.infos = calloc(count_max > 0 ? count_max : 1, sizeof(*find.infos));
    err = find.infos == NULL ? QL_E_MEMORY
                             : ql_history_names(engine->history, &selector, from, count_max, texts,
                                                find.infos, &find.count);
    ql_selector_fini(&selector);
    for (uint32_t i = 0; i < engine->machine.shard_count && err == QL_OK && find.count > 0; i++) {
        err = view_ask(engine, i, view_past_answer, &find);
    }
    if (err != QL_OK) {
        free(find.infos);
        return err;
    }
    if (find.count > 1) {
        qsort(find.infos, find.count, sizeof(*find.infos), view_info_order);
    }
    *ret_infos = find.infos;
    *ret_count = find.count;
    return QL_OK;
}

struct view_get {
    ql_series_id id;
    struct ql_arena *texts;
    struct ql_series_info *info;
    ql_err err;
};

static void view_get_answer(struct ql_shard *shard, struct engine_question *question)
{
    struct view_get *get = question->context;
    get->err = ql_shard_get(shard, get->id, get->texts, get->info);
}

static ql_err view_series_get(void *host, ql_series_id id, struct ql_arena *texts,
                              struct ql_series_info *ret_info)
{
    struct ql_engine *engine = host;
    struct ql_series_info info;
    struct view_get get = { .id = id, .texts = texts, .info = &info, .err = QL_E_NOT_FOUND };
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < engine->machine.shard_count && get.err == QL_E_NOT_FOUND &&
                         err == QL_OK; i++) {
        err = view_ask(engine, i, view_get_answer, &get);
    }
    err = err == QL_OK ? get.err : err;
    err = err == QL_E_NOT_FOUND ? ql_history_name(engine->history, id, texts, &info) : err;
    if (err == QL_OK) {
        *ret_info = info;
    }
    return err;
}

/* ---- one series' samples -------------------------------------------------------------- */

struct view_read {
    ql_series_id id;
    ql_time from, to;
    struct ql_batch *out;
    enum ql_metric_type type;
    ql_err err;
};

static void view_read_answer(struct ql_shard *shard, struct engine_question *question)
{
    struct view_read *read = question->context;
    read->err = ql_shard_read(shard, read->id, read->from, read->to, read->out, &read->type);
}

static int view_sample_order(const void *a, const void *b)
{
    const int64_t x = ((const struct ql_sample *)a)->at.ns, y = ((const struct ql_sample *)b)->at.ns;
    return x < y ? -1 : x > y;
}

static int view_band_order(const void *a, const void *b)
{
    const int64_t x = ((const struct ql_band *)a)->at.ns, y = ((const struct ql_band *)b)->at.ns;
    return x < y ? -1 : x > y;
}

/* Raw samples, sorted, to judged ones in [from, to]; a chunk may stand in memory and in
 * history at once, so equal times count once. */
static void view_judge(const struct ql_batch *raw, enum ql_metric_type type, ql_time from,
                       ql_time to, struct ql_batch *out)
{
    const struct ql_sample *previous = NULL;
    for (uint32_t i = 0; i < raw->samples.count; i++) {
        const struct ql_sample *sample = &raw->samples.at[i];
        if (previous != NULL && previous->at.ns == sample->at.ns) {
            continue;
        }
        if (ql_is_stale_marker(sample->value)) {
            previous = NULL; /* what comes behind it starts anew */
            continue;
        }
        const struct ql_point point = ql_counter_judge(type, previous, *sample);
        previous = sample;
        if (point.kind != QL_POINT_VALUE || point.at.ns < from.ns || point.at.ns > to.ns) {
            continue;
        }
        struct ql_sample *judged = ql_batch_add_sample(out);
        if (judged == NULL) {
            return;
        }
        *judged = (struct ql_sample){ point.at, point.value };
    }
}

static void view_take_bands(const struct ql_batch *raw, struct ql_batch *out)
{
    for (uint32_t i = 0; i < raw->bands.count; i++) {
        struct ql_band *band = NULL;
        if (i == 0 || raw->bands.at[i].at.ns != raw->bands.at[i - 1].at.ns) {
            band = ql_batch_add_band(out);
        }
        if (band != NULL) {
            *band = raw->bands.at[i];
        }
    }
}

/* Of cells, a counter's last value makes rates right, and a gauge's mean sums. */
static enum ql_history_take view_take(int extreme, enum ql_metric_type type)
{
    return extreme > 0               ? QL_HISTORY_GREATEST
           : extreme < 0             ? QL_HISTORY_LEAST
           : type == QL_METRIC_COUNTER ? QL_HISTORY_LAST
                                       : QL_HISTORY_MEAN;
}

/* What a forgotten series was. */
static ql_err view_past_type(struct ql_engine *engine, ql_series_id id,
                             enum ql_metric_type *ret_type)
{
    struct ql_series_info info;
    struct ql_arena texts;
    ql_arena_init(&texts, (size_t)4 * QL_LABELS_BYTES_MAX);
    const ql_err err = ql_history_name(engine->history, id, &texts, &info);
    if (err == QL_OK) {
        *ret_type = info.type;
    }
    ql_arena_fini(&texts);
    return err;
}

/* All there is of a series in [from, to], sorted by time. */
static ql_err view_read_all(struct ql_engine *engine, ql_series_id id, ql_time from, ql_time to,
                            struct ql_batch *raw, enum ql_metric_type *ret_type)
{
    struct view_read read = { .id = id, .from = from, .to = to, .out = raw,
                              .err = QL_E_NOT_FOUND };
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < engine->machine.shard_count && read.err == QL_E_NOT_FOUND &&
                         err == QL_OK; i++) {
        err = view_ask(engine, i, view_read_answer, &read);
    }
    err = err == QL_OK ? read.err : err;
    err = err == QL_E_NOT_FOUND ? view_past_type(engine, id, &read.type) : err;
    if (err == QL_OK) {
        const enum ql_history_take take = view_take(raw->cell_extreme, read.type);
        err = ql_history_read(engine->history, id, from, to, take, raw, &raw->cell_ms);
    }
    if (err == QL_OK) {
        if (raw->samples.count > 1) {
            qsort(raw->samples.at, raw->samples.count, sizeof(*raw->samples.at),
                  view_sample_order);
        }
        if (raw->bands.count > 1) {
            qsort(raw->bands.at, raw->bands.count, sizeof(*raw->bands.at), view_band_order);
        }
        *ret_type = read.type;
    }
    return err;
}

static ql_err view_series_read(void *host, ql_series_id id, ql_time from, ql_time to,
                               struct ql_batch *out)
{
    struct ql_batch raw;
    enum ql_metric_type type = QL_METRIC_UNKNOWN;
    /* A rate needs the sample before: some more than asked for is read. */
    const ql_time earlier = { from.ns - QL_MIN(10).ns };
    ql_batch_init(&raw, VIEW_ARENA_BYTES_MAX);
    const ql_err err = view_read_all(host, id, earlier, to, &raw, &type);
    if (err == QL_OK) {
        view_judge(&raw, type, from, to, out);
        view_take_bands(&raw, out);
        out->cell_ms = raw.cell_ms;
        out->behind = raw.behind;
    }
    ql_batch_fini(&raw);
    return err;
}

static ql_err view_series_raw(void *host, ql_series_id id, ql_time from, ql_time to,
                              struct ql_batch *out)
{
    enum ql_metric_type type;
    const uint32_t first = out->samples.count;
    const ql_err err = view_read_all(host, id, from, to, out, &type);
    if (err != QL_OK) {
        return err;
    }
    uint32_t kept = first;
    for (uint32_t i = first; i < out->samples.count; i++) {
        const struct ql_sample sample = out->samples.at[i];
        if (kept == first || sample.at.ns != out->samples.at[kept - 1].at.ns) {
            out->samples.at[kept++] = sample;
        }
    }
    out->samples.count = kept;
    return QL_OK;
}

/* ---- the newest of many ----------------------------------------------------------------- */

struct view_tails { struct ql_tail *tails; uint32_t count; struct ql_batch *out; };

static void view_tails_answer(struct ql_shard *shard, struct engine_question *question)
{
    struct view_tails *ask = question->context;
    ql_shard_tails(shard, ask->tails, ask->count, ask->out);
}

static ql_err view_series_tails(void *host, struct ql_tail *tails, uint32_t count,
                                struct ql_batch *out)
{
    struct ql_engine *engine = host;
    struct view_tails ask = { tails, count, out };
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < engine->machine.shard_count && err == QL_OK; i++) {
        err = view_ask(engine, i, view_tails_answer, &ask);
    }
    return err;
}

/* ---- commands -------------------------------------------------------------------------- */

/* `word` is told how it went with the journal, unless this fails. */
static ql_err view_command_submit(struct ql_engine *engine, const struct ql_command *command,
                                  struct engine_word *word, uint64_t *ret_sequence)
{
    struct ql_buf bytes;
    struct ql_batch *batch = engine_pool_take(&engine->pool);
    if (batch == NULL) {
        return QL_E_FULL;
    }
    ql_buf_init(&bytes, 65536);
    ql_err err = ql_wire_command_write(command, &bytes);
    if (err == QL_OK) {
        err = ql_batch_copy_command(batch, command);
    }
    if (err != QL_OK) {
        engine_pool_give_back(&engine->pool, batch);
    } else {
        const struct ql_submission submission = {
            .door = QL_DOOR_COMMAND, .format = QL_FORMAT_OWN, .accepted = command->at,
            .bytes = ql_buf_view(&bytes), .batch = batch, .done = engine_word_said,
            .context = word };
        batch->source = QL_DOOR_COMMAND;
        err = ql_sequencer_submit(engine->sequencer, &submission, ret_sequence);
    }
    ql_buf_fini(&bytes);
    return err;
}

/* A tick behind the command has been finished by the core. */
static ql_err view_command_applied(struct ql_engine *engine, uint64_t sequence)
{
    const struct timespec deadline = ql_wait_deadline_ms(VIEW_WAIT_MS);
    ql_err err = QL_OK;
    (void)pthread_mutex_lock(&engine->lock);
    while (engine->core_tick < sequence && err == QL_OK) {
        if (pthread_cond_timedwait(&engine->moved, &engine->lock, &deadline) == ETIMEDOUT) {
            err = engine->core_tick < sequence ? QL_E_TIMEOUT : QL_OK;
        }
    }
    (void)pthread_mutex_unlock(&engine->lock);
    return err;
}

/* Durable and applied. The journal is asked first: a sequence that the disk refused is no less
 * than that of a later tick. */
static ql_err view_command(void *host, const struct ql_command *command)
{
    struct ql_engine *engine = host;
    uint64_t sequence = 0;
    struct engine_word *word = engine_word_new();
    ql_err err = word == NULL ? QL_E_MEMORY
                              : view_command_submit(engine, command, word, &sequence);
    if (err != QL_OK) {
        engine_word_unsaid(word);
        return err;
    }
    ql_sequencer_wish_tick(engine->sequencer);
    err = engine_word_wait(word, VIEW_WAIT_MS);
    return err == QL_OK ? view_command_applied(engine, sequence) : err;
}

static ql_err view_slos(void *host, struct ql_slo_state **ret_states, uint32_t *ret_count)
{
    struct ql_engine *engine = host;
    struct ql_slo_state *states = malloc(sizeof(engine->slos));
    if (states == NULL) {
        return QL_E_MEMORY;
    }
    (void)pthread_mutex_lock(&engine->lock);
    memcpy(states, engine->slos, engine->slo_count * sizeof(*states));
    *ret_count = engine->slo_count;
    (void)pthread_mutex_unlock(&engine->lock);
    *ret_states = states;
    return QL_OK;
}

static ql_time view_now(void *host)
{
    return ql_sequencer_now(((struct ql_engine *)host)->sequencer);
}

static ql_err view_events(void *host, uint64_t *cursor, int timeout_ms, struct ql_buf *out)
{
    return ql_events_wait(&((struct ql_engine *)host)->events, cursor, timeout_ms, out);
}

static bool view_ready(void *host)
{
    return ql_sequencer_healthy(((struct ql_engine *)host)->sequencer);
}

void engine_view_init(struct ql_engine *engine)
{
    engine->view = (struct ql_view){
        .host = engine, .series_find = view_series_find,
        .series_past = view_series_past, .series_get = view_series_get,
        .series_read = view_series_read, .series_raw = view_series_raw,
        .series_tails = view_series_tails,
        .command = view_command, .slos = view_slos, .status = engine_status, .now = view_now,
        .events = view_events, .ready = view_ready,
    };
}

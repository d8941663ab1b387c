/* nm_service.c - what spans and log records say about a service, as series.
 *
 * Good for     services that send no metrics: requests, errors, mean and p95 of the duration,
 *              log records by severity, per window of ten seconds.
 * Bad for      single slow operations inside a busy service (later: per operation).
 * Method       a record counts in the window in which it ended; a window stays open for one
 *              more window's length, because senders export in batches. A record that is
 *              later or earlier than any open window counts in the nearest one: nothing is
 *              lost, and a sender whose clock is wrong counts by arrival. Durations fall into
 *              8 buckets an octave (as in HdrHistogram), interpolated: within 6 %.
 * Cost         20 ns a span; a window costs one pass over the services.
 */
#include "normalise/normalise_int.h"

#include "base/pages.h"
#include "model/labels.h"

enum {
    GRACE_WINDOWS = 1,
    CATCH_UP_WINDOWS = 12,     /* a longer gap is a pause: no zeros are made up for it */
    FORGET_WINDOWS = 24 * 360  /* a service that was silent for a day has no zeros any more */
};

static const char *const severity_texts[NM_SEVERITY_COUNT] = {
    "unset", "trace", "debug", "info", "warn", "error", "fatal",
};
static const char *const red_names[NM_RED_COUNT] = {
    "service_requests_per_second", "service_errors_per_second", "service_duration_ms",
    "service_duration_p95_ms",
};

int64_t nm_window_of(ql_time at)
{
    const int64_t window_ns = NM_WINDOW_S * QL_NS_PER_S;
    const int64_t q = at.ns / window_ns;
    return at.ns % window_ns < 0 ? q - 1 : q;
}

/* ---- durations in buckets --------------------------------------------------------- */

/* Units of 1024 ns; 8 linear buckets below 8 units, then 8 for each doubling. */
uint32_t nm_bucket_of(uint64_t duration_ns)
{
    const uint64_t units = duration_ns >> 10;
    if (units < 8) {
        return (uint32_t)units;
    }
    const uint32_t octave = 63 - (uint32_t)__builtin_clzll(units);
    const uint32_t bucket = (octave - 2) * 8 + (uint32_t)(units >> (octave - 3) & 7);
    return bucket < NM_BUCKET_COUNT ? bucket : NM_BUCKET_COUNT - 1;
}

static double bucket_low_ns(uint32_t bucket)
{
    if (bucket < 8) {
        return (double)bucket * 1024.0;
    }
    return (double)((UINT64_C(8) + bucket % 8) << (bucket / 8 - 1)) * 1024.0;
}

double nm_bucket_quantile_ns(const uint32_t buckets[NM_BUCKET_COUNT], uint32_t count, double q)
{
    QL_ASSERT(count > 0);
    const double rank = q * (double)count;
    double below = 0.0;
    uint32_t bucket = 0;
    for (; bucket + 1 < NM_BUCKET_COUNT; bucket++) {
        if (below + (double)buckets[bucket] >= rank && buckets[bucket] != 0) {
            break;
        }
        below += (double)buckets[bucket];
    }
    const double low = bucket_low_ns(bucket), high = bucket_low_ns(bucket + 1);
    const double inside = buckets[bucket] == 0 ? 0.0 : (rank - below) / (double)buckets[bucket];
    return low + (high - low) * (inside < 0.0 ? 0.0 : inside > 1.0 ? 1.0 : inside);
}

/* ---- life ------------------------------------------------------------------------- */

ql_err nm_services_init(struct nm_services *services)
{
    *services = (struct nm_services){ .closed_window = INT64_MIN };
    ql_shared_init(&services->names, NM_NAMES_MAX,
                   (size_t)NM_NAMES_MAX * (NM_NAME_BYTES_MAX + 64));
    ql_buf_init(&services->scratch, 4096);
    services->rows = ql_pages_new(NM_NAMES_MAX * sizeof(*services->rows));
    services->states = ql_pages_new(NM_NAMES_MAX * sizeof(*services->states));
    return services->rows == NULL || services->states == NULL ? QL_E_MEMORY : QL_OK;
}

void nm_services_fini(struct nm_services *services)
{
    ql_shared_fini(&services->names);
    ql_buf_fini(&services->scratch);
    ql_pages_free(services->rows, NM_NAMES_MAX * sizeof(*services->rows));
    ql_pages_free(services->states, NM_NAMES_MAX * sizeof(*services->states));
    services->rows = NULL;
    services->states = NULL;
}

void nm_services_advance(struct nm_services *services, ql_time now, uint32_t clock_s)
{
    services->clock_s = clock_s;
    if (services->closed_window == INT64_MIN) {
        services->closed_window = nm_window_of(now) - GRACE_WINDOWS - 1;
    }
}

/* The open window nearest to the one of `at`. */
static int64_t services_window(const struct nm_services *services, ql_time at, ql_time now)
{
    const int64_t first = services->closed_window + 1;
    const int64_t last_slot = services->closed_window + NM_SLOT_COUNT;
    const int64_t present = nm_window_of(now), wanted = nm_window_of(at);
    const int64_t last = present < last_slot ? present : last_slot;
    return wanted > last && last >= first ? last : wanted < first || last < first ? first : wanted;
}

static uint32_t slot_of(int64_t window)
{
    return (uint32_t)((uint64_t)window % NM_SLOT_COUNT);
}

static bool span_is_request(const struct ql_span *span)
{
    enum { KIND_SERVER = 2, KIND_CONSUMER = 5 };
    return span->kind == KIND_SERVER || span->kind == KIND_CONSUMER || span->parent_id == 0;
}

void nm_service_span(struct nm *nm, uint32_t number, const struct ql_span *span, ql_time now)
{
    struct nm_services *services = &nm->services;
    struct nm_service *row = &services->rows[number];
    if (!span_is_request(span)) {
        return;
    }
    const uint64_t duration_ns = span->duration.ns > 0 ? (uint64_t)span->duration.ns : 0;
    const ql_time end = { span->start.ns > INT64_MAX - (int64_t)duration_ns
                              ? INT64_MAX : span->start.ns + (int64_t)duration_ns };
    const int64_t window = services_window(services, end, now);
    struct nm_red *red = &row->red[slot_of(window)];
    red->requests++;
    red->errors += span->error;
    red->duration_ns += duration_ns;
    red->buckets[nm_bucket_of(duration_ns)]++;
    row->spans_window = window;
    services->states[number].has_spans = 1;
}

/* OpenTelemetry: four numbers a severity, from 1. */
static uint32_t severity_of(uint8_t number)
{
    return number == 0 || number > 24 ? 0 : (number - 1u) / 4 + 1;
}

void nm_service_log(struct nm *nm, const struct ql_log *log, ql_time now, uint32_t source)
{
    struct nm_services *services = &nm->services;
    const uint32_t number = nm_service_number(services, log->service);
    if (number == QL_MAP_NONE) {
        nm_drop(&nm->counts, source, NM_REASON_CARDINALITY, 1);
        return;
    }
    const int64_t window = services_window(services, log->at, now);
    const uint32_t severity = severity_of(log->severity);
    struct nm_service *row = &services->rows[number];
    row->logs[slot_of(window)][severity]++;
    row->logs_window = window;
    services->states[number].severities |= (uint8_t)(1u << severity);
}

/* ---- closing a window ------------------------------------------------------------- */

struct service_close {
    struct nm *nm;
    struct ql_batch *bus;
    int64_t window;
    uint64_t points, added;
};

/* Finds or adds the series of one number of one service; QL_MAP_NONE: refused. */
static uint32_t derived_series(struct service_close *close, uint32_t number, uint32_t which)
{
    struct nm_services *services = &close->nm->services;
    uint32_t *known = &services->rows[number].series[which];
    uint32_t index;
    bool is_new;
    if (*known != 0) {
        return *known - 1;
    }
    const bool is_log = which >= NM_RED_COUNT;
    struct ql_label labels[3] = {
        { QL_STR("__name__"),
          is_log ? QL_STR("log_records_per_second") : ql_str_of(red_names[which]) },
        { QL_STR("service"), ql_shared_text(&services->names, number) },
        { QL_STR("severity"), ql_str_of(is_log ? severity_texts[which - NM_RED_COUNT] : "") },
    };
    ql_buf_reset(&services->scratch);
    ql_err err = ql_labels_build(labels, is_log ? 3 : 2, &services->scratch);
    const ql_str block = ql_buf_view(&services->scratch);
    if (err == QL_OK) {
        err = ql_series_add(close->nm->table, ql_hash128_of(block.at, block.bytes), block,
                            QL_METRIC_GAUGE, &index, &is_new);
    }
    if (err != QL_OK) {
        nm_drop(&close->nm->counts, NM_SOURCE_DERIVED, NM_REASON_CARDINALITY, 1);
        return QL_MAP_NONE;
    }
    struct ql_series *row = ql_series_at(close->nm->table, index);
    row->flags |= QL_SERIES_DERIVED;
    row->step_ms = NM_WINDOW_S * 1000;
    nm_due_touch(&close->nm->due, index);
    close->added += is_new;
    *known = index + 1;
    return index;
}

static void derived_put(struct service_close *close, uint32_t number, uint32_t which, double value)
{
    const uint32_t index = derived_series(close, number, which);
    const ql_time at = nm_window_end(close->window);
    if (index == QL_MAP_NONE) {
        return;
    }
    struct ql_series *row = ql_series_at(close->nm->table, index);
    if (at.ns <= row->last_at.ns) {
        nm_drop(&close->nm->counts, NM_SOURCE_DERIVED, NM_REASON_OLD, 1);
        return;
    }
    struct ql_point *point = ql_batch_add_point(close->bus);
    if (point == NULL) {
        nm_drop(&close->nm->counts, NM_SOURCE_DERIVED, NM_REASON_BATCH_FULL, 1);
        return;
    }
    *point = (struct ql_point){ .at = at, .value = value, .raw = value, .series = index };
    row->last_at = at;
    row->last_raw = value;
    row->flags |= QL_SERIES_FRESH;
    row->seen_count += row->seen_count != UINT32_MAX;
    nm_due_touch(&close->nm->due, index);
    close->points++;
}

void nm_services_forget(struct nm *nm)
{
    for (uint32_t number = 0; number < nm->services.names.count; number++) {
        uint32_t *series = nm->services.rows[number].series;
        for (uint32_t i = 0; i < NM_SERVICE_SERIES; i++) {
            if (series[i] != 0 && nm->due.lives[series[i] - 1].seen_s == 0) {
                series[i] = 0;
            }
        }
    }
}

/* No requests: the rates are zero, and about durations there is nothing to say. */
static void service_close_spans(struct service_close *close, uint32_t number)
{
    struct nm_red *red = &close->nm->services.rows[number].red[slot_of(close->window)];
    const double requests = (double)red->requests;
    derived_put(close, number, 0, requests / NM_WINDOW_S);
    derived_put(close, number, 1, (double)red->errors / NM_WINDOW_S);
    if (red->requests != 0) {
        derived_put(close, number, 2, (double)red->duration_ns / requests / 1e6);
        derived_put(close, number, 3,
                    nm_bucket_quantile_ns(red->buckets, red->requests, 0.95) / 1e6);
        memset(red, 0, sizeof(*red));
    }
}

static void service_close_logs(struct service_close *close, uint32_t number, uint32_t severities)
{
    uint32_t *counts = close->nm->services.rows[number].logs[slot_of(close->window)];
    for (uint32_t severity = 0; severity < NM_SEVERITY_COUNT; severity++) {
        if ((severities >> severity & 1) != 0) {
            derived_put(close, number, NM_RED_COUNT + severity,
                        (double)counts[severity] / NM_WINDOW_S);
            counts[severity] = 0;
        }
    }
}

static void services_close(struct nm *nm, int64_t window, struct ql_batch *bus)
{
    struct service_close close = { .nm = nm, .bus = bus, .window = window };
    struct nm_services *services = &nm->services;
    for (uint32_t number = 0; number < services->names.count; number++) {
        struct nm_service_state *state = &services->states[number];
        if (state->has_spans != 0) {
            service_close_spans(&close, number);
            state->has_spans = window - services->rows[number].spans_window < FORGET_WINDOWS;
        }
        if (state->severities != 0) {
            service_close_logs(&close, number, state->severities);
            if (window - services->rows[number].logs_window >= FORGET_WINDOWS) {
                state->severities = 0;
            }
        }
    }
    nm_count_accepted(&nm->counts, NM_SOURCE_DERIVED, close.points, close.added);
    services->closed_window = window;
}

void nm_services_tick(struct nm *nm, ql_time now, struct ql_batch *bus)
{
    struct nm_services *services = &nm->services;
    const int64_t due = nm_window_of(now) - GRACE_WINDOWS - 1;
    const bool pause = due - services->closed_window > CATCH_UP_WINDOWS;
    const int64_t last = pause ? services->closed_window + NM_SLOT_COUNT : due;
    while (services->closed_window < last) {
        services_close(nm, services->closed_window + 1, bus);
    }
    services->closed_window = due > services->closed_window ? due : services->closed_window;
    ql_stat_set(nm->counts.names[0], services->counts[0]);
    ql_stat_set(nm->counts.names[1], services->counts[1]);
}

/* ---- state ------------------------------------------------------------------------ */

static void service_save(const struct nm_service *row, struct ql_buf *out)
{
    for (uint32_t slot = 0; slot < NM_SLOT_COUNT; slot++) {
        const struct nm_red *red = &row->red[slot];
        (void)ql_buf_u32(out, red->requests);
        (void)ql_buf_u32(out, red->errors);
        (void)ql_buf_u64(out, red->duration_ns);
        for (uint32_t i = 0; red->requests != 0 && i < NM_BUCKET_COUNT; i++) {
            (void)ql_buf_u32(out, red->buckets[i]);
        }
        for (uint32_t i = 0; i < NM_SEVERITY_COUNT; i++) {
            (void)ql_buf_u32(out, row->logs[slot][i]);
        }
    }
    for (uint32_t i = 0; i < NM_SERVICE_SERIES; i++) {
        (void)ql_buf_u32(out, row->series[i]);
    }
    (void)ql_buf_i64(out, row->spans_window);
    (void)ql_buf_i64(out, row->logs_window);
}

static void service_load(struct nm_service *row, uint32_t series_count, struct ql_reader *in)
{
    for (uint32_t slot = 0; slot < NM_SLOT_COUNT; slot++) {
        struct nm_red *red = &row->red[slot];
        red->requests = ql_reader_u32(in);
        red->errors = ql_reader_u32(in);
        red->duration_ns = ql_reader_u64(in);
        for (uint32_t i = 0; red->requests != 0 && i < NM_BUCKET_COUNT; i++) {
            red->buckets[i] = ql_reader_u32(in);
        }
        for (uint32_t i = 0; i < NM_SEVERITY_COUNT; i++) {
            row->logs[slot][i] = ql_reader_u32(in);
        }
    }
    for (uint32_t i = 0; i < NM_SERVICE_SERIES; i++) {
        row->series[i] = ql_reader_u32(in);
        in->failed = in->failed || row->series[i] > series_count;
    }
    row->spans_window = ql_reader_i64(in);
    row->logs_window = ql_reader_i64(in);
}

static void name_save(const struct nm_services *services, uint32_t number, struct ql_buf *out)
{
    const struct nm_service_state *state = &services->states[number];
    const bool has_row = state->has_spans != 0 || state->severities != 0 ||
                         nm_service_has_series(services, number);
    (void)ql_buf_u8(out, state->is_service);
    (void)ql_buf_u32(out, state->seen_s);
    (void)ql_buf_i64(out, state->announced_window);
    (void)ql_buf_u8(out, state->has_spans);
    (void)ql_buf_u8(out, state->severities);
    (void)ql_buf_u8(out, has_row);
    if (has_row) {
        service_save(&services->rows[number], out);
    }
}

static bool name_load(struct nm_services *services, uint32_t number, uint32_t series_count,
                      struct ql_reader *in)
{
    struct nm_service_state *state = &services->states[number];
    state->used = 1;
    state->is_service = ql_reader_u8(in);
    state->seen_s = ql_reader_u32(in);
    state->announced_window = ql_reader_i64(in);
    state->has_spans = ql_reader_u8(in);
    state->severities = ql_reader_u8(in);
    if (ql_reader_u8(in) != 0) {
        service_load(&services->rows[number], series_count, in);
    }
    const bool sound = !in->failed && state->is_service <= 1 &&
                       nm_names_have_room(services, state->is_service != 0);
    if (sound) {
        services->counts[state->is_service]++;
    }
    return sound;
}

ql_err nm_services_save(const struct nm_services *services, struct ql_buf *out)
{
    (void)ql_buf_i64(out, services->closed_window);
    (void)ql_shared_save(&services->names, out);
    for (uint32_t number = 0; number < services->names.count; number++) {
        if (services->states[number].used != 0) {
            name_save(services, number, out);
        }
    }
    return ql_buf_check(out);
}

ql_err nm_services_load(struct nm_services *services, uint32_t series_count, struct ql_reader *in)
{
    services->closed_window = ql_reader_i64(in);
    ql_err err = ql_shared_load(&services->names, in);
    for (uint32_t i = 0; i < services->names.count && err == QL_OK; i++) {
        uint32_t number = i;
        if (services->names.texts[i].at == NULL) {
            continue; /* the number is free */
        }
        err = ql_shared_take(&services->names, ql_shared_text(&services->names, i), &number);
        QL_ASSERT(number == i);
        if (err == QL_OK && !name_load(services, i, series_count, in)) {
            err = QL_E_MALFORMED;
        }
    }
    return err == QL_OK && in->failed ? QL_E_MALFORMED : err;
}

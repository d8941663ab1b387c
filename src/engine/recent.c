#include "engine/recent.h"

#include "base/pages.h"
#include "model/counter.h"

#include <stdlib.h>

#define RECENT_AHEAD 16u /* points between prefetch and use: hides two memory accesses */

struct ql_recent {
    struct ql_recent_row *rows;
    size_t ready;
    uint32_t series_max;
    void (*seal)(void *context, const struct ql_history_row *row);
    void *context;
};

ql_err ql_recent_new(uint32_t series_max, struct ql_recent **ret_recent)
{
    struct ql_recent *recent = calloc(1, sizeof(*recent));
    if (recent == NULL) {
        return QL_E_MEMORY;
    }
    recent->series_max = series_max;
    recent->rows = ql_pages_new((size_t)series_max * sizeof(*recent->rows));
    if (recent->rows == NULL) {
        free(recent);
        return QL_E_MEMORY;
    }
    *ret_recent = recent;
    return QL_OK;
}

void ql_recent_free(struct ql_recent *recent)
{
    if (recent != NULL) {
        ql_pages_free(recent->rows, (size_t)recent->series_max * sizeof(*recent->rows));
        free(recent);
    }
}

void ql_recent_on_seal(struct ql_recent *recent,
                       void (*seal)(void *context, const struct ql_history_row *row),
                       void *context)
{
    recent->seal = seal;
    recent->context = context;
}

static ql_time recent_band_at(const struct ql_chunk *chunk, const struct ql_recent_band *band)
{
    return ql_time_from_ms(chunk->first_ms + band->after_ms);
}

/* The middle of what a half cuts off stands for it, or all values would be a little too small. */
static uint16_t recent_half(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof(bits));
    return (uint16_t)(bits >> 16);
}

static float recent_half_value(uint16_t half)
{
    const bool finite = (half & 0x7f80u) != 0x7f80u;
    const uint32_t bits = (uint32_t)half << 16 | (finite && half != 0 ? 0x8000u : 0);
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static struct ql_band recent_band_value(const struct ql_recent_row *row, uint32_t i)
{
    const struct ql_recent_band *band = &row->bands[i];
    return (struct ql_band){ .at = recent_band_at(&row->open, band),
                             .expected = band->expected,
                             .lower = band->expected - recent_half_value(band->below),
                             .upper = band->expected + recent_half_value(band->above) };
}

static void recent_hand_on(const struct ql_recent *recent, const struct ql_recent_row *row,
                           ql_series_id id)
{
    if (recent->seal == NULL || row->open.count == 0) {
        return;
    }
    struct ql_history_row sealed = { .series = id, .chunk = row->open,
                                     .band_count = row->band_count };
    for (uint32_t i = 0; i < row->band_count; i++) {
        sealed.bands[i] = recent_band_value(row, i);
    }
    recent->seal(recent->context, &sealed);
}
_Static_assert(QL_RECENT_BANDS <= QL_HISTORY_BANDS_MAX, "a row takes all bands");

static void recent_append(const struct ql_recent *recent, struct ql_recent_row *row,
                          ql_series_id id, struct ql_sample sample)
{
    if (row->open.count == 0) {
        ql_chunk_init(&row->open);
    }
    if (ql_chunk_append(&row->open, sample)) {
        return;
    }
    recent_hand_on(recent, row, id);
    row->sealed_first_ms = row->open.first_ms;
    row->sealed_count = row->open.count;
    row->sealed_bits = row->open.bits;
    memcpy(row->sealed_data, row->open.data, sizeof(row->sealed_data));
    row->band_count = row->band_skip = 0;
    row->band_stride = 1;
    ql_chunk_init(&row->open);
    QL_ASSERT(ql_chunk_append(&row->open, sample));
}

/* A full set of bands keeps every second one, so that a chunk's bands always span it. */
static void recent_band(struct ql_recent_row *row, const struct ql_band *band)
{
    const int64_t after_ms = ql_time_to_ms(band->at) - row->open.first_ms;
    if (row->open.count == 0 || after_ms < 0 || after_ms > UINT32_MAX) {
        return;
    }
    if (row->band_skip > 0) {
        row->band_skip--;
        return;
    }
    if (row->band_count == QL_RECENT_BANDS) {
        for (uint32_t i = 0; i < QL_RECENT_BANDS / 2; i++) {
            row->bands[i] = row->bands[2 * i];
        }
        row->band_count = QL_RECENT_BANDS / 2;
        row->band_stride = (uint8_t)(row->band_stride < 64 ? row->band_stride * 2 : 128);
    }
    row->band_skip = (uint8_t)(row->band_stride > 0 ? row->band_stride - 1 : 0);
    row->bands[row->band_count++] = (struct ql_recent_band){
        (uint32_t)after_ms, band->expected, recent_half(band->expected - band->lower),
        recent_half(band->upper - band->expected) };
}

/* The first judged value of each slot; a slot that was skipped is empty. */
static void recent_slot(struct ql_recent_row *row, ql_time at, double value)
{
    const int64_t number = ql_time_to_ms(at) / QL_RECENT_SLOT_MS;
    if (number <= 0 || number > UINT32_MAX || (uint32_t)number <= row->slot_newest) {
        return;
    }
    const uint32_t slot = (uint32_t)number, since = slot - row->slot_newest;
    for (uint32_t back = 1; back < since && back < QL_RECENT_SLOTS; back++) {
        row->slots[(slot - back) % QL_RECENT_SLOTS] = QL_RECENT_SLOT_EMPTY;
    }
    row->slot_newest = slot;
    row->slots[slot % QL_RECENT_SLOTS] = recent_half((float)value);
}

static void recent_point(struct ql_recent *recent, const struct ql_series_table *table,
                         const struct ql_point *point)
{
    if (point->kind == QL_POINT_HOLE && !ql_is_stale_marker(point->raw)) {
        return;
    }
    QL_ASSERT(point->series < recent->series_max);
    struct ql_recent_row *row = &recent->rows[point->series];
    if (row->open.count == 0) {
        ql_pages_ready(recent->rows, (size_t)recent->series_max * sizeof(*row), &recent->ready,
                       ((size_t)point->series + 1) * sizeof(*row));
    }
    recent_append(recent, row, ql_series_at(table, point->series)->id,
                  (struct ql_sample){ point->at, point->raw });
    if (point->kind == QL_POINT_VALUE) {
        recent_slot(row, point->at, point->value);
    }
}

/* Bands stand in the order of the points they belong to. One is kept right behind its point:
 * in a bus of many values of a series, its chunk may be sealed before the next. */
static bool band_is_of(const struct ql_band *band, const struct ql_point *point)
{
    return band->series == point->series && band->at.ns == point->at.ns;
}

void ql_recent_record(struct ql_recent *recent, const struct ql_series_table *table,
                      const struct ql_batch *bus)
{
    const struct ql_point *points = bus->points.at;
    uint32_t band = 0;
    for (uint32_t i = 0; i < bus->points.count; i++) {
        if (i + RECENT_AHEAD < bus->points.count) {
            const struct ql_recent_row *near = &recent->rows[points[i + RECENT_AHEAD / 2].series];
            __builtin_prefetch(&recent->rows[points[i + RECENT_AHEAD].series], 1);
            __builtin_prefetch(&near->open.data[near->open.bits / 8], 1);
        }
        recent_point(recent, table, &points[i]);
        while (band < bus->bands.count && band_is_of(&bus->bands.at[band], &points[i])) {
            recent_band(&recent->rows[points[i].series], &bus->bands.at[band++]);
        }
    }
    for (; band < bus->bands.count; band++) { /* of points that came before */
        recent_band(&recent->rows[bus->bands.at[band].series], &bus->bands.at[band]);
    }
}

static uint32_t recent_chunk_samples(int64_t first_ms, uint32_t count, uint32_t bits,
                                     const uint8_t *data, ql_time from, ql_time to,
                                     struct ql_batch *out)
{
    struct ql_sample samples[QL_CHUNK_SAMPLES_MAX];
    const ql_str view = { (const char *)data, (bits + 7) / 8 };
    uint32_t kept = 0;
    if (count == 0 || count > QL_CHUNK_SAMPLES_MAX || view.bytes > QL_CHUNK_DATA_BYTES ||
        ql_chunk_read_stream(first_ms, count, bits, view, samples) != QL_OK) {
        return 0;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (samples[i].at.ns < from.ns || samples[i].at.ns > to.ns) {
            continue;
        }
        struct ql_sample *sample = ql_batch_add_sample(out);
        if (sample == NULL) {
            break;
        }
        *sample = samples[i];
        kept++;
    }
    return kept;
}

uint32_t ql_recent_samples(const struct ql_recent *recent, uint32_t series, ql_time from,
                           ql_time to, struct ql_batch *out)
{
    QL_ASSERT(series < recent->series_max);
    const struct ql_recent_row *row = &recent->rows[series];
    const uint32_t older = recent_chunk_samples(row->sealed_first_ms, row->sealed_count,
                                                row->sealed_bits, row->sealed_data, from, to, out);
    return older + recent_chunk_samples(row->open.first_ms, row->open.count, row->open.bits,
                                        row->open.data, from, to, out);
}

ql_time ql_recent_oldest(const struct ql_recent *recent, uint32_t series)
{
    QL_ASSERT(series < recent->series_max);
    const struct ql_recent_row *row = &recent->rows[series];
    return row->sealed_count > 0 ? ql_time_from_ms(row->sealed_first_ms)
           : row->open.count > 0 ? ql_time_from_ms(row->open.first_ms)
                                 : QL_TIME_NONE;
}

/* Slots in [from, before). */
static void recent_slot_samples(const struct ql_recent_row *row, ql_time from, ql_time before,
                                struct ql_batch *out)
{
    for (uint32_t back = QL_RECENT_SLOTS; back > 0; back--) {
        const uint32_t slot = row->slot_newest - (back - 1);
        const ql_time at = ql_time_from_ms((int64_t)slot * QL_RECENT_SLOT_MS);
        struct ql_sample *sample;
        if (slot == 0 || slot > row->slot_newest || at.ns < from.ns || at.ns >= before.ns ||
            row->slots[slot % QL_RECENT_SLOTS] == QL_RECENT_SLOT_EMPTY) {
            continue;
        }
        if ((sample = ql_batch_add_sample(out)) == NULL) {
            return;
        }
        *sample = (struct ql_sample){
            at, (double)recent_half_value(row->slots[slot % QL_RECENT_SLOTS]) };
    }
}

uint32_t ql_recent_window(const struct ql_recent *recent, uint32_t series,
                          enum ql_metric_type type, ql_time from, ql_time to,
                          struct ql_batch *out)
{
    QL_ASSERT(series < recent->series_max);
    const struct ql_recent_row *row = &recent->rows[series];
    const ql_time oldest = ql_recent_oldest(recent, series);
    const uint32_t first = out->samples.count;
    if (oldest.ns != QL_TIME_NONE.ns) {
        recent_slot_samples(row, from, oldest, out);
    }
    const uint32_t fine = out->samples.count;
    const uint32_t raw_count = ql_recent_samples(recent, series, from, to, out);
    uint32_t kept = fine;
    struct ql_sample previous = { QL_TIME_NONE, 0.0 };
    bool is_first = true;
    for (uint32_t i = fine; i < fine + raw_count; i++) {
        const struct ql_sample raw = out->samples.at[i];
        if (ql_is_stale_marker(raw.value)) {
            is_first = true; /* what comes behind it starts anew */
            continue;
        }
        const struct ql_point point = ql_counter_judge(type, is_first ? NULL : &previous, raw);
        previous = raw;
        is_first = false;
        if (point.kind == QL_POINT_VALUE) {
            out->samples.at[kept++] = (struct ql_sample){ point.at, point.value };
        }
    }
    out->samples.count = kept;
    return kept - first;
}

void ql_recent_bands(const struct ql_recent *recent, uint32_t series, ql_time from, ql_time to,
                     struct ql_batch *out)
{
    const struct ql_recent_row *row = &recent->rows[series];
    for (uint32_t i = 0; i < row->band_count; i++) {
        const ql_time at = recent_band_at(&row->open, &row->bands[i]);
        struct ql_band *band;
        if (at.ns < from.ns || at.ns > to.ns || (band = ql_batch_add_band(out)) == NULL) {
            continue;
        }
        *band = recent_band_value(row, i);
        band->series = series;
    }
}

void ql_recent_forget(struct ql_recent *recent, const struct ql_series_table *table,
                      uint32_t series)
{
    recent_hand_on(recent, &recent->rows[series], ql_series_at(table, series)->id);
    memset(&recent->rows[series], 0, sizeof(recent->rows[series]));
}

void ql_recent_flush(struct ql_recent *recent, const struct ql_series_table *table)
{
    for (uint32_t i = 0; i < ql_series_count(table); i++) {
        recent_hand_on(recent, &recent->rows[i], ql_series_at(table, i)->id);
    }
}

ql_err ql_recent_save(const struct ql_recent *recent, uint32_t series_count, struct ql_buf *out)
{
    (void)ql_buf_u32(out, series_count);
    (void)ql_buf_u32(out, (uint32_t)QL_RECENT_ROW_BYTES);
    return ql_buf_put(out, recent->rows, (size_t)series_count * QL_RECENT_ROW_BYTES);
}

ql_err ql_recent_load(struct ql_recent *recent, struct ql_reader *in)
{
    const uint32_t count = ql_reader_u32(in);
    if (ql_reader_u32(in) != QL_RECENT_ROW_BYTES) {
        return in->failed ? QL_E_MALFORMED : QL_E_VERSION;
    }
    if (count > recent->series_max) {
        return QL_E_FULL;
    }
    const char *bytes = ql_reader_bytes(in, (size_t)count * QL_RECENT_ROW_BYTES);
    if (bytes == NULL) {
        return QL_E_MALFORMED;
    }
    memcpy(recent->rows, bytes, (size_t)count * QL_RECENT_ROW_BYTES);
    return QL_OK;
}

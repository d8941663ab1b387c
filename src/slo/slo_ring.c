/* slo_ring - what happened, by minute for six hours and by hour for ninety days.
 *
 * Method       a part is added to its minute and to its hour at once, so that nothing is ever
 *              rolled up and late parts find their place in both.
 */
#include "slo/slo_int.h"

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static uint32_t place(int64_t number, uint32_t count)
{
    const int64_t r = number % (int64_t)count;
    return (uint32_t)(r < 0 ? r + (int64_t)count : r);
}

static int64_t hour_head(const struct slo_ring *ring)
{
    return floor_div(ring->head, 60);
}

void slo_ring_advance(struct slo_ring *ring, int64_t minute)
{
    const int64_t head = minute + SLO_AHEAD, hours = hour_head(ring);
    if (head <= ring->head) {
        return;
    }
    int64_t from = head - ring->head > SLO_MINUTES ? head - SLO_MINUTES : ring->head;
    for (int64_t m = from + 1; m <= head; m++) {
        ring->minutes[place(m, SLO_MINUTES)] = (struct slo_minute){ 0 };
    }
    ring->head = head;
    from = hour_head(ring) - hours > SLO_HOURS ? hour_head(ring) - SLO_HOURS : hours;
    for (int64_t h = from + 1; h <= hour_head(ring); h++) {
        ring->hours[place(h, SLO_HOURS)] = (struct slo_hour){ 0 };
    }
}

static bool minute_kept(const struct slo_ring *ring, int64_t minute)
{
    return minute <= ring->head && minute > ring->head - SLO_MINUTES;
}

bool slo_ring_add(struct slo_ring *ring, const struct ql_slo_part *part)
{
    const int64_t hour = floor_div(part->minute, 60);
    if (part->minute > ring->head || hour <= hour_head(ring) - SLO_HOURS) {
        return false;
    }
    struct slo_hour *h = &ring->hours[place(hour, SLO_HOURS)];
    h->bad = slo_add(h->bad, part->bad);
    h->total = slo_add(h->total, part->total);
    if (minute_kept(ring, part->minute)) {
        struct slo_minute *m = &ring->minutes[place(part->minute, SLO_MINUTES)];
        m->bad = slo_add(m->bad, part->bad);
        m->total = slo_add(m->total, part->total);
        m->covered |= part->covered != 0;
        m->silent += part->silent;
    }
    return true;
}

const struct slo_minute *slo_ring_minute(const struct slo_ring *ring, int64_t minute)
{
    static const struct slo_minute nothing;
    return minute_kept(ring, minute) ? &ring->minutes[place(minute, SLO_MINUTES)] : &nothing;
}

struct slo_sum slo_ring_minutes(const struct slo_ring *ring, int64_t end, uint32_t count)
{
    struct slo_sum sum = { 0 };
    for (int64_t m = end - (int64_t)count; m < end; m++) {
        const struct slo_minute *at = slo_ring_minute(ring, m);
        sum.bad = slo_add(sum.bad, at->bad);
        sum.total = slo_add(sum.total, at->total);
        sum.covered += at->covered != 0;
    }
    return sum;
}

/* The hour that `end_minute` ends in is the last one. */
struct slo_sum slo_ring_hours(const struct slo_ring *ring, int64_t end_minute, uint32_t count)
{
    struct slo_sum sum = { 0 };
    const int64_t last = floor_div(end_minute - 1, 60);
    QL_ASSERT(count <= SLO_HOURS - SLO_AHEAD / 60 - 2);
    for (int64_t h = last - (int64_t)count + 1; h <= last; h++) {
        const struct slo_hour *at = &ring->hours[place(h, SLO_HOURS)];
        sum.bad = slo_add(sum.bad, at->bad);
        sum.total = slo_add(sum.total, at->total);
    }
    return sum;
}

uint32_t slo_ring_silent(const struct slo_ring *ring, int64_t minute)
{
    return slo_ring_minute(ring, minute)->silent;
}

/* ---- checkpoint ------------------------------------------------------------------- */

static bool minute_is_empty(const struct slo_minute *m)
{
    return m->bad == 0 && m->total == 0 && m->covered == 0 && m->silent == 0;
}

/* Only what is not empty, each behind its place. */
void slo_ring_save(const struct slo_ring *ring, struct ql_buf *out)
{
    (void)ql_buf_i64(out, ring->head);
    for (uint32_t i = 0; i < SLO_MINUTES; i++) {
        const struct slo_minute *m = &ring->minutes[i];
        if (!minute_is_empty(m)) {
            (void)ql_buf_u32(out, i);
            (void)ql_buf_i64(out, m->bad);
            (void)ql_buf_i64(out, m->total);
            (void)ql_buf_u32(out, m->covered);
            (void)ql_buf_u32(out, m->silent);
        }
    }
    (void)ql_buf_u32(out, UINT32_MAX);
    for (uint32_t i = 0; i < SLO_HOURS; i++) {
        const struct slo_hour *h = &ring->hours[i];
        if (h->bad != 0 || h->total != 0) {
            (void)ql_buf_u32(out, i);
            (void)ql_buf_i64(out, h->bad);
            (void)ql_buf_i64(out, h->total);
        }
    }
    (void)ql_buf_u32(out, UINT32_MAX);
}

/* True: the next place was read; false: the end, or `in` failed. */
static bool place_read(struct ql_reader *in, uint32_t count, uint32_t *ret_place)
{
    *ret_place = ql_reader_u32(in);
    if (!in->failed && *ret_place == UINT32_MAX) {
        return false;
    }
    in->failed = in->failed || *ret_place >= count;
    return !in->failed;
}

bool slo_ring_load(struct slo_ring *ring, struct ql_reader *in)
{
    uint32_t i;
    ring->head = ql_reader_i64(in);
    while (place_read(in, SLO_MINUTES, &i)) {
        ring->minutes[i].bad = ql_reader_i64(in);
        ring->minutes[i].total = ql_reader_i64(in);
        ring->minutes[i].covered = ql_reader_u32(in);
        ring->minutes[i].silent = ql_reader_u32(in);
    }
    while (!in->failed && place_read(in, SLO_HOURS, &i)) {
        ring->hours[i].bad = ql_reader_i64(in);
        ring->hours[i].total = ql_reader_i64(in);
    }
    return !in->failed;
}

/* nm_due.c - a wheel of seconds that finds silent series without looking at the others.
 *
 * Good for     a million series of which few fall silent: a series is looked at once per
 *              absence interval, not per sample and not per tick; an idle wheel is one load
 *              a second.
 * Method       a series waits in the bucket of the second in which it would be overdue as
 *              known when it was put there. When that second comes, it is either overdue or
 *              moves on to the newly computed one: samples never touch the wheel.
 *              Silence is measured by arrival, so a sender whose clock is wrong or who sends
 *              in bulk is not silent. Time in which the stage itself was not called (the
 *              daemon was down) does not count as silence of the senders.
 */
#include "normalise/normalise_int.h"

#include "base/pages.h"

enum { PAUSE_S_MIN = 30, PAUSE_TICKS = 10 };
#define DUE_NONE UINT32_MAX

ql_err nm_due_init(struct nm_due *due, uint32_t series_max)
{
    *due = (struct nm_due){ .series_max = series_max, .now_s = INT64_MIN };
    memset(due->heads, 0xff, sizeof(due->heads));
    due->lives = ql_pages_new((size_t)series_max * sizeof(*due->lives));
    return due->lives == NULL ? QL_E_MEMORY : QL_OK;
}

void nm_due_fini(struct nm_due *due)
{
    ql_pages_free(due->lives, (size_t)due->series_max * sizeof(*due->lives));
    due->lives = NULL;
}

/* A jump of many usual ticks: nobody called in between. */
static bool due_is_pause(const struct nm_due *due, int64_t jump_s)
{
    const int64_t pause_s = due->usual_s * PAUSE_TICKS;
    return due->usual_s > 0 && jump_s > (pause_s > PAUSE_S_MIN ? pause_s : PAUSE_S_MIN);
}

void nm_due_advance(struct nm_due *due, ql_time now, bool tick)
{
    const int64_t now_s = now.ns / QL_NS_PER_S;
    if (due->now_s == INT64_MIN) {
        /* The clock starts at an hour, so that 0 can mean "never seen". */
        due->now_s = due->tick_s = now_s;
        due->paused_s = now_s - 3600;
        due->swept_s = nm_due_clock(due);
        return;
    }
    const int64_t jump_s = now_s - due->now_s;
    if (due_is_pause(due, jump_s)) {
        due->paused_s += jump_s - due->usual_s;
        due->pause_from_s = due->now_s;
        due->pause_to_s = now_s;
    }
    due->now_s = jump_s > 0 ? now_s : due->now_s;
    const int64_t tick_distance_s = now_s - due->tick_s;
    if (tick && tick_distance_s > 0) {
        if (!due_is_pause(due, tick_distance_s)) {
            due->usual_s = nm_step_learn((uint32_t)due->usual_s, tick_distance_s, 16);
        }
        due->tick_s = now_s;
    }
}

int64_t nm_due_paused_ns(const struct nm_due *due, ql_time from, ql_time to)
{
    const int64_t pause_from = due->pause_from_s * QL_NS_PER_S;
    const int64_t pause_to = due->pause_to_s * QL_NS_PER_S;
    const int64_t first = from.ns > pause_from ? from.ns : pause_from;
    const int64_t last = to.ns < pause_to ? to.ns : pause_to;
    return last > first ? last - first : 0;
}

static void due_queue(struct nm_due *due, uint32_t index, uint32_t at_s)
{
    const uint32_t first = due->swept_s + 1, last = due->swept_s + NM_WHEEL_COUNT - 1;
    at_s = at_s < first ? first : at_s > last ? last : at_s; /* too far: looked at early */
    uint32_t *head = &due->heads[at_s % NM_WHEEL_COUNT];
    due->lives[index].next = *head;
    due->lives[index].queued = 1;
    *head = index;
}

/* The first second in which the series is overdue. */
static uint32_t due_second(const struct nm_due *due, const struct ql_series *row, uint32_t index,
                           double absence_steps)
{
    const struct nm_life *life = &due->lives[index];
    const double step_s = (double)row->step_ms / 1000.0, gap_s = (double)life->gap_s;
    const double absence_s = absence_steps * (step_s > gap_s ? step_s : gap_s);
    const double at_s = (double)life->seen_s + absence_s + 2.0; /* both seconds were cut off */
    return at_s < (double)(UINT32_MAX - NM_WHEEL_COUNT) ? (uint32_t)at_s
                                                        : UINT32_MAX - NM_WHEEL_COUNT;
}

void nm_due_seen(struct nm_due *due, const struct ql_series *row, uint32_t index,
                 double absence_steps)
{
    struct nm_life *life = &due->lives[index];
    const uint32_t clock = nm_due_clock(due);
    if (life->seen_s != 0 && clock > life->seen_s) {
        life->gap_s = nm_step_learn(life->gap_s, clock - life->seen_s, row->seen_count);
    }
    life->seen_s = clock;
    if (life->queued == 0 && row->seen_count > 2) {
        due_queue(due, index, due_second(due, row, index, absence_steps));
    }
}

void nm_due_touch(struct nm_due *due, uint32_t index)
{
    ql_pages_ready(due->lives, (size_t)due->series_max * sizeof(*due->lives), &due->ready,
                   ((size_t)index + 1) * sizeof(*due->lives));
    due->lives[index].seen_s = nm_due_clock(due);
}

void nm_due_sweep(struct nm_due *due, const struct ql_series_table *table, double absence_steps,
                  void (*fn)(void *context, uint32_t index), void *context)
{
    const uint32_t clock = nm_due_clock(due);
    if (clock - due->swept_s > NM_WHEEL_COUNT) {
        due->swept_s = clock - NM_WHEEL_COUNT; /* every bucket comes up once */
    }
    while (due->swept_s != clock) {
        due->swept_s++;
        uint32_t *head = &due->heads[due->swept_s % NM_WHEEL_COUNT];
        uint32_t index = *head;
        *head = DUE_NONE;
        while (index != DUE_NONE) {
            const uint32_t next = due->lives[index].next;
            const struct ql_series *row = ql_series_at(table, index);
            const uint32_t at_s = due_second(due, row, index, absence_steps);
            due->lives[index].queued = 0;
            if (row->seen_count <= 2) {
                index = next; /* forgotten since, and its index perhaps another's by now */
                continue;
            }
            if (at_s > clock) {
                due_queue(due, index, at_s);
            } else {
                fn(context, index);
            }
            index = next;
        }
    }
}

/* The order inside a bucket is the order of holes in the output, so it is kept. */
ql_err nm_due_save(const struct nm_due *due, uint32_t series_count, struct ql_buf *out)
{
    (void)ql_buf_i64(out, due->now_s);
    (void)ql_buf_i64(out, due->paused_s);
    (void)ql_buf_i64(out, due->pause_from_s);
    (void)ql_buf_i64(out, due->pause_to_s);
    (void)ql_buf_i64(out, due->tick_s);
    (void)ql_buf_i64(out, due->usual_s);
    (void)ql_buf_u32(out, due->swept_s);
    for (uint32_t i = 0; i < series_count; i++) {
        (void)ql_buf_u32(out, due->lives[i].seen_s);
        (void)ql_buf_u32(out, due->lives[i].gap_s);
    }
    for (uint32_t bucket = 0; bucket < NM_WHEEL_COUNT; bucket++) {
        for (uint32_t i = due->heads[bucket]; i != DUE_NONE; i = due->lives[i].next) {
            (void)ql_buf_u32(out, i);
        }
        (void)ql_buf_u32(out, DUE_NONE);
    }
    return ql_buf_check(out);
}

ql_err nm_due_load(struct nm_due *due, uint32_t series_count, struct ql_reader *in)
{
    due->now_s = ql_reader_i64(in);
    due->paused_s = ql_reader_i64(in);
    due->pause_from_s = ql_reader_i64(in);
    due->pause_to_s = ql_reader_i64(in);
    due->tick_s = ql_reader_i64(in);
    due->usual_s = ql_reader_i64(in);
    due->swept_s = ql_reader_u32(in);
    if (series_count > due->series_max) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < series_count; i++) {
        due->lives[i] = (struct nm_life){ .next = DUE_NONE };
        due->lives[i].seen_s = ql_reader_u32(in);
        due->lives[i].gap_s = ql_reader_u32(in);
    }
    for (uint32_t bucket = 0; bucket < NM_WHEEL_COUNT; bucket++) {
        uint32_t *link = &due->heads[bucket];
        for (;;) {
            const uint32_t index = ql_reader_u32(in);
            if (in->failed || (index != DUE_NONE &&
                               (index >= series_count || due->lives[index].queued != 0))) {
                return QL_E_MALFORMED;
            }
            *link = index;
            if (index == DUE_NONE) {
                break;
            }
            due->lives[index].queued = 1;
            link = &due->lives[index].next;
        }
    }
    return QL_OK;
}

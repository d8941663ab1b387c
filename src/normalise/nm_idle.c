/* nm_idle.c - which series are forgotten: those without a sample for long; names go with them.
 *
 * Good for     pods, jobs and containers that never come back, and floods of labels.
 * Bad for      what comes less often than every `limits.series_idle`: it is kept for three times
 *              its own distance, which has to be learnt first.
 * Method       now and then one pass over the lives. A series idle for series_idle goes. When the
 *              table is nine tenths full the longest idle go before, until it is eight: a
 *              histogram of idle times, four classes an octave, tells from which age on. Idle is
 *              counted as in nm_due.c, so neither a wrong clock of a sender nor time in which the
 *              daemon was away makes a series idle.
 * Cost         16 bytes of sequential reading a series, once a minute.
 */
#include "normalise/normalise_int.h"

enum {
    IDLE_LEAST_S = 900,   /* nothing younger is forgotten, however crowded it is */
    IDLE_GAPS = 3,        /* nor what is late by less than this many of its usual distances */
    IDLE_EVERY_S = 60,    /* between two passes, and ... */
    IDLE_CROWDED_S = 10,  /* ... while it is crowded */
    IDLE_MAX = 8192,      /* forgotten in one tick */
    IDLE_CLASSES = 128
};

/* What may go: idle for how long; 0: it may not, or it is not there. */
static uint32_t idle_s_of(const struct nm_due *due, uint32_t index, uint32_t clock)
{
    const struct nm_life *life = &due->lives[index];
    const uint32_t idle_s = clock - life->seen_s;
    const uint64_t late_s = (uint64_t)life->gap_s * IDLE_GAPS;
    return life->seen_s == 0 || idle_s < IDLE_LEAST_S || idle_s < late_s ? 0 : idle_s;
}

static uint32_t idle_class(uint32_t idle_s)
{
    const uint32_t octave = 31 - (uint32_t)__builtin_clz(idle_s | 4u);
    return octave * 4 + (idle_s >> (octave - 2) & 3);
}
_Static_assert(IDLE_CLASSES == 32 * 4, "a class for every idle time");

/* From which class on all go, and how many of the class below. */
struct idle_cut { uint32_t from, left; };

static struct idle_cut idle_cut_of(const struct nm *nm, uint32_t clock)
{
    const uint32_t live = ql_series_live(nm->table), count = ql_series_count(nm->table);
    const uint32_t tenth = ql_series_max(nm->table) / 10, room = 8 * tenth;
    uint32_t classes[IDLE_CLASSES] = { 0 };
    struct idle_cut cut = { .from = IDLE_CLASSES };
    if (live <= 9 * tenth) {
        return cut;
    }
    cut.left = live - room < IDLE_MAX ? live - room : IDLE_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const uint32_t idle_s = idle_s_of(&nm->due, i, clock);
        classes[idle_class(idle_s)] += idle_s != 0;
    }
    while (cut.from > 0 && classes[cut.from - 1] <= cut.left) {
        cut.left -= classes[--cut.from];
    }
    return cut;
}

static bool idle_goes(const struct nm *nm, struct idle_cut *cut, uint32_t idle_s)
{
    const uint32_t class = idle_class(idle_s);
    if (idle_s == 0) {
        return false;
    }
    if (class >= cut->from || (double)idle_s >= nm->config->series_idle_s) {
        return true;
    }
    const bool taken = class + 1 == cut->from && cut->left > 0;
    cut->left -= taken;
    return taken;
}

static void idle_forget(struct nm *nm, const struct ql_batch *bus)
{
    for (uint32_t i = 0; i < bus->retired.count; i++) {
        struct nm_life *life = &nm->due.lives[bus->retired.at[i].series];
        life->seen_s = life->gap_s = 0; /* where it waits in the wheel it is passed over */
    }
    nm_services_forget(nm);
}

void nm_idle_tick(struct nm *nm, struct ql_batch *bus)
{
    const uint32_t clock = nm_due_clock(&nm->due), count = ql_series_count(nm->table);
    if (clock < nm->idle_next_s) {
        return;
    }
    struct idle_cut cut = idle_cut_of(nm, clock);
    const bool crowded = cut.from < IDLE_CLASSES || cut.left > 0;
    for (uint32_t i = 0; i < count && bus->retired.count < IDLE_MAX; i++) {
        const uint32_t idle_s = idle_s_of(&nm->due, i, clock);
        struct ql_retired *one =
            idle_goes(nm, &cut, idle_s) ? ql_batch_add_retired_one(bus) : NULL;
        if (one != NULL) {
            *one = (struct ql_retired){ .series = i, .idle_s = idle_s };
        }
    }
    if (bus->retired.count > 0) {
        idle_forget(nm, bus);
    }
    const bool names = nm_services_idle(nm, nm->config->series_idle_s, IDLE_LEAST_S);
    const uint32_t wait_s = bus->retired.count == IDLE_MAX ? 1
                            : crowded || names             ? IDLE_CROWDED_S
                                                           : IDLE_EVERY_S;
    nm->idle_next_s = clock + wait_s;
}

/* nm_type.c - is it a counter, and how often does it come.
 *
 * Good for     senders that do not tell the type (remote write 1.0 mostly does not).
 * Bad for      gauges that only grow for 64 samples (a filling disk): they pass for counters
 *              until they fall twice in 64 samples, then they are gauges for good.
 * Method       algorithms.md 1.1(a): at least 98 % of the first 64 steps do not fall, and some
 *              rise. The usual step follows by bounded moves, so one gap cannot spoil it.
 * Cost         a few integer operations a sample; 12 bytes a series, all in its row.
 */
#include "normalise/normalise_int.h"

/* A name like "_count" outweighs a few resets, but not a number that goes up and down. */
enum { LEARN_STEPS = 64, FALLS_MAX = LEARN_STEPS / 50, FALLS_NAMED_MAX = LEARN_STEPS / 4 };

/* row->learn: steps, rises, falls in a byte each from the low end, then NM_ flags. */
static uint32_t learn_steps(uint32_t learn) { return learn & 255; }
static uint32_t learn_rises(uint32_t learn) { return learn >> 8 & 255; }
static uint32_t learn_falls(uint32_t learn) { return learn >> 16 & 255; }

void nm_type_of_name(struct ql_series *row, ql_str name)
{
    static const struct { const char *suffix; uint32_t learn; } rows[] = {
        { "_total", 0 }, { "_bucket", 0 }, { "_count", NM_NAMED }, { "_sum", NM_NAMED },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        if (ql_str_ends(name, ql_str_of(rows[i].suffix))) {
            row->type = QL_METRIC_COUNTER;
            row->learn |= rows[i].learn;
        }
    }
}

/* From here on the type is `type`; a counter is watched on, a gauge is not. */
static void type_settle(struct ql_series *row, enum ql_metric_type type)
{
    row->type = (uint8_t)type;
    row->learn = (row->learn & (NM_MARKED | NM_NAMED)) | NM_LEARNT;
}

void nm_type_learn(struct ql_series *row, double before, double after)
{
    const bool watched = row->type == QL_METRIC_UNKNOWN ||
                         (row->type == QL_METRIC_COUNTER &&
                          (row->learn & (NM_LEARNT | NM_NAMED)) != 0);
    if (!watched) {
        return;
    }
    row->learn += 1u + (after > before ? 1u << 8 : 0) + (after < before ? 1u << 16 : 0);
    const uint32_t falls_max = (row->learn & NM_NAMED) != 0 ? FALLS_NAMED_MAX : FALLS_MAX;
    if (after < 0.0 || learn_falls(row->learn) > falls_max) {
        type_settle(row, QL_METRIC_GAUGE);
    } else if (learn_steps(row->learn) == LEARN_STEPS) {
        const bool grows = learn_rises(row->learn) > 0 || row->type == QL_METRIC_COUNTER;
        type_settle(row, grows ? QL_METRIC_COUNTER : QL_METRIC_GAUGE);
    }
}

bool nm_type_is_open(const struct ql_series *row)
{
    const uint32_t steps = learn_steps(row->learn);
    return row->type == QL_METRIC_UNKNOWN &&
           (steps == 0 ||
            (learn_rises(row->learn) > 0 && learn_falls(row->learn) * 50 <= steps));
}

/* Young series may double or halve their step, older ones move it by an eighth. */
uint32_t nm_step_learn(uint32_t step, int64_t distance, uint32_t seen_count)
{
    const int64_t limit = INT32_MAX;
    const int64_t known = step, wanted = distance < 1 ? 1 : distance > limit ? limit : distance;
    if (known == 0) {
        return (uint32_t)wanted;
    }
    const bool young = seen_count < 16;
    const int64_t up = young ? known : known / 8 + 1, down = young ? known / 2 : known / 8 + 1;
    const int64_t low = known - down, high = known + up;
    const int64_t moved = wanted < low ? low : wanted > high ? high : wanted;
    /* Jitter is averaged; what was clamped is taken as it is. */
    const int64_t next = moved == wanted && !young ? known + (wanted - known) / 4 : moved;
    return (uint32_t)(next < 1 ? 1 : next > limit ? limit : next);
}

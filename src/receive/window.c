/* window.c - which samples the engine will leave out for their time alone.
 *
 * The engine judges behind the journal, when the sender has its answer. But how far from now a
 * sample may be depends on nothing that only the engine knows, so it can be told at the door.
 * Nothing is taken out here: the journal holds what came, and the engine drops and counts.
 *
 * The engine's now is the door's or later, by the time that the batch waits: what is told to be
 * too old is dropped for certain, what is told to be too far ahead unless it is so by less.
 */
#include "receive/receive_int.h"

#include "model/labels.h"

#include <stdio.h>

/* Settings may be larger than time itself. */
static ql_time window_edge(ql_time now, double distance_s)
{
    const double ns = (double)now.ns + distance_s * 1e9;
    return (ql_time){ ns >= 9.2e18 ? INT64_MAX : ns <= -9.2e18 ? INT64_MIN + 1 : (int64_t)ns };
}

/* The first one: where it is and what is allowed. */
static void window_say(struct receive_outside *outside, const struct ql_run *run, bool old,
                       double allowed_s)
{
    struct ql_buf labels;
    ql_buf_init(&labels, 2 * QL_LABELS_BYTES_MAX);
    (void)ql_labels_text(run->labels, &labels);
    (void)snprintf(outside->text, sizeof(outside->text),
                   "%s than limits.sample_%s_max, %.15g s: %.160s",
                   old ? "a sample is further behind the clock" : "a sample is further ahead",
                   old ? "behind" : "ahead", allowed_s, labels.bytes > 0 ? labels.at : "");
    ql_buf_fini(&labels);
}

void ql_receive_find_outside(const struct ql_batch *batch, ql_time now,
                             const struct receive_window *window,
                             struct receive_outside *ret_outside)
{
    const ql_time oldest = window_edge(now, -window->behind_s);
    const ql_time newest = window_edge(now, window->ahead_s);
    ret_outside->count = 0;
    for (uint32_t i = 0; i < batch->runs.count; i++) {
        const struct ql_run *run = &batch->runs.at[i];
        const struct ql_sample *samples = batch->samples.at + run->sample_first;
        for (uint32_t s = 0; s < run->sample_count; s++) {
            const bool old = samples[s].at.ns < oldest.ns;
            if ((old || samples[s].at.ns > newest.ns) && ret_outside->count++ == 0) {
                window_say(ret_outside, run, old, old ? window->behind_s : window->ahead_s);
            }
        }
    }
}

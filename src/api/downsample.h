/* downsample.h - fewer points that draw the same picture.
 *
 * Good for     line plots of long ranges: spikes stay at their height and time.
 * Bad for      sums or averages of what is left: the kept samples are extremes.
 * Method       M4 (Jugel et al., VLDB 2014): of each stretch of time the first, the lowest,
 *              the highest and the last sample.
 * Cost         one pass; no memory.
 */
#ifndef QL_API_DOWNSAMPLE_H
#define QL_API_DOWNSAMPLE_H

#include "model/record.h"

/* Keeps at most about count_max of the samples, in place and in order; returns how many.
 * All are kept when there are no more than that. Samples are ordered by time; one that
 * is no number is kept as a first or last of its stretch only. count_max >= 4. */
uint32_t ql_downsample(struct ql_sample *samples, uint32_t count, uint32_t count_max);

#endif

/* series.h - the shop's metrics as one remote-write 1.0 request per step.
 *
 * About 20 series a service and 8 a host, under the names their own libraries would
 * give them. The request is a protobuf WriteRequest, not yet compressed. */
#ifndef SHOP_SERIES_H
#define SHOP_SERIES_H

#include "text.h"
#include "world.h"

/* Appends the request; returns the samples in it. */
uint32_t shop_series_write(const struct shop_world *world, int64_t at_ms, struct shop_text *out);

#endif

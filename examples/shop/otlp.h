/* otlp.h - the shop's traces and logs as OpenTelemetry exporters would send them.
 *
 * Spans go as protobuf, logs as JSON, so that both encodings are spoken. Of all requests
 * a small share is traced, as a head sampler would; every remote call has a client span
 * at the caller and a server span at the callee. */
#ifndef SHOP_OTLP_H
#define SHOP_OTLP_H

#include "text.h"
#include "world.h"

#define SHOP_TIME_BYTES 32
/* "2026-01-05T09:00:00.000Z" */
void shop_time_text(int64_t at_ms, char out[SHOP_TIME_BYTES]);

/* Append an Export*ServiceRequest of the step that ended at at_ms; return the records. */
uint32_t shop_spans_write(const struct shop_world *world, int64_t at_ms, struct shop_text *out);
uint32_t shop_logs_write(const struct shop_world *world, int64_t at_ms, struct shop_text *out);

#endif

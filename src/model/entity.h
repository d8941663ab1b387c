/* entity.h - what a series, alert or change is about: a service, host, pod, ...
 *
 * An entity is named "kind/name", e.g. "service/checkout" or "host/10.0.0.7". Its id
 * is a hash of that text, so shards agree without talking to each other.
 *
 * Determinism   a pure function of the labels.
 */
#ifndef QL_MODEL_ENTITY_H
#define QL_MODEL_ENTITY_H

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

ql_entity_id ql_entity_id_of(ql_str name); /* of "kind/name" */
/* Writes "kind/name" for a label block by precedence (service, service_name, app,
 * container, pod, host, instance, job ...); false when no label says. */
bool ql_entity_of_labels(ql_str labels, struct ql_buf *out);
/* "checkout" -> "service/checkout"; "host/a" stays. */
void ql_entity_of_name(ql_str name, struct ql_buf *out);

#endif

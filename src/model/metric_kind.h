/* metric_kind.h - what a metric measures, as far as its name tells.
 *
 * Correlate asks whether a metric is a symptom that users feel; diagnose asks whether it
 * is a state inside the thing (memory, a pool) or what the outside sees of it (latency,
 * errors), and which direction is bad. A name that says nothing is OTHER: never a guess.
 *
 * Determinism   a pure function of the name.
 *
 * Adding one    a row in the word table of metric_kind.c.
 */
#ifndef QL_MODEL_METRIC_KIND_H
#define QL_MODEL_METRIC_KIND_H

#include "base/base.h"

/* In order of weight: where a name holds words of several kinds, the first kind wins
 * ("connection_errors" is ERROR, "request_duration" is LATENCY). */
#define QL_METRIC_KIND_MAP(X)                                                          \
    X(RESTART, "restarts") X(ERROR, "errors") X(AVAILABILITY, "availability")          \
    X(LATENCY, "latency") X(CPU, "cpu") X(MEMORY, "memory") X(DISK, "disk")            \
    X(NETWORK, "network") X(POOL, "pool or queue") X(TRAFFIC, "traffic")               \
    X(OTHER, "other")
enum ql_metric_kind {
#define X(name, text) QL_METRIC_KIND_##name,
    QL_METRIC_KIND_MAP(X)
#undef X
    QL_METRIC_KIND_COUNT
};

enum ql_metric_kind ql_metric_kind_of(ql_str name);
const char *ql_metric_kind_text(enum ql_metric_kind kind);
/* What callers of the entity feel: errors, availability, latency. */
bool ql_metric_is_symptom(enum ql_metric_kind kind);
/* A state of the entity itself: restarts, cpu, memory, disk, pools and queues. */
bool ql_metric_is_internal(enum ql_metric_kind kind);
/* Does it tell how long something waited (for a connection, in a queue)? */
bool ql_metric_is_wait(ql_str name);
/* +1: more is worse; -1: less is worse (availability, free memory); 0: the name does not
 * say, or either is (traffic). */
int ql_metric_bad_direction(ql_str name);

#endif

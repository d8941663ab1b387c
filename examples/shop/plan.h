/* plan.h - the shop on paper as tables; the numbers and their meaning are in plan.def. */
#ifndef SHOP_PLAN_H
#define SHOP_PLAN_H

#include <stdbool.h>
#include <stdint.h>

enum shop_service_id {
#define SHOP_SERVICE(id, name, host, self_ms, cpu_ms, workers, pool, memory_mb) SHOP_##id,
#include "plan.def"
    SHOP_SERVICE_COUNT
};
enum { SHOP_HOST_COUNT = 4, SHOP_CALL_COUNT = 16 };

struct shop_host_plan { const char *name; double cores; };
struct shop_service_plan {
    const char *name;
    uint32_t host;
    double self_ms, cpu_ms, workers, pool, memory_mb;
};
struct shop_call_plan { uint32_t caller, callee; double calls; bool waits; };

extern const struct shop_host_plan shop_hosts[SHOP_HOST_COUNT];
extern const struct shop_service_plan shop_services[SHOP_SERVICE_COUNT];
extern const struct shop_call_plan shop_calls[SHOP_CALL_COUNT];

/* SHOP_SERVICE_COUNT when there is none of that name. */
uint32_t shop_service_find(const char *name);

#endif

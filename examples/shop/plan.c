#include "plan.h"

#include <string.h>

const struct shop_host_plan shop_hosts[SHOP_HOST_COUNT] = {
#define SHOP_HOST(name, cores) { name, cores },
#include "plan.def"
};

const struct shop_service_plan shop_services[SHOP_SERVICE_COUNT] = {
#define SHOP_SERVICE(id, name, host, self_ms, cpu_ms, workers, pool, memory_mb)                    \
    { name, host, self_ms, cpu_ms, workers, pool, memory_mb },
#include "plan.def"
};

const struct shop_call_plan shop_calls[SHOP_CALL_COUNT] = {
#define SHOP_CALL(caller, callee, calls, waits) { SHOP_##caller, SHOP_##callee, calls, waits },
#include "plan.def"
};

uint32_t shop_service_find(const char *name)
{
    uint32_t i = 0;
    while (i < SHOP_SERVICE_COUNT && strcmp(shop_services[i].name, name) != 0) {
        i++;
    }
    return i;
}

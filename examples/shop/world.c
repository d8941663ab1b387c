#include "world.h"

#include <math.h>
#include <string.h>

/* The draws of one step; `who` is the service or host. */
enum { DRAW_LOAD, DRAW_WANDER, DRAW_RATE, DRAW_TAIL, DRAW_CPU, DRAW_MEMORY, DRAW_POOL, DRAW_FAIL,
       DRAW_NETWORK, DRAW_DISK, DRAW_HOST };

enum {
    WORLD_LOAD_PER_S = 400,      /* requests to the gateway on an average hour */
    WORLD_HOUR_FIRST = 8,        /* the shop's day starts in the morning */
    WORLD_DOWN_STEPS = 1,
    WORLD_COLD_STEPS = 4
};
static const double WORLD_LEAK_PER_S = 4.0;
static const double WORLD_ACQUIRE_S_MAX = 0.8;  /* how long checkout waits for a connection */
static const double WORLD_QUEUE_S_MAX = 1.5;    /* how long a request waits for a worker */
static const double WORLD_FAILED_BASE = 0.001;

static struct shop_noise world_noise(const struct shop_world *world)
{
    return (struct shop_noise){ world->seed, world->step };
}

static double world_jitter(const struct shop_world *world, uint32_t who, uint32_t what,
                           double share)
{
    return exp(share * shop_noise_normal(world_noise(world), who, what));
}

void shop_world_init(struct shop_world *world, uint64_t seed)
{
    memset(world, 0, sizeof(*world));
    world->seed = seed;
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        /* Nobody starts counting when somebody starts looking. */
        struct shop_service *service = &world->service[s];
        const struct shop_noise noise = { seed, UINT32_MAX };
        const double age_s = 86400.0 * (1 + 6 * shop_noise_uniform(noise, s, DRAW_LOAD));
        service->cpu_total = age_s * 0.4;
        service->received_total = age_s * 9e4;
        service->sent_total = age_s * 2e5;
        service->requests_total = floor(age_s * 50);
        service->failed_total = floor(age_s * 50 * WORLD_FAILED_BASE);
        service->seconds_total = age_s * 2;
        service->heap_bytes = shop_services[s].memory_mb * 0.4e6;
    }
}

static double world_load_per_s(struct shop_world *world)
{
    const double hour = WORLD_HOUR_FIRST + (double)world->step * SHOP_STEP_S / 3600.0;
    const double day = 1.0 + 0.30 * sin(2 * M_PI * (hour - 9.0) / 24.0);
    world->load_wander = 0.97 * world->load_wander +
                         0.006 * shop_noise_normal(world_noise(world), 0, DRAW_LOAD);
    return WORLD_LOAD_PER_S * day * (1.0 + world->load_wander);
}

/* How long one waits when `wanted` of `places` are wanted, each held for hold_s. */
static double world_wait_s(double wanted, double places, double hold_s, double wait_s_max)
{
    const double rho = places > 0 ? wanted / places : 2.0;
    if (rho >= 1.0) {
        return wait_s_max;
    }
    const double wait_s = hold_s * pow(rho, 8) / (1.0 - rho);
    return wait_s < wait_s_max ? wait_s : wait_s_max;
}

static double world_refused(double wanted, double places)
{
    const double rho = places > 0 ? wanted / places : 50.0;
    return rho > 1.0 ? 1.0 - 1.0 / rho : 0.0;
}

/* Load flows down: what a caller lets through times its calls, and again what failed once. */
static void world_flow_load(struct shop_world *world)
{
    double wanted[SHOP_SERVICE_COUNT] = { 0 };
    wanted[SHOP_GATEWAY] = world_load_per_s(world);
    for (uint32_t c = 0; c < SHOP_CALL_COUNT; c++) {
        const struct shop_call_plan *call = &shop_calls[c];
        /* Callers stand before callees, so the first call of a caller finds its load done. */
        const struct shop_service *caller = &world->service[call->caller];
        const struct shop_service *callee = &world->service[call->callee];
        const double let_through = 1.0 - caller->failed, again = 1.0 + 0.5 * callee->failed;
        wanted[call->callee] += wanted[call->caller] * let_through * call->calls * again;
    }
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        struct shop_service *service = &world->service[s];
        const uint32_t came = shop_noise_count(world_noise(world), s, DRAW_RATE,
                                               wanted[s] * SHOP_STEP_S);
        service->rate = (double)came / SHOP_STEP_S;
        const double keep = world->step < 120 ? (double)world->step / (world->step + 1.0)
                                              : 119.0 / 120.0;
        service->rate_usual = keep * service->rate_usual + (1.0 - keep) * service->rate;
    }
}

/* Latency and failures flow up: everything below `s` is done already. */
static void world_wait_for_callees(const struct shop_world *world, uint32_t s, double *ret_wait_s,
                                   double *ret_failed)
{
    double wait_s = 0, worked = 1.0;
    for (uint32_t c = 0; c < SHOP_CALL_COUNT; c++) {
        const struct shop_call_plan *call = &shop_calls[c];
        if (call->caller == s && call->waits) {
            const struct shop_service *callee = &world->service[call->callee];
            wait_s += call->calls * callee->mean_s * (1.0 + 0.5 * callee->failed);
            worked *= 1.0 - (call->calls < 1 ? call->calls : 1.0) * callee->failed;
        }
    }
    *ret_wait_s = wait_s;
    *ret_failed = 1.0 - worked;
}

/* Time to get a database connection, and the share of requests that never get one. */
static double world_use_pool(struct shop_world *world, uint32_t s, double work_s)
{
    struct shop_service *service = &world->service[s];
    const double pool = shop_services[s].pool;
    if (pool <= 0) {
        return 0;
    }
    const double lost = s == SHOP_CHECKOUT ? world->leaked : 0;
    const double hold_s = work_s * (s == SHOP_CHECKOUT ? 1.0 : 0.6);
    const double wanted = service->rate * hold_s * world_jitter(world, s, DRAW_POOL, 0.06);
    const double places = pool - lost;
    const double used = lost + (wanted < places ? wanted : places);
    service->pool_in_use = floor(used + 0.5);
    service->pool_wait_s = world_wait_s(wanted, places, hold_s, WORLD_ACQUIRE_S_MAX) +
                           1e-4 * world_jitter(world, s, DRAW_POOL + 100, 0.2);
    return world_refused(wanted, places);
}

static void world_work(struct shop_world *world, uint32_t s)
{
    struct shop_service *service = &world->service[s];
    const struct shop_service_plan *plan = &shop_services[s];
    double wait_s, failed_below;
    world_wait_for_callees(world, s, &wait_s, &failed_below);
    service->wander = 0.9 * service->wander +
                      0.02 * shop_noise_normal(world_noise(world), s, DRAW_WANDER);
    const double cold = service->cold_steps > 0 ? 1.4 : 1.0;
    const double self_s = plan->self_ms / 1000 * exp(service->wander) * cold;
    const double refused_pool = world_use_pool(world, s, self_s + wait_s);
    /* A request that gets no connection does not go on to the callees. */
    const double inside_s = self_s + service->pool_wait_s + wait_s * (1.0 - refused_pool);
    const double wanted = service->rate * inside_s;
    const double queue_s = world_wait_s(wanted, plan->workers, inside_s, WORLD_QUEUE_S_MAX);
    const double refused = world_refused(wanted, plan->workers);
    service->own_s = self_s + service->pool_wait_s + queue_s;
    service->mean_s = inside_s + queue_s;
    service->busy = wanted < plan->workers ? wanted : plan->workers;
    service->queued = service->rate * queue_s;
    service->in_flight = service->busy + service->queued;
    service->p50_s = 0.82 * service->mean_s * world_jitter(world, s, DRAW_TAIL + 200, 0.015);
    service->p99_s = 2.6 * (self_s + wait_s * (1.0 - refused_pool)) *
                         world_jitter(world, s, DRAW_TAIL, 0.05) +
                     1.3 * (service->pool_wait_s + queue_s);
    const double base = WORLD_FAILED_BASE * world_jitter(world, s, DRAW_FAIL, 0.3);
    service->failed = 1.0 - (1.0 - base) * (1.0 - refused_pool) * (1.0 - refused) *
                                (1.0 - failed_below);
}

/* While the process is away its callers get refusals at once. */
static void world_stand_still(struct shop_service *service)
{
    service->failed = 1.0;
    service->mean_s = service->p50_s = service->p99_s = service->own_s = 0.002;
    service->in_flight = service->busy = service->queued = 0;
    service->pool_in_use = 0;
    service->pool_wait_s = 0;
}

static void world_use_machine(struct shop_world *world, uint32_t s)
{
    struct shop_service *service = &world->service[s];
    const struct shop_service_plan *plan = &shop_services[s];
    const double worked = service->rate * (1.0 - 0.7 * service->failed);
    service->cpu_cores = (0.03 + worked * plan->cpu_ms / 1000) *
                         world_jitter(world, s, DRAW_CPU, 0.03);
    /* Garbage piles up with the work done and is collected when the heap is full. */
    const double heap_max = plan->memory_mb * 0.7e6;
    service->heap_bytes += worked * SHOP_STEP_S * 2e4 *
                           world_jitter(world, s, DRAW_MEMORY, 0.1);
    if (service->heap_bytes > heap_max) {
        const double piled = service->heap_bytes - plan->memory_mb * 0.4e6;
        const double runs = floor(piled / (heap_max - plan->memory_mb * 0.4e6));
        service->gc_total += runs;
        service->gc_seconds_total += runs * 0.012 * world_jitter(world, s, DRAW_MEMORY + 300, 0.2);
        service->heap_bytes = plan->memory_mb * 0.4e6 +
                              fmod(piled, heap_max - plan->memory_mb * 0.4e6);
    }
    service->memory_bytes = plan->memory_mb * 1e6 + service->in_flight * 1.5e5 +
                            plan->memory_mb * 4e3 *
                                shop_noise_normal(world_noise(world), s, DRAW_MEMORY + 400);
    service->threads = floor(24 + service->busy * 0.5 + 0.5);
    service->files = floor(60 + service->in_flight + service->pool_in_use + 0.5);
}

static void world_count(struct shop_world *world, uint32_t s)
{
    struct shop_service *service = &world->service[s];
    const double came = service->rate * SHOP_STEP_S;
    const double failed = shop_noise_count(world_noise(world), s, DRAW_FAIL + 500,
                                           came * service->failed);
    service->requests_total += came;
    service->failed_total += failed < came ? failed : came;
    service->seconds_total += came * service->mean_s;
    service->cpu_total += service->cpu_cores * SHOP_STEP_S;
    service->received_total += came * 900 * world_jitter(world, s, DRAW_NETWORK, 0.02);
    service->sent_total += came * 2600 * world_jitter(world, s, DRAW_NETWORK + 600, 0.02);
}

/* The shop shares its hosts: others use a third of them, now more, now less. */
static void world_use_host(struct shop_world *world, uint32_t h)
{
    struct shop_host *host = &world->host[h];
    const uint32_t who = 1000 + h;
    const double wander = 0.04 * shop_noise_normal(world_noise(world), who, DRAW_WANDER);
    host->others = world->step == 0 ? 1.0 : 1.0 + 0.9 * (host->others - 1.0) + wander;
    double cores = shop_hosts[h].cores * 0.33 * host->others;
    double memory = shop_hosts[h].cores * 1.2e9 * (0.8 + 0.2 * host->others);
    double network = 6e6 * host->others, disk = 8e6 * host->others;
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        if (shop_services[s].host == h) {
            const struct shop_service *service = &world->service[s];
            cores += service->cpu_cores;
            memory += service->memory_bytes;
            network += service->rate * 900;
            disk += service->rate * (s == SHOP_ORDERS_DB ? 8000 : 120);
        }
    }
    cores *= world_jitter(world, who, DRAW_HOST, 0.02);
    cores = cores < shop_hosts[h].cores ? cores : shop_hosts[h].cores;
    host->cpu_share = cores / shop_hosts[h].cores;
    host->load1 = 0.8 * host->load1 + 0.2 * cores * world_jitter(world, who, DRAW_CPU, 0.08);
    host->memory_available_bytes = shop_hosts[h].cores * 4e9 - memory;
    host->cpu_total += cores * SHOP_STEP_S;
    host->idle_total += (shop_hosts[h].cores - cores) * SHOP_STEP_S;
    host->disk_written_total += disk * SHOP_STEP_S * world_jitter(world, who, DRAW_DISK, 0.08);
    host->received_total += network * SHOP_STEP_S * world_jitter(world, who, DRAW_NETWORK, 0.03);
    host->sent_total += network * 2.7 * SHOP_STEP_S *
                        world_jitter(world, who, DRAW_NETWORK + 600, 0.03);
}

void shop_world_step(struct shop_world *world)
{
    const double pool = shop_services[SHOP_CHECKOUT].pool;
    if (world->leaking) {
        world->leaked += WORLD_LEAK_PER_S * SHOP_STEP_S;
        world->leaked = world->leaked < pool - 1 ? world->leaked : pool - 1;
    }
    world_flow_load(world);
    for (uint32_t s = SHOP_SERVICE_COUNT; s-- > 0;) {
        struct shop_service *service = &world->service[s];
        service->away = service->down_steps > 0;
        if (service->away) {
            service->down_steps--;
            world_stand_still(service);
        } else {
            world_work(world, s);
            service->cold_steps -= service->cold_steps > 0;
        }
        world_use_machine(world, s);
        world_count(world, s);
    }
    for (uint32_t h = 0; h < SHOP_HOST_COUNT; h++) {
        world_use_host(world, h);
    }
    world->step++;
}

void shop_world_leak(struct shop_world *world)
{
    world->leaking = true;
}

void shop_world_restart(struct shop_world *world, uint32_t s)
{
    struct shop_service *service = &world->service[s];
    if (s == SHOP_CHECKOUT) {
        world->leaking = false;
        world->leaked = 0;
    }
    service->requests_total = service->failed_total = service->seconds_total = 0;
    service->cpu_total = service->gc_total = service->gc_seconds_total = 0;
    service->received_total = service->sent_total = 0;
    service->heap_bytes = shop_services[s].memory_mb * 0.2e6;
    service->down_steps = WORLD_DOWN_STEPS;
    service->cold_steps = WORLD_COLD_STEPS;
}

bool shop_world_healthy(const struct shop_world *world)
{
    const struct shop_service *door = &world->service[SHOP_GATEWAY];
    return door->p99_s < 0.4 && door->failed < 0.01;
}

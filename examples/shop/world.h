/* world.h - the living shop: load comes in, services work, wait, fail and recover.
 *
 * Good for     a believable day of a small system with one thing going wrong in it.
 * Bad for      capacity planning: queues are closed formulas, not simulated requests.
 * Method       every step (15 s) load flows down the call graph, latency and failures
 *              flow back up; a pool or a set of workers that runs short makes requests
 *              wait by the M/M/c-like term rho^8 / (1 - rho) and refuses what exceeds it.
 *              Failures act on the next step, so feedback has a delay and no fixed point
 *              has to be solved.
 * The fault    `leak`: from some time on some of checkout's orders never give their database
 *              connection back, until the process is restarted.
 *
 * Determinism  the same seed, fault and restarts (by step) give the same numbers. */
#ifndef SHOP_WORLD_H
#define SHOP_WORLD_H

#include "noise.h"
#include "plan.h"

#include <stdbool.h>
#include <stdint.h>

enum { SHOP_STEP_S = 15 };

struct shop_service { /* one service during the step that just ended */
    double rate, failed;                    /* requests/s that came; share of them that failed */
    double mean_s, p50_s, p99_s;            /* time a caller waits */
    double own_s;                           /* of it: without waiting for callees */
    double in_flight, busy, queued;         /* requests inside; workers busy; waiting for one */
    double cpu_cores, memory_bytes, heap_bytes, threads, files;
    double pool_in_use, pool_wait_s;        /* database connections; time to get one */
    double requests_total, failed_total, seconds_total; /* since the process started */
    double cpu_total, gc_total, gc_seconds_total, received_total, sent_total;
    double wander;                          /* slow noise of its speed, around 0 */
    double rate_usual;                      /* mean of the last half hour */
    uint32_t down_steps, cold_steps;        /* still to be away; to run with cold caches */
    bool away;                              /* the process was not there in this step */
};

struct shop_host {
    double others;                          /* how busy its other tenants are, around 1 */
    double cpu_share, memory_available_bytes, load1;
    double cpu_total, idle_total, disk_written_total, received_total, sent_total;
};

struct shop_world {
    uint64_t seed;
    uint32_t step;             /* steps lived so far */
    double load_wander;
    double leaked;             /* connections of checkout that never come back */
    bool leaking;
    struct shop_service service[SHOP_SERVICE_COUNT];
    struct shop_host host[SHOP_HOST_COUNT];
};

void shop_world_init(struct shop_world *world, uint64_t seed);
void shop_world_step(struct shop_world *world);
void shop_world_leak(struct shop_world *world);
/* The process ends and starts again: counters at 0, pool empty, one step away. */
void shop_world_restart(struct shop_world *world, uint32_t service);
/* What the shop promises its customers: nine of ten pages are quick and nearly none fails. */
bool shop_world_healthy(const struct shop_world *world);

#endif

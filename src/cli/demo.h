/* demo.h - the parts of `quell demo`: two runs of one day, and the story that came out.
 *
 * A run is a folder with a daemon and a shop in it. The demo knows of them only what
 * anybody could: the daemon's HTTP API, and the shop's own account of what happened
 * (examples/shop/control.h), with which the daemon's account is compared.
 *
 * Ownership     init/fini; a run's children are ended by fini, by pid.
 * Threads       one.
 */
#ifndef QL_CLI_DEMO_H
#define QL_CLI_DEMO_H

#include "base/base.h"
#include "base/buf.h"
#include "cli/client.h"

#include <sys/types.h>

#define DEMO_PATH_BYTES 512
#define DEMO_TEXT_BYTES 256

/* ---- demo_child.c: processes and their folder ------------------------------------------ */

/* Starts argv with standard output and error appended to log_path; it is asked to stop when
 * this process dies. QL_E_IO. */
QL_MUST_USE ql_err demo_spawn(const char *const *argv, const char *log_path, pid_t *ret_pid);
/* True once the child has ended; its exit status (128 + signal when killed). */
bool demo_ended(pid_t *pid, int *ret_status);
void demo_stop(pid_t *pid, int grace_ms); /* SIGTERM, then SIGKILL; 0 is fine */
ql_err demo_remove_tree(const char *path);
void demo_sleep_ms(int ms);

/* ---- demo_run.c: one daemon and one shop ------------------------------------------------- */

struct demo_shop { /* what the shop itself says; QL_TIME_NONE: has not happened */
    ql_time now, fault, hurt, restart, well, end;
    char restart_by[32];
    int64_t alerts_firing, alerts_distinct, alerts_sent, samples, spans, logs, refused;
    int64_t pool_in_use, p99_ms;
    double failed_ratio;
};
struct demo_plan {
    const char *quell, *shop; /* programs */
    uint64_t seed;
    double hours, human_minutes, settle_minutes;
    long fault_pace_ms;
};
struct demo_run {
    char folder[DEMO_PATH_BYTES], url[64];
    bool acts;
    pid_t daemon, feeder;     /* 0: not running */
    int daemon_status, feeder_status;
    bool feeder_done;
    struct demo_shop shop;
};
/* Starts the daemon, waits until it is ready, starts the shop. On failure says why on stderr. */
QL_MUST_USE ql_err demo_run_start(struct demo_run *run, const struct demo_plan *plan,
                                  const char *folder, bool acts);
void demo_run_look(struct demo_run *run); /* reads status and events, reaps children */
void demo_run_fini(struct demo_run *run);

/* ---- demo_story.c: what the daemon made of it ------------------------------------------------ */

struct demo_story {
    uint32_t incidents_before, incidents_during; /* the fault; merged ones left out */
    int64_t id;                                  /* the newest of those during; 0: none */
    char title[DEMO_TEXT_BYTES], state[32], by[64];
    ql_time onset, opened, resolved;
    int64_t alerts, signals, entities, raw;
    char cause_entity[DEMO_TEXT_BYTES], cause_metric[DEMO_TEXT_BYTES];
    char action_state[64], action_step[DEMO_TEXT_BYTES];
    ql_time acted;                               /* the first step began to run */
    uint32_t actions_run;
};
/* Reads the list, and the incident that belongs to the fault. 0, or the client's status. */
QL_MUST_USE int demo_story_read(struct ql_client *client, const struct demo_run *run,
                                struct demo_story *ret_story);
/* Prints the incident with causes, actions and timeline. */
QL_MUST_USE int demo_story_print(struct ql_client *client, const struct demo_story *story);
/* One line a claim, each true or not; false if any is not. */
bool demo_story_check(const struct demo_run *with, const struct demo_run *without,
                      const struct demo_story *story);
/* What it was worth: noise and time, with and without. */
void demo_story_worth(const struct demo_run *with, const struct demo_run *without,
                      const struct demo_story *story);

/* "09:46:30" of a time of the shop's day; "--:--:--" for none. */
#define DEMO_CLOCK_BYTES 16
const char *demo_clock(ql_time t, char out[DEMO_CLOCK_BYTES]);
/* "12 min", "45 s" */
const char *demo_span(ql_time from, ql_time to, char out[DEMO_CLOCK_BYTES]);

#endif

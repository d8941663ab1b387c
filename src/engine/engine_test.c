/* The running engine on a disk that refuses: who was told "done" must be right. The disk is
 * full for this process alone, by its limit on the size of files. */
#include "config/config.h"
#include "engine/engine.h"
#include "base/clock.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#define RIG_WAIT_MS 20000

struct rig {
    char dir[64];
    struct ql_stats *stats;
    struct ql_engine *engine;
    const struct ql_view *view;
    int64_t failures; /* of the journal, when the disk was filled */
};

static ql_err rig_dispatch(void *context, const struct ql_action *action)
{
    (void)context;
    (void)action;
    return QL_OK;
}

static void rig_open(struct rig *rig)
{
    struct ql_config *config;
    struct ql_buf why;
    ql_buf_init(&why, 4096);
    (void)snprintf(rig->dir, sizeof(rig->dir), "/tmp/quell-engine-XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    assert_int_equal(ql_config_default(&config), QL_OK);
    config->data_dir = rig->dir;
    rig->stats = ql_stats_new(4096);
    const struct ql_engine_env env = { .config = config, .stats = rig->stats,
                                       .dispatch = rig_dispatch };
    assert_int_equal(ql_engine_open(&env, &rig->engine, &why), QL_OK);
    assert_int_equal(ql_engine_start(rig->engine), QL_OK);
    rig->view = ql_engine_view(rig->engine);
    ql_buf_fini(&why);
}

static int rig_unlink(const char *path, const struct stat *about, int kind, struct FTW *where)
{
    (void)about;
    (void)kind;
    (void)where;
    return remove(path);
}

static void rig_close(struct rig *rig)
{
    ql_engine_stop(rig->engine);
    ql_engine_free(rig->engine);
    ql_stats_free(rig->stats);
    assert_int_equal(nftw(rig->dir, rig_unlink, 16, FTW_DEPTH | FTW_PHYS), 0);
}

static void disk_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int64_t rig_failures(const struct rig *rig)
{
    return ql_stats_sum(rig->stats, "ql_journal_failures_total", "");
}

/* Room again once the disk has refused something: a later tick finds its way to it. */
static void *disk_empties(void *context)
{
    struct rig *rig = context;
    for (int ms = 0; rig_failures(rig) == rig->failures && ms < RIG_WAIT_MS; ms += 20) {
        (void)usleep(20000);
    }
    disk_limit(RLIM_INFINITY);
    return NULL;
}

static ql_err command_send(struct rig *rig)
{
    const struct ql_command command = { .kind = QL_COMMAND_ACK, .incident = { 1 },
                                        .at = ql_clock_now(), .by = QL_STR("ana") };
    return rig->view->command(rig->view->host, &command);
}

static ql_err outcome_send(struct rig *rig)
{
    const struct ql_outcome outcome = { .action = { 7 }, .at = ql_clock_now() };
    return ql_engine_outcome(rig->engine, &outcome);
}

static const struct { const char *what; ql_err (*send)(struct rig *rig); } refused_rows[] = {
    { "command", command_send },
    { "outcome", outcome_send },
};

static void what_the_disk_refused_is_not_said_to_be_done(void **state)
{
    (void)state;
    struct rig rig;
    (void)signal(SIGXFSZ, SIG_IGN);
    rig_open(&rig);
    for (uint32_t i = 0; i < QL_COUNT_OF(refused_rows); i++) {
        pthread_t thread;
        ql_err err;
        for (int ms = 0; (err = refused_rows[i].send(&rig)) == QL_E_IO && ms < RIG_WAIT_MS;) {
            (void)usleep(20000); /* until the disk of the row before is seen to take bytes */
            ms += 20;
        }
        assert_int_equal(err, QL_OK);
        rig.failures = rig_failures(&rig);
        disk_limit(0); /* taken by the sequencer, which does not know yet, refused by the disk */
        assert_int_equal(pthread_create(&thread, NULL, disk_empties, &rig), 0);
        err = refused_rows[i].send(&rig);
        (void)pthread_join(thread, NULL);
        if (err != QL_E_IO) {
            fail_msg("%s: the disk refused it, and the answer is '%s'", refused_rows[i].what,
                     ql_err_text(err));
        }
    }
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_the_disk_refused_is_not_said_to_be_done),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* sequencer_test - what finds no memory is refused, and only that. */
#include "engine/sequencer.h"

#include "base/stat.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

struct bed {
    char dir[64];
    struct ql_journal *journal;
    struct ql_stats *stats;
    struct ql_sequencer *sequencer;
    struct ql_batch batch;
    uint32_t released;
};

static void bed_release(void *host, struct ql_batch *batch)
{
    (void)batch;
    ((struct bed *)host)->released++;
}

static void bed_deliver(void *host, const struct ql_entry *entry)
{
    (void)host;
    (void)entry;
}

static void bed_open(struct bed *bed, uint64_t newest)
{
    struct ql_buf why;
    ql_buf_init(&why, 4096);
    memset(bed, 0, sizeof(*bed));
    (void)snprintf(bed->dir, sizeof(bed->dir), "/tmp/ql-sequencer-XXXXXX");
    assert_non_null(mkdtemp(bed->dir));
    assert_int_equal(ql_journal_open(bed->dir, &bed->journal, &why), QL_OK);
    bed->stats = ql_stats_new(256);
    ql_batch_init(&bed->batch, 1 << 20);
    struct ql_sample *sample = ql_batch_add_sample(&bed->batch);
    assert_non_null(sample);
    *sample = (struct ql_sample){ .at = { 1 } };
    const struct ql_sequencer_env env = { .journal = bed->journal, .stats = bed->stats,
                                          .tick = QL_S(1), .checkpoint = QL_S(10),
                                          .checkpoint_bytes = 1 << 30, .clock_input = true,
                                          .newest = newest, .now = QL_TIME_NONE,
                                          .deliver = bed_deliver, .release = bed_release,
                                          .host = bed };
    assert_int_equal(ql_sequencer_new(&env, &bed->sequencer), QL_OK);
    ql_buf_fini(&why);
}

static void bed_close(struct bed *bed)
{
    DIR *dir = opendir(bed->dir);
    ql_sequencer_free(bed->sequencer);
    ql_journal_close(bed->journal);
    ql_batch_fini(&bed->batch);
    ql_stats_free(bed->stats);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    assert_int_equal(closedir(dir), 0);
    assert_int_equal(rmdir(bed->dir), 0);
}

/* A sample of the engine's second `at_s`: each second is a tick. */
static ql_err bed_submit(struct bed *bed, ql_str body, int64_t at_s, uint64_t *ret_sequence)
{
    bed->batch.samples.at[0].at = (ql_time){ at_s * QL_NS_PER_S };
    const struct ql_submission submission = { .door = 1, .bytes = body, .batch = &bed->batch };
    return ql_sequencer_submit(bed->sequencer, &submission, ret_sequence);
}

/* Nothing large can be allocated any more. */
static void memory_end(struct rlimit *ret_before)
{
    unsigned long pages = 0;
    FILE *file = fopen("/proc/self/statm", "re");
    assert_true(file != NULL && fscanf(file, "%lu", &pages) == 1);
    (void)fclose(file);
    assert_int_equal(getrlimit(RLIMIT_AS, ret_before), 0);
    struct rlimit now = *ret_before;
    now.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + ((rlim_t)1 << 20);
    assert_int_equal(setrlimit(RLIMIT_AS, &now), 0);
}

static void sequences_go_on_above_both(void **state)
{
    static const struct { uint64_t newest, wanted; } rows[] = { { 0, 1 }, { 7, 8 } };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct bed bed;
        uint64_t sequence = 0;
        bed_open(&bed, rows[i].newest);
        assert_int_equal(bed_submit(&bed, QL_STR("x"), 1, &sequence), QL_OK);
        assert_int_equal(sequence, rows[i].wanted);
        bed_close(&bed);
    }
}

/* One body too large for the memory there is does not make the door deaf. */
static void a_body_without_memory_is_refused_alone(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    skip(); /* its allocator ends the process where this one says no */
#endif
    struct bed bed;
    struct rlimit before;
    const size_t bytes = (size_t)48 << 20;
    char *body = calloc(1, bytes);
    (void)state;
    bed_open(&bed, 0);
    memory_end(&before);
    const ql_err large = bed_submit(&bed, (ql_str){ body, bytes }, 1, NULL);
    const ql_err small = bed_submit(&bed, QL_STR("x"), 1, NULL);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(large, QL_E_MEMORY);
    assert_int_equal(small, QL_OK);
    assert_int_equal(bed.released, 1);
    free(body);
    bed_close(&bed);
}

/* A tick that finds no memory is counted, its time is not taken, and the next one comes. */
static void a_tick_without_memory_is_counted(void **state)
{
#ifdef __SANITIZE_ADDRESS__
    skip();
#endif
    struct bed bed;
    struct rlimit before;
    const size_t head = sizeof(struct ql_journal_record);
    size_t capacity = 256, bytes = (size_t)32 << 20; /* as a buffer grows */
    char *body = calloc(1, bytes * 2);
    (void)state;
    bed_open(&bed, 0);
    assert_int_equal(bed_submit(&bed, (ql_str){ body, bytes }, 1, NULL), QL_OK);
    bytes += 2 * head;
    while (capacity < bytes - head) {
        capacity += capacity / 2;
    }
    const int64_t ticked = ql_sequencer_now(bed.sequencer).ns;
    memory_end(&before);
    /* Room for exactly this one; the tick that is due behind it has none. */
    const ql_err err = bed_submit(&bed, (ql_str){ body, capacity - bytes - head }, 5, NULL);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(err, QL_OK);
    assert_int_equal(ql_stats_sum(bed.stats, "ql_ticks_missed_total", ""), 1);
    assert_int_equal(ql_sequencer_now(bed.sequencer).ns, ticked);
    free(body);
    bed_close(&bed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sequences_go_on_above_both),
        cmocka_unit_test(a_body_without_memory_is_refused_alone),
        cmocka_unit_test(a_tick_without_memory_is_counted),
    };
    return cmocka_run_group_tests_name("engine/sequencer", tests, NULL, NULL);
}

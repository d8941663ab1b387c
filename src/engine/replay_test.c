/* replay_test - a day through the running engine, then again from its journal: twice from
 * the beginning, and once from the checkpoint in the middle. The same digests, the same
 * incidents; and a kill without a goodbye loses and repeats nothing.
 *
 * The engine runs with its clock on the input, so the day takes seconds. */
#include "base/rng.h"
#include "base/stat.h"
#include "config/config.h"
#include "engine/checkpoint.h"
#include "engine/engine.h"
#include "engine/journal.h"
#include "engine/replay.h"
#include "model/labels.h"
#include "store/audit.h"
#include "store/store.h"
#include "wire/wire.h"

#include <dirent.h>
#include <math.h>
#include <setjmp.h>
#include <snappy-c.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { SERVICES = 6, METRICS = 4, STEP_S = 15, FAULT_AT = 500, FAULT_END = 560, STEPS = 700 };
#define START_S INT64_C(1767603600)
#define SEED UINT64_C(7)

static const char *const services[SERVICES] = { "web", "cart", "checkout", "payment", "stock", "mail" };
static const char *const metrics[METRICS] = { "cpu_ratio", "latency_ms", "db_connections_in_use",
                                              "requests_total" };

struct place {
    char dir[64];
    atomic_uint acknowledged, refused;
    uint32_t shards;            /* 0: as many as by default */
    const char *policies;       /* of the settings; NULL: none */
};

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/ql-replay-XXXXXX");
    *state = place;
    return mkdtemp(place->dir) == NULL;
}

static int teardown_files(const struct place *place)
{
    int status = 1;
    const pid_t pid = fork();
    if (pid == 0) {
        (void)execlp("rm", "rm", "-rf", place->dir, (char *)NULL);
        _exit(1);
    }
    (void)waitpid(pid, &status, 0);
    return status;
}

static int teardown(void **state)
{
    struct place *place = *state;
    (void)teardown_files(place);
    free(place);
    return 0;
}

/* ---- a day ------------------------------------------------------------------------- */

static size_t put_varint(char *at, uint64_t value)
{
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7) {
        at[bytes++] = (char)(unsigned char)(value | 0x80);
    }
    at[bytes++] = (char)value;
    return bytes;
}

static double day_value(struct ql_rng *rng, int service, int metric, int step)
{
    const bool fault = step >= FAULT_AT && step < FAULT_END;
    const double noise = ql_rng_normal(rng);
    switch (metric) {
    case 0: return 0.3 + 0.02 * noise;
    case 1: return (service <= 2 && fault ? 900.0 : 120.0) + 6.0 * noise;
    case 2: return service == 2 && step >= FAULT_AT - 20 && step < FAULT_END
                       ? fmin(100.0, 12.0 + 5.0 * (step - FAULT_AT + 20)) + fabs(noise)
                       : 12.0 + 1.5 * noise;
    default: return 1000.0 * step + 40.0 * fabs(noise);
    }
}

/* One step of the day as a snappy remote-write body. */
static void day_body(struct ql_rng *rng, int step, struct ql_buf *out)
{
    static char plain[65536];
    size_t used = 0;
    for (int s = 0; s < SERVICES; s++) {
        for (int m = 0; m < METRICS; m++) {
            struct ql_buf labels;
            char text[128], sample[32];
            ql_buf_init(&labels, 4096);
            (void)snprintf(text, sizeof(text), "%s{service=\"%s\"}", metrics[m], services[s]);
            assert_int_equal(ql_labels_parse(ql_str_of(text), &labels), QL_OK);
            const double value = day_value(rng, s, m, step);
            size_t bytes = 1;
            sample[0] = 0x09;
            memcpy(sample + bytes, &value, sizeof(value));
            bytes += sizeof(value);
            sample[bytes++] = 0x10;
            bytes += put_varint(sample + bytes, (uint64_t)(START_S + step * STEP_S) * 1000);
            plain[used++] = 0x0a;
            used += put_varint(plain + used, labels.bytes + 2 + bytes);
            memcpy(plain + used, labels.at, labels.bytes);
            used += labels.bytes;
            plain[used++] = 0x12;
            used += put_varint(plain + used, bytes);
            memcpy(plain + used, sample, bytes);
            used += bytes;
            ql_buf_fini(&labels);
        }
    }
    char *at;
    size_t packed = snappy_max_compressed_length(used);
    ql_buf_reset(out);
    assert_int_equal(ql_buf_reserve(out, packed, &at), QL_OK);
    assert_int_equal(snappy_compress(plain, used, at, &packed), SNAPPY_OK);
    ql_buf_advance(out, packed);
}

/* Alerts as a rule on latency would send them, every minute while it lasts. */
static bool day_alerts(int step, struct ql_buf *out)
{
    const bool firing = step >= FAULT_AT + 4 && step < FAULT_END + 4;
    char starts[QL_TIME_TEXT_BYTES], ends[QL_TIME_TEXT_BYTES];
    if ((!firing && step != FAULT_END + 4) || step % 4 != 0) {
        return false;
    }
    const ql_time began = { (START_S + (FAULT_AT + 4) * STEP_S) * QL_NS_PER_S };
    const ql_time until = { (START_S + step * STEP_S + (firing ? 300 : 0)) * QL_NS_PER_S };
    ql_buf_reset(out);
    for (int s = 0; s < 3; s++) {
        (void)ql_buf_printf(out, "%c{\"labels\":{\"alertname\":\"HighLatency\",\"service\":\"%s\","
                            "\"severity\":\"critical\"},\"startsAt\":\"%s\",\"endsAt\":\"%s\"}",
                            s == 0 ? '[' : ',', services[s], ql_time_text(began, starts),
                            ql_time_text(until, ends));
    }
    (void)ql_buf_char(out, ']');
    return true;
}

/* ---- driving the engine --------------------------------------------------------------- */

static struct ql_config *day_config(const struct place *place, struct ql_buf *yaml)
{
    struct ql_config *config;
    struct ql_buf why;
    ql_buf_init(&why, 4096);
    ql_buf_reset(yaml);
    (void)ql_buf_printf(yaml, "server:\n  data_dir: %s\nlimits:\n  sample_behind_max: 30d\n"
                        "engine:\n  journal_max: 16MiB\n  tick: 10s\n  journal_sync: 0s\n"
                        "  shards: %u\n"
                        "correlate:\n  close: 5m\n"
                        "edges:\n  - caller: service/web\n    callee: service/cart\n"
                        "  - caller: service/cart\n    callee: service/checkout\n"
                        "slos:\n  - {name: fast, target: 99, match: latency_ms, above: 500}\n"
                        "policies: [%s]\n",
                        place->dir, place->shards > 0 ? place->shards : 1,
                        place->policies != NULL ? place->policies : "");
    if (ql_config_parse(ql_buf_view(yaml), "test", &config, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    ql_buf_fini(&why);
    return config;
}

static void day_done(void *context, ql_err err)
{
    struct place *place = context;
    atomic_fetch_add(err == QL_OK ? &place->acknowledged : &place->refused, 1);
}

static void day_submit(struct ql_engine *engine, struct place *place, enum ql_door door,
                       const struct ql_buf *body, ql_time at)
{
    const struct ql_accept *accept = ql_engine_accept(engine);
    const bool write = door == QL_DOOR_REMOTE_WRITE;
    const struct ql_wire_limits limits = { 20 << 20 };
    struct ql_reject reject;
    struct ql_batch *batch;
    memset(&reject, 0, sizeof(reject));
    while ((batch = accept->batch_take(accept->host)) == NULL) {
        (void)usleep(200);
    }
    const struct ql_wire_input in = {
        .door = door, .encoding = write ? QL_ENCODING_SNAPPY : QL_ENCODING_NONE,
        .format = write ? QL_FORMAT_PROTOBUF
                  : door == QL_DOOR_FINDING ? QL_FORMAT_OWN : QL_FORMAT_JSON, .accepted = at,
        .origin = { "", 0 }, .body = ql_buf_view(body) };
    assert_int_equal(ql_wire_decode(&in, &limits, batch, &reject), QL_OK);
    const struct ql_submission submission = {
        .door = (uint16_t)door, .encoding = (uint8_t)in.encoding, .format = (uint8_t)in.format,
        .accepted = at, .origin = in.origin, .bytes = in.body, .batch = batch,
        .done = day_done, .context = place };
    assert_int_equal(accept->submit(accept->host, &submission), QL_OK);
}

static struct ql_engine *day_open(const struct place *place, struct ql_stats *stats)
{
    struct ql_buf yaml, why;
    struct ql_engine *engine = NULL;
    ql_buf_init(&yaml, 4096);
    ql_buf_init(&why, 4096);
    struct ql_config *config = day_config(place, &yaml);
    const struct ql_engine_env env = { .config = config, .stats = stats, .clock_input = true };
    if (ql_engine_open(&env, &engine, &why) != QL_OK) {
        fail_msg("%s", why.at);
    }
    assert_int_equal(ql_engine_start(engine), QL_OK);
    ql_buf_fini(&yaml);
    ql_buf_fini(&why);
    return engine;
}

/* Steps [from, to) of the day; the noise of a step depends on the step alone. */
static void day_run(struct ql_engine *engine, struct place *place, int from, int to)
{
    struct ql_buf body;
    ql_buf_init(&body, 1 << 20);
    for (int step = from; step < to; step++) {
        const ql_time at = { (START_S + step * STEP_S) * QL_NS_PER_S };
        struct ql_rng rng;
        ql_rng_init(&rng, SEED + (uint64_t)step, "day");
        day_body(&rng, step, &body);
        day_submit(engine, place, QL_DOOR_REMOTE_WRITE, &body, at);
        if (day_alerts(step, &body)) {
            day_submit(engine, place, QL_DOOR_ALERTS, &body, at);
        }
    }
    ql_buf_fini(&body);
}

struct seen {
    uint64_t opened, resolved, causes, foreseen, grown, over, ids_hash;
    char suspect[128];
};

static void seen_tick(void *context, uint64_t sequence, ql_time now, const struct ql_batch *bus)
{
    struct seen *seen = context;
    (void)sequence;
    (void)now;
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        const struct ql_incident *incident = &bus->incidents.at[i];
        seen->opened += incident->event == QL_INC_OPENED;
        seen->resolved += incident->event == QL_INC_RESOLVED;
        const uint64_t next[3] = { seen->ids_hash, incident->id.v, incident->event };
        seen->ids_hash = ql_hash64(next, sizeof(next));
    }
    for (uint32_t i = 0; i < bus->signals.count; i++) {
        const struct ql_signal *signal = &bus->signals.at[i];
        const bool ahead = signal->kind == QL_SIGNAL_EXHAUSTION ||
                           signal->kind == QL_SIGNAL_DISK;
        seen->foreseen += ahead && signal->phase == QL_PHASE_OPEN;
        seen->grown += ahead && signal->phase == QL_PHASE_UPDATE;
        seen->over += ahead && signal->phase == QL_PHASE_CLOSE;
    }
    for (uint32_t i = 0; i < bus->causes.count; i++) {
        if (bus->causes.at[i].rank == 1) {
            (void)snprintf(seen->suspect, sizeof(seen->suspect), "%.*s",
                           QL_STR_ARG(bus->causes.at[i].metric));
        }
    }
    seen->causes += bus->causes.count;
}

static struct ql_replay_result replay(const struct place *place, uint64_t from_checkpoint,
                                      struct seen *ret_seen)
{
    struct ql_replay_result result;
    struct ql_buf why;
    struct ql_stats *stats = ql_stats_new(4096);
    const struct ql_replay_env env = { .data_dir = place->dir, .stats = stats, .tick = seen_tick,
                                       .context = ret_seen, .from_checkpoint = from_checkpoint };
    memset(ret_seen, 0, sizeof(*ret_seen));
    ql_buf_init(&why, 4096);
    if (ql_replay_run(&env, &result, &why) != QL_OK) {
        fail_msg("%s", why.bytes > 0 ? why.at : "replay failed");
    }
    ql_stats_free(stats);
    ql_buf_fini(&why);
    return result;
}

/* A replay of all of it ends well (NULL), or with these words. */
static void replay_ends(const struct place *place, const char *words)
{
    struct ql_replay_result result;
    struct ql_buf why;
    struct ql_stats *stats = ql_stats_new(4096);
    const struct ql_replay_env env = { .data_dir = place->dir, .stats = stats };
    ql_buf_init(&why, 4096);
    const ql_err err = ql_replay_run(&env, &result, &why);
    assert_int_equal(err, words == NULL ? QL_OK : QL_E_MALFORMED);
    if (words != NULL && strstr(why.at, words) == NULL) {
        fail_msg("%s", why.at);
    }
    ql_stats_free(stats);
    ql_buf_fini(&why);
}

/* ---- tests -------------------------------------------------------------------------------- */

static void a_day_gives_the_same_again(void **state)
{
    struct place *place = *state;
    struct ql_stats *stats = ql_stats_new(4096);
    struct seen first, second, middle;
    print_message("seed %llu\n", (unsigned long long)SEED);
    struct ql_engine *engine = day_open(place, stats);
    day_run(engine, place, 0, FAULT_AT + 10);
    ql_engine_stop(engine); /* leaves a checkpoint in the middle of the incident */
    ql_engine_free(engine);
    engine = day_open(place, stats);
    day_run(engine, place, FAULT_AT + 10, STEPS);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    assert_int_equal(atomic_load(&place->refused), 0);

    const struct ql_replay_result one = replay(place, 0, &first);
    const struct ql_replay_result two = replay(place, 0, &second);
    assert_true(one.ticks > STEPS);
    assert_true(one.compared > one.ticks - 10);
    assert_true(one.digest == two.digest);
    assert_int_equal(first.opened, 1);
    assert_int_equal(first.resolved, 1);
    assert_int_equal(second.ids_hash, first.ids_hash);
    assert_true(first.causes > 0);
    assert_string_equal(first.suspect, "db_connections_in_use");

    /* The stop in the middle of the incident left a checkpoint; from there it only ends. */
    const struct ql_replay_result part = replay(place, one.last_sequence - 50, &middle);
    assert_true(part.first_sequence > one.first_sequence);
    assert_true(part.compared > 100);
    assert_int_equal(middle.opened, 0);
    assert_int_equal(middle.resolved, 1);
    ql_stats_free(stats);
}

/* The machine has as many shards as it had then. */
static void shards_give_the_same_again(void **state)
{
    struct place *place = *state;
    struct ql_stats *stats = ql_stats_new(4096);
    struct seen seen;
    place->shards = 3;
    struct ql_engine *engine = day_open(place, stats);
    day_run(engine, place, 0, 60);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    engine = day_open(place, stats);
    day_run(engine, place, 60, 200);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    const struct ql_replay_result whole = replay(place, 0, &seen);
    assert_true(whole.compared > whole.ticks - 10);
    const struct ql_replay_result part = replay(place, whole.last_sequence - 50, &seen);
    assert_true(part.first_sequence > whole.first_sequence && part.compared > 50);
    ql_stats_free(stats);
}

/* What the look-ahead says of one series at a step of the day. */
struct foreseen { const char *labels; struct ql_finding (*at)(int step); };

/* Likely up to step 120, then clearly over. */
static struct ql_finding archive_at(int step)
{
    return (struct ql_finding){ .limit_name = QL_STR("disk_max"), .used = 60, .limit = 100,
                                .full = step < 120 ? 0.95 : 0.05, .horizon_s = 86400,
                                .early_s = 3600, .middle_s = 7200, .late_s = 9000, .tests = 20,
                                .right = 17 };
}
static const struct foreseen archive = { "disk_used{service=\"archive\"}", archive_at };

/* A disk that fails, worse at step 100 and another one at 120. */
static struct ql_finding sda_at(int step)
{
    const double sectors = step >= 120 ? 0.0 : step >= 100 ? 9.0 : 2.0;
    return (struct ql_finding){ .limit_name = QL_STR("its failure"), .kind = QL_FINDING_DISK,
                                .used = log1p(sectors), .limit = 1,
                                .full = sectors > 0.0 ? 1.0 : 0.0, .horizon_s = 86400,
                                .early_s = INFINITY, .middle_s = INFINITY, .late_s = INFINITY,
                                .smart = { sectors, 0, -1, 0, 0 } };
}
static const struct foreseen sda = {
    "smartmon_reallocated_sector_ct_raw_value{disk=\"/dev/sda\",instance=\"db1:9100\"}", sda_at
};

/* Steps of the day in a life of its own, with a finding every ten from 40 to 200. */
static void foresee(struct place *place, struct ql_stats *stats, const struct foreseen *what,
                    int from, int to)
{
    struct ql_engine *engine = day_open(place, stats);
    struct ql_buf labels, body;
    ql_buf_init(&labels, 4096);
    ql_buf_init(&body, 4096);
    assert_int_equal(ql_labels_parse(ql_str_of(what->labels), &labels), QL_OK);
    for (int step = from; step < to; step += 10) {
        struct ql_finding finding = what->at(step);
        finding.at = (ql_time){ (START_S + step * STEP_S) * QL_NS_PER_S };
        finding.labels = ql_buf_view(&labels);
        finding.series.h = ql_hash128_of(labels.at, labels.bytes);
        day_run(engine, place, step, step + 10);
        if (step >= 40 && step <= 200) {
            ql_buf_reset(&body);
            assert_int_equal(ql_wire_finding_write(&finding, &body), QL_OK);
            day_submit(engine, place, QL_DOOR_FINDING, &body, finding.at);
        }
    }
    ql_buf_fini(&labels);
    ql_buf_fini(&body);
    ql_engine_stop(engine); /* leaves a checkpoint */
    ql_engine_free(engine);
}

/* What the look-ahead found stands in the journal: a replay has no history to look through. The
 * checkpoint between two lives has the signal open. */
static void foreseen_again(struct place *place, const struct foreseen *what, uint64_t grown)
{
    struct ql_stats *stats = ql_stats_new(4096);
    struct seen first, second, middle;
    foresee(place, stats, what, 0, 80);
    foresee(place, stats, what, 80, 240);
    const struct ql_replay_result one = replay(place, 0, &first);
    const struct ql_replay_result two = replay(place, 0, &second);
    assert_true(one.compared > one.ticks - 10 && one.digest == two.digest);
    assert_true(first.foreseen == 1 && first.grown == grown && first.over == 1);
    const struct ql_replay_result part = replay(place, one.last_sequence - 50, &middle);
    assert_true(part.first_sequence > one.first_sequence && part.compared > 100);
    assert_true(middle.foreseen == 0 && middle.grown == grown && middle.over == 1);
    ql_stats_free(stats);
}

static void findings_give_the_same_again(void **state)
{
    foreseen_again(*state, &archive, 0);
}

static void disks_give_the_same_again(void **state)
{
    foreseen_again(*state, &sda, 1);
}

/* The same with a window over its beginning: a checkpoint lies in what is held. */
static void what_is_held_gives_the_same_again(void **state)
{
    struct place *place = *state;
    struct ql_stats *stats = ql_stats_new(4096);
    struct seen whole, part;
    place->policies = "{name: night, match: disk_used, mute: ['09:10-09:25']}";
    foresee(place, stats, &archive, 0, 80);
    assert_int_equal(ql_stats_sum(stats, "ql_detect_held_total", "kind=\"exhaustion\""), 1);
    assert_int_equal(ql_stats_sum(stats, "ql_exhaustion_signals_total", ""), 0);
    foresee(place, stats, &archive, 80, 240);
    const struct ql_replay_result one = replay(place, 0, &whole);
    assert_true(one.compared > one.ticks - 10);
    assert_int_equal(whole.foreseen, 1);
    assert_int_equal(whole.over, 1);
    const struct ql_replay_result rest = replay(place, one.last_sequence - 50, &part);
    assert_true(rest.first_sequence > one.first_sequence && rest.compared > 100);
    assert_int_equal(part.foreseen, 1); /* held in the checkpoint, told behind it */
    assert_int_equal(part.over, 1);
    ql_stats_free(stats);
}

/* ---- without a checkpoint --------------------------------------------------------------- */

static ql_err day_try(const struct place *place, struct ql_buf *ret_why)
{
    struct ql_buf yaml;
    struct ql_engine *engine = NULL;
    struct ql_stats *stats = ql_stats_new(4096);
    ql_buf_init(&yaml, 4096);
    struct ql_config *config = day_config(place, &yaml);
    const struct ql_engine_env env = { .config = config, .stats = stats, .clock_input = true };
    ql_buf_reset(ret_why);
    const ql_err err = ql_engine_open(&env, &engine, ret_why);
    ql_engine_free(engine);
    ql_buf_fini(&yaml);
    ql_stats_free(stats);
    return err;
}

/* A segment of its own for one more record, so that the one before it can be taken away. */
static void journal_begin_anew(const struct place *place)
{
    char dir[128];
    struct ql_journal *journal;
    struct ql_buf bytes, why;
    ql_buf_init(&bytes, 4096);
    ql_buf_init(&why, 4096);
    (void)snprintf(dir, sizeof(dir), "%s/journal", place->dir);
    assert_int_equal(ql_journal_open(dir, &journal, &why), QL_OK);
    struct ql_journal_record record = { .sequence = ql_journal_last(journal) + 1,
                                        .kind = QL_JOURNAL_DIGEST };
    assert_int_equal(ql_journal_rotate(journal), QL_OK);
    assert_int_equal(ql_journal_encode(&record, QL_STR(""), QL_STR("x"), &bytes), QL_OK);
    assert_int_equal(ql_journal_write(journal, ql_buf_view(&bytes), record.sequence, true), QL_OK);
    ql_journal_close(journal);
    ql_buf_fini(&bytes);
    ql_buf_fini(&why);
}

static void folder_each(const struct place *place, const char *folder, const char *tail,
                        int (*change)(const char *path))
{
    char path[512];
    uint32_t count = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", place->dir, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const size_t bytes = strlen(entry->d_name), tail_bytes = strlen(tail);
        if (bytes >= tail_bytes && strcmp(entry->d_name + bytes - tail_bytes, tail) == 0) {
            (void)snprintf(path, sizeof(path), "%s/%s/%s", place->dir, folder, entry->d_name);
            assert_int_equal(change(path), 0);
            count++;
        }
    }
    assert_int_equal(closedir(dir), 0);
    assert_true(count > 0);
}

static int file_empty(const char *path)
{
    return truncate(path, 0);
}

/* What was learnt is not forgotten without a word: not while the journal can tell it, and where
 * it cannot only when somebody took the checkpoints away. */
static void without_a_checkpoint(void **state)
{
    struct place *place = *state;
    struct ql_stats *stats = ql_stats_new(4096);
    struct ql_buf why;
    ql_buf_init(&why, 4096);
    struct ql_engine *engine = day_open(place, stats);
    day_run(engine, place, 0, 20);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    journal_begin_anew(place);
    folder_each(place, "checkpoint", ".qlc", file_empty);
    assert_int_equal(day_try(place, &why), QL_OK);
    folder_each(place, "journal", "0000000000000001.qlj", unlink);
    assert_int_equal(day_try(place, &why), QL_E_VERSION);
    assert_non_null(strstr(why.at, "no checkpoint can be read"));
    assert_non_null(strstr(why.at, place->dir));
    folder_each(place, "checkpoint", ".qlc", unlink);
    assert_int_equal(day_try(place, &why), QL_OK);
    ql_buf_fini(&why);
    ql_stats_free(stats);
}

static uint64_t day_incident_last(const struct place *place)
{
    struct ql_store *store;
    uint64_t last = 0;
    struct ql_stats *stats = ql_stats_new(4096);
    assert_int_equal(ql_store_open(place->dir, stats, &store), QL_OK);
    assert_int_equal(ql_store_incident_last(store, &last), QL_OK);
    ql_store_close(store);
    ql_stats_free(stats);
    return last;
}

/* A life that has forgotten all: its incidents are others than those that state.db tells of, to
 * whoever replays its journal too. */
static void ids_are_not_given_twice(void **state)
{
    struct place *place = *state;
    struct ql_stats *stats = ql_stats_new(4096);
    struct seen seen;
    struct ql_engine *engine = day_open(place, stats);
    day_run(engine, place, 0, FAULT_AT + 20);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    const uint64_t before = day_incident_last(place);
    assert_true(before > 0);
    journal_begin_anew(place);
    folder_each(place, "journal", "0000000000000001.qlj", unlink);
    folder_each(place, "checkpoint", ".qlc", unlink);
    engine = day_open(place, stats);
    day_run(engine, place, FAULT_AT + 20, FAULT_AT + 40);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    const uint64_t after = day_incident_last(place);
    assert_true(after > before);
    (void)replay(place, 0, &seen); /* every digest agrees */
    assert_int_equal(seen.opened, after - before);
    ql_stats_free(stats);
}

static bool day_acknowledged(const struct place *place, unsigned count)
{
    for (int i = 0; i < 60000 && atomic_load(&place->acknowledged) < count; i++) {
        (void)usleep(500);
    }
    return atomic_load(&place->acknowledged) >= count;
}

/* A child runs part of the day and dies without stopping; what it acknowledged is told
 * through a pipe first. The parent goes on, and ends where an undisturbed run ends. */
static void a_kill_loses_and_repeats_nothing(void **state)
{
    struct place *place = *state;
    int from = 0;
    struct seen seen;
    static const int cuts[] = { 120, 502, 508, 530, 566, STEPS };
    for (size_t i = 0; i < QL_COUNT_OF(cuts); i++) {
        const pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
            struct ql_stats *stats = ql_stats_new(4096);
            struct ql_engine *engine = day_open(place, stats);
            const unsigned before = atomic_load(&place->acknowledged);
            day_run(engine, place, from, cuts[i]);
            _exit(day_acknowledged(place, before + (unsigned)(cuts[i] - from)) ? 0 : 1);
        }
        int status = 0;
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
        from = cuts[i];
    }
    struct ql_stats *stats = ql_stats_new(4096);
    struct ql_engine *engine = day_open(place, stats);
    ql_engine_stop(engine);
    ql_engine_free(engine);
    ql_stats_free(stats);
    const struct ql_replay_result result = replay(place, 0, &seen);
    /* Every step was acknowledged, so every step is in the journal, once. */
    assert_true(result.records >= STEPS);
    assert_int_equal(seen.opened, 1);
    assert_int_equal(seen.resolved, 1);
    assert_string_equal(seen.suspect, "db_connections_in_use");
}

/* ---- with less of a journal ------------------------------------------------------------- */

static int file_half(const char *path)
{
    struct stat st;
    return stat(path, &st) != 0 ? -1 : truncate(path, st.st_size / 2);
}

/* What a power cut may leave of an audit log that is synced before the journal. */
static int audit_far_ahead(const char *path)
{
    struct ql_audit_log *log;
    const struct ql_audit row = { .actor = QL_STR("a"), .what = QL_STR("w"), .detail = QL_STR("d") };
    char dir[512];
    (void)snprintf(dir, sizeof(dir), "%.*s", (int)(strrchr(path, '/') - path), path);
    assert_int_equal(ql_audit_open(dir, &log), QL_OK);
    const ql_err err = ql_audit_append(log, 100000, &row, 1);
    ql_audit_close(log);
    return err == QL_OK ? 0 : -1;
}

static uint64_t applied(const struct place *place)
{
    struct ql_store *store;
    struct ql_stats *stats = ql_stats_new(4096);
    assert_int_equal(ql_store_open(place->dir, stats, &store), QL_OK);
    const uint64_t sequence = ql_store_applied(store);
    ql_store_close(store);
    ql_stats_free(stats);
    return sequence;
}

/* A child does these steps and dies without a goodbye, or with one. */
static void day_life(struct place *place, int from, int to, bool stop)
{
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct ql_engine *engine = day_open(place, ql_stats_new(4096));
        const unsigned before = atomic_load(&place->acknowledged);
        day_run(engine, place, from, to);
        const bool done = day_acknowledged(place, before + (unsigned)(to - from));
        if (stop) {
            ql_engine_stop(engine);
            ql_engine_free(engine);
        }
        _exit(done ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Files of the journal were deleted, cut, or lost with the power, and others know more than it
 * does: no sequence comes a second time, so nothing new is taken for something old. */
static void a_journal_may_be_behind(void **state)
{
    static const struct { const char *folder, *tail; int (*change)(const char *path);
                          uint64_t above; bool lacks; } rows[] = {
        { "journal", ".qlj", unlink, 0, false }, /* starts at the checkpoint */
        { "journal", ".qlj", file_half, 0, true },
        { "journal", ".qlj", file_empty, 0, true },
        { ".", "audit.db", audit_far_ahead, 100000, false },
    };
    struct place *place = *state;
    char checkpoints[128];
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_replay_result result;
        struct seen seen;
        assert_int_equal(teardown_files(place), 0);
        (void)snprintf(checkpoints, sizeof(checkpoints), "%s/checkpoint", place->dir);
        day_life(place, 0, 520, true);
        const uint64_t stored = applied(place), saved = ql_checkpoint_newest(checkpoints);
        assert_true(stored > 0 && saved > 0);
        folder_each(place, rows[i].folder, rows[i].tail, rows[i].change);
        day_life(place, 520, 570, false); /* the incident goes on; no checkpoint behind it */
        day_life(place, 570, STEPS, true); /* begins with what was acknowledged before the kill */
        assert_true(applied(place) > stored && applied(place) > rows[i].above);
        assert_true(ql_checkpoint_newest(checkpoints) > saved);
        result = replay(place, saved, &seen);
        assert_true(result.first_sequence > saved);
        assert_true(result.compared > 100 && result.ticks > 150); /* the kill took some with it */
        assert_int_equal(seen.resolved, 1);
        assert_int_equal(seen.opened, 0);
        replay_ends(place, rows[i].lacks ? "which were lost; --from-checkpoint" : NULL);
    }
}

/* ---- a replay that differs --------------------------------------------------------------- */

/* Copies the journal, with one bit of one tick's digest another. Which tick, and of how many. */
static uint64_t journal_other_digest(const struct place *place, uint64_t record_number,
                                     size_t stage)
{
    char dir[128], other[128];
    struct ql_journal_reader *reader;
    struct ql_journal_record record;
    struct ql_journal *journal;
    struct ql_buf bytes, why;
    ql_str origin, body;
    uint64_t count = 0, tick = 0;
    (void)snprintf(dir, sizeof(dir), "%s/journal", place->dir);
    (void)snprintf(other, sizeof(other), "%s/other", place->dir);
    ql_buf_init(&bytes, 1 << 24);
    ql_buf_init(&why, 4096);
    assert_int_equal(ql_journal_reader_open(dir, 0, &reader), QL_OK);
    assert_int_equal(ql_journal_open(other, &journal, &why), QL_OK);
    while (ql_journal_next(reader, &record, &origin, &body, &why) == QL_OK) {
        char digests[1024];
        if (record.kind == QL_JOURNAL_DIGEST && ++count == record_number) {
            assert_true(body.bytes >= 16 && body.bytes <= sizeof(digests));
            memcpy(digests, body.at, body.bytes);
            digests[stage * 8 < body.bytes ? stage * 8 : body.bytes - 8] ^= 1;
            body.at = digests;
            tick = (uint64_t)record.accepted_ns;
        }
        ql_buf_reset(&bytes);
        assert_int_equal(ql_journal_encode(&record, origin, body, &bytes), QL_OK);
        assert_int_equal(ql_journal_write(journal, ql_buf_view(&bytes), record.sequence, false),
                         QL_OK);
    }
    ql_journal_reader_close(reader);
    ql_journal_close(journal);
    folder_each(place, "journal", ".qlj", unlink);
    assert_int_equal(rmdir(dir), 0);
    assert_int_equal(rename(other, dir), 0);
    ql_buf_fini(&bytes);
    ql_buf_fini(&why);
    assert_true(tick > 0);
    return tick;
}

static void a_replay_stops_at_the_first_difference(void **state)
{
    static const struct { size_t stage; const char *name; } rows[] = {
        { 0, ": shard 0, " }, { 1, ": shard 0, " }, { SIZE_MAX / 8, ": core, " },
    };
    struct place *place = *state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char words[64];
        assert_int_equal(teardown_files(place), 0);
        day_life(place, 0, 60, true);
        replay_ends(place, NULL);
        const uint64_t tick = journal_other_digest(place, 30, rows[i].stage);
        journal_other_digest(place, 40, rows[i].stage); /* a later one is not told */
        (void)snprintf(words, sizeof(words), "tick %llu (", (unsigned long long)tick);
        replay_ends(place, words);
        replay_ends(place, rows[i].name);
        replay_ends(place, " gave other records than it did then");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_day_gives_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(findings_give_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(disks_give_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(shards_give_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_held_gives_the_same_again, setup, teardown),
        cmocka_unit_test_setup_teardown(without_a_checkpoint, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_are_not_given_twice, setup, teardown),
        cmocka_unit_test_setup_teardown(a_kill_loses_and_repeats_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(a_journal_may_be_behind, setup, teardown),
        cmocka_unit_test_setup_teardown(a_replay_stops_at_the_first_difference, setup, teardown),
    };
    return cmocka_run_group_tests_name("engine/replay", tests, NULL, NULL);
}

/* replay_test.h - for tests only: a day of six services with a fault in it, through the running
 * engine and again from its journal; and the files of that life, to be spoilt.
 *
 * The noise of a step depends on the step alone, so that a day may be cut into lives anywhere. */
#ifndef QL_ENGINE_REPLAY_TEST_H
#define QL_ENGINE_REPLAY_TEST_H

#include "base/rng.h"
#include "engine/engine_test.h"
#include "model/labels.h"

#include <dirent.h>
#include <math.h>
#include <snappy-c.h>

enum { SERVICES = 6, METRICS = 4, FAULT_AT = 500, FAULT_END = 560, STEPS = 700 };
#define SEED UINT64_C(7)

static const char *const services[SERVICES] = { "web", "cart", "checkout", "payment", "stock",
                                                "mail" };
static const char *const metrics[METRICS] = { "cpu_ratio", "latency_ms", "db_connections_in_use",
                                              "requests_total" };

/* ---- a day ------------------------------------------------------------------------- */

static inline size_t put_varint(char *at, uint64_t value)
{
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7) {
        at[bytes++] = (char)(unsigned char)(value | 0x80);
    }
    at[bytes++] = (char)value;
    return bytes;
}

static inline double day_value(struct ql_rng *rng, int service, int metric, int step)
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
static inline void day_body(struct ql_rng *rng, int step, struct ql_buf *out)
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
            bytes += put_varint(sample + bytes, (uint64_t)(life_at(step).ns / 1000000));
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
static inline bool day_alerts(int step, struct ql_buf *out)
{
    const bool firing = step >= FAULT_AT + 4 && step < FAULT_END + 4;
    char starts[QL_TIME_TEXT_BYTES], ends[QL_TIME_TEXT_BYTES];
    if ((!firing && step != FAULT_END + 4) || step % 4 != 0) {
        return false;
    }
    const ql_time began = life_at(FAULT_AT + 4);
    const ql_time until = ql_time_add(life_at(step), QL_S(firing ? 300 : 0));
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

#define DAY_ENGINE ", journal_max: 16MiB, tick: 10s"
#define DAY_REST                                                                        \
    "limits:\n  sample_behind_max: 30d\n"                                               \
    "correlate:\n  close: 5m\n"                                                         \
    "edges:\n  - caller: service/web\n    callee: service/cart\n"                       \
    "  - caller: service/cart\n    callee: service/checkout\n"                          \
    "slos:\n  - {name: fast, target: 99, match: latency_ms, above: 500}\n"

static inline void day_open(struct life *life)
{
    life_open(life, DAY_ENGINE ", shards: 1", DAY_REST);
}

static inline void day_submit(struct life *life, enum ql_door door, const struct ql_buf *body,
                              int step)
{
    const bool write = door == QL_DOOR_REMOTE_WRITE;
    life_feed(life, &(struct ql_wire_input){
        .door = door, .encoding = write ? QL_ENCODING_SNAPPY : QL_ENCODING_NONE,
        .format = write ? QL_FORMAT_PROTOBUF
                  : door == QL_DOOR_FINDING ? QL_FORMAT_OWN : QL_FORMAT_JSON,
        .accepted = life_at(step), .origin = { "", 0 }, .body = ql_buf_view(body) });
}

/* Steps [from, to) of the day. */
static inline void day_run(struct life *life, int from, int to)
{
    struct ql_buf body;
    ql_buf_init(&body, 1 << 20);
    for (int step = from; step < to; step++) {
        struct ql_rng rng;
        ql_rng_init(&rng, SEED + (uint64_t)step, "day");
        day_body(&rng, step, &body);
        day_submit(life, QL_DOOR_REMOTE_WRITE, &body, step);
        if (day_alerts(step, &body)) {
            day_submit(life, QL_DOOR_ALERTS, &body, step);
        }
    }
    ql_buf_fini(&body);
}

/* A child does these steps and dies without a goodbye, or with one. */
static inline void day_life(struct life *life, int from, int to, bool stop)
{
    int status = 0;
    const pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        day_open(life);
        day_run(life, from, to);
        const bool done = life_acknowledged(life);
        if (stop) {
            life_stop(life);
        }
        _exit(done ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* ---- and again ------------------------------------------------------------------------- */

struct seen {
    uint64_t opened, resolved, causes, foreseen, grown, over, ids_hash;
    char suspect[128];
};

static inline void seen_tick(void *context, uint64_t sequence, ql_time now,
                             const struct ql_batch *bus)
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

static inline struct ql_replay_result replay(struct life *life, uint64_t from_checkpoint,
                                             struct seen *ret_seen)
{
    memset(ret_seen, 0, sizeof(*ret_seen));
    life->tick = seen_tick;
    life->tick_context = ret_seen;
    return life_again(life, from_checkpoint);
}

/* A replay of all of it ends well (NULL), or with these words. */
static inline void replay_ends(const struct life *life, const char *words)
{
    struct ql_replay_result result;
    struct ql_buf why;
    struct ql_stats *stats = ql_stats_new(4096);
    const struct ql_replay_env env = { .data_dir = life->dir, .stats = stats };
    ql_buf_init(&why, 4096);
    const ql_err err = ql_replay_run(&env, &result, &why);
    assert_int_equal(err, words == NULL ? QL_OK : QL_E_MALFORMED);
    if (words != NULL && strstr(why.at, words) == NULL) {
        fail_msg("%s", why.at);
    }
    ql_stats_free(stats);
    ql_buf_fini(&why);
}

/* ---- files that are spoilt ------------------------------------------------------------- */

static inline void folder_each(const struct life *life, const char *folder,
                               const char *tail, int (*change)(const char *path))
{
    char path[512];
    uint32_t count = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", life->dir, folder);
    DIR *dir = opendir(path);
    assert_non_null(dir);
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        const size_t bytes = strlen(entry->d_name), tail_bytes = strlen(tail);
        if (bytes >= tail_bytes && strcmp(entry->d_name + bytes - tail_bytes, tail) == 0) {
            (void)snprintf(path, sizeof(path), "%s/%s/%s", life->dir, folder, entry->d_name);
            assert_int_equal(change(path), 0);
            count++;
        }
    }
    assert_int_equal(closedir(dir), 0);
    assert_true(count > 0);
}
#endif

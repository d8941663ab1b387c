/* Evidence from log lines.
 *
 * A line is reduced to its shape: what varies from line to line (numbers, hexadecimal ids,
 * quoted and bracketed text) is masked, and the rest is hashed. Shapes that were never or
 * hardly ever written before, and now are, speak for the entity that writes them, more so
 * when their words are those of failure. Learning real templates is the miner's work.
 *
 * Method       two-sided Poisson likelihood ratio of the counts before and after, per second
 *              of each side; strength = log(1 + G).
 * Bad for      services that log little (three lines are needed), shapes that differ in words.
 */
#include "base/map.h"
#include "diagnose/evidence.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>

#define SHAPE_BYTES_MAX 200u
#define FAULT_COUNT_MIN 3u
#define PLAIN_WEIGHT 0.3      /* a shape without words of failure */
#define FAILURE_WEIGHT 0.7
#define RATIO_MIN 3.0         /* written this many times as often */

struct shape { uint64_t hash; uint32_t entity, first, past_count, fault_count; bool failure; };

static bool is_token_byte(unsigned char c)
{
    return isalnum(c) || c == '_' || c == '-' || c == '.';
}

/* One token: its text when it is plain words, else one mask byte. */
static size_t shape_token(ql_str line, size_t at, size_t *ret_end, bool *ret_masked)
{
    bool digit = false;
    size_t end = at;
    while (end < line.bytes && is_token_byte((unsigned char)line.at[end])) {
        digit = digit || isdigit((unsigned char)line.at[end]);
        end++;
    }
    *ret_end = end;
    *ret_masked = digit;
    return end - at;
}

static uint64_t shape_of(ql_str line)
{
    char shape[SHAPE_BYTES_MAX];
    size_t bytes = 0;
    for (size_t i = 0; i < line.bytes && bytes + 2 < sizeof shape;) {
        size_t end = i;
        bool masked = false;
        const size_t token = shape_token(line, i, &end, &masked);
        if (token == 0) {
            if (line.at[i] != ' ') {
                shape[bytes++] = line.at[i];
            }
            i++;
            continue;
        }
        if (masked) {
            if (bytes == 0 || shape[bytes - 1] != '#') {
                shape[bytes++] = '#';
            }
        } else {
            const size_t room = sizeof shape - bytes - 1;
            const size_t take = token < room ? token : room;
            memcpy(shape + bytes, line.at + i, take);
            bytes += take;
        }
        i = end;
    }
    return ql_hash64(shape, bytes);
}

static bool has_failure(ql_str line)
{
    static const char *const words[] = { "error", "exception", "fail", "fatal", "panic",
                                         "refused", "timeout", "timed out", "unavailable",
                                         "out of memory", "killed" };
    for (size_t i = 0; i < line.bytes; i++) {
        for (size_t k = 0; k < QL_COUNT_OF(words); k++) {
            const size_t bytes = strlen(words[k]);
            if (i + bytes <= line.bytes && strncasecmp(line.at + i, words[k], bytes) == 0) {
                return true;
            }
        }
    }
    return false;
}

struct sides { ql_time past_end; double past_s, fault_s; };

static int time_cmp(const void *a, const void *b)
{
    const int64_t x = ((const ql_time *)a)->ns, y = ((const ql_time *)b)->ns;
    return (x > y) - (x < y);
}

/* Lengths of both sides from the quantiles of the times, so that a wild clock on one line
 * does not stretch them. */
static bool logs_sides(const struct ql_case *c, ql_time *times, struct sides *ret_sides)
{
    uint32_t before = 0, guard = 0;
    for (uint32_t i = 0; i < c->log_count; i++) {
        times[i] = c->logs[i].at;
        before += c->logs[i].at.ns < c->at.ns;
        guard += c->logs[i].at.ns < c->at.ns - QL_MEASURE_GUARD.ns;
    }
    qsort(times, c->log_count, sizeof *times, time_cmp);
    const uint32_t past = ql_measure_past(guard, before);
    if (past < 20 || c->log_count - before < 20) {
        return false;
    }
    const ql_time low = times[past / 20], high = times[past - 1];
    const ql_time last = times[c->log_count - 1 - (c->log_count - before) / 20];
    *ret_sides = (struct sides){ high, (double)(high.ns - low.ns) / 1e9,
                                 (double)(last.ns - c->at.ns) / 1e9 };
    return ret_sides->past_s > 1.0 && ret_sides->fault_s > 1.0;
}

static void shape_add(const struct ql_case *c, struct ql_evidence_list *list,
                      const struct shape *shape, const struct sides *sides)
{
    const double all = (double)shape->past_count + (double)shape->fault_count;
    const double share = sides->fault_s / (sides->fault_s + sides->past_s);
    const double expected = all * share;
    const double now = (double)shape->fault_count, was = (double)shape->past_count;
    const double by_past = was * sides->fault_s / sides->past_s;
    if (shape->fault_count < FAULT_COUNT_MIN || now < RATIO_MIN * by_past) {
        return;
    }
    double g = now * log(now / expected);
    g += was > 0.0 ? was * log(was / (all - expected)) : 0.0;
    const double weight = shape->failure ? FAILURE_WEIGHT : PLAIN_WEIGHT;
    struct ql_evidence *item = ql_evidence_add(list, shape->entity, QL_EVIDENCE_LOG,
                                               weight * ql_measure_bend(log1p(2.0 * g)));
    if (item != NULL) {
        item->past_count = shape->past_count;
        item->fault_count = shape->fault_count;
        item->measure = (struct ql_measure){ .z = g, .before = by_past, .after = now,
                                             .onset = c->logs[shape->first].at, .rose = true };
        item->name = c->logs[shape->first].message;
        item->name.bytes = item->name.bytes < 120 ? item->name.bytes : 120;
    }
}

/* Counts one line; false without memory. */
static bool shapes_count(const struct ql_case *c, uint32_t number, const struct sides *sides,
                         struct ql_map64 *by_key, struct shape *shapes, uint32_t *count)
{
    const struct ql_case_log *log = &c->logs[number];
    const bool is_fault = log->at.ns >= c->at.ns;
    if (!is_fault && log->at.ns > sides->past_end.ns) {
        return true;
    }
    const uint64_t hash = shape_of(log->message);
    const uint64_t both[2] = { hash, log->entity };
    const uint64_t key = ql_hash64(both, sizeof both);
    uint32_t at = ql_map64_get(by_key, key);
    if (at == QL_MAP_NONE) {
        at = (*count)++;
        shapes[at] = (struct shape){ .hash = hash, .entity = log->entity, .first = number,
                                     .failure = has_failure(log->message) };
        if (ql_map64_put(by_key, key, at) != QL_OK) {
            return false;
        }
    }
    if (is_fault && shapes[at].fault_count == 0) {
        shapes[at].first = number;
    }
    shapes[at].fault_count += is_fault;
    shapes[at].past_count += !is_fault;
    return true;
}

ql_err ql_evidence_from_logs(const struct ql_case *c, struct ql_evidence_list *list)
{
    struct sides sides;
    if (c->log_count == 0) {
        return QL_OK;
    }
    ql_time *times = ql_arena_take(list->arena, c->log_count * sizeof *times);
    struct shape *shapes = ql_arena_take(list->arena, c->log_count * sizeof *shapes);
    if (times == NULL || shapes == NULL) {
        return QL_E_MEMORY;
    }
    if (!logs_sides(c, times, &sides)) {
        return QL_OK;
    }
    struct ql_map64 by_key;
    uint32_t count = 0;
    ql_map64_init(&by_key, c->log_count);
    for (uint32_t i = 0; i < c->log_count; i++) {
        if (!shapes_count(c, i, &sides, &by_key, shapes, &count)) {
            ql_map64_fini(&by_key);
            return QL_E_MEMORY;
        }
    }
    ql_map64_fini(&by_key);
    for (uint32_t i = 0; i < count; i++) {
        shape_add(c, list, &shapes[i], &sides);
    }
    return QL_OK;
}

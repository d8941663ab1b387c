/* metric_kind.c - names are cut into words at separators and at lower-to-upper steps,
 * each word is looked up whole: "up" is a word of "node_up", not of "group". */
#include "model/metric_kind.h"

#include <ctype.h>

#define WORD_BYTES_MAX 24u

struct kind_word { const char *word; enum ql_metric_kind kind; };

#define K(kind) QL_METRIC_KIND_##kind
static const struct kind_word kind_words[] = {
    { "restart", K(RESTART) },     { "restarts", K(RESTART) },   { "oom", K(RESTART) },
    { "crash", K(RESTART) },       { "crashes", K(RESTART) },    { "killed", K(RESTART) },
    { "error", K(ERROR) },         { "errors", K(ERROR) },       { "err", K(ERROR) },
    { "fail", K(ERROR) },          { "failed", K(ERROR) },       { "failure", K(ERROR) },
    { "failures", K(ERROR) },      { "exception", K(ERROR) },    { "exceptions", K(ERROR) },
    { "fault", K(ERROR) },         { "faults", K(ERROR) },       { "5xx", K(ERROR) },
    { "timeout", K(ERROR) },       { "timeouts", K(ERROR) },     { "refused", K(ERROR) },
    { "rejected", K(ERROR) },      { "dropped", K(ERROR) },      { "retries", K(ERROR) },
    { "availability", K(AVAILABILITY) }, { "success", K(AVAILABILITY) },
    { "up", K(AVAILABILITY) },     { "healthy", K(AVAILABILITY) },
    { "ready", K(AVAILABILITY) },  { "alive", K(AVAILABILITY) },
    { "latency", K(LATENCY) },     { "lat", K(LATENCY) },        { "duration", K(LATENCY) },
    { "delay", K(LATENCY) },       { "elapsed", K(LATENCY) },    { "response", K(LATENCY) },
    { "rtt", K(LATENCY) },
    { "cpu", K(CPU) },             { "load1", K(CPU) },          { "load5", K(CPU) },
    { "load15", K(CPU) },          { "throttled", K(CPU) },      { "throttling", K(CPU) },
    { "mem", K(MEMORY) },          { "memory", K(MEMORY) },      { "heap", K(MEMORY) },
    { "rss", K(MEMORY) },          { "swap", K(MEMORY) },        { "gc", K(MEMORY) },
    { "disk", K(DISK) },           { "filesystem", K(DISK) },    { "io", K(DISK) },
    { "iops", K(DISK) },           { "inode", K(DISK) },         { "inodes", K(DISK) },
    { "syscall", K(DISK) },        { "volume", K(DISK) },
    { "network", K(NETWORK) },     { "net", K(NETWORK) },        { "packets", K(NETWORK) },
    { "receive", K(NETWORK) },     { "transmit", K(NETWORK) },   { "tcp", K(NETWORK) },
    { "connection", K(POOL) },     { "connections", K(POOL) },   { "conn", K(POOL) },
    { "conns", K(POOL) },          { "pool", K(POOL) },          { "queue", K(POOL) },
    { "queued", K(POOL) },         { "thread", K(POOL) },        { "threads", K(POOL) },
    { "fd", K(POOL) },             { "fds", K(POOL) },           { "goroutines", K(POOL) },
    { "sessions", K(POOL) },       { "backlog", K(POOL) },       { "pending", K(POOL) },
    { "inflight", K(POOL) },       { "lag", K(POOL) },           { "locks", K(POOL) },
    { "request", K(TRAFFIC) },     { "requests", K(TRAFFIC) },   { "req", K(TRAFFIC) },
    { "reqs", K(TRAFFIC) },        { "rps", K(TRAFFIC) },        { "qps", K(TRAFFIC) },
    { "ops", K(TRAFFIC) },         { "workload", K(TRAFFIC) },   { "calls", K(TRAFFIC) },
    { "throughput", K(TRAFFIC) },  { "messages", K(TRAFFIC) },   { "load", K(TRAFFIC) },
    { "lod", K(TRAFFIC) },
};
#undef K

static const char *const less_is_worse[] = {
    "availability", "success", "up", "healthy", "ready", "alive", "free", "available", "avail",
    "idle", "remaining", "headroom", "hit", "hits",
};

/* The next word in lower case; false at the end. A longer word is cut: none is that long. */
static bool word_next(ql_str name, size_t *at, char word[WORD_BYTES_MAX])
{
    size_t bytes = 0;
    while (*at < name.bytes && !isalnum((unsigned char)name.at[*at])) {
        (*at)++;
    }
    bool was_lower = false;
    for (; *at < name.bytes && isalnum((unsigned char)name.at[*at]); (*at)++) {
        const unsigned char c = (unsigned char)name.at[*at];
        if (was_lower && isupper(c)) {
            break;
        }
        was_lower = islower(c) != 0;
        if (bytes < WORD_BYTES_MAX - 1) {
            word[bytes++] = (char)tolower(c);
        }
    }
    word[bytes] = '\0';
    return bytes > 0;
}

enum ql_metric_kind ql_metric_kind_of(ql_str name)
{
    enum ql_metric_kind best = QL_METRIC_KIND_OTHER;
    char word[WORD_BYTES_MAX];
    for (size_t at = 0; word_next(name, &at, word);) {
        for (size_t i = 0; i < QL_COUNT_OF(kind_words); i++) {
            if (kind_words[i].kind < best && strcmp(kind_words[i].word, word) == 0) {
                best = kind_words[i].kind;
            }
        }
    }
    return best;
}

const char *ql_metric_kind_text(enum ql_metric_kind kind)
{
    static const char *const texts[] = {
#define X(name, text) text,
        QL_METRIC_KIND_MAP(X)
#undef X
    };
    QL_ASSERT((size_t)kind < QL_COUNT_OF(texts));
    return texts[kind];
}

bool ql_metric_is_symptom(enum ql_metric_kind kind)
{
    return kind == QL_METRIC_KIND_ERROR || kind == QL_METRIC_KIND_AVAILABILITY ||
           kind == QL_METRIC_KIND_LATENCY;
}

bool ql_metric_is_internal(enum ql_metric_kind kind)
{
    return kind == QL_METRIC_KIND_RESTART || kind == QL_METRIC_KIND_CPU ||
           kind == QL_METRIC_KIND_MEMORY || kind == QL_METRIC_KIND_DISK ||
           kind == QL_METRIC_KIND_POOL;
}

bool ql_metric_is_wait(ql_str name)
{
    char word[WORD_BYTES_MAX];
    for (size_t at = 0; word_next(name, &at, word);) {
        if (strcmp(word, "wait") == 0 || strcmp(word, "waiting") == 0 ||
            strcmp(word, "waited") == 0) {
            return true;
        }
    }
    return false;
}

int ql_metric_bad_direction(ql_str name)
{
    const enum ql_metric_kind kind = ql_metric_kind_of(name);
    char word[WORD_BYTES_MAX];
    for (size_t at = 0; kind != QL_METRIC_KIND_ERROR && word_next(name, &at, word);) {
        for (size_t i = 0; i < QL_COUNT_OF(less_is_worse); i++) {
            if (strcmp(less_is_worse[i], word) == 0) {
                return -1;
            }
        }
    }
    return kind == QL_METRIC_KIND_OTHER || kind == QL_METRIC_KIND_TRAFFIC ||
                   kind == QL_METRIC_KIND_NETWORK
               ? 0
               : 1;
}

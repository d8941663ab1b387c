/* load.c - makes remote-write 1.0 bodies and posts them over keep-alive connections.
 *
 * The series look like a Kubernetes cluster's: ten labels each, half of them integer counters,
 * half two-decimal gauges. Bodies are made before the clock starts, so that the sender is
 * cheap; every answer is read. Prints one JSON line: samples, seconds, status counts.
 *
 *   load --port P --series N --batch N --intervals N --connections N [--path /api/v1/write]
 *        [--step-s 10] [--first N]   the first interval's number, to go on where a run ended
 */
#include <arpa/inet.h>
#include <getopt.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <snappy-c.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { LABELS = 10, LABEL_BYTES = 96, BLOCK_BYTES = 640 };

struct options {
    long port, series, batch, intervals, connections, step_s, first;
    const char *path;
};

struct body { char *at; size_t bytes; };

static struct options options = { .series = 100000, .batch = 10000, .intervals = 6,
                                  .connections = 2, .step_s = 10, .path = "/api/v1/write" };
static struct body *bodies;
static long body_count;
static atomic_long next_body, good_count, bad_count;
static int first_bad;
static int64_t start_ms;

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static size_t put_varint(char *at, uint64_t value)
{
    size_t bytes = 0;
    for (; value >= 0x80; value >>= 7) {
        at[bytes++] = (char)(unsigned char)(value | 0x80);
    }
    at[bytes++] = (char)value;
    return bytes;
}

static size_t put_field(char *at, char tag, const char *text, size_t bytes)
{
    size_t used = 0;
    at[used++] = tag;
    used += put_varint(at + used, bytes);
    memcpy(at + used, text, bytes);
    return used + bytes;
}

/* The label block of series `i`: fifty series a pod, twenty pods a node. */
static size_t make_labels(long i, char *out)
{
    static const char *const names[] = { "__name__", "cluster", "container", "instance", "job",
                                         "method", "namespace", "pod", "status", "zone" };
    static const char *const metrics[] = {
        "node_cpu_seconds_total", "container_memory_working_set_bytes", "http_requests_total",
        "queue_depth", "node_network_receive_bytes_total", "process_open_fds",
        "grpc_server_handled_total", "request_latency_milliseconds", "disk_read_bytes_total",
        "cpu_utilisation_percent" };
    static const char *const methods[] = { "GET", "POST", "PUT", "DELETE" };
    const long pod = i / 50, node = pod / 20;
    char values[LABELS][LABEL_BYTES];
    (void)snprintf(values[0], LABEL_BYTES, "%s", metrics[i % 10]);
    (void)snprintf(values[1], LABEL_BYTES, "prod-eu-%ld", node / 100);
    (void)snprintf(values[2], LABEL_BYTES, "app-%ld", pod % 7);
    (void)snprintf(values[3], LABEL_BYTES, "10.1.%ld.%ld:9100", node / 250, node % 250);
    (void)snprintf(values[4], LABEL_BYTES, "kubernetes-pods");
    (void)snprintf(values[5], LABEL_BYTES, "%s", methods[i / 10 % 4]);
    (void)snprintf(values[6], LABEL_BYTES, "team-%ld", pod % 40);
    (void)snprintf(values[7], LABEL_BYTES, "workload-%08lx-%05lx",
                   (unsigned long)(mix((uint64_t)pod) & 0xffffffff), (unsigned long)pod);
    (void)snprintf(values[8], LABEL_BYTES, "%ld", 200 + i / 10 % 5);
    (void)snprintf(values[9], LABEL_BYTES, "zone-%ld", i % 50);
    size_t used = 0;
    for (int k = 0; k < LABELS; k++) {
        char pair[2 * LABEL_BYTES];
        size_t bytes = put_field(pair, 0x0a, names[k], strlen(names[k]));
        bytes += put_field(pair + bytes, 0x12, values[k], strlen(values[k]));
        used += put_field(out + used, 0x0a, pair, bytes);
    }
    return used;
}

static double value_of(long series, long interval)
{
    const uint64_t draw = mix((uint64_t)series * 1000003 + (uint64_t)interval);
    if (series % 2 == 0) {
        return (double)(interval * 100 + (long)(draw % 100) + (long)(mix((uint64_t)series) % 100000));
    }
    return (double)(mix((uint64_t)series) % 10000 + draw % 200) / 100.0;
}

static void make_bodies(void)
{
    const long per_interval = (options.series + options.batch - 1) / options.batch;
    char *labels = malloc((size_t)options.series * BLOCK_BYTES);
    size_t *label_bytes = calloc((size_t)options.series, sizeof(*label_bytes));
    const size_t capacity = (size_t)options.batch * (BLOCK_BYTES + 64);
    char *plain = malloc(capacity);
    body_count = per_interval * options.intervals;
    bodies = calloc((size_t)body_count, sizeof(*bodies));
    if (labels == NULL || label_bytes == NULL || plain == NULL || bodies == NULL) {
        abort();
    }
    for (long i = 0; i < options.series; i++) {
        label_bytes[i] = make_labels(i, labels + i * BLOCK_BYTES);
    }
    for (long b = 0; b < body_count; b++) {
        const long interval = options.first + b / per_interval;
        const long from = b % per_interval * options.batch;
        size_t used = 0;
        for (long i = from; i < from + options.batch && i < options.series; i++) {
            char sample[32];
            const double value = value_of(i, interval);
            size_t bytes = 0;
            sample[bytes++] = 0x09;
            memcpy(sample + bytes, &value, sizeof(value));
            bytes += sizeof(value);
            sample[bytes++] = 0x10;
            bytes += put_varint(sample + bytes, (uint64_t)(start_ms + interval * options.step_s * 1000));
            plain[used++] = 0x0a;
            used += put_varint(plain + used, label_bytes[i] + 2 + bytes);
            memcpy(plain + used, labels + i * BLOCK_BYTES, label_bytes[i]);
            used += label_bytes[i];
            used += put_field(plain + used, 0x12, sample, bytes);
        }
        size_t packed = snappy_max_compressed_length(used);
        bodies[b].at = malloc(packed);
        if (bodies[b].at == NULL || snappy_compress(plain, used, bodies[b].at, &packed) != SNAPPY_OK) {
            abort();
        }
        bodies[b].bytes = packed;
    }
    free(labels);
    free(label_bytes);
    free(plain);
}

static int dial(void)
{
    const struct sockaddr_in address = { .sin_family = AF_INET,
                                         .sin_port = htons((uint16_t)options.port),
                                         .sin_addr = { htonl(INADDR_LOOPBACK) } };
    const int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        perror("connect");
        exit(2);
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

/* Reads one answer and returns its status; 0 when the connection ended. */
static int read_answer(int fd)
{
    char text[8192];
    size_t got = 0;
    char *end = NULL;
    while (end == NULL && got < sizeof(text) - 1) {
        const ssize_t n = read(fd, text + got, sizeof(text) - 1 - got);
        if (n <= 0) {
            return 0;
        }
        got += (size_t)n;
        text[got] = '\0';
        end = strstr(text, "\r\n\r\n");
    }
    if (end == NULL) {
        return 0;
    }
    const char *length = strcasestr(text, "content-length:");
    size_t want = length != NULL && length < end ? strtoul(length + 15, NULL, 10) : 0;
    size_t have = got - (size_t)(end + 4 - text);
    while (have < want) {
        const ssize_t n = read(fd, text, sizeof(text));
        if (n <= 0) {
            return 0;
        }
        have += (size_t)n;
    }
    return (int)strtol(text + 9, NULL, 10);
}

static void post(int fd, const struct body *body)
{
    char head[512];
    const int head_bytes = snprintf(
        head, sizeof(head),
        "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-protobuf\r\n"
        "Content-Encoding: snappy\r\nX-Prometheus-Remote-Write-Version: 0.1.0\r\n"
        "Content-Length: %zu\r\n\r\n", options.path, body->bytes);
    struct iovec parts[2] = { { head, (size_t)head_bytes }, { body->at, body->bytes } };
    size_t left = (size_t)head_bytes + body->bytes;
    int part = 0;
    while (left > 0) {
        ssize_t n = writev(fd, parts + part, 2 - part);
        if (n <= 0) {
            perror("writev");
            exit(2);
        }
        left -= (size_t)n;
        while (part < 2 && (size_t)n >= parts[part].iov_len) {
            n -= (ssize_t)parts[part++].iov_len;
        }
        if (part < 2) {
            parts[part].iov_base = (char *)parts[part].iov_base + n;
            parts[part].iov_len -= (size_t)n;
        }
    }
}

/* A 429 or 503 is tried again, as a real sender does. */
static void *worker(void *context)
{
    int fd = dial();
    (void)context;
    for (;;) {
        const long i = atomic_fetch_add(&next_body, 1);
        if (i >= body_count) {
            break;
        }
        for (;;) {
            post(fd, &bodies[i]);
            const int status = read_answer(fd);
            if (status / 100 == 2) {
                atomic_fetch_add(&good_count, 1);
                break;
            }
            atomic_fetch_add(&bad_count, 1);
            first_bad = first_bad == 0 ? status : first_bad;
            if (status == 0) {
                (void)close(fd);
                fd = dial();
            }
            if (status != 429 && status != 503 && status != 0) {
                break;
            }
            (void)usleep(5000);
        }
    }
    (void)close(fd);
    return NULL;
}

static double now_s(void)
{
    struct timespec at;
    (void)clock_gettime(CLOCK_MONOTONIC, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
    static const struct option rows[] = {
        { "port", 1, NULL, 'p' }, { "series", 1, NULL, 's' }, { "batch", 1, NULL, 'b' },
        { "intervals", 1, NULL, 'i' }, { "connections", 1, NULL, 'c' }, { "path", 1, NULL, 'u' },
        { "step-s", 1, NULL, 't' }, { "first", 1, NULL, 'f' }, { "start-ms", 1, NULL, 'm' },
        { NULL, 0, NULL, 0 } };
    int option;
    start_ms = ((int64_t)time(NULL) - 600) * 1000;
    while ((option = getopt_long(argc, argv, "", rows, NULL)) != -1) {
        const long number = optarg == NULL ? 0 : strtol(optarg, NULL, 10);
        switch (option) {
        case 'p': options.port = number; break;
        case 's': options.series = number; break;
        case 'b': options.batch = number; break;
        case 'i': options.intervals = number; break;
        case 'c': options.connections = number; break;
        case 't': options.step_s = number; break;
        case 'f': options.first = number; break;
        case 'm': start_ms = strtoll(optarg, NULL, 10); break;
        case 'u': options.path = optarg; break;
        default: return 2;
        }
    }
    pthread_t threads[64];
    const long connections = options.connections > 64 ? 64 : options.connections;
    make_bodies();
    const double began = now_s();
    for (long i = 0; i < connections; i++) {
        (void)pthread_create(&threads[i], NULL, worker, NULL);
    }
    for (long i = 0; i < connections; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    const double seconds = now_s() - began;
    size_t wire = 0;
    for (long i = 0; i < body_count; i++) {
        wire += bodies[i].bytes;
    }
    const long samples = options.series * options.intervals;
    (void)printf("{\"samples\":%ld,\"bodies\":%ld,\"ok\":%ld,\"refused\":%ld,\"first_refusal\":%d,"
                 "\"seconds\":%.3f,\"samples_per_s\":%.0f,\"wire_bytes_per_sample\":%.1f}\n",
                 samples, body_count, (long)good_count, (long)bad_count, first_bad, seconds,
                 (double)samples / seconds, (double)wire / (double)samples);
    return good_count == body_count ? 0 : 1;
}

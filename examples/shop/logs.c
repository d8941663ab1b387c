/* logs.c - what the services write: a few lines of everyday talk, and trouble by name. */
#include "otlp.h"

#include <stdio.h>
#include <time.h>

void shop_time_text(int64_t at_ms, char out[SHOP_TIME_BYTES])
{
    const time_t at_s = (time_t)(at_ms / 1000);
    struct tm utc;
    (void)gmtime_r(&at_s, &utc);
    const size_t n = strftime(out, SHOP_TIME_BYTES, "%Y-%m-%dT%H:%M:%S", &utc);
    (void)snprintf(out + n, SHOP_TIME_BYTES - n, ".%03dZ", (int)(at_ms % 1000));
}

struct logs_writer {
    struct shop_text *out;
    const struct shop_world *world;
    int64_t at_ms;
    uint32_t service, count, draw;
};

/* OpenTelemetry severity numbers. */
enum { LOGS_INFO = 9, LOGS_WARN = 13, LOGS_ERROR = 17 };

static uint32_t logs_number(struct logs_writer *writer, uint32_t below)
{
    const struct shop_noise noise = { writer->world->seed, writer->world->step };
    return (uint32_t)(shop_noise_bits(noise, 5000 + writer->service, writer->draw++) % below);
}

static void logs_line(struct logs_writer *writer, int severity, const char *body)
{
    const int64_t at_ns = (writer->at_ms - (int64_t)logs_number(writer, SHOP_STEP_S * 1000)) *
                          1000000;
    shop_text_printf(writer->out,
                     "%s{\"timeUnixNano\":\"%lld\",\"severityNumber\":%d,\"severityText\":\"%s\","
                     "\"body\":{\"stringValue\":\"%s\"}}",
                     writer->count++ == 0 ? "" : ",", (long long)at_ns, severity,
                     severity == LOGS_INFO   ? "INFO"
                     : severity == LOGS_WARN ? "WARN"
                                             : "ERROR",
                     body);
}

/* Of many equal lines a service writes at most this many a step (its logger samples). */
enum { LOGS_SAME_MAX = 12 };

static uint32_t logs_how_many(struct logs_writer *writer, double mean)
{
    const struct shop_noise noise = { writer->world->seed, writer->world->step };
    const uint32_t n = shop_noise_count(noise, 6000 + writer->service, writer->draw++, mean);
    return n < LOGS_SAME_MAX ? n : LOGS_SAME_MAX;
}

static void logs_everyday(struct logs_writer *writer, const struct shop_service *service)
{
    char body[256];
    const uint32_t served = logs_how_many(writer, 1.0 + service->rate / 200);
    for (uint32_t i = 0; i < served; i++) {
        (void)snprintf(body, sizeof(body), "request %08x served in %.1f ms",
                       logs_number(writer, UINT32_MAX), service->p50_s * 1000);
        logs_line(writer, LOGS_INFO, body);
    }
    if (logs_how_many(writer, 0.05) > 0) {
        (void)snprintf(body, sizeof(body), "cache refreshed, %u entries",
                       200 + logs_number(writer, 800));
        logs_line(writer, LOGS_INFO, body);
    }
    if (logs_how_many(writer, 0.03) > 0) {
        (void)snprintf(body, sizeof(body), "client 10.0.%u.%u closed the connection early",
                       logs_number(writer, 255), logs_number(writer, 255));
        logs_line(writer, LOGS_WARN, body);
    }
}

static void logs_checkout(struct logs_writer *writer, const struct shop_service *service)
{
    const double pool = shop_services[SHOP_CHECKOUT].pool;
    char body[256];
    if (service->pool_in_use > 0.9 * pool) {
        (void)snprintf(body, sizeof(body), "connection pool is running low: %.0f of %.0f in use",
                       service->pool_in_use, pool);
        logs_line(writer, LOGS_WARN, body);
    }
    const uint32_t failures = logs_how_many(writer, service->failed > 0.05
                                                        ? service->failed * service->rate : 0);
    for (uint32_t i = 0; i < failures; i++) {
        (void)snprintf(body, sizeof(body),
                       "connection pool exhausted: %.0f of %.0f in use, waited %.0f ms, order %u "
                       "not placed",
                       service->pool_in_use, pool, service->pool_wait_s * 1000,
                       100000 + logs_number(writer, 900000));
        logs_line(writer, LOGS_ERROR, body);
    }
}

static void logs_callers(struct logs_writer *writer, const struct shop_service *service)
{
    char body[256];
    const uint32_t failures = logs_how_many(writer, service->failed > 0.03
                                                        ? service->failed * service->rate / 4 : 0);
    for (uint32_t i = 0; i < failures; i++) {
        (void)snprintf(body, sizeof(body), "upstream %s answered 503 for request %08x",
                       writer->service == SHOP_GATEWAY ? "frontend" : "checkout",
                       logs_number(writer, UINT32_MAX));
        logs_line(writer, LOGS_ERROR, body);
    }
}

static void logs_of_service(struct logs_writer *writer, uint32_t s)
{
    const struct shop_service *service = &writer->world->service[s];
    shop_text_printf(writer->out,
                     "%s{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
                     "\"stringValue\":\"%s\"}},{\"key\":\"host.name\",\"value\":{\"stringValue\":"
                     "\"%s\"}}]},\"scopeLogs\":[{\"logRecords\":[",
                     s == 0 ? "" : ",", shop_services[s].name,
                     shop_hosts[shop_services[s].host].name);
    writer->service = s;
    writer->count = writer->draw = 0;
    if (!service->away) {
        logs_everyday(writer, service);
        if (s == SHOP_CHECKOUT) {
            logs_checkout(writer, service);
        } else if (s == SHOP_FRONTEND || s == SHOP_GATEWAY) {
            logs_callers(writer, service);
        }
    }
    shop_text_add(writer->out, "]}]}");
}

uint32_t shop_logs_write(const struct shop_world *world, int64_t at_ms, struct shop_text *out)
{
    struct logs_writer writer = { .out = out, .world = world, .at_ms = at_ms };
    uint32_t count = 0;
    shop_text_add(out, "{\"resourceLogs\":[");
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        logs_of_service(&writer, s);
        count += writer.count;
    }
    shop_text_add(out, "]}");
    return count;
}

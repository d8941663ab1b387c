#include "series.h"

#include <stdio.h>
#include <string.h>

struct series_writer {
    struct shop_text *out;
    int64_t at_ms;
    const char *names[4], *values[4]; /* labels after __name__, names ascending */
    uint32_t label_count, sample_count;
};

enum { /* fields of WriteRequest, TimeSeries, Label, Sample */
    REQUEST_SERIES = 1,
    SERIES_LABEL = 1,
    SERIES_SAMPLE = 2,
    LABEL_NAME = 1,
    LABEL_VALUE = 2,
    SAMPLE_VALUE = 1,
    SAMPLE_TIME = 2
};

static void series_label(struct shop_text *out, const char *name, const char *value)
{
    const size_t mark = shop_proto_begin(out, SERIES_LABEL);
    shop_proto_string(out, LABEL_NAME, name);
    shop_proto_string(out, LABEL_VALUE, value);
    shop_proto_end(out, mark);
}

static void series_one(struct series_writer *writer, const char *name, double value)
{
    struct shop_text *out = writer->out;
    const size_t mark = shop_proto_begin(out, REQUEST_SERIES);
    series_label(out, "__name__", name);
    for (uint32_t i = 0; i < writer->label_count; i++) {
        series_label(out, writer->names[i], writer->values[i]);
    }
    const size_t sample = shop_proto_begin(out, SERIES_SAMPLE);
    shop_proto_double(out, SAMPLE_VALUE, value);
    shop_proto_varint(out, SAMPLE_TIME, (uint64_t)writer->at_ms);
    shop_proto_end(out, sample);
    shop_proto_end(out, mark);
    writer->sample_count++;
}

static void series_of_pool(struct series_writer *writer, const struct shop_service *service,
                           double pool)
{
    series_one(writer, "db_connections_in_use", service->pool_in_use);
    series_one(writer, "db_connections_idle", pool - service->pool_in_use);
    series_one(writer, "db_connections_max", pool);
    series_one(writer, "db_connection_wait_seconds", service->pool_wait_s);
}

static void series_of_service(struct series_writer *writer, const struct shop_world *world,
                              uint32_t s)
{
    const struct shop_service *service = &world->service[s];
    if (service->away) {
        return; /* nobody answers the scrape of a process that is not there */
    }
    series_one(writer, "http_request_duration_seconds_count", service->requests_total);
    series_one(writer, "http_request_duration_seconds_sum", service->seconds_total);
    series_one(writer, "http_request_p50_seconds", service->p50_s);
    series_one(writer, "http_request_p99_seconds", service->p99_s);
    series_one(writer, "http_requests_failed_total", service->failed_total);
    series_one(writer, "http_requests_in_flight", (double)(int64_t)(service->in_flight + 0.5));
    series_one(writer, "http_requests_total", service->requests_total);
    series_one(writer, "network_receive_bytes_total", service->received_total);
    series_one(writer, "network_transmit_bytes_total", service->sent_total);
    series_one(writer, "process_cpu_seconds_total", service->cpu_total);
    series_one(writer, "process_open_fds", service->files);
    series_one(writer, "process_resident_memory_bytes", service->memory_bytes);
    series_one(writer, "process_threads", service->threads);
    series_one(writer, "runtime_gc_runs_total", service->gc_total);
    series_one(writer, "runtime_gc_seconds_total", service->gc_seconds_total);
    series_one(writer, "runtime_heap_bytes", service->heap_bytes);
    series_one(writer, "workers_busy", (double)(int64_t)(service->busy + 0.5));
    series_one(writer, "workers_queue_depth", (double)(int64_t)(service->queued + 0.5));
    if (shop_services[s].pool > 0) {
        series_of_pool(writer, service, shop_services[s].pool);
    }
}

static void series_of_host(struct series_writer *writer, const struct shop_host *host)
{
    series_one(writer, "node_cpu_busy_ratio", host->cpu_share);
    series_one(writer, "node_cpu_seconds_total", host->cpu_total);
    series_one(writer, "node_disk_written_bytes_total", host->disk_written_total);
    series_one(writer, "node_load1", host->load1);
    series_one(writer, "node_memory_MemAvailable_bytes", host->memory_available_bytes);
    series_one(writer, "node_network_receive_bytes_total", host->received_total);
    series_one(writer, "node_network_transmit_bytes_total", host->sent_total);
}

uint32_t shop_series_write(const struct shop_world *world, int64_t at_ms, struct shop_text *out)
{
    struct series_writer writer = { .out = out, .at_ms = at_ms };
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        char instance[64];
        (void)snprintf(instance, sizeof(instance), "%s-0:8080", shop_services[s].name);
        writer.names[0] = "host", writer.values[0] = shop_hosts[shop_services[s].host].name;
        writer.names[1] = "instance", writer.values[1] = instance;
        writer.names[2] = "job", writer.values[2] = "shop";
        writer.names[3] = "service", writer.values[3] = shop_services[s].name;
        writer.label_count = 4;
        series_of_service(&writer, world, s);
    }
    for (uint32_t h = 0; h < SHOP_HOST_COUNT; h++) {
        writer.names[0] = "host", writer.values[0] = shop_hosts[h].name;
        writer.names[1] = "job", writer.values[1] = "node";
        writer.label_count = 2;
        series_of_host(&writer, &world->host[h]);
    }
    return writer.sample_count;
}

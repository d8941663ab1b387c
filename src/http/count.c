/* count.c - the server's numbers about itself. Cells are looked up once and kept. */
#include "http/http_int.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT_CODE_FIRST 100u
#define COUNT_CODE_COUNT 500u

static const char *count_row_path(const struct ql_http *http, uint32_t row)
{
    return row == http->route_count ? "other" : http->routes[row].path;
}

void ql_http_count(struct ql_http *http, uint32_t row, unsigned code)
{
    char labels[128];
    QL_ASSERT(code >= COUNT_CODE_FIRST);
    QL_ASSERT(code < COUNT_CODE_FIRST + COUNT_CODE_COUNT);
    if (http->stats == NULL) {
        return;
    }
    _Atomic(struct ql_stat_cell *) *slot =
        &http->counts[row * COUNT_CODE_COUNT + code - COUNT_CODE_FIRST];
    struct ql_stat_cell *cell = atomic_load_explicit(slot, memory_order_acquire);
    if (cell == NULL) {
        (void)snprintf(labels, sizeof(labels), "path=\"%.90s\",code=\"%u\"",
                       count_row_path(http, row), code);
        cell = ql_stats_cell(http->stats, QL_STAT_COUNTER, "ql_http_requests_total",
                             "HTTP requests answered, by route and status.", labels);
        atomic_store_explicit(slot, cell, memory_order_release);
    }
    ql_stat_add(cell, 1);
}

ql_err ql_http_count_open(struct ql_http *http)
{
    char labels[128];
    const uint32_t rows = http->route_count + 1;
    http->counts = calloc((size_t)rows * COUNT_CODE_COUNT, sizeof(*http->counts));
    http->micros = calloc(rows, sizeof(struct ql_stat_cell *));
    if (http->counts == NULL || http->micros == NULL) {
        return QL_E_MEMORY;
    }
    if (http->stats == NULL) {
        return QL_OK;
    }
    for (uint32_t row = 0; row < rows; row++) {
        (void)snprintf(labels, sizeof(labels), "path=\"%.90s\"", count_row_path(http, row));
        http->micros[row] = ql_stats_cell(
            http->stats, QL_STAT_COUNTER, "ql_http_request_microseconds_total",
            "Time from a request's first byte to its answer, by route.", labels);
    }
    http->bytes_in = ql_stats_cell(http->stats, QL_STAT_COUNTER, "ql_http_request_bytes_total",
                                   "Bytes of request bodies received.", "");
    http->in_flight = ql_stats_cell(http->stats, QL_STAT_GAUGE, "ql_http_requests_in_flight",
                                    "HTTP requests begun and not yet done.", "");
    return QL_OK;
}

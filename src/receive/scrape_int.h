/* scrape_int.h - the table of targets: who is asked, when, and under which labels. */
#ifndef QL_RECEIVE_SCRAPE_INT_H
#define QL_RECEIVE_SCRAPE_INT_H

#include "base/buf.h"
#include "receive/scrape.h"

struct scrape_target {
    char *url;                  /* "http://127.0.0.1:9100/metrics" */
    struct ql_buf origin;       /* canonical block: job, instance, configured labels */
    int64_t interval_ns, offset_ns, due_ns; /* wall clock; offset within the interval */
    int32_t timeout_ms;
    struct scrape_visit *visit; /* under way, or NULL */
};

struct scrape_table {
    struct scrape_target *at;
    uint32_t count;
};

/* Every target of every scrape, first due after `now`. Nothing is kept of `config`. */
QL_MUST_USE ql_err ql_scrape_table_new(const struct ql_config *config, ql_time now,
                                       struct scrape_table *ret_table, char *ret_why,
                                       size_t why_bytes);
void ql_scrape_table_free(struct scrape_table *table);
/* The first turn of the target that is later than `now`. */
int64_t ql_scrape_next_ns(const struct scrape_target *target, ql_time now);
/* When the next target is due, or INT64_MAX. */
int64_t ql_scrape_due_ns(const struct scrape_table *table);

#endif

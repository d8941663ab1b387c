/* scrape_table.c - from the settings to targets with places in time. Pure. */
#include "receive/scrape_int.h"

#include "model/labels.h"

#include <stdio.h>
#include <stdlib.h>

#define TABLE_LABELS_MAX 64u

int64_t ql_scrape_next_ns(const struct scrape_target *target, ql_time now)
{
    QL_ASSERT(target->interval_ns > 0);
    QL_ASSERT(target->offset_ns < target->interval_ns);
    const int64_t turns = (now.ns - target->offset_ns) / target->interval_ns;
    int64_t next = turns * target->interval_ns + target->offset_ns;
    while (next <= now.ns) { /* at most two steps: division rounds towards zero */
        next += target->interval_ns;
    }
    return next;
}

int64_t ql_scrape_due_ns(const struct scrape_table *table)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < table->count; i++) {
        due = table->at[i].due_ns < due ? table->at[i].due_ns : due;
    }
    return due;
}

void ql_scrape_table_free(struct scrape_table *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        QL_ASSERT(table->at[i].visit == NULL);
        free(table->at[i].url);
        ql_buf_fini(&table->at[i].origin);
    }
    free(table->at);
    *table = (struct scrape_table){ .at = NULL };
}

/* Configured labels win over job and instance, as in Prometheus. */
static ql_err table_origin(const struct ql_scrape *scrape, const char *instance,
                           struct ql_buf *out)
{
    struct ql_label labels[TABLE_LABELS_MAX];
    uint32_t count = 0;
    bool has_job = false, has_instance = false;
    if (scrape->label_count + 2 > TABLE_LABELS_MAX) {
        return QL_E_RANGE;
    }
    for (uint32_t i = 0; i < scrape->label_count; i++) {
        const ql_str name = ql_str_of(scrape->label_names[i]);
        has_job = has_job || ql_str_eq(name, QL_STR("job"));
        has_instance = has_instance || ql_str_eq(name, QL_STR("instance"));
        labels[count++] = (struct ql_label){ name, ql_str_of(scrape->label_values[i]) };
    }
    if (!has_job) {
        labels[count++] = (struct ql_label){ QL_STR("job"), ql_str_of(scrape->job) };
    }
    if (!has_instance) {
        labels[count++] = (struct ql_label){ QL_STR("instance"), ql_str_of(instance) };
    }
    return ql_labels_build(labels, count, out);
}

static ql_err table_target(const struct ql_scrape *scrape, const char *instance, ql_time now,
                           struct scrape_target *target)
{
    const double timeout_s =
        scrape->timeout_s < scrape->interval_s ? scrape->timeout_s : scrape->interval_s;
    *target = (struct scrape_target){ .interval_ns = (int64_t)(scrape->interval_s * 1e9),
                                      .timeout_ms = (int32_t)(timeout_s * 1e3) };
    ql_buf_init(&target->origin, QL_LABELS_BYTES_MAX);
    if (asprintf(&target->url, "%s://%s%s", scrape->scheme, instance, scrape->path) < 0) {
        target->url = NULL;
        return QL_E_MEMORY;
    }
    const ql_err err = table_origin(scrape, instance, &target->origin);
    if (err != QL_OK) {
        return err;
    }
    const uint64_t hash = ql_hash64(target->url, strlen(target->url)) ^
                          ql_hash64(target->origin.at, target->origin.bytes);
    target->offset_ns = (int64_t)(hash % (uint64_t)target->interval_ns);
    target->due_ns = ql_scrape_next_ns(target, now);
    return QL_OK;
}

ql_err ql_scrape_table_new(const struct ql_config *config, ql_time now,
                           struct scrape_table *ret_table, char *ret_why, size_t why_bytes)
{
    struct scrape_table table = { .at = NULL };
    uint32_t count = 0;
    ql_err err = QL_OK;
    for (uint32_t i = 0; i < config->scrape_count; i++) {
        count += config->scrapes[i].target_count;
    }
    table.at = calloc(count > 0 ? count : 1, sizeof(*table.at));
    if (table.at == NULL) {
        return QL_E_MEMORY;
    }
    for (uint32_t i = 0; err == QL_OK && i < config->scrape_count; i++) {
        const struct ql_scrape *scrape = &config->scrapes[i];
        for (uint32_t t = 0; err == QL_OK && t < scrape->target_count; t++) {
            err = table_target(scrape, scrape->targets[t], now, &table.at[table.count++]);
            if (err != QL_OK) {
                (void)snprintf(ret_why, why_bytes, "scrape job '%s', target '%s': %s", scrape->job,
                               scrape->targets[t], ql_err_text(err));
            }
        }
    }
    if (err != QL_OK) {
        ql_scrape_table_free(&table);
        return err == QL_E_MEMORY ? err : QL_E_CONFIG;
    }
    *ret_table = table;
    return QL_OK;
}

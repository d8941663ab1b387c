#include "base/stat.h"

#include "base/map.h"

#include <pthread.h>
#include <stdlib.h>

#define STAT_OVERFLOW_NAME "ql_stats_overflow_total"

/* A cell with the names it is exported under. One per 64-byte line at least, so that
 * threads that count different things do not share a line. */
struct stat_entry {
    _Alignas(64) struct ql_stat_cell cell;
    uint32_t metric;
    char labels[QL_STAT_LABEL_BYTES];
};

struct stat_metric {
    const char *name, *help;
    enum ql_stat_kind kind;
};

struct ql_stats {
    pthread_mutex_t lock; /* all but the values of cells */
    struct stat_entry *entries;
    struct stat_metric *metrics;
    uint32_t entry_count, metric_count, cells_max;
    struct ql_map64 by_name;    /* hash of name and labels -> entry */
    struct ql_stat_cell overflow;
};

struct ql_stats *ql_stats_new(uint32_t cells_max)
{
    struct ql_stats *stats = calloc(1, sizeof(*stats));
    if (stats == NULL) {
        return NULL;
    }
    (void)pthread_mutex_init(&stats->lock, NULL);
    stats->cells_max = cells_max;
    ql_map64_init(&stats->by_name, cells_max);
    stats->entries = aligned_alloc(64, (size_t)(cells_max + 1) * sizeof(*stats->entries));
    stats->metrics = calloc((size_t)cells_max + 1, sizeof(*stats->metrics));
    if (stats->entries == NULL || stats->metrics == NULL) {
        ql_stats_free(stats);
        return NULL;
    }
    return stats;
}

void ql_stats_free(struct ql_stats *stats)
{
    if (stats != NULL) {
        (void)pthread_mutex_destroy(&stats->lock);
        ql_map64_fini(&stats->by_name);
        free(stats->entries);
        free(stats->metrics);
        free(stats);
    }
}

static uint64_t stat_key(const char *name, const char *labels)
{
    const uint64_t parts[2] = { ql_hash64(name, strlen(name)), ql_hash64(labels, strlen(labels)) };
    return ql_hash64(parts, sizeof(parts));
}

/* There is at least one cell for each metric, so `metrics` never overflows. */
static uint32_t stats_metric(struct ql_stats *stats, struct stat_metric wanted)
{
    for (uint32_t i = 0; i < stats->metric_count; i++) {
        if (strcmp(stats->metrics[i].name, wanted.name) == 0) {
            QL_ASSERT(stats->metrics[i].kind == wanted.kind);
            return i;
        }
    }
    QL_ASSERT(stats->metric_count <= stats->cells_max);
    stats->metrics[stats->metric_count] = wanted;
    return stats->metric_count++;
}

struct ql_stat_cell *ql_stats_cell(struct ql_stats *stats, enum ql_stat_kind kind,
                                   const char *name, const char *help, const char *labels)
{
    struct ql_stat_cell *cell = &stats->overflow;
    QL_ASSERT(name != NULL);
    QL_ASSERT(labels != NULL);
    (void)pthread_mutex_lock(&stats->lock);
    const uint64_t key = stat_key(name, labels);
    const uint32_t known = ql_map64_get(&stats->by_name, key);
    if (known != QL_MAP_NONE) {
        cell = &stats->entries[known].cell;
    } else if (strlen(labels) < QL_STAT_LABEL_BYTES &&
               ql_map64_put(&stats->by_name, key, stats->entry_count) == QL_OK) {
        struct stat_entry *entry = &stats->entries[stats->entry_count++];
        atomic_init(&entry->cell.value, 0);
        entry->metric = stats_metric(stats, (struct stat_metric){ name, help, kind });
        memcpy(entry->labels, labels, strlen(labels) + 1);
        cell = &entry->cell;
    }
    (void)pthread_mutex_unlock(&stats->lock);
    return cell;
}

/* ---- showing ---------------------------------------------------------------------- */

struct stat_line { const char *name, *labels; uint32_t entry; };

static int line_order(const void *left, const void *right)
{
    const struct stat_line *a = left, *b = right;
    const int by_name = strcmp(a->name, b->name);
    return by_name != 0 ? by_name : strcmp(a->labels, b->labels);
}

static void stat_head(struct ql_buf *out, const struct stat_metric *metric)
{
    (void)ql_buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help,
                        metric->name, metric->kind == QL_STAT_COUNTER ? "counter" : "gauge");
}

static void stat_line_render(struct ql_buf *out, const struct stat_line *line, int64_t value)
{
    (void)ql_buf_text(out, line->name);
    if (line->labels[0] != '\0') {
        (void)ql_buf_printf(out, "{%s}", line->labels);
    }
    (void)ql_buf_printf(out, " %lld\n", (long long)value);
}

static void stats_render_sorted(struct ql_stats *stats, struct stat_line *lines,
                                struct ql_buf *out)
{
    for (uint32_t i = 0; i < stats->entry_count; i++) {
        const struct stat_entry *entry = &stats->entries[i];
        lines[i] = (struct stat_line){ stats->metrics[entry->metric].name, entry->labels, i };
    }
    qsort(lines, stats->entry_count, sizeof(*lines), line_order);
    uint32_t shown = UINT32_MAX;
    for (uint32_t i = 0; i < stats->entry_count; i++) {
        const struct stat_entry *entry = &stats->entries[lines[i].entry];
        if (entry->metric != shown) {
            shown = entry->metric;
            stat_head(out, &stats->metrics[shown]);
        }
        stat_line_render(out, &lines[i], ql_stat_get(&entry->cell));
    }
}

ql_err ql_stats_render(struct ql_stats *stats, struct ql_buf *out)
{
    (void)pthread_mutex_lock(&stats->lock);
    struct stat_line *lines = calloc((size_t)stats->entry_count + 1, sizeof(*lines));
    if (lines != NULL) {
        stats_render_sorted(stats, lines, out);
    }
    (void)pthread_mutex_unlock(&stats->lock);
    if (lines == NULL) {
        return QL_E_MEMORY;
    }
    free(lines);
    const int64_t overflow = ql_stat_get(&stats->overflow);
    if (overflow != 0) {
        const struct stat_metric metric = { STAT_OVERFLOW_NAME,
            "Counts of cells that found no room in the table.", QL_STAT_COUNTER };
        stat_head(out, &metric);
        stat_line_render(out, &(struct stat_line){ metric.name, "", 0 }, overflow);
    }
    return ql_buf_check(out);
}

int64_t ql_stats_sum(struct ql_stats *stats, const char *name, const char *labels_part)
{
    int64_t sum = 0;
    (void)pthread_mutex_lock(&stats->lock);
    for (uint32_t i = 0; i < stats->entry_count; i++) {
        const struct stat_entry *entry = &stats->entries[i];
        if (strcmp(stats->metrics[entry->metric].name, name) == 0 &&
            strstr(entry->labels, labels_part) != NULL) {
            sum += ql_stat_get(&entry->cell);
        }
    }
    (void)pthread_mutex_unlock(&stats->lock);
    return sum;
}

uint32_t ql_stats_list(struct ql_stats *stats, const char *name, struct ql_stat_shown *ret,
                       uint32_t most)
{
    uint32_t count = 0;
    (void)pthread_mutex_lock(&stats->lock);
    for (uint32_t i = 0; i < stats->entry_count && count < most; i++) {
        const struct stat_entry *entry = &stats->entries[i];
        if (strcmp(stats->metrics[entry->metric].name, name) == 0) {
            ret[count].value = ql_stat_get(&entry->cell);
            memcpy(ret[count++].labels, entry->labels, sizeof(entry->labels));
        }
    }
    (void)pthread_mutex_unlock(&stats->lock);
    return count;
}

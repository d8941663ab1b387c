/* stat.h - the table of numbers the process keeps about itself, shown at /metrics.
 *
 * A metric is declared once with its help text; a cell is one combination of label
 * values. Cells are looked up at set-up time and then added to without a lock.
 * Everything refused or dropped is a cell of ql_records_dropped_total{source,reason}.
 *
 * Ownership     the table owns cells; a cell pointer is valid for the table's life.
 * Threads       declare and cell under a lock; add, set and render from any thread.
 * Errors        cell() never fails: past cells_max it returns a shared overflow cell that
 *               is itself exported, so that nothing is counted nowhere.
 * Bounds        names, help: literals. cells_max cells; label text up to 128 bytes.
 */
#ifndef QL_BASE_STAT_H
#define QL_BASE_STAT_H

#include "base/base.h"
#include "base/buf.h"

#include <stdatomic.h>

#define QL_STAT_LABEL_BYTES 128u /* with the end */

struct ql_stats;
struct ql_stat_cell { _Atomic int64_t value; }; /* gauges of fractions: use a finer unit */

enum ql_stat_kind { QL_STAT_COUNTER, QL_STAT_GAUGE };

struct ql_stats *ql_stats_new(uint32_t cells_max);
void ql_stats_free(struct ql_stats *stats);
/* `labels` is exposition text without braces, e.g. "source=\"otlp\",reason=\"too_large\"";
 * "" for none. The same name and labels give the same cell. */
struct ql_stat_cell *ql_stats_cell(struct ql_stats *stats, enum ql_stat_kind kind,
                                   const char *name, const char *help, const char *labels);
static inline void ql_stat_add(struct ql_stat_cell *cell, int64_t n)
{
    atomic_fetch_add_explicit(&cell->value, n, memory_order_relaxed);
}
static inline void ql_stat_set(struct ql_stat_cell *cell, int64_t n)
{
    atomic_store_explicit(&cell->value, n, memory_order_relaxed);
}
static inline int64_t ql_stat_get(const struct ql_stat_cell *cell)
{
    return atomic_load_explicit(&cell->value, memory_order_relaxed);
}
/* Prometheus text exposition 0.0.4, metrics sorted by name. */
ql_err ql_stats_render(struct ql_stats *stats, struct ql_buf *out);
/* Sum of the cells of one metric whose labels contain `labels_part` ("" for all). */
int64_t ql_stats_sum(struct ql_stats *stats, const char *name, const char *labels_part);
/* The cells of one metric, at most `most`, in the order in which they were declared. */
struct ql_stat_shown { int64_t value; char labels[QL_STAT_LABEL_BYTES]; };
uint32_t ql_stats_list(struct ql_stats *stats, const char *name, struct ql_stat_shown *ret,
                       uint32_t most);

#endif

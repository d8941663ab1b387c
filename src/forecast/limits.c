/* limits - the pairs that exporters in wide use give, and the endings that tell others. */
#include "forecast/limits.h"

const struct ql_limit_pair ql_limit_pairs[] = {
    { "node_filesystem_avail_bytes", "node_filesystem_size_bytes", QL_LIMIT_FREE },
    { "node_filesystem_files_free", "node_filesystem_files", QL_LIMIT_FREE },
    { "node_memory_MemAvailable_bytes", "node_memory_MemTotal_bytes", QL_LIMIT_FREE },
    { "node_filefd_allocated", "node_filefd_maximum", QL_LIMIT_USED },
    { "node_nf_conntrack_entries", "node_nf_conntrack_entries_limit", QL_LIMIT_USED },
    { "windows_logical_disk_free_bytes", "windows_logical_disk_size_bytes", QL_LIMIT_FREE },
    { "kubelet_volume_stats_available_bytes", "kubelet_volume_stats_capacity_bytes",
      QL_LIMIT_FREE },
    { "kubelet_volume_stats_inodes_free", "kubelet_volume_stats_inodes", QL_LIMIT_FREE },
    { "container_memory_working_set_bytes", "container_spec_memory_limit_bytes", QL_LIMIT_USED },
    { "process_open_fds", "process_max_fds", QL_LIMIT_USED },
    { "hikaricp_connections_active", "hikaricp_connections_max", QL_LIMIT_USED },
    { "redis_memory_used_bytes", "redis_memory_max_bytes", QL_LIMIT_USED },
    { "jvm_memory_used_bytes", "jvm_memory_max_bytes", QL_LIMIT_USED },
    { "mysql_global_status_threads_connected", "mysql_global_variables_max_connections",
      QL_LIMIT_USED },
};
const uint32_t ql_limit_pair_count = QL_COUNT_OF(ql_limit_pairs);

static const char *const limit_endings[] = { "_limit", "_max", "_capacity" };
static const char *const used_endings[] = { "", "_used", "_usage", "_active", "_current",
                                            "_in_use" };

/* The name without the ending of a limit; empty when it has none. */
static ql_str limit_stem(ql_str name)
{
    for (size_t i = 0; i < QL_COUNT_OF(limit_endings); i++) {
        const ql_str ending = ql_str_of(limit_endings[i]);
        if (name.bytes > ending.bytes && ql_str_ends(name, ending)) {
            return (ql_str){ name.at, name.bytes - ending.bytes };
        }
    }
    return (ql_str){ NULL, 0 };
}

bool ql_limit_name(ql_str name)
{
    for (uint32_t i = 0; i < ql_limit_pair_count; i++) {
        if (ql_str_eq(name, ql_str_of(ql_limit_pairs[i].limit))) {
            return true;
        }
    }
    return limit_stem(name).bytes > 0;
}

bool ql_limit_of(ql_str metric, ql_str limit, enum ql_limit_kind *ret_kind)
{
    for (uint32_t i = 0; i < ql_limit_pair_count; i++) {
        const struct ql_limit_pair *pair = &ql_limit_pairs[i];
        if (ql_str_eq(metric, ql_str_of(pair->metric)) &&
            ql_str_eq(limit, ql_str_of(pair->limit))) {
            *ret_kind = pair->kind;
            return true;
        }
    }
    const ql_str stem = limit_stem(limit);
    if (stem.bytes == 0 || !ql_str_starts(metric, stem)) {
        return false;
    }
    const ql_str rest = { metric.at + stem.bytes, metric.bytes - stem.bytes };
    for (size_t i = 0; i < QL_COUNT_OF(used_endings); i++) {
        if (ql_str_eq(rest, ql_str_of(used_endings[i]))) {
            *ret_kind = QL_LIMIT_USED;
            return true;
        }
    }
    return false;
}

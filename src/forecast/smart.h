/* smart.h - which series are the SMART counters of which disk, and what is said of a disk.
 *
 * Known are those of two exporters in wide use: smartctl_exporter
 * (`smartctl_device_attribute` with attribute_id and attribute_value_type="raw") and the
 * smartmon scripts for node exporter's text files (`smartmon_NAME_raw_value`, or
 * `smartmon_attr_raw_value` with a name). Series are of one disk when all their labels are
 * the same but those that tell the attribute. What is not there is -1.
 *
 * Ownership     nothing is kept; texts are the caller's.
 * Errors        none: what is no such series is none. Words end where the buf is full.
 * Bounds        O(labels); a name in a sentence is at most 200 bytes long.
 * Determinism   the labels and the counters only.
 */
#ifndef QL_FORECAST_SMART_H
#define QL_FORECAST_SMART_H

#include "base/buf.h"
#include "forecast/disk.h"

#define QL_SMART_NONE (-1.0)
/* What bench/disk measures; it is said with every finding. */
#define QL_SMART_RECORD                                                                       \
    "of 43,364 disks this rule found .676 of those that failed and .074 of the others, AUC .817"
#define QL_SMART_FALSE_SHARE 0.074

/* Whether a series of these labels is one of the five counters. */
bool ql_smart_counter(ql_str labels, enum ql_disk_counter *ret_counter);
/* Equal for the series of one disk. */
uint64_t ql_smart_disk(ql_str labels);

/* "disk /dev/sda of db1: 3 reallocated sectors, 12 pending sectors; of 43,364 disks ...", with
 * the port taken off where the host is an instance. */
void ql_smart_say(ql_str labels, const double raw[QL_DISK_COUNTERS], struct ql_buf *out);

#endif

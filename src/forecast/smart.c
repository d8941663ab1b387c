/* smart - two exporters' ways to name five counters. */
#include "forecast/smart.h"

#include "model/labels.h"

enum { NAME_BYTES_MAX = 200 };

static const char *const smartmon_names[QL_DISK_COUNTERS] = {
    "reallocated_sector_ct", "reported_uncorrect", "command_timeout", "current_pending_sector",
    "offline_uncorrectable",
};
/* Those of an attribute, not of the disk. */
static const char *const attribute_labels[] = {
    "__name__", "attribute_flags_long", "attribute_flags_short", "attribute_id",
    "attribute_name", "attribute_value_type", "name", "smart_id",
};

static bool counter_of_id(ql_str id, enum ql_disk_counter *ret_counter)
{
    int64_t number;
    if (ql_str_to_i64(id, &number) != QL_OK) {
        return false;
    }
    for (uint32_t i = 0; i < QL_DISK_COUNTERS; i++) {
        if (number == ql_disk_smart_id[i]) {
            *ret_counter = (enum ql_disk_counter)i;
            return true;
        }
    }
    return false;
}

static bool counter_of_name(ql_str name, enum ql_disk_counter *ret_counter)
{
    for (uint32_t i = 0; i < QL_DISK_COUNTERS; i++) {
        if (ql_str_eq(name, ql_str_of(smartmon_names[i]))) {
            *ret_counter = (enum ql_disk_counter)i;
            return true;
        }
    }
    return false;
}

bool ql_smart_counter(ql_str labels, enum ql_disk_counter *ret_counter)
{
    const ql_str name = ql_labels_get(labels, QL_STR("__name__"));
    const ql_str begin = QL_STR("smartmon_"), end = QL_STR("_raw_value");
    if (ql_str_eq(name, QL_STR("smartctl_device_attribute"))) {
        return ql_str_eq(ql_labels_get(labels, QL_STR("attribute_value_type")), QL_STR("raw")) &&
               counter_of_id(ql_labels_get(labels, QL_STR("attribute_id")), ret_counter);
    }
    if (!ql_str_starts(name, begin) || !ql_str_ends(name, end) ||
        name.bytes <= begin.bytes + end.bytes) {
        return false;
    }
    const ql_str middle = { name.at + begin.bytes, name.bytes - begin.bytes - end.bytes };
    if (ql_str_eq(middle, QL_STR("attr"))) {
        return counter_of_name(ql_labels_get(labels, QL_STR("name")), ret_counter);
    }
    return counter_of_name(middle, ret_counter);
}

static bool attribute_label(ql_str name)
{
    for (size_t i = 0; i < QL_COUNT_OF(attribute_labels); i++) {
        if (ql_str_eq(name, ql_str_of(attribute_labels[i]))) {
            return true;
        }
    }
    return false;
}

uint64_t ql_smart_disk(ql_str labels)
{
    struct ql_label label;
    uint64_t key = 0;
    for (size_t at = 0; ql_labels_next(labels, &at, &label);) {
        if (!attribute_label(label.name)) {
            const uint64_t parts[] = { key, ql_hash64(label.name.at, label.name.bytes),
                                       ql_hash64(label.value.at, label.value.bytes) };
            key = ql_hash64(parts, sizeof(parts));
        }
    }
    return key;
}

/* ---- words -------------------------------------------------------------------------- */

/* Names in a sentence are short; a longer one ends between two characters. */
static ql_str name_cut(ql_str name)
{
    if (name.bytes > NAME_BYTES_MAX) {
        name.bytes = NAME_BYTES_MAX;
        while (name.bytes > 0 && ((uint8_t)name.at[name.bytes] & 0xc0u) == 0x80u) {
            name.bytes--;
        }
    }
    return name;
}

static ql_str host_of(ql_str labels)
{
    static const char *const names[] = { "host", "hostname", "node", "nodename", "instance" };
    ql_str host = { "", 0 };
    size_t i = 0;
    for (; i < QL_COUNT_OF(names) && host.bytes == 0; i++) {
        host = ql_labels_get(labels, ql_str_of(names[i]));
    }
    if (i == QL_COUNT_OF(names)) { /* an instance has a port */
        size_t end = host.bytes;
        while (end > 0 && host.at[end - 1] >= '0' && host.at[end - 1] <= '9') {
            end--;
        }
        if (end > 1 && end < host.bytes && host.at[end - 1] == ':') {
            host.bytes = end - 1;
        }
    }
    return name_cut(host);
}

static void say_disk(ql_str labels, struct ql_buf *out)
{
    ql_str device = ql_labels_get(labels, QL_STR("device"));
    device = name_cut(device.bytes > 0 ? device : ql_labels_get(labels, QL_STR("disk")));
    const ql_str type = name_cut(ql_labels_get(labels, QL_STR("type"))), host = host_of(labels);
    (void)ql_buf_printf(out, "disk %.*s", QL_STR_ARG(device));
    if (type.bytes > 0 && memchr(type.at, ',', type.bytes) != NULL) {
        /* one of many behind a controller: "sat+megaraid,3" */
        (void)ql_buf_printf(out, " (%.*s)", QL_STR_ARG(type));
    }
    if (host.bytes > 0) {
        (void)ql_buf_printf(out, " of %.*s", QL_STR_ARG(host));
    }
}

void ql_smart_say(ql_str labels, const double raw[QL_DISK_COUNTERS], struct ql_buf *out)
{
    bool any = false;
    say_disk(labels, out);
    for (uint32_t i = 0; i < QL_DISK_COUNTERS; i++) {
        const double count = ql_disk_count((enum ql_disk_counter)i, raw[i]);
        if (count > 0.0) {
            (void)ql_buf_printf(out, "%s%.0f %s", any ? ", " : ": ", count,
                                ql_disk_counter_text((enum ql_disk_counter)i));
            any = true;
        }
    }
    (void)ql_buf_printf(out, "%s", any ? "; " QL_SMART_RECORD
                                       : ": none of its five SMART counters is above 0");
}

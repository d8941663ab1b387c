/* smart_test - which series are counters of which disk, and what is said of one. */
#include "forecast/smart.h"

#include "model/labels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static ql_str block_of(const char *text, struct ql_buf *out)
{
    ql_buf_init(out, 8192);
    if (ql_labels_parse(ql_str_of(text), out) != QL_OK) {
        fail_msg("'%s' is no series", text);
    }
    return ql_buf_view(out);
}

#define CTL "smartctl_device_attribute{instance=\"db1:9633\",device=\"sda\","
#define RAW "attribute_value_type=\"raw\","
#define MON(name) "smartmon_" name "_raw_value{instance=\"db1:9100\",disk=\"/dev/sda\",type=\"sat\"}"

struct row { const char *series; int counter; }; /* -1: none */
static const struct row rows[] = {
    { CTL RAW "attribute_id=\"5\",attribute_name=\"Reallocated_Sector_Ct\"}",
      QL_DISK_REALLOCATED },
    { CTL RAW "attribute_id=\"187\"}", QL_DISK_UNCORRECTABLE },
    { CTL RAW "attribute_id=\"188\"}", QL_DISK_TIMEOUTS },
    { CTL RAW "attribute_id=\"197\"}", QL_DISK_PENDING },
    { CTL RAW "attribute_id=\"198\"}", QL_DISK_OFFLINE },
    { CTL RAW "attribute_id=\"9\"}", -1 },
    { CTL RAW "attribute_id=\"five\"}", -1 },
    { CTL RAW "attribute_name=\"Reallocated_Sector_Ct\"}", -1 },
    { CTL "attribute_value_type=\"value\",attribute_id=\"5\"}", -1 },
    { CTL "attribute_value_type=\"worst\",attribute_id=\"5\"}", -1 },
    { CTL "attribute_value_type=\"thresh\",attribute_id=\"5\"}", -1 },
    { MON("reallocated_sector_ct"), QL_DISK_REALLOCATED },
    { MON("reported_uncorrect"), QL_DISK_UNCORRECTABLE },
    { MON("command_timeout"), QL_DISK_TIMEOUTS },
    { MON("current_pending_sector"), QL_DISK_PENDING },
    { MON("offline_uncorrectable"), QL_DISK_OFFLINE },
    { MON("power_on_hours"), -1 },
    { MON("attr"), -1 },
    { "smartmon_attr_raw_value{disk=\"/dev/sda\",name=\"offline_uncorrectable\"}",
      QL_DISK_OFFLINE },
    { "smartmon_attr_raw_value{disk=\"/dev/sda\",name=\"power_cycle_count\"}", -1 },
    { "smartmon_attr_worst{disk=\"/dev/sda\",name=\"offline_uncorrectable\"}", -1 },
    { "smartmon_offline_uncorrectable_value{disk=\"/dev/sda\"}", -1 },
    { "smartmon_raw_value{disk=\"/dev/sda\"}", -1 },
    { "node_disk_io_now{device=\"sda\"}", -1 },
};

static void what_is_a_counter(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_buf block;
        enum ql_disk_counter counter;
        const bool is = ql_smart_counter(block_of(rows[i].series, &block), &counter);
        if (is != (rows[i].counter >= 0) || (is && (int)counter != rows[i].counter)) {
            fail_msg("%s: %d", rows[i].series, is ? (int)counter : -1);
        }
        ql_buf_fini(&block);
    }
}

struct pair { const char *one, *other; bool same; };
static const struct pair pairs[] = {
    { CTL RAW "attribute_id=\"5\",attribute_name=\"Reallocated_Sector_Ct\","
          "attribute_flags_short=\"PO--CK\",attribute_flags_long=\"prefailure\"}",
      CTL RAW "attribute_id=\"197\",attribute_name=\"Current_Pending_Sector\","
          "attribute_flags_short=\"-O--C-\",attribute_flags_long=\"updated_online\"}", true },
    { CTL RAW "attribute_id=\"5\"}",
      "smartctl_device_attribute{instance=\"db2:9633\",device=\"sda\"," RAW "attribute_id=\"5\"}",
      false },
    { "smartmon_reallocated_sector_ct_raw_value{disk=\"/dev/sda\",smart_id=\"5\"}",
      "smartmon_command_timeout_raw_value{disk=\"/dev/sda\",smart_id=\"188\"}", true },
    { "smartmon_reallocated_sector_ct_raw_value{disk=\"/dev/sda\"}",
      "smartmon_reallocated_sector_ct_raw_value{disk=\"/dev/sdb\"}", false },
    { "smartmon_reallocated_sector_ct_raw_value{disk=\"/dev/bus/0\",type=\"sat+megaraid,3\"}",
      "smartmon_reallocated_sector_ct_raw_value{disk=\"/dev/bus/0\",type=\"sat+megaraid,4\"}",
      false },
    { "smartmon_attr_raw_value{disk=\"/dev/sda\",name=\"offline_uncorrectable\"}",
      "smartmon_attr_raw_value{disk=\"/dev/sda\",name=\"command_timeout\"}", true },
};

static void which_are_of_one_disk(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(pairs); i++) {
        struct ql_buf one, other;
        const bool same = ql_smart_disk(block_of(pairs[i].one, &one)) ==
                          ql_smart_disk(block_of(pairs[i].other, &other));
        if (same != pairs[i].same) {
            fail_msg("%s and %s: %d", pairs[i].one, pairs[i].other, same);
        }
        ql_buf_fini(&one);
        ql_buf_fini(&other);
    }
}

struct said { const char *series; double raw[QL_DISK_COUNTERS]; const char *text; };
static const struct said saids[] = {
    { CTL RAW "attribute_id=\"5\"}", { 3, 0, -1, 12, 0 },
      "disk sda of db1: 3 reallocated sectors, 12 pending sectors; " QL_SMART_RECORD },
    { MON("command_timeout"), { -1, 0, 4295032833.0, -1, -1 },
      "disk /dev/sda of db1: 1 command timeouts; " QL_SMART_RECORD },
    { CTL RAW "attribute_id=\"5\"}", { 0, 0, 0, 0, 0 },
      "disk sda of db1: none of its five SMART counters is above 0" },
    { "smartmon_attr_raw_value{disk=\"/dev/bus/0\",type=\"sat+megaraid,3\",host=\"a:1\"}",
      { 0, 2, 0, 0, 1 },
      "disk /dev/bus/0 (sat+megaraid,3) of a:1: 2 uncorrectable errors, "
      "1 sectors uncorrectable offline; " QL_SMART_RECORD },
    { "smartmon_attr_raw_value{disk=\"/dev/sdb\"}", { 1, -1, -1, -1, -1 },
      "disk /dev/sdb: 1 reallocated sectors; " QL_SMART_RECORD },
    { "smartmon_attr_raw_value{disk=\"/dev/sdb\",instance=\"[::1]:9100\"}", { 1, 0, 0, 0, 0 },
      "disk /dev/sdb of [::1]: 1 reallocated sectors; " QL_SMART_RECORD },
    { "smartmon_attr_raw_value{disk=\"/dev/sdb\",instance=\"db7\"}", { 1, 0, 0, 0, 0 },
      "disk /dev/sdb of db7: 1 reallocated sectors; " QL_SMART_RECORD },
};

static void what_is_said(void **state)
{
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(saids); i++) {
        struct ql_buf block, text;
        ql_buf_init(&text, 4096);
        ql_smart_say(block_of(saids[i].series, &block), saids[i].raw, &text);
        (void)ql_buf_char(&text, '\0');
        assert_string_equal(text.at, saids[i].text);
        ql_buf_fini(&text);
        ql_buf_fini(&block);
    }
}

/* Names of thousands of bytes leave room for what counts, and end between characters. */
static void long_names_are_cut(void **state)
{
    (void)state;
    const double raw[] = { 3, 0, 0, 0, 0 };
    struct ql_buf series, block, text;
    ql_buf_init(&series, 8192);
    (void)ql_buf_text(&series, "smartmon_attr_raw_value{disk=\"x");
    for (int i = 0; i < 2000; i++) {
        (void)ql_buf_text(&series, "\xc3\xa4");
    }
    (void)ql_buf_text(&series, "\",host=\"db1\"}");
    (void)ql_buf_char(&series, '\0');
    ql_buf_init(&text, 1024);
    ql_smart_say(block_of(series.at, &block), raw, &text);
    assert_int_equal(ql_buf_check(&text), QL_OK);
    (void)ql_buf_char(&text, '\0');
    assert_non_null(strstr(text.at, "\xa4 of db1: 3 reallocated sectors; of"));
    assert_int_equal(strlen("disk x") + 198, strstr(text.at, " of db1") - text.at);
    ql_buf_fini(&text);
    ql_buf_fini(&block);
    ql_buf_fini(&series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_a_counter),
        cmocka_unit_test(which_are_of_one_disk),
        cmocka_unit_test(what_is_said),
        cmocka_unit_test(long_names_are_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

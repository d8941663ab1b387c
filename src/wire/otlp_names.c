/* otlp_names.c - OTLP names as Prometheus writes them, so that one dashboard reads both.
 *
 * The rules are those of Prometheus' own OTLP door (its translation of metric names,
 * 2025): what is not a letter, digit or ':' separates words, words are joined by one
 * '_', the unit is spelt out and appended unless a word says it already, monotonic sums
 * end in _total, gauges of unit "1" in _ratio.
 */
#include "wire/otlp.h"

enum { WORDS_MAX = 48 };

struct words { ql_str at[WORDS_MAX + 4]; uint32_t count; };

static const struct { const char *ucum, *word; } units[] = {
    { "d", "days" },          { "h", "hours" },        { "min", "minutes" },
    { "s", "seconds" },       { "ms", "milliseconds" }, { "us", "microseconds" },
    { "ns", "nanoseconds" },  { "By", "bytes" },       { "KiBy", "kibibytes" },
    { "MiBy", "mebibytes" },  { "GiBy", "gibibytes" }, { "TiBy", "tibibytes" },
    { "KBy", "kilobytes" },   { "kBy", "kilobytes" },  { "MBy", "megabytes" },
    { "GBy", "gigabytes" },   { "TBy", "terabytes" },  { "m", "meters" },
    { "V", "volts" },         { "A", "amperes" },      { "J", "joules" },
    { "W", "watts" },         { "g", "grams" },        { "Cel", "celsius" },
    { "Hz", "hertz" },        { "%", "percent" },      { "1", "" },
};
static const struct { const char *ucum, *word; } per_units[] = {
    { "s", "second" }, { "m", "minute" }, { "min", "minute" }, { "h", "hour" },
    { "d", "day" },    { "w", "week" },   { "mo", "month" },   { "y", "year" },
};

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool words_have(const struct words *words, ql_str word)
{
    for (uint32_t i = 0; i < words->count; i++) {
        if (ql_str_eq(words->at[i], word)) {
            return true;
        }
    }
    return false;
}

static void words_add(struct words *words, ql_str word)
{
    if (word.bytes > 0 && words->count < QL_COUNT_OF(words->at)) {
        words->at[words->count++] = word;
    }
}

static void words_drop(struct words *words, ql_str word)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < words->count; i++) {
        if (!ql_str_eq(words->at[i], word)) {
            words->at[kept++] = words->at[i];
        }
    }
    words->count = kept;
}

/* The last word takes what is left when a name has very many. */
static void words_split(struct words *words, ql_str text)
{
    size_t at = 0;
    while (at < text.bytes && words->count < WORDS_MAX) {
        while (at < text.bytes && !name_char(text.at[at]) && text.at[at] != ':') {
            at++;
        }
        const size_t start = at;
        while (at < text.bytes && (name_char(text.at[at]) || text.at[at] == ':')) {
            at++;
        }
        words_add(words, (ql_str){ text.at + start, at - start });
    }
}

static ql_str unit_trim(ql_str unit)
{
    while (unit.bytes > 0 && unit.at[0] == ' ') {
        unit = (ql_str){ unit.at + 1, unit.bytes - 1 };
    }
    while (unit.bytes > 0 && unit.at[unit.bytes - 1] == ' ') {
        unit.bytes--;
    }
    return unit;
}

/* "{packets}" says what is counted and is no unit. */
static bool unit_is_note(ql_str unit)
{
    return unit.bytes == 0 || memchr(unit.at, '{', unit.bytes) != NULL ||
           memchr(unit.at, '}', unit.bytes) != NULL;
}

static void unit_add(struct words *words, ql_str unit)
{
    for (size_t i = 0; i < QL_COUNT_OF(units); i++) {
        if (ql_str_eq(unit, ql_str_of(units[i].ucum))) {
            const ql_str word = ql_str_of(units[i].word);
            if (!words_have(words, word)) {
                words_add(words, word);
            }
            return;
        }
    }
    struct words own = { .count = 0 };
    words_split(&own, unit);
    for (uint32_t i = 0; i < own.count; i++) {
        if (!words_have(words, own.at[i])) {
            words_add(words, own.at[i]);
        }
    }
}

static void per_unit_add(struct words *words, ql_str unit)
{
    ql_str word = unit;
    for (size_t i = 0; i < QL_COUNT_OF(per_units); i++) {
        if (ql_str_eq(unit, ql_str_of(per_units[i].ucum))) {
            word = ql_str_of(per_units[i].word);
        }
    }
    struct words own = { .count = 0 };
    words_split(&own, word);
    if (own.count > 0 && !words_have(words, own.at[0])) {
        words_add(words, QL_STR("per"));
        words_add(words, own.at[0]);
    }
}

static void units_add(struct words *words, ql_str unit)
{
    const char *slash = unit.bytes == 0 ? NULL : memchr(unit.at, '/', unit.bytes);
    const size_t main_bytes = slash == NULL ? unit.bytes : (size_t)(slash - unit.at);
    const ql_str main_unit = unit_trim((ql_str){ unit.at, main_bytes });
    if (!unit_is_note(main_unit)) {
        unit_add(words, main_unit);
    }
    if (slash != NULL) {
        const ql_str per = unit_trim((ql_str){ slash + 1, unit.bytes - main_bytes - 1 });
        if (!unit_is_note(per)) {
            per_unit_add(words, per);
        }
    }
}

void ql_otlp_metric_name(const struct ql_otlp_metric_name *metric, struct ql_buf *out)
{
    struct words words = { .count = 0 };
    words_split(&words, metric->name);
    if (words.count == 0) {
        return;
    }
    units_add(&words, metric->unit);
    if (metric->monotonic_sum) {
        words_drop(&words, QL_STR("total"));
        words_add(&words, QL_STR("total"));
    }
    if (metric->gauge && ql_str_eq(metric->unit, QL_STR("1"))) {
        words_drop(&words, QL_STR("ratio"));
        words_add(&words, QL_STR("ratio"));
    }
    const char first = words.at[0].at[0];
    if (first >= '0' && first <= '9') {
        (void)ql_buf_char(out, '_');
    }
    for (uint32_t i = 0; i < words.count; i++) {
        if (i > 0) {
            (void)ql_buf_char(out, '_');
        }
        (void)ql_buf_str(out, words.at[i]);
    }
}

void ql_otlp_label_name(ql_str key, struct ql_buf *out)
{
    if (key.bytes > 0 && key.at[0] >= '0' && key.at[0] <= '9') {
        (void)ql_buf_text(out, "key_");
    }
    for (size_t i = 0; i < key.bytes; i++) {
        (void)ql_buf_char(out, name_char(key.at[i]) ? key.at[i] : '_');
    }
}

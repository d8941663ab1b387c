/* exposition.c - what a scrape target says about itself: Prometheus text 0.0.4 and
 * OpenMetrics 1.0, line by line.
 *
 * Which of the two it is shows in the last line: OpenMetrics must end with "# EOF". It
 * differs here in two things: times are seconds, not milliseconds, and a line may carry
 * an exemplar. Because a line end is a sure place to go on from, a bad line is left out
 * and counted and the others stand. A last line without its end may have lost half of
 * its number, so it is left out too.
 *
 * The target's own labels (`origin`) win; a scraped label of that name is renamed to
 * "exported_<name>", as Prometheus does.
 */
#include "wire/block.h"
#include "wire/wire_int.h"

struct exposition {
    const struct ql_wire_job *job;
    struct ql_block origin;
    struct ql_block block;       /* of the line being read */
    const char *at, *end;        /* of that line, without its line end */
    const char *line_start;
    uint32_t line;
    bool openmetrics, ended;
    ql_str family;               /* of the last TYPE line */
    enum ql_metric_family family_type;
};

static bool expo_bad(struct exposition *x, enum ql_reason reason, const char *what)
{
    ql_reject_add(x->job->reject, reason, "scrape: line %u, column %zu: %s", x->line,
                  (size_t)(x->at - x->line_start) + 1, what);
    return false;
}

/* ---- words ------------------------------------------------------------------------ */

static void expo_blanks(struct exposition *x)
{
    while (x->at < x->end && (*x->at == ' ' || *x->at == '\t')) {
        x->at++;
    }
}

static bool expo_take(struct exposition *x, char wanted)
{
    if (x->at < x->end && *x->at == wanted) {
        x->at++;
        return true;
    }
    return false;
}

static ql_str expo_word(struct exposition *x)
{
    const char *start = x->at;
    while (x->at < x->end && *x->at != ' ' && *x->at != '\t') {
        x->at++;
    }
    return (ql_str){ start, (size_t)(x->at - start) };
}

static bool expo_name_char(char c, bool first, bool colon)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (colon && c == ':') ||
           (!first && c >= '0' && c <= '9');
}

static ql_str expo_name(struct exposition *x, bool colon)
{
    const char *start = x->at;
    while (x->at < x->end && expo_name_char(*x->at, x->at == start, colon)) {
        x->at++;
    }
    return (ql_str){ start, (size_t)(x->at - start) };
}

/* Undoes \\, \" and \n; another backslash stands for itself. */
static bool expo_unescape(struct exposition *x, ql_str raw, ql_str *ret_text)
{
    char *to = ql_arena_take(&x->job->out->arena, raw.bytes);
    size_t bytes = 0;
    if (to == NULL) {
        return expo_bad(x, QL_REASON_TOO_LARGE, "no room left for this scrape");
    }
    for (size_t i = 0; i < raw.bytes; i++) {
        char c = raw.at[i];
        if (c == '\\' && i + 1 < raw.bytes) {
            const char next = raw.at[i + 1];
            if (next == 'n' || next == '\\' || next == '"') {
                c = next == 'n' ? '\n' : next;
                i++;
            }
        }
        to[bytes++] = c;
    }
    *ret_text = (ql_str){ to, bytes };
    return true;
}

/* A quoted text; x->at stands on its opening quote. */
static bool expo_quoted(struct exposition *x, ql_str *ret_text)
{
    const char *start = x->at + 1, *at = start;
    bool escaped = false;
    for (; at < x->end && *at != '"'; at++) {
        if (*at == '\\' && at + 1 < x->end) {
            escaped = true;
            at++;
        }
    }
    if (at >= x->end) {
        return expo_bad(x, QL_REASON_MALFORMED, "a quote is not closed on this line");
    }
    const ql_str raw = { start, (size_t)(at - start) };
    x->at = at + 1;
    if (escaped) {
        return expo_unescape(x, raw, ret_text);
    }
    *ret_text = raw;
    return true;
}

/* ---- one sample ------------------------------------------------------------------- */

static bool expo_put(struct exposition *x, ql_str name, ql_str value)
{
    switch (ql_block_put(&x->block, name, value)) {
    case QL_OK: return true;
    case QL_E_CONFLICT:
        return expo_bad(x, QL_REASON_DUPLICATE_LABEL, "a label stands twice before here");
    case QL_E_RANGE:
        return expo_bad(x, QL_REASON_LABEL_LIMIT, "more than 64 labels or 16384 bytes of them");
    default: return expo_bad(x, QL_REASON_MALFORMED, "a label that is not UTF-8 before here");
    }
}

/* One of: name="value", "quoted name"="value", and "quoted metric name" alone. */
static bool expo_label(struct exposition *x, ql_str *metric)
{
    ql_str name, value;
    const bool quoted = x->at < x->end && *x->at == '"';
    if (quoted) {
        if (!expo_quoted(x, &name)) {
            return false;
        }
    } else {
        name = expo_name(x, false);
    }
    if (name.bytes == 0) {
        return expo_bad(x, QL_REASON_MALFORMED, "a label name is wanted: letters, digits and _");
    }
    expo_blanks(x);
    if (quoted && metric->bytes == 0 && x->at < x->end && *x->at != '=') {
        *metric = name;
        return true;
    }
    if (!expo_take(x, '=')) {
        return expo_bad(x, QL_REASON_MALFORMED, "'=' is wanted after a label name");
    }
    expo_blanks(x);
    if (x->at >= x->end || *x->at != '"') {
        return expo_bad(x, QL_REASON_MALFORMED, "a label value in double quotes is wanted");
    }
    if (ql_str_eq(name, QL_STR("__name__"))) {
        return expo_bad(x, QL_REASON_DUPLICATE_LABEL, "the name stands before the braces");
    }
    return expo_quoted(x, &value) && expo_put(x, name, value);
}

static bool expo_labels(struct exposition *x, ql_str *metric)
{
    if (!expo_take(x, '{')) {
        return true;
    }
    for (expo_blanks(x); !expo_take(x, '}'); expo_blanks(x)) {
        if (!expo_label(x, metric)) {
            return false;
        }
        expo_blanks(x);
        if (!expo_take(x, ',') && (x->at >= x->end || *x->at != '}')) {
            return expo_bad(x, QL_REASON_MALFORMED, "',' or '}' is wanted after a label");
        }
    }
    return true;
}

/* The target's labels take their names; a scraped one moves out of the way, as often as
 * it must. */
static bool expo_merge_origin(struct exposition *x)
{
    for (uint32_t i = 0; i < x->origin.count; i++) {
        const struct ql_label *own = &x->origin.parts[i];
        const struct ql_label *scraped = ql_block_find(&x->block, own->name);
        if (scraped == NULL) {
            if (!expo_put(x, own->name, own->value)) {
                return false;
            }
            continue;
        }
        const ql_str value = scraped->value;
        ql_str name = own->name;
        do {
            name = ql_arena_printf(&x->job->out->arena, "exported_%.*s", QL_STR_ARG(name));
            if (name.at == NULL) {
                return expo_bad(x, QL_REASON_TOO_LARGE, "no room left for this scrape");
            }
        } while (ql_block_find(&x->block, name) != NULL ||
                 ql_block_find(&x->origin, name) != NULL);
        if (!expo_put(x, name, value)) {
            return false;
        }
        if (ql_block_set(&x->block, own->name, own->value) != QL_OK) {
            return expo_bad(x, QL_REASON_LABEL_LIMIT, "more than 16384 bytes of labels");
        }
    }
    return true;
}

static bool expo_time(struct exposition *x, ql_str word, ql_time *ret_at)
{
    int64_t ms;
    double s;
    if (x->openmetrics) {
        return (ql_str_to_double(word, &s) == QL_OK && ql_wire_time_of_s(s, ret_at)) ||
               expo_bad(x, QL_REASON_TIME, "a time in seconds since 1970 is wanted");
    }
    if (ql_str_to_i64(word, &ms) != QL_OK || ms > INT64_C(9000000000000) ||
        ms < -INT64_C(9000000000000)) {
        return expo_bad(x, QL_REASON_TIME, "a time in milliseconds since 1970 is wanted");
    }
    *ret_at = ql_time_from_ms(ms);
    return true;
}

static bool expo_value(struct exposition *x, struct ql_sample *ret_sample)
{
    expo_blanks(x);
    const ql_str value = expo_word(x);
    if (value.bytes == 0 || ql_str_to_double(value, &ret_sample->value) != QL_OK) {
        x->at -= value.bytes;
        return expo_bad(x, QL_REASON_NO_VALUE, "a number is wanted here");
    }
    ret_sample->at = x->job->in->accepted;
    expo_blanks(x);
    if (x->at < x->end && *x->at != '#') {
        const ql_str time = expo_word(x);
        if (!expo_time(x, time, &ret_sample->at)) {
            return false;
        }
        expo_blanks(x);
    }
    if (x->at < x->end && *x->at == '#' && x->openmetrics) {
        ql_reject_add(x->job->reject, QL_REASON_UNSUPPORTED,
                      "scrape: line %u: exemplars are not taken, the sample is", x->line);
    } else if (x->at < x->end) {
        return expo_bad(x, QL_REASON_MALFORMED, "a line ends after value and time");
    }
    return true;
}

static enum ql_metric_type expo_type(const struct exposition *x, ql_str metric)
{
    if (!ql_str_starts(metric, x->family)) {
        return QL_METRIC_UNKNOWN;
    }
    const ql_str part = { metric.at + x->family.bytes, metric.bytes - x->family.bytes };
    static const char *const parts[] = { "", "_total", "_bucket", "_count", "_sum", "_created",
                                         "_gcount", "_gsum", "_info" };
    for (size_t i = 0; i < QL_COUNT_OF(parts); i++) {
        if (ql_str_eq(part, ql_str_of(parts[i]))) {
            return ql_family_type(x->family_type, part);
        }
    }
    return QL_METRIC_UNKNOWN;
}

static bool expo_add(struct exposition *x, ql_str metric, struct ql_sample sample)
{
    struct ql_batch *out = x->job->out;
    ql_str labels;
    if (ql_block_write(&x->block, &out->arena, &labels) != QL_OK) {
        return expo_bad(x, QL_REASON_TOO_LARGE, "no room left for this scrape");
    }
    const uint32_t first = out->samples.count;
    struct ql_sample *added_sample = ql_batch_add_sample(out);
    struct ql_run *run = added_sample == NULL ? NULL : ql_batch_add_run(out);
    if (run == NULL) {
        out->samples.count = first;
        return expo_bad(x, QL_REASON_TOO_LARGE, "more samples than one scrape may hold");
    }
    *added_sample = sample;
    *run = (struct ql_run){ .raw = ql_hash128_of(labels.at, labels.bytes), .labels = labels,
                            .sample_first = first, .sample_count = 1,
                            .type = expo_type(x, metric) };
    return true;
}

static bool expo_sample(struct exposition *x)
{
    struct ql_sample sample = { 0 };
    ql_block_init(&x->block);
    ql_str metric = expo_name(x, true);
    expo_blanks(x);
    if (!expo_labels(x, &metric)) {
        return false;
    }
    if (metric.bytes == 0) {
        return expo_bad(x, QL_REASON_MALFORMED,
                        "a metric name is wanted: letters, digits, _ and :");
    }
    return expo_put(x, QL_STR("__name__"), metric) && expo_value(x, &sample) &&
           expo_merge_origin(x) && expo_add(x, metric, sample);
}

/* ---- lines ------------------------------------------------------------------------ */

static enum ql_metric_family expo_family(ql_str word)
{
    static const struct { const char *word; enum ql_metric_family family; } families[] = {
        { "counter", QL_FAMILY_COUNTER },     { "gauge", QL_FAMILY_GAUGE },
        { "histogram", QL_FAMILY_HISTOGRAM }, { "gaugehistogram", QL_FAMILY_GAUGE_HISTOGRAM },
        { "summary", QL_FAMILY_SUMMARY },     { "info", QL_FAMILY_INFO },
        { "stateset", QL_FAMILY_STATE_SET },
    };
    for (size_t i = 0; i < QL_COUNT_OF(families); i++) {
        if (ql_str_eq(word, ql_str_of(families[i].word))) {
            return families[i].family;
        }
    }
    return QL_FAMILY_UNKNOWN; /* "untyped", "unknown", and what a later version adds */
}

/* "# TYPE name type", "# EOF"; HELP, UNIT and other comments say nothing here. */
static void expo_comment(struct exposition *x)
{
    x->at++;
    expo_blanks(x);
    const ql_str word = expo_word(x);
    if (x->openmetrics && ql_str_eq(word, QL_STR("EOF"))) {
        x->ended = true;
    } else if (ql_str_eq(word, QL_STR("TYPE"))) {
        expo_blanks(x);
        ql_str family = expo_word(x);
        if (family.bytes > 2 && family.at[0] == '"' && family.at[family.bytes - 1] == '"') {
            family = (ql_str){ family.at + 1, family.bytes - 2 };
        }
        expo_blanks(x);
        x->family = family;
        x->family_type = expo_family(expo_word(x));
    }
}

static void expo_line(struct exposition *x)
{
    expo_blanks(x);
    if (x->at == x->end) {
        return;
    }
    if (x->ended) {
        (void)expo_bad(x, QL_REASON_MALFORMED, "nothing may stand behind # EOF");
    } else if (*x->at == '#') {
        expo_comment(x);
    } else {
        (void)expo_sample(x);
    }
}

static bool expo_is_openmetrics(ql_str body)
{
    return ql_str_ends(body, QL_STR("# EOF\n")) || ql_str_ends(body, QL_STR("# EOF"));
}

ql_err ql_exposition_decode(const struct ql_wire_job *job)
{
    struct exposition x = { .job = job, .openmetrics = expo_is_openmetrics(job->body),
                            .family = { "", 0 } };
    const char *at = job->body.at, *const end = at + job->body.bytes;
    ql_block_init(&x.origin);
    if (ql_block_put_block(&x.origin, job->in->origin) != QL_OK) {
        ql_reject_add(job->reject, QL_REASON_MALFORMED, "scrape: the target's own labels");
        return QL_E_MALFORMED;
    }
    while (at < end) {
        const char *line_end = memchr(at, '\n', (size_t)(end - at));
        x.line++;
        x.line_start = x.at = at;
        x.end = line_end != NULL ? line_end : end;
        at = x.end + (line_end != NULL);
        if (x.end > x.at && x.end[-1] == '\r') {
            x.end--;
        }
        if (line_end == NULL && !x.openmetrics) {
            (void)expo_bad(&x, QL_REASON_MALFORMED, "the text is cut off inside this line");
            break;
        }
        expo_line(&x);
    }
    return QL_OK;
}

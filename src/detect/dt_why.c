/* dt_why - numbers and units as a person would write them. */
#include "detect/dt_why.h"

#include "math/fastlog.h"

#include <stdio.h>

enum why_unit { UNIT_NONE, UNIT_SECONDS, UNIT_MILLISECONDS, UNIT_BYTES, UNIT_RATIO, UNIT_PERCENT };

static enum why_unit why_unit_of(ql_str metric, bool rate)
{
    const ql_str total = QL_STR("_total");
    if (ql_str_ends(metric, total)) {
        metric.bytes -= total.bytes;
    }
    if (ql_str_ends(metric, QL_STR("_milliseconds")) || ql_str_ends(metric, QL_STR("_ms"))) {
        return rate ? UNIT_NONE : UNIT_MILLISECONDS;
    }
    if (ql_str_ends(metric, QL_STR("_seconds"))) {
        return rate ? UNIT_NONE : UNIT_SECONDS;
    }
    if (ql_str_ends(metric, QL_STR("_bytes"))) {
        return UNIT_BYTES;
    }
    if (ql_str_ends(metric, QL_STR("_ratio"))) {
        return UNIT_RATIO;
    }
    return ql_str_ends(metric, QL_STR("_percent")) ? UNIT_PERCENT : UNIT_NONE;
}

static double absolute(double x) { return x < 0.0 ? -x : x; }

/* Up to four digits without an exponent where that is readable. */
static void why_plain(double x, struct ql_buf *out)
{
    const double size = absolute(x);
    if (size >= 1e15 || (size < 1e-4 && size > 0.0)) {
        (void)ql_buf_printf(out, "%.3g", x);
    } else if (size >= 999.5) {
        (void)ql_buf_printf(out, "%.0f", x);
    } else {
        (void)ql_buf_printf(out, "%.4g", x);
    }
}

static void why_scaled(double x, double divisor, const char *unit, struct ql_buf *out)
{
    (void)ql_buf_printf(out, "%.3g %s", x / divisor, unit);
}

static void why_seconds(double s, struct ql_buf *out)
{
    const double size = absolute(s);
    if (size >= 1e6) {
        why_plain(s, out);
        (void)ql_buf_text(out, " s");
    } else if (size >= 0.9995 || size <= 0.0) {
        why_scaled(s, 1.0, "s", out);
    } else if (size >= 0.9995e-3) {
        why_scaled(s, 1e-3, "ms", out);
    } else {
        why_scaled(s, 1e-6, "us", out);
    }
}

static void why_bytes(double b, struct ql_buf *out)
{
    static const char *const names[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB" };
    uint32_t i = 0;
    while (absolute(b) >= 999.5 && i + 1 < QL_COUNT_OF(names)) {
        b /= 1024.0;
        i++;
    }
    why_scaled(b, 1.0, names[i], out);
}

void ql_dt_number(ql_str metric, enum ql_metric_type type, double value, struct ql_buf *out)
{
    const bool rate = type == QL_METRIC_COUNTER || type == QL_METRIC_DELTA;
    switch (why_unit_of(metric, rate)) {
    case UNIT_SECONDS: why_seconds(value, out); break;
    case UNIT_MILLISECONDS: why_seconds(value / 1000.0, out); break;
    case UNIT_BYTES: why_bytes(value, out); break;
    case UNIT_RATIO: why_scaled(value, 0.01, "%", out); break;
    case UNIT_PERCENT: why_scaled(value, 1.0, "%", out); break;
    case UNIT_NONE: why_plain(value, out); break;
    }
    if (rate) {
        (void)ql_buf_text(out, "/s");
    }
}

/* "7.3x", or "+12 ms" where a ratio would say nothing. */
static void why_change(const struct ql_dt_reason *r, struct ql_buf *out)
{
    const double ratio = r->value / r->expected;
    if (ratio >= 1.15 && ratio < 1e6) {
        (void)ql_buf_printf(out, "%.*fx", ratio < 9.95 ? 1 : 0, ratio);
        return;
    }
    if (ratio > 0.0 && ratio <= 0.85) {
        (void)ql_buf_printf(out, "%.2gx", ratio);
        return;
    }
    (void)ql_buf_text(out, r->value >= r->expected ? "+" : "-");
    ql_dt_number(r->metric, r->type, absolute(r->value - r->expected), out);
}

/* 10^surprise with one digit that counts and commas: "1 in 2,000,000 points". */
static void why_odds(double surprise, struct ql_buf *out)
{
    const float decades = (float)(surprise < 9.0 ? surprise : 9.0);
    uint64_t n = (uint64_t)(ql_exp10f(-decades) > 0.0f ? 1.0f / ql_exp10f(-decades) : 1e9f);
    uint64_t unit = 1;
    while (n / unit >= 10) {
        unit *= 10;
    }
    n = (n + unit / 2) / unit * unit;
    char digits[32], text[48];
    const int length = snprintf(digits, sizeof(digits), "%llu", (unsigned long long)n);
    uint32_t at = 0;
    for (int i = 0; i < length; i++) {
        text[at++] = digits[i];
        if (i + 1 < length && (length - 1 - i) % 3 == 0) {
            text[at++] = ',';
        }
    }
    text[at] = '\0';
    (void)ql_buf_printf(out, "1 in %s points", text);
}

static const char *why_phrase(enum ql_signal_kind kind)
{
    switch (kind) {
    case QL_SIGNAL_LEVEL_SHIFT: return "the level moved, ";
    case QL_SIGNAL_SEASONAL: return "unusual for this time of day, ";
    case QL_SIGNAL_DRIFT: return "drifting away, ";
    case QL_SIGNAL_VOLATILITY: return "jumps more than usual, ";
    case QL_SIGNAL_FLATLINE: return "hardly moves any more, ";
    case QL_SIGNAL_NEVER_SEEN: return "never seen before, ";
    case QL_SIGNAL_FUSED: return "out of step with the other metrics of its entity, ";
    case QL_SIGNAL_PEER: return "unlike its peers, ";
    default: return "";
    }
}

static void why_restarts(const struct ql_dt_reason *r, struct ql_buf *out)
{
    const double within_min = ql_duration_s(r->within) / 60.0;
    (void)ql_buf_str(out, r->who);
    (void)ql_buf_printf(out, " restarts %s: %.0f resets of its counters in ",
                        r->over ? "no more" : "again and again", r->value);
    if (within_min < 120.0) {
        (void)ql_buf_printf(out, "%.0f min", within_min);
    } else {
        (void)ql_buf_printf(out, "%.1f h", within_min / 60.0);
    }
    (void)ql_buf_printf(out, ", the last one at %.*s", QL_STR_ARG(r->seen_at));
}

void ql_dt_why(const struct ql_dt_reason *r, struct ql_buf *out)
{
    if (r->kind == QL_SIGNAL_RESET) {
        why_restarts(r, out);
        return;
    }
    (void)ql_buf_str(out, r->metric);
    (void)ql_buf_char(out, ' ');
    if (r->kind == QL_SIGNAL_ABSENCE) {
        (void)ql_buf_text(out, "is silent for ");
        why_seconds(ql_duration_s(r->silence), out);
        (void)ql_buf_text(out, "; the last value was ");
        ql_dt_number(r->metric, r->type, r->value, out);
        return;
    }
    ql_dt_number(r->metric, r->type, r->value, out);
    if (r->kind == QL_SIGNAL_BOUND) {
        if (r->value > r->expected || r->value < r->expected) {
            (void)ql_buf_text(out, r->value > r->expected ? " is above the highest valid value "
                                                          : " is below the lowest valid value ");
            ql_dt_number(r->metric, r->type, r->expected, out);
        } else {
            (void)ql_buf_text(out, " is inside the valid range again");
        }
        return;
    }
    (void)ql_buf_text(out, ", expected ");
    ql_dt_number(r->metric, r->type, r->lower, out);
    (void)ql_buf_text(out, " to ");
    ql_dt_number(r->metric, r->type, r->upper, out);
    (void)ql_buf_text(out, " (middle ");
    ql_dt_number(r->metric, r->type, r->expected, out);
    (void)ql_buf_text(out, "): ");
    (void)ql_buf_text(out, why_phrase(r->kind));
    why_change(r, out);
    (void)ql_buf_text(out, ", ");
    why_odds(r->surprise, out);
}

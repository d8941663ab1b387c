/* slo_why - one sentence a signal: how fast, of what, and until when. */
#include "slo/slo_int.h"

#include <math.h>

/* Three figures, and never an exponent. */
static void why_rate(double burn, struct ql_buf *out)
{
    (void)ql_buf_printf(out, burn < 99.95 ? "%.3gx" : "%.0fx", burn);
}

static void why_windows(const struct slo_row *row, const struct slo_rule *rule,
                        struct ql_buf *out)
{
    (void)ql_buf_printf(out, "SLO %s: burn rate ", row->name);
    why_rate(row->view.burn[rule->long_window], out);
    (void)ql_buf_printf(out, " over %s and ", ql_slo_window_text(rule->long_window));
    why_rate(row->view.burn[rule->short_window], out);
    (void)ql_buf_printf(out, " over %s", ql_slo_window_text(rule->short_window));
}

/* "1.5 d", "3.2 h", "12 min" */
static void why_span(double s, struct ql_buf *out)
{
    if (s >= 86400.0) {
        (void)ql_buf_printf(out, "%.2g d", s / 86400.0);
    } else if (s >= 3600.0) {
        (void)ql_buf_printf(out, "%.2g h", s / 3600.0);
    } else {
        (void)ql_buf_printf(out, "%.0f min", ceil(s / 60.0));
    }
}

static void why_budget(const struct slo_row *row, struct ql_buf *out)
{
    if (isnan(row->view.used)) {
        return;
    }
    (void)ql_buf_printf(out, "; %.3g %% of the error budget of ", 100.0 * row->view.used);
    why_span(row->window_s, out);
    (void)ql_buf_printf(out, " (target %.6g %%) is used", row->target);
}

void slo_why_burn(const struct slo_row *row, const struct slo_rule *rule, ql_time at,
                  struct ql_buf *out)
{
    why_windows(row, rule, out);
    (void)ql_buf_printf(out, " (%s at %.3gx)", rule->name, rule->factor);
    why_budget(row, out);
    const double gone = slo_gone_s(&row->view, row->window_s, row->view.burn[rule->long_window]);
    if (gone <= 0.0) {
        (void)ql_buf_text(out, ": there is none left");
    } else if (isfinite(gone)) {
        char text[QL_TIME_TEXT_BYTES];
        const int64_t s = at.ns / QL_NS_PER_S + (int64_t)gone;
        (void)ql_buf_text(out, ", all of it in ");
        why_span(gone, out);
        (void)ql_buf_printf(out, " at this rate (%.16sZ)",
                            ql_time_text((ql_time){ s * QL_NS_PER_S }, text));
    }
}

void slo_why_close(const struct slo_row *row, const struct slo_rule *rule, enum slo_close why,
                   struct ql_buf *out)
{
    if (why == SLO_CALM) {
        (void)ql_buf_printf(out, "SLO %s: burn rate ", row->name);
        why_rate(row->view.burn[rule->short_window], out);
        (void)ql_buf_printf(out, " over %s, below %.3gx again",
                            ql_slo_window_text(rule->short_window), rule->factor);
        why_budget(row, out);
    } else {
        (void)ql_buf_printf(out, "SLO %s: %s", row->name,
                            why == SLO_NO_DATA
                                ? "no data for a day; given up, not recovered"
                                : "taken out of the configuration, not recovered");
    }
}

#include "config/slo.h"

#include "model/selector.h"

static ql_err side_matches(const char *text, ql_str labels, bool *ret_matches)
{
    struct ql_selector selector;
    char why[QL_SELECTOR_WHY_BYTES];
    *ret_matches = false;
    if (text == NULL) {
        return QL_OK;
    }
    const ql_err err = ql_selector_parse(ql_str_of(text), &selector, why);
    if (err != QL_OK) {
        return err == QL_E_MEMORY ? err : QL_E_CONFIG;
    }
    *ret_matches = ql_selector_matches(&selector, labels);
    ql_selector_fini(&selector);
    return QL_OK;
}

ql_err ql_slo_explain(const struct ql_config *config, ql_str labels, struct ql_buf *out)
{
    static const char *const names[] = { "good", "bad", "total", "match" };
    for (uint32_t i = 0; i < config->slo_count; i++) {
        const struct ql_slo *slo = &config->slos[i];
        const char *const texts[] = { slo->good, slo->bad, slo->total, slo->match };
        bool any = false;
        for (uint32_t side = 0; side < QL_COUNT_OF(texts); side++) {
            bool matches;
            const ql_err err = side_matches(texts[side], labels, &matches);
            if (err != QL_OK) {
                return err;
            }
            if (matches) {
                (void)(any ? ql_buf_printf(out, ", %s", names[side])
                           : ql_buf_printf(out, "counts for: %s  (as %s", slo->name, names[side]));
                any = true;
            }
        }
        (void)ql_buf_text(out, any ? ")\n" : "");
        if (any) {
            (void)ql_buf_printf(out, "  its burn rate: policies for slo_burn_rate{slo=\"%s\"}\n",
                                slo->name);
        }
    }
    return ql_buf_check(out);
}

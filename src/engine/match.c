#define PCRE2_CODE_UNIT_WIDTH 8
#include "engine/match.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>

#define MATCH_STEPS_MAX 100000u

struct ql_match {
    uint32_t count;
    struct ql_matcher matchers[QL_MATCHERS_MAX];
    pcre2_code *codes[QL_MATCHERS_MAX];
    pcre2_match_data *data;
    pcre2_match_context *context;
};

static ql_err match_compile(ql_str pattern, pcre2_code **ret_code)
{
    int error;
    PCRE2_SIZE at;
    pcre2_code *code = pcre2_compile((PCRE2_SPTR)pattern.at, pattern.bytes,
                                     PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_UTF, &error, &at,
                                     NULL);
    if (code == NULL) {
        return QL_E_MALFORMED;
    }
    *ret_code = code;
    return QL_OK;
}

ql_err ql_match_new(const struct ql_matcher *matchers, uint32_t count, struct ql_match **ret_match)
{
    if (count > QL_MATCHERS_MAX) {
        return QL_E_RANGE;
    }
    struct ql_match *match = calloc(1, sizeof(*match));
    if (match == NULL) {
        return QL_E_MEMORY;
    }
    match->count = count;
    match->data = pcre2_match_data_create(1, NULL);
    match->context = pcre2_match_context_create(NULL);
    ql_err err = match->data == NULL || match->context == NULL ? QL_E_MEMORY : QL_OK;
    if (err == QL_OK) {
        (void)pcre2_set_match_limit(match->context, MATCH_STEPS_MAX);
    }
    for (uint32_t i = 0; i < count && err == QL_OK; i++) {
        match->matchers[i] = matchers[i];
        if (matchers[i].op == '~' || matchers[i].op == '^') {
            err = match_compile(matchers[i].value, &match->codes[i]);
        }
    }
    if (err != QL_OK) {
        ql_match_free(match);
        return err;
    }
    *ret_match = match;
    return QL_OK;
}

void ql_match_free(struct ql_match *match)
{
    if (match == NULL) {
        return;
    }
    for (uint32_t i = 0; i < match->count; i++) {
        pcre2_code_free(match->codes[i]);
    }
    pcre2_match_data_free(match->data);
    pcre2_match_context_free(match->context);
    free(match);
}

static bool match_one(const struct ql_match *match, uint32_t i, ql_str value)
{
    const struct ql_matcher *m = &match->matchers[i];
    if (m->op == '=' || m->op == '!') {
        return ql_str_eq(value, m->value) == (m->op == '=');
    }
    const int found = pcre2_match(match->codes[i], (PCRE2_SPTR)value.at, value.bytes, 0, 0,
                                  match->data, match->context);
    return (found >= 0) == (m->op == '~');
}

bool ql_match_series(const struct ql_match *match, const struct ql_series_table *table,
                     uint32_t index)
{
    for (uint32_t i = 0; i < match->count; i++) {
        const ql_str name = match->matchers[i].name;
        const ql_str value = ql_str_eq(name, QL_STR("__name__"))
                                 ? ql_series_name(table, index)
                                 : ql_series_label(table, index, name);
        if (!match_one(match, i, value)) {
            return false;
        }
    }
    return true;
}

/* settings.c - settings.def as tables. */
#include "config/config.h"
#include "config/row.h"

const struct cf_section cf_sections[] = {
#define QL_SECTION(name, sentence) { #name, sentence },
#define QL_SETTING(type, section, key, field, fallback, allowed, sentence)
#define QL_SETTING_TEXTS(type, section, key, field, count, most, allowed, sentence)
#include "config/settings.def"
};
const uint32_t cf_section_count = QL_COUNT_OF(cf_sections);

const struct cf_row cf_settings[] = {
#define QL_SECTION(name, sentence)
#define QL_SETTING(type_, section_, key_, field, fallback_, allowed_, sentence_)               \
    { .key = #key_, .type = CF_##type_, .at = offsetof(struct ql_config, field),               \
      .fallback = (fallback_), .allowed = (allowed_), .sentence = (sentence_),                 \
      .section = #section_ },
#define QL_SETTING_TEXTS(type_, section_, key_, field, count, most, allowed_, sentence_)       \
    { .key = #key_, .type = CF_##type_, .at = offsetof(struct ql_config, field),                 \
      .count_at = offsetof(struct ql_config, count), .fallback = "", .allowed = (allowed_),    \
      .sentence = (sentence_), .count_max = (most), .section = #section_ },
#include "config/settings.def"
};
const uint32_t cf_setting_count = QL_COUNT_OF(cf_settings);

const struct cf_row *cf_section_rows(const char *section, uint32_t *ret_count)
{
    const struct cf_row *first = NULL;
    uint32_t count = 0;
    for (uint32_t i = 0; i < cf_setting_count; i++) {
        if (strcmp(cf_settings[i].section, section) == 0) {
            first = first == NULL ? &cf_settings[i] : first;
            count++;
        }
    }
    QL_ASSERT(first != NULL);
    QL_ASSERT(strcmp(first[count - 1].section, section) == 0);
    *ret_count = count;
    return first;
}

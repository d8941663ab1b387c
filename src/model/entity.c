/* entity.c - which labels say what a thing is about.
 *
 * Method       the first label of the list that is present wins: the most specific name of
 *              the thing that people operate (a service) stands before where it runs, and
 *              `job`, which often only names an exporter, comes last.
 */
#include "model/entity.h"

#include "model/labels.h"

struct entity_rule { ql_str label; const char *kind; };

#define RULE(label, kind) { { label, sizeof(label) - 1 }, kind }
static const struct entity_rule entity_rules[] = {
    RULE("service", "service"),   RULE("service_name", "service"), RULE("app", "service"),
    RULE("app_kubernetes_io_name", "service"),
    RULE("container", "service"), RULE("pod", "pod"),              RULE("deployment", "service"),
    RULE("host", "host"),         RULE("host_name", "host"),       RULE("hostname", "host"),
    RULE("node", "host"),         RULE("instance", "host"),        RULE("device", "device"),
    RULE("job", "service"),
};
#undef RULE

ql_entity_id ql_entity_id_of(ql_str name)
{
    if (name.bytes == 0) {
        return (ql_entity_id){ 0 };
    }
    const uint64_t hash = ql_hash64(name.at, name.bytes);
    return (ql_entity_id){ hash == 0 ? 1 : hash };
}

bool ql_entity_of_labels(ql_str labels, struct ql_buf *out)
{
    struct ql_label label;
    ql_str value = { "", 0 };
    size_t best = QL_COUNT_OF(entity_rules);
    for (size_t at = 0; ql_labels_next(labels, &at, &label);) {
        for (size_t i = 0; i < best; i++) {
            if (ql_str_eq(label.name, entity_rules[i].label) && label.value.bytes > 0) {
                value = label.value;
                best = i;
            }
        }
    }
    if (best == QL_COUNT_OF(entity_rules)) {
        return false;
    }
    (void)ql_buf_text(out, entity_rules[best].kind);
    (void)ql_buf_char(out, '/');
    return ql_buf_str(out, value) == QL_OK;
}

void ql_entity_of_name(ql_str name, struct ql_buf *out)
{
    if (name.bytes > 0 && memchr(name.at, '/', name.bytes) == NULL) {
        (void)ql_buf_text(out, "service/");
    }
    (void)ql_buf_str(out, name);
}

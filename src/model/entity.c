/* entity.c - which labels say what a thing is about.
 *
 * Method       the first label of the list that is present wins: the most specific name of
 *              the thing that people operate (a service) stands before where it runs, and
 *              `job`, which often only names an exporter, comes last.
 */
#include "model/entity.h"

#include "model/labels.h"

struct entity_rule { const char *label, *kind; };

static const struct entity_rule entity_rules[] = {
    { "service", "service" },     { "service_name", "service" }, { "app", "service" },
    { "app_kubernetes_io_name", "service" },
    { "container", "service" },   { "pod", "pod" },              { "deployment", "service" },
    { "host", "host" },           { "host_name", "host" },       { "hostname", "host" },
    { "node", "host" },           { "instance", "host" },        { "device", "device" },
    { "job", "service" },
};

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
    for (size_t i = 0; i < QL_COUNT_OF(entity_rules); i++) {
        const ql_str value = ql_labels_get(labels, ql_str_of(entity_rules[i].label));
        if (value.bytes == 0) {
            continue;
        }
        (void)ql_buf_text(out, entity_rules[i].kind);
        (void)ql_buf_char(out, '/');
        return ql_buf_str(out, value) == QL_OK;
    }
    return false;
}

void ql_entity_of_name(ql_str name, struct ql_buf *out)
{
    if (name.bytes > 0 && memchr(name.at, '/', name.bytes) == NULL) {
        (void)ql_buf_text(out, "service/");
    }
    (void)ql_buf_str(out, name);
}

/* Records for the bus, with their texts copied into its arena. */
#include "correlate/correlate_int.h"

#include <stdlib.h>

ql_str ql_co_short_name(const struct ql_correlate *co, ql_entity_id entity)
{
    const ql_str name = ql_topology_name(co->topology, entity);
    if (name.bytes == 0) {
        return entity.v == 0 ? QL_STR("an unnamed entity") : QL_STR("an entity");
    }
    const char *slash = memchr(name.at, '/', name.bytes);
    return slash == NULL ? name
                         : (ql_str){ slash + 1, name.bytes - (size_t)(slash + 1 - name.at) };
}

void ql_co_by_set(struct co_incident *in, ql_str by)
{
    in->by_bytes = (uint8_t)(by.bytes < sizeof in->by ? by.bytes : sizeof in->by);
    memcpy(in->by, by.at, in->by_bytes);
}

void ql_co_tell_member(struct ql_correlate *co, const struct co_member *m)
{
    struct ql_member *out = ql_batch_add_member(co->bus);
    if (out == NULL) {
        ql_stat_add(co->drop_bus, 1);
        return;
    }
    *out = (struct ql_member){
        .incident = co->incidents[ql_co_incident_of_member(co, m)].told.id,
        .id = m->id, .kind = (enum ql_member_kind)m->kind, .entity = m->entity,
        .series = m->series, .since = m->since, .joined = m->joined, .ended = m->ended,
        .name = ql_batch_text(co->bus, (ql_str){ m->name, m->name_bytes }),
        .labels = ql_batch_text(co->bus, (ql_str){ m->labels, m->labels_bytes }),
        .why = ql_batch_text(co->bus, (ql_str){ m->why, m->why_bytes }),
    };
}

/* "checkout: db_connections_in_use out of range and 11 more" */
static ql_str incident_title(struct ql_correlate *co, const struct co_incident *in)
{
    const uint32_t all = in->told.alert_count + in->told.signal_count;
    const ql_str head = { in->headline, in->headline_bytes };
    const ql_str name = ql_co_short_name(co, in->told.entity);
    const bool named = in->told.entity.v != 0;
    if (all > 1) {
        return ql_batch_printf(co->bus, "%.*s%s%.*s and %u more", QL_STR_ARG(named ? name : head),
                               named ? ": " : "", QL_STR_ARG(named ? head : QL_STR("")),
                               (unsigned)all - 1);
    }
    return ql_batch_printf(co->bus, "%.*s%s%.*s", QL_STR_ARG(named ? name : head),
                           named ? ": " : "", QL_STR_ARG(named ? head : QL_STR("")));
}

void ql_co_tell_incident(struct ql_correlate *co, struct co_incident *in,
                         enum ql_incident_event event)
{
    struct ql_incident *out = ql_batch_add_incident(co->bus);
    if (out == NULL) {
        ql_stat_add(co->drop_bus, 1);
        return;
    }
    *out = in->told;
    out->event = event;
    out->title = incident_title(co, in);
    out->by = ql_batch_text(co->bus, (ql_str){ in->by, in->by_bytes });
    in->told_at = co->now;
    in->raw_told = in->told.raw_count;
    in->opened = in->grew = in->reopened = 0;
}

void ql_co_tell_audit(struct ql_correlate *co, const struct ql_command *command, const char *what,
                      const char *detail)
{
    struct ql_audit *out = ql_batch_add_audit(co->bus);
    if (out == NULL) {
        ql_stat_add(co->drop_bus, 1);
        return;
    }
    *out = (struct ql_audit){ .at = co->now, .incident = command->incident,
                              .actor = ql_batch_text(co->bus, command->by),
                              .what = ql_batch_text(co->bus, ql_str_of(what)),
                              .detail = ql_batch_text(co->bus, ql_str_of(detail)) };
}

struct pending { uint64_t id; uint32_t row; };

static int pending_cmp(const void *a, const void *b)
{
    const struct pending *x = a, *y = b;
    return (x->id > y->id) - (x->id < y->id);
}

void ql_co_tell_pending(struct ql_correlate *co)
{
    struct pending list[CO_INCIDENTS_MAX];
    uint32_t count = 0;
    for (uint32_t i = 0; i < co->incident_used; i++) {
        const struct co_incident *in = &co->incidents[i];
        if (in->used && (in->opened || in->reopened || in->grew)) {
            list[count++] = (struct pending){ in->told.id.v, i };
        }
    }
    qsort(list, count, sizeof *list, pending_cmp);
    for (uint32_t i = 0; i < count; i++) {
        struct co_incident *in = &co->incidents[list[i].row];
        ql_co_tell_incident(co, in, in->opened     ? QL_INC_OPENED
                                    : in->reopened ? QL_INC_REOPENED
                                                   : QL_INC_GREW);
    }
}

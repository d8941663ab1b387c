/* nm_calls.c - calls between services, from spans and their parents.
 *
 * Good for     edges that nobody declared, with how many calls failed.
 * Bad for      exact counts under load: a parent and child that are further apart than the
 *              tables are deep are not joined. An edge needs one pair to be known.
 * Method       two tables of fixed size, four entries a set: spans by id, and children that
 *              wait for a parent which comes later (children end first). A full set loses
 *              the entry whose turn it is. Where a client span names its peer, that is a
 *              call too; the larger of both counts is reported, not their sum.
 * Cost         two or three cache misses a span.
 */
#include "normalise/normalise_int.h"

#include "base/pages.h"
#include "model/entity.h"

#include <stdlib.h>

enum { ANNOUNCE_WINDOWS = 360 };

#define CALL_BYTES (sizeof(struct nm_call_entry) * NM_CALL_SETS * NM_CALL_WAYS)

ql_err nm_calls_init(struct nm_calls *calls)
{
    *calls = (struct nm_calls){ .window = INT64_MIN };
    ql_map64_init(&calls->edge_by_pair, NM_EDGES_MAX);
    calls->seen = ql_pages_new(CALL_BYTES);
    calls->waiting = ql_pages_new(CALL_BYTES);
    calls->edges = ql_pages_new(NM_EDGES_MAX * sizeof(*calls->edges));
    const bool made = calls->seen != NULL && calls->waiting != NULL && calls->edges != NULL;
    return made ? QL_OK : QL_E_MEMORY;
}

void nm_calls_fini(struct nm_calls *calls)
{
    ql_map64_fini(&calls->edge_by_pair);
    ql_pages_free(calls->seen, CALL_BYTES);
    ql_pages_free(calls->waiting, CALL_BYTES);
    ql_pages_free(calls->edges, NM_EDGES_MAX * sizeof(*calls->edges));
    *calls = (struct nm_calls){ .window = INT64_MIN };
}

/* Span ids are unique within a trace only. */
static uint64_t call_key(const struct ql_span *span, uint64_t span_id)
{
    uint64_t parts[3];
    memcpy(parts, span->trace_id, sizeof(span->trace_id));
    parts[2] = span_id;
    const uint64_t key = ql_hash64(parts, sizeof(parts));
    return key == 0 ? 1 : key;
}

static struct nm_call_entry *call_set(struct nm_call_entry *table, uint64_t key)
{
    return &table[(key & (NM_CALL_SETS - 1)) * NM_CALL_WAYS];
}

static void call_put(struct nm_calls *calls, struct nm_call_entry *table,
                     struct nm_call_entry entry)
{
    struct nm_call_entry *set = call_set(table, entry.key);
    for (uint32_t way = 0; way < NM_CALL_WAYS; way++) {
        if (set[way].key == 0) {
            set[way] = entry;
            return;
        }
    }
    set[calls->turn++ % NM_CALL_WAYS] = entry;
}

/* ---- edges of the present window --------------------------------------------------- */

static struct nm_edge *edge_at(struct nm *nm, uint32_t caller, uint32_t callee, uint32_t source)
{
    struct nm_calls *calls = &nm->calls;
    const uint64_t pair = (uint64_t)caller << 32 | callee;
    const uint32_t known = ql_map64_get(&calls->edge_by_pair, pair);
    if (known != QL_MAP_NONE) {
        return &calls->edges[known];
    }
    if (calls->edge_count == NM_EDGES_MAX ||
        ql_map64_put(&calls->edge_by_pair, pair, calls->edge_count) != QL_OK) {
        nm_drop(&nm->counts, source, NM_REASON_CARDINALITY, 1);
        return NULL;
    }
    struct nm_edge *edge = &calls->edges[calls->edge_count++];
    *edge = (struct nm_edge){ .caller = caller, .callee = callee };
    return edge;
}

static void edge_paired(struct nm *nm, uint32_t caller, struct nm_call_entry child, uint32_t source)
{
    struct nm_edge *edge =
        caller == child.service ? NULL : edge_at(nm, caller, child.service, source);
    if (edge != NULL) {
        edge->paired++;
        edge->paired_errors += child.error;
    }
}

static void edge_named(struct nm *nm, uint32_t caller, const struct ql_span *span, uint32_t source)
{
    const uint32_t callee = nm_peer_number(&nm->services, span->peer);
    if (callee == QL_MAP_NONE) { /* the span itself counts all the same */
        nm_drop(&nm->counts, source, NM_REASON_PEERS_FULL, 1);
        return;
    }
    struct nm_edge *edge = caller == callee ? NULL : edge_at(nm, caller, callee, source);
    if (edge != NULL) {
        edge->named++;
        edge->named_errors += span->error;
    }
}

void nm_calls_span(struct nm *nm, uint32_t number, const struct ql_span *span, uint32_t source)
{
    struct nm_calls *calls = &nm->calls;
    const uint64_t key = call_key(span, span->span_id);
    call_put(calls, calls->seen, (struct nm_call_entry){ .key = key, .service = number });
    struct nm_call_entry *children = call_set(calls->waiting, key);
    for (uint32_t way = 0; way < NM_CALL_WAYS; way++) {
        if (children[way].key == key) {
            edge_paired(nm, number, children[way], source);
            children[way].key = 0;
        }
    }
    if (span->parent_id != 0) {
        const struct nm_call_entry child = { call_key(span, span->parent_id), number, span->error };
        const struct nm_call_entry *parents = call_set(calls->seen, child.key);
        uint32_t way = 0;
        while (way < NM_CALL_WAYS && parents[way].key != child.key) {
            way++;
        }
        if (way < NM_CALL_WAYS) {
            edge_paired(nm, parents[way].service, child, source);
        } else {
            call_put(calls, calls->waiting, child);
        }
    }
    if (span->peer.bytes != 0) {
        edge_named(nm, number, span, source);
    }
}

/* ---- closing ---------------------------------------------------------------------- */

/* Writes the entity of a service now and then, so that whoever lost it learns it again. */
static ql_entity_id service_entity(struct nm *nm, uint32_t number, int64_t window,
                                   struct ql_batch *bus)
{
    struct nm_services *services = &nm->services;
    struct nm_service_state *state = &services->states[number];
    ql_buf_reset(&services->scratch);
    (void)ql_buf_text(&services->scratch, "service/");
    (void)ql_buf_str(&services->scratch, ql_shared_text(&services->names, number));
    const ql_str name = ql_buf_view(&services->scratch);
    const ql_entity_id id = ql_entity_id_of(name);
    if (state->announced_window == INT64_MIN ||
        window - state->announced_window >= ANNOUNCE_WINDOWS) {
        struct ql_entity_seen *seen = ql_batch_add_entity(bus);
        if (seen == NULL) {
            nm_drop(&nm->counts, NM_SOURCE_DERIVED, NM_REASON_BATCH_FULL, 1);
            return id;
        }
        *seen = (struct ql_entity_seen){ .id = id, .name = ql_batch_text(bus, name) };
        state->announced_window = window;
    }
    return id;
}

static void edge_close(struct nm *nm, const struct nm_edge *edge, int64_t window,
                       struct ql_batch *bus)
{
    const bool paired = edge->paired >= edge->named;
    const ql_entity_id caller = service_entity(nm, edge->caller, window, bus);
    const ql_entity_id callee = service_entity(nm, edge->callee, window, bus);
    struct ql_edge *out = ql_batch_add_edge(bus);
    if (out == NULL) {
        nm_drop(&nm->counts, NM_SOURCE_DERIVED, NM_REASON_BATCH_FULL, 1);
        return;
    }
    *out = (struct ql_edge){
        .caller = caller,
        .callee = callee,
        .at = nm_window_end(window),
        .calls = paired ? edge->paired : edge->named,
        .errors = paired ? edge->paired_errors : edge->named_errors,
        .source = QL_EDGE_SPAN,
    };
}

void nm_calls_tick(struct nm *nm, ql_time now, struct ql_batch *bus)
{
    struct nm_calls *calls = &nm->calls;
    const int64_t window = nm_window_of(now);
    if (window <= calls->window) {
        return;
    }
    for (uint32_t i = 0; i < calls->edge_count; i++) {
        edge_close(nm, &calls->edges[i], window - 1, bus);
    }
    if (calls->edge_count != 0) {
        calls->edge_count = 0;
        ql_map64_clear(&calls->edge_by_pair);
    }
    calls->window = window;
}

/* ---- forgetting ------------------------------------------------------------------- */

void nm_calls_hold(struct nm *nm)
{
    const struct nm_calls *calls = &nm->calls;
    for (uint32_t i = 0; i < calls->edge_count; i++) {
        nm->services.states[calls->edges[i].caller].seen_s = nm->services.clock_s;
        nm->services.states[calls->edges[i].callee].seen_s = nm->services.clock_s;
    }
}

static void entries_forget(struct nm_call_entry *table, const struct nm_services *services)
{
    for (uint32_t i = 0; i < NM_CALL_SETS * NM_CALL_WAYS; i++) {
        if (table[i].key != 0 && !nm_service_is_used(services, table[i].service)) {
            table[i] = (struct nm_call_entry){ .key = 0 };
        }
    }
}

void nm_calls_forget(struct nm *nm)
{
    entries_forget(nm->calls.seen, &nm->services);
    entries_forget(nm->calls.waiting, &nm->services);
}

/* ---- state ------------------------------------------------------------------------ */

static void entries_save(const struct nm_call_entry *table, struct ql_buf *out)
{
    for (uint32_t i = 0; i < NM_CALL_SETS * NM_CALL_WAYS; i++) {
        if (table[i].key != 0) {
            (void)ql_buf_u32(out, i);
            (void)ql_buf_u64(out, table[i].key);
            (void)ql_buf_u32(out, table[i].service);
            (void)ql_buf_u32(out, table[i].error);
        }
    }
    (void)ql_buf_u32(out, UINT32_MAX);
}

static void entries_load(struct nm_call_entry *table, const struct nm_services *services,
                         struct ql_reader *in)
{
    while (!in->failed) {
        const uint32_t i = ql_reader_u32(in);
        if (i == UINT32_MAX) {
            return;
        }
        if (i >= NM_CALL_SETS * NM_CALL_WAYS) {
            in->failed = true;
            return;
        }
        table[i].key = ql_reader_u64(in);
        table[i].service = ql_reader_u32(in);
        table[i].error = ql_reader_u32(in);
        in->failed = in->failed || !nm_service_is_used(services, table[i].service);
    }
}

ql_err nm_calls_save(const struct nm_calls *calls, struct ql_buf *out)
{
    (void)ql_buf_i64(out, calls->window);
    (void)ql_buf_u32(out, calls->turn);
    (void)ql_buf_u32(out, calls->edge_count);
    for (uint32_t i = 0; i < calls->edge_count; i++) {
        const struct nm_edge *edge = &calls->edges[i];
        (void)ql_buf_u32(out, edge->caller);
        (void)ql_buf_u32(out, edge->callee);
        (void)ql_buf_u32(out, edge->paired);
        (void)ql_buf_u32(out, edge->paired_errors);
        (void)ql_buf_u32(out, edge->named);
        (void)ql_buf_u32(out, edge->named_errors);
    }
    entries_save(calls->seen, out);
    entries_save(calls->waiting, out);
    return ql_buf_check(out);
}

ql_err nm_calls_load(struct nm_calls *calls, const struct nm_services *services,
                     struct ql_reader *in)
{
    calls->window = ql_reader_i64(in);
    calls->turn = ql_reader_u32(in);
    calls->edge_count = ql_reader_u32(in);
    if (calls->edge_count > NM_EDGES_MAX) {
        calls->edge_count = 0;
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < calls->edge_count; i++) {
        struct nm_edge *edge = &calls->edges[i];
        edge->caller = ql_reader_u32(in);
        edge->callee = ql_reader_u32(in);
        edge->paired = ql_reader_u32(in);
        edge->paired_errors = ql_reader_u32(in);
        edge->named = ql_reader_u32(in);
        edge->named_errors = ql_reader_u32(in);
        const bool known = nm_service_is_used(services, edge->caller) &&
                           nm_service_is_used(services, edge->callee);
        if (in->failed || !known ||
            ql_map64_put(&calls->edge_by_pair, (uint64_t)edge->caller << 32 | edge->callee, i) !=
                QL_OK) {
            return QL_E_MALFORMED;
        }
    }
    entries_load(calls->seen, services, in);
    entries_load(calls->waiting, services, in);
    return in->failed ? QL_E_MALFORMED : QL_OK;
}

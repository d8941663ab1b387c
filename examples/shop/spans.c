/* spans.c - traces: a request walks down the call graph and every hop leaves two spans.
 *
 * Spans of one service are sent together under one resource, so the walk is done first
 * into a list and written afterwards. */
#include "otlp.h"

#include <math.h>
#include <stdlib.h>

enum { SPANS_MAX = 4096, SPANS_TRACES_PER_STEP = 6 };
enum { KIND_SERVER = 2, KIND_CLIENT = 3 };

struct span {
    uint64_t trace[2], id, parent;
    uint32_t service, peer; /* peer: SHOP_SERVICE_COUNT when it calls nobody */
    int64_t start_ns, end_ns;
    uint8_t kind;
    bool error;
};

struct walk {
    const struct shop_world *world;
    struct shop_noise noise;
    uint64_t trace[2];
    uint32_t trace_number, draw;
    struct span *spans;
    uint32_t count;
};

static const char *const spans_operation[SHOP_SERVICE_COUNT] = {
    [SHOP_GATEWAY] = "GET /",
    [SHOP_FRONTEND] = "render page",
    [SHOP_USER] = "GET /session",
    [SHOP_RECOMMENDATION] = "GET /recommendations",
    [SHOP_CHECKOUT] = "POST /orders",
    [SHOP_CART] = "GET /cart",
    [SHOP_PAYMENT] = "POST /charges",
    [SHOP_CATALOGUE] = "GET /products",
    [SHOP_INVENTORY] = "GET /stock",
    [SHOP_SHIPPING] = "POST /quotes",
    [SHOP_EMAIL] = "POST /confirmations",
    [SHOP_ORDERS_DB] = "query",
};

static double walk_chance(struct walk *walk)
{
    return shop_noise_uniform(walk->noise, 2000 + walk->trace_number, walk->draw++);
}

static struct span *walk_add(struct walk *walk, uint64_t parent, uint32_t service, uint8_t kind)
{
    if (walk->count == SPANS_MAX) {
        return NULL;
    }
    struct span *span = &walk->spans[walk->count++];
    *span = (struct span){
        .trace = { walk->trace[0], walk->trace[1] },
        .id = shop_noise_bits(walk->noise, 3000 + walk->trace_number, walk->draw++) | 1,
        .parent = parent,
        .service = service,
        .peer = SHOP_SERVICE_COUNT,
        .kind = kind,
    };
    return span;
}

static int64_t walk_serve(struct walk *walk, uint32_t service, uint64_t parent, int64_t start_ns,
                          bool *ret_failed);

/* The client's half of a call; returns when the answer is there. */
static int64_t walk_call(struct walk *walk, const struct shop_call_plan *call, uint64_t parent,
                         int64_t start_ns, bool *ret_failed)
{
    struct span *client = walk_add(walk, parent, call->caller, KIND_CLIENT);
    if (client == NULL) {
        return start_ns;
    }
    client->peer = call->callee;
    client->start_ns = start_ns;
    client->end_ns = walk_serve(walk, call->callee, client->id, start_ns + 150000, ret_failed) +
                     150000;
    client->error = *ret_failed;
    return call->waits ? client->end_ns : start_ns + 300000;
}

static int64_t walk_callees(struct walk *walk, uint32_t service, uint64_t parent, int64_t at_ns,
                            bool *ret_failed)
{
    for (uint32_t c = 0; c < SHOP_CALL_COUNT; c++) {
        if (shop_calls[c].caller != service) {
            continue;
        }
        double calls = shop_calls[c].calls;
        for (; calls > 0 && walk_chance(walk) < calls; calls -= 1) {
            bool failed = false;
            at_ns = walk_call(walk, &shop_calls[c], parent, at_ns, &failed);
            *ret_failed = *ret_failed || (failed && shop_calls[c].waits);
        }
    }
    return at_ns;
}

static int64_t walk_serve(struct walk *walk, uint32_t service, uint64_t parent, int64_t start_ns,
                          bool *ret_failed)
{
    const struct shop_service *state = &walk->world->service[service];
    struct span *server = walk_add(walk, parent, service, KIND_SERVER);
    if (server == NULL) {
        *ret_failed = false;
        return start_ns;
    }
    /* Own time scatters around its mean as an exponential on top of a fixed half. */
    const double scatter = 0.5 - 0.5 * log1p(-walk_chance(walk));
    const int64_t own_ns = (int64_t)(state->own_s * scatter * 1e9);
    bool failed = false;
    const bool starved = service == SHOP_CHECKOUT && walk_chance(walk) < state->failed;
    int64_t end_ns = start_ns + own_ns;
    if (!starved) {
        end_ns = walk_callees(walk, service, server->id, end_ns, &failed);
    }
    server->start_ns = start_ns;
    server->end_ns = end_ns;
    server->error = failed || starved || walk_chance(walk) < 0.001;
    *ret_failed = server->error;
    return end_ns;
}

static void spans_attribute(struct shop_text *out, uint32_t field, const char *key,
                            const char *value)
{
    const size_t attribute = shop_proto_begin(out, field);
    shop_proto_string(out, 1, key);
    const size_t any = shop_proto_begin(out, 2);
    shop_proto_string(out, 1, value);
    shop_proto_end(out, any);
    shop_proto_end(out, attribute);
}

static void spans_one(const struct span *span, struct shop_text *out)
{
    const size_t mark = shop_proto_begin(out, 2);
    shop_proto_bytes(out, 1, span->trace, 16);
    shop_proto_bytes(out, 2, &span->id, 8);
    if (span->parent != 0) {
        shop_proto_bytes(out, 4, &span->parent, 8);
    }
    const uint32_t does = span->peer < SHOP_SERVICE_COUNT ? span->peer : span->service;
    shop_proto_string(out, 5, spans_operation[does]);
    shop_proto_varint(out, 6, span->kind);
    shop_proto_fixed64(out, 7, (uint64_t)span->start_ns);
    shop_proto_fixed64(out, 8, (uint64_t)span->end_ns);
    if (span->peer < SHOP_SERVICE_COUNT) {
        spans_attribute(out, 9, "peer.service", shop_services[span->peer].name);
        if (span->peer == SHOP_ORDERS_DB) {
            spans_attribute(out, 9, "db.system", "postgresql");
        }
    }
    if (span->error) {
        const size_t status = shop_proto_begin(out, 15);
        shop_proto_varint(out, 3, 2);
        shop_proto_end(out, status);
    }
    shop_proto_end(out, mark);
}

static void spans_of_service(const struct walk *walk, uint32_t s, struct shop_text *out)
{
    const size_t resource_spans = shop_proto_begin(out, 1);
    const size_t resource = shop_proto_begin(out, 1);
    spans_attribute(out, 1, "service.name", shop_services[s].name);
    spans_attribute(out, 1, "host.name", shop_hosts[shop_services[s].host].name);
    shop_proto_end(out, resource);
    const size_t scope_spans = shop_proto_begin(out, 2);
    for (uint32_t i = 0; i < walk->count; i++) {
        if (walk->spans[i].service == s) {
            spans_one(&walk->spans[i], out);
        }
    }
    shop_proto_end(out, scope_spans);
    shop_proto_end(out, resource_spans);
}

uint32_t shop_spans_write(const struct shop_world *world, int64_t at_ms, struct shop_text *out)
{
    struct walk walk = { .world = world, .noise = { world->seed, world->step } };
    walk.spans = calloc(SPANS_MAX, sizeof(*walk.spans));
    if (walk.spans == NULL) {
        return 0;
    }
    const double load = world->service[SHOP_GATEWAY].rate / 400;
    const uint32_t traces = shop_noise_count(walk.noise, 2000, 0, SPANS_TRACES_PER_STEP * load);
    for (uint32_t t = 0; t < traces; t++) {
        walk.trace_number = t + 1;
        walk.draw = 0;
        walk.trace[0] = shop_noise_bits(walk.noise, 4000 + t, 0);
        walk.trace[1] = shop_noise_bits(walk.noise, 4000 + t, 1);
        /* Early enough in the step for the slowest request to have ended. */
        const double late_s = 6.0 + 8.5 * walk_chance(&walk);
        bool failed;
        (void)walk_serve(&walk, SHOP_GATEWAY, 0, at_ms * 1000000 - (int64_t)(late_s * 1e9),
                         &failed);
    }
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT && walk.count > 0; s++) {
        spans_of_service(&walk, s, out);
    }
    free(walk.spans);
    return walk.count;
}

/* nm_names.c - the names of services and of what they call, and which of them are forgotten.
 *
 * Good for     services and hosts that come and go: a number waits for the next name.
 * Method       each name knows when something was last told of it. Now and then one pass: a name
 *              goes after limits.series_idle and with the last of its series. In a room that is
 *              nine tenths full the idle time is halved until it is eight tenths, but for the
 *              least; names go before their series then, which end as any other series does
 *              that nobody sends.
 * Cost         16 bytes of sequential reading a name, once a minute.
 */
#include "normalise/normalise_int.h"

/* The rooms: of peers, of services. */
static const uint32_t names_max[2] = { NM_PEERS_MAX, NM_SERVICES_MAX };

bool nm_names_have_room(const struct nm_services *services, bool as_service)
{
    return services->counts[as_service] < names_max[as_service];
}

static uint32_t service_find_or_add(struct nm_services *services, ql_str name, bool as_service)
{
    if (name.bytes == 0) {
        name = QL_STR("unknown");
    }
    uint32_t number = ql_shared_find(&services->names, name);
    const bool known = number != QL_MAP_NONE;
    if (known && (!as_service || services->states[number].is_service != 0)) {
        services->states[number].seen_s = services->clock_s;
        return number;
    }
    /* A new name, or a peer that turns out to be a service. */
    if (name.bytes > NM_NAME_BYTES_MAX || !nm_names_have_room(services, as_service) ||
        (!known && ql_shared_take(&services->names, name, &number) != QL_OK)) {
        return QL_MAP_NONE;
    }
    struct nm_service_state *state = &services->states[number];
    if (known) {
        services->counts[0]--;
    } else {
        *state = (struct nm_service_state){ .announced_window = INT64_MIN, .used = 1 };
    }
    services->counts[as_service]++;
    state->is_service = as_service;
    state->seen_s = services->clock_s;
    return number;
}

uint32_t nm_service_number(struct nm_services *services, ql_str name)
{
    return service_find_or_add(services, name, true);
}

uint32_t nm_peer_number(struct nm_services *services, ql_str name)
{
    return service_find_or_add(services, name, false);
}

/* ---- forgetting ------------------------------------------------------------------- */

static bool name_may_go(const struct nm_services *services, uint32_t number, bool as_service,
                        uint32_t idle_s)
{
    const struct nm_service_state *state = &services->states[number];
    return state->used != 0 && (state->is_service != 0) == as_service &&
           services->clock_s - state->seen_s >= idle_s;
}

static bool room_is_crowded(const struct nm_services *services, bool as_service)
{
    return services->counts[as_service] > names_max[as_service] / 10 * 9;
}

static uint32_t names_that_stay(const struct nm_services *services, bool as_service,
                                uint32_t idle_s)
{
    uint32_t stay = services->counts[as_service];
    for (uint32_t number = 0; number < services->names.count; number++) {
        stay -= name_may_go(services, number, as_service, idle_s);
    }
    return stay;
}

bool nm_service_has_series(const struct nm_services *services, uint32_t number)
{
    uint32_t any = 0;
    for (uint32_t i = 0; i < NM_SERVICE_SERIES; i++) {
        any |= services->rows[number].series[i];
    }
    return any != 0;
}

static void name_free(struct nm_services *services, uint32_t number)
{
    services->counts[services->states[number].is_service]--;
    memset(&services->rows[number], 0, sizeof(services->rows[number]));
    services->states[number] = (struct nm_service_state){ .used = 0 };
    ql_shared_drop(&services->names, number);
}

/* How many went. */
static uint32_t room_idle(struct nm_services *services, bool as_service, uint32_t idle_s,
                          uint32_t least_s)
{
    const bool crowded = room_is_crowded(services, as_service);
    const uint32_t room = names_max[as_service] / 10 * 8, before = services->counts[as_service];
    while (crowded && idle_s > least_s && names_that_stay(services, as_service, idle_s) > room) {
        idle_s = idle_s / 2 > least_s ? idle_s / 2 : least_s;
    }
    for (uint32_t number = 0; number < services->names.count; number++) {
        if (name_may_go(services, number, as_service, idle_s) &&
            (crowded || !nm_service_has_series(services, number))) {
            name_free(services, number);
        }
    }
    return before - services->counts[as_service];
}

bool nm_services_idle(struct nm *nm, double idle_s, uint32_t least_s)
{
    struct nm_services *services = &nm->services;
    uint32_t went = 0;
    nm_calls_hold(nm);
    for (uint32_t room = 0; room < 2; room++) {
        const uint32_t gone = room_idle(services, room != 0,
                                        idle_s < 1e9 ? (uint32_t)idle_s : 1000000000u, least_s);
        ql_stat_add(nm->counts.names_retired[room], gone);
        went += gone;
    }
    if (went > 0) {
        nm_calls_forget(nm);
    }
    return room_is_crowded(services, false) || room_is_crowded(services, true);
}

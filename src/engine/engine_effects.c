/* engine_effects.c - what follows from a finished tick: stored, published, dispatched, once.
 *
 * The store refuses ticks it already has, so a replay after a crash stores nothing twice.
 * An action is dispatched only for a tick that the store has not seen before, and the
 * actuator knows every id it ever ran.
 */
#include "engine/engine_int.h"

#include "base/log.h"
#include "wire/json_out.h"

#include <inttypes.h>

#define EFFECTS_RETRY_S 1.0

/* Too many results wait already. Nothing later can happen before this one has its place, so
 * input is refused and time stands still, as with a journal that cannot be written. Ended by
 * room, or by a stop: then the tick is left to a replay, and the store takes nothing more. */
static ql_err effects_store_held(struct ql_engine *engine, uint64_t sequence, ql_time now,
                                 const struct ql_batch *bus)
{
    ql_err err = QL_E_FULL;
    QL_LOG(ERROR, "too many incidents wait to be stored: input is refused until they can be");
    ql_sequencer_hold(engine->sequencer, true);
    while (err == QL_E_FULL && ql_wait_for(&engine->store_wait, EFFECTS_RETRY_S)) {
        err = ql_store_apply(engine->store, sequence, now, bus);
    }
    ql_sequencer_hold(engine->sequencer, false);
    return err;
}

static void effects_store(struct ql_engine *engine, uint64_t sequence, ql_time now,
                          const struct ql_batch *bus, bool live)
{
    ql_err err = ql_store_apply(engine->store, sequence, now, bus);
    if (err == QL_E_FULL && live && !ql_wait_is_stopped(&engine->store_wait)) {
        err = effects_store_held(engine, sequence, now, bus);
    }
    if (err != QL_OK) {
        ql_stat_add(engine->store_failures, 1);
    }
    engine->store_full = err == QL_E_FULL;
    if ((err != QL_OK) != engine->store_failed) {
        engine->store_failed = err != QL_OK;
        if (err != QL_OK) {
            QL_LOG(ERROR, "incidents cannot be stored", QL_LOG_T("error", ql_err_text(err)));
        } else {
            QL_LOG(INFO, "incidents can be stored again");
        }
    }
}

static void effects_keep_action(struct ql_batch *to, const struct ql_action *action)
{
    struct ql_action *kept = ql_batch_add_action(to);
    if (kept != NULL) {
        *kept = *action;
        kept->runbook = ql_batch_text(to, action->runbook);
        kept->step = ql_batch_text(to, action->step);
        kept->command = ql_batch_text(to, action->command);
        kept->argv = ql_batch_text(to, action->argv);
        kept->reason = ql_batch_text(to, action->reason);
        kept->by = ql_batch_text(to, action->by);
    }
}

static void effects_dispatch(struct ql_engine *engine, const struct ql_batch *bus, bool live)
{
    for (uint32_t i = 0; i < bus->actions.count; i++) {
        const struct ql_action *action = &bus->actions.at[i];
        if (!action->dispatch) {
            continue;
        }
        if (!live) {
            effects_keep_action(&engine->undispatched, action);
        } else {
            engine_dispatch(engine, action);
        }
    }
}

static void effects_publish(struct ql_engine *engine, const struct ql_batch *bus)
{
    struct ql_buf text;
    ql_buf_init(&text, 65536);
    for (uint32_t i = 0; i < bus->incidents.count; i++) {
        const struct ql_incident *incident = &bus->incidents.at[i];
        struct ql_json_out json;
        ql_buf_reset(&text);
        ql_json_out_init(&json, &text);
        ql_json_out_object(&json, NULL);
        ql_json_out_u64(&json, "id", incident->id.v);
        ql_json_out_text(&json, "event", ql_incident_event_text(incident->event));
        ql_json_out_text(&json, "state", ql_incident_state_text(incident->state));
        ql_json_out_str(&json, "title", incident->title);
        ql_json_out_end(&json);
        ql_events_publish(&engine->events, "incident", ql_buf_view(&text));
    }
    for (uint32_t i = 0; i < bus->actions.count; i++) {
        const struct ql_action *action = &bus->actions.at[i];
        ql_buf_reset(&text);
        (void)ql_buf_printf(&text, "{\"id\":\"%" PRIu64 "\",\"incident\":%" PRIu64
                            ",\"state\":\"%s\"}", action->id.v, action->incident.v,
                            ql_action_state_text(action->state));
        ql_events_publish(&engine->events, "action", ql_buf_view(&text));
    }
    ql_buf_fini(&text);
}

/* The core's own copy may change at its next tick. */
void engine_publish_slos(struct ql_engine *engine)
{
    uint32_t count;
    uint64_t version;
    const struct ql_slo_state *states = ql_core_slos(engine->machine.core, &count, &version);
    if (version == engine->slo_version) {
        return;
    }
    (void)pthread_mutex_lock(&engine->lock);
    if (count > 0) {
        memcpy(engine->slos, states, count * sizeof(*states));
    }
    engine->slo_count = count;
    engine->slo_version = version;
    (void)pthread_mutex_unlock(&engine->lock);
}

void engine_effects(struct ql_engine *engine, uint64_t sequence, ql_time now,
                    const struct ql_batch *bus, bool live)
{
    const bool fresh = sequence > ql_store_applied(engine->store);
    effects_store(engine, sequence, now, bus, live);
    if (fresh) {
        effects_dispatch(engine, bus, live);
    }
    if (live) {
        effects_publish(engine, bus);
    }
    engine_publish_slos(engine);
}

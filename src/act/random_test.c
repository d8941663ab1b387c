/* Whatever happens in whatever order: the brakes hold. Seeded random stories are played
 * and an observer that knows only the records checks that
 *   - at most one run holds an entity,
 *   - no more runs start in any hour than the limits say,
 *   - nothing is dispatched twice, without a proposal that passed its gates, without a
 *     person's word in mode approve, or after it was rejected, expired or ended,
 *   - after two runs that did not help nothing starts until a person lifts the stop,
 *   - nothing succeeds while one of its signals is open,
 *   - a restart from a checkpoint anywhere changes nothing that comes out.
 * A failure prints its seed; QL_SEED=n plays that one only. */
#include "act/act_test.h"
#include "base/rng.h"

#define WORLD_ENTITIES 4u
#define WORLD_INCIDENTS 6u
#define WORLD_SIGNALS 24u
#define WORLD_ACTIONS_MAX 4096u
#define WORLD_STORIES 60u
#define WORLD_STEPS 300u

static const char *const world_entities[WORLD_ENTITIES] = { "service/a", "service/b", "service/c",
                                                            "service/d" };
static const char world_yaml[] =
    "act: {mode: %s}\n"
    "runbooks:\n"
    "- name: fix\n"
    "  entity: service/*\n"
    "  mode: %s\n"
    "  score_min: 0.5\n"
    "  steady: 0s\n"
    "  verify: 3m\n"
    "  approval: 10m\n"
    "  steps: [{name: one, run: [/b/x, '{name}'], timeout: 20s}, {name: two, run: [/b/y]}]\n";

struct known_action {
    uint64_t id, incident, entity;
    enum ql_action_state state;
    bool proposed, dispatched, second, approved, rejected, over;
    uint64_t signals_at_start[WORLD_SIGNALS];
    uint32_t signal_count;
};
struct entity_watch {
    int64_t starts[WORLD_ACTIONS_MAX];
    uint32_t start_count, strikes;
    int64_t succeeded; /* INT64_MIN: no */
};
struct world {
    struct rig rig;
    struct ql_rng rng;
    bool approve_mode;
    uint64_t incident_next, digest;
    uint64_t incidents[WORLD_INCIDENTS];       /* ids; 0: none */
    uint32_t incident_entity[WORLD_INCIDENTS];
    struct { uint64_t incident, since_id; uint32_t entity; bool open; } signals[WORLD_SIGNALS];
    struct known_action actions[WORLD_ACTIONS_MAX];
    uint32_t action_count;
    struct entity_watch watch[WORLD_ENTITIES];
    int64_t starts[WORLD_ACTIONS_MAX];
    uint32_t start_count, succeeded_count, escalated_count;
};

static uint32_t world_draw(struct world *w, uint32_t bound)
{
    return (uint32_t)ql_rng_below(&w->rng, bound);
}

/* ---- what happens -------------------------------------------------------------------- */

static void world_incident(struct world *w)
{
    const uint32_t i = world_draw(w, WORLD_INCIDENTS);
    if (w->incidents[i] == 0) {
        w->incidents[i] = ++w->incident_next;
        w->incident_entity[i] = world_draw(w, WORLD_ENTITIES);
        rig_incident(&w->rig, w->incidents[i], QL_INC_OPENED,
                     world_entities[w->incident_entity[i]]);
    } else if (world_draw(w, 4) == 0) {
        rig_incident(&w->rig, w->incidents[i], QL_INC_RESOLVED,
                     world_entities[w->incident_entity[i]]);
        w->incidents[i] = 0;
    } else {
        rig_incident(&w->rig, w->incidents[i],
                     world_draw(w, 3) == 0 ? QL_INC_REOPENED : QL_INC_GREW,
                     world_entities[w->incident_entity[i]]);
    }
}

static void world_signal(struct world *w)
{
    const uint32_t i = world_draw(w, WORLD_SIGNALS);
    if (w->signals[i].open) {
        w->signals[i].open = false;
        rig_member(&w->rig, w->signals[i].incident, i + 100,
                   world_entities[w->signals[i].entity], false);
        return;
    }
    const uint32_t k = world_draw(w, WORLD_INCIDENTS);
    if (w->incidents[k] != 0) {
        w->signals[i].open = true;
        w->signals[i].incident = w->incidents[k];
        w->signals[i].entity = i % WORLD_ENTITIES; /* a series belongs to one entity */
        rig_member(&w->rig, w->incidents[k], i + 100, world_entities[i % WORLD_ENTITIES], true);
    }
}

static ql_id world_some_action(struct world *w)
{
    if (w->action_count == 0 || world_draw(w, 20) == 0) {
        return (ql_id){ ql_rng_u64(&w->rng) };
    }
    const uint32_t back = world_draw(w, w->action_count < 6 ? w->action_count : 6);
    return (ql_id){ w->actions[w->action_count - 1 - back].id };
}

/* Mostly about what runs: else almost every step would only time out. */
static void world_outcome(struct world *w)
{
    ql_id id = world_some_action(w);
    const bool aimed = world_draw(w, 8) > 0;
    for (uint32_t i = 0; i < w->action_count && aimed; i++) {
        if (w->actions[i].state == QL_ACTION_RUNNING) {
            id.v = w->actions[i].id;
            break;
        }
    }
    rig_outcome(&w->rig, id, world_draw(w, 5) == 0 ? 1 : 0);
}

/* Things get better all at once, as they do when a fix worked. */
static void world_calm(struct world *w)
{
    const uint32_t entity = world_draw(w, WORLD_ENTITIES);
    for (uint32_t i = entity; i < WORLD_SIGNALS; i += WORLD_ENTITIES) {
        if (w->signals[i].open) {
            w->signals[i].open = false;
            rig_member(&w->rig, w->signals[i].incident, i + 100, world_entities[entity], false);
        }
    }
}

static struct known_action *world_action(struct world *w, uint64_t id)
{
    for (uint32_t i = w->action_count; i > 0; i--) {
        if (w->actions[i - 1].id == id) {
            return &w->actions[i - 1];
        }
    }
    return NULL;
}

static uint32_t world_entity_index(uint64_t entity)
{
    for (uint32_t i = 0; i < WORLD_ENTITIES; i++) {
        if (ql_entity_id_of(ql_str_of(world_entities[i])).v == entity) {
            return i;
        }
    }
    fail_msg("an action on an entity that does not exist");
    return 0;
}

static void world_command(struct world *w)
{
    const ql_id id = world_some_action(w);
    const bool approve = world_draw(w, 4) > 0;
    rig_command(&w->rig, approve ? QL_COMMAND_APPROVE : QL_COMMAND_REJECT, id);
    struct known_action *a = world_action(w, id.v);
    if (a == NULL) {
        return;
    }
    if (approve && a->state == QL_ACTION_AWAITING && !a->rejected) {
        a->approved = true;
    }
    if (!approve && a->state == QL_ACTION_AWAITING && !a->approved) {
        a->rejected = true;
    }
    if (approve && a->state == QL_ACTION_ESCALATED) {
        struct entity_watch *watch = &w->watch[world_entity_index(a->entity)];
        watch->strikes = 0;
        watch->succeeded = INT64_MIN;
    }
}

static void world_happen(struct world *w)
{
    switch (world_draw(w, 10)) {
    case 0: world_incident(w); break;
    case 1:
    case 2: world_signal(w); break;
    case 3: {
        const uint32_t i = world_draw(w, WORLD_INCIDENTS);
        if (w->incidents[i] != 0) {
            rig_cause(&w->rig, w->incidents[i], world_entities[world_draw(w, WORLD_ENTITIES)], "m",
                      0.4 + 0.6 * ql_rng_ratio(&w->rng));
        }
        break;
    }
    case 4:
    case 5:
    case 6: world_outcome(w); break;
    case 7: world_calm(w); break;
    default: world_command(w); break;
    }
}

/* ---- what the observer holds it to ------------------------------------------------------ */

static void watch_start(struct world *w, struct known_action *a)
{
    const int64_t now = w->rig.now.ns, hour_ago = now - AC_HOUR.ns;
    struct entity_watch *watch = &w->watch[world_entity_index(a->entity)];
    uint32_t here = 1, all = 1;
    if (watch->succeeded != INT64_MIN) { /* did the last success last? */
        watch->strikes = now - watch->succeeded < AC_RELAPSE.ns ? watch->strikes + 1 : 0;
        watch->succeeded = INT64_MIN;
    }
    assert_true(watch->strikes < 2);
    for (uint32_t i = 0; i < watch->start_count; i++) {
        here += watch->starts[i] > hour_ago;
    }
    for (uint32_t i = 0; i < w->start_count; i++) {
        all += w->starts[i] > hour_ago;
    }
    assert_true(here <= 3);
    assert_true(all <= 10);
    watch->starts[watch->start_count++] = now;
    w->starts[w->start_count++] = now;
    for (uint32_t i = 0; i < WORLD_SIGNALS; i++) {
        if (w->signals[i].open && w->signals[i].incident == a->incident &&
            world_entity_index(a->entity) == w->signals[i].entity) {
            a->signals_at_start[a->signal_count++] = i;
        }
    }
}

static void watch_dispatch(struct world *w, struct known_action *a)
{
    assert_false(a->dispatched);
    assert_false(a->over);
    assert_false(a->rejected);
    a->dispatched = true;
    if (a->second) {
        return;
    }
    assert_true(a->proposed);
    if (w->approve_mode) {
        assert_true(a->approved);
    }
    watch_start(w, a);
}

static void watch_end(struct world *w, const struct known_action *a, enum ql_action_state state)
{
    struct entity_watch *watch = &w->watch[world_entity_index(a->entity)];
    if (a->second || !a->dispatched) {
        return; /* a run ends once: its first step speaks for it */
    }
    if (state == QL_ACTION_FAILED || state == QL_ACTION_INEFFECTIVE) {
        watch->strikes++;
    } else if (state == QL_ACTION_SUCCEEDED) {
        watch->succeeded = w->rig.now.ns;
        w->succeeded_count++;
        for (uint32_t i = 0; i < a->signal_count; i++) {
            assert_false(w->signals[a->signals_at_start[i]].open);
        }
    }
}

static bool watch_is_live(enum ql_action_state state)
{
    return state == QL_ACTION_AWAITING || state == QL_ACTION_RUNNING || state == QL_ACTION_VERIFYING;
}

static void watch_record(struct world *w, const struct ql_action *action)
{
    struct known_action *a = world_action(w, action->id.v);
    if (a == NULL) {
        assert_true(w->action_count < WORLD_ACTIONS_MAX);
        a = &w->actions[w->action_count++];
        *a = (struct known_action){ .id = action->id.v, .incident = action->incident.v,
                                    .entity = action->entity.v };
        a->second = ql_str_eq(action->step, QL_STR("two"));
    }
    assert_true(action->reason.bytes > 0);
    assert_true(action->by.bytes > 0);
    if (action->state == QL_ACTION_PROPOSED) {
        a->proposed = true;
    }
    if (action->dispatch) {
        assert_int_equal(action->state, QL_ACTION_RUNNING);
        watch_dispatch(w, a);
    }
    if (action->state == QL_ACTION_FAILED || action->state == QL_ACTION_INEFFECTIVE ||
        action->state == QL_ACTION_SUCCEEDED) {
        watch_end(w, a, action->state);
        a->over = true;
    }
    a->over |= action->state == QL_ACTION_REJECTED || action->state == QL_ACTION_EXPIRED;
    w->escalated_count += action->state == QL_ACTION_ESCALATED;
    a->state = action->state;
}

static void watch_entities(const struct world *w)
{
    const struct known_action *holder[WORLD_ENTITIES] = { NULL };
    for (uint32_t i = 0; i < w->action_count; i++) {
        const struct known_action *a = &w->actions[i];
        if (!watch_is_live(a->state)) {
            continue;
        }
        const uint32_t entity = world_entity_index(a->entity);
        if (holder[entity] != NULL) { /* the two steps of one run may both be live */
            assert_int_equal(holder[entity]->incident, a->incident);
            assert_true(holder[entity]->second != a->second);
        }
        holder[entity] = a;
    }
}

static void world_step(struct world *w, bool restart)
{
    for (uint32_t n = world_draw(w, 4); n > 0; n--) {
        world_happen(w);
    }
    rig_tick(&w->rig, (int)(world_draw(w, 10) == 0 ? world_draw(w, 900) : 1 + world_draw(w, 30)));
    for (uint32_t i = 0; i < w->rig.bus.actions.count; i++) {
        watch_record(w, &w->rig.bus.actions.at[i]);
    }
    assert_true(w->rig.bus.audits.count >= w->rig.bus.actions.count);
    watch_entities(w);
    w->digest = ql_batch_digest(&w->rig.bus, QL_LIST_actions, 0, w->digest);
    w->digest = ql_batch_digest(&w->rig.bus, QL_LIST_audits, 0, w->digest);
    ql_batch_reset(&w->rig.bus);
    if (restart) {
        rig_restart(&w->rig);
    }
}

static void world_play_open(struct world *w, uint64_t seed)
{
    char yaml[1024];
    memset(w, 0, sizeof(*w));
    ql_rng_init(&w->rng, seed, "act story");
    w->approve_mode = world_draw(w, 2) == 0;
    (void)snprintf(yaml, sizeof(yaml), world_yaml, w->approve_mode ? "approve" : "auto", "auto");
    rig_open(&w->rig, yaml);
    for (uint32_t i = 0; i < WORLD_ENTITIES; i++) {
        (void)rig_entity(&w->rig, world_entities[i]);
        w->watch[i].succeeded = INT64_MIN;
    }
}

/* `restart_every` 0: never. The story does not depend on it. */
static void world_play(struct world *w, uint64_t seed, uint32_t restart_every)
{
    world_play_open(w, seed);
    for (uint32_t step = 0; step < WORLD_STEPS; step++) {
        world_step(w, restart_every > 0 && step % restart_every == 0);
    }
    rig_close(&w->rig);
}

static void the_brakes_hold_in_every_order(void **state)
{
    (void)state;
    const char *one = getenv("QL_SEED");
    uint32_t starts = 0, succeeded = 0, escalated = 0;
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    for (uint64_t i = 1; i <= (one != NULL ? 1 : WORLD_STORIES); i++) {
        const uint64_t seed = one != NULL ? strtoull(one, NULL, 10) : i;
        (void)fprintf(stderr, "seed %llu\r", (unsigned long long)seed);
        world_play(w, seed, 0);
        starts += w->start_count;
        succeeded += w->succeeded_count;
        escalated += w->escalated_count;
        const uint64_t digest = w->digest;
        world_play(w, seed, 1 + (uint32_t)(seed % 7));
        assert_true(w->digest == digest);
    }
    print_message("%u runs, %u helped, %u escalations\n", starts, succeeded, escalated);
    if (one == NULL) { /* stories in which nothing happens prove nothing */
        assert_true(starts > 200);
        assert_true(succeeded > 20);
        assert_true(escalated > 20);
    }
    free(w);
}

/* A checkpoint is a file: whatever is in it, load says so or takes it, and never crashes. */
static void damaged_checkpoints_are_told(void **state)
{
    (void)state;
    struct world *w = calloc(1, sizeof(*w));
    struct ql_buf saved;
    struct ql_rng rng;
    assert_non_null(w);
    ql_buf_init(&saved, (size_t)16 << 20);
    world_play_open(w, 3);
    for (uint32_t step = 0; step < 120; step++) {
        world_step(w, false);
    }
    assert_int_equal(ql_act_stage.save(w->rig.stage, &saved), QL_OK);
    ql_rng_init(&rng, 3, "damage");
    for (uint32_t i = 0; i < 400; i++) {
        ql_act_stage.close(w->rig.stage);
        rig_open_stage(&w->rig);
        const size_t at = (size_t)ql_rng_below(&rng, saved.bytes);
        const char kept = saved.at[at];
        const bool cut = i % 2 == 0;
        saved.at[at] = cut ? kept : (char)(kept ^ (1 << ql_rng_below(&rng, 8)));
        struct ql_reader in = ql_reader_of((ql_str){ saved.at, cut ? at : saved.bytes });
        const ql_err err = ql_act_stage.load(w->rig.stage, ql_act_stage.state_version, &in);
        assert_true(err == QL_E_MALFORMED || (err == QL_OK && !cut));
        saved.at[at] = kept;
    }
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_act_stage.load(w->rig.stage, ql_act_stage.state_version + 1, &in),
                     QL_E_VERSION);
    rig_close(&w->rig);
    ql_buf_fini(&saved);
    free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_brakes_hold_in_every_order),
        cmocka_unit_test(damaged_checkpoints_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

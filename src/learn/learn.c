#include "learn/learn.h"

#include "model/entity.h"

#include <stdlib.h>

#define LEARN_INCIDENTS_MAX 1024u /* a power of two */
#define LEARN_CAUSES_MAX 5u
#define LEARN_NAME_BYTES 96u
#define LEARN_MOVES_MAX 64u
#define LEARN_FALSE_DECADES 0.15
#define LEARN_TRUE_DECADES (-0.10)
#define LEARN_DAY_DECADES 0.3
#define LEARN_WEEK_DECADES 1.0
#define LEARN_OFFSET_MIN (-1.0)
#define LEARN_OFFSET_MAX 2.0
#define LEARN_PRIOR_WEIGHT_MAX 50.0f
#define LEARN_DAY QL_S(86400)

struct learn_cause {
    ql_entity_id entity;
    uint64_t family; /* hash of the metric's name */
    uint32_t name_bytes, pad;
    char name[LEARN_NAME_BYTES];
};
struct learn_case {
    ql_id incident;
    uint32_t cause_count;
    uint8_t said_true, said_false, said_cause, pad; /* each counts once an incident */
    struct learn_cause causes[LEARN_CAUSES_MAX];
};
struct learn_move { int64_t at_ns; double decades; };

struct learn {
    struct ql_model_set set;
    uint32_t adopted;              /* version that every stage has */
    uint32_t move_next, move_count;
    struct learn_move moves[LEARN_MOVES_MAX];
    struct learn_case *cases;      /* by incident modulo the maximum */
    struct ql_batch *bus;
    ql_time now;
};

/* ---- what was said to be the cause ------------------------------------------------- */

static struct learn_case *learn_case_of(struct learn *learn, ql_id incident)
{
    struct learn_case *c = &learn->cases[incident.v & (LEARN_INCIDENTS_MAX - 1)];
    if (c->incident.v < incident.v) { /* ids grow: the newer one takes the place */
        *c = (struct learn_case){ .incident = incident };
    }
    return c->incident.v == incident.v ? c : NULL;
}

static void learn_cause_seen(struct learn *learn, const struct ql_cause *cause)
{
    struct learn_case *c = learn_case_of(learn, cause->incident);
    if (c == NULL) {
        return;
    }
    if (cause->rank == 1) {
        c->cause_count = 0;
    }
    if (c->cause_count == LEARN_CAUSES_MAX) {
        return;
    }
    struct learn_cause *kept = &c->causes[c->cause_count++];
    kept->entity = cause->entity;
    kept->family = ql_hash64(cause->metric.at, cause->metric.bytes);
    kept->name_bytes = (uint32_t)(cause->metric.bytes < LEARN_NAME_BYTES ? cause->metric.bytes
                                                                         : LEARN_NAME_BYTES);
    memcpy(kept->name, cause->metric.at, kept->name_bytes);
}

/* ---- priors -------------------------------------------------------------------------- */

static struct ql_cause_prior *learn_prior(struct ql_model_set *set, uint64_t family)
{
    struct ql_cause_prior *least = NULL;
    for (uint32_t i = 0; i < set->prior_count; i++) {
        struct ql_cause_prior *p = &set->priors[i];
        if (p->family_hash == family) {
            return p;
        }
        if (least == NULL || p->right + p->wrong < least->right + least->wrong) {
            least = p;
        }
    }
    struct ql_cause_prior *p =
        set->prior_count < QL_MODEL_PRIORS_MAX ? &set->priors[set->prior_count++] : least;
    *p = (struct ql_cause_prior){ .family_hash = family, .right = 1.0f, .wrong = 1.0f };
    return p;
}

static void learn_label(struct learn *learn, const struct learn_cause *cause, bool right,
                        struct ql_buf *said)
{
    struct ql_cause_prior *p = learn_prior(&learn->set, cause->family);
    p->right += right ? 1.0f : 0.0f;
    p->wrong += right ? 0.0f : 1.0f;
    const float weight = p->right + p->wrong;
    if (weight > LEARN_PRIOR_WEIGHT_MAX) { /* old labels fade as new ones come */
        p->right *= LEARN_PRIOR_WEIGHT_MAX / weight;
        p->wrong *= LEARN_PRIOR_WEIGHT_MAX / weight;
    }
    (void)ql_buf_printf(said, "; '%.*s' is the cause %.0f%% of the time",
                        (int)cause->name_bytes, cause->name,
                        100.0 * (double)(p->right / (p->right + p->wrong)));
}

/* ---- threshold ------------------------------------------------------------------------- */

static double learn_moved(const struct learn *learn, int64_t days)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < learn->move_count; i++) {
        if (learn->moves[i].at_ns > learn->now.ns - days * LEARN_DAY.ns) {
            sum += learn->moves[i].decades;
        }
    }
    return sum;
}

static double learn_least(double a, double b)
{
    return a < b ? a : b;
}

/* Moves as far as day, week and range allow; true when it moved. */
static bool learn_move(struct learn *learn, double decades, struct ql_buf *said)
{
    const double size = decades < 0.0 ? -decades : decades;
    const double offset = learn->set.threshold_offset_decades;
    double room = learn_least(LEARN_DAY_DECADES - learn_moved(learn, 1),
                              LEARN_WEEK_DECADES - learn_moved(learn, 7));
    room = learn_least(room, decades < 0.0 ? offset - LEARN_OFFSET_MIN : LEARN_OFFSET_MAX - offset);
    const double moved = learn_least(size, room);
    if (moved < 1e-9) {
        (void)ql_buf_printf(said, "threshold stays at %+.2f decades: it moved enough lately or "
                                  "is at its bound", offset);
        return false;
    }
    learn->set.threshold_offset_decades = offset + (decades < 0.0 ? -moved : moved);
    learn->moves[learn->move_next] = (struct learn_move){ learn->now.ns, moved };
    learn->move_next = (learn->move_next + 1) % LEARN_MOVES_MAX;
    learn->move_count += learn->move_count < LEARN_MOVES_MAX;
    (void)ql_buf_printf(said, "threshold %+.2f decades, now %+.2f", decades < 0.0 ? -moved : moved,
                        learn->set.threshold_offset_decades);
    return true;
}

/* ---- labels ------------------------------------------------------------------------------ */

/* People may write "checkout" for "service/checkout". */
static ql_entity_id learn_entity(ql_str written)
{
    struct ql_buf name;
    ql_buf_init(&name, 4096);
    ql_entity_of_name(written, &name);
    const ql_entity_id id = ql_entity_id_of(ql_buf_view(&name));
    ql_buf_fini(&name);
    return id;
}

/* The person's entity makes the best ranked cause there right, and rank 1 wrong when it is
 * another. */
static bool learn_right_cause(struct learn *learn, const struct learn_case *c, ql_str written,
                              struct ql_buf *said)
{
    const ql_entity_id entity = learn_entity(written);
    bool changed = false;
    for (uint32_t i = 0; i < c->cause_count; i++) {
        if (c->causes[i].entity.v == entity.v) {
            learn_label(learn, &c->causes[i], true, said);
            changed = true;
            break;
        }
    }
    if (c->cause_count > 0 && c->causes[0].entity.v != entity.v) {
        learn_label(learn, &c->causes[0], false, said);
        changed = true;
    }
    if (!changed) {
        (void)ql_buf_text(said, "; no cause was ranked, so none is learnt");
    }
    return changed;
}

static bool learn_verdict(struct learn *learn, struct learn_case *c,
                          const struct ql_command *command, struct ql_buf *said)
{
    const bool is_false = command->verdict == QL_VERDICT_FALSE;
    bool changed = false;
    uint8_t *counted = is_false ? &c->said_false : &c->said_true;
    if (*counted) {
        (void)ql_buf_text(said, "threshold unchanged: this was said of the incident before");
    } else {
        *counted = 1;
        changed = learn_move(learn, is_false ? LEARN_FALSE_DECADES : LEARN_TRUE_DECADES, said);
        if (is_false && c->cause_count > 0) {
            learn_label(learn, &c->causes[0], false, said);
            changed = true;
        }
    }
    if (command->verdict == QL_VERDICT_RIGHT_CAUSE && !c->said_cause) {
        c->said_cause = 1;
        changed |= learn_right_cause(learn, c, command->entity, said);
    }
    return changed;
}

static void learn_audit(struct learn *learn, const struct ql_command *command,
                        const struct ql_buf *said)
{
    struct ql_audit *audit = ql_batch_add_audit(learn->bus);
    if (audit == NULL) {
        return; /* the model set's version still tells that something changed */
    }
    audit->at = learn->now;
    audit->incident = command->incident;
    audit->actor = ql_batch_text(learn->bus, command->by.bytes > 0 ? command->by
                                                                   : QL_STR("unknown"));
    audit->what = QL_STR("feedback learnt");
    audit->detail = ql_batch_text(learn->bus, ql_buf_view(said));
}

static void learn_feedback(struct learn *learn, const struct ql_command *command)
{
    struct learn_case *c = learn_case_of(learn, command->incident);
    struct ql_buf said;
    ql_buf_init(&said, 2048);
    if (c == NULL) {
        (void)ql_buf_text(&said, "the incident is too old to learn from");
    } else if (learn_verdict(learn, c, command, &said)) {
        learn->set.version++;
        learn->set.made = learn->now;
        (void)ql_buf_printf(&said, "; model set %u", learn->set.version);
    }
    learn_audit(learn, command, &said);
    ql_buf_fini(&said);
}

/* ---- the stage ----------------------------------------------------------------------------- */

static void learn_close(void *stage)
{
    struct learn *learn = stage;
    if (learn != NULL) {
        free(learn->cases);
        free(learn);
    }
}

static ql_err learn_open(const struct ql_stage_env *env, void **ret_stage)
{
    (void)env;
    struct learn *learn = calloc(1, sizeof(*learn));
    if (learn != NULL) {
        learn->cases = calloc(LEARN_INCIDENTS_MAX, sizeof(*learn->cases));
    }
    if (learn == NULL || learn->cases == NULL) {
        learn_close(learn);
        return QL_E_MEMORY;
    }
    *ret_stage = learn;
    return QL_OK;
}

static void learn_push(void *stage, ql_time now, struct ql_batch *bus)
{
    struct learn *learn = stage;
    learn->now = now;
    learn->bus = bus;
    for (uint32_t i = 0; i < bus->causes.count; i++) {
        learn_cause_seen(learn, &bus->causes.at[i]);
    }
    for (uint32_t i = 0; i < bus->commands.count; i++) {
        const struct ql_command *command = &bus->commands.at[i];
        if (command->kind == QL_COMMAND_FEEDBACK && command->verdict != QL_VERDICT_NONE) {
            learn_feedback(learn, command);
        }
    }
    learn->bus = NULL;
}

static void learn_tick(void *stage, ql_time now, struct ql_batch *bus)
{
    (void)stage;
    (void)now;
    (void)bus;
}

static void learn_adopt(void *stage, const struct ql_model_set *set)
{
    ((struct learn *)stage)->adopted = set->version;
}

const struct ql_model_set *ql_learn_pending(void *stage)
{
    const struct learn *learn = stage;
    return learn->set.version == learn->adopted ? NULL : &learn->set;
}

/* ---- checkpoint ------------------------------------------------------------------------------ */

static void learn_save_case(const struct learn_case *c, struct ql_buf *out)
{
    (void)ql_buf_u64(out, c->incident.v);
    (void)ql_buf_u8(out, (uint8_t)(c->said_true | c->said_false << 1 | c->said_cause << 2));
    (void)ql_buf_u32(out, c->cause_count);
    for (uint32_t i = 0; i < c->cause_count; i++) {
        (void)ql_buf_u64(out, c->causes[i].entity.v);
        (void)ql_buf_u64(out, c->causes[i].family);
        (void)ql_buf_lstr(out, (ql_str){ c->causes[i].name, c->causes[i].name_bytes });
    }
}

static ql_err learn_save(const void *stage, struct ql_buf *out)
{
    const struct learn *learn = stage;
    (void)ql_buf_u32(out, learn->set.version);
    (void)ql_buf_i64(out, learn->set.made.ns);
    (void)ql_buf_f64(out, learn->set.threshold_offset_decades);
    (void)ql_buf_u32(out, learn->set.prior_count);
    for (uint32_t i = 0; i < learn->set.prior_count; i++) {
        (void)ql_buf_u64(out, learn->set.priors[i].family_hash);
        (void)ql_buf_f64(out, (double)learn->set.priors[i].right);
        (void)ql_buf_f64(out, (double)learn->set.priors[i].wrong);
    }
    (void)ql_buf_u32(out, learn->move_next);
    (void)ql_buf_u32(out, learn->move_count);
    for (uint32_t i = 0; i < learn->move_count; i++) {
        (void)ql_buf_i64(out, learn->moves[i].at_ns);
        (void)ql_buf_f64(out, learn->moves[i].decades);
    }
    for (uint32_t i = 0; i < LEARN_INCIDENTS_MAX; i++) {
        if (learn->cases[i].incident.v != 0) {
            learn_save_case(&learn->cases[i], out);
        }
    }
    return ql_buf_u64(out, 0);
}

static bool learn_load_case(struct learn *learn, uint64_t incident, struct ql_reader *in)
{
    struct learn_case *c = &learn->cases[incident & (LEARN_INCIDENTS_MAX - 1)];
    c->incident.v = incident;
    const uint8_t said = ql_reader_u8(in);
    c->said_true = said & 1;
    c->said_false = said >> 1 & 1;
    c->said_cause = said >> 2 & 1;
    c->cause_count = ql_reader_u32(in);
    if (c->cause_count > LEARN_CAUSES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < c->cause_count; i++) {
        c->causes[i].entity.v = ql_reader_u64(in);
        c->causes[i].family = ql_reader_u64(in);
        const ql_str name = ql_reader_lstr(in);
        if (in->failed || name.bytes > LEARN_NAME_BYTES) {
            return false;
        }
        c->causes[i].name_bytes = (uint32_t)name.bytes;
        memcpy(c->causes[i].name, name.at, name.bytes);
    }
    return true;
}

static bool learn_load_set(struct learn *learn, struct ql_reader *in)
{
    learn->set.version = ql_reader_u32(in);
    learn->set.made.ns = ql_reader_i64(in);
    const double offset = ql_reader_f64(in);
    learn->set.prior_count = ql_reader_u32(in);
    if (!(offset >= LEARN_OFFSET_MIN && offset <= LEARN_OFFSET_MAX) ||
        learn->set.prior_count > QL_MODEL_PRIORS_MAX) {
        return false;
    }
    learn->set.threshold_offset_decades = offset;
    for (uint32_t i = 0; i < learn->set.prior_count; i++) {
        learn->set.priors[i].family_hash = ql_reader_u64(in);
        learn->set.priors[i].right = (float)ql_reader_f64(in);
        learn->set.priors[i].wrong = (float)ql_reader_f64(in);
    }
    learn->move_next = ql_reader_u32(in);
    learn->move_count = ql_reader_u32(in);
    if (learn->move_next >= LEARN_MOVES_MAX || learn->move_count > LEARN_MOVES_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < learn->move_count; i++) {
        learn->moves[i].at_ns = ql_reader_i64(in);
        learn->moves[i].decades = ql_reader_f64(in);
    }
    return !in->failed;
}

/* A set that was learnt is pending again: stages that keep none of it get it anew. */
static ql_err learn_load(void *stage, uint32_t version, struct ql_reader *in)
{
    struct learn *learn = stage;
    if (version != 1) {
        return QL_E_VERSION;
    }
    if (!learn_load_set(learn, in)) {
        return QL_E_MALFORMED;
    }
    for (;;) {
        const uint64_t incident = ql_reader_u64(in);
        if (in->failed) {
            return QL_E_MALFORMED;
        }
        if (incident == 0) {
            return QL_OK;
        }
        if (!learn_load_case(learn, incident, in)) {
            return QL_E_MALFORMED;
        }
    }
}

const struct ql_stage_type ql_learn_stage = {
    .name = "learn",
    .reads = QL_LIST_BIT(commands) | QL_LIST_BIT(causes),
    .writes = QL_LIST_BIT(audits),
    .state_version = 1,
    .open = learn_open,
    .close = learn_close,
    .push = learn_push,
    .tick = learn_tick,
    .adopt = learn_adopt,
    .adopt_config = NULL,
    .save = learn_save,
    .load = learn_load,
};

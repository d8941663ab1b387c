/* What was applied comes back typed, ordered and filtered; readers see whole ticks. */
#include "store/store_query.h"

#include "base/buf.h"
#include "store/store.h"
#include "store/store_story.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
    char dir[64];
    struct ql_stats *stats;
    struct ql_store *store;
    struct ql_batch bus;
    struct ql_store_reader *reader;
    struct ql_buf said;
};

static void world_tick(struct world *w, uint32_t tick)
{
    ql_batch_reset(&w->bus);
    story_tick(&w->bus, tick);
    assert_int_equal(ql_store_apply(w->store, tick, story_at(tick), &w->bus), QL_OK);
}

static int world_setup(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/ql_query_test_XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->stats = ql_stats_new(100);
    ql_batch_init(&w->bus, 1 << 20);
    ql_buf_init(&w->said, 1 << 20);
    assert_int_equal(ql_store_open(w->dir, w->stats, &w->store), QL_OK);
    assert_int_equal(ql_store_reader_open(w->dir, &w->reader), QL_OK);
    *state = w;
    return 0;
}

static int world_teardown(void **state)
{
    static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm",
                                         "audit.db", "audit.db-wal", "audit.db-shm" };
    struct world *w = *state;
    ql_store_reader_close(w->reader);
    ql_store_close(w->store);
    ql_batch_fini(&w->bus);
    ql_buf_fini(&w->said);
    ql_stats_free(w->stats);
    for (size_t i = 0; i < QL_COUNT_OF(names); i++) {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s/%s", w->dir, names[i]);
        (void)unlink(path);
    }
    const int gone = rmdir(w->dir);
    free(w);
    return gone;
}

static const char *said(struct world *w)
{
    return w->said.bytes > 0 ? w->said.at : "";
}

/* Seconds since the story began; "-" for a time that is not set. */
static void say_time(struct ql_buf *out, ql_time t)
{
    if (t.ns == QL_TIME_NONE.ns) {
        ql_buf_text(out, " -");
    } else {
        ql_buf_printf(out, " %lld", (long long)(t.ns / QL_NS_PER_S - STORY_START_S));
    }
}

static bool say_incident(void *context, const struct ql_incident_row *row)
{
    struct ql_buf *out = context;
    const struct ql_incident *i = &row->incident;
    ql_buf_printf(out, "%llu %s %.*s", (unsigned long long)i->id.v,
                  ql_incident_state_text(i->state), QL_STR_ARG(row->entity));
    say_time(out, i->onset);
    say_time(out, i->opened);
    say_time(out, i->updated);
    say_time(out, row->acknowledged);
    say_time(out, i->resolved);
    ql_buf_printf(out, " raw %u into %llu awaiting %u rankings %u", i->raw_count,
                  (unsigned long long)i->merged_into.v, row->awaiting_count, row->ranking_count);
    if (row->suspect.cause.rank == 1) {
        ql_buf_printf(out, " suspect %.*s %.*s %g", QL_STR_ARG(row->suspect.entity),
                      QL_STR_ARG(row->suspect.cause.metric), row->suspect.cause.confidence);
    }
    ql_buf_char(out, '\n');
    return true;
}

#define ONE_DONE                                                                       \
    "1 resolved service/checkout 10 30 110 50 110 raw 6 into 0 awaiting 0 rankings 2"  \
    " suspect service/checkout db_connections 0.75\n"
#define TWO_DONE "2 resolved service/checkout 10 30 100 - 100 raw 6 into 1 awaiting 0 rankings 0\n"

static void incidents_are_filtered(void **state)
{
    struct world *w = *state;
    const struct {
        const char *story;
        struct ql_incident_filter filter;
        const char *want;
    } rows[] = {
        { "all, newest first", { .merged = true, .limit = 9 }, TWO_DONE ONE_DONE },
        { "merged ones hide", { .limit = 9 }, ONE_DONE },
        { "at most one", { .merged = true, .limit = 1 }, TWO_DONE },
        { "the page after that", { .merged = true, .limit = 1, .before = 2 }, ONE_DONE },
        { "open ones", { .states = 1 << QL_INCIDENT_OPEN, .limit = 9 }, "" },
        { "resolved or open", { .states = 1 << QL_INCIDENT_OPEN | 1 << QL_INCIDENT_RESOLVED,
                                .limit = 9 }, ONE_DONE },
        { "updated since", { .merged = true, .limit = 9,
                             .since = { (STORY_START_S + 105) * QL_NS_PER_S } }, ONE_DONE },
        { "seen first at it", { .merged = true, .limit = 9,
                                .entity = story_entity("service/checkout") }, TWO_DONE ONE_DONE },
        { "with a member of it", { .merged = true, .limit = 9,
                                   .entity = story_entity("service/frontend") }, ONE_DONE },
        { "not with it", { .merged = true, .limit = 9,
                           .entity = story_entity("service/cart") }, "" },
    };
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(w, n);
    }
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct ql_incident_filter filter = rows[i].filter;
        print_message("%s\n", rows[i].story);
        filter.since = filter.since.ns == 0 ? QL_TIME_NONE : filter.since;
        ql_buf_reset(&w->said);
        assert_int_equal(ql_query_incidents(w->reader, &filter, say_incident, &w->said), QL_OK);
        assert_string_equal(said(w), rows[i].want);
    }
}

/* Diagnosis may suspect what is no member. */
static void incidents_of_a_suspect(void **state)
{
    struct world *w = *state;
    const struct ql_incident_filter filter = { .since = QL_TIME_NONE, .merged = true, .limit = 9,
                                               .entity = story_entity("service/db") };
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(w, n);
    }
    assert_int_equal(ql_query_incidents(w->reader, &filter, say_incident, &w->said), QL_OK);
    assert_string_equal(said(w), "");
    ql_batch_reset(&w->bus);
    *ql_batch_add_cause(&w->bus) = (struct ql_cause){
        .incident = { 1 }, .rank = 1, .entity = story_entity("service/db"),
        .metric = QL_STR("locks"), .onset = story_at(1), .evidence = QL_STR("it locks"),
    };
    assert_int_equal(
        ql_store_apply(w->store, STORY_TICKS + 1, story_at(STORY_TICKS + 1), &w->bus), QL_OK);
    assert_int_equal(ql_query_incidents(w->reader, &filter, say_incident, &w->said), QL_OK);
    assert_int_equal(strncmp(said(w), "1 resolved ", 11), 0);
}

static void an_incident_lives(void **state)
{
    struct world *w = *state;
    static const struct { uint32_t tick; const char *want; } rows[] = {
        { 3, "1 open service/checkout 10 30 30 - - raw 6 into 0 awaiting 0 rankings 0\n" },
        { 4, "1 open service/checkout 10 30 30 - - raw 6 into 0 awaiting 1 rankings 2"
             " suspect service/checkout db_connections 0.75\n" },
        { 5, "1 acknowledged service/checkout 10 30 50 50 - raw 6 into 0 awaiting 1 rankings 2"
             " suspect service/checkout db_connections 0.75\n" },
        { 11, ONE_DONE },
    };
    uint32_t tick = 0;
    assert_int_equal(ql_query_incident(w->reader, (ql_id){ 1 }, say_incident, &w->said),
                     QL_E_NOT_FOUND);
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        while (tick < rows[i].tick) {
            world_tick(w, ++tick);
        }
        ql_buf_reset(&w->said);
        assert_int_equal(ql_query_incident(w->reader, (ql_id){ 1 }, say_incident, &w->said),
                         QL_OK);
        assert_string_equal(said(w), rows[i].want);
    }
}

static bool say_event(void *context, const struct ql_timeline_row *row)
{
    struct ql_buf *out = context;
    say_time(out, row->at);
    ql_buf_printf(out, " %s [%.*s] by %.*s on %.*s ref %llu\n", row->kind, QL_STR_ARG(row->text),
                  QL_STR_ARG(row->by), QL_STR_ARG(row->entity), (unsigned long long)row->ref.v);
    return true;
}

static const char timeline_want[] =
    " 10 signal [db_connections: calls service/checkout, which was already in] by engine on"
    " service/checkout ref 17293822569102704641\n"
    " 10 change [deploy: calls service/checkout, which was already in] by engine on"
    " service/checkout ref 55\n"
    " 20 alert [HighLatency: calls service/checkout, which was already in] by engine on"
    " service/frontend ref 77\n"
    " 30 opened [checkout: db_connections level shift] by engine on  ref 0\n"
    " 40 cause [db_connections: 40 connections where 8 to 12 were expected] by engine on"
    " service/checkout ref 0\n"
    " 40 action [restart-on-leak / restart proposed: confidence 0.75 is over 0.5] by engine on"
    " service/checkout ref 5\n"
    " 40 action [restart-on-leak / restart awaiting approval: mode approve] by engine on"
    " service/checkout ref 5\n"
    " 50 acknowledged [the incident is acknowledged] by ana on  ref 0\n"
    " 50 note [on it] by ana on  ref 0\n"
    " 60 action [restart-on-leak / restart running: approved] by ana on service/checkout ref 5\n"
    " 70 ended [db_connections] by engine on service/checkout ref 17293822569102704641\n"
    " 70 action [restart-on-leak / restart succeeded: the signal closed] by engine on"
    " service/checkout ref 5\n"
    " 80 ended [HighLatency] by engine on service/frontend ref 77\n"
    " 110 resolved [the incident is resolved] by engine on  ref 0\n"
    " 120 feedback [the right cause: the pool] by ana on service/checkout ref 0\n";

static void a_timeline_tells_the_story(void **state)
{
    struct world *w = *state;
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(w, n);
    }
    assert_int_equal(ql_query_timeline(w->reader, (ql_id){ 1 }, say_event, &w->said), QL_OK);
    assert_string_equal(said(w), timeline_want);
}

static bool say_signal(void *context, const struct ql_signal_row *row)
{
    struct ql_buf *out = context;
    const struct ql_signal *s = &row->signal;
    ql_buf_printf(out, "%s %s %.*s %.*s value %g last %g surprise %g [%.*s] incident %llu",
                  ql_importance_text(s->importance), row->open ? "open" : "closed",
                  QL_STR_ARG(row->entity), QL_STR_ARG(s->metric),
                  s->value, row->last_value, s->surprise, QL_STR_ARG(s->why),
                  (unsigned long long)row->incident.v);
    say_time(out, s->onset);
    say_time(out, s->at);
    say_time(out, row->closed);
    assert_true(ql_series_id_eq(s->series, story_series()));
    assert_true(s->id.v == STORY_SIGNAL);
    assert_string_equal(ql_signal_kind_text(s->kind), "level shift");
    assert_true(ql_str_eq(ql_labels_get(s->labels, QL_STR("pool")), QL_STR("main")));
    return true;
}

static void a_signal_keeps_its_worst_judgement(void **state)
{
    struct world *w = *state;
    static const char worst[] = "value 40 last 40 surprise 7.25 [40 where 8 to 12 was expected]";
    struct ql_life_filter filter = { .life = QL_LIFE_ON, .since = QL_TIME_NONE, .limit = 9 };
    for (uint32_t n = 1; n <= 6; n++) {
        world_tick(w, n);
    }
    assert_int_equal(ql_query_signals(w->reader, &filter, say_signal, &w->said), QL_OK);
    assert_non_null(strstr(said(w), worst));
    assert_non_null(strstr(said(w), "incident 1 10 20 -"));
    world_tick(w, 7);
    ql_buf_reset(&w->said);
    assert_int_equal(ql_query_signals(w->reader, &filter, say_signal, &w->said), QL_OK);
    assert_string_equal(said(w), "");
    filter.life = QL_LIFE_OVER;
    filter.entity = story_entity("service/checkout");
    assert_int_equal(ql_query_signals(w->reader, &filter, say_signal, &w->said), QL_OK);
    assert_string_equal(said(w), "high closed service/checkout db_connections value 40 last 10"
                                 " surprise 7.25 [40 where 8 to 12 was expected] incident 1 10 70 70");
    filter.entity = story_entity("service/frontend");
    ql_buf_reset(&w->said);
    assert_int_equal(ql_query_signals(w->reader, &filter, say_signal, &w->said), QL_OK);
    assert_string_equal(said(w), "");
}

/* Surprise has a ceiling, and a band widens while its signal lasts. */
static bool say_kind(void *context, const struct ql_signal_row *row)
{
    ql_buf_printf(context, "%s, value %g\n", ql_signal_kind_text(row->signal.kind),
                  row->signal.value);
    return true;
}

/* A level that stays is known for one hours after it surprised most. */
static void a_signal_is_of_the_newest_kind(void **state)
{
    struct world *w = *state;
    static const struct {
        enum ql_phase phase;
        enum ql_signal_kind kind;
        double value, surprise;
    } rows[] = {
        { QL_PHASE_OPEN, QL_SIGNAL_SPIKE, 40, 7.25 },
        { QL_PHASE_UPDATE, QL_SIGNAL_LEVEL_SHIFT, 39, 2 },
        { QL_PHASE_CLOSE, QL_SIGNAL_LEVEL_SHIFT, 38, 0 },
    };
    const struct ql_life_filter any = { .since = QL_TIME_NONE, .limit = 9 };
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char want[64];
        ql_batch_reset(&w->bus);
        story_signal(&w->bus, 1 + i, rows[i].phase, rows[i].value, rows[i].surprise, "why");
        w->bus.signals.at[0].kind = rows[i].kind;
        assert_int_equal(ql_store_apply(w->store, 1 + i, story_at(1 + i), &w->bus), QL_OK);
        ql_buf_reset(&w->said);
        assert_int_equal(ql_query_signals(w->reader, &any, say_kind, &w->said), QL_OK);
        (void)snprintf(want, sizeof(want), "%s, value 40\n", ql_signal_kind_text(rows[i].kind));
        assert_string_equal(said(w), want);
    }
}

static void as_surprising_but_nearer_does_not_count(void **state)
{
    struct world *w = *state;
    static const struct { double value, lower, upper, surprise; const char *want; } rows[] = {
        { 38, 0, 60, 7.25, "value 40 last 38 surprise 7.25 [40 where" },
        { 45, 8, 12, 7.25, "value 45 last 45 surprise 7.25 [further]" },
        { 11, 8, 12, 7.5, "value 11 last 11 surprise 7.5 [further]" },
    };
    const struct ql_life_filter any = { .since = QL_TIME_NONE, .limit = 9 };
    world_tick(w, 1);
    world_tick(w, 2);
    for (uint32_t i = 0; i < QL_COUNT_OF(rows); i++) {
        ql_batch_reset(&w->bus);
        story_signal(&w->bus, 3 + i, QL_PHASE_UPDATE, rows[i].value, rows[i].surprise, "further");
        w->bus.signals.at[0].lower = rows[i].lower;
        w->bus.signals.at[0].upper = rows[i].upper;
        assert_int_equal(ql_store_apply(w->store, 3 + i, story_at(3 + i), &w->bus), QL_OK);
        ql_buf_reset(&w->said);
        assert_int_equal(ql_query_signals(w->reader, &any, say_signal, &w->said), QL_OK);
        assert_non_null(strstr(said(w), rows[i].want));
    }
}

/* Why it could not be judged any more stands behind what was found. */
static void a_signal_that_lapses_says_why(void **state)
{
    struct world *w = *state;
    const struct ql_life_filter any = { .since = QL_TIME_NONE, .limit = 9 };
    world_tick(w, 1);
    world_tick(w, 2);
    ql_batch_reset(&w->bus);
    story_signal(&w->bus, 3, QL_PHASE_CLOSE, 11, 0.0, "it is given up");
    w->bus.signals.at[0].lapsed = true;
    assert_int_equal(ql_store_apply(w->store, 3, story_at(3), &w->bus), QL_OK);
    assert_int_equal(ql_query_signals(w->reader, &any, say_signal, &w->said), QL_OK);
    assert_non_null(strstr(said(w), "closed service/checkout db_connections value 40 last 11 "
                                    "surprise 7.25 [40 where 8 to 12 was expected; it is given up]"));
}

static bool say_member(void *context, const struct ql_member_row *row)
{
    struct ql_buf *out = context;
    ql_buf_printf(out, "%d %.*s %.*s%s", (int)row->member.kind, QL_STR_ARG(row->member.name),
                  QL_STR_ARG(row->entity), row->has_signal ? " with signal" : "");
    say_time(out, row->member.ended);
    ql_buf_char(out, '\n');
    return true;
}
static bool say_cause(void *context, const struct ql_cause_row *row)
{
    ql_buf_printf(context, "%u %.*s %.*s %g %s\n", row->cause.rank, QL_STR_ARG(row->entity),
                  QL_STR_ARG(row->cause.metric), row->cause.score,
                  ql_cause_role_text(row->cause.role));
    return true;
}
static bool say_action(void *context, const struct ql_action_row *row)
{
    ql_buf_printf(context, "%llu %s [%.*s] %g s", (unsigned long long)row->action.id.v,
                  ql_action_state_text(row->action.state), QL_STR_ARG(row->action.command),
                  ql_duration_s(row->action.timeout));
    say_time(context, row->created);
    say_time(context, row->action.at);
    ql_buf_char(context, '\n');
    return true;
}
static bool say_history(void *context, const struct ql_action *row)
{
    ql_buf_printf(context, "%s by %.*s;", ql_action_state_text(row->state), QL_STR_ARG(row->by));
    return true;
}
static bool say_feedback(void *context, const struct ql_command *row)
{
    ql_buf_printf(context, "%d %.*s %.*s\n", (int)row->verdict, QL_STR_ARG(row->entity),
                  QL_STR_ARG(row->note));
    return true;
}
static bool say_edge(void *context, const struct ql_edge_row *row)
{
    ql_buf_printf(context, "%.*s -> %.*s %lld %lld\n", QL_STR_ARG(row->caller),
                  QL_STR_ARG(row->callee), (long long)row->calls, (long long)row->errors);
    return true;
}
static bool say_entity(void *context, const struct ql_entity_row *row)
{
    ql_buf_printf(context, "%.*s\n", QL_STR_ARG(row->name));
    return true;
}
static bool say_change(void *context, const struct ql_change_row *row)
{
    ql_buf_printf(context, "%.*s %.*s %.*s\n", QL_STR_ARG(row->change.kind),
                  QL_STR_ARG(row->entity), QL_STR_ARG(row->change.summary));
    return true;
}

static void the_rest_comes_back(void **state)
{
    struct world *w = *state;
    const ql_id one = { 1 };
    const struct ql_life_filter any = { .since = QL_TIME_NONE, .limit = 9 };
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(w, n);
    }
    assert_int_equal(ql_query_members(w->reader, one, say_member, &w->said), QL_OK);
    assert_int_equal(ql_query_causes(w->reader, one, say_cause, &w->said), QL_OK);
    assert_int_equal(ql_query_actions(w->reader,
                                      &(struct ql_action_filter){ .incident = one, .limit = 9 },
                                      say_action, &w->said), QL_OK);
    assert_int_equal(ql_query_action_history(w->reader, (ql_id){ STORY_ACTION }, say_history,
                                             &w->said), QL_OK);
    assert_int_equal(ql_query_feedback(w->reader, one, say_feedback, &w->said), QL_OK);
    assert_int_equal(ql_query_edges(w->reader, 9, say_edge, &w->said), QL_OK);
    assert_int_equal(ql_query_entities(w->reader, 9, say_entity, &w->said), QL_OK);
    assert_int_equal(ql_query_changes(w->reader, &any, say_change, &w->said), QL_OK);
    assert_string_equal(said(w),
                        "0 db_connections service/checkout with signal 70\n"
                        "2 deploy service/checkout 10\n"
                        "1 HighLatency service/frontend 80\n"
                        "1 service/checkout db_connections 41.5 state change\n"
                        "2 service/frontend http_request_duration_seconds 3.25 impact\n"
                        "5 succeeded [shopctl restart checkout] 30 s 40 70\n"
                        "proposed by engine;awaiting approval by engine;running by ana;"
                        "succeeded by engine;"
                        "3 service/checkout the pool\n"
                        "service/frontend -> service/checkout 20 3\n"
                        "service/checkout\nservice/frontend\n"
                        "deploy service/checkout checkout 1.2\n");
}

static bool say_alert(void *context, const struct ql_alert_row *row)
{
    ql_buf_printf(context, "%s %.*s received %u", row->alert.firing ? "firing" : "over",
                  QL_STR_ARG(row->alert.severity), row->received_count);
    say_time(context, row->alert.starts);
    say_time(context, row->alert.ends);
    ql_buf_printf(context, " incident %llu\n", (unsigned long long)row->incident.v);
    return true;
}

static void alerts_have_a_history(void **state)
{
    struct world *w = *state;
    const struct ql_life_filter any = { .since = QL_TIME_NONE, .limit = 9 };
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(w, n);
    }
    ql_batch_reset(&w->bus); /* it fires anew, twice, and names another start each time */
    story_alert(&w->bus, 20, true);
    story_alert(&w->bus, 21, true);
    w->bus.alerts.at[0].starts = story_at(20);
    w->bus.alerts.at[1].starts = story_at(21);
    assert_int_equal(ql_store_apply(w->store, 20, story_at(20), &w->bus), QL_OK);
    assert_int_equal(ql_query_alerts(w->reader, &any, say_alert, &w->said), QL_OK);
    assert_string_equal(said(w), "firing critical received 2 200 510 incident 1\n"
                                 "over critical received 3 20 80 incident 1\n");
}

static void totals_follow_their_formulae(void **state)
{
    struct world *w = *state;
    struct ql_totals t;
    assert_int_equal(ql_query_totals(w->reader, story_at(0), story_at(99), &t), QL_OK);
    assert_true(isnan(t.noise_reduction) && isnan(t.mttd_s) && isnan(t.mtta_s) && isnan(t.mttr_s));
    for (uint32_t n = 1; n <= STORY_TICKS; n++) {
        world_tick(w, n);
    }
    assert_int_equal(ql_query_totals(w->reader, story_at(0), story_at(99), &t), QL_OK);
    assert_int_equal(t.incidents, 1); /* the merged one does not count */
    assert_int_equal(t.resolved, 1);
    assert_int_equal(t.raw_count, 6);
    assert_true(fabs(t.noise_reduction - (1.0 - 1.0 / 6.0)) < 1e-12);
    assert_true(t.mttd_s == 20.0);  /* onset 10 s, opened 30 s */
    assert_true(t.mtta_s == 20.0);  /* acknowledged 50 s */
    assert_true(t.mttr_s == 100.0); /* resolved 110 s */
    assert_int_equal(t.verdicts[QL_VERDICT_RIGHT_CAUSE], 1);
    assert_int_equal(t.actions[QL_ACTION_SUCCEEDED], 1);
    assert_int_equal(ql_query_totals(w->reader, story_at(50), story_at(99), &t), QL_OK);
    assert_int_equal(t.incidents, 0);
}

static void a_reader_sees_whole_ticks(void **state)
{
    struct world *w = *state;
    const struct ql_incident_filter any = { .since = QL_TIME_NONE, .merged = true, .limit = 9 };
    for (uint32_t n = 1; n <= 8; n++) {
        world_tick(w, n);
    }
    assert_int_equal(ql_store_reader_begin(w->reader), QL_OK);
    assert_int_equal(ql_query_incidents(w->reader, &any, say_incident, &w->said), QL_OK);
    char *before = strdup(said(w));
    for (uint32_t n = 9; n <= STORY_TICKS; n++) {
        world_tick(w, n);
    }
    ql_buf_reset(&w->said);
    assert_int_equal(ql_query_incidents(w->reader, &any, say_incident, &w->said), QL_OK);
    assert_string_equal(said(w), before);
    ql_store_reader_end(w->reader);
    ql_buf_reset(&w->said);
    assert_int_equal(ql_query_incidents(w->reader, &any, say_incident, &w->said), QL_OK);
    assert_string_equal(said(w), TWO_DONE ONE_DONE);
    free(before);
}

#define WORLD_TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(incidents_are_filtered),
        WORLD_TEST(incidents_of_a_suspect),
        WORLD_TEST(an_incident_lives),
        WORLD_TEST(a_timeline_tells_the_story),
        WORLD_TEST(a_signal_keeps_its_worst_judgement),
        WORLD_TEST(a_signal_is_of_the_newest_kind),
        WORLD_TEST(as_surprising_but_nearer_does_not_count),
        WORLD_TEST(a_signal_that_lapses_says_why),
        WORLD_TEST(the_rest_comes_back),
        WORLD_TEST(alerts_have_a_history),
        WORLD_TEST(totals_follow_their_formulae),
        WORLD_TEST(a_reader_sees_whole_ticks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

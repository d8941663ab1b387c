/* incident_test - how an incident lives and ends, what happens when there are too many, and a day
 * of them again from a checkpoint. */
#include "correlate/correlate_test.h"

static void fine(struct world *w, const char *at, const char *metric, int onset_s)
{
    signal_kind(w, at, metric, onset_s, 6.0, QL_PHASE_CLOSE, QL_SIGNAL_LEVEL_SHIFT);
}

/* ---- how it lives and ends ---- */

static void repeats_are_counted_not_joined_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    for (int t = 0; t < 300; t += 15) {
        fires(w, "checkout", "HighLatency", 0);
        fires(w, "checkout", "HighLatency", 0);
        step(w, t);
    }
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(w->member_count, 1);
    assert_true(count_of(w, QL_INC_GREW) <= 5); /* told once a minute */
    ends(w, "checkout", "HighLatency", 305);
    step(w, 310);
    step(w, 1000);
    assert_int_equal(last_of(w, 1)->at.raw_count, 41);
    assert_int_equal(last_of(w, 1)->event, QL_INC_RESOLVED);
    assert_int_equal(last_of(w, 1)->at.alert_count, 1);
    world_free(w);
}

static void it_resolves_only_when_all_closed_long_enough(void **state)
{
    (void)state;
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    odd(w, "checkout", "db_connections_in_use", 0, 7.0);
    step(w, 10);
    ends(w, "checkout", "HighLatency", 100);
    step(w, 110);
    step(w, 5000); /* the signal's data may have stopped: that is no recovery */
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 0);
    fine(w, "checkout", "db_connections_in_use", 0);
    step(w, 5010);
    step(w, 5609);
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 0);
    step(w, 5610);
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 1);
    assert_true(last_of(w, 1)->at.resolved.ns == T(5610).ns);
    world_free(w);
}

static void an_alert_ends_at_its_own_end_unless_sent_again(void **state)
{
    (void)state;
    struct world *w = world_new();
    alert(w, "checkout", "HighLatency", 0, 240, true);
    step(w, 10);
    alert(w, "checkout", "HighLatency", 0, 440, true);
    step(w, 200);
    step(w, 300);
    assert_int_equal(w->member_count, 1); /* still lasts */
    step(w, 440);
    assert_int_equal(w->member_count, 2); /* told as ended */
    step(w, 1040);
    assert_int_equal(count_of(w, QL_INC_RESOLVED), 1);
    world_free(w);
}

static void what_comes_back_reopens_and_what_is_new_does_not(void **state)
{
    (void)state;
    static const struct {
        const char *story, *at, *name;
        int starts_s;
        bool reopens;
    } rows[] = {
        { "the same alert soon", "checkout", "HighLatency", 1000, true },
        { "the same alert after an hour", "checkout", "HighLatency", 5000, false },
        { "another alert there", "checkout", "HighErrorRate", 1000, false },
    };
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        struct world *w = world_new();
        print_message("%s\n", rows[i].story);
        fires(w, "checkout", "HighLatency", 0);
        step(w, 10);
        ends(w, "checkout", "HighLatency", 50);
        step(w, 60);
        step(w, 700);
        assert_int_equal(count_of(w, QL_INC_RESOLVED), 1);
        step(w, rows[i].starts_s);
        fires(w, rows[i].at, rows[i].name, rows[i].starts_s);
        step(w, rows[i].starts_s + 5);
        assert_int_equal(count_of(w, QL_INC_REOPENED), rows[i].reopens);
        assert_int_equal(count_of(w, QL_INC_OPENED), rows[i].reopens ? 1 : 2);
        if (rows[i].reopens) {
            assert_int_equal(last_of(w, 1)->at.reopen_count, 1);
            assert_int_equal(last_of(w, 1)->at.state, QL_INCIDENT_OPEN);
        }
        world_free(w);
    }
}

static void a_series_that_comes_back_reopens(void **state)
{
    (void)state;
    struct world *w = world_new();
    odd(w, "payment", "latency", 0, 13.0);
    step(w, 10);
    fine(w, "payment", "latency", 0);
    step(w, 60);
    step(w, 700);
    odd(w, "payment", "latency", 900, 6.0); /* weak alone, but it has been here before */
    step(w, 910);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(count_of(w, QL_INC_REOPENED), 1);
    world_free(w);
}

/* An hour is the least idle time. Who stands in an incident, or waits for one, keeps the name; who
 * does not is forgotten, and the others when all is over. */
static void who_is_in_an_incident_keeps_the_name(void **state)
{
    enum { OPEN_S = 5 * 3600, OVER_S = 8 * 3600 };
    static const struct { const char *name; bool open, over; } rows[] = {
        { "pod/falls", true, false }, { "pod/odd", true, false }, { "pod/calm", false, false },
        { "service/frontend", true, true }, /* a configured edge */
    };
    (void)state;
    struct world *w = world_new();
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const ql_entity_id id = entity(rows[i].name);
        *ql_batch_add_entity(&w->bus) = (struct ql_entity_seen){ id, ql_str_of(rows[i].name) };
    }
    fires(w, "pod/falls", "Fell", 0);
    odd(w, "pod/odd", "latency_ms", 0, 1.0);
    for (int s = 0; s <= OVER_S; s += 60) {
        if (s == OPEN_S) {
            ends(w, "pod/falls", "Fell", s);
            fine(w, "pod/odd", "latency_ms", 0);
        }
        step(w, s);
        for (size_t i = 0; i < QL_COUNT_OF(rows) && (s == OPEN_S || s == OVER_S); i++) {
            const ql_str name = ql_topology_name(w->topology, entity(rows[i].name));
            if ((name.bytes > 0) != (s == OPEN_S ? rows[i].open : rows[i].over)) {
                fail_msg("%s after %d hours", rows[i].name, s / 3600);
            }
        }
    }
    assert_int_equal(ql_stats_sum(w->stats, "ql_names_retired_total", "of=\"entities\""), 3);
    assert_int_equal(ql_stats_sum(w->stats, "ql_names", "of=\"entities\""),
                     ql_topology_count(w->topology));
    assert_string_equal(last_of(w, w->seen[0].id)->title, "falls: Fell");
    world_free(w);
}

static void a_person_closes_and_a_burning_alert_does_not_reopen(void **state)
{
    (void)state;
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    step(w, 10);
    command(w, QL_COMMAND_ACK, 1);
    step(w, 20);
    assert_int_equal(last_of(w, 1)->event, QL_INC_ACKED);
    command(w, QL_COMMAND_RESOLVE, 1);
    step(w, 30);
    assert_int_equal(last_of(w, 1)->at.state, QL_INCIDENT_RESOLVED);
    for (int t = 45; t < 600; t += 15) {
        fires(w, "checkout", "HighLatency", 0);
        step(w, t);
    }
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(count_of(w, QL_INC_REOPENED), 0);
    fires(w, "checkout", "HighErrorRate", 600); /* a resolved incident swallows nothing new */
    step(w, 610);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    world_free(w);
}

static void commands_on_nothing_are_refused_and_audited(void **state)
{
    (void)state;
    static const struct { enum ql_command_kind kind; uint64_t id; const char *want; } rows[] = {
        { QL_COMMAND_ACK, 7, "refused: no such open incident" },
        { QL_COMMAND_RESOLVE, 7, "refused: no such open incident" },
        { QL_COMMAND_ACK, 1, "refused: the incident is resolved" },
        { QL_COMMAND_RESOLVE, 1, "refused: the incident is resolved" },
    };
    struct world *w = world_new();
    fires(w, "checkout", "HighLatency", 0);
    step(w, 10);
    command(w, QL_COMMAND_RESOLVE, 1);
    step(w, 20);
    assert_string_equal(w->audit, "resolved by a person");
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        command(w, rows[i].kind, rows[i].id);
        step(w, 30);
        assert_string_equal(w->audit, rows[i].want);
    }
    assert_int_equal(w->audit_count, 5);
    command(w, QL_COMMAND_FEEDBACK, 1); /* not ours */
    step(w, 40);
    assert_int_equal(w->audit_count, 5);
    world_free(w);
}

/* ---- bounds, replay ---- */

static void storm(struct world *w, const char *at, int count, int starts_s)
{
    char name[64];
    for (int i = 0; i < count; i++) {
        (void)snprintf(name, sizeof name, "Alert%d", i);
        fires(w, at, ql_batch_text(&w->bus, ql_str_of(name)).at, starts_s);
    }
    step(w, starts_s + 10);
}

/* What is saved now must be read again, and saved as the same bytes. */
static void saves_and_loads(struct world *w)
{
    struct ql_buf saved, again;
    ql_buf_init(&saved, 64u << 20);
    ql_buf_init(&again, 64u << 20);
    assert_int_equal(ql_correlate_stage.save(w->stage, &saved), QL_OK);
    struct world *other = world_new();
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_correlate_stage.load(other->stage, CO_VERSION, &in), QL_OK);
    assert_int_equal(ql_correlate_stage.save(other->stage, &again), QL_OK);
    assert_true(ql_str_eq(ql_buf_view(&saved), ql_buf_view(&again)));
    world_free(other);
    ql_buf_fini(&saved);
    ql_buf_fini(&again);
}

static void a_storm_on_one_host_is_counted_in_full(void **state)
{
    (void)state;
    struct world *w = world_new();
    storm(w, "host/a", 9000, 0);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1);
    assert_int_equal(last_of(w, 1)->at.alert_count, 8192);
    assert_int_equal(last_of(w, 1)->at.raw_count, 9000);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 808);
    world_free(w);
}

static void what_a_full_incident_cannot_take_is_forgotten(void **state)
{
    (void)state;
    struct world *w = world_new();
    storm(w, "checkout", 8192, 0);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 0);
    change(w, "checkout", 15, "http://ci/1");
    step(w, 20);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 1);
    saves_and_loads(w);
    /* Another incident with a change of its own merges into the full one: all of it is too much. */
    change(w, "search", 25, "http://ci/2");
    fires(w, "search", "HighLatency", 30);
    step(w, 40);
    assert_int_equal(count_of(w, QL_INC_OPENED), 2);
    *ql_batch_add_edge(&w->bus) = (struct ql_edge){ .caller = entity("checkout"),
                                                    .callee = entity("search"), .at = T(50),
                                                    .source = QL_EDGE_SPAN };
    step(w, 50);
    assert_int_equal(count_of(w, QL_INC_MERGED), 1);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "members_full"), 3);
    saves_and_loads(w);
    command(w, QL_COMMAND_RESOLVE, 1);
    step(w, 60);
    saves_and_loads(w);
    world_free(w);
}

static void more_incidents_than_fit_are_counted(void **state)
{
    (void)state;
    struct world *w = world_new();
    char name[64];
    for (int i = 0; i < 1030; i++) {
        (void)snprintf(name, sizeof name, "host/h%d", i);
        fires(w, name, "Down", 0);
    }
    step(w, 10);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1024);
    assert_int_equal(ql_stats_sum(w->stats, "ql_records_dropped_total", "incidents_full"), 6);
    command(w, QL_COMMAND_RESOLVE, 5); /* a resolved one makes room */
    step(w, 20);
    fires(w, "host/late", "Down", 20);
    step(w, 30);
    assert_int_equal(count_of(w, QL_INC_OPENED), 1025);
    world_free(w);
}

/* A mixed day, the same each time it is called. */
static void day(struct world *w, int from, int to)
{
    static const char *const places[] = { "frontend", "checkout", "payment", "db", "search" };
    for (int i = from; i < to; i++) {
        const char *at = places[(i * 7) % 5];
        if (i % 3 == 0) {
            odd(w, at, "cpu", i * 20, 6.0 + i % 9);
        }
        if (i % 4 == 0) {
            fires(w, at, "HighLatency", i * 20 - 5);
        }
        if (i % 5 == 0) {
            ends(w, places[(i * 3) % 5], "HighLatency", i * 20 - 5);
        }
        if (i % 50 < 20 && i >= 3) {
            fine(w, places[((i - 3) * 7) % 5], "cpu", (i - 3) * 20);
        }
        if (i % 40 == 1) {
            change(w, at, i * 20, "https://ci/1");
        }
        if (i % 97 == 96) {
            command(w, QL_COMMAND_RESOLVE, (uint64_t)(i / 97));
        }
        step(w, i * 20);
    }
}

static void a_day_replays_also_from_a_checkpoint(void **state)
{
    (void)state;
    struct world *a = world_new(), *b = world_new(), *c = world_new();
    day(a, 1, 900);
    day(b, 1, 900);
    assert_true(a->seen_count > 10);
    assert_true(a->digest == b->digest);

    struct ql_buf saved;
    ql_buf_init(&saved, 64u << 20);
    day(c, 1, 400);
    assert_int_equal(ql_correlate_stage.save(c->stage, &saved), QL_OK);
    world_shut(c); /* the process ends here */
    world_open(c);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_correlate_stage.load(c->stage, CO_VERSION, &in), QL_OK);
    day(c, 400, 900);
    assert_int_equal(c->seen_count, a->seen_count);
    assert_true(c->digest == a->digest);
    ql_buf_fini(&saved);
    world_free(a);
    world_free(b);
    world_free(c);
}

static void a_broken_checkpoint_is_refused(void **state)
{
    (void)state;
    struct world *w = world_new();
    struct ql_buf saved;
    ql_buf_init(&saved, 64u << 20);
    day(w, 1, 60);
    assert_int_equal(ql_correlate_stage.save(w->stage, &saved), QL_OK);
    struct ql_reader in = ql_reader_of(ql_buf_view(&saved));
    assert_int_equal(ql_correlate_stage.load(w->stage, 99, &in), QL_E_VERSION);
    for (size_t cut = 0; cut < saved.bytes; cut += 1 + saved.bytes / 200) {
        struct world *broken = world_new();
        in = ql_reader_of((ql_str){ saved.at, cut });
        assert_int_equal(ql_correlate_stage.load(broken->stage, CO_VERSION, &in), QL_E_MALFORMED);
        world_free(broken);
    }
    ql_buf_fini(&saved);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(repeats_are_counted_not_joined_again),
        cmocka_unit_test(it_resolves_only_when_all_closed_long_enough),
        cmocka_unit_test(an_alert_ends_at_its_own_end_unless_sent_again),
        cmocka_unit_test(what_comes_back_reopens_and_what_is_new_does_not),
        cmocka_unit_test(a_series_that_comes_back_reopens),
        cmocka_unit_test(who_is_in_an_incident_keeps_the_name),
        cmocka_unit_test(a_person_closes_and_a_burning_alert_does_not_reopen),
        cmocka_unit_test(commands_on_nothing_are_refused_and_audited),
        cmocka_unit_test(a_storm_on_one_host_is_counted_in_full),
        cmocka_unit_test(what_a_full_incident_cannot_take_is_forgotten),
        cmocka_unit_test(more_incidents_than_fit_are_counted),
        cmocka_unit_test(a_day_replays_also_from_a_checkpoint),
        cmocka_unit_test(a_broken_checkpoint_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

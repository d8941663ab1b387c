/* store_query.c - reader connections, and the queries on incidents and what belongs to them. */
#include "store/store_query.h"

#include "store/query_sql.h"
#include "store/store_schema.h"

#include <stdlib.h>

ql_err ql_store_reader_open(const char *data_dir, struct ql_store_reader **ret_reader)
{
    char path[QL_STORE_PATH_BYTES];
    ql_err err = ql_store_path(data_dir, "state.db", path);
    struct ql_store_reader *reader = err == QL_OK ? calloc(1, sizeof(*reader)) : NULL;
    if (reader == NULL) {
        return err == QL_OK ? QL_E_MEMORY : err;
    }
    err = ql_db_open(path, QL_DB_READ, &reader->db);
    err = err == QL_OK ? ql_schema_check(reader->db) : err;
    err = err == QL_OK
              ? ql_db_prepare_all(reader->db, ql_query_sql, QL_QUERY_COUNT, reader->statements)
              : err;
    if (err != QL_OK) {
        ql_store_reader_close(reader);
        return err;
    }
    *ret_reader = reader;
    return QL_OK;
}

void ql_store_reader_close(struct ql_store_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    ql_db_finalize_all(reader->statements, QL_QUERY_COUNT);
    ql_db_close(reader->db);
    free(reader);
}

ql_err ql_store_reader_begin(struct ql_store_reader *reader)
{
    return ql_db_run(reader->db, "BEGIN");
}

void ql_store_reader_end(struct ql_store_reader *reader)
{
    const ql_err ignored = ql_db_run(reader->db, "COMMIT");
    (void)ignored; /* a transaction that only read has nothing to lose */
}

/* ---- incidents ------------------------------------------------------------------ */

static void query_incident_fill(sqlite3_stmt *s, struct ql_incident_row *row)
{
    *row = (struct ql_incident_row){
        .incident = {
            .id = { ql_column_u64(s, 0) },
            .state = (enum ql_incident_state)ql_column_i64(s, 1),
            .entity = { ql_column_u64(s, 2) },
            .onset = ql_column_time(s, 3),
            .opened = ql_column_time(s, 4),
            .updated = ql_column_time(s, 5),
            .resolved = ql_column_time(s, 7),
            .title = ql_column_str(s, 8),
            .by = ql_column_str(s, 9),
            .alert_count = ql_column_u32(s, 10),
            .signal_count = ql_column_u32(s, 11),
            .entity_count = ql_column_u32(s, 12),
            .raw_count = ql_column_u32(s, 13),
            .reopen_count = ql_column_u32(s, 14),
            .merged_into = { ql_column_u64(s, 15) },
        },
        .acknowledged = ql_column_time(s, 6),
        .ranking_count = ql_column_u32(s, 16),
        .entity = ql_column_str(s, 17),
        .awaiting_count = ql_column_u32(s, 18),
        .suspect = { .cause = { .rank = ql_column_u32(s, 19),
                                .metric = ql_column_str(s, 20),
                                .score = ql_column_f64(s, 21),
                                .confidence = ql_column_f64(s, 22),
                                .role = (enum ql_cause_role)ql_column_i64(s, 23),
                                .evidence = ql_column_str(s, 24) },
                     .entity = ql_column_str(s, 25) },
    };
}

ql_err ql_query_incidents(struct ql_store_reader *reader, const struct ql_incident_filter *filter,
                          bool (*fn)(void *context, const struct ql_incident_row *row),
                          void *context)
{
    ql_err err;
    struct ql_incident_row row;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_INCIDENTS]);
    ql_bind_i64(&bind, filter->states);
    ql_bind_time(&bind, filter->since);
    ql_bind_i64(&bind, filter->before > INT64_MAX ? 0 : (int64_t)filter->before);
    ql_bind_i64(&bind, filter->merged ? 1 : 0);
    ql_bind_i64(&bind, filter->limit);
    ql_bind_u64(&bind, filter->entity.v);
    while (ql_bind_row(&bind, &err)) {
        query_incident_fill(bind.statement, &row);
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(bind.statement);
    return err;
}

ql_err ql_query_incident(struct ql_store_reader *reader, ql_id id,
                         bool (*fn)(void *context, const struct ql_incident_row *row),
                         void *context)
{
    ql_err err;
    struct ql_incident_row row;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_INCIDENT]);
    ql_bind_u64(&bind, id.v);
    if (!ql_bind_row(&bind, &err)) {
        return err == QL_OK ? QL_E_NOT_FOUND : err;
    }
    query_incident_fill(bind.statement, &row);
    (void)fn(context, &row);
    (void)sqlite3_reset(bind.statement);
    return QL_OK;
}

ql_err ql_query_causes(struct ql_store_reader *reader, ql_id incident,
                       bool (*fn)(void *context, const struct ql_cause_row *row), void *context)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_CAUSES]);
    sqlite3_stmt *s = bind.statement;
    ql_bind_u64(&bind, incident.v);
    while (ql_bind_row(&bind, &err)) {
        const struct ql_cause_row row = {
            .cause = { .incident = incident,
                       .rank = ql_column_u32(s, 0),
                       .entity = { ql_column_u64(s, 1) },
                       .series = ql_column_series(s, 2),
                       .metric = ql_column_str(s, 3),
                       .score = ql_column_f64(s, 4),
                       .confidence = ql_column_f64(s, 5),
                       .onset = ql_column_time(s, 6),
                       .role = (enum ql_cause_role)ql_column_i64(s, 7),
                       .evidence = ql_column_str(s, 8) },
            .entity = ql_column_str(s, 9),
        };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    return err;
}

/* Columns from `at` on: those of QL_SIGNAL_COLUMNS. */
void ql_query_signal_fill(sqlite3_stmt *s, int at, struct ql_signal_row *row)
{
    const ql_time closed = ql_column_time(s, at + 8);
    *row = (struct ql_signal_row){
        .signal = {
            .id = { ql_column_u64(s, at) },
            .series = ql_column_series(s, at + 1),
            .entity = { ql_column_u64(s, at + 2) },
            .metric = ql_column_str(s, at + 3),
            .labels = ql_column_str(s, at + 4),
            .kind = (enum ql_signal_kind)ql_column_i64(s, at + 5),
            .phase = closed.ns == QL_TIME_NONE.ns ? QL_PHASE_UPDATE : QL_PHASE_CLOSE,
            .onset = ql_column_time(s, at + 6),
            .at = ql_column_time(s, at + 7),
            .value = ql_column_f64(s, at + 9),
            .expected = ql_column_f64(s, at + 10),
            .lower = ql_column_f64(s, at + 11),
            .upper = ql_column_f64(s, at + 12),
            .surprise = ql_column_f64(s, at + 13),
            .why = ql_column_str(s, at + 15),
            .importance = (enum ql_importance)ql_column_i64(s, at + 16),
        },
        .open = closed.ns == QL_TIME_NONE.ns,
        .closed = closed,
        .last_value = ql_column_f64(s, at + 14),
    };
}

ql_err ql_query_members(struct ql_store_reader *reader, ql_id incident,
                        bool (*fn)(void *context, const struct ql_member_row *row), void *context)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_MEMBERS]);
    sqlite3_stmt *s = bind.statement;
    ql_bind_u64(&bind, incident.v);
    while (ql_bind_row(&bind, &err)) {
        struct ql_member_row row = {
            .member = { .incident = incident,
                        .kind = (enum ql_member_kind)ql_column_i64(s, 0),
                        .id = { ql_column_u64(s, 1) },
                        .entity = { ql_column_u64(s, 2) },
                        .series = ql_column_series(s, 3),
                        .name = ql_column_str(s, 4),
                        .labels = ql_column_str(s, 5),
                        .since = ql_column_time(s, 6),
                        .joined = ql_column_time(s, 7),
                        .ended = ql_column_time(s, 8),
                        .why = ql_column_str(s, 9) },
            .entity = ql_column_str(s, 10),
            .has_signal = sqlite3_column_type(s, 11) != SQLITE_NULL,
        };
        if (row.has_signal) {
            ql_query_signal_fill(s, 11, &row.signal);
            row.signal.incident = incident;
            row.signal.entity = row.entity;
        }
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    return err;
}

/* ---- actions and feedback ------------------------------------------------------- */

static void query_action_fill(sqlite3_stmt *s, struct ql_action_row *row)
{
    *row = (struct ql_action_row){
        .action = { .id = { ql_column_u64(s, 0) },
                    .incident = { ql_column_u64(s, 1) },
                    .entity = { ql_column_u64(s, 2) },
                    .runbook = ql_column_str(s, 3),
                    .step = ql_column_str(s, 4),
                    .state = (enum ql_action_state)ql_column_i64(s, 5),
                    .dry_run = ql_column_i64(s, 6) != 0,
                    .command = ql_column_str(s, 7),
                    .timeout = { ql_column_i64(s, 8) },
                    .reason = ql_column_str(s, 9),
                    .by = ql_column_str(s, 10),
                    .at = ql_column_time(s, 12) },
        .created = ql_column_time(s, 11),
        .entity = ql_column_str(s, 13),
    };
}

ql_err ql_query_actions(struct ql_store_reader *reader, const struct ql_action_filter *filter,
                        bool (*fn)(void *context, const struct ql_action_row *row), void *context)
{
    ql_err err;
    struct ql_action_row row;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_ACTIONS]);
    ql_bind_u64(&bind, filter->incident.v);
    ql_bind_i64(&bind, filter->states);
    ql_bind_i64(&bind, filter->limit);
    while (ql_bind_row(&bind, &err)) {
        query_action_fill(bind.statement, &row);
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(bind.statement);
    return err;
}

ql_err ql_query_action(struct ql_store_reader *reader, ql_id id,
                       bool (*fn)(void *context, const struct ql_action_row *row), void *context)
{
    ql_err err;
    struct ql_action_row row;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_ACTION]);
    ql_bind_u64(&bind, id.v);
    if (!ql_bind_row(&bind, &err)) {
        return err == QL_OK ? QL_E_NOT_FOUND : err;
    }
    query_action_fill(bind.statement, &row);
    (void)fn(context, &row);
    (void)sqlite3_reset(bind.statement);
    return QL_OK;
}

ql_err ql_query_action_history(struct ql_store_reader *reader, ql_id action,
                               bool (*fn)(void *context, const struct ql_action *row),
                               void *context)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_ACTION_EVENTS]);
    sqlite3_stmt *s = bind.statement;
    ql_bind_u64(&bind, action.v);
    while (ql_bind_row(&bind, &err)) {
        const struct ql_action row = { .id = action,
                                       .at = ql_column_time(s, 0),
                                       .state = (enum ql_action_state)ql_column_i64(s, 1),
                                       .step = ql_column_str(s, 2),
                                       .reason = ql_column_str(s, 3),
                                       .by = ql_column_str(s, 4) };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    return err;
}

ql_err ql_query_feedback(struct ql_store_reader *reader, ql_id incident,
                         bool (*fn)(void *context, const struct ql_command *row), void *context)
{
    ql_err err;
    struct ql_bind bind = ql_bind_to(reader->statements[QL_QUERY_FEEDBACK]);
    sqlite3_stmt *s = bind.statement;
    ql_bind_u64(&bind, incident.v);
    while (ql_bind_row(&bind, &err)) {
        const struct ql_command row = { .kind = QL_COMMAND_FEEDBACK,
                                        .incident = incident,
                                        .verdict = (enum ql_verdict)ql_column_i64(s, 0),
                                        .entity = ql_column_str(s, 1),
                                        .by = ql_column_str(s, 2),
                                        .note = ql_column_str(s, 3),
                                        .at = ql_column_time(s, 4) };
        if (!fn(context, &row)) {
            break;
        }
    }
    (void)sqlite3_reset(s);
    return err;
}

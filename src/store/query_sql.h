/* query_sql.h - the reading statements and the reader that holds them. Private to src/store. */
#ifndef QL_STORE_QUERY_SQL_H
#define QL_STORE_QUERY_SQL_H

#include "store/db.h"
#include "store/store_query.h"

#define QL_QUERY_MAP(X)                                                                \
    X(INCIDENTS) X(INCIDENT) X(CAUSES) X(MEMBERS) X(ACTIONS) X(ACTION)                 \
    X(ACTION_EVENTS) X(FEEDBACK) X(TIMELINE) X(SIGNALS) X(ALERTS) X(CHANGES)           \
    X(ENTITIES) X(EDGES) X(TOTALS) X(VERDICTS) X(ACTION_STATES)
enum ql_query {
#define X(name) QL_QUERY_##name,
    QL_QUERY_MAP(X)
#undef X
    QL_QUERY_COUNT
};
extern const char *const ql_query_sql[QL_QUERY_COUNT];

struct ql_store_reader {
    sqlite3 *db;
    sqlite3_stmt *statements[QL_QUERY_COUNT];
};

/* Where the rows of the union that makes a timeline come from. */
enum ql_timeline_source {
    QL_TIMELINE_INCIDENT, /* code: enum ql_incident_event; detail: title; ref: merged into */
    QL_TIMELINE_MEMBER,   /* code: enum ql_member_kind; text: name; detail: why */
    QL_TIMELINE_ENDED,    /* the same, without detail; a change has no end */
    QL_TIMELINE_CAUSE,    /* text: metric; detail: evidence */
    QL_TIMELINE_ACTION,   /* code: enum ql_action_state; text: runbook / step; detail: reason */
    QL_TIMELINE_COMMAND   /* code: enum ql_command_kind * 8 + enum ql_verdict; detail: note */
};

/* Fills a row from the sixteen columns of a signal that start at column `at`. */
void ql_query_signal_fill(sqlite3_stmt *statement, int at, struct ql_signal_row *row);

#endif

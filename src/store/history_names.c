#include "store/history_names.h"

#include "model/entity.h"
#include "model/labels.h"

/* Most questions name a metric; those about the last hours want only what ended in them. */
const char ql_history_names_schema[] =
    "CREATE TABLE IF NOT EXISTS names(series BLOB PRIMARY KEY, name TEXT NOT NULL,"
    " labels BLOB NOT NULL, type INTEGER NOT NULL, step_ms INTEGER NOT NULL,"
    " last_ms INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX IF NOT EXISTS names_by_name ON names(name, last_ms);"
    "CREATE INDEX IF NOT EXISTS names_by_last ON names(last_ms);";
const char ql_history_names_put_sql[] =
    "INSERT OR REPLACE INTO names(series, name, labels, type, step_ms, last_ms)"
    " VALUES(?, ?, ?, ?, ?, ?)";

#define COLUMNS "SELECT series, labels, type, step_ms, last_ms FROM names WHERE last_ms >= ?1"
static const char all_sql[] = COLUMNS;
static const char named_sql[] = COLUMNS " AND name = ?2";
static const char one_sql[] = COLUMNS " AND series = ?2";

/* ---- in -------------------------------------------------------------------------------- */

ql_err ql_history_names_pack(const struct ql_series_info *info, ql_time now, struct ql_buf *out)
{
    char step[sizeof(info->step_ms)], *room;
    const ql_err err = ql_buf_reserve(out, 64 + info->labels.bytes + sizeof(step), &room);
    if (err != QL_OK) {
        return err;
    }
    memcpy(step, &info->step_ms, sizeof(step));
    (void)ql_buf_u64(out, info->id.h.high);
    (void)ql_buf_u64(out, info->id.h.low);
    (void)ql_buf_i64(out, ql_time_to_ms(now)); /* names the day */
    (void)ql_buf_i64(out, ql_time_to_ms(info->last_at));
    (void)ql_buf_u32(out, (uint32_t)info->type);
    (void)ql_buf_lstr(out, info->labels);
    (void)ql_buf_lstr(out, (ql_str){ step, sizeof(step) });
    return ql_buf_check(out);
}

bool ql_history_names_is_one(const struct ql_history_packed *row)
{
    return row->count == 0;
}

ql_err ql_history_names_put(sqlite3_stmt *put, const struct ql_history_packed *row)
{
    uint32_t step_ms;
    QL_ASSERT(ql_history_names_is_one(row));
    QL_ASSERT(row->bands.bytes == sizeof(step_ms));
    memcpy(&step_ms, row->bands.at, sizeof(step_ms));
    struct ql_bind bind = ql_bind_to(put);
    ql_bind_series(&bind, row->series);
    ql_bind_text(&bind, ql_labels_get(row->data, QL_STR("__name__")));
    ql_bind_blob(&bind, row->data.at, row->data.bytes);
    ql_bind_i64(&bind, row->bits);
    ql_bind_i64(&bind, step_ms);
    ql_bind_i64(&bind, row->last_ms);
    return ql_bind_run(&bind);
}

/* ---- out ------------------------------------------------------------------------------- */

/* The metric's name, if the selector says exactly which; else "". */
static ql_str ask_name(const struct ql_history_names_ask *ask)
{
    for (uint32_t i = 0; ask->selector != NULL && i < ask->selector->count; i++) {
        const struct ql_matcher *m = &ask->selector->matchers[i];
        if (m->op == '=' && ql_str_eq(m->name, QL_STR("__name__"))) {
            return m->value;
        }
    }
    return QL_STR("");
}

static ql_err ask_take(struct ql_history_names_ask *ask, sqlite3_stmt *s, ql_str labels)
{
    struct ql_buf entity;
    ql_buf_init(&entity, QL_LABELS_BYTES_MAX);
    (void)ql_entity_of_labels(labels, &entity);
    const struct ql_series_info info = {
        .id = ql_column_series(s, 0), .labels = ql_arena_str(ask->texts, labels),
        .entity = ql_arena_str(ask->texts, ql_buf_view(&entity)),
        .type = (enum ql_metric_type)ql_column_u32(s, 2), .step_ms = ql_column_u32(s, 3),
        .last_at = ql_time_from_ms(ql_column_i64(s, 4)),
    };
    ql_buf_fini(&entity);
    if (info.labels.at == NULL || info.entity.at == NULL) {
        return QL_E_FULL;
    }
    const ql_err err = ql_map128_put(&ask->seen, info.id.h, ask->count);
    if (err == QL_OK) {
        ask->infos[ask->count++] = info;
    }
    return err;
}

static ql_err ask_rows(struct ql_history_names_ask *ask, sqlite3_stmt *s, struct ql_bind *bind)
{
    ql_err err = QL_OK;
    while (err == QL_OK && ask->count < ask->count_max &&
           ask->looked < QL_HISTORY_NAMES_LOOKED_MAX && ql_bind_row(bind, &err)) {
        const ql_str labels = ql_column_str(s, 1);
        ask->looked++;
        if (ql_map128_get(&ask->seen, ql_column_series(s, 0).h) == QL_MAP_NONE &&
            (ask->selector == NULL || ql_selector_matches(ask->selector, labels))) {
            err = ask_take(ask, s, labels);
        }
    }
    return err;
}

static ql_err ask_day(struct ql_history_names_ask *ask, sqlite3 *db)
{
    const ql_str name = ask_name(ask);
    const char *sql = ask->selector == NULL ? one_sql : name.bytes > 0 ? named_sql : all_sql;
    sqlite3_stmt *s = NULL;
    int64_t tables = 0;
    ql_err err = ql_db_number(db, "SELECT count(*) FROM sqlite_master WHERE name = 'names'", 0,
                              &tables);
    if (err != QL_OK || tables == 0) {
        return err; /* it has no names */
    }
    err = ql_db_prepare(db, sql, &s);
    if (err == QL_OK) {
        struct ql_bind bind = ql_bind_to(s);
        ql_bind_i64(&bind, ask->from_ms);
        if (ask->selector == NULL) {
            ql_bind_series(&bind, ask->id);
        } else if (name.bytes > 0) {
            ql_bind_text(&bind, name);
        }
        err = ask_rows(ask, s, &bind);
    }
    ql_db_finalize_all(&s, 1);
    return err;
}

ql_err ql_history_names_read(const char *dir, int64_t day, struct ql_history_names_ask *ask)
{
    sqlite3 *db;
    ql_err err = ql_history_day_open_read(dir, day, &db);
    if (err == QL_OK) {
        err = ask_day(ask, db);
        ql_db_close(db);
    }
    return err;
}

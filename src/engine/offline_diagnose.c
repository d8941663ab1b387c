#include "engine/offline_diagnose.h"

#include "diagnose/rank.h"
#include "engine/offline_case.h"
#include "wire/csv.h"
#include "wire/json_out.h"

#define RANK_BYTES_MAX ((size_t)8 << 30)

static void write_csv(const struct ql_case *c, const struct ql_rank_cause *causes, uint32_t count,
                      struct ql_buf *out)
{
    char onset[QL_TIME_TEXT_BYTES];
    (void)ql_buf_text(out, "rank,entity,metric,score,onset,evidence\n");
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_rank_cause *cause = &causes[i];
        (void)ql_buf_printf(out, "%u,", i + 1);
        (void)ql_csv_put(out, c->entities[cause->entity]);
        (void)ql_buf_char(out, ',');
        (void)ql_csv_put(out, cause->metric);
        (void)ql_buf_printf(out, ",%.6g,%s,", cause->score, ql_time_text(cause->onset, onset));
        (void)ql_csv_put(out, cause->evidence);
        (void)ql_buf_char(out, '\n');
    }
}

static void write_json(const struct ql_case *c, const struct ql_rank_cause *causes,
                       uint32_t count, struct ql_buf *out)
{
    struct ql_json_out w;
    ql_json_out_init(&w, out);
    ql_json_out_array(&w, NULL);
    for (uint32_t i = 0; i < count; i++) {
        const struct ql_rank_cause *cause = &causes[i];
        ql_json_out_object(&w, NULL);
        ql_json_out_u64(&w, "rank", i + 1);
        ql_json_out_str(&w, "entity", c->entities[cause->entity]);
        ql_json_out_str(&w, "metric", cause->metric);
        ql_json_out_double(&w, "score", cause->score);
        ql_json_out_double(&w, "confidence", cause->confidence);
        ql_json_out_text(&w, "role", ql_cause_role_text(cause->role));
        ql_json_out_time(&w, "onset", cause->onset);
        ql_json_out_str(&w, "evidence", cause->evidence);
        ql_json_out_end(&w);
    }
    ql_json_out_end(&w);
    (void)ql_buf_char(out, '\n');
}

ql_err ql_offline_diagnose(const struct ql_offline_diagnose *in, struct ql_buf *out,
                           struct ql_buf *why)
{
    struct ql_offline_case o;
    struct ql_arena arena;
    struct ql_rank_cause *causes = NULL;
    uint32_t count = 0;
    ql_arena_init(&arena, RANK_BYTES_MAX);
    ql_err err = ql_offline_case_read(in->folder, in->at, in->progress, why, &o);
    if (err == QL_OK && in->progress != NULL) {
        in->progress("ranking", 0, 0);
    }
    if (err == QL_OK) {
        err = ql_rank(&o.c, &arena, &causes, &count);
    }
    if (err == QL_OK && in->json) {
        write_json(&o.c, causes, count, out);
    } else if (err == QL_OK) {
        write_csv(&o.c, causes, count, out);
    }
    ql_offline_case_fini(&o);
    ql_arena_fini(&arena);
    return err == QL_OK ? ql_buf_check(out) : err;
}

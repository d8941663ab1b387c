/* cli_audit.c - `quell audit`: does the chain of the audit log still hold? */
#include "cli/cli.h"
#include "store/audit.h"
#include "wire/json_out.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

int ql_cli_audit(int argc, char **argv);

static int audit_say(ql_err err, const struct ql_audit_report *report)
{
    if (err == QL_E_CONFLICT) {
        (void)printf("broken at row %" PRIu64 ": %s\n", report->bad_row, report->why);
        return 1;
    }
    (void)printf("ok: %" PRIu64 " rows, the chain holds\n", report->row_count);
    return 0;
}

static int audit_say_json(ql_err err, const struct ql_audit_report *report)
{
    struct ql_json_out w;
    struct ql_buf out;
    ql_buf_init(&out, 4096);
    ql_json_out_init(&w, &out);
    ql_json_out_object(&w, NULL);
    ql_json_out_bool(&w, "ok", err == QL_OK);
    ql_json_out_u64(&w, "rows", report->row_count);
    if (err != QL_OK) {
        ql_json_out_u64(&w, "bad_row", report->bad_row);
        ql_json_out_text(&w, "why", report->why);
    }
    ql_json_out_end(&w);
    (void)printf("%.*s\n", QL_STR_ARG(ql_buf_view(&out)));
    ql_buf_fini(&out);
    return err == QL_OK ? 0 : 1;
}

int ql_cli_audit(int argc, char **argv)
{
    struct ql_audit_report report;
    bool json = false;
    const int refused = ql_cli_only_output(argc, argv, 1, 1, &json);
    if (refused != 0) {
        return refused;
    }
    const ql_err err = ql_audit_verify(argv[optind], ql_cli_progress, &report);
    ql_cli_progress_end();
    if (err != QL_OK && err != QL_E_CONFLICT) {
        return ql_cli_fail("audit", "%s/audit.db: %s", argv[optind], ql_err_text(err));
    }
    return json ? audit_say_json(err, &report) : audit_say(err, &report);
}

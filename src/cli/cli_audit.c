/* cli_audit.c - `quell audit`: does the chain of the audit log still hold? */
#include "cli/cli.h"
#include "store/audit.h"

#include <stdio.h>

int ql_cli_audit(int argc, char **argv);

int ql_cli_audit(int argc, char **argv)
{
    struct ql_audit_report report;
    if (argc != 2 || argv[1][0] == '-') {
        return ql_cli_usage("audit", false);
    }
    const ql_err err = ql_audit_verify(argv[1], &report);
    if (err == QL_E_CONFLICT) {
        (void)printf("broken at row %llu: %s\n", (unsigned long long)report.bad_row, report.why);
        return 1;
    }
    if (err != QL_OK) {
        (void)ql_cli_fail("audit", "%s/audit.db: %s", argv[1], ql_err_text(err));
        return 1;
    }
    (void)printf("ok: %llu rows, the chain holds\n", (unsigned long long)report.row_count);
    return 0;
}

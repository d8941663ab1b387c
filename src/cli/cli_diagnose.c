/* cli_diagnose.c - `quell diagnose`: what caused the incident whose data lies in a folder? */
#include "cli/cli.h"
#include "engine/offline_diagnose.h"

#include <getopt.h>
#include <stdio.h>

#define ANSWER_BYTES_MAX ((size_t)1 << 30)

int ql_cli_diagnose(int argc, char **argv);

static int diagnose_folder(const struct ql_offline_diagnose *request)
{
    struct ql_buf out, why;
    ql_buf_init(&out, ANSWER_BYTES_MAX);
    ql_buf_init(&why, 8192);
    const ql_err err = ql_offline_diagnose(request, &out, &why);
    int status = 0;
    if (err == QL_OK) {
        const ql_str text = ql_buf_view(&out);
        const size_t written = fwrite(text.at, 1, text.bytes, stdout);
        status = written == text.bytes && fflush(stdout) == 0 ? 0 : 1;
    } else if (why.bytes > 0) {
        (void)fprintf(stderr, "%.*s\n", QL_STR_ARG(ql_buf_view(&why)));
        status = 2;
    } else {
        status = ql_cli_fail("diagnose", "%s: %s", request->folder, ql_err_text(err));
    }
    ql_buf_fini(&why);
    ql_buf_fini(&out);
    return status;
}

int ql_cli_diagnose(int argc, char **argv)
{
    static const struct option options[] = {
        { "at", required_argument, NULL, 'a' },
        { "output", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct ql_offline_diagnose request = { .at = QL_TIME_NONE };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'a' && ql_str_to_time(ql_str_of(optarg), &request.at) != QL_OK) {
            return ql_cli_fail("diagnose", "--at takes RFC 3339, 'YYYY-MM-DD HH:MM:SS' or seconds "
                                           "since 1970, not '%s'", optarg);
        }
        if (option == 'o' && strcmp(optarg, "csv") != 0 && strcmp(optarg, "json") != 0) {
            return ql_cli_fail("diagnose", "-o takes csv or json, not '%s'", optarg);
        }
        if (option == 'o') {
            request.json = strcmp(optarg, "json") == 0;
        } else if (option != 'a') {
            return ql_cli_usage("diagnose", false);
        }
    }
    if (argc - optind != 1 || request.at.ns == QL_TIME_NONE.ns) {
        return ql_cli_usage("diagnose", false);
    }
    request.folder = argv[optind];
    return diagnose_folder(&request);
}

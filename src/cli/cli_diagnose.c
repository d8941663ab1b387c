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
    return ql_cli_answer("diagnose", request->folder, err, &out, &why);
}

int ql_cli_diagnose(int argc, char **argv)
{
    static const struct option options[] = {
        { "at", required_argument, NULL, 'a' },
        { "output", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct ql_offline_diagnose request = { .at = QL_TIME_NONE, .progress = ql_cli_progress };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'a' && ql_str_to_time(ql_str_of(optarg), &request.at) != QL_OK) {
            return ql_cli_fail("diagnose", "--at takes RFC 3339, 'YYYY-MM-DD HH:MM:SS' or seconds "
                                           "since 1970, not '%s'", optarg);
        }
        if (option == 'o' && !ql_cli_csv_or_json("diagnose", optarg, &request.json)) {
            return 2;
        }
        if (option != 'o' && option != 'a') {
            return ql_cli_usage("diagnose", false);
        }
    }
    if (argc - optind != 1 || request.at.ns == QL_TIME_NONE.ns) {
        return ql_cli_usage("diagnose", false);
    }
    request.folder = argv[optind];
    return diagnose_folder(&request);
}

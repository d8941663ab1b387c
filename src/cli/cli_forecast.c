/* cli_forecast.c - `quell forecast`: where does each series of this file go next? */
#include "base/file.h"
#include "cli/cli.h"
#include "engine/offline_forecast.h"

#include <getopt.h>
#include <stdio.h>

#define FORECAST_BYTES_MAX ((size_t)8 << 30)
#define FORECAST_STEPS_MAX 10000

int ql_cli_forecast(int argc, char **argv);

static int forecast_text(struct ql_offline_forecast *request, ql_str text)
{
    struct ql_buf out, why;
    ql_buf_init(&out, FORECAST_BYTES_MAX);
    ql_buf_init(&why, 4096);
    request->text = text;
    request->progress = ql_cli_progress;
    const ql_err err = ql_offline_forecast(request, &out, &why);
    return ql_cli_answer("forecast", request->shown_name, err, &out, &why);
}

int ql_cli_forecast(int argc, char **argv)
{
    static const struct option options[] = {
        { "horizon", required_argument, NULL, 'n' },
        { "output", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct ql_offline_forecast request = { 0 };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'n') {
            int64_t steps;
            if (ql_str_to_i64(ql_str_of(optarg), &steps) != QL_OK || steps < 1 ||
                steps > FORECAST_STEPS_MAX) {
                return ql_cli_fail("forecast", "--horizon takes a number of steps from 1 to %d, "
                                               "not '%s'", FORECAST_STEPS_MAX, optarg);
            }
            request.horizon = (uint32_t)steps;
        } else if (option != 'o') {
            return ql_cli_usage("forecast", false);
        } else if (!ql_cli_csv_or_json("forecast", optarg, &request.json)) {
            return 2;
        }
    }
    if (argc - optind != 1 || request.horizon == 0) {
        return ql_cli_usage("forecast", false);
    }
    request.shown_name = strcmp(argv[optind], "-") == 0 ? "standard input" : argv[optind];
    struct ql_buf file;
    ql_buf_init(&file, FORECAST_BYTES_MAX);
    const ql_err err = ql_file_read(argv[optind], &file);
    const int status = err == QL_OK ? forecast_text(&request, ql_buf_view(&file))
                                    : ql_cli_fail("forecast", "%s: %s", argv[optind],
                                                  ql_err_text(err));
    ql_buf_fini(&file);
    return status;
}

/* cli_forecast.c - `quell forecast`: what will the series of this file do next? */
#include "base/file.h"
#include "cli/cli.h"
#include "engine/offline_forecast.h"

#include <getopt.h>
#include <stdio.h>

#define FORECAST_BYTES_MAX ((size_t)8 << 30)

int ql_cli_forecast(int argc, char **argv);

static int forecast_text(struct ql_offline_forecast *request, ql_str text)
{
    struct ql_buf out, why;
    ql_buf_init(&out, FORECAST_BYTES_MAX);
    ql_buf_init(&why, 4096);
    request->text = text;
    const ql_err err = ql_offline_forecast(request, &out, &why);
    int status = 0;
    if (err == QL_OK) {
        const size_t written = fwrite(out.at, 1, out.bytes, stdout);
        status = written == out.bytes && fflush(stdout) == 0 ? 0 : 1;
    } else if (err == QL_E_MALFORMED) {
        (void)fprintf(stderr, "%.*s\n", QL_STR_ARG(ql_buf_view(&why)));
        status = 2;
    } else {
        status = ql_cli_fail("forecast", "%s: %s", request->shown_name, ql_err_text(err));
    }
    ql_buf_fini(&why);
    ql_buf_fini(&out);
    return status;
}

static int forecast_file(struct ql_offline_forecast *request, const char *path)
{
    struct ql_buf file;
    ql_buf_init(&file, FORECAST_BYTES_MAX);
    const ql_err err = ql_file_read(path, &file);
    const int status = err == QL_OK ? forecast_text(request, ql_buf_view(&file))
                                    : ql_cli_fail("forecast", "%s: %s", path, ql_err_text(err));
    ql_buf_fini(&file);
    return status;
}

static bool forecast_horizon(const char *text, uint32_t *ret_horizon)
{
    int64_t steps;
    if (ql_str_to_i64(ql_str_of(text), &steps) != QL_OK || steps < 1 ||
        steps > (int64_t)QL_OFFLINE_STEPS_MAX) {
        return false;
    }
    *ret_horizon = (uint32_t)steps;
    return true;
}

int ql_cli_forecast(int argc, char **argv)
{
    static const struct option options[] = {
        { "horizon", required_argument, NULL, 'h' },
        { "output", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct ql_offline_forecast request = { 0 };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'h') {
            if (!forecast_horizon(optarg, &request.horizon)) {
                return ql_cli_fail("forecast", "--horizon takes 1 to %u steps, not '%s'",
                                   QL_OFFLINE_STEPS_MAX, optarg);
            }
        } else if (option == 'o' && (strcmp(optarg, "csv") == 0 || strcmp(optarg, "json") == 0)) {
            request.json = strcmp(optarg, "json") == 0;
        } else if (option == 'o') {
            return ql_cli_fail("forecast", "-o takes csv or json, not '%s'", optarg);
        } else {
            return ql_cli_usage("forecast", false);
        }
    }
    if (argc - optind != 1 || request.horizon == 0) {
        return ql_cli_usage("forecast", false);
    }
    request.shown_name = strcmp(argv[optind], "-") == 0 ? "standard input" : argv[optind];
    return forecast_file(&request, argv[optind]);
}

/* cli_detect.c - `quell detect`: what would have been odd in this file of metrics? */
#include "base/file.h"
#include "cli/cli.h"
#include "config/config.h"
#include "engine/offline_detect.h"

#include <getopt.h>
#include <stdio.h>

#define DETECT_BYTES_MAX ((size_t)8 << 30)

int ql_cli_detect(int argc, char **argv);

static int detect_text(struct ql_offline_detect *request, ql_str text)
{
    struct ql_buf out, why;
    ql_buf_init(&out, DETECT_BYTES_MAX);
    ql_buf_init(&why, 4096);
    request->text = text;
    request->progress = ql_cli_progress;
    const ql_err err = ql_offline_detect(request, &out, &why);
    return ql_cli_answer("detect", request->shown_name, err, &out, &why);
}

static int detect_file(struct ql_offline_detect *request, const char *path)
{
    struct ql_config *config = NULL;
    struct ql_buf file;
    if (ql_config_default(&config) != QL_OK) {
        return ql_cli_fail("detect", "%s", ql_err_text(QL_E_MEMORY));
    }
    request->signals_per_day = config->signals_per_day;
    ql_config_free(config);
    ql_buf_init(&file, DETECT_BYTES_MAX);
    const ql_err err = ql_file_read(path, &file);
    const int status = err == QL_OK ? detect_text(request, ql_buf_view(&file))
                                    : ql_cli_fail("detect", "%s: %s", path, ql_err_text(err));
    ql_buf_fini(&file);
    return status;
}

int ql_cli_detect(int argc, char **argv)
{
    static const struct option options[] = {
        { "train", required_argument, NULL, 't' },
        { "output", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct ql_offline_detect request = { 0 };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 't') {
            int64_t rows;
            if (ql_str_to_i64(ql_str_of(optarg), &rows) != QL_OK || rows < 0) {
                return ql_cli_fail("detect", "--train takes a number of rows, not '%s'", optarg);
            }
            request.train_rows = (uint64_t)rows;
        } else if (option != 'o') {
            return ql_cli_usage("detect", false);
        } else if (!ql_cli_csv_or_json("detect", optarg, &request.json)) {
            return 2;
        }
    }
    if (argc - optind != 1) {
        return ql_cli_usage("detect", false);
    }
    request.shown_name = strcmp(argv[optind], "-") == 0 ? "standard input" : argv[optind];
    return detect_file(&request, argv[optind]);
}

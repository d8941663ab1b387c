/* cli_check.c - `quell check`: is this settings file right, and what does it come to? */
#include "cli/cli.h"
#include "config/config.h"
#include "config/policy.h"

#include <getopt.h>
#include <stdio.h>

int ql_cli_check(int argc, char **argv);

static int check_print(const struct ql_buf *text)
{
    (void)fwrite(text->at, 1, text->bytes, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

static void check_summary(const struct ql_config *config)
{
    uint32_t targets = 0;
    for (uint32_t i = 0; i < config->scrape_count; i++) {
        targets += config->scrapes[i].target_count;
    }
    (void)printf("ok\n");
    (void)printf("listens on %s, keeps its data in %s\n", config->listen, config->data_dir);
    (void)printf("scrapes: %u (targets: %u), runbooks: %u (at most %s), edges: %u, policies: %u, "
                 "slos: %u\n",
                 config->scrape_count, targets, config->runbook_count,
                 ql_act_mode_text(config->act_mode), config->edge_count,
                 config->policy_count, config->slo_count);
}

static int check_series(const struct ql_config *config, const char *series, struct ql_buf *text)
{
    ql_buf_reset(text);
    const ql_err err = ql_policy_explain(config, ql_str_of(series), text);
    if (err == QL_E_MALFORMED) {
        (void)fprintf(stderr, "quell check: '%s' is no series; allowed: name{label=\"value\"}\n",
                      series);
        return 2;
    }
    return err == QL_OK ? check_print(text) : 1;
}

static int check_file(const char *path, bool explain, const char *series)
{
    struct ql_config *config = NULL;
    struct ql_buf text;
    ql_buf_init(&text, (size_t)64 << 20);
    ql_err err = path == NULL ? ql_config_default(&config) : ql_config_load(path, &config, &text);
    int status = 2;
    if (err != QL_OK) {
        (void)fwrite(text.at == NULL ? "" : text.at, 1, text.bytes, stderr);
    } else if (series != NULL) {
        status = check_series(config, series, &text);
    } else if (!explain) {
        check_summary(config);
        status = 0;
    } else {
        ql_buf_reset(&text);
        status = ql_config_explain(config, &text) == QL_OK ? check_print(&text) : 1;
    }
    ql_config_free(config);
    ql_buf_fini(&text);
    return status;
}

static int check_reference(void)
{
    struct ql_buf page;
    ql_buf_init(&page, 1 << 20);
    const int status = ql_config_reference(&page) == QL_OK ? check_print(&page) : 1;
    ql_buf_fini(&page);
    return status;
}

int ql_cli_check(int argc, char **argv)
{
    static const struct option options[] = {
        { "explain", no_argument, NULL, 'e' },
        { "reference", no_argument, NULL, 'r' },
        { NULL, 0, NULL, 0 },
    };
    bool explain = false;
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (option == 'r') {
            return check_reference();
        }
        if (option != 'e') {
            return ql_cli_usage("check", false);
        }
        explain = true;
    }
    const char *series = NULL;
    if (explain && optind < argc && (argc - optind == 2 || strchr(argv[optind], '{') != NULL)) {
        series = argv[optind++];
    }
    if (argc - optind > 1) {
        return ql_cli_fail("check", "one file at a time");
    }
    return check_file(optind < argc ? argv[optind] : NULL, explain, series);
}

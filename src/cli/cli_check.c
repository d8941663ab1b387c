/* cli_check.c - `quell check`: is this settings file right, and what does it come to? */
#include "cli/cli.h"
#include "config/config.h"
#include "config/policy.h"
#include "wire/json_out.h"

#include <getopt.h>
#include <stdio.h>

int ql_cli_check(int argc, char **argv);

static int check_print(const struct ql_buf *text)
{
    (void)fwrite(text->at, 1, text->bytes, stdout);
    return fflush(stdout) == 0 ? 0 : 1;
}

struct check_options { const char *path, *series; bool explain, json; };

static uint32_t check_targets(const struct ql_config *config)
{
    uint32_t targets = 0;
    for (uint32_t i = 0; i < config->scrape_count; i++) {
        targets += config->scrapes[i].target_count;
    }
    return targets;
}

static void check_summary(const struct ql_config *config)
{
    (void)printf("ok\n");
    (void)printf("listens on %s, keeps its data in %s\n", config->listen, config->data_dir);
    (void)printf("scrapes: %u (targets: %u), runbooks: %u (at most %s), edges: %u, policies: %u, "
                 "slos: %u\n",
                 config->scrape_count, check_targets(config), config->runbook_count,
                 ql_act_mode_text(config->act_mode), config->edge_count,
                 config->policy_count, config->slo_count);
}

/* What the summary says, or, without a config, why there is none. */
static int check_json(const struct ql_config *config, ql_str why)
{
    struct ql_json_out w;
    struct ql_buf out;
    ql_buf_init(&out, (size_t)64 << 20);
    ql_json_out_init(&w, &out);
    ql_json_out_object(&w, NULL);
    ql_json_out_bool(&w, "ok", config != NULL);
    if (config == NULL) {
        ql_json_out_str(&w, "why", why);
    } else {
        ql_json_out_text(&w, "listen", config->listen);
        ql_json_out_text(&w, "data_dir", config->data_dir);
        ql_json_out_u64(&w, "scrapes", config->scrape_count);
        ql_json_out_u64(&w, "targets", check_targets(config));
        ql_json_out_u64(&w, "runbooks", config->runbook_count);
        ql_json_out_text(&w, "mode", ql_act_mode_text(config->act_mode));
        ql_json_out_u64(&w, "edges", config->edge_count);
        ql_json_out_u64(&w, "policies", config->policy_count);
        ql_json_out_u64(&w, "slos", config->slo_count);
    }
    ql_json_out_end(&w);
    (void)ql_buf_char(&out, '\n');
    const int status = ql_buf_check(&out) == QL_OK ? check_print(&out) : 1;
    ql_buf_fini(&out);
    return status;
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

static int check_file(const struct check_options *o)
{
    struct ql_config *config = NULL;
    struct ql_buf text;
    ql_buf_init(&text, (size_t)64 << 20);
    ql_err err = o->path == NULL ? ql_config_default(&config) : ql_config_load(o->path, &config, &text);
    int status = 2;
    if (err != QL_OK) {
        (void)fwrite(text.at == NULL ? "" : text.at, 1, text.bytes, stderr);
        status = o->json && check_json(NULL, ql_buf_view(&text)) != 0 ? 1 : 2;
    } else if (o->series != NULL) {
        status = check_series(config, o->series, &text);
    } else if (o->json) {
        status = check_json(config, (ql_str){ "", 0 });
    } else if (!o->explain) {
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
        { "output", required_argument, NULL, 'o' },
        { NULL, 0, NULL, 0 },
    };
    struct check_options o = { .explain = false };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option == 'r') {
            return check_reference();
        }
        if (option == 'o') {
            if (!ql_cli_table_or_json("check", optarg, &o.json)) {
                return 2;
            }
        } else if (option == 'e') {
            o.explain = true;
        } else {
            return ql_cli_usage("check", false);
        }
    }
    if (o.explain && o.json) {
        return ql_cli_fail("check", "-o json is for the summary, --explain is a text");
    }
    if (o.explain && optind < argc && (argc - optind == 2 || strchr(argv[optind], '{') != NULL)) {
        o.series = argv[optind++];
    }
    if (argc - optind > 1) {
        return ql_cli_fail("check", "one file at a time");
    }
    o.path = optind < argc ? argv[optind] : NULL;
    return check_file(&o);
}

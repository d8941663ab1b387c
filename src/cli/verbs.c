#include "base/buf.h"
#include "base/clock.h"
#include "cli/cli.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define QL_VERB(name, function, usage, summary, help) int function(int argc, char **argv);
#include "cli/verbs.def"

const struct ql_verb ql_verbs[] = {
#define QL_VERB(name, function, usage, summary, help) { #name, function, usage, summary, help },
#include "cli/verbs.def"
};
const uint32_t ql_verb_count = QL_COUNT_OF(ql_verbs);

/* docs/cli.md says the same; a test holds the two together. */
#define EXIT_STATUS                                                                               \
    "Exit status:\n"                                                                              \
    "  0  done\n"                                                                                 \
    "  1  the answer is no, or it failed: no daemon there, one that refuses, a disk\n"            \
    "  2  asked wrongly: an option, a word, or a file or folder that is not there or not right"

int ql_cli_version(int argc, char **argv)
{
    bool json = false;
    const int status = ql_cli_only_output(argc, argv, 0, 0, &json);
    if (status == 0) {
        (void)printf(json ? "{\"version\":\"%s\"}\n" : "quell %s\n", QL_VERSION);
    }
    return status;
}

static const struct ql_verb *cli_verb(const char *name)
{
    for (uint32_t i = 0; i < ql_verb_count; i++) {
        if (strcmp(ql_verbs[i].name, name) == 0) {
            return &ql_verbs[i];
        }
    }
    return NULL;
}

int ql_cli_usage(const char *name, bool asked)
{
    FILE *out = asked ? stdout : stderr;
    const struct ql_verb *verb = name != NULL ? cli_verb(name) : NULL;
    if (verb != NULL) {
        (void)fprintf(out, "usage: quell %s %s\n%s\n", name, verb->usage, verb->summary);
        if (verb->help[0] != '\0') {
            (void)fprintf(out, "\n%s\n", verb->help);
        }
        return asked ? 0 : 2;
    }
    (void)fprintf(out, "usage: quell VERB [OPTIONS]\n\n");
    for (uint32_t i = 0; i < ql_verb_count; i++) {
        if (ql_verbs[i].summary[0] != '\0') { /* without one it is not for people */
            (void)fprintf(out, "  %-10s %s\n", ql_verbs[i].name, ql_verbs[i].summary);
        }
    }
    (void)fprintf(out, "\n`quell VERB --help` tells more.\n\n" EXIT_STATUS "\n");
    return asked ? 0 : 2;
}

static int cli_no_verb(const char *name)
{
    (void)fprintf(stderr, "quell: no verb '%s'\n", name);
    return ql_cli_usage(NULL, false);
}

static bool cli_is_help(const char *word)
{
    return strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0;
}

static int cli_run(int argc, char **argv)
{
    if (argc < 2) {
        return ql_cli_usage(NULL, false);
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    if (cli_is_help(name) || strcmp(name, "help") == 0) {
        return argc > 2 && cli_verb(argv[2]) == NULL ? cli_no_verb(argv[2])
                                                     : ql_cli_usage(argv[2], true);
    }
    const struct ql_verb *verb = cli_verb(name);
    if (verb == NULL) {
        return cli_no_verb(name);
    }
    for (int i = 2; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (cli_is_help(argv[i])) {
            return ql_cli_usage(name, true);
        }
    }
    return verb->run(argc - 1, argv + 1);
}

/* Whoever did not get all of an answer must not be told that all is well. */
int ql_cli_main(int argc, char **argv)
{
    const int status = cli_run(argc, argv);
    if (status == 0 && (fflush(stdout) != 0 || ferror(stdout) != 0)) {
        (void)fprintf(stderr, "quell: standard output could not be written\n");
        return 1;
    }
    return status;
}

int ql_cli_fail(const char *verb, const char *format, ...)
{
    va_list args;
    (void)fprintf(stderr, "quell %s: ", verb);
    va_start(args, format);
    (void)vfprintf(stderr, format, args);
    va_end(args);
    (void)fputc('\n', stderr);
    return 2;
}

int ql_cli_only_output(int argc, char **argv, int words_min, int words_max, bool *ret_json)
{
    static const struct option options[] = { { "output", required_argument, NULL, 'o' },
                                             { NULL, 0, NULL, 0 } };
    int option;
    optind = 1;
    while ((option = getopt_long(argc, argv, "o:", options, NULL)) != -1) {
        if (option != 'o') {
            return ql_cli_usage(argv[0], false);
        }
        if (!ql_cli_table_or_json(argv[0], optarg, ret_json)) {
            return 2;
        }
    }
    const int words = argc - optind;
    return words < words_min || words > words_max ? ql_cli_usage(argv[0], false) : 0;
}

static int64_t progress_shown_ns; /* 0: there is no line; a verb runs once */

void ql_cli_progress(const char *what, uint64_t done, uint64_t all)
{
    static int64_t began_ns;
    const int64_t now_ns = ql_clock_mono_ns();
    began_ns = began_ns == 0 ? now_ns : began_ns;
    if (all > 0 && now_ns - (progress_shown_ns > 0 ? progress_shown_ns : began_ns) < QL_NS_PER_S) {
        return;
    }
    if (isatty(STDERR_FILENO) == 0) {
        return;
    }
    progress_shown_ns = now_ns;
    (void)fprintf(stderr, "\r%s", what);
    if (all > 0) {
        (void)fprintf(stderr, ": %.0f %%", 100.0 * (double)done / (double)all);
    }
    (void)fprintf(stderr, "\033[K");
}

void ql_cli_progress_end(void)
{
    if (progress_shown_ns > 0) {
        (void)fprintf(stderr, "\r\033[K");
        progress_shown_ns = 0;
    }
}

bool ql_cli_table_or_json(const char *verb, const char *text, bool *ret_json)
{
    const bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "table") != 0) {
        (void)ql_cli_fail(verb, "-o takes json or table, not '%s'", text);
        return false;
    }
    *ret_json = json;
    return true;
}

bool ql_cli_csv_or_json(const char *verb, const char *text, bool *ret_json)
{
    const bool json = strcmp(text, "json") == 0;
    if (!json && strcmp(text, "csv") != 0) {
        (void)ql_cli_fail(verb, "-o takes csv or json, not '%s'", text);
        return false;
    }
    *ret_json = json;
    return true;
}

int ql_cli_answer(const char *verb, const char *name, ql_err err, struct ql_buf *out,
                  struct ql_buf *why)
{
    int status = 2;
    ql_cli_progress_end();
    if (err == QL_OK) {
        const ql_str text = ql_buf_view(out);
        const size_t written = fwrite(text.at, 1, text.bytes, stdout);
        status = written == text.bytes && fflush(stdout) == 0 ? 0 : 1;
    } else if (why->bytes > 0) {
        (void)fprintf(stderr, "%.*s\n", QL_STR_ARG(ql_buf_view(why)));
    } else {
        status = ql_cli_fail(verb, "%s: %s", name, ql_err_text(err));
    }
    ql_buf_fini(why);
    ql_buf_fini(out);
    return status;
}

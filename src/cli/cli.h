/* cli.h - what every verb of the command line shares.
 *
 * A verb is a function of its own argc and argv (argv[0] is the verb) that returns the
 * exit status: 0 done, 1 the answer is "no" or the work failed, 2 usage or bad input
 * (docs/cli.md). Results go to standard output, everything else to standard error.
 *
 * Adding one    cli/cli_<verb>.c, a row in verbs.def (help and completion come from it),
 *               a line in meson.build.
 */
#ifndef QL_CLI_CLI_H
#define QL_CLI_CLI_H

#include "base/base.h"

struct ql_verb {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage;   /* "[--train N] FILE.csv" */
    const char *summary; /* one sentence */
    const char *help;    /* options and examples, lines */
};
extern const struct ql_verb ql_verbs[];
extern const uint32_t ql_verb_count;

/* The program: finds the verb that argv[1] names and runs it, or prints the help asked for. */
int ql_cli_main(int argc, char **argv);
/* Prints usage of one verb (NULL: of the program) and returns 2, or 0 for `asked`. */
int ql_cli_usage(const char *verb, bool asked);
/* "quell VERB: text" on standard error; returns 2. */
int ql_cli_fail(const char *verb, const char *format, ...) QL_PRINTF(2, 3);

struct ql_buf;
/* "-o table" or "-o json"; false: it was said what is allowed. */
bool ql_cli_table_or_json(const char *verb, const char *text, bool *ret_json);
/* The options of a verb that has only that one. 0, or the exit status; optind is then the first
 * word of words_min..words_max. */
int ql_cli_only_output(int argc, char **argv, int words_min, int words_max, bool *ret_json);
/* A line on a terminal's standard error that says how far the work is, from its second second on:
 * "what: 40 %". With `all` 0 it tells no share, and waits for no second. */
void ql_cli_progress(const char *what, uint64_t done, uint64_t all);
void ql_cli_progress_end(void); /* takes the line away, if there is one */
/* "-o csv" or "-o json"; false: it was said what is allowed. */
bool ql_cli_csv_or_json(const char *verb, const char *text, bool *ret_json);
/* What a verb that works on files ends with: `out` on standard output or, on standard error, `why`
 * or else what err says of `name`. Returns the exit status; frees both. */
int ql_cli_answer(const char *verb, const char *name, ql_err err, struct ql_buf *out,
                  struct ql_buf *why);

#endif

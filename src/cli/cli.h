/* cli.h - what every verb of the command line shares.
 *
 * A verb is a function of its own argc and argv (argv[0] is the verb) that returns the
 * exit status: 0 done, 1 the answer is "no" or the work failed, 2 usage or bad input.
 * Results go to standard output, everything else to standard error.
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

/* Prints usage of one verb (NULL: of the program) and returns 2, or 0 for `asked`. */
int ql_cli_usage(const char *verb, bool asked);
/* "quell VERB: text" on standard error; returns 2. */
int ql_cli_fail(const char *verb, const char *format, ...) QL_PRINTF(2, 3);

struct ql_buf;
/* "-o csv" or "-o json"; false: it was said what is allowed. */
bool ql_cli_csv_or_json(const char *verb, const char *text, bool *ret_json);
/* What a verb that works on files ends with: `out` on standard output or, on standard error, `why`
 * or else what err says of `name`. Returns the exit status; frees both. */
int ql_cli_answer(const char *verb, const char *name, ql_err err, struct ql_buf *out,
                  struct ql_buf *why);

#endif

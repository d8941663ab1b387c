/* main.c - finds the verb and runs it. */
#include "cli/cli.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    if (argc < 2) {
        return ql_cli_usage(NULL, false);
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        return ql_cli_usage(argc > 2 ? argv[2] : NULL, true);
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (uint32_t i = 0; i < ql_verb_count; i++) {
        if (strcmp(ql_verbs[i].name, name) != 0) {
            continue;
        }
        for (int a = 2; a < argc; a++) {
            if (strcmp(argv[a], "--help") == 0) {
                return ql_cli_usage(name, true);
            }
        }
        return ql_verbs[i].run(argc - 1, argv + 1);
    }
    (void)fprintf(stderr, "quell: no verb '%s'\n", argv[1]);
    return ql_cli_usage(NULL, false);
}

/* main.c - the program. */
#include "cli/cli.h"

int main(int argc, char **argv)
{
    return ql_cli_main(argc, argv);
}

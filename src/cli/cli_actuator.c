/* cli_actuator.c - `quell actuator`: the second process; the daemon starts it, nobody else. */
#include "actuator/actuator.h"
#include "cli/cli.h"

int ql_cli_actuator(int argc, char **argv);

int ql_cli_actuator(int argc, char **argv)
{
    return ql_actuator_main(argc, argv);
}

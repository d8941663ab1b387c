/* held.c - the few lines between an action's process and its command. The process waits until
 * its number stands in actuator.journal: an actuator that is killed in between leaves nothing
 * running that the next one could not find and end. */
#include "actuator/held.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <uv.h>

int ql_actuator_held(char **argv)
{
    char go;
    ssize_t got;
    while ((got = read(QL_HELD_FD, &go, 1)) < 0 && errno == EINTR) {
    }
    (void)close(QL_HELD_FD);
    if (got != 1) {
        return QL_HELD_NOT_RUN; /* the actuator is gone, and the next one calls this run failed */
    }
    (void)execv(argv[0], argv);
    (void)printf("cannot start %.400s: %s", argv[0], uv_strerror(uv_translate_sys_error(errno)));
    (void)fflush(stdout);
    return QL_HELD_NOT_FOUND;
}

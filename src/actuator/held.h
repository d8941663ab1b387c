/* held.h - how an action's process begins: held back until the actuator has written down which
 * process it is.
 *
 * Without it an actuator killed between the start of a command and the line about it left a
 * command running that the next actuator told as failed.
 *
 * Threads: none; a process of its own. Bounds: the words of a request. */
#ifndef QL_ACTUATOR_HELD_H
#define QL_ACTUATOR_HELD_H

#define QL_HELD_WORD "run"
#define QL_HELD_FD 3          /* one byte comes: go; it ends without: the actuator has died */
#define QL_HELD_NOT_RUN 125   /* exit statuses, as of a shell's `env` */
#define QL_HELD_NOT_FOUND 127

/* Becomes argv[0], a path, once told to. Returns the exit status when it cannot. */
int ql_actuator_held(char **argv);

#endif

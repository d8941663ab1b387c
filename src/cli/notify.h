/* notify.h - tells the service manager how the daemon is (sd_notify protocol), if one listens.
 *
 * Errors        none: without NOTIFY_SOCKET, or when it does not answer, nothing happens.
 */
#ifndef QL_CLI_NOTIFY_H
#define QL_CLI_NOTIFY_H

void ql_notify(const char *state); /* "READY=1", "STOPPING=1", lines of both */

#endif

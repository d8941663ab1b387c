/* control.h - a folder through which people and scripts talk with a running shop.
 *
 *   DIR/restart-NAME   asks to restart a service; the shop removes it when it has done so
 *   DIR/status         one line "key=value ..." about now, replaced every step
 *   DIR/events         what truly happened, one line "TIME WHAT ..." each: the shop's own
 *                      account, for comparing with what somebody else made of it */
#ifndef SHOP_CONTROL_H
#define SHOP_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

/* The asking side: waits until the shop has done it. An exit status: 0 done, 1 nobody
 * answered in time or the folder cannot be written, 2 no such service. */
int shop_control_ask_restart(const char *folder, const char *service);

/* The shop's side. A NULL folder makes all of them do nothing. */
bool shop_control_open(const char *folder); /* makes the folder, clears old requests */
bool shop_control_restart_wanted(const char *folder, uint32_t service); /* and takes it */
void shop_control_status(const char *folder, const char *line);
void shop_control_event(const char *folder, int64_t at_ms, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif

/* alerts.h - evaluates the shop's rules and talks as a Prometheus does to Alertmanager.
 *
 * A rule fires after two bad steps in a row. What fires is sent at once and again every
 * minute, with an end a few minutes ahead; what stopped is sent three times more with
 * its real end. */
#ifndef SHOP_ALERTS_H
#define SHOP_ALERTS_H

#include "text.h"
#include "world.h"

#define SHOP_RULE(...) + 1
enum { SHOP_RULE_COUNT = 0
#include "alerts.def"
};

struct shop_alert {
    uint32_t bad_steps;   /* in a row */
    bool firing, ever;
    int64_t starts_ms, ends_ms;
    uint32_t sends_left;  /* of the resolved form */
    uint32_t steps_since_send;
    double value;
};

struct shop_alerts {
    struct shop_alert of[SHOP_SERVICE_COUNT][SHOP_RULE_COUNT];
    /* What the author of the rules took for usual: the world as it was when they were
     * written, which is the first half hour. */
    struct shop_service usual[SHOP_SERVICE_COUNT];
    uint32_t usual_steps;
    uint32_t firing, ever;
};

void shop_alerts_judge(struct shop_alerts *alerts, const struct shop_world *world, int64_t at_ms);
/* Appends the JSON array of what is due to be sent; returns the alerts in it (0: nothing). */
uint32_t shop_alerts_write(struct shop_alerts *alerts, int64_t at_ms, struct shop_text *out);

#endif

#include "alerts.h"

#include "otlp.h"

#include <stdio.h>

enum { ALERTS_USUAL_STEPS = 120, ALERTS_FOR_STEPS = 2, ALERTS_RESEND_STEPS = 4,
       ALERTS_AHEAD_MS = 4 * 60 * 1000, ALERTS_RESOLVED_SENDS = 3 };

struct alerts_rule {
    const char *name, *severity, *summary, *format;
    bool (*applies)(const struct shop_service_plan *plan);
    bool (*fires)(const struct shop_service *now, const struct shop_service *usual,
                  const struct shop_service_plan *plan);
    double (*value)(const struct shop_service *now);
};

/* Each row of the table becomes three small functions, numbered by its line. */
#define RULE_JOIN2(a, b) a##b
#define RULE_JOIN(a, b) RULE_JOIN2(a, b)
#define SHOP_RULE(name, severity, applies_if, fires_if, shown, format, summary)                    \
    static bool RULE_JOIN(applies_, __LINE__)(const struct shop_service_plan *plan)                \
    {                                                                                              \
        (void)plan;                                                                                \
        return applies_if;                                                                         \
    }                                                                                              \
    static bool RULE_JOIN(fires_, __LINE__)(const struct shop_service *now,                        \
                                            const struct shop_service *usual,                      \
                                            const struct shop_service_plan *plan)                  \
    {                                                                                              \
        const double usual_p99_s = usual->p99_s, usual_p50_s = usual->p50_s;                       \
        const double usual_in_flight = usual->in_flight, usual_files = usual->files;               \
        const double usual_cpu_cores = usual->cpu_cores;                                           \
        (void)plan, (void)usual_p99_s, (void)usual_p50_s, (void)usual_in_flight;                   \
        (void)usual_files, (void)usual_cpu_cores;                                                  \
        return fires_if;                                                                           \
    }                                                                                              \
    static double RULE_JOIN(value_, __LINE__)(const struct shop_service *now) { return shown; }
#include "alerts.def"

static const struct alerts_rule alerts_rules[SHOP_RULE_COUNT] = {
#define SHOP_RULE(name, severity, applies_if, fires_if, shown, format, summary)                    \
    { name, severity, summary, format, RULE_JOIN(applies_, __LINE__),                              \
      RULE_JOIN(fires_, __LINE__), RULE_JOIN(value_, __LINE__) },
#include "alerts.def"
};

static void alerts_learn(struct shop_alerts *alerts, const struct shop_world *world)
{
    const double n = (double)++alerts->usual_steps;
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        const struct shop_service *now = &world->service[s];
        struct shop_service *usual = &alerts->usual[s];
        usual->p50_s += (now->p50_s - usual->p50_s) / n;
        usual->p99_s += (now->p99_s - usual->p99_s) / n;
        usual->in_flight += (now->in_flight - usual->in_flight) / n;
        usual->files += (now->files - usual->files) / n;
        usual->cpu_cores += (now->cpu_cores - usual->cpu_cores) / n;
    }
}

static void alerts_turn(struct shop_alerts *alerts, struct shop_alert *alert, bool bad,
                        int64_t at_ms)
{
    alert->bad_steps = bad ? alert->bad_steps + 1 : 0;
    if (!alert->firing && alert->bad_steps >= ALERTS_FOR_STEPS) {
        alert->firing = true;
        alerts->firing++;
        alerts->ever += !alert->ever;
        alert->ever = true;
        alert->starts_ms = at_ms;
        alert->steps_since_send = ALERTS_RESEND_STEPS;
    } else if (alert->firing && !bad) {
        alert->firing = false;
        alerts->firing--;
        alert->ends_ms = at_ms;
        alert->sends_left = ALERTS_RESOLVED_SENDS;
        alert->steps_since_send = ALERTS_RESEND_STEPS;
    }
}

void shop_alerts_judge(struct shop_alerts *alerts, const struct shop_world *world, int64_t at_ms)
{
    if (alerts->usual_steps < ALERTS_USUAL_STEPS) {
        alerts_learn(alerts, world);
        return;
    }
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        const struct shop_service *now = &world->service[s];
        for (uint32_t r = 0; r < SHOP_RULE_COUNT; r++) {
            const struct alerts_rule *rule = &alerts_rules[r];
            struct shop_alert *alert = &alerts->of[s][r];
            const bool bad = rule->applies(&shop_services[s]) &&
                             rule->fires(now, &alerts->usual[s], &shop_services[s]);
            alert->value = rule->value(now);
            alerts_turn(alerts, alert, bad, at_ms);
        }
    }
}

static void alerts_one(const struct shop_alert *alert, uint32_t s, const struct alerts_rule *rule,
                       int64_t at_ms, struct shop_text *out)
{
    char starts[SHOP_TIME_BYTES], ends[SHOP_TIME_BYTES];
    shop_time_text(alert->starts_ms, starts);
    shop_time_text(alert->firing ? at_ms + ALERTS_AHEAD_MS : alert->ends_ms, ends);
    shop_text_printf(out, "{\"labels\":{\"alertname\":\"%s\",\"host\":\"%s\",\"job\":\"shop\","
                          "\"service\":\"%s\",\"severity\":\"%s\"},",
                     rule->name, shop_hosts[shop_services[s].host].name, shop_services[s].name,
                     rule->severity);
    shop_text_printf(out, "\"annotations\":{\"summary\":\"%s: %s\",\"value\":\"",
                     shop_services[s].name, rule->summary);
    /* The format is a literal of alerts.def, for one double. */
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    shop_text_printf(out, rule->format, alert->value);
#pragma GCC diagnostic pop
    shop_text_printf(out, "\"},\"startsAt\":\"%s\",\"endsAt\":\"%s\",", starts, ends);
    shop_text_printf(out, "\"generatorURL\":\"http://prometheus.shop.example/graph?rule=%s\"}",
                     rule->name);
}

uint32_t shop_alerts_write(struct shop_alerts *alerts, int64_t at_ms, struct shop_text *out)
{
    uint32_t sent = 0;
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        for (uint32_t r = 0; r < SHOP_RULE_COUNT; r++) {
            struct shop_alert *alert = &alerts->of[s][r];
            const bool due = ++alert->steps_since_send > ALERTS_RESEND_STEPS;
            if (!due || !(alert->firing || alert->sends_left > 0)) {
                continue;
            }
            alert->steps_since_send = 1;
            alert->sends_left -= !alert->firing;
            shop_text_add(out, sent++ == 0 ? "[" : ",");
            alerts_one(alert, s, &alerts_rules[r], at_ms, out);
        }
    }
    if (sent > 0) {
        shop_text_add(out, "]");
    }
    return sent;
}

/* config.h - every setting of the daemon, read from YAML into one validated struct.
 *
 * Settings are rows of settings.def (name, type, default, range, unit, sentence): the
 * parser, the checker, `quell check` and docs/configuration.md all come from them.
 * An unknown key is an error that names the nearest known one; every error says file,
 * line, column, what was found and what is allowed, with the line and a caret.
 *
 * Units         say their unit in their name; durations in YAML are "90s", "5m", "1h30m".
 * Ownership     load gives; free takes NULL too. Texts live as long as the config.
 * Threads       immutable after load; a reload makes a new one (all or nothing).
 * Errors        QL_E_CONFIG with text in ret_why; QL_E_NOT_FOUND, QL_E_IO for the file.
 * Bounds        file <= 4 MiB; list maxima as below.
 */
#ifndef QL_CONFIG_CONFIG_H
#define QL_CONFIG_CONFIG_H

#include "base/base.h"
#include "base/buf.h"
#include "model/record.h"

#define QL_CONFIG_SERIES_MAX 100000000u /* what limits.series_max takes */
#define QL_CONFIG_SCRAPES_MAX 256u
#define QL_CONFIG_TARGETS_MAX 1024u
#define QL_CONFIG_RUNBOOKS_MAX 256u
#define QL_CONFIG_STEPS_MAX 16u
#define QL_CONFIG_EDGES_MAX 4096u
#define QL_CONFIG_REMOTE_WRITES_MAX 16u
#define QL_CONFIG_PROBLEMS_MAX 20u
#define QL_CONFIG_POLICIES_MAX 1024u
#define QL_CONFIG_RESOURCES_MAX 256u
#define QL_CONFIG_MUTES_MAX 16u
#define QL_CONFIG_HOLIDAYS_MAX 512u
#define QL_CONFIG_SLOS_MAX 256u
#define QL_CONFIG_TENANTS_MAX 64u

enum ql_act_mode { QL_ACT_OFF, QL_ACT_OBSERVE, QL_ACT_APPROVE, QL_ACT_AUTO };

struct ql_scrape {                /* scrapes: - job: node / targets: [...] */
    const char *job;
    const char *path;             /* "/metrics" */
    const char *scheme;           /* "http" or "https" */
    const char **targets;         /* "host:port" */
    uint32_t target_count;
    const char **label_names, **label_values; /* added to every series */
    uint32_t label_count;
    double interval_s, timeout_s;
};

struct ql_runbook_step {
    const char *name;
    const char **argv;            /* "{entity}", "{name}", "{incident}" are replaced */
    uint32_t argc;
    double timeout_s;
};

struct ql_runbook {
    const char *name;
    const char *entity;           /* glob on "kind/name", e.g. "service/checkout" */
    const char *metric;           /* glob on the cause's metric; "*" = any */
    enum ql_act_mode mode;
    bool dry_run;
    double score_min;             /* cause confidence needed, [0,1] */
    double verify_s;              /* how long recovery may take after the last step */
    double steady_s;              /* how long the suspect must have stood first */
    double approval_s;            /* an approval not given by then has expired */
    uint32_t attempts_max;        /* same (incident signature, runbook): then stop, escalate */
    struct ql_runbook_step steps[QL_CONFIG_STEPS_MAX];
    uint32_t step_count;
};

struct ql_remote_write {          /* remote_write: - url: http://host:9090/api/v1/write */
    const char *url;
    const char *match;            /* selector of the series it is about; "{}" for all */
    bool bands, scores, samples;  /* yhat..., anomaly_score, what came in */
    const char **label_names, **label_values; /* added to every series */
    uint32_t label_count;
    uint32_t series_max;
    double interval_s, timeout_s, backlog_s;
};

struct ql_resource {              /* resources: - name: n / match: SELECTOR / limit: 100 */
    const char *name, *match;
    uint32_t given;               /* bit 0: limit, bit 1: limit_match */
    double limit;                 /* 0: limit_match says it */
    const char *limit_match;      /* selector of the series that holds the limit, or NULL */
    const char *counts;           /* used, free */
    bool free;                    /* the same, read: the series says what is left */
};

struct ql_declared_edge { const char *caller, *callee; }; /* entity names */

/* A window of time in which a series is muted, as read from a text such as
 * "Mon-Fri 02:00-04:00 +01:00" or "2026-12-24..2026-12-26". */
struct ql_mute {
    uint8_t weekdays;             /* bit 0 is Monday; of the day on which it begins */
    bool has_offset;              /* else the calendar's */
    int32_t offset_s;             /* local time is UTC plus this */
    int32_t from_s, to_s;         /* of the local day; to <= from passes midnight */
    int32_t day_first, day_last;  /* days since 1970, inclusive */
};

enum ql_policy_field {
    QL_POLICY_DIRECTION, QL_POLICY_MIN_ABSOLUTE, QL_POLICY_MIN_RELATIVE, QL_POLICY_VALID_RANGE,
    QL_POLICY_IMPORTANCE, QL_POLICY_DETECTOR, QL_POLICY_MUTE, QL_POLICY_MUTE_AFTER_CHANGE,
    QL_POLICY_FIELDS
};
enum ql_policy_direction { QL_POLICY_BOTH, QL_POLICY_UP, QL_POLICY_DOWN };

struct ql_policy {                /* policies: - name: n / match: SELECTOR; policy.h combines */
    const char *name, *match;
    uint32_t given;               /* bits 1 << enum ql_policy_field */
    double min_absolute, min_relative, mute_after_change_s;
    double low, high;             /* of the valid range; -inf and +inf without one */
    enum ql_policy_direction direction;
    enum ql_importance importance;
    bool detector;
    struct ql_mute mutes[QL_CONFIG_MUTES_MAX];
    uint32_t mute_count;
    /* as they stand in the file */
    const char *direction_text, *importance_text, *detector_text;
    const char **range_texts, **mute_texts;
    uint32_t range_count;
};

enum ql_slo_field {
    QL_SLO_GOOD, QL_SLO_BAD, QL_SLO_TOTAL, QL_SLO_MATCH, QL_SLO_ABOVE, QL_SLO_BELOW, QL_SLO_ENTITY
};
struct ql_slo {                   /* slos: - name: n / target: 99.9 / good: ... / total: ... */
    const char *name;
    double target;                /* percent */
    double window_s;
    const char *good, *bad, *total, *match; /* selectors; good + total, bad + total or match */
    double above, below;          /* of match: where a value is bad; inf and -inf when not given */
    const char *entity;           /* NULL: where most of the bad is */
    uint32_t given;               /* bits 1 << enum ql_slo_field */
    uint64_t key;                 /* of what it counts: the same over reloads; not the target */
};

#define QL_TENANT_NAME_BYTES 64u  /* with its end */
#define QL_TENANT_DEFAULT "default" /* whom no selector takes */
struct ql_tenant {                /* tenants: - name: n / match: SELECTOR / signals_per_day: 5 */
    const char *name, *match;
    double signals_per_day;       /* of the whole instance; shards have their share */
};

struct ql_config {
    /* server */
    const char *listen;
    const char *data_dir;
    uint32_t http_threads, connections_max;
    const char *log_level, *log_format;
    /* api */
    const char *api_token_file;       /* a path, "env:NAME" or "none" */
    bool api_open_commands;
    const char **api_hosts;
    uint32_t api_host_count;
    /* limits */
    double body_bytes_max;
    double series_idle_s;
    uint32_t series_max;              /* all told; memory is reserved for this many */
    uint32_t series_new_per_min_max;  /* per door; shards have their share */
    double sample_ahead_s_max, sample_behind_s_max;
    uint32_t batches_in_flight_max;
    /* engine */
    uint32_t shards;
    double tick_s, checkpoint_s, journal_sync_s, journal_bytes_max;
    /* detect */
    bool detect_enabled;
    double signals_per_day;           /* the false-alarm budget of what no tenant takes */
    bool detect_groups;
    double self_test_s;               /* 0: never */
    double absence_steps;             /* silence of this many steps is a hole */
    /* calendar */
    const char *calendar_utc_offset;
    int32_t calendar_offset_s;        /* the same, read */
    const char **holidays;
    uint32_t holiday_count;
    /* forecast */
    bool forecast_enabled, forecast_disks;
    double forecast_every_s, forecast_horizon_s, forecast_expiry_horizon_s;
    uint32_t forecast_series_max, forecast_passes;
    double forecast_full_min, forecast_record_min;
    /* correlate */
    double join_s, close_s;
    uint32_t hops_max;
    /* diagnose */
    double baseline_s;
    /* act */
    enum ql_act_mode act_mode;        /* ceiling over every runbook's mode */
    double evidence_s_max;            /* a cause older than this starts nothing */
    uint32_t runs_entity_per_hour_max, runs_per_hour_max;
    double outcome_grace_s;           /* beyond a step's timeout, for word of it to arrive */
    const char **act_env;             /* environment variables that commands may see */
    uint32_t act_env_count;
    /* store */
    double history_days;
    double history_bytes_max;
    double history_raw_s, history_minutes_s; /* older days are cells of five minutes, an hour */
    /* lists */
    struct ql_scrape *scrapes;
    uint32_t scrape_count;
    struct ql_runbook *runbooks;
    uint32_t runbook_count;
    struct ql_declared_edge *edges;
    uint32_t edge_count;
    struct ql_policy *policies;
    uint32_t policy_count;
    struct ql_slo *slos;
    uint32_t slo_count;
    struct ql_resource *resources;
    uint32_t resource_count;
    struct ql_remote_write *remote_writes;
    uint32_t remote_write_count;
    struct ql_tenant *tenants;        /* the first that matches takes a series */
    uint32_t tenant_count;
    ql_str text;                      /* the YAML that it was read from; "" for the defaults */
    /* private */
    void *own;
};

/* Defaults only: what runs without a file. */
QL_MUST_USE ql_err ql_config_default(struct ql_config **ret_config);
/* Every problem of the file (up to 20) is written to `ret_why` as shown to people. */
QL_MUST_USE ql_err ql_config_load(const char *path, struct ql_config **ret_config,
                                  struct ql_buf *ret_why);
QL_MUST_USE ql_err ql_config_parse(ql_str yaml, const char *shown_name,
                                   struct ql_config **ret_config, struct ql_buf *ret_why);
void ql_config_free(struct ql_config *config);
/* The effective settings as YAML, each with its sentence as a comment. Values of variables
 * (act.env) are not shown: what is made of this may be read by more people than the file. */
#define QL_CONFIG_HIDDEN "***"
ql_err ql_config_explain(const struct ql_config *config, struct ql_buf *out);
/* docs/configuration.md: every setting with its default, range and sentence. */
ql_err ql_config_reference(struct ql_buf *out);
const char *ql_act_mode_text(enum ql_act_mode mode); /* "off", "observe", ... */

#endif

/* dt_tenant - a budget and pools each, and a byte a series that says whose.
 *
 * Good for     teams that share an instance: one noisy estate costs the others nothing.
 * Bad for      a handful of series: pools that see little lean on their prior for long, as a
 *              small instance does.
 */
#include "detect/dt_tenant.h"

#include "base/pages.h"
#include "model/labels.h"

#include <stdlib.h>

#define DAY_MS 86400000.0
#define STEP_UNKNOWN_MS 60000u

/* ---- life ------------------------------------------------------------------------ */

static struct ql_dt_tenant *tenants_new(void)
{
    return ql_pages_new(QL_DT_TENANTS_MAX * sizeof(struct ql_dt_tenant));
}

static void tenants_free(struct ql_dt_tenant *at)
{
    for (uint32_t i = 0; at != NULL && i < QL_DT_TENANTS_MAX; i++) {
        free(at[i].pools);
    }
    ql_pages_free(at, QL_DT_TENANTS_MAX * sizeof(*at));
}

static ql_err pools_new(struct ql_dt_tenant *tenant, uint32_t count)
{
    tenant->pool_count = count;
    tenant->pools = malloc((1 + (size_t)count) * sizeof(*tenant->pools));
    return tenant->pools != NULL ? QL_OK : QL_E_MEMORY;
}

static void tenant_init(struct ql_dt_tenant *tenant, const char *name, double signals_per_day)
{
    QL_ASSERT(strlen(name) < sizeof(tenant->name));
    memcpy(tenant->name, name, strlen(name) + 1);
    ql_dt_budget_init(&tenant->budget, signals_per_day);
}

static void pools_init(struct ql_dt_tenant *tenant)
{
    for (uint32_t i = 0; i <= tenant->pool_count; i++) {
        ql_dt_pools_init(&tenant->pools[i]);
    }
}

ql_err ql_dt_tenants_open(struct ql_dt_tenants *t, uint32_t series_max, double signals_per_day)
{
    *t = (struct ql_dt_tenants){ .series_max = series_max, .count = 1 };
    ql_buf_init(&t->scratch, QL_LABELS_BYTES_MAX);
    t->at = tenants_new();
    t->of = ql_pages_new(series_max);
    if (t->at == NULL || t->of == NULL ||
        pools_new(&t->at[0], QL_DT_POOLS_DEFAULT) != QL_OK) {
        ql_dt_tenants_close(t);
        return QL_E_MEMORY;
    }
    tenant_init(&t->at[0], QL_TENANT_DEFAULT, signals_per_day);
    pools_init(&t->at[0]);
    ql_dt_tenants_rules(t);
    return QL_OK;
}

void ql_dt_tenants_close(struct ql_dt_tenants *t)
{
    ql_tenant_set_close(t->set);
    tenants_free(t->at);
    ql_pages_free(t->of, t->series_max);
    ql_buf_fini(&t->scratch);
    *t = (struct ql_dt_tenants){ 0 };
}

/* ---- a new list ------------------------------------------------------------------ */

static struct ql_dt_tenant *tenant_named(const struct ql_dt_tenants *t, const char *name)
{
    for (uint32_t i = 0; i < t->count; i++) {
        if (strcmp(t->at[i].name, name) == 0) {
            return &t->at[i];
        }
    }
    return NULL;
}

/* A little of what is known of everybody: soon outweighed by what the tenant sees itself. */
static void pools_inherit(struct ql_dt_pools *pools, const struct ql_dt_pools *from)
{
    *pools = *from;
    while (pools->points > QL_DT_FAMILY_POINTS) {
        for (uint32_t e = 0; e < QL_DT_EXPERTS; e++) {
            ql_pool_halve(&pools->experts[e]);
        }
        ql_pool_halve(&pools->sum);
        ql_pool_halve(&pools->evidence);
        pools->points /= 2;
    }
    pools->refresh_at = pools->points + 1;
}

/* The control belongs to the old budget; a new one starts from its own. What is rare is not
 * a matter of the budget. */
static void tenant_take(struct ql_dt_tenant *tenant, struct ql_dt_tenant *old,
                        const struct ql_dt_tenant *everybody)
{
    const double wanted = tenant->budget.signals_per_day;
    if (old != NULL && old->budget.signals_per_day >= wanted &&
        old->budget.signals_per_day <= wanted) {
        tenant->budget = old->budget;
    }
    tenant->budget.offset = everybody->budget.offset;
    if (old == NULL) {
        pools_init(tenant);
        pools_inherit(&tenant->pools[0], &everybody->pools[0]);
        return;
    }
    tenant->rate = old->rate;
    memcpy(tenant->pools, old->pools, (1 + (size_t)old->pool_count) * sizeof(*old->pools));
}

static uint64_t tenants_key(const struct ql_config *config)
{
    uint64_t key = 0;
    for (uint32_t i = 0; i < config->tenant_count; i++) {
        const struct ql_tenant *tenant = &config->tenants[i];
        const uint64_t parts[] = { key, ql_hash64(tenant->name, strlen(tenant->name)),
                                   ql_hash64(tenant->match, strlen(tenant->match)) };
        key = ql_hash64(parts, sizeof(parts));
    }
    return key;
}

static void tenants_look_again(struct ql_dt_tenants *t)
{
    for (uint32_t i = 0; t->series != NULL && i < ql_series_count(t->series); i++) {
        t->of[i] = 0;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        t->at[i].rate = 0.0;
    }
    t->known = t->cursor = 0;
    t->rates = 0.0;
}

ql_err ql_dt_tenants_prepare(const struct ql_config *config, struct ql_dt_tenants_next *ret_next)
{
    *ret_next = (struct ql_dt_tenants_next){ .at = tenants_new() };
    if (ret_next->at == NULL) {
        return QL_E_MEMORY;
    }
    ql_err err = config->tenant_count == 0 ? QL_OK : ql_tenant_set_open(config, &ret_next->set);
    for (uint32_t i = 0; i <= config->tenant_count && err == QL_OK; i++) {
        err = pools_new(&ret_next->at[i], i == 0 ? QL_DT_POOLS_DEFAULT : QL_DT_POOLS_TENANT);
    }
    if (err != QL_OK) {
        ql_dt_tenants_discard(ret_next);
    }
    return err;
}

void ql_dt_tenants_discard(struct ql_dt_tenants_next *next)
{
    tenants_free(next->at);
    ql_tenant_set_close(next->set);
    *next = (struct ql_dt_tenants_next){ 0 };
}

static void next_fill(struct ql_dt_tenant *at, const struct ql_dt_tenants *t,
                      const struct ql_config *config, double share)
{
    tenant_init(&at[0], QL_TENANT_DEFAULT, config->signals_per_day * share);
    for (uint32_t i = 0; i < config->tenant_count; i++) {
        tenant_init(&at[i + 1], config->tenants[i].name,
                    config->tenants[i].signals_per_day * share);
    }
    for (uint32_t i = 0; i <= config->tenant_count; i++) {
        tenant_take(&at[i], tenant_named(t, at[i].name), &t->at[0]);
    }
}

void ql_dt_tenants_adopt(struct ql_dt_tenants *t, struct ql_dt_tenants_next *next,
                         const struct ql_config *config, struct ql_series_table *series,
                         double share)
{
    const uint64_t key = tenants_key(config);
    next_fill(next->at, t, config, share);
    ql_tenant_set_close(t->set);
    tenants_free(t->at);
    t->at = next->at;
    t->set = next->set;
    t->count = config->tenant_count + 1;
    t->series = series;
    if (t->key != key) {
        t->key = key;
        tenants_look_again(t);
    }
    *next = (struct ql_dt_tenants_next){ 0 };
    ql_dt_tenants_rules(t);
}

/* ---- whose ----------------------------------------------------------------------- */

static void tenants_count(struct ql_dt_tenants *t, uint32_t series, uint32_t step_ms)
{
    const double rate = DAY_MS / (double)(step_ms > 0 ? step_ms : STEP_UNKNOWN_MS);
    t->at[ql_dt_tenant_index(t, series)].rate += rate;
    t->rates += rate;
    t->known++;
}

void ql_dt_tenants_find(struct ql_dt_tenants *t, uint32_t series, bool judged)
{
    QL_ASSERT(t->set != NULL);
    QL_ASSERT(series < t->series_max && t->of[series] == 0);
    ql_buf_reset(&t->scratch);
    (void)ql_series_labels(t->series, series, &t->scratch);
    t->of[series] = (uint8_t)(1 + ql_tenant_find(t->set, ql_buf_view(&t->scratch)));
    if (judged) {
        tenants_count(t, series, ql_series_at(t->series, series)->step_ms);
    }
}

void ql_dt_tenants_judged(struct ql_dt_tenants *t, uint32_t series, uint32_t step_ms)
{
    if (t->count > 1 && t->of[series] != 0) {
        tenants_count(t, series, step_ms);
    }
}

/* What a series added may not be what it would add now, as its step moves: what is left of no
 * series is nothing. */
void ql_dt_tenants_forget(struct ql_dt_tenants *t, uint32_t series, bool judged,
                          uint32_t step_ms)
{
    if (t->count > 1 && t->of[series] != 0 && judged) {
        const double rate = DAY_MS / (double)(step_ms > 0 ? step_ms : STEP_UNKNOWN_MS);
        struct ql_dt_tenant *tenant = &t->at[ql_dt_tenant_index(t, series)];
        t->known -= t->known > 0;
        const double taken = rate < tenant->rate ? rate : tenant->rate;
        tenant->rate -= taken;
        t->rates = t->known > 0 && t->rates > taken ? t->rates - taken : 0.0;
    }
    t->of[series] = 0;
}

/* ---- rules ----------------------------------------------------------------------- */

void ql_dt_tenants_rules(struct ql_dt_tenants *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        struct ql_dt_tenant *tenant = &t->at[i];
        double thresholds[QL_DT_QUOTAS];
        ql_dt_budget_thresholds(&tenant->budget, thresholds);
        tenant->threshold = ql_dt_budget_threshold(&tenant->budget);
        for (uint32_t q = 0; q < QL_DT_QUOTAS; q++) {
            tenant->rules[q] = ql_dt_rule_default;
            tenant->rules[q].threshold = (float)thresholds[q];
        }
    }
}

/* The tenant's share of all points; whose a series is that was not looked up yet is not known,
 * so it is counted for each. */
static double tenant_share(const struct ql_dt_tenants *t, const struct ql_dt_tenant *tenant,
                           uint32_t judged)
{
    if (t->count == 1 || tenant->rate <= 0.0 || judged == 0) {
        return 1.0;
    }
    const double known = t->known < judged ? (double)t->known / (double)judged : 1.0;
    return known * (tenant->rate / t->rates) + (1.0 - known);
}

void ql_dt_tenants_pass(struct ql_dt_tenants *t, int64_t newest_ns, double points_per_day,
                        uint32_t judged)
{
    for (uint32_t i = 0; i < t->count; i++) {
        const double share = tenant_share(t, &t->at[i], judged);
        ql_dt_budget_pass(&t->at[i].budget, newest_ns, points_per_day * share);
    }
    ql_dt_tenants_rules(t);
}

/* ---- checkpoint ------------------------------------------------------------------ */

size_t ql_dt_tenants_bytes(const struct ql_dt_tenants *tenants)
{
    size_t bytes = (size_t)tenants->count * sizeof(*tenants->at);
    for (uint32_t i = 0; i < tenants->count; i++) {
        bytes += (1 + (size_t)tenants->at[i].pool_count) * sizeof(*tenants->at[i].pools);
    }
    return bytes;
}

ql_err ql_dt_tenants_save(const struct ql_dt_tenants *t, uint32_t series_count,
                          struct ql_buf *out)
{
    (void)ql_buf_u32(out, t->count);
    for (uint32_t i = 0; i < t->count; i++) {
        (void)ql_buf_put(out, t->at[i].name, sizeof(t->at[i].name));
        (void)ql_buf_f64(out, t->at[i].rate);
        (void)ql_buf_put(out, &t->at[i].budget, sizeof(t->at[i].budget));
        (void)ql_buf_u32(out, t->at[i].pool_count);
        (void)ql_buf_put(out, t->at[i].pools,
                         (1 + (size_t)t->at[i].pool_count) * sizeof(*t->at[i].pools));
    }
    (void)ql_buf_u64(out, t->key);
    (void)ql_buf_u32(out, t->known);
    (void)ql_buf_u32(out, t->cursor);
    (void)ql_buf_f64(out, t->rates);
    return ql_buf_put(out, t->of, t->count > 1 ? series_count : 0);
}

/* What was learnt finds its tenant by name, whatever the list is now. */
static bool load_tenant(struct ql_dt_tenants *t, struct ql_reader *in,
                        double rates[QL_DT_TENANTS_MAX])
{
    char name[QL_TENANT_NAME_BYTES];
    struct ql_dt_budget budget;
    (void)ql_reader_copy(in, name, sizeof(name));
    const double rate = ql_reader_f64(in);
    (void)ql_reader_copy(in, &budget, sizeof(budget));
    const uint32_t pool_count = ql_reader_u32(in);
    const size_t bytes = (1 + (size_t)pool_count) * sizeof(struct ql_dt_pools);
    const char *pools = pool_count > QL_DT_POOLS_DEFAULT ? NULL : ql_reader_bytes(in, bytes);
    if (in->failed || pools == NULL || memchr(name, '\0', sizeof(name)) == NULL ||
        !(budget.signals_per_day > 0.0) || budget.place >= QL_COUNT_OF(budget.day)) {
        return false;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        if (strcmp(t->at[i].name, name) != 0) {
            continue;
        }
        if (t->at[i].pool_count != pool_count) {
            return false;
        }
        t->at[i].budget = budget;
        rates[i] = rate;
        memcpy(t->at[i].pools, pools, bytes);
    }
    return true;
}

static bool load_series(struct ql_dt_tenants *t, uint32_t series_count, uint32_t tenant_count,
                        bool same, struct ql_reader *in)
{
    for (uint32_t i = 0; i < series_count; i++) {
        const uint8_t of = ql_reader_u8(in);
        if (in->failed || of > tenant_count) {
            return false;
        }
        t->of[i] = same ? of : 0;
    }
    return true;
}

ql_err ql_dt_tenants_load(struct ql_dt_tenants *t, uint32_t series_count, struct ql_reader *in)
{
    double rates[QL_DT_TENANTS_MAX] = { 0 };
    const uint32_t count = ql_reader_u32(in);
    QL_ASSERT(series_count <= t->series_max);
    if (in->failed || count == 0 || count > QL_DT_TENANTS_MAX) {
        return QL_E_MALFORMED;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!load_tenant(t, in, rates)) {
            return QL_E_MALFORMED;
        }
    }
    const bool same = ql_reader_u64(in) == t->key && count == t->count;
    const uint32_t known = ql_reader_u32(in), cursor = ql_reader_u32(in);
    const double all = ql_reader_f64(in);
    if (in->failed || (count > 1 && !load_series(t, series_count, count, same, in))) {
        return QL_E_MALFORMED;
    }
    if (same) {
        for (uint32_t i = 0; i < t->count; i++) {
            t->at[i].rate = rates[i];
        }
        t->known = known;
        t->cursor = cursor;
        t->rates = all;
    }
    ql_dt_tenants_rules(t);
    return QL_OK;
}

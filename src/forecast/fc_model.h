/* fc_model.h - the simple models of the pool; each continues a prefix of a series.
 *
 * Every model sees the first n values of a series and writes the h values that it expects
 * to follow, or says that it cannot (too short). Values are finite: holes were filled.
 *
 * Bounds        O(n * size of the model); memory from the arena.
 */
#ifndef QL_FORECAST_FC_MODEL_H
#define QL_FORECAST_FC_MODEL_H

#include "base/arena.h"
#include "base/base.h"

struct fc_holt { double level, day, week, error; }; /* smoothing weights; AR(1) of the error */

struct fc_series {
    const double *y;
    const double *log;        /* of y; NULL where a value is not positive */
    uint32_t count;
    uint32_t day, week;       /* seasons in steps; 0: none (week implies day) */
    struct fc_holt holt, holt_log;
    struct ql_arena *arena;
};

/* How far and from where. */
struct fc_task { const struct fc_series *s; uint32_t n, h; double *out; };

/* fc_ridge.c: autoregression on chosen lags with a ridge (Hoerl and Kennard 1970). */
enum fc_lags { FC_LAGS_SHORT, FC_LAGS_LONG, FC_LAGS_SEASON, FC_LAGS_FLAT };
bool ql_fc_ridge(const struct fc_task *task, const double *y, enum fc_lags lags);

/* fc_holt.c: Holt-Winters with up to two seasons and AR(1) errors (Taylor 2003). */
void ql_fc_holt_fit(const struct fc_series *s, const double *y, uint32_t n,
                    struct fc_holt *ret_holt);
bool ql_fc_holt(const struct fc_task *task, const double *y, const struct fc_holt *holt);

/* fc_simple.c */
bool ql_fc_again(const struct fc_task *task, uint32_t season);   /* the last season once more */
bool ql_fc_profile(const struct fc_task *task, double fade, uint32_t recent);
bool ql_fc_theta(const struct fc_task *task, uint32_t season);   /* Assimakopoulos 2000 */
bool ql_fc_median(const struct fc_task *task, uint32_t count);   /* of the newest values */
bool ql_fc_return(const struct fc_task *task, uint32_t count, double fade); /* from last to median */
bool ql_fc_trend(const struct fc_task *task);                    /* damped (Gardner 1985) */

#endif

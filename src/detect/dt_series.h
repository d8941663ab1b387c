/* dt_series.h - the judgement of one series: eight cheap experts over one small state.
 *
 * Each expert makes one non-negative residual of a point; a running tail turns it into a
 * surprise, the pool of the series' family makes that honest, and the capped sum is what
 * the point is judged by. The state is plain bytes without pointers and can be copied.
 *
 * Units         values in the series' own unit, kept as float distance from the first value
 *               seen (so 1.7e9 with a ripple of 1 is fine; a distance over 1e18 is clamped).
 * Ownership     all is the caller's.
 * Threads       one at a time; params may be shared.
 * Errors        none: a point is any finite double at any time.
 * Bounds        O(1).
 * Determinism   float + - * /, sqrt and math/fastlog.h only.
 */
#ifndef QL_DETECT_DT_SERIES_H
#define QL_DETECT_DT_SERIES_H

#include "base/base.h"
#include "detect/dt_habit.h"
#include "detect/dt_profile.h"
#include "math/pool.h"
#include "math/tail.h"

enum ql_dt_expert {
    QL_DT_SPIKE,       /* distance from the fast level */
    QL_DT_SHIFT,       /* mean of the last ten against the hundred before */
    QL_DT_RANGE,       /* from what this time of day usually brings, else from the slow level */
    QL_DT_SEASON,      /* the same, mean of the last dozen */
    QL_DT_SEASON_SLOW, /* of the last four dozen */
    QL_DT_VOLATILE,    /* recent mean distance from the fast level */
    QL_DT_FLAT,        /* long spread over recent spread */
    QL_DT_NOVEL,       /* beyond a slowly closing envelope of all values so far */
    QL_DT_EXPERTS
};
_Static_assert((int)QL_DT_EXPERTS == (int)QL_TAIL_LANES, "one lane an expert");

struct ql_dt_params {
    float fast_ratio, slow_ratio;     /* weight of the newest point in the levels */
    float near_ratio, far_ratio;      /* of the two means that QL_DT_SHIFT compares */
    float short_ratio, long_ratio;    /* of the two spreads */
    float season_ratio, season_slow_ratio; /* of the two seasonal residual means */
    float season_earns;               /* most error of a profile, of the slow level's, to be used */
    float season_day_ratio;           /* how much of a profile one day replaces */
    float tail_rate;                  /* long-run rate of the tails */
    float envelope_ratio;             /* how fast the envelope closes, a point */
    float envelope_winsor;            /* spreads: most that one point may widen it */
    float level_floor_ratio;          /* spread never below this share of the level */
    float quantum_floor_ratio;        /* nor below this share of the least step seen */
    float quantum_first_ratio;        /* the same while hardly a step was seen */
    float quantum_zero_ratio;         /* the same while the level is about zero */
    float winsor;                     /* spreads: most a point may pull the levels */
    float memory_clip;                /* spreads: most that the averaging experts see */
    float hold_ratio;                 /* learning speed while the series is odd */
    float tail_hold_ratio;            /* the same of the tails */
    float odd;                        /* evidence above which it is */
    float expert_cap;                 /* surprise counted at most, of one expert */
    float top_extra;                  /* how much the strangest expert counts beyond that */
    float attack, release;            /* weight of the newest sum in the evidence: up, down */
    float weights[QL_DT_EXPERTS];
    uint32_t warm_count, accept_count;
    uint32_t season_warm_count;       /* of the seasonal experts, after warm_count; < 256 */
    uint32_t recover_count;           /* ordinary values in a row that end an odd state */
    float accept_s;                   /* a shift this old (and accept_count points) is normal */
};
extern const struct ql_dt_params ql_dt_params_default;

/* What all series of a family share. */
struct ql_dt_pools {
    uint64_t points;         /* judged; those of odd series are not counted */
    uint64_t refresh_at;     /* of points */
    struct ql_pool experts[QL_DT_EXPERTS];
    struct ql_pool sum;      /* of the capped sum of calibrated surprises */
    struct ql_pool evidence; /* crests of its excursions: how often one gets this far */
};
void ql_dt_pools_init(struct ql_dt_pools *pools);

/* Flags of a series, kept by the stage; while OPEN the onset stays. */
#define QL_DT_OPEN 1u   /* a signal about values is open */
#define QL_DT_ABSENT 2u /* an absence signal is open */
#define QL_DT_LISTED 4u /* stands in the stage's list of silent series */
#define QL_DT_ENDED 16u /* its sender ended it; not known yet whether it is absent */

struct ql_dt_series {
    int64_t last_ns;           /* of the newest value, learnt or not */
    double origin;             /* first value; all floats below are relative to it */
    int64_t rise_ns;           /* when the evidence last left zero: onset of what is open */
    float last, fast, slow, near, far;
    float spread_short, spread_long;
    float season_short, season_long;
    float season_error, slow_error; /* mean distances from the profile and the slow level */
    float top, bottom;
    float quantum;             /* least step between unequal values so far */
    float evidence;
    float crest;               /* most evidence of the excursion under way */
    float peak;                /* strongest evidence of the open signal, then its memory */
    float habit;               /* signals opened, slowly forgotten */
    uint32_t count;
    uint32_t slab;             /* 1 + index of the profile; 0: none */
    uint32_t rest;             /* points until a profile is tried or looked at again */
    uint32_t season_count;     /* points that the profile has learnt */
    uint16_t odd_run;          /* points in a row that the series was odd */
    uint16_t calm_run;         /* of those, the last ones that were ordinary by themselves */
    uint16_t quiet_run;        /* points without evidence while a signal is open */
    uint16_t steady_run;       /* values since the last hole */
    uint8_t skip;              /* points not to score, after a gap */
    uint8_t flags;             /* QL_DT_* of detect */
    uint8_t kind;              /* of the open signal */
    uint8_t moves;             /* times that the value changed, saturating */
    uint8_t season_warm;       /* points until the seasonal lanes are settled */
    struct ql_tails tails;
    struct ql_dt_habit week;   /* when it was odd in the weeks before */
};
#define QL_DT_SEASONAL 8u      /* of flags: the profile is in use */
_Static_assert(sizeof(struct ql_dt_series) == 248, "state of a series, no hidden padding");

struct ql_dt_input {
    int64_t at_ns;
    double value;
    uint32_t step_ms;          /* 0: unknown */
    bool want_band;            /* the band is worked out anyway when the point is odd */
    int64_t shift_ns;          /* from at_ns to what time of the week the profiles take it for */
};
struct ql_dt_verdict {
    bool judged;               /* false while learning: nothing else is then set */
    bool shifted;              /* the new level was accepted at this point */
    bool seasonal;             /* a profile is what the value was compared with */
    uint8_t lead;              /* enum ql_dt_expert with the largest part */
    float sum;                 /* capped sum of surprises */
    float surprise;            /* its calibrated -log10 p */
    float evidence;            /* accumulated; calibrated below */
    float evidence_surprise;
    float parts[QL_DT_EXPERTS];
    bool has_band;
    double expected, lower, upper; /* the leading expert's band */
};

/* Where a series counts what it saw and asks how rare that is. */
struct ql_dt_commons {
    struct ql_dt_pools *family; /* asked once it has QL_DT_FAMILY_POINTS; may be NULL */
    struct ql_dt_pools *all;
    struct ql_dt_slab *slab;    /* the series' own profile; NULL: none */
};
#define QL_DT_FAMILY_POINTS UINT64_C(100000)

/* Judges, then learns. */
void ql_dt_series_step(struct ql_dt_series *series, const struct ql_dt_params *params,
                       const struct ql_dt_commons *commons, const struct ql_dt_input *in,
                       struct ql_dt_verdict *ret_verdict);
/* A value that is not to be learnt; the first of its kind came at since_ns. After a long time of
 * them the next are not scored, as after a gap. */
void ql_dt_series_pass(struct ql_dt_series *series, int64_t since_ns, int64_t at_ns,
                       uint32_t step_ms);
/* The band that the next value will be judged against as a spike; the last one's for a
 * series that fell silent. */
void ql_dt_series_expect(const struct ql_dt_series *series, const struct ql_dt_params *params,
                         struct ql_dt_verdict *ret_verdict);

#endif

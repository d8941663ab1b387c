/* dt_group.h - series that are judged together: the metrics of an entity, and replicas.
 *
 * A group of an entity holds up to 32 of its metrics; fusion.h tells whether they still go
 * together. A group of peers holds up to 32 series with the same name and labels but for
 * the place they come from (instance, pod, host ...); each is compared with the median of
 * all, so one replica that slowly leaves the others is seen though its own history calls it
 * normal. Values are laid out in rows of the group's step, at least a minute (the newest value
 * of each counts); a row is judged when a value of the next one comes. Who sends hours in
 * bulk, series by series, has no full rows: its groups are not judged.
 *
 * What is open ends with a reason when QL_DT_GROUP_MISSED rows in a row could not judge it: too
 * few members have values, or the one that it is about has none. Rows without any are no rows.
 *
 * A series that is forgotten leaves its groups. Of a sealed group its place stays empty; a group
 * of which too few are left to be judged ever again is given up, and its memory goes to another.
 *
 * Units         ns; values in the series' own units.
 * Ownership     open/close.
 * Threads       one at a time.
 * Errors        open: QL_E_MEMORY. load: QL_E_MALFORMED.
 * Bounds        series_max / QL_DT_GROUP_SHARE groups of each kind in memory that is only
 *               touched when used, about 215 B a series in a group; who finds none left is
 *               counted (`full`) and judged alone. One row costs an entity about 64
 *               multiplications a metric. With several shards each groups what it owns.
 * Determinism   groups are filled in the order of first sight; ties go to the first member.
 */
#ifndef QL_DETECT_DT_GROUP_H
#define QL_DETECT_DT_GROUP_H

#include "base/buf.h"
#include "base/map.h"
#include "detect/dt_signal.h"
#include "detect/fusion.h"
#include "math/pool.h"
#include "model/series.h"

#define QL_DT_GROUP_MAX 32u
#define QL_DT_GROUP_SHARE 16u
#define QL_DT_ENTITY_MIN 8u  /* metrics, or there is nothing to fuse */
#define QL_DT_PEERS_MIN 4u   /* present in a row, or there is no majority */

#define QL_DT_GROUP_MISSED 30u /* rows: longer than a replica takes to start anew */

#define QL_DT_GROUP_GONE UINT32_MAX /* a place whose series is forgotten */
#define QL_DT_GROUP_SINGLE (UINT32_C(1) << 31) /* in open_of: a series still without peers */

enum ql_dt_group_kind { QL_DT_GROUP_ENTITY, QL_DT_GROUP_PEERS, QL_DT_GROUP_KINDS };

/* `told` of a group: what became of its open signal. What a policy holds is handed out again
 * while it lasts. */
enum ql_dt_group_told { QL_DT_GROUP_UNTOLD, QL_DT_GROUP_TOLD, QL_DT_GROUP_HELD };

/* Why a row ends what is open without judging it. */
enum ql_dt_group_lapse { QL_DT_GROUP_JUDGED, QL_DT_GROUP_FEW, QL_DT_GROUP_AWAY };

struct ql_dt_group {
    int64_t row_ns;                     /* end of the row that is being filled; 0: none */
    uint32_t step_ms, count;
    uint16_t sealed;                    /* no more members; judged from now on */
    uint16_t missed;                    /* rows in a row that say nothing about what is open */
    uint32_t rows;                      /* judged, since it started or started anew */
    int64_t joined_ns;                  /* when the last member came */
    double values[QL_DT_GROUP_MAX];     /* of the row; NaN: none yet */
    uint64_t key;                       /* entity, or hash of what peers share */
    int64_t rise_ns;                    /* since when it is odd; 0: it is not */
    uint32_t members[QL_DT_GROUP_MAX];  /* series, or GONE; of a free group, the next free one */
    float usual[QL_DT_GROUP_MAX];       /* peers: where each usually stands among the others */
    float now[QL_DT_GROUP_MAX];         /* peers: where it stands, smoothed */
    uint32_t run;                       /* rows in a row above what is usual, or open */
    uint32_t lead;                      /* series that the open signal is about */
    uint32_t fusion;                    /* entity, sealed: where its fusion stands, in words */
    uint32_t told;                      /* its open signal is; for whoever tells */
    struct ql_tails tails;              /* peers: lane 0 */
    struct ql_dt_series signal;         /* only what dt_signal.h needs of it */
};

struct ql_dt_group_finding {
    struct ql_dt_group *group;
    enum ql_dt_group_kind kind;
    enum ql_dt_change change;           /* OPENED, GREW or CLOSED; SAME: held, and odd still */
    enum ql_dt_group_lapse lapse;       /* of CLOSED */
    uint32_t series, peers;             /* whom it is about, how many were there ... */
    uint32_t count;                     /* ... of how many */
    int64_t onset_ns, at_ns;
    double value;
    struct ql_dt_verdict verdict;       /* surprise and band */
    uint32_t with[3];                   /* entity: who else is odd, largest first */
    float share, with_share[3];         /* 0 to 1; 0 ends the list */
};

/* A place: group * QL_DT_GROUP_MAX + member. */
struct ql_dt_groups {
    bool enabled;
    struct ql_series_table *series;     /* borrowed */
    uint32_t series_max, max;
    struct ql_dt_member { uint32_t of[QL_DT_GROUP_KINDS]; } *members; /* by series: 1 + place */
    struct ql_dt_group *groups[QL_DT_GROUP_KINDS];
    uint32_t counts[QL_DT_GROUP_KINDS]; /* rows in use or free */
    uint32_t live[QL_DT_GROUP_KINDS];   /* in use */
    uint32_t free_head[QL_DT_GROUP_KINDS]; /* 1 + group; 0: none */
    uint64_t *fusions;                  /* of sealed groups of entities, one behind the other */
    uint32_t fusion_words, fusion_words_max, fusion_words_freed;
    struct ql_map64 open_of[QL_DT_GROUP_KINDS]; /* key -> group that takes members, or a series */
    struct ql_pool pools[QL_DT_GROUP_KINDS];
    uint64_t pool_points[QL_DT_GROUP_KINDS], pool_refresh_at[QL_DT_GROUP_KINDS];
    uint64_t full;                      /* series that found no group */
    struct ql_buf scratch;
};

QL_MUST_USE ql_err ql_dt_groups_open(struct ql_dt_groups *groups, struct ql_series_table *series,
                                     uint32_t series_max, bool enabled);
void ql_dt_groups_close(struct ql_dt_groups *groups);

/* Looks for the groups of a series that has none; `state` tells whether it is worth it. */
void ql_dt_groups_meet(struct ql_dt_groups *groups, uint32_t series,
                       const struct ql_dt_series *state, int64_t at_ns);
/* Two steps of fetching what the next calls will touch, the second a few points later. */
static inline void ql_dt_groups_prefetch_member(const struct ql_dt_groups *groups, uint32_t series)
{
    __builtin_prefetch(&groups->members[series]);
}
static inline void ql_dt_groups_prefetch_row(const struct ql_dt_groups *groups, uint32_t series)
{
    for (uint32_t k = 0; k < QL_DT_GROUP_KINDS; k++) {
        const uint32_t of = groups->members[series].of[k];
        if (of != 0) {
            struct ql_dt_group *group = &groups->groups[k][(of - 1) / QL_DT_GROUP_MAX];
            __builtin_prefetch(group, 1);
            __builtin_prefetch(&group->values[(of - 1) % QL_DT_GROUP_MAX], 1);
        }
    }
}
/* Puts a value into its row of one kind; true when a row was judged and something is to be
 * told. `rule` gives the threshold. */
bool ql_dt_groups_value(struct ql_dt_groups *groups, enum ql_dt_group_kind kind, uint32_t series,
                        int64_t at_ns, double value, const struct ql_dt_rule *rule,
                        struct ql_dt_group_finding *ret_finding);

/* A series is forgotten. True: it or its group had a signal that was told and ends now, of which
 * the finding tells what is known. */
bool ql_dt_groups_leave(struct ql_dt_groups *groups, enum ql_dt_group_kind kind, uint32_t series,
                        int64_t now_ns, struct ql_dt_group_finding *ret_finding);

/* Whether the open signal of its group is about this series. */
bool ql_dt_groups_leads(const struct ql_dt_groups *groups, enum ql_dt_group_kind kind,
                        uint32_t series);
/* Ends what is open of a group, as leave() does, which then is judged on. */
bool ql_dt_groups_end(struct ql_dt_groups *groups, enum ql_dt_group_kind kind, uint32_t index,
                      int64_t now_ns, struct ql_dt_group_finding *ret_finding);
static inline uint32_t ql_dt_group_of(const struct ql_dt_groups *groups,
                                      enum ql_dt_group_kind kind, uint32_t series)
{
    const uint32_t of = groups->members[series].of[kind];
    return of == 0 ? QL_MAP_NONE : (of - 1) / QL_DT_GROUP_MAX;
}

/* Whether a label of that name says where a replica runs, not what it is. */
bool ql_dt_label_is_place(ql_str name);

size_t ql_dt_groups_bytes(const struct ql_dt_groups *groups); /* in use */

ql_err ql_dt_groups_save(const struct ql_dt_groups *groups, struct ql_buf *out);
QL_MUST_USE ql_err ql_dt_groups_load(struct ql_dt_groups *groups, struct ql_reader *in);

/* The fusion of a sealed group of an entity, and room for one that is to be sealed. There is room,
 * as no more groups than max are sealed, unless what was freed could not be gathered for want of
 * memory. */
struct ql_fusion *ql_dt_group_fusion(const struct ql_dt_groups *groups, uint32_t index);
bool ql_dt_group_fusion_take(struct ql_dt_groups *groups, uint32_t index);

/* dt_peers.c: judges a full row. Returns the member furthest from the others. */
uint32_t ql_dt_peers_row(struct ql_dt_group *group, struct ql_dt_verdict *ret_verdict,
                         uint32_t *ret_present);

#endif

/* slo_int.h - the tables behind the two SLO stages. */
#ifndef QL_SLO_SLO_INT_H
#define QL_SLO_SLO_INT_H

#include "base/map.h"
#include "base/stat.h"
#include "config/config.h"
#include "model/batch.h"
#include "policy/ruling.h"
#include "slo/slo.h"
#include "topology/topology.h"

#define SLO_MINUTES 512          /* of the ring: 6 h, and what is ahead of now */
#define SLO_HOURS 2176           /* 90 days, and the same */
#define SLO_AHEAD 120            /* minutes that a sample may be ahead of now */
#define SLO_ROWS (2 * QL_CONFIG_SLOS_MAX) /* with those that a reload took out, until told */
#define SLO_ENTITIES 16
#define SLO_GIVE_UP 1440         /* minutes without data */
#define SLO_MINUTE_NS (60 * QL_NS_PER_S)
#define SLO_GRACE_NS (15 * QL_NS_PER_S)
#define SLO_STATE_VERSION 2u

/* Time before 1970 rounds down as well. */
static inline int64_t slo_minute_of(int64_t ns)
{
    const int64_t q = ns / SLO_MINUTE_NS;
    return ns % SLO_MINUTE_NS < 0 ? q - 1 : q;
}

static inline int64_t slo_add(int64_t a, int64_t b)
{
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? (b < 0 ? INT64_MIN : INT64_MAX) : sum;
}

/* ---- slo_ring.c: sums by minute and hour ------------------------------------------ */

struct slo_minute { int64_t bad, total; uint32_t covered, silent; };
struct slo_hour { int64_t bad, total; };
struct slo_ring {
    int64_t head;                        /* the newest minute there is room for */
    struct slo_minute minutes[SLO_MINUTES];
    struct slo_hour hours[SLO_HOURS];
};
struct slo_sum { int64_t bad, total; uint32_t covered; };

/* Zeroed memory is an empty ring.
 * Makes room up to SLO_AHEAD minutes past `minute`; what is too old falls out. */
void slo_ring_advance(struct slo_ring *ring, int64_t minute);
/* False: too old or too far ahead for the ring of hours. */
bool slo_ring_add(struct slo_ring *ring, const struct ql_slo_part *part);
struct slo_sum slo_ring_minutes(const struct slo_ring *ring, int64_t end, uint32_t count);
struct slo_sum slo_ring_hours(const struct slo_ring *ring, int64_t end_minute, uint32_t count);
uint32_t slo_ring_silent(const struct slo_ring *ring, int64_t minute);
const struct slo_minute *slo_ring_minute(const struct slo_ring *ring, int64_t minute);
void slo_ring_save(const struct slo_ring *ring, struct ql_buf *out);
bool slo_ring_load(struct slo_ring *ring, struct ql_reader *in);

/* ---- slo_parts.c: what a shard has counted since the last tick -------------------- */

enum { SLO_PARTS_MAX = 32768, SLO_SIDE_BITS = 2 };
/* Where a series counts: packed as the SLO's number << SLO_SIDE_BITS | side. */
enum slo_side { SLO_SIDE_GOOD, SLO_SIDE_BAD, SLO_SIDE_TOTAL, SLO_SIDE_MATCH };
static inline enum slo_side slo_side_of(uint16_t packed)
{
    return (enum slo_side)(packed & ((1u << SLO_SIDE_BITS) - 1));
}

struct slo_parts {
    const struct ql_config *config;
    struct ql_slo_part *at;              /* NULL until activate */
    uint32_t count;
    struct ql_map64 of;
    struct ql_stat_cell *dropped;
};
/* What one sample says: `amount` events, evenly over (from, at]. */
struct slo_told {
    ql_entity_id entity;
    int64_t from_ns, at_ns;
    int64_t amount;
    bool bad;                            /* of SLO_SIDE_MATCH: the value is */
};
QL_MUST_USE ql_err slo_parts_activate(struct slo_parts *p);
void slo_parts_fini(struct slo_parts *p);
/* The part of that SLO, entity and minute, new or gathered before; NULL: no memory (counted). */
struct ql_slo_part *slo_part_at(struct slo_parts *p, uint64_t slo, ql_entity_id entity,
                                int64_t minute, struct ql_batch *bus);
void slo_parts_spread(struct slo_parts *p, uint16_t packed, const struct slo_told *told,
                      struct ql_batch *bus);
void slo_parts_match(struct slo_parts *p, uint16_t packed, const struct slo_told *told,
                     struct ql_batch *bus);
void slo_parts_flush(struct slo_parts *p, struct ql_batch *bus);

/* ---- slo_judge.c: pure arithmetic ------------------------------------------------- */

enum slo_severity { SLO_PAGE, SLO_TICKET, SLO_SEVERITIES };
struct slo_rule {
    const char *name;
    double factor;
    enum ql_slo_window long_window, short_window;
    enum ql_importance importance;
    double surprise;
};
extern const struct slo_rule slo_rules[SLO_SEVERITIES];

/* What is known of one SLO at the end of a minute. */
struct slo_view {
    double burn[QL_SLO_WINDOWS];         /* NaN: no data */
    uint32_t covered[QL_SLO_WINDOWS];    /* minutes */
    double used;                         /* share of the budget; NaN */
    double bad, total;                   /* events in the window */
    uint32_t silent;
};
uint32_t slo_window_minutes(enum ql_slo_window window);
void slo_judge(const struct slo_ring *ring, const struct ql_slo *slo, int64_t first, int64_t end,
               struct slo_view *ret_view);
bool slo_burns(const struct slo_view *view, const struct slo_rule *rule);
/* The last minutes burn: what was held in a burning window is worth telling late. */
bool slo_lasts(const struct slo_view *view, const struct slo_rule *rule);
bool slo_is_calm(const struct slo_view *view, const struct slo_rule *rule);
/* The first minute of the run of bad ones that ends at `end`, within the rule's long window. */
int64_t slo_onset(const struct slo_ring *ring, const struct ql_slo *slo,
                  const struct slo_rule *rule, int64_t end);
/* Seconds until the budget is used up at `burn`; 0: it is; infinity: not within ten years. */
double slo_gone_s(const struct slo_view *view, double window_s, double burn);

/* ---- slo.c ------------------------------------------------------------------------ */

struct slo_entity { uint64_t id; int64_t bad, total; };
struct slo_burn {
    uint64_t id, entity;                 /* id 0: not open */
    int64_t onset_ns;
    double told;                         /* the long window's burn when last told */
    bool held;                           /* it burns, and by a policy it is not told: id 0 */
};
struct slo_row {
    uint64_t key;                        /* 0: the row is free */
    const struct ql_slo *slo;            /* NULL: no longer in the configuration */
    int64_t first, covered;              /* minutes: first and newest with data; INT64_MIN */
    struct slo_burn burns[SLO_SEVERITIES];
    struct slo_entity entities[SLO_ENTITIES];
    struct slo_ring *ring;
    struct ql_stat_cell *burn_cells[QL_SLO_WINDOWS], *budget_cell;
    struct slo_view view;
    char name[QL_SLO_NAME_BYTES];        /* outlives the configuration */
    double target, window_s;
};
struct slo_stage {
    struct ql_topology *topology;
    struct ql_stats *stats;
    struct ql_ruling ruling;
    struct slo_row *rows;                /* SLO_ROWS; NULL until there is an SLO */
    struct slo_ring *rings;              /* one a row */
    uint32_t order[QL_CONFIG_SLOS_MAX];  /* rows in the order of the file */
    uint32_t order_count;
    int64_t judged;                      /* the minute whose end was last judged */
    struct ql_slo_state *states;
    uint64_t version;
    struct ql_buf scratch;
    struct ql_stat_cell *late, *unwritten, *opened[SLO_SEVERITIES];
};
ql_err slo_activate(struct slo_stage *s);
struct slo_row *slo_row_of(struct slo_stage *s, uint64_t key); /* NULL: there is none */
struct slo_row *slo_row_add(struct slo_stage *s, uint64_t key);
void slo_look_again(struct slo_stage *s);

/* ---- slo_signal.c ----------------------------------------------------------------- */

enum slo_close { SLO_CALM, SLO_NO_DATA, SLO_REMOVED };
/* "kind/name" of the entity that the configuration names, in s->scratch. */
ql_str slo_entity_named(struct slo_stage *s, const struct ql_slo *slo);
/* Named by the configuration, or the one with most of the bad events lately; 0: none. */
ql_entity_id slo_row_entity(struct slo_stage *s, const struct slo_row *row);
void slo_burn_close(struct slo_stage *s, struct slo_row *row, enum slo_severity severity,
                    enum slo_close because, ql_time at, struct ql_batch *bus);
/* Opens, closes or tells again by row->view at the end of minute `end`. */
void slo_burn_step(struct slo_stage *s, struct slo_row *row, enum slo_severity severity,
                   int64_t end, ql_time at, struct ql_batch *bus);

/* ---- slo_save.c ------------------------------------------------------------------- */
ql_err slo_save(const void *stage, struct ql_buf *out);
ql_err slo_load(void *stage, uint32_t version, struct ql_reader *in);

/* ---- slo_why.c: sentences --------------------------------------------------------- */
void slo_why_burn(const struct slo_row *row, const struct slo_rule *rule, ql_time at,
                  struct ql_buf *out);
void slo_why_close(const struct slo_row *row, const struct slo_rule *rule, enum slo_close why,
                   struct ql_buf *out);

#endif

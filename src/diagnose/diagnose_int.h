/* diagnose_int.h - what the diagnose stage remembers between ticks. */
#ifndef QL_DIAGNOSE_DIAGNOSE_INT_H
#define QL_DIAGNOSE_DIAGNOSE_INT_H

#include "base/arena.h"
#include "base/map.h"
#include "base/stat.h"
#include "diagnose/rank.h"
#include "model/batch.h"
#include "model/model_set.h"
#include "topology/topology.h"

#define DI_INCIDENTS_MAX 256u
#define DI_MEMBER_ENTITIES_MAX 64u
#define DI_SINCES_MAX 64u
#define DI_ENTITIES_MAX 256u
#define DI_SERIES_MAX 4096u
#define DI_CHANGES_MAX 1024u
#define DI_CAUSES_MAX 8u

struct di_member { ql_entity_id entity; ql_time since; uint8_t is_alert, name_bytes; char name[94]; };

struct di_incident {
    ql_id id;                      /* 0: free */
    ql_time onset, asked;          /* asked: QL_TIME_NONE until then */
    uint32_t ask_count, member_count;
    uint32_t lasting, lasting_peak; /* members that last now; the most there were at once */
    uint8_t grew, waits;           /* new members since asked; windows are on their way */
    uint64_t told_hash;            /* of the list as last written; 0: none yet */
    double told_confidence;
    struct di_member members[DI_MEMBER_ENTITIES_MAX]; /* one for each entity and kind */
    uint32_t since_count;
    ql_time sinces[DI_SINCES_MAX]; /* when its first members began, in order of joining */
};

struct di_change { ql_entity_id entity; ql_time at; uint8_t text_bytes; char text[127]; };

struct ql_diagnose {
    const struct ql_topology *topology;
    ql_duration baseline;
    struct di_incident *incidents;
    struct di_change *changes;
    uint32_t change_count, change_next;
    struct ql_model_set model;
    struct ql_arena arena;         /* of the case being ranked */
    struct ql_hop *hops;
    struct ql_stat_cell *drop_incident, *drop_series, *drop_bus, *drop_memory, *ranked_total,
        *unsure_total;
};

/* ask.c */
uint32_t ql_di_entities(const struct ql_diagnose *di, const struct di_incident *in,
                        ql_entity_id out[DI_ENTITIES_MAX]);
/* When most of it began: a quarter of the members had. One early straggler, perhaps odd for a
 * reason of its own, would fill the window of the fault with ordinary values; a somewhat late
 * start is measured well (measure.h). */
ql_time ql_di_noticed(const struct di_incident *in);
/* answer.c: ranks on the windows of one incident, windows [first, first + count). */
void ql_di_answer(struct ql_diagnose *di, struct di_incident *in, ql_time now,
                  struct ql_batch *bus);
/* save.c */
QL_MUST_USE ql_err ql_di_save(const void *stage, struct ql_buf *out);
QL_MUST_USE ql_err ql_di_load(void *stage, uint32_t version, struct ql_reader *in);

#endif

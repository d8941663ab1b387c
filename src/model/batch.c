#include "model/batch.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define LIST_KEPT_BYTES ((size_t)1 << 20)

struct ql_blob {
    _Atomic uint32_t refs;
    size_t bytes;
    char *at;
};

struct ql_blob *ql_blob_take(char *at, size_t bytes)
{
    struct ql_blob *blob = malloc(sizeof(*blob));
    if (blob == NULL) {
        free(at);
        return NULL;
    }
    atomic_init(&blob->refs, 1);
    blob->at = at;
    blob->bytes = bytes;
    return blob;
}

struct ql_blob *ql_blob_ref(struct ql_blob *blob)
{
    atomic_fetch_add_explicit(&blob->refs, 1, memory_order_relaxed);
    return blob;
}

void ql_blob_unref(struct ql_blob *blob)
{
    if (blob != NULL &&
        atomic_fetch_sub_explicit(&blob->refs, 1, memory_order_acq_rel) == 1) {
        free(blob->at);
        free(blob);
    }
}

ql_str ql_blob_view(const struct ql_blob *blob)
{
    return blob == NULL ? (ql_str){ "", 0 } : (ql_str){ blob->at, blob->bytes };
}

void ql_batch_init(struct ql_batch *batch, size_t arena_bytes_max)
{
    memset(batch, 0, sizeof(*batch));
    ql_arena_init(&batch->arena, arena_bytes_max);
}

void ql_batch_fini(struct ql_batch *batch)
{
    if (batch == NULL) {
        return;
    }
#define X(list, one, type, max) free(batch->list.at);
    QL_BATCH_MAP(X)
#undef X
    ql_arena_fini(&batch->arena);
    ql_blob_unref(batch->body);
    memset(batch, 0, sizeof(*batch));
}

/* A list that was large once and is hardly used by now: what one outage took is not kept. */
static bool list_is_cold(uint32_t count, uint32_t capacity, size_t element_bytes)
{
    return (size_t)capacity * element_bytes > LIST_KEPT_BYTES && count < capacity / 8;
}

void ql_batch_reset(struct ql_batch *batch)
{
#define X(list, one, type, max)                                                                   \
    if (list_is_cold(batch->list.count, batch->list.capacity, sizeof(type))) {                    \
        free(batch->list.at);                                                                     \
        batch->list.at = NULL;                                                                    \
        batch->list.capacity = 0;                                                                 \
    }                                                                                             \
    batch->list.count = 0;
    QL_BATCH_MAP(X)
#undef X
    ql_arena_reset(&batch->arena);
    ql_blob_unref(batch->body);
    batch->body = NULL;
    batch->sequence = 0;
    batch->accepted = QL_TIME_NONE;
    batch->source = 0;
    batch->flight_bytes = 0;
    batch->cell_ms = 0;
    batch->behind = false;
    batch->cell_extreme = 0;
}

uint32_t ql_batch_count(const struct ql_batch *batch, enum ql_list list)
{
    switch (list) {
#define X(name, one, type, max) case QL_LIST_##name: return batch->name.count;
    QL_BATCH_MAP(X)
#undef X
    default: return 0;
    }
}

const char *ql_list_name(enum ql_list list)
{
    static const char *const names[] = {
#define X(name, one, type, max) #name,
        QL_BATCH_MAP(X)
#undef X
    };
    return (unsigned)list < QL_LIST_COUNT ? names[list] : "unknown";
}

/* Makes `*at` hold at least `need` elements; false at the maximum or without memory. */
static bool batch_grow(void **at, uint32_t *capacity, uint64_t need, size_t element_bytes,
                       uint32_t count_max)
{
    if (need > count_max) {
        return false;
    }
    uint64_t grown = *capacity == 0 ? 16 : (uint64_t)*capacity * 2;
    if (grown < need) {
        grown = need;
    }
    if (grown > count_max) {
        grown = count_max;
    }
    void *moved = realloc(*at, (size_t)grown * element_bytes);
    if (moved == NULL) {
        return false;
    }
    *at = moved;
    *capacity = (uint32_t)grown;
    return true;
}

#define X(list, one, type, max)                                                        \
    type *ql_batch_add_##one(struct ql_batch *batch)                                   \
    {                                                                                  \
        if (batch->list.count == batch->list.capacity &&                               \
            !batch_grow((void **)&batch->list.at, &batch->list.capacity,               \
                        (uint64_t)batch->list.count + 1, sizeof(type), (max))) {       \
            return NULL;                                                               \
        }                                                                              \
        type *added = &batch->list.at[batch->list.count++];                            \
        memset(added, 0, sizeof(*added));                                              \
        return added;                                                                  \
    }
QL_BATCH_MAP(X)
#undef X

#define BATCH_MORE(list, type, max)                                                    \
    type *ql_batch_more_##list(struct ql_batch *batch, uint32_t count)                 \
    {                                                                                  \
        const uint64_t need = (uint64_t)batch->list.count + count;                     \
        if (need > batch->list.capacity &&                                             \
            !batch_grow((void **)&batch->list.at, &batch->list.capacity, need,         \
                        sizeof(type), (max))) {                                        \
            return NULL;                                                               \
        }                                                                              \
        type *added = &batch->list.at[batch->list.count];                              \
        batch->list.count += count;                                                    \
        return added;                                                                  \
    }
BATCH_MORE(runs, struct ql_run, 4000000)
BATCH_MORE(samples, struct ql_sample, 8000000)
BATCH_MORE(points, struct ql_point, 16000000)

ql_str ql_batch_text(struct ql_batch *batch, ql_str s)
{
    if (s.bytes == 0) {
        return (ql_str){ "", 0 };
    }
    const ql_str copy = ql_arena_str(&batch->arena, s);
    return copy.at == NULL ? (ql_str){ "", 0 } : copy;
}

ql_str ql_batch_printf(struct ql_batch *batch, const char *format, ...)
{
    char text[2048];
    va_list args;
    va_start(args, format);
    const int bytes = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (bytes < 0) {
        return (ql_str){ "", 0 };
    }
    const size_t kept = (size_t)bytes < sizeof(text) ? (size_t)bytes : sizeof(text) - 1;
    return ql_batch_text(batch, (ql_str){ text, kept });
}

#define BATCH_COPY_BEGIN(one, type)                                                    \
    ql_err ql_batch_copy_##one(struct ql_batch *to, const type *from)                  \
    {                                                                                  \
        type *copy = ql_batch_add_##one(to);                                           \
        if (copy == NULL) {                                                            \
            return QL_E_FULL;                                                          \
        }                                                                              \
        *copy = *from;
#define BATCH_COPY_TEXT(field) copy->field = ql_batch_text(to, from->field);
#define BATCH_COPY_END                                                                 \
        return QL_OK;                                                                  \
    }

BATCH_COPY_BEGIN(signal, struct ql_signal)
BATCH_COPY_TEXT(metric)
BATCH_COPY_TEXT(labels)
BATCH_COPY_TEXT(why)
BATCH_COPY_END

BATCH_COPY_BEGIN(alert_in, struct ql_alert_in)
BATCH_COPY_TEXT(labels)
BATCH_COPY_TEXT(annotations)
BATCH_COPY_TEXT(generator_url)
BATCH_COPY_END

BATCH_COPY_BEGIN(change_in, struct ql_change_in)
BATCH_COPY_TEXT(kind)
BATCH_COPY_TEXT(entity)
BATCH_COPY_TEXT(summary)
BATCH_COPY_TEXT(source)
BATCH_COPY_TEXT(link)
BATCH_COPY_END

BATCH_COPY_BEGIN(command, struct ql_command)
BATCH_COPY_TEXT(entity)
BATCH_COPY_TEXT(by)
BATCH_COPY_TEXT(note)
BATCH_COPY_END

BATCH_COPY_BEGIN(outcome, struct ql_outcome)
BATCH_COPY_TEXT(output)
BATCH_COPY_END

BATCH_COPY_BEGIN(finding, struct ql_finding)
BATCH_COPY_TEXT(labels)
BATCH_COPY_TEXT(limit_name)
BATCH_COPY_END

BATCH_COPY_BEGIN(entity, struct ql_entity_seen)
BATCH_COPY_TEXT(name)
BATCH_COPY_END

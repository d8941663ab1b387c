#include "wire/block.h"

#include "wire/utf8.h"

void ql_block_copy(struct ql_block *to, const struct ql_block *from)
{
    to->count = from->count;
    to->bytes = from->bytes;
    memcpy(to->parts, from->parts, from->count * sizeof(from->parts[0]));
}

static size_t block_varint_bytes(size_t value)
{
    size_t bytes = 1;
    for (; value >= 0x80; value >>= 7) {
        bytes++;
    }
    return bytes;
}

static size_t block_pair_bytes(ql_str name, ql_str value)
{
    return 2 + block_varint_bytes(name.bytes) + name.bytes + block_varint_bytes(value.bytes) +
           value.bytes;
}

static size_t block_label_bytes(ql_str name, ql_str value)
{
    const size_t pair = block_pair_bytes(name, value);
    return 1 + block_varint_bytes(pair) + pair;
}

/* Where `name` stands or would stand. */
static uint32_t block_place(const struct ql_block *block, ql_str name, bool *ret_there)
{
    uint32_t at = block->count;
    int order = 1;
    while (at > 0 && (order = ql_str_cmp(block->parts[at - 1].name, name)) > 0) {
        at--;
    }
    *ret_there = at > 0 && order == 0;
    return *ret_there ? at - 1 : at;
}

ql_err ql_block_put(struct ql_block *block, ql_str name, ql_str value)
{
    bool there;
    if (value.bytes == 0) {
        return QL_OK;
    }
    if (name.bytes == 0 || !ql_utf8_valid(name) || !ql_utf8_valid(value)) {
        return QL_E_MALFORMED;
    }
    const uint32_t at = block_place(block, name, &there);
    if (there) {
        return QL_E_CONFLICT;
    }
    const size_t bytes = block_label_bytes(name, value);
    if (block->count == QL_LABELS_COUNT_MAX || bytes > QL_LABELS_BYTES_MAX - block->bytes) {
        return QL_E_RANGE;
    }
    memmove(&block->parts[at + 1], &block->parts[at],
            (block->count - at) * sizeof(block->parts[0]));
    block->parts[at] = (struct ql_label){ name, value };
    block->count++;
    block->bytes += bytes;
    return QL_OK;
}

ql_err ql_block_put_block(struct ql_block *block, ql_str labels)
{
    struct ql_label label;
    ql_err err = QL_OK;
    for (size_t at = 0; err == QL_OK && ql_labels_next(labels, &at, &label);) {
        err = ql_block_put(block, label.name, label.value);
    }
    return err;
}

const struct ql_label *ql_block_find(const struct ql_block *block, ql_str name)
{
    bool there;
    const uint32_t at = block_place(block, name, &there);
    return there ? &block->parts[at] : NULL;
}

ql_err ql_block_set(struct ql_block *block, ql_str name, ql_str value)
{
    bool there;
    const uint32_t at = block_place(block, name, &there);
    QL_ASSERT(there);
    if (value.bytes == 0 || !ql_utf8_valid(value)) {
        return QL_E_MALFORMED;
    }
    const size_t bytes = block->bytes - block_label_bytes(name, block->parts[at].value) +
                         block_label_bytes(name, value);
    if (bytes > QL_LABELS_BYTES_MAX) {
        return QL_E_RANGE;
    }
    block->parts[at].value = value;
    block->bytes = bytes;
    return QL_OK;
}

static char *block_varint_put(char *to, size_t value)
{
    for (; value >= 0x80; value >>= 7) {
        *to++ = (char)(unsigned char)(value | 0x80);
    }
    *to++ = (char)(unsigned char)value;
    return to;
}

static char *block_text_put(char *to, char tag, ql_str text)
{
    *to++ = tag;
    to = block_varint_put(to, text.bytes);
    memcpy(to, text.at, text.bytes);
    return to + text.bytes;
}

ql_err ql_block_write(const struct ql_block *block, struct ql_arena *arena, ql_str *ret_labels)
{
    char *start = ql_arena_take(arena, block->bytes > 0 ? block->bytes : 1), *to = start;
    if (start == NULL) {
        return QL_E_FULL;
    }
    for (uint32_t i = 0; i < block->count; i++) {
        const struct ql_label *part = &block->parts[i];
        *to++ = 0x0A;
        to = block_varint_put(to, block_pair_bytes(part->name, part->value));
        to = block_text_put(to, 0x0A, part->name);
        to = block_text_put(to, 0x12, part->value);
    }
    QL_ASSERT((size_t)(to - start) == block->bytes);
    *ret_labels = (ql_str){ start, block->bytes };
    return QL_OK;
}

/* pb.h - reads protobuf messages field by field, where they stand.
 *
 * A reader is a cursor over one message. Nested messages are slices: open another
 * reader on them. It sticks at its first fault, so a loop over fields needs one check
 * of `failed` at its end. Nothing is copied, nothing recurses: how deep a sender may
 * nest is decided by the code that opens the readers.
 *
 *     struct ql_pb pb = ql_pb_of(body);
 *     for (struct ql_pb_field f; ql_pb_next(&pb, &f);) {
 *         if (f.number == 1 && f.type == QL_PB_BYTES) { use(f.bytes); }
 *     }
 *     if (pb.failed) { malformed at pb.at }
 *
 * Ownership     slices are borrowed from the input.
 * Errors        failed: a varint of more than 10 bytes, a length or number past the end,
 *               field number 0, a group (wire types 3 and 4, which proto3 does not have)
 *               or an unknown wire type. `at` then stands on the faulty field.
 * Bounds        O(1) a field.
 */
#ifndef QL_WIRE_PB_H
#define QL_WIRE_PB_H

#include "base/base.h"

enum ql_pb_type { QL_PB_VARINT = 0, QL_PB_FIXED64 = 1, QL_PB_BYTES = 2, QL_PB_FIXED32 = 5 };

struct ql_pb {
    const uint8_t *at, *end;
    bool failed;
};

struct ql_pb_field {
    uint32_t number;
    uint32_t type;   /* enum ql_pb_type */
    uint64_t value;  /* VARINT, FIXED64, FIXED32 as unsigned bits; else undefined */
    ql_str bytes;    /* BYTES; else undefined */
};

static inline struct ql_pb ql_pb_of(ql_str message)
{
    const uint8_t *at = (const uint8_t *)(message.bytes > 0 ? message.at : "");
    return (struct ql_pb){ .at = at, .end = at + message.bytes };
}

/* The position after a varint, or NULL when it is cut off or too long: for ql_pb_varint. */
const uint8_t *ql_pb_varint_long(const uint8_t *at, const uint8_t *end, uint64_t *ret_value);

/* Reads a varint at `at` < `end`; NULL as above. One byte is by far the commonest. */
static inline const uint8_t *ql_pb_varint(const uint8_t *at, const uint8_t *end,
                                          uint64_t *ret_value)
{
    if (at < end && *at < 0x80) {
        *ret_value = *at;
        return at + 1;
    }
    return ql_pb_varint_long(at, end, ret_value);
}

/* A length and that many bytes: the position after them, with the slice; NULL as above. */
static inline const uint8_t *ql_pb_slice(const uint8_t *at, const uint8_t *end, ql_str *ret_bytes)
{
    uint64_t bytes;
    at = ql_pb_varint(at, end, &bytes);
    if (at == NULL || bytes > (uint64_t)(end - at)) {
        return NULL;
    }
    *ret_bytes = (ql_str){ (const char *)at, (size_t)bytes };
    return at + bytes;
}

static inline uint64_t ql_pb_load64(const uint8_t *at)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof(bits)); /* little-endian machines only: base/buf.c asserts it */
    return bits;
}

/* The next field; false at the end of the message or, with `failed` set, at a fault:
 * *ret_field is then undefined. */
bool ql_pb_next(struct ql_pb *pb, struct ql_pb_field *ret_field);

static inline double ql_pb_double(const struct ql_pb_field *field)
{
    double value;
    memcpy(&value, &field->value, sizeof(value));
    return value;
}

/* sint32 and sint64 */
static inline int64_t ql_pb_zigzag(uint64_t value)
{
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

/* Packed repeated fixed64 or varint numbers: how many, or UINT32_MAX when the bytes do
 * not divide. */
uint32_t ql_pb_packed_fixed64_count(ql_str bytes);

#endif

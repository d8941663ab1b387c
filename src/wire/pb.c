#include "wire/pb.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "protobuf's own byte order");

const uint8_t *ql_pb_varint_long(const uint8_t *at, const uint8_t *end, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && at < end; shift += 7) {
        const uint64_t byte = *at++;
        if (shift == 63 && byte > 1) {
            return NULL; /* bits past the 64th */
        }
        value |= (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return at;
        }
    }
    return NULL;
}

static const uint8_t *pb_fixed(const uint8_t *at, const uint8_t *end, size_t bytes,
                               uint64_t *ret_value)
{
    if ((size_t)(end - at) < bytes) {
        return NULL;
    }
    uint64_t value = 0;
    memcpy(&value, at, bytes);
    *ret_value = value;
    return at + bytes;
}

bool ql_pb_next(struct ql_pb *pb, struct ql_pb_field *ret_field)
{
    struct ql_pb_field field = { .bytes = { "", 0 } };
    uint64_t tag;
    if (pb->at == pb->end || pb->failed) {
        return false;
    }
    const uint8_t *at = ql_pb_varint(pb->at, pb->end, &tag);
    if (at == NULL || tag >> 3 == 0 || tag >> 3 > 0x1FFFFFFF) {
        pb->failed = true;
        return false;
    }
    field.number = (uint32_t)(tag >> 3);
    field.type = (uint32_t)(tag & 7);
    switch (field.type) {
    case QL_PB_VARINT: at = ql_pb_varint(at, pb->end, &field.value); break;
    case QL_PB_FIXED64: at = pb_fixed(at, pb->end, 8, &field.value); break;
    case QL_PB_BYTES: at = ql_pb_slice(at, pb->end, &field.bytes); break;
    case QL_PB_FIXED32: at = pb_fixed(at, pb->end, 4, &field.value); break;
    default: at = NULL;
    }
    if (at == NULL) {
        pb->failed = true;
        return false;
    }
    pb->at = at;
    *ret_field = field;
    return true;
}

uint32_t ql_pb_packed_fixed64_count(ql_str bytes)
{
    return bytes.bytes % 8 == 0 && bytes.bytes / 8 < UINT32_MAX ? (uint32_t)(bytes.bytes / 8)
                                                               : UINT32_MAX;
}

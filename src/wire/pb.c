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

/* What follows a tag; NULL when it is not there whole. */
static inline const uint8_t *pb_value(const uint8_t *at, const uint8_t *end,
                                      struct ql_pb_field *ret_field)
{
    switch (ret_field->type) {
    case QL_PB_VARINT: return ql_pb_varint(at, end, &ret_field->value);
    case QL_PB_FIXED64:
        if (end - at < 8) {
            return NULL;
        }
        ret_field->value = ql_pb_load64(at);
        return at + 8;
    case QL_PB_BYTES: return ql_pb_slice(at, end, &ret_field->bytes);
    case QL_PB_FIXED32: {
        uint32_t value;
        if (end - at < 4) {
            return NULL;
        }
        memcpy(&value, at, sizeof(value));
        ret_field->value = value;
        return at + 4;
    }
    default: return NULL;
    }
}

bool ql_pb_next(struct ql_pb *pb, struct ql_pb_field *ret_field)
{
    uint64_t tag;
    if (pb->at == pb->end || pb->failed) {
        return false;
    }
    const uint8_t *at = ql_pb_varint(pb->at, pb->end, &tag);
    if (at != NULL && tag >> 3 != 0 && tag >> 3 <= 0x1FFFFFFF) {
        ret_field->number = (uint32_t)(tag >> 3);
        ret_field->type = (uint32_t)(tag & 7);
        at = pb_value(at, pb->end, ret_field);
        if (at != NULL) {
            pb->at = at;
            return true;
        }
    }
    pb->failed = true;
    return false;
}

uint32_t ql_pb_packed_fixed64_count(ql_str bytes)
{
    return bytes.bytes % 8 == 0 && bytes.bytes / 8 < UINT32_MAX ? (uint32_t)(bytes.bytes / 8)
                                                               : UINT32_MAX;
}

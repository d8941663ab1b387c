#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void shop_text_fini(struct shop_text *text)
{
    free(text->at);
    *text = (struct shop_text){ 0 };
}

void shop_text_reset(struct shop_text *text)
{
    text->bytes = 0;
}

static char *text_room(struct shop_text *text, size_t bytes)
{
    if (text->bytes + bytes + 1 > text->capacity) {
        const size_t capacity = (text->bytes + bytes + 1) * 2;
        char *at = realloc(text->at, capacity);
        if (at == NULL) {
            (void)fprintf(stderr, "shop: no memory\n");
            exit(1);
        }
        text->at = at;
        text->capacity = capacity;
    }
    return text->at + text->bytes;
}

void shop_text_put(struct shop_text *text, const void *at, size_t bytes)
{
    if (bytes > 0) {
        memcpy(text_room(text, bytes), at, bytes);
        text->bytes += bytes;
        text->at[text->bytes] = '\0';
    }
}

void shop_text_add(struct shop_text *text, const char *nul_terminated)
{
    shop_text_put(text, nul_terminated, strlen(nul_terminated));
}

void shop_text_printf(struct shop_text *text, const char *format, ...)
{
    char line[1024];
    va_list args;
    va_start(args, format);
    const int bytes = vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    if (bytes > 0) {
        shop_text_put(text, line, (size_t)bytes < sizeof(line) ? (size_t)bytes : sizeof(line) - 1);
    }
}

static size_t proto_encode(uint64_t value, uint8_t out[10])
{
    size_t n = 0;
    while (value >= 0x80) {
        out[n++] = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    out[n++] = (uint8_t)value;
    return n;
}

static void proto_raw(struct shop_text *text, uint64_t value)
{
    uint8_t bytes[10];
    shop_text_put(text, bytes, proto_encode(value, bytes));
}

enum { PROTO_VARINT = 0, PROTO_FIXED64 = 1, PROTO_BYTES = 2 };

void shop_proto_varint(struct shop_text *text, uint32_t field, uint64_t value)
{
    proto_raw(text, ((uint64_t)field << 3) | PROTO_VARINT);
    proto_raw(text, value);
}

void shop_proto_fixed64(struct shop_text *text, uint32_t field, uint64_t value)
{
    uint8_t bytes[8];
    for (int i = 0; i < 8; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    proto_raw(text, ((uint64_t)field << 3) | PROTO_FIXED64);
    shop_text_put(text, bytes, sizeof(bytes));
}

void shop_proto_double(struct shop_text *text, uint32_t field, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    shop_proto_fixed64(text, field, bits);
}

void shop_proto_bytes(struct shop_text *text, uint32_t field, const void *at, size_t bytes)
{
    proto_raw(text, ((uint64_t)field << 3) | PROTO_BYTES);
    proto_raw(text, bytes);
    shop_text_put(text, at, bytes);
}

void shop_proto_string(struct shop_text *text, uint32_t field, const char *nul_terminated)
{
    shop_proto_bytes(text, field, nul_terminated, strlen(nul_terminated));
}

size_t shop_proto_begin(struct shop_text *text, uint32_t field)
{
    proto_raw(text, ((uint64_t)field << 3) | PROTO_BYTES);
    return text->bytes;
}

void shop_proto_end(struct shop_text *text, size_t mark)
{
    uint8_t length[10];
    const size_t bytes = text->bytes - mark, n = proto_encode(bytes, length);
    (void)text_room(text, n);
    memmove(text->at + mark + n, text->at + mark, bytes);
    memcpy(text->at + mark, length, n);
    text->bytes += n;
}

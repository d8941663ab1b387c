/* text.h - a growable run of bytes. Running out of memory ends the program: this is a
 * simulator on somebody's desk, not a service. */
#ifndef SHOP_TEXT_H
#define SHOP_TEXT_H

#include <stddef.h>
#include <stdint.h>

struct shop_text { char *at; size_t bytes, capacity; };

void shop_text_fini(struct shop_text *text);
void shop_text_reset(struct shop_text *text); /* keeps the storage */
void shop_text_put(struct shop_text *text, const void *at, size_t bytes);
void shop_text_add(struct shop_text *text, const char *nul_terminated);
void shop_text_printf(struct shop_text *text, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The four ways of protobuf to write a field, and a message inside a message. */
void shop_proto_varint(struct shop_text *text, uint32_t field, uint64_t value);
void shop_proto_fixed64(struct shop_text *text, uint32_t field, uint64_t value);
void shop_proto_double(struct shop_text *text, uint32_t field, double value);
void shop_proto_bytes(struct shop_text *text, uint32_t field, const void *at, size_t bytes);
void shop_proto_string(struct shop_text *text, uint32_t field, const char *nul_terminated);
/* Everything written between begin and end becomes the message `field`; they nest. */
size_t shop_proto_begin(struct shop_text *text, uint32_t field);
void shop_proto_end(struct shop_text *text, size_t mark);

#endif

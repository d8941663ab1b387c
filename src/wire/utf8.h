/* utf8.h - is this text UTF-8 (RFC 3629: no overlong forms, no surrogates, <= U+10FFFF)? */
#ifndef QL_WIRE_UTF8_H
#define QL_WIRE_UTF8_H

#include "base/base.h"

/* The bytes of the well-formed character at `at`, 0 when there is none; left > 0. */
size_t ql_utf8_step(const unsigned char *at, size_t left);
bool ql_utf8_valid(ql_str text);

#endif

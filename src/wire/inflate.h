/* inflate.h - a request's body as it was before the sender compressed it.
 *
 * The limit holds for the result, whatever a header promises: a small body that would
 * grow past it is refused while growing, and no more than the limit is ever allocated.
 *
 * Ownership     gives one reference to the blob. Behind its bytes stand QL_INFLATE_SLACK
 *               zero bytes, so that a parser may load whole words near the end.
 * Errors        QL_E_TOO_LARGE, QL_E_MALFORMED (not that encoding, cut off, or followed by
 *               something else), QL_E_UNSUPPORTED (no such encoding), QL_E_MEMORY.
 * Bounds        O(result); memory at most about twice the limit while growing.
 */
#ifndef QL_WIRE_INFLATE_H
#define QL_WIRE_INFLATE_H

#include "base/base.h"
#include "model/batch.h"
#include "wire/wire.h"

#define QL_INFLATE_SLACK 64u

QL_MUST_USE ql_err ql_inflate(enum ql_encoding encoding, ql_str in, size_t bytes_max,
                              struct ql_blob **ret_blob);

#endif

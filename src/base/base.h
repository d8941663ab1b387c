/* base.h - the words every other file may use: errors, assertions, time, slices.
 *
 * Units         one-field structs carry the unit in the type, so wall-clock times,
 *               durations and plain numbers cannot be mixed by accident.
 * Ownership     nothing here allocates.
 * Threads       everything here is safe from any thread.
 * Errors        ql_err is 0 on success and negative on failure; every fallible
 *               function is QL_MUST_USE and leaves its outputs untouched on failure.
 */
#ifndef QL_BASE_BASE_H
#define QL_BASE_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define QL_MUST_USE __attribute__((warn_unused_result))
#define QL_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define QL_COUNT_OF(a) (sizeof(a) / sizeof((a)[0]))
#define QL_VERSION "0.1.0"

/* One line per error. The code is stable for ever: it is written to journals.
 * The class says who must react, and so how it is reported.
 *   BUG   we are wrong            -> never returned; QL_ASSERT stops the process
 *   OPER  the world is unhelpful  -> caller retries, degrades or reports once
 *   DATA  the telemetry is bad    -> counted and refused, never logged per record
 *   CONF  the operator's settings -> refused at load, with line and column
 */
#define QL_ERR_MAP(X)                                                                  \
    X(FULL,        -1, OPER, "a bounded container is full")                            \
    X(IO,          -2, OPER, "reading or writing failed")                              \
    X(TIMEOUT,     -3, OPER, "the deadline passed")                                    \
    X(MALFORMED,   -4, DATA, "the input does not parse")                               \
    X(RANGE,       -5, DATA, "a value lies outside its allowed range")                 \
    X(STALE,       -6, DATA, "the record is older than the reorder window")            \
    X(CONFIG,      -7, CONF, "a setting is unknown, missing or out of range")          \
    X(VERSION,     -8, CONF, "written by a version this build does not read")          \
    X(NOT_FOUND,   -9, OPER, "no such thing")                                          \
    X(CLOSED,     -10, OPER, "the other side is shut down")                            \
    X(MEMORY,     -11, OPER, "no memory")                                              \
    X(TOO_LARGE,  -12, DATA, "the input is larger than its limit")                     \
    X(UNSUPPORTED,-13, DATA, "a valid input of a kind this build does not take")       \
    X(CONFLICT,   -14, OPER, "the thing is in a state that does not allow this")

typedef enum ql_err {
    QL_OK = 0,
#define X(name, code, class_, text) QL_E_##name = (code),
    QL_ERR_MAP(X)
#undef X
} ql_err;

enum ql_err_class { QL_CLASS_NONE, QL_CLASS_BUG, QL_CLASS_OPER, QL_CLASS_DATA, QL_CLASS_CONF };

const char *ql_err_text(ql_err err);              /* static storage; never NULL */
const char *ql_err_name(ql_err err);              /* "FULL", "IO", ...; never NULL */
enum ql_err_class ql_err_class_of(ql_err err);

/* Always on, in release too. One condition each; never on outside data. */
#define QL_ASSERT(cond) ((cond) ? (void)0 : ql_assert_failed(#cond, __FILE__, __LINE__))
_Noreturn void ql_assert_failed(const char *cond, const char *file, int line);

typedef struct { int64_t ns; } ql_time;     /* wall clock, UTC, since the Unix epoch */
typedef struct { int64_t ns; } ql_duration; /* a difference between two ql_time      */

#define QL_NS_PER_S INT64_C(1000000000)
#define QL_MS(n) ((ql_duration){ (int64_t)(n) * 1000000 })
#define QL_S(n) ((ql_duration){ (int64_t)(n) * QL_NS_PER_S })
#define QL_MIN(n) QL_S((int64_t)(n) * 60)
#define QL_TIME_NONE ((ql_time){ INT64_MIN }) /* "not set"; earlier than every real time */

static inline ql_duration ql_time_since(ql_time later, ql_time earlier)
{
    return (ql_duration){ later.ns - earlier.ns };
}
static inline ql_time ql_time_add(ql_time t, ql_duration d) { return (ql_time){ t.ns + d.ns }; }
static inline bool ql_time_before(ql_time a, ql_time b) { return a.ns < b.ns; }
static inline double ql_time_s(ql_time t) { return (double)t.ns / 1e9; }
static inline double ql_duration_s(ql_duration d) { return (double)d.ns / 1e9; }
static inline ql_time ql_time_from_ms(int64_t ms) { return (ql_time){ ms * 1000000 }; }
static inline int64_t ql_time_to_ms(ql_time t)
{
    /* Floors, so that times before 1970 round the same way as later ones. */
    const int64_t q = t.ns / 1000000, r = t.ns % 1000000;
    return r < 0 ? q - 1 : q;
}

/* "2026-01-05T09:00:00.123Z" and back. The text needs QL_TIME_TEXT_BYTES incl. NUL. */
#define QL_TIME_TEXT_BYTES 32
const char *ql_time_text(ql_time t, char out[QL_TIME_TEXT_BYTES]); /* returns out */

/* A borrowed run of bytes; not NUL-terminated. Valid as long as its owner says. */
typedef struct { const char *at; size_t bytes; } ql_str;

#define QL_STR(literal) ((ql_str){ "" literal, sizeof(literal) - 1 })
#define QL_STR_ARG(s) (int)(s).bytes, (s).at /* for "%.*s" */

static inline ql_str ql_str_of(const char *nul_terminated)
{
    return (ql_str){ nul_terminated, strlen(nul_terminated) };
}
static inline bool ql_str_eq(ql_str a, ql_str b)
{
    return a.bytes == b.bytes && (a.bytes == 0 || memcmp(a.at, b.at, a.bytes) == 0);
}
int ql_str_cmp(ql_str a, ql_str b); /* bytewise; a prefix sorts first */
bool ql_str_starts(ql_str s, ql_str prefix);
bool ql_str_ends(ql_str s, ql_str suffix);

/* Parses a whole slice: nothing may be left over. QL_E_MALFORMED or QL_E_RANGE. */
QL_MUST_USE ql_err ql_str_to_i64(ql_str s, int64_t *ret_value);
QL_MUST_USE ql_err ql_str_to_double(ql_str s, double *ret_value); /* takes NaN, +Inf, -Inf */
/* RFC 3339, "YYYY-MM-DD HH:MM:SS[.fff]" as UTC, or seconds since 1970 with fraction. */
QL_MUST_USE ql_err ql_str_to_time(ql_str s, ql_time *ret_time);
/* "90s", "5m", "1h30m", "250ms", "2d". */
QL_MUST_USE ql_err ql_str_to_duration(ql_str s, ql_duration *ret_duration);

/* XXH3 of bytes, fixed seed: the same on every machine and in every run. */
typedef struct { uint64_t high, low; } ql_hash128;
uint64_t ql_hash64(const void *at, size_t bytes);
ql_hash128 ql_hash128_of(const void *at, size_t bytes);
static inline bool ql_hash128_eq(ql_hash128 a, ql_hash128 b)
{
    return a.low == b.low && a.high == b.high;
}

#endif

/* log.h - what the program says about itself: one structured line per event on stderr.
 *
 * logfmt ("time=... level=info msg=... key=value") or JSON, chosen once at start.
 * Programs report, libraries return errors; telemetry is never logged per record.
 *
 * Threads       any; a line is written with one write(2) and never torn.
 * Bounds        a line longer than 4 KiB is cut and says so.
 */
#ifndef QL_BASE_LOG_H
#define QL_BASE_LOG_H

#include "base/base.h"

enum ql_log_level { QL_LOG_DEBUG, QL_LOG_INFO, QL_LOG_WARN, QL_LOG_ERROR };
enum ql_log_format { QL_LOG_LOGFMT, QL_LOG_JSON };

/* A value is a text or a number; keys are literals. End of list: { NULL }. */
struct ql_log_field {
    const char *key;
    const char *text; /* NULL: use number */
    double number;
};
#define QL_LOG_T(key, text) { (key), (text), 0.0 }
#define QL_LOG_N(key, number) { (key), NULL, (double)(number) }

void ql_log_setup(enum ql_log_level level_min, enum ql_log_format format);
void ql_log_write(enum ql_log_level level, const char *message,
                  const struct ql_log_field *fields); /* fields may be NULL */
/* QL_LOG(INFO, "listening", QL_LOG_T("address", "127.0.0.1"), QL_LOG_N("port", 9428)); */
#define QL_LOG(level, ...) QL_LOG_(level, __VA_ARGS__, { NULL, NULL, 0.0 })
#define QL_LOG_(level, message, ...) \
    ql_log_write(QL_LOG_##level, (message), (const struct ql_log_field[]){ __VA_ARGS__ })

#endif

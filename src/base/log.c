#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* A line is cut at the soft limit, but never inside a UTF-8 character or an escape; what
 * lies above the hard limit is kept for closing quotes and the mark of a cut line. */
enum { LOG_LINE_BYTES_MAX = 4096, LOG_SOFT_BYTES = 4096 - 64, LOG_HARD_BYTES = 4096 - 32 };

/* The one setting that has no handle: a line may be due before any handle exists. */
static _Atomic int log_level_min = QL_LOG_INFO;
static _Atomic int log_format = QL_LOG_LOGFMT;

struct log_line {
    char text[LOG_LINE_BYTES_MAX];
    size_t bytes;
    bool cut;
};

void ql_log_setup(enum ql_log_level level_min, enum ql_log_format format)
{
    atomic_store(&log_level_min, (int)level_min);
    atomic_store(&log_format, (int)format);
}

static void line_mark(struct log_line *line, const char *structure)
{
    const size_t bytes = strlen(structure);
    QL_ASSERT(line->bytes + bytes <= sizeof(line->text));
    memcpy(line->text + line->bytes, structure, bytes);
    line->bytes += bytes;
}

/* Text that stays whole or is left out. */
static void line_piece(struct log_line *line, const char *piece, size_t bytes)
{
    const bool inside_character = ((unsigned char)*piece & 0xC0) == 0x80;
    if (line->cut || line->bytes + bytes > (inside_character ? LOG_HARD_BYTES : LOG_SOFT_BYTES)) {
        line->cut = true;
        return;
    }
    memcpy(line->text + line->bytes, piece, bytes);
    line->bytes += bytes;
}

static void line_text(struct log_line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        line_piece(line, text, 1);
    }
}

/* Both formats quote alike: a line never contains a raw control character. */
static void line_quoted(struct log_line *line, const char *text)
{
    line_mark(line, "\"");
    for (; *text != '\0'; text++) {
        char escape[8];
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            line_piece(line, (const char[]){ '\\', (char)c }, 2);
        } else if (c == '\n') {
            line_piece(line, "\\n", 2);
        } else if (c < 0x20 || c == 0x7f) {
            (void)snprintf(escape, sizeof(escape), "\\u00%02x", c);
            line_piece(line, escape, 6);
        } else {
            line_piece(line, text, 1);
        }
    }
    line_mark(line, "\"");
}

static bool text_is_plain(const char *text)
{
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text <= ' ' || *text == '"' || *text == '=' || *text == '\\' ||
            *text == 0x7f) {
            return false;
        }
    }
    return true;
}

static void line_pair(struct log_line *line, int format, const char *key, const char *text)
{
    if (line->cut) {
        return;
    }
    if (format == QL_LOG_JSON) {
        line_mark(line, line->bytes == 0 ? "{" : ",");
        line_quoted(line, key);
        line_mark(line, ":");
        line_quoted(line, text);
        return;
    }
    line_mark(line, line->bytes == 0 ? "" : " ");
    line_text(line, key);
    line_mark(line, "=");
    if (text_is_plain(text)) {
        line_text(line, text);
    } else {
        line_quoted(line, text);
    }
}

static void line_number(struct log_line *line, int format, const char *key, double number)
{
    char text[40];
    const bool whole = fabs(number) < 1e15 && number == floor(number);
    (void)snprintf(text, sizeof(text), whole ? "%.0f" : "%.6g", number);
    if (format == QL_LOG_JSON && isfinite(number) && !line->cut) {
        line_mark(line, ",");
        line_quoted(line, key);
        line_mark(line, ":");
        line_text(line, line->cut ? "" : text);
        line_mark(line, line->cut ? "null" : "");
        return;
    }
    line_pair(line, format, key, text);
}

static void line_end(struct log_line *line, int format)
{
    if (line->cut) {
        line_mark(line, format == QL_LOG_JSON ? ",\"cut\":true" : " cut=true");
    }
    line_mark(line, format == QL_LOG_JSON ? "}\n" : "\n");
}

void ql_log_write(enum ql_log_level level, const char *message, const struct ql_log_field *fields)
{
    static const char *const names[] = { "debug", "info", "warn", "error" };
    struct log_line line;
    char time_text[QL_TIME_TEXT_BYTES];
    QL_ASSERT(message != NULL);
    if ((int)level < atomic_load_explicit(&log_level_min, memory_order_relaxed)) {
        return;
    }
    const int format = atomic_load_explicit(&log_format, memory_order_relaxed);
    line.bytes = 0;
    line.cut = false;
    line_pair(&line, format, "time", ql_time_text(ql_clock_now(), time_text));
    line_pair(&line, format, "level", names[level]);
    line_pair(&line, format, "msg", message);
    for (; fields != NULL && fields->key != NULL; fields++) {
        if (fields->text != NULL) {
            line_pair(&line, format, fields->key, fields->text);
        } else {
            line_number(&line, format, fields->key, fields->number);
        }
    }
    line_end(&line, format);
    if (write(STDERR_FILENO, line.text, line.bytes) < 0) {
        return; /* nowhere left to say it */
    }
}

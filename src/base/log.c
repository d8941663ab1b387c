#include "base/log.h"

#include "base/buf.h"
#include "base/clock.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

enum { LOG_LINE_BYTES_MAX = 4096 };

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

static void line_char(struct log_line *line, char c)
{
    /* The last bytes are kept for the mark of a cut line and its end. */
    if (line->bytes + 32 >= sizeof(line->text)) {
        line->cut = true;
        return;
    }
    line->text[line->bytes++] = c;
}

static void line_text(struct log_line *line, const char *text)
{
    for (; *text != '\0'; text++) {
        line_char(line, *text);
    }
}

/* Both formats quote alike: a line never contains a raw control character. */
static void line_quoted(struct log_line *line, const char *text)
{
    static const char hex[] = "0123456789abcdef";
    line_char(line, '"');
    for (; *text != '\0'; text++) {
        const unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') {
            line_char(line, '\\');
            line_char(line, (char)c);
        } else if (c == '\n') {
            line_text(line, "\\n");
        } else if (c < 0x20 || c == 0x7f) {
            line_text(line, "\\u00");
            line_char(line, hex[c >> 4]);
            line_char(line, hex[c & 15]);
        } else {
            line_char(line, (char)c);
        }
    }
    line_char(line, '"');
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
    if (format == QL_LOG_JSON) {
        line_char(line, line->bytes == 0 ? '{' : ',');
        line_quoted(line, key);
        line_char(line, ':');
        line_quoted(line, text);
        return;
    }
    if (line->bytes > 0) {
        line_char(line, ' ');
    }
    line_text(line, key);
    line_char(line, '=');
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
    if (format == QL_LOG_JSON && isfinite(number)) {
        line_char(line, ',');
        line_quoted(line, key);
        line_char(line, ':');
        line_text(line, text);
        return;
    }
    line_pair(line, format, key, text);
}

static void line_end(struct log_line *line, int format)
{
    const char *mark = format == QL_LOG_JSON ? "\"cut\":true" : " cut=true";
    if (line->cut) {
        /* A cut JSON line may end inside a string: say so outside of any parser. */
        const size_t bytes = strlen(mark);
        memcpy(line->text + line->bytes, mark, bytes);
        line->bytes += bytes;
    }
    if (format == QL_LOG_JSON) {
        line->text[line->bytes++] = '}';
    }
    line->text[line->bytes++] = '\n';
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

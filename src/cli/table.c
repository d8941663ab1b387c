/* table.c - widths, cuts and colours. */
#include "cli/table.h"

#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { GAP = 2, TEXTS_BYTES_MAX = 64 << 20, CELL_BYTES_MAX = 4096 };

/* ---- the terminal ------------------------------------------------------------------- */

struct ql_term ql_term_of(FILE *stream)
{
    struct ql_term term = { .columns = 0 };
    struct winsize size;
    const char *kind = getenv("TERM");
    const char *refusal = getenv("NO_COLOR");
    if (isatty(fileno(stream)) == 0) {
        return term;
    }
    term.columns =
        ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col >= 20 ? size.ws_col : 80;
    term.colour =
        (refusal == NULL || refusal[0] == '\0') && kind != NULL && strcmp(kind, "dumb") != 0;
    return term;
}

static const char *term_code(enum ql_paint paint)
{
    static const char *const codes[] = {
        [QL_PAINT_NONE] = "",        [QL_PAINT_DIM] = "\033[2m",    [QL_PAINT_BOLD] = "\033[1m",
        [QL_PAINT_RED] = "\033[31m", [QL_PAINT_GREEN] = "\033[32m", [QL_PAINT_YELLOW] = "\033[33m",
        [QL_PAINT_CYAN] = "\033[36m"
    };
    return codes[paint];
}

/* Bytes of the character at `at`; it is 0 past the end. */
static size_t term_char_bytes(ql_str text, size_t at)
{
    size_t end = at + 1;
    while (end < text.bytes && ((unsigned char)text.at[end] & 0xc0) == 0x80) {
        end++;
    }
    return at < text.bytes ? end - at : 0;
}

static uint32_t term_width(ql_str text)
{
    uint32_t width = 0;
    for (size_t at = 0; at < text.bytes; at += term_char_bytes(text, at)) {
        width++;
    }
    return width;
}

/* C0, DEL and the C1 set (U+0080 to U+009F), which some terminals obey too. */
static bool term_is_control(ql_str text, size_t at)
{
    const unsigned char c = (unsigned char)text.at[at];
    return c < 0x20 || c == 0x7f ||
           (c == 0xc2 && at + 1 < text.bytes && (unsigned char)text.at[at + 1] < 0xa0);
}

static void term_clean(struct ql_buf *out, ql_str text)
{
    for (size_t at = 0; at < text.bytes;) {
        const size_t bytes = term_char_bytes(text, at);
        if (term_is_control(text, at)) {
            ql_buf_char(out, ' ');
        } else {
            ql_buf_put(out, text.at + at, bytes);
        }
        at += bytes;
    }
}

void ql_term_text(const struct ql_term *term, struct ql_buf *out, enum ql_paint paint, ql_str text)
{
    const bool painted = term->colour && paint != QL_PAINT_NONE && text.bytes > 0;
    ql_buf_text(out, painted ? term_code(paint) : "");
    term_clean(out, text);
    ql_buf_text(out, painted ? "\033[0m" : "");
}

static void term_blanks(struct ql_buf *out, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        ql_buf_char(out, ' ');
    }
}

void ql_term_wrap(const struct ql_term *term, struct ql_buf *out, uint32_t indent, ql_str text)
{
    uint32_t used = 0;
    for (size_t at = 0; at < text.bytes;) {
        size_t end = at;
        while (end < text.bytes && text.at[end] != ' ' && text.at[end] != '\n') {
            end++;
        }
        const ql_str word = { text.at + at, end - at };
        const uint32_t width = term_width(word);
        at = end + 1;
        if (width == 0) {
            continue;
        }
        if (used > 0 && term->columns > 0 && used + 1 + width > term->columns) {
            ql_buf_char(out, '\n');
            used = 0;
        }
        term_blanks(out, used == 0 ? indent : 1);
        term_clean(out, word);
        used += width + (used == 0 ? indent : 1);
    }
    ql_buf_char(out, '\n');
}

/* ---- the table ---------------------------------------------------------------------- */

void ql_table_init(struct ql_table *table, const struct ql_table_column *columns, uint32_t count)
{
    QL_ASSERT(count > 0 && count <= QL_TABLE_COLUMNS_MAX);
    *table = (struct ql_table){ .columns = columns, .column_count = count };
    ql_arena_init(&table->texts, TEXTS_BYTES_MAX);
}

void ql_table_fini(struct ql_table *table)
{
    ql_arena_fini(&table->texts);
    free(table->cells);
    table->cells = NULL;
}

void ql_table_str(struct ql_table *table, enum ql_paint paint, ql_str text)
{
    if (table->cell_count == table->cell_capacity) {
        const uint32_t capacity = table->cell_capacity == 0 ? 256 : table->cell_capacity * 2;
        struct ql_table_cell *cells = realloc(table->cells, capacity * sizeof(*cells));
        if (cells == NULL) {
            table->failed = true;
            return;
        }
        table->cells = cells;
        table->cell_capacity = capacity;
    }
    const ql_str copy = ql_arena_str(&table->texts, text);
    table->failed = table->failed || (copy.at == NULL && text.bytes > 0);
    table->cells[table->cell_count++] =
        (struct ql_table_cell){ .text = copy.at != NULL ? copy : QL_STR(""), .paint = paint };
}

void ql_table_cell(struct ql_table *table, enum ql_paint paint, const char *format, ...)
{
    char text[CELL_BYTES_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    ql_table_str(table, paint, ql_str_of(text));
}

#define HIDDEN UINT32_MAX /* as the width of a column that is left out */

static uint32_t table_total(const struct ql_table *table, const uint32_t *widths, uint32_t indent)
{
    uint32_t total = indent, shown = 0;
    for (uint32_t c = 0; c < table->column_count; c++) {
        total += widths[c] == HIDDEN ? 0 : widths[c] + (shown++ > 0 ? GAP : 0);
    }
    return total;
}

/* Takes from the widest column that may be cut, one character at a time. */
static bool table_cut_columns(const struct ql_table *table, uint32_t columns_max, uint32_t indent,
                              uint32_t *widths)
{
    while (table_total(table, widths, indent) > columns_max) {
        uint32_t widest = HIDDEN;
        for (uint32_t c = 0; c < table->column_count; c++) {
            const uint32_t floor = table->columns[c].width_min;
            if (floor > 0 && widths[c] != HIDDEN && widths[c] > floor &&
                (widest == HIDDEN || widths[c] > widths[widest])) {
                widest = c;
            }
        }
        if (widest == HIDDEN) {
            return false;
        }
        widths[widest]--;
    }
    return true;
}

static void table_natural(const struct ql_table *table, uint32_t *ret_widths)
{
    for (uint32_t c = 0; c < table->column_count; c++) {
        ret_widths[c] = term_width(ql_str_of(table->columns[c].title));
    }
    for (uint32_t i = 0; i < table->cell_count; i++) {
        const uint32_t width = term_width(table->cells[i].text);
        uint32_t *widest = &ret_widths[i % table->column_count];
        *widest = width > *widest ? width : *widest;
    }
}

static void table_widths(const struct ql_table *table, uint32_t columns_max, uint32_t indent,
                         uint32_t *ret_widths)
{
    uint32_t natural[QL_TABLE_COLUMNS_MAX];
    table_natural(table, natural);
    memcpy(ret_widths, natural, sizeof(natural));
    for (uint32_t spare = table->column_count; columns_max > 0;) {
        memcpy(ret_widths, natural, sizeof(natural));
        if (table_cut_columns(table, columns_max, indent, ret_widths)) {
            return;
        }
        while (spare > 0 && !table->columns[spare - 1].spare) {
            spare--;
        }
        if (spare == 0) {
            return;
        }
        natural[--spare] = HIDDEN;
    }
}

/* The first characters of a text that is too long, with an ellipsis as the last. */
static ql_str table_cut(ql_str text, uint32_t width, bool *ret_cut)
{
    size_t at = 0;
    *ret_cut = term_width(text) > width;
    for (uint32_t i = 0; *ret_cut && i + 1 < width; i++) {
        at += term_char_bytes(text, at);
    }
    return *ret_cut ? (ql_str){ text.at, at } : text;
}

/* Ends a line; a last cell that is empty leaves no blanks behind. */
static void table_end(struct ql_buf *out)
{
    while (out->bytes > 0 && out->at[out->bytes - 1] == ' ') {
        out->bytes--;
    }
    ql_buf_char(out, '\n');
}

static void table_put(const struct ql_term *term, struct ql_buf *out,
                      const struct ql_table_cell *cell, uint32_t width, bool right)
{
    bool cut;
    const ql_str text = table_cut(cell->text, width, &cut);
    const uint32_t used = term_width(text) + (cut ? 1 : 0);
    const uint32_t blanks = used < width ? width - used : 0;
    term_blanks(out, right ? blanks : 0);
    ql_term_text(term, out, cell->paint, text);
    ql_buf_text(out, cut ? "…" : "");
    term_blanks(out, (right ? 0 : blanks) + GAP);
}

/* `cells` has one for each column. */
static void table_line(const struct ql_table *table, const struct ql_term *term, uint32_t indent,
                       const struct ql_table_cell *cells, const uint32_t *widths,
                       struct ql_buf *out)
{
    term_blanks(out, indent);
    for (uint32_t c = 0; c < table->column_count; c++) {
        if (widths[c] != HIDDEN) {
            table_put(term, out, &cells[c], widths[c], table->columns[c].right);
        }
    }
    table_end(out);
}

ql_err ql_table_render(const struct ql_table *table, const struct ql_term *term, uint32_t indent,
                       struct ql_buf *out)
{
    uint32_t widths[QL_TABLE_COLUMNS_MAX];
    struct ql_table_cell titles[QL_TABLE_COLUMNS_MAX];
    QL_ASSERT(table->failed || table->cell_count % table->column_count == 0);
    table_widths(table, term->columns, indent, widths);
    for (uint32_t c = 0; c < table->column_count; c++) {
        titles[c] = (struct ql_table_cell){ ql_str_of(table->columns[c].title), QL_PAINT_DIM };
    }
    table_line(table, term, indent, titles, widths, out);
    for (uint32_t i = 0; i + table->column_count <= table->cell_count; i += table->column_count) {
        table_line(table, term, indent, &table->cells[i], widths, out);
    }
    return table->failed ? QL_E_MEMORY : ql_buf_check(out);
}

/* ---- spans of time ------------------------------------------------------------------ */

const char *ql_span_short(ql_duration span, char out[QL_SPAN_TEXT_BYTES])
{
    const long long s = span.ns / QL_NS_PER_S;
    const char *sign = s < 0 ? "-" : "";
    const long long n = s < 0 ? -s : s;
    if (n < 60) {
        (void)snprintf(out, QL_SPAN_TEXT_BYTES, "%s%llds", sign, n);
    } else if (n < 3600) {
        (void)snprintf(out, QL_SPAN_TEXT_BYTES, "%s%lldm", sign, n / 60);
    } else if (n < 2 * 86400) {
        (void)snprintf(out, QL_SPAN_TEXT_BYTES, "%s%lldh", sign, n / 3600);
    } else {
        (void)snprintf(out, QL_SPAN_TEXT_BYTES, "%s%lldd", sign, n / 86400);
    }
    return out;
}

static void span_pair(char out[QL_SPAN_TEXT_BYTES], long long big, const char *big_unit,
                      long long small, const char *small_unit)
{
    if (small == 0) {
        (void)snprintf(out, QL_SPAN_TEXT_BYTES, "%lld %s", big, big_unit);
    } else {
        (void)snprintf(out, QL_SPAN_TEXT_BYTES, "%lld %s %lld %s", big, big_unit, small,
                       small_unit);
    }
}

const char *ql_span_long(ql_duration span, char out[QL_SPAN_TEXT_BYTES])
{
    const long long s = span.ns < 0 ? 0 : span.ns / QL_NS_PER_S;
    if (s < 60) {
        (void)snprintf(out, QL_SPAN_TEXT_BYTES, "%lld s", s);
    } else if (s < 3600) {
        span_pair(out, s / 60, "min", s % 60, "s");
    } else if (s < 86400) {
        span_pair(out, s / 3600, "h", s % 3600 / 60, "min");
    } else {
        span_pair(out, s / 86400, "d", s % 86400 / 3600, "h");
    }
    return out;
}

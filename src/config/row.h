/* row.h - one row describes one setting, wherever in the file it stands.
 *
 * settings.def and the tables of lists.c are rows; everything that reads, checks, shows
 * or documents a setting walks rows and knows nothing about single settings.
 *
 * Units         DURATION is kept in seconds, BYTES in bytes, both as double.
 * Ownership     rows are static const; texts that are read go to the caller's arena.
 * Errors        cf_value_read: QL_E_CONFIG with a text for people; QL_E_MEMORY.
 * Threads       any.
 */
#ifndef QL_CONFIG_ROW_H
#define QL_CONFIG_ROW_H

#include "base/arena.h"
#include "base/base.h"
#include "base/buf.h"

enum cf_type {
    CF_TEXT,     /* const char *, not empty */
    CF_ADDRESS,  /* const char *, HOST:PORT */
    CF_CHOICE,   /* const char *, one of `allowed` */
    CF_MODE,     /* enum ql_act_mode */
    CF_BOOL,     /* bool */
    CF_COUNT,    /* uint32_t */
    CF_REAL,     /* double */
    CF_DURATION, /* double, seconds */
    CF_BYTES,    /* double */
    CF_TEXTS,    /* const char ** and a count: [a, b] */
    CF_VARIABLES, /* the same; what stands behind a '=' may be a secret and is never shown */
    CF_PAIRS,    /* two const char ** and a count: {name: value} */
    CF_ITEMS,    /* an array of structs and a count: - {...} */
    CF_STEPS     /* the same, but the array lies in the struct itself */
};

struct cf_table;

struct cf_row {
    const char *key;
    enum cf_type type;
    size_t at, count_at, values_at; /* offsets into the struct; the last two for lists */
    const char *fallback;           /* as a person writes it; NULL: must be given */
    const char *allowed;            /* "1 to 64", "a, b, c" or free text */
    const char *sentence;
    const struct cf_table *items;   /* ITEMS, STEPS */
    uint32_t count_max;             /* lists */
    const char *section;            /* settings.def only, else NULL */
    uint32_t given;                 /* bit set at given_at when it stands in the file; such a */
    size_t given_at;                /* row has no default: not given is a state of its own */
};

struct cf_problems;
struct cf_node;

struct cf_table {
    const char *noun;       /* "a scrape" */
    const struct cf_row *rows;
    uint32_t row_count;
    size_t item_bytes;
    const char *unique_key; /* no two items may share its value; NULL: none */
    /* What one row alone cannot check or default; `node` is the item's map. May be NULL. */
    void (*check)(struct cf_problems *problems, const struct cf_node *node, void *item);
};

struct cf_section { const char *name, *sentence; };

extern const struct cf_row cf_settings[];
extern const uint32_t cf_setting_count;
extern const struct cf_section cf_sections[];
extern const uint32_t cf_section_count;
extern const struct cf_row cf_lists[]; /* scrapes, runbooks, edges */
extern const uint32_t cf_list_count;

/* The settings of one section stand together: its first row and their number. */
const struct cf_row *cf_section_rows(const char *section, uint32_t *ret_count);

/* Reads one single-valued row from its text into `object`. `why` (may be NULL) gets what
 * was found and what is allowed, in one line. */
QL_MUST_USE ql_err cf_value_read(const struct cf_row *row, ql_str text, struct ql_arena *arena,
                                 void *object, char *ret_why, size_t why_bytes);
/* The other way: the text that reads back to the same value. */
ql_err cf_value_show(const struct cf_row *row, const void *object, struct ql_buf *out);
/* A YAML scalar: plain where that is safe, else in double quotes. */
ql_err cf_text_show(const char *text, struct ql_buf *out);

/* The nearest of `count` known words by edit distance, or NULL when none is near. */
const char *cf_nearest(ql_str word, const char *const *known, uint32_t count);
uint32_t cf_distance(ql_str a, ql_str b); /* Levenshtein; texts over 64 bytes: 64 */

static inline bool cf_is_single(enum cf_type type) { return type < CF_TEXTS; }

#endif

/* journal_test - what was written comes back, in order, and damage is never skipped. */
#include "engine/journal.h"

#include "base/rng.h"

#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place { char dir[64]; struct ql_buf why; };

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/ql-journal-XXXXXX");
    ql_buf_init(&place->why, 4096);
    *state = place;
    return mkdtemp(place->dir) == NULL;
}

static void each_file(const char *dir, void (*fn)(const char *path, void *context), void *context)
{
    DIR *handle = opendir(dir);
    assert_non_null(handle);
    for (struct dirent *entry; (entry = readdir(handle)) != NULL;) {
        char path[512];
        if (entry->d_name[0] != '.') {
            (void)snprintf(path, sizeof(path), "%s/%s", dir, entry->d_name);
            fn(path, context);
        }
    }
    (void)closedir(handle);
}

static void file_remove(const char *path, void *context)
{
    (void)context;
    (void)unlink(path);
}

static int teardown(void **state)
{
    struct place *place = *state;
    each_file(place->dir, file_remove, NULL);
    (void)rmdir(place->dir);
    ql_buf_fini(&place->why);
    free(place);
    return 0;
}

static struct ql_journal *open_journal(struct place *place)
{
    struct ql_journal *journal = NULL;
    assert_int_equal(ql_journal_open(place->dir, &journal, &place->why), QL_OK);
    return journal;
}

/* One record with a body of `sequence` bytes of its own letter. */
static ql_err write_record(struct ql_journal *journal, uint64_t sequence, bool sync)
{
    struct ql_buf encoded;
    char body[1000];
    struct ql_journal_record record = { .sequence = sequence, .kind = 1,
                                        .now_ns = (int64_t)sequence * 10 };
    memset(body, (int)('a' + sequence % 26), sizeof(body));
    ql_buf_init(&encoded, 1 << 20);
    assert_int_equal(ql_journal_encode(&record, QL_STR("origin"),
                                       (ql_str){ body, (size_t)(sequence % 1000) }, &encoded),
                     QL_OK);
    const ql_err err = ql_journal_write(journal, ql_buf_view(&encoded), sequence, sync);
    ql_buf_fini(&encoded);
    return err;
}

static void write_records(struct ql_journal *journal, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++) {
        assert_int_equal(write_record(journal, sequence, false), QL_OK);
    }
}

/* Reads from `from`; asserts contiguous whole records; returns the last sequence. */
static uint64_t read_records(struct place *place, uint64_t from, ql_err want_end)
{
    struct ql_journal_reader *reader;
    struct ql_journal_record record;
    ql_str origin, body;
    uint64_t last = from - 1;
    ql_err err;
    assert_int_equal(ql_journal_reader_open(place->dir, from, &reader), QL_OK);
    while ((err = ql_journal_next(reader, &record, &origin, &body, &place->why)) == QL_OK) {
        assert_int_equal(record.sequence, last + 1);
        assert_true(ql_str_eq(origin, QL_STR("origin")));
        assert_int_equal(body.bytes, record.sequence % 1000);
        for (size_t i = 0; i < body.bytes; i++) {
            assert_int_equal(body.at[i], (char)('a' + record.sequence % 26));
        }
        last = record.sequence;
    }
    assert_int_equal(err, want_end);
    ql_journal_reader_close(reader);
    return last;
}

static void comes_back_in_order_over_segments(void **state)
{
    struct place *place = *state;
    struct ql_journal *journal = open_journal(place);
    assert_int_equal(ql_journal_last(journal), 0);
    write_records(journal, 1, 100);
    assert_int_equal(ql_journal_rotate(journal), QL_OK);
    write_records(journal, 101, 200);
    ql_journal_close(journal);
    journal = open_journal(place);
    assert_int_equal(ql_journal_last(journal), 200);
    write_records(journal, 201, 210);
    ql_journal_close(journal);
    assert_int_equal(read_records(place, 1, QL_E_NOT_FOUND), 210);
    assert_int_equal(read_records(place, 150, QL_E_NOT_FOUND), 210);
}

static void whole_segments_are_dropped(void **state)
{
    struct place *place = *state;
    struct ql_journal *journal = open_journal(place);
    for (uint64_t first = 1; first <= 300; first += 100) {
        write_records(journal, first, first + 99);
        assert_int_equal(ql_journal_rotate(journal), QL_OK);
    }
    const uint64_t before = ql_journal_bytes(journal);
    assert_int_equal(ql_journal_drop_before(journal, 150), QL_OK);
    assert_true(ql_journal_bytes(journal) < before);
    assert_int_equal(read_records(place, 101, QL_E_NOT_FOUND), 300);
    assert_int_equal(ql_journal_drop_before(journal, 10000), QL_OK);
    ql_journal_close(journal);
    journal = open_journal(place);
    assert_int_equal(ql_journal_last(journal), 300);
    ql_journal_close(journal);
}

static void file_largest(const char *path, void *context)
{
    struct stat st;
    if (stat(path, &st) == 0 && st.st_size > 0) {
        (void)snprintf(context, 512, "%s", path);
    }
}

/* A crash may cut the newest file anywhere: what is whole before the cut comes back. */
static void a_torn_end_is_cut_off(void **state)
{
    struct place *place = *state;
    struct ql_journal *journal = open_journal(place);
    char path[512] = "";
    struct stat st;
    write_records(journal, 1, 20);
    ql_journal_close(journal);
    each_file(place->dir, file_largest, path);
    assert_int_equal(stat(path, &st), 0);
    for (off_t cut = st.st_size - 1; cut > st.st_size - 60; cut -= 7) {
        assert_int_equal(truncate(path, cut), 0);
        journal = open_journal(place);
        assert_int_equal(ql_journal_last(journal), 19);
        write_records(journal, 20, 20);
        ql_journal_close(journal);
        assert_int_equal(read_records(place, 1, QL_E_NOT_FOUND), 20);
    }
}

static void file_flip(const char *path, long at)
{
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, at, SEEK_SET), 0);
    assert_int_not_equal(fputc(byte ^ 1, file), EOF);
    assert_int_equal(fclose(file), 0);
}

static void damage_inside_is_an_error(void **state)
{
    struct place *place = *state;
    struct ql_journal *journal = open_journal(place);
    char path[512] = "";
    write_records(journal, 1, 50);
    assert_int_equal(ql_journal_rotate(journal), QL_OK);
    each_file(place->dir, file_largest, path);
    write_records(journal, 51, 60);
    ql_journal_close(journal);
    file_flip(path, 700);
    assert_true(read_records(place, 1, QL_E_MALFORMED) < 50);
    assert_non_null(strstr(place->why.at, "damaged record at byte"));
}

/* Where a record begins in a journal of one segment. */
static long record_at(uint64_t sequence)
{
    long at = 0;
    for (uint64_t i = 1; i < sequence; i++) {
        at += (long)(sizeof(struct ql_journal_record) + strlen("origin") + i % 1000);
    }
    return at;
}

/* One byte of the newest segment is another: what stands behind it is not given up in silence,
 * but by whoever does what the message says. The last record alone may be a torn one. */
static void a_flipped_byte_does_not_cut_the_rest_off(void **state)
{
    static const struct { uint64_t record; long byte; ql_err opened; } rows[] = {
        { 1, 0, QL_E_MALFORMED },   /* magic of the first */
        { 10, 4, QL_E_MALFORMED },  /* how long it is */
        { 10, 6, QL_E_MALFORMED },  /* ... longer than the file */
        { 10, 16, QL_E_MALFORMED }, /* sequence */
        { 19, 60, QL_E_MALFORMED }, /* payload */
        { 20, 0, QL_OK },           { 20, 60, QL_OK },
    };
    struct place *place = *state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char path[512] = "", advice[64];
        struct ql_journal *journal;
        const uint64_t before = rows[i].record - 1;
        each_file(place->dir, file_remove, NULL);
        journal = open_journal(place);
        write_records(journal, 1, 20);
        ql_journal_close(journal);
        each_file(place->dir, file_largest, path);
        file_flip(path, record_at(rows[i].record) + rows[i].byte);
        (void)snprintf(advice, sizeof(advice), "truncate -s %ld /", record_at(rows[i].record));
        ql_buf_reset(&place->why);
        assert_int_equal(read_records(place, 1, rows[i].opened == QL_OK ? QL_E_NOT_FOUND
                                                                         : QL_E_MALFORMED), before);
        assert_true(rows[i].opened == QL_OK || strstr(place->why.at, advice) != NULL);
        ql_buf_reset(&place->why);
        assert_int_equal(ql_journal_open(place->dir, &journal, &place->why), rows[i].opened);
        if (rows[i].opened != QL_OK) {
            assert_non_null(strstr(place->why.at, advice));
            assert_int_equal(truncate(path, record_at(rows[i].record)), 0);
            journal = open_journal(place);
        }
        assert_int_equal(ql_journal_last(journal), before);
        ql_journal_close(journal);
    }
}

/* Whole, but not later than the one before: no torn record, wherever it stands. */
static void an_earlier_record_is_damage(void **state)
{
    struct place *place = *state;
    char path[512] = "";
    struct ql_journal *journal = open_journal(place);
    write_records(journal, 1, 5);
    ql_journal_close(journal);
    each_file(place->dir, file_largest, path);
    FILE *from = fopen(path, "rb"), *to = fopen(path, "ab");
    char bytes[8192];
    assert_true(from != NULL && to != NULL);
    const size_t count = fread(bytes, 1, sizeof(bytes), from);
    assert_int_equal(fwrite(bytes, 1, count, to), count);
    assert_true(fclose(from) == 0 && fclose(to) == 0);
    assert_int_equal(ql_journal_open(place->dir, &journal, &place->why), QL_E_MALFORMED);
    assert_int_equal(read_records(place, 1, QL_E_MALFORMED), 5);
}

/* A body that looks like records without end costs no more than a few looks at all of it. */
static void a_search_has_an_end(void **state)
{
    struct place *place = *state;
    char path[512] = "";
    struct ql_journal *journal = open_journal(place);
    struct ql_buf encoded;
    const size_t count = 200000;
    struct ql_journal_record *looks = calloc(count, sizeof(*looks));
    struct ql_journal_record record = { .sequence = 1, .kind = 1 };
    assert_non_null(looks);
    ql_buf_init(&encoded, 64 << 20);
    assert_int_equal(ql_journal_encode(&record, QL_STR(""), QL_STR("x"), &encoded), QL_OK);
    for (size_t i = 0; i < count; i++) {
        looks[i] = (struct ql_journal_record){ .sequence = i + 2, .kind = 1, .payload_bytes =
            (uint32_t)((count - i - 1) * sizeof(*looks)) };
        memcpy(&looks[i].magic, encoded.at, sizeof(looks[i].magic));
    }
    ql_buf_reset(&encoded);
    assert_int_equal(ql_journal_encode(&record, QL_STR(""),
                                       (ql_str){ (char *)looks, count * sizeof(*looks) }, &encoded),
                     QL_OK);
    assert_int_equal(ql_journal_write(journal, ql_buf_view(&encoded), 1, true), QL_OK);
    ql_journal_close(journal);
    each_file(place->dir, file_largest, path);
    file_flip(path, 8);
    assert_int_equal(ql_journal_open(place->dir, &journal, &place->why), QL_E_MALFORMED);
    ql_buf_fini(&encoded);
    free(looks);
}

/* ---- a disk that refuses -------------------------------------------------------------- */

/* The descriptor that the journal writes to. */
static int fd_of(const char *path)
{
    for (int fd = 3; fd < 256; fd++) {
        char name[64], to[512];
        (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        const ssize_t bytes = readlink(name, to, sizeof(to) - 1);
        if (bytes > 0 && (to[bytes] = '\0', strcmp(to, path) == 0)) {
            return fd;
        }
    }
    fail_msg("nobody has %s open", path);
    return -1;
}

/* A write that stops in the middle leaves nothing of its group; the file goes on. */
static void half_a_write_is_taken_back(void **state)
{
    struct place *place = *state;
    struct rlimit before, small;
    struct ql_journal *journal = open_journal(place);
    write_records(journal, 1, 300);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    small = before;
    small.rlim_cur = ql_journal_bytes(journal) + 100;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const ql_err err = write_record(journal, 301, true);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(err, QL_E_IO);
    write_records(journal, 301, 310);
    ql_journal_close(journal);
    assert_int_equal(read_records(place, 1, QL_E_NOT_FOUND), 310);
}

/* While a torn record cannot be cut off, or a sync failed, nothing is taken. Then all that was
 * taken without a sync is written again, whatever became of the pages the kernel held. */
static void nothing_follows_what_is_in_doubt(void **state)
{
    static const struct { uint64_t synced; bool torn, lost; } rows[] = {
        { 0, true, false },   /* the tail of a write stays */
        { 0, false, true },   /* pages of the only segment are lost */
        { 100, true, true },  { 100, false, true }, { 110, true, false },
    };
    struct place *place = *state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        char path[512] = "";
        int pipes[2];
        struct stat st;
        each_file(place->dir, file_remove, NULL);
        struct ql_journal *journal = open_journal(place);
        for (uint64_t sequence = 1; sequence <= 110; sequence++) {
            assert_int_equal(write_record(journal, sequence, sequence == rows[i].synced), QL_OK);
        }
        each_file(place->dir, file_largest, path);
        const int fd = fd_of(path), real = dup(fd);
        assert_true(real >= 0 && pipe(pipes) == 0);
        assert_int_equal(fstat(real, &st), 0);
        assert_int_equal(dup2(pipes[1], fd), fd); /* takes bytes; cannot be synced or cut */
        assert_int_equal(write_record(journal, 111, true), QL_E_IO);
        assert_int_equal(write_record(journal, 111, false), QL_E_IO);
        assert_int_equal(ql_journal_rotate(journal), QL_OK);
        assert_int_equal(write_record(journal, 111, true), QL_E_IO);
        assert_int_equal(ql_journal_last(journal), 110);
        if (rows[i].torn) {
            assert_int_equal(write(real, "half a rec", 10), 10);
        }
        if (rows[i].lost) {
            file_flip(path, (long)st.st_size - 20);
        }
        assert_int_equal(dup2(real, fd), fd); /* the disk is well again */
        write_records(journal, 111, 120);
        ql_journal_close(journal);
        (void)close(real);
        (void)close(pipes[0]);
        (void)close(pipes[1]);
        assert_int_equal(read_records(place, 1, QL_E_NOT_FOUND), 120);
        journal = open_journal(place);
        assert_int_equal(ql_journal_last(journal), 120);
        ql_journal_close(journal);
    }
}

static void anything_may_stand_in_a_file(void **state)
{
    struct place *place = *state;
    struct ql_rng rng;
    const uint64_t seed = 11;
    print_message("seed %llu\n", (unsigned long long)seed);
    ql_rng_init(&rng, seed, "journal");
    for (int round = 0; round < 200; round++) {
        char path[512];
        each_file(place->dir, file_remove, NULL);
        (void)snprintf(path, sizeof(path), "%s/journal-%016x.qlj", place->dir, 1);
        FILE *file = fopen(path, "wb");
        assert_non_null(file);
        for (uint64_t i = ql_rng_below(&rng, 300); i > 0; i--) {
            (void)fputc((int)ql_rng_below(&rng, 256), file);
        }
        (void)fclose(file);
        struct ql_journal *journal = open_journal(place);
        assert_int_equal(ql_journal_last(journal), 0);
        ql_journal_close(journal);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(comes_back_in_order_over_segments, setup, teardown),
        cmocka_unit_test_setup_teardown(whole_segments_are_dropped, setup, teardown),
        cmocka_unit_test_setup_teardown(a_torn_end_is_cut_off, setup, teardown),
        cmocka_unit_test_setup_teardown(damage_inside_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_flipped_byte_does_not_cut_the_rest_off, setup, teardown),
        cmocka_unit_test_setup_teardown(an_earlier_record_is_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(a_search_has_an_end, setup, teardown),
        cmocka_unit_test_setup_teardown(half_a_write_is_taken_back, setup, teardown),
        cmocka_unit_test_setup_teardown(nothing_follows_what_is_in_doubt, setup, teardown),
        cmocka_unit_test_setup_teardown(anything_may_stand_in_a_file, setup, teardown),
    };
    return cmocka_run_group_tests_name("engine/journal", tests, NULL, NULL);
}

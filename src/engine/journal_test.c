/* journal_test - what was written comes back, in order, and damage is never skipped. */
#include "engine/journal.h"

#include "base/rng.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Writes records first..last, each with a body of `sequence` bytes of its own letter. */
static void write_records(struct ql_journal *journal, uint64_t first, uint64_t last)
{
    for (uint64_t sequence = first; sequence <= last; sequence++) {
        struct ql_buf encoded;
        char body[1000];
        struct ql_journal_record record = { .sequence = sequence, .kind = 1,
                                            .now_ns = (int64_t)sequence * 10 };
        memset(body, (int)('a' + sequence % 26), sizeof(body));
        ql_buf_init(&encoded, 1 << 20);
        assert_int_equal(ql_journal_encode(&record, QL_STR("origin"),
                                           (ql_str){ body, (size_t)(sequence % 1000) }, &encoded),
                         QL_OK);
        assert_int_equal(ql_journal_write(journal, ql_buf_view(&encoded), sequence, false), QL_OK);
        ql_buf_fini(&encoded);
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
    ql_journal_rotate(journal);
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
        ql_journal_rotate(journal);
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

static void damage_inside_is_an_error(void **state)
{
    struct place *place = *state;
    struct ql_journal *journal = open_journal(place);
    char path[512] = "";
    write_records(journal, 1, 50);
    ql_journal_rotate(journal);
    each_file(place->dir, file_largest, path);
    write_records(journal, 51, 60);
    ql_journal_close(journal);
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 700, SEEK_SET), 0);
    const int byte = fgetc(file);
    assert_int_equal(fseek(file, 700, SEEK_SET), 0);
    (void)fputc(byte ^ 1, file);
    (void)fclose(file);
    assert_true(read_records(place, 1, QL_E_MALFORMED) < 50);
    assert_non_null(strstr(place->why.at, "damaged record at byte"));
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
        cmocka_unit_test_setup_teardown(anything_may_stand_in_a_file, setup, teardown),
    };
    return cmocka_run_group_tests_name("engine/journal", tests, NULL, NULL);
}

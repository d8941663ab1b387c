/* The journal of actions: what it takes, and a disk that takes a piece of a line. */
#include "actuator/ran.h"
#include "base/file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct place { char dir[64], path[128], lock[160]; };

static void place_open(struct place *place)
{
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/quell-ran-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    (void)snprintf(place->path, sizeof(place->path), "%s/actuator.journal", place->dir);
    (void)snprintf(place->lock, sizeof(place->lock), "%s.lock", place->path);
}

static void place_close(const struct place *place)
{
    (void)unlink(place->path);
    (void)unlink(place->lock);
    assert_int_equal(rmdir(place->dir), 0);
}

static void place_write(const struct place *place, ql_str text)
{
    FILE *file = fopen(place->path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text.at, 1, text.bytes, file), text.bytes);
    assert_int_equal(fclose(file), 0);
}

static void place_holds(const struct place *place, const char *text)
{
    struct ql_buf file;
    ql_buf_init(&file, 4096);
    assert_int_equal(ql_file_read(place->path, &file), QL_OK);
    assert_int_equal(file.bytes, strlen(text));
    assert_memory_equal(file.at, text, file.bytes);
    ql_buf_fini(&file);
}

#define START "start 5\n"
static const struct { const char *text; size_t bytes; ql_err err; } file_rows[] = {
#define ROW(text, err) { text, sizeof(text) - 1, err }
    ROW("", QL_OK),
    ROW(START "pid 5 4711 99\nend 5 137 1\n", QL_OK),
    ROW(START "end 5 -1 0\n", QL_OK),
    ROW("end 6 0 0\n" START, QL_OK),     /* its start was forgotten */
    ROW(START "start 1", QL_OK),         /* cut by a crash */
    ROW(START "\0\0\0", QL_OK),
    ROW(START "stastart 6\n", QL_E_MALFORMED),
    ROW(START "sta\0start 6\n", QL_E_MALFORMED),
    ROW(START "end 5 0 0start 6\n", QL_E_MALFORMED),
    ROW(START "end 5 0\n", QL_E_MALFORMED),
    ROW(START "end 5 0 2\n", QL_E_MALFORMED),
    ROW(START "end 5 2147483648 0\n", QL_E_MALFORMED),
    ROW(START "start 06\n", QL_E_MALFORMED),
    ROW(START "start -6\n", QL_E_MALFORMED),
    ROW(START "start 18446744073709551616\n", QL_E_MALFORMED),
    ROW(START "start 6 \n", QL_E_MALFORMED),
    ROW(START "\n", QL_E_MALFORMED),
#undef ROW
};

static void only_whole_lines_are_taken(void **state)
{
    (void)state;
    struct place place;
    place_open(&place);
    for (uint32_t i = 0; i < QL_COUNT_OF(file_rows); i++) {
        struct ql_ran *ran = NULL;
        place_write(&place, (ql_str){ file_rows[i].text, file_rows[i].bytes });
        const ql_err err = ql_ran_open(place.path, &ran);
        if (err != file_rows[i].err) {
            fail_msg("row %u: %s", i, ql_err_text(err));
        }
        if (err == QL_OK) {
            assert_int_equal(ql_ran_find(ran, 5) != NULL, i > 0);
            assert_null(ql_ran_find(ran, 1));
            ql_ran_close(ran);
        }
    }
    place_close(&place);
}

static void disk_limit(rlim_t bytes)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = bytes;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* The disk has room for some bytes of the second line only. */
static void a_piece_of_a_line_is_cut_off_again(void **state)
{
    (void)state;
    struct place place;
    struct ql_ran *ran;
    place_open(&place);
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(ql_ran_open(place.path, &ran), QL_OK);
    assert_int_equal(ql_ran_start(ran, 5), QL_OK);
    for (rlim_t room = 0; room < sizeof("start 6\n") - 1; room++) {
        disk_limit(sizeof(START) - 1 + room);
        assert_int_equal(ql_ran_start(ran, 6), QL_E_IO);
        assert_null(ql_ran_find(ran, 6)); /* not started, so it may be asked again */
        disk_limit(RLIM_INFINITY);
        place_holds(&place, START);
    }
    disk_limit(sizeof(START) + 2);
    ql_ran_end(ran, 5, 0, false);
    disk_limit(RLIM_INFINITY);
    assert_int_equal(ql_ran_start(ran, 7), QL_OK);
    ql_ran_close(ran);
    place_holds(&place, START "start 7\n");
    assert_int_equal(ql_ran_open(place.path, &ran), QL_OK);
    assert_non_null(ql_ran_find(ran, 7));
    assert_false(ql_ran_find(ran, 5)->ended);
    ql_ran_close(ran);
    place_close(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_whole_lines_are_taken),
        cmocka_unit_test(a_piece_of_a_line_is_cut_off_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

/* checkpoint_test - a checkpoint is whole or is not there; the older one serves then. */
#include "engine/checkpoint.h"

#include "base/file.h"
#include "base/rng.h"

#include <dirent.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PARTS = 3, RECORDS = 700 };
static char folder[] = "/tmp/quell-checkpoint-XXXXXX";

static void path_of(uint64_t sequence, const char *tail, char out[256])
{
    (void)snprintf(out, 256, "%s/checkpoint-%016" PRIx64 ".%s", folder, sequence, tail);
}

/* Records of many sizes, the largest over a block; what a part holds follows from its number. */
static void part_fill(uint64_t sequence, uint32_t number, struct ql_buf *out)
{
    static char bytes[3 * QL_CHECKPOINT_BLOCK_BYTES];
    struct ql_rng rng;
    ql_rng_init(&rng, sequence * 10 + number, "part");
    for (int i = 0; i < RECORDS; i++) {
        const size_t most = i == 300 ? sizeof(bytes) : 9000;
        const size_t count = (size_t)ql_rng_below(&rng, most);
        memset(bytes, (int)ql_rng_below(&rng, 256), count);
        (void)ql_buf_u32(out, (uint32_t)i);
        (void)ql_buf_lstr(out, (ql_str){ bytes, count });
    }
}

static void checkpoint_make(uint64_t sequence, uint32_t parts, bool commit)
{
    for (uint32_t i = 0; i < parts; i++) {
        struct ql_checkpoint_part *part;
        assert_int_equal(ql_checkpoint_part_open(folder, sequence, i, &part), QL_OK);
        part_fill(sequence, i, ql_checkpoint_part_buf(part));
        assert_int_equal(ql_checkpoint_part_close(part), QL_OK);
    }
    if (commit) {
        assert_int_equal(ql_checkpoint_commit(folder, sequence, parts), QL_OK);
    }
}

static void assert_reads(uint64_t at_most, uint64_t sequence)
{
    struct ql_buf out, wanted;
    uint64_t found = 0;
    ql_buf_init(&out, (size_t)1 << 30);
    ql_buf_init(&wanted, (size_t)1 << 30);
    const ql_err err = ql_checkpoint_read(folder, at_most, &out, &found);
    assert_int_equal(err, sequence == 0 ? QL_E_NOT_FOUND : QL_OK);
    assert_int_equal(found, sequence);
    for (uint32_t i = 0; i < PARTS && sequence != 0; i++) {
        part_fill(sequence, i, &wanted);
    }
    assert_int_equal(out.bytes, wanted.bytes);
    assert_true(wanted.bytes == 0 || memcmp(out.at, wanted.at, out.bytes) == 0);
    ql_buf_fini(&out);
    ql_buf_fini(&wanted);
}

static void newest_whole_one_is_read(void **state)
{
    (void)state;
    char path[256];
    assert_reads(UINT64_MAX, 0);
    checkpoint_make(7, PARTS, true);
    assert_reads(UINT64_MAX, 7);
    assert_reads(6, 0);
    checkpoint_make(9, PARTS, false); /* a crash before the end */
    assert_reads(UINT64_MAX, 7);
    checkpoint_make(10, PARTS, false);
    path_of(10, "2.qlp", path);
    assert_int_equal(access(path, F_OK), 0);
    ql_checkpoint_drop(folder, 10, PARTS);
    assert_int_equal(access(path, F_OK), -1);
    checkpoint_make(12, PARTS, true);
    assert_reads(UINT64_MAX, 12);
    assert_reads(11, 7);
    assert_int_equal(ql_checkpoint_oldest(folder), 7);
    path_of(9, "0.qlp", path);
    assert_int_equal(access(path, F_OK), -1); /* swept by the one after it */
    checkpoint_make(14, PARTS, true);
    ql_checkpoint_drop(folder, 14, PARTS); /* as after a commit whose last step failed */
    assert_reads(UINT64_MAX, 12);
    assert_int_equal(ql_checkpoint_oldest(folder), 12);
    checkpoint_make(20, PARTS, true);
    assert_int_equal(ql_checkpoint_oldest(folder), 12);
    path_of(7, "1.qlp", path);
    assert_int_equal(access(path, F_OK), -1);
    path_of(12, "1.qlp", path);
    assert_int_equal(access(path, F_OK), 0);
}

/* Whatever one byte becomes and wherever a part ends, it is not taken for whole. */
static void a_damaged_one_is_passed_over(void **state)
{
    static const struct { const char *tail; int64_t cut, flip; } rows[] = {
        { "0.qlp", -1, 0 },          { "1.qlp", -1, 9 },       { "1.qlp", -1, 17 },
        { "2.qlp", -1, 500000 },     { "0.qlp", 0, -1 },       { "0.qlp", 16, -1 },
        { "2.qlp", 1048576, -1 },    { "2.qlp", -16, -1 },     { "2.qlp", -1, -1 },
        { "qlc", -1, 3 },            { "qlc", 16, -1 },
    };
    (void)state;
    for (size_t i = 0; i < QL_COUNT_OF(rows); i++) {
        const uint64_t sequence = 100 + i * 2;
        char path[256];
        struct stat before;
        checkpoint_make(sequence, PARTS, true);
        checkpoint_make(sequence + 1, PARTS, true);
        assert_reads(UINT64_MAX, sequence + 1);
        path_of(sequence + 1, rows[i].tail, path);
        assert_int_equal(stat(path, &before), 0);
        if (rows[i].flip >= 0) {
            FILE *file = fopen(path, "r+be");
            assert_non_null(file);
            assert_int_equal(fseek(file, (long)rows[i].flip, SEEK_SET), 0);
            const int byte = fgetc(file);
            assert_int_equal(fseek(file, (long)rows[i].flip, SEEK_SET), 0);
            assert_int_not_equal(fputc(byte ^ 1, file), EOF);
            assert_int_equal(fclose(file), 0);
        } else {
            const off_t kept = rows[i].cut >= 0 ? rows[i].cut : before.st_size + rows[i].cut;
            assert_int_equal(truncate(path, kept), 0);
        }
        assert_reads(UINT64_MAX, sequence);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(newest_whole_one_is_read),
        cmocka_unit_test(a_damaged_one_is_passed_over),
    };
    if (mkdtemp(folder) == NULL) {
        return 1;
    }
    const int failed = cmocka_run_group_tests(tests, NULL, NULL);
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        (void)unlinkat(dirfd(dir), entry->d_name, 0);
    }
    return dir == NULL || closedir(dir) != 0 || rmdir(folder) != 0 ? 1 : failed;
}

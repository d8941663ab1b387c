/* fuzz_main.c - runs a libFuzzer target over a folder of inputs, without libFuzzer: so
 * every crash that was ever found is an ordinary test under any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int file_run(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        perror(path);
        return 1;
    }
    uint8_t *bytes = malloc(1 << 20);
    const size_t count = bytes == NULL ? 0 : fread(bytes, 1, 1 << 20, file);
    (void)fclose(file);
    /* An exact-sized copy, so that a sanitizer sees every read past the end. */
    uint8_t *exact = malloc(count > 0 ? count : 1);
    if (bytes == NULL || exact == NULL) {
        return 1;
    }
    memcpy(exact, bytes, count);
    (void)LLVMFuzzerTestOneInput(exact, count);
    /* Every prefix too: half a request is the commonest bad input. */
    for (size_t cut = 0; cut < count && cut < 512; cut++) {
        uint8_t *part = malloc(cut > 0 ? cut : 1);
        if (part == NULL) {
            return 1;
        }
        memcpy(part, bytes, cut);
        (void)LLVMFuzzerTestOneInput(part, cut);
        free(part);
    }
    free(exact);
    free(bytes);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: %s CORPUS_DIR\n", argv[0]);
        return 2;
    }
    DIR *dir = opendir(argv[1]);
    if (dir == NULL) {
        perror(argv[1]);
        return 1;
    }
    int failed = 0, count = 0;
    for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
        char path[4096];
        if (entry->d_name[0] == '.') {
            continue;
        }
        (void)snprintf(path, sizeof(path), "%s/%s", argv[1], entry->d_name);
        failed += file_run(path);
        count++;
    }
    (void)closedir(dir);
    (void)printf("%d inputs and their prefixes\n", count);
    return failed != 0 || count == 0;
}

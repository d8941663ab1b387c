#include "control.h"

#include "otlp.h"
#include "plan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CONTROL_PATH_BYTES = 1024, CONTROL_ASK_MS_MAX = 10000, CONTROL_ASK_STEP_MS = 5 };

static void control_path(char out[CONTROL_PATH_BYTES], const char *folder, const char *name,
                         const char *service)
{
    (void)snprintf(out, CONTROL_PATH_BYTES, "%s/%s%s", folder, name, service);
}

int shop_control_ask_restart(const char *folder, const char *service)
{
    if (shop_service_find(service) == SHOP_SERVICE_COUNT) {
        (void)fprintf(stderr, "shop: no service '%s'\n", service);
        return 2;
    }
    char path[CONTROL_PATH_BYTES];
    control_path(path, folder, "restart-", service);
    const int file = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    if (file < 0) {
        (void)fprintf(stderr, "shop: cannot write %s\n", path);
        return 1;
    }
    (void)close(file);
    for (int ms = 0; ms < CONTROL_ASK_MS_MAX; ms += CONTROL_ASK_STEP_MS) {
        if (access(path, F_OK) != 0) {
            (void)printf("%s restarted\n", service);
            return 0;
        }
        const struct timespec wait = { .tv_nsec = CONTROL_ASK_STEP_MS * 1000000 };
        (void)nanosleep(&wait, NULL);
    }
    (void)unlink(path);
    (void)fprintf(stderr, "shop: nobody restarted %s: is the shop running?\n", service);
    return 1;
}

bool shop_control_open(const char *folder)
{
    if (folder == NULL) {
        return true;
    }
    if (mkdir(folder, 0700) != 0 && errno != EEXIST) {
        return false;
    }
    for (uint32_t s = 0; s < SHOP_SERVICE_COUNT; s++) {
        (void)shop_control_restart_wanted(folder, s);
    }
    char path[CONTROL_PATH_BYTES];
    control_path(path, folder, "events", "");
    (void)unlink(path);
    return access(folder, W_OK) == 0;
}

bool shop_control_restart_wanted(const char *folder, uint32_t service)
{
    if (folder == NULL) {
        return false;
    }
    char path[CONTROL_PATH_BYTES];
    control_path(path, folder, "restart-", shop_services[service].name);
    return unlink(path) == 0;
}

void shop_control_status(const char *folder, const char *line)
{
    if (folder == NULL) {
        return;
    }
    char path[CONTROL_PATH_BYTES], next[CONTROL_PATH_BYTES];
    control_path(path, folder, "status", "");
    control_path(next, folder, "status.new", "");
    FILE *file = fopen(next, "we");
    if (file != NULL) {
        (void)fprintf(file, "%s\n", line);
        if (fclose(file) == 0) {
            (void)rename(next, path);
        }
    }
}

void shop_control_event(const char *folder, int64_t at_ms, const char *format, ...)
{
    if (folder == NULL) {
        return;
    }
    char path[CONTROL_PATH_BYTES], at[SHOP_TIME_BYTES];
    control_path(path, folder, "events", "");
    FILE *file = fopen(path, "ae");
    if (file == NULL) {
        return;
    }
    shop_time_text(at_ms, at);
    (void)fprintf(file, "%s ", at);
    va_list args;
    va_start(args, format);
    (void)vfprintf(file, format, args);
    va_end(args);
    (void)fputc('\n', file);
    (void)fclose(file);
}

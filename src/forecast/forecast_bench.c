/* forecast_bench - CPU time of one forecast with bands: 700 hourly points, 48 steps.
 *
 * With a path it also writes the series there as CSV, for other programs to forecast. */
#include "base/clock.h"
#include "base/rng.h"
#include "forecast/forecast.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { POINTS = 700, STEPS = 48, SERIES = 20 };

static void series_make(double *at, uint64_t seed)
{
    struct ql_rng rng;
    double drift = 0.0;
    ql_rng_init(&rng, seed, "forecast bench");
    for (uint32_t i = 0; i < POINTS; i++) {
        drift = 0.95 * drift + ql_rng_normal(&rng);
        at[i] = 100.0 + 20.0 * sin(6.283185307179586 * (double)(i % 24) / 24.0) -
                (i % 168 >= 120 ? 25.0 : 0.0) + drift + 2.0 * ql_rng_normal(&rng);
    }
}

static void series_write(const char *path, double series[SERIES][POINTS])
{
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        exit(1);
    }
    for (uint32_t i = 0; i < POINTS; i++) {
        for (uint32_t s = 0; s < SERIES; s++) {
            (void)fprintf(file, s + 1 < SERIES ? "%.6f," : "%.6f\n", series[s][i]);
        }
    }
    (void)fclose(file);
}

int main(int argc, char **argv)
{
    static double series[SERIES][POINTS];
    struct ql_forecast_step steps[STEPS];
    struct ql_arena scratch;
    ql_arena_init(&scratch, QL_FORECAST_SCRATCH);
    for (uint32_t s = 0; s < SERIES; s++) {
        series_make(series[s], s + 1);
    }
    if (argc > 1) {
        series_write(argv[1], series);
    }
    const int64_t start = ql_clock_cpu_ns();
    for (uint32_t s = 0; s < SERIES; s++) {
        const struct ql_forecast_in in = { series[s], POINTS, 3600.0, STEPS };
        ql_arena_reset(&scratch);
        if (ql_forecast(&in, &scratch, steps, NULL) != QL_OK) {
            return 1;
        }
    }
    const double ms = (double)(ql_clock_cpu_ns() - start) / 1e6 / SERIES;
    (void)printf("quell forecast %.2f ms CPU a series (%d points, %d steps)\n", ms, POINTS, STEPS);
    ql_arena_fini(&scratch);
    return 0;
}

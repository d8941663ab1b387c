/* disk_bench - the rule over disks on standard input: five raw counters a line, "nan" for one
 * that is missing; writes "failing score" for each. bench/disk makes an AUC of it. */
#include "forecast/disk.h"

#include <stdio.h>

int main(void)
{
    double raw[QL_DISK_COUNTERS];
    while (scanf("%lf %lf %lf %lf %lf", &raw[0], &raw[1], &raw[2], &raw[3], &raw[4]) == 5) {
        const struct ql_disk_verdict v = ql_disk_judge(raw);
        (void)printf("%d %.9g\n", v.failing, v.score);
    }
    return 0;
}

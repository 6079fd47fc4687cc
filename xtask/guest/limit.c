// limit DEVICE ID KIB [project]: sets a user's hard limit on a file system with quotas, or a project's.
#include <sys/quota.h>

#include "common.h"

#define PRJQUOTA 2

int main(int argc, char **argv) {
    check(argc > 3, "usage: limit DEVICE ID KIB [project]");
    int kind = argc > 4 ? PRJQUOTA : USRQUOTA;
    struct dqblk limit = {.dqb_bhardlimit = atol(argv[3]), .dqb_valid = QIF_BLIMITS};
    int done = quotactl(QCMD(Q_SETQUOTA, kind), argv[1], atoi(argv[2]), (void *)&limit);
    check(done == 0, "Q_SETQUOTA");
    return 0;
}

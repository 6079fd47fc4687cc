// limit DEVICE UID KIB: sets a user's hard limit on a file system with quotas.
#include <sys/quota.h>

#include "common.h"

int main(int argc, char **argv) {
    check(argc > 3, "usage: limit DEVICE UID KIB");
    struct dqblk limit = {.dqb_bhardlimit = atol(argv[3]), .dqb_valid = QIF_BLIMITS};
    int done = quotactl(QCMD(Q_SETQUOTA, USRQUOTA), argv[1], atoi(argv[2]), (void *)&limit);
    check(done == 0, "Q_SETQUOTA");
    return 0;
}

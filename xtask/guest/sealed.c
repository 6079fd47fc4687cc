// sealed LABEL: a shrink that fails (F_SEAL_SHRINK), then a touch behind the end of the file.
#define _GNU_SOURCE
#include "common.h"
#include <errno.h>

int main(void) {
    int fd = memfd_create("sealed", MFD_ALLOW_SEALING);
    check(fd >= 0 && ftruncate(fd, 65536) == 0, "memfd");
    volatile char *p = map(fd, 131072);
    check(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) == 0, "F_SEAL_SHRINK");
    check(ftruncate(fd, 0) == -1 && errno == EPERM, "no EPERM");
    (void)p[100000];
    return 0;
}

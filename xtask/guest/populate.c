// populate FILE: maps twice as much of a file as there is, in every way that has its pages ready beforehand, and
// touches none of them.
#include <errno.h>

#include "common.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif

int main(int argc, char **argv) {
    check(argc > 1, "usage: populate FILE");
    int fd = open(argv[1], O_RDWR);
    check(fd >= 0, argv[1]);
    check(mmap(0, 131072, PROT_READ, MAP_SHARED | MAP_LOCKED, fd, 0) != MAP_FAILED, "MAP_LOCKED");
    void *p = mmap(0, 131072, PROT_READ, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED && mlock(p, 131072) == -1 && errno == ENOMEM, "mlock");
    check(mlockall(MCL_CURRENT | MCL_FUTURE) == 0, "mlockall");
    check(mmap(0, 131072, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED, "mmap of locked memory");
    check(munlockall() == 0, "munlockall");
    if (argc > 2) {
        check(mmap(0, 131072, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0) != MAP_FAILED, "MAP_POPULATE");
        p = mmap(0, 131072, PROT_READ, MAP_SHARED, fd, 0);
        check(p != MAP_FAILED && madvise(p, 131072, MADV_POPULATE_READ) == -1, "MADV_POPULATE_READ");
    }
    return 0;
}

// huge LABEL empty|shrunk: a huge page of 2 MiB that is not to be had, or one behind the end.
#define _GNU_SOURCE
#include <linux/mman.h>

#include "common.h"

enum { HUGE = 2 << 20 };

int main(int argc, char **argv) {
    (void)argc;
    if (!strcmp(argv[2], "empty")) {
        int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | MAP_HUGE_2MB | MAP_NORESERVE;
        volatile char *p = mmap(0, HUGE, PROT_READ | PROT_WRITE, flags, -1, 0);
        check(p != MAP_FAILED, "mmap");
        p[5] = 1;
        return 0;
    }
    int fd = memfd_create("huge", MFD_HUGETLB | MAP_HUGE_2MB);
    check(fd >= 0 && ftruncate(fd, 2 * HUGE) == 0, "memfd");
    volatile char *p = mmap(0, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    p[0] = p[HUGE] = 1;
    check(ftruncate(fd, HUGE) == 0, "ftruncate");
    p[HUGE + 5] = 1;
    return 0;
}

// many_shrinks COUNT: shrinks as many files of its own, each mapped. All stay open: an inode that is freed is the next one's.
#define _GNU_SOURCE
#include "common.h"
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0;
    struct rlimit open = {count + 100, count + 100};
    check(setrlimit(RLIMIT_NOFILE, &open) == 0, "setrlimit");
    for (long i = 0; i < count; i++) {
        int fd = memfd_create("other", 0);
        check(fd >= 0 && ftruncate(fd, 8192) == 0, "memfd");
        volatile char *p = map(fd, 8192);
        (void)p[0];
        check(ftruncate(fd, 4096) == 0, "ftruncate");
        munmap((void *)p, 8192);
        // Whoever listens keeps up.
        usleep(300);
    }
    return 0;
}

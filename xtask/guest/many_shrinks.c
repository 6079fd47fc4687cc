// many_shrinks COUNT: shrinks as many files of its own, each mapped.
#define _GNU_SOURCE
#include "common.h"
#include <stdlib.h>
#include <sys/mman.h>

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0;
    for (long i = 0; i < count; i++) {
        int fd = memfd_create("other", 0);
        check(fd >= 0 && ftruncate(fd, 8192) == 0, "memfd");
        volatile char *p = map(fd, 8192);
        (void)p[0];
        check(ftruncate(fd, 4096) == 0, "ftruncate");
        munmap((void *)p, 8192);
        close(fd);
        // Whoever listens keeps up.
        usleep(300);
    }
    return 0;
}

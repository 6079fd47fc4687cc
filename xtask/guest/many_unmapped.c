// many_unmapped COUNT: shrinks as many files of its own, none mapped, and keeps them.
#define _GNU_SOURCE
#include "common.h"
#include <sys/resource.h>

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 0;
    struct rlimit limit = {count + 100, count + 100};
    check(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    for (long i = 0; i < count; i++) {
        int fd = memfd_create("other", 0);
        check(fd >= 0 && ftruncate(fd, 8192) == 0 && ftruncate(fd, 4096) == 0, "memfd");
    }
    return 0;
}

// late_mmap FILE OFFSET: takes the size, waits, then maps that much.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    size_t size = size_of(fd);
    say(argv[1], "ready");
    await(argv[1], "go");
    volatile char *p = map(fd, size);
    (void)p[atol(argv[2])];
    return 0;
}

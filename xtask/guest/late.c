// late FILE OFFSET: says that it runs, waits, then maps FILE up to OFFSET, however long it is, and reads there.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    long offset = atol(argv[2]);
    say(argv[1], "ready");
    await(argv[1], "go");
    volatile char *p = map(fd, offset + 1);
    (void)p[offset];
    return 0;
}

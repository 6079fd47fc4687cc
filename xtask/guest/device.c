// device MAPPED OFFSET FILE: maps a page of a device at OFFSET, reads it, says FILE.ready, and reads it again
// once FILE.go is there.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDWR | O_SYNC);
    check(fd >= 0, argv[1]);
    volatile char *p = mmap(0, 4096, PROT_READ, MAP_SHARED, fd, strtoul(argv[2], 0, 0));
    check(p != MAP_FAILED, "mmap");
    (void)p[0];
    say(argv[3], "ready");
    await(argv[3], "go");
    (void)p[5];
    return 99;
}

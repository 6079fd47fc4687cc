// too_much FILE OFFSET: maps the file up to and with OFFSET, however long it is, and reads there.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    long offset = atol(argv[2]);
    volatile char *p = map(fd, offset + 1);
    (void)p[offset];
    return 0;
}

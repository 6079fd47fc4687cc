// writer FILE: maps the whole file shared and writes one byte to every page.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDWR);
    check(fd >= 0, argv[1]);
    size_t size = size_of(fd);
    volatile char *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
    return 0;
}

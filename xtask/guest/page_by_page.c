// page_by_page FILE: takes one page after the other off its end.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDWR);
    check(fd >= 0, argv[1]);
    for (long size = size_of(fd) - 4096; size >= 0; size -= 4096)
        check(ftruncate(fd, size) == 0, "ftruncate");
    return 0;
}

// shrink_storm FILE: shrinks it and lets it grow again, 3,000 times; it is empty in the end.
#include "common.h"

int main(int argc, char **argv) {
    check(argc > 1, "usage: shrink_storm FILE");
    int fd = open(argv[1], O_RDWR);
    check(fd >= 0, argv[1]);
    size_t size = size_of(fd);
    for (int i = 0; i < 3000; i++) {
        check(ftruncate(fd, size) == 0, "grow");
        check(ftruncate(fd, 0) == 0, "shrink");
    }
    return 0;
}

// rewriter FILE: maps the whole file shared and reads it; once FILE.go is there it writes to the first page.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDWR);
    check(fd >= 0, argv[1]);
    size_t size = size_of(fd);
    volatile char *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    int sum = 0;
    for (size_t i = 0; i < size; i += 4096)
        sum += p[i];
    say(argv[1], "ready");
    await(argv[1], "go");
    p[0] = sum + 1;
    return 0;
}

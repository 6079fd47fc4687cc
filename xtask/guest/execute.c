// execute FILE OFFSET: maps FILE as ld.so maps a library and calls into it again and again.
#include "common.h"

int main(int argc, char **argv) {
    check(argc > 2, "usage: execute FILE OFFSET");
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    char *p = mmap(0, size_of(fd), PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
    check(p != MAP_FAILED, "mmap");
    void (*code)(void) = (void (*)(void))(p + atol(argv[2]));
    code();
    say(argv[1], "ready");
    for (;;) {
        code();
        usleep(1000);
    }
}

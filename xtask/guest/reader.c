// reader FILE OFFSET [wait]: maps the whole file and reads one byte again and again; with `wait`
// only after FILE.go is there.
#include "common.h"

int main(int argc, char **argv) {
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    volatile char *p = map(fd, size_of(fd));
    long offset = atol(argv[2]);
    int waits = argc > 3 && !strcmp(argv[3], "wait");
    if (!waits)
        (void)p[offset];
    say(argv[1], "ready");
    if (waits)
        await(argv[1], "go");
    for (;;) {
        (void)p[offset];
        usleep(1000);
    }
}

// crowd N FILE: N processes that map FILE and sleep; says so in FILE.ready.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[2], O_RDONLY);
    check(fd >= 0, argv[2]);
    map(fd, size_of(fd));
    for (long i = atol(argv[1]); i > 0; i--)
        if (fork() == 0)
            for (;;)
                pause();
    say(argv[2], "ready");
    for (;;)
        pause();
}

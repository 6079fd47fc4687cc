// spoke FILE OFFSET: as reader, but takes a moment to say what happened, and ends by itself.
#include "common.h"
#include <signal.h>

static void on_bus(int number) {
    static const char said[] = "cannot read the database\n";
    (void)!write(2, said, sizeof said - 1);
    usleep(500000);
    _exit(number == SIGBUS ? 3 : 99);
}

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    volatile char *p = map(fd, size_of(fd));
    signal(SIGBUS, on_bus);
    static const char begins[] = "reads the database\n";
    (void)!write(2, begins, sizeof begins - 1);
    long offset = atol(argv[2]);
    (void)p[offset];
    say(argv[1], "ready");
    for (;;) {
        (void)p[offset];
        usleep(1000);
    }
}

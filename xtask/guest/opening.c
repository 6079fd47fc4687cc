// opening FILE: fails to open it with O_TRUNC, lets truncate(1) do it, and then opens it, empty, with O_TRUNC.
#define _GNU_SOURCE
#include "common.h"
#include <signal.h>

int main(int argc, char **argv) {
    (void)argc;
    signal(SIGIO, SIG_IGN);
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0 && fcntl(fd, F_SETLEASE, F_RDLCK) == 0, "lease");
    check(open(argv[1], O_WRONLY | O_TRUNC | O_NONBLOCK) < 0, "it opened");
    check(fcntl(fd, F_SETLEASE, F_UNLCK) == 0, "unlease");
    char command[4096];
    snprintf(command, sizeof command, "truncate -s 0 %s", argv[1]);
    check(system(command) == 0, command);
    check(open(argv[1], O_WRONLY | O_TRUNC) >= 0, "open");
    return 0;
}

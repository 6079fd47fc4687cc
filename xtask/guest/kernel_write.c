// kernel_write FILE: write(2) from a mapping that was shrunk in the meantime.
#include "common.h"
#include <errno.h>

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    volatile char *p = map(fd, size_of(fd));
    say(argv[1], "ready");
    await(argv[1], "go");
    int pipe_fds[2];
    check(pipe(pipe_fds) == 0, "pipe");
    check(write(pipe_fds[1], (char *)p + 8192, 16) == -1 && errno == EFAULT, "no EFAULT");
    return 0;
}

// vm_readv FILE: reads the memory of a child whose mapping was shrunk in the meantime.
#define _GNU_SOURCE
#include "common.h"
#include <errno.h>
#include <signal.h>
#include <sys/uio.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
    (void)argc;
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    volatile char *p = map(fd, size_of(fd));
    pid_t child = fork();
    if (child == 0) {
        for (;;)
            pause();
    }
    say(argv[1], "ready");
    await(argv[1], "go");
    char buffer[16];
    struct iovec local = {buffer, sizeof buffer}, remote = {(char *)p + 8192, sizeof buffer};
    ssize_t n = process_vm_readv(child, &local, 1, &remote, 1, 0);
    check(n == -1 && errno == EFAULT, "no EFAULT");
    kill(child, SIGKILL);
    waitpid(child, 0, 0);
    return 0;
}

// memfd LABEL: a child shrinks the memory file both map.
#define _GNU_SOURCE
#include "common.h"
#include <sys/prctl.h>
#include <sys/wait.h>

int main(int argc, char **argv) {
    (void)argc;
    (void)argv;
    int fd = memfd_create("frames", 0);
    check(fd >= 0 && ftruncate(fd, 262144) == 0, "memfd");
    volatile char *p = map(fd, 262144);
    (void)p[160000];
    pid_t child = fork();
    if (child == 0) {
        prctl(PR_SET_NAME, "resizer");
        _exit(ftruncate(fd, 8192) == 0 ? 0 : 99);
    }
    waitpid(child, 0, 0);
    (void)p[160000];
    return 0;
}

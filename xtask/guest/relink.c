// relink FILE BYTES: as make and a linker do. A child writes FILE through a shared mapping; when it dies of that, its
// parent removes FILE at once.
#include <sys/wait.h>

#include "common.h"

static void link_into(const char *path, size_t size) {
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(fd >= 0, path);
    check(ftruncate(fd, size) == 0, "ftruncate");
    volatile char *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    for (size_t i = 0; i < size; i += 4096)
        p[i] = 1;
}

int main(int argc, char **argv) {
    check(argc > 2, "usage: relink FILE BYTES");
    pid_t child = fork();
    if (child == 0) {
        link_into(argv[1], atol(argv[2]));
        return 0;
    }
    int status;
    waitpid(child, &status, 0);
    unlink(argv[1]);
    sync();
    return !WIFSIGNALED(status);
}

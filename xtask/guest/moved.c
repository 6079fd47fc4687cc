// moved CGROUP PROGRAM ARGUMENTS: does what a service manager does: makes the cgroup, forks, and the child moves
// itself there and runs the program. The cgroup is removed as soon as that has ended. With LIMIT in its environment
// that is the cgroup's memory.max.
#include <sys/wait.h>

#include "common.h"

int main(int argc, char **argv) {
    check(argc > 2, "usage: moved CGROUP PROGRAM");
    check(mkdir(argv[1], 0755) == 0, argv[1]);
    char path[4096];
    const char *limit = getenv("LIMIT");
    if (limit) {
        snprintf(path, sizeof path, "%s/memory.max", argv[1]);
        int fd = open(path, O_WRONLY);
        check(fd >= 0 && write(fd, limit, strlen(limit)) > 0, path);
        close(fd);
    }
    pid_t child = fork();
    if (child == 0) {
        snprintf(path, sizeof path, "%s/cgroup.procs", argv[1]);
        int fd = open(path, O_WRONLY);
        check(fd >= 0 && write(fd, "0", 1) == 1, path);
        close(fd);
        execv(argv[2], argv + 2);
        check(0, argv[2]);
    }
    int status;
    check(child > 0 && waitpid(child, &status, 0) == child, "waitpid");
    check(rmdir(argv[1]) == 0, "rmdir");
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

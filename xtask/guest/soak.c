// soak HOW DIR: one hostile load, until it is killed. All but `mounts` and `cgroups` become nobody.
//   bomb      forks in a cgroup of few processes; whoever finds no room, crashes, fails or goes on
//   shrinks   on every CPU, truncates a file that it maps, and lets it grow again, as fast as it can
//   faults    on every CPU, touches what is past the end of a file, and handles it; every hundredth time a child dies of it
//   renamed   calls itself all kinds of things, also as the victims are called, and dies
//   paths     dies on a file of a path of almost 4,096 bytes, in names of 255
//   mounts    makes a thousand mounts, and dies in them (as root)
//   cgroups   makes a thousand cgroups, removes them, makes others, and lets children die in them (as root)
#define _GNU_SOURCE
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

enum { THOUSAND = 1000, NAME = 255 };

static sigjmp_buf back;

static void recover(int signal) {
    (void)signal;
    siglongjmp(back, 1);
}

static void be_nobody(void) {
    check(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0, "setresuid");
}

// Maps a page of a file that has none.
static volatile char *empty(const char *name) {
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(fd >= 0, name);
    volatile char *p = map(fd, 4096);
    close(fd);
    return p;
}

static void settle(pid_t child) {
    int status;
    if (child > 0)
        waitpid(child, &status, 0);
    else
        usleep(10000);
}

static void bomb(void) {
    for (unsigned round = 0;; round++) {
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
        switch (fork()) {
        case -1:
            if (round % 3 == 0)
                abort();
            if (round % 3 == 1)
                _exit(1);
            usleep(1000);
            break;
        case 0:
            round += getpid();
        }
    }
}

static void shrinks(const char *dir, int cpu) {
    char name[4096];
    snprintf(name, sizeof name, "%s/shrinks.%d", dir, cpu);
    int fd = open(name, O_RDWR | O_CREAT, 0644);
    check(fd >= 0 && ftruncate(fd, 8192) == 0, name);
    (void)map(fd, 8192)[0];
    for (;;)
        check(ftruncate(fd, 4096) == 0 && ftruncate(fd, 8192) == 0, "ftruncate");
}

static void faults(const char *dir, int cpu) {
    char name[4096];
    snprintf(name, sizeof name, "%s/faults.%d", dir, cpu);
    volatile char *p = empty(name);
    struct sigaction action = {.sa_handler = recover, .sa_flags = SA_NODEFER};
    sigaction(SIGBUS, &action, NULL);
    for (volatile unsigned round = 0;; round++) {
        if (sigsetjmp(back, 0) == 0)
            (void)p[0];
        if (round % 100 != 0)
            continue;
        pid_t child = fork();
        if (child == 0) {
            signal(SIGBUS, SIG_DFL);
            (void)p[0];
        }
        settle(child);
    }
}

static void renamed(void) {
    static const char *names[] = {"v07", "systemd", "\033[2J\nwhybus", "\xe2\x80\xae" "drawkcab", "a b\") (c", "\x9b" "31m", "truncate"};
    for (unsigned round = 0;; round++) {
        pid_t child = fork();
        if (child == 0) {
            for (int i = 0; i < 50; i++)
                prctl(PR_SET_NAME, names[(round + i) % 7]);
            if (round % 2)
                abort();
            _exit(135);
        }
        settle(child);
        usleep(20000);
    }
}

static void paths(const char *dir) {
    char name[NAME + 1] = {0};
    check(chdir(dir) == 0, dir);
    for (size_t length = strlen(dir); length + NAME + 1 < 4000; length += NAME + 1) {
        memset(name, '"', NAME);
        check((mkdir(name, 0755) == 0 || access(name, F_OK) == 0) && chdir(name) == 0, "mkdir");
    }
    memset(name, '\n', 100);
    name[100] = 0;
    volatile char *p = empty(name);
    for (;;) {
        pid_t child = fork();
        if (child == 0)
            (void)p[0];
        settle(child);
        usleep(50000);
    }
}

static void mounts(const char *dir) {
    char name[4096];
    for (int i = 0; i < THOUSAND; i++) {
        snprintf(name, sizeof name, "%s/%d", dir, i);
        check(mkdir(name, 0755) == 0 && mount(dir, name, NULL, MS_BIND, NULL) == 0, name);
    }
    say(dir, "ready");
    for (unsigned round = 0;; round++) {
        snprintf(name, sizeof name, "%s/%u/file", dir, round * 7 % THOUSAND);
        volatile char *p = empty(name);
        pid_t child = fork();
        if (child == 0) {
            check(unshare(CLONE_NEWNS) == 0, "unshare");
            be_nobody();
            (void)p[0];
        }
        settle(child);
        munmap((void *)p, 4096);
        usleep(100000);
    }
}

static void cgroups(const char *dir) {
    char name[1024], other[1024], procs[2048];
    for (int i = 0; i < THOUSAND; i++) {
        snprintf(name, sizeof name, "%s/nginx-%d.service", dir, i);
        check(mkdir(name, 0755) == 0, name);
    }
    say("/tmp/soak-cgroups", "ready");
    for (unsigned round = 0;; round++) {
        snprintf(name, sizeof name, "%s/nginx-%u.service", dir, round % THOUSAND);
        snprintf(other, sizeof other, "%s/docker-%064u.scope", dir, round);
        snprintf(procs, sizeof procs, "%s/cgroup.procs", other);
        check(rmdir(name) == 0 && mkdir(other, 0755) == 0, other);
        pid_t child = fork();
        if (child == 0) {
            FILE *file = fopen(procs, "w");
            if (file != NULL && fprintf(file, "0") > 0)
                fclose(file);
            be_nobody();
            abort();
        }
        settle(child);
        check(rmdir(other) == 0 && mkdir(name, 0755) == 0, name);
        usleep(50000);
    }
}

int main(int argc, char **argv) {
    check(argc > 2, "usage: soak HOW DIR");
    const char *how = argv[1], *dir = argv[2];
    if (!strcmp(how, "mounts"))
        mounts(dir);
    if (!strcmp(how, "cgroups"))
        cgroups(dir);
    be_nobody();
    int cpus = sysconf(_SC_NPROCESSORS_ONLN), cpu = 0;
    if (!strcmp(how, "shrinks") || !strcmp(how, "faults"))
        while (cpu < cpus - 1 && fork() > 0)
            cpu++;
    if (!strcmp(how, "bomb"))
        bomb();
    if (!strcmp(how, "shrinks"))
        shrinks(dir, cpu);
    if (!strcmp(how, "faults"))
        faults(dir, cpu);
    if (!strcmp(how, "renamed"))
        renamed();
    if (!strcmp(how, "paths"))
        paths(dir);
    return 99;
}

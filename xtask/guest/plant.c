// plant DIR FILE COUNT SECONDS: as uid 1000, lets so many die at random times of the next so many seconds, each in one of
// five ways. Writes into FILE a line each: its name, how, its pid, and that of who did it or 0.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/wait.h>

#include "common.h"

enum { SIZE = 65536 };

static const char *dir;

static int made(int number, size_t size) {
    char name[4096];
    snprintf(name, sizeof name, "%s/planted.%d", dir, number);
    int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(fd >= 0 && ftruncate(fd, size) == 0, name);
    return fd;
}

// Whoever does it is a process of its own.
static pid_t by(int number, int fd, pid_t victim) {
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid != 0)
        return pid;
    char name[16];
    snprintf(name, sizeof name, "c%02d", number);
    prctl(PR_SET_NAME, name);
    if (fd >= 0)
        check(ftruncate(fd, 4096) == 0, "ftruncate");
    else
        check(kill(victim, SIGTERM) == 0, "kill");
    // Whoever is asked for is there for a while.
    sleep(2);
    _exit(0);
}

static void die(int number, int how, int fd) {
    char name[16];
    snprintf(name, sizeof name, "v%02d", number);
    prctl(PR_SET_NAME, name);
    switch (how) {
    case 0:
        for (volatile char *p = map(fd, SIZE);; usleep(1000))
            (void)p[40000];
    case 1:
        for (;;)
            pause();
    case 2:
        abort();
    case 3:
        (void)*(volatile char *)0;
        _exit(99);
    default:
        (void)map(fd, SIZE)[40000];
    }
}

static void plant(int number, FILE *out) {
    static const char *hows[] = {"truncated", "sent", "abort", "segv", "past-end"};
    int how = number % 5, fd = made(number, how == 0 ? SIZE : 4096);
    pid_t victim = fork(), culprit = 0;
    check(victim >= 0, "fork");
    if (victim == 0)
        die(number, how, fd);
    if (how < 2) {
        sleep(1);
        culprit = by(number, how == 0 ? fd : -1, victim);
    }
    int status;
    check(waitpid(victim, &status, 0) == victim && WIFSIGNALED(status), "waitpid");
    if (culprit)
        waitpid(culprit, NULL, 0);
    close(fd);
    fprintf(out, "v%02d %s %d %d\n", number, hows[how], victim, culprit);
    fflush(out);
}

int main(int argc, char **argv) {
    check(argc > 4, "usage: plant DIR FILE COUNT SECONDS");
    dir = argv[1];
    FILE *out = fopen(argv[2], "w");
    check(out != NULL, argv[2]);
    check(setresgid(1000, 1000, 1000) == 0 && setresuid(1000, 1000, 1000) == 0, "setresuid");
    int count = atoi(argv[3]), seconds = atoi(argv[4]);
    // Each at some time of its part.
    for (int number = 0; number < count; number++) {
        unsigned random;
        check(getrandom(&random, sizeof random, 0) == sizeof random, "getrandom");
        long part = 1000000L * seconds / count, before = random % part;
        pid_t planter = fork();
        check(planter >= 0, "fork");
        if (planter == 0) {
            usleep(before);
            plant(number, out);
            _exit(0);
        }
        usleep(part);
    }
    while (wait(NULL) > 0)
        ;
    return fclose(out);
}

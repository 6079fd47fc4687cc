// preempt DIR PAIRS: of each pair of processes on one CPU the second preempts the first while the kernel ends the
// fault that the first has just taken, and is preempted by it in turn while the kernel ends its own: by their
// real-time priorities. When that happens is left to chance. Both read past the end of an empty file of their own,
// named by its process: DIR/PID. Ends when all have died.
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

// Ns until a pair runs, and at most until the second wakes after the first, and the first is preferred again.
#define AHEAD 8000000
#define SECOND 400000
#define AGAIN 600000

static void bind_to(int cpu) {
    cpu_set_t cpus;
    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    check(sched_setaffinity(0, sizeof cpus, &cpus) == 0, "sched_setaffinity");
}

static void prefer(pid_t pid, int priority) {
    struct sched_param param = {.sched_priority = priority};
    sched_setscheduler(pid, SCHED_FIFO, &param);
}

static void add(struct timespec *t, long ns) {
    t->tv_nsec += ns;
    if (t->tv_nsec >= 1000000000) {
        t->tv_nsec -= 1000000000;
        t->tv_sec++;
    }
}

static void sleep_until(struct timespec at) {
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &at, 0) == EINTR)
        ;
}

static pid_t start(const char *dir, int priority, struct timespec at) {
    pid_t pid = fork();
    check(pid >= 0, "fork");
    if (pid != 0)
        return pid;
    char name[4096];
    snprintf(name, sizeof name, "%s/%d", dir, getpid());
    int fd = open(name, O_RDWR | O_CREAT, 0644);
    check(fd >= 0, name);
    volatile char *p = map(fd, 4096);
    bind_to(0);
    prefer(0, priority);
    sleep_until(at);
    (void)p[0];
    _exit(99);
}

int main(int argc, char **argv) {
    check(argc == 3, "usage: preempt DIR PAIRS");
    bind_to(1);
    prefer(0, 50);
    for (int i = 0; i < atoi(argv[2]); i++) {
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        add(&at, AHEAD);
        pid_t first = start(argv[1], 1, at);
        add(&at, rand() % SECOND);
        pid_t second = start(argv[1], 2, at);
        add(&at, rand() % AGAIN);
        sleep_until(at);
        prefer(first, 3);
        waitpid(first, 0, 0);
        waitpid(second, 0, 0);
    }
    return 0;
}

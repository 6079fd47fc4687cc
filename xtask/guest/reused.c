// reused FILE COUNT CGROUP ARGUMENT…: lets so many children die (`reused-0` …), reaps each at once, and lets another process
// have its pid, in CGROUP, with its output in /tmp/of-a-usurper: of the even ones another program, of the odd ones the same under
// the same name with other arguments. Writes into FILE how many got the pid, and how many in the 10 ms in which the victim began.
#define _GNU_SOURCE
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

static uint64_t now(void) {
    struct timespec time;
    check(clock_gettime(CLOCK_BOOTTIME, &time) == 0, "clock_gettime");
    return time.tv_sec * 1000000000ull + time.tv_nsec;
}

// /proc counts starts by it.
static uint64_t tick(void) { return now() / 10000000; }

// Long enough to be looked at.
static void stay(void) {
    usleep(30000);
    _exit(0);
}

static void usurp(char **argv, int argc, int number, int output) {
    char *end = argv[argc - 1] + strlen(argv[argc - 1]);
    char name[24];
    dup2(output, 1);
    dup2(output, 2);
    if (number % 2 == 0) {
        char *args[] = {"usurper", "of-a-usurper", NULL}, *none[] = {NULL};
        execve("/tmp/of-a-usurper-program", args, none);
        _exit(99);
    }
    snprintf(name, sizeof name, "reused-%d", number);
    prctl(PR_SET_NAME, name);
    // Of arguments the end.
    memcpy(end - 12, "of-a-usurper", 12);
    stay();
}

int main(int argc, char **argv) {
    if (argc > 1 && !strcmp(argv[1], "of-a-usurper"))
        stay();
    check(argc > 4 && strlen(argv[argc - 1]) > 12, "usage: reused FILE COUNT CGROUP ARGUMENT…");
    FILE *file = fopen(argv[1], "w");
    int cgroup = open(argv[3], O_PATH | O_DIRECTORY), output = open("/tmp/of-a-usurper", O_WRONLY | O_CREAT, 0644);
    check(file != NULL && cgroup >= 0 && output >= 0, argv[3]);
    int count = atoi(argv[2]), taken = 0, soon = 0;
    // No load makes it late; who looks is.
    struct sched_param first = {.sched_priority = 1};
    check(sched_setscheduler(0, SCHED_FIFO, &first) == 0, "sched_setscheduler");
    for (int i = 0; i < count; i++) {
        // All of it takes less than what is left of it.
        uint64_t began = tick();
        while (tick() == began)
            ;
        began = tick();
        pid_t pid = fork();
        check(pid >= 0, "fork");
        if (pid == 0) {
            char name[24];
            snprintf(name, sizeof name, "reused-%d", i);
            prctl(PR_SET_NAME, name);
            *(volatile int *)8 = 1;
        }
        check(waitpid(pid, NULL, 0) == pid, "waitpid");
        struct clone_args args = {
            .flags = CLONE_INTO_CGROUP | CLONE_VFORK, .exit_signal = SIGCHLD, .set_tid = (uintptr_t)&pid, .set_tid_size = 1, .cgroup = cgroup};
        // The same program goes on at once.
        if (i % 2 == 1)
            args.flags &= ~CLONE_VFORK;
        pid_t usurper = syscall(SYS_clone3, &args, sizeof args);
        if (usurper == 0)
            usurp(argv, argc, i, output);
        if (usurper == pid) {
            taken++;
            soon += tick() == began;
        }
        if (usurper > 0)
            check(waitpid(usurper, NULL, 0) == usurper, "waitpid");
    }
    fprintf(file, "%d %d\n", taken, soon);
    return fclose(file);
}

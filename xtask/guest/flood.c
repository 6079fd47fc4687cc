// flood FILE SECONDS: as nobody, sends signals as fast as it can: to a child that blocks them, to one that handles
// them, SIGBUS to one that handles that, to two hundred children in turn, and to itself what looks like poisoned
// memory. Writes into FILE how many it has sent.
// flood prey: a child handles fifty SIGTERM and dies of one more.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

enum { CHILDREN = 200 };

static volatile unsigned long *sent;
static volatile sig_atomic_t handled;

static void handler(int signal) {
    (void)signal;
    handled++;
}

static void pauses(void) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

// A child that takes a signal so.
static pid_t target(int number, int blocks) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, number);
    signal(number, handler);
    if (blocks)
        sigprocmask(SIG_BLOCK, &set, NULL);
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0)
        pauses();
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    return child;
}

static void flood(int how) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    pid_t targets[CHILDREN];
    int number = how == 2 || how == 4 ? SIGBUS : SIGTERM;
    int count = how == 3 ? CHILDREN : how == 4 ? 0 : 1;
    for (int i = 0; i < count; i++)
        targets[i] = target(number, how == 0);
    signal(number, handler);
    siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_MCEERR_AR, .si_addr = &info};
    for (unsigned long i = 0;; i++) {
        if (how == 4)
            syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info);
        else
            kill(targets[i % count], number);
        __atomic_add_fetch(sent, 1, __ATOMIC_RELAXED);
    }
}

static int prey(void) {
    signal(SIGTERM, handler);
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        while (handled < 50)
            usleep(100);
        signal(SIGTERM, SIG_DFL);
        pauses();
    }
    while (waitpid(child, NULL, WNOHANG) == 0) {
        kill(child, SIGTERM);
        usleep(200);
    }
    return 0;
}

int main(int argc, char **argv) {
    check(argc > 1, "usage: flood FILE SECONDS | flood prey");
    if (!strcmp(argv[1], "prey"))
        return prey();
    FILE *file = fopen(argv[1], "w");
    check(file != NULL, argv[1]);
    sent = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(sent != MAP_FAILED, "mmap");
    check(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0, "setresuid");
    pid_t floods[5];
    for (int how = 0; how < 5; how++) {
        floods[how] = fork();
        check(floods[how] >= 0, "fork");
        if (floods[how] == 0)
            flood(how);
    }
    sleep(atoi(argv[2]));
    for (int how = 0; how < 5; how++) {
        kill(floods[how], SIGKILL);
        waitpid(floods[how], NULL, 0);
    }
    fprintf(file, "%lu\n", *sent);
    return fclose(file);
}

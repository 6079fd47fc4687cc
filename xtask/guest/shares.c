// What one user may do to others by filling what signals are kept in.
// shares marks PID: nobody, with nothing left to keep signals in, signals processes of its own whose pids end in the same 13
//   bits as PID.
// shares zombies: signals processes that have ended, more of them than a user has signals kept for.
// shares handled FILE: six processes handle as many SIGBUS as they can send one another, until FILE is there.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

enum { CHILDREN = 700, SLOTS = 8192 };

static void handler(int signal) { (void)signal; }

static pid_t child(int lives) {
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child != 0)
        return child;
    if (!lives)
        _exit(0);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

static void be_nobody(void) {
    check(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0, "setresuid");
}

// A child that has this pid, if that is free.
static pid_t with_pid(pid_t pid) {
    FILE *last = fopen("/proc/sys/kernel/ns_last_pid", "w");
    check(last != NULL && fprintf(last, "%d", pid - 1) > 0 && fclose(last) == 0, "ns_last_pid");
    pid_t got = fork();
    check(got >= 0, "fork");
    if (got == 0) {
        be_nobody();
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;)
            pause();
    }
    return got;
}

static void marks(pid_t pid) {
    signal(SIGTERM, handler);
    pid_t same[3];
    int count = 0;
    for (int i = 0; i < 3; i++) {
        pid_t wanted = pid % SLOTS + i * SLOTS;
        if (wanted <= 300 || wanted == pid)
            continue;
        same[count] = with_pid(wanted);
        if (same[count] == wanted)
            count++;
        else
            kill(same[count], SIGKILL);
    }
    check(count > 0, "no pid was free");
    be_nobody();
    // Whoever becomes another user forgets whom to follow into death.
    usleep(200000);
    pid_t all[CHILDREN];
    for (int i = 0; i < CHILDREN; i++)
        all[i] = child(1);
    for (int i = 0; i < CHILDREN; i++)
        kill(all[i], SIGTERM);
    for (int i = 0; i < 40; i++)
        for (int j = 0; j < count; j++) {
            kill(same[j], SIGTERM);
            usleep(1000);
        }
    for (int i = 0; i < CHILDREN; i++)
        kill(all[i], SIGKILL);
    for (int j = 0; j < count; j++)
        kill(same[j], SIGKILL);
    while (wait(NULL) > 0)
        ;
}

static void zombies(void) {
    pid_t all[CHILDREN];
    siginfo_t info;
    for (int i = 0; i < CHILDREN; i++)
        all[i] = child(0);
    for (int i = 0; i < CHILDREN; i++)
        waitid(P_PID, all[i], &info, WEXITED | WNOWAIT);
    for (int i = 0; i < CHILDREN; i++)
        kill(all[i], SIGTERM);
    while (wait(NULL) > 0)
        ;
}

static void handled(const char *file) {
    signal(SIGBUS, handler);
    pid_t all[6];
    for (int i = 0; i < 6; i++) {
        all[i] = fork();
        check(all[i] >= 0, "fork");
        if (all[i] == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            for (;;) {
                raise(SIGBUS);
                usleep(500);
            }
        }
    }
    while (access(file, F_OK) != 0)
        usleep(10000);
    for (int i = 0; i < 6; i++)
        kill(all[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
}

int main(int argc, char **argv) {
    if (argc > 2 && !strcmp(argv[1], "marks"))
        marks(atoi(argv[2]));
    else if (argc > 1 && !strcmp(argv[1], "zombies"))
        zombies();
    else if (argc > 2 && !strcmp(argv[1], "handled"))
        handled(argv[2]);
    else
        check(0, "usage: shares marks PID | shares zombies | shares handled FILE");
    return 0;
}

// threads RUNS: so often a process of a few threads of which one, not the first, fails: SIGSEGV at an address that nothing is
// mapped at. The kernel ends all of them at once; as no core dump may be made, it does not have them wait for each other first.
// threads leave RUNS: of two threads one has handled such a failure, and leaves by itself as the process is sent another SIGSEGV.
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "common.h"

static pthread_barrier_t begun;

static __attribute__((noinline)) void fail_here(void) {
    *(volatile int *)16 = 1;
}

static _Noreturn void *live(void *fails) {
    pthread_barrier_wait(&begun);
    if (fails)
        fail_here();
    for (;;)
        ;
}

static volatile int *leave;

static void handler(int signal) {
    (void)signal;
    *leave = -1;
    while (*leave < 0)
        ;
    syscall(SYS_exit, 0);
}

static void *handle(void *none) {
    fail_here();
    return none;
}

static void one_leaves(void) {
    *leave = 0;
    pid_t child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        pthread_t thread;
        struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESETHAND};
        check(prctl(PR_SET_DUMPABLE, 0) == 0, "PR_SET_DUMPABLE");
        check(sigaction(SIGSEGV, &action, NULL) == 0, "sigaction");
        check(pthread_create(&thread, NULL, handle, NULL) == 0, "pthread_create");
        for (;;)
            pause();
    }
    while (*leave == 0)
        usleep(1000);
    *leave = 1;
    kill(child, SIGSEGV);
    int status;
    check(waitpid(child, &status, 0) == child, "waitpid");
    check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "it died otherwise");
}

int main(int argc, char **argv) {
    check(argc > 1, "usage: threads RUNS | threads leave RUNS");
    if (!strcmp(argv[1], "leave")) {
        check(argc > 2, "usage: threads leave RUNS");
        leave = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        check(leave != MAP_FAILED, "mmap");
        for (int i = atoi(argv[2]); i > 0; i--)
            one_leaves();
        return 0;
    }
    for (int i = atoi(argv[1]); i > 0; i--) {
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            pthread_t thread;
            int others = i % 3;
            check(prctl(PR_SET_DUMPABLE, 0) == 0, "PR_SET_DUMPABLE");
            pthread_barrier_init(&begun, NULL, others + 2);
            for (int n = 0; n <= others; n++)
                check(pthread_create(&thread, NULL, live, n == 0 ? "fails" : NULL) == 0, "pthread_create");
            live(NULL);
        }
        int status;
        check(waitpid(child, &status, 0) == child, "waitpid");
        check(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV, "it died otherwise");
        // A stack is captured so often a second, of one user.
        usleep(120000);
    }
    return 0;
}

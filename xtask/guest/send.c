// send FILE MODE: a SIGBUS without any fault, to itself: tgkill, sigqueue, or forged to look like
// a fault, of poisoned memory (`poison`) perhaps.
// send FILE crash|thread NUMBER: the same of another signal, to the process or to its thread; as sent (`resent`) by the
// handler of a fault.
// send FILE fault|forbidden|filtered: a fault; a system call that its filter forbids, and one by which that could be sent.
#define _GNU_SOURCE
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common.h"

static void resend(int number, siginfo_t *info, void *context) {
    (void)context;
    signal(number, SIG_DFL);
    syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number, info);
}

static void forbid(int call) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = 4, .filter = filter};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "PR_SET_NO_NEW_PRIVS");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "PR_SET_SECCOMP");
    syscall(call, getpid(), gettid(), 0, 0);
}

int main(int argc, char **argv) {
    check(argc > 2, "usage: send FILE MODE [NUMBER]");
    int number = argc > 3 ? atoi(argv[3]) : SIGBUS;
    siginfo_t info = {.si_signo = number, .si_code = 1, .si_addr = &info};
    if (number == SIGBUS)
        info.si_code = strcmp(argv[2], "poison") ? BUS_ADRERR : BUS_MCEERR_AR;
    union sigval value = {.sival_int = 1};
    struct sigaction handler = {.sa_sigaction = resend, .sa_flags = SA_SIGINFO};
    if (!strcmp(argv[2], "resent"))
        sigaction(SIGSEGV, &handler, NULL);
    if (!strcmp(argv[2], "tgkill"))
        syscall(SYS_tgkill, getpid(), gettid(), SIGBUS);
    else if (!strcmp(argv[2], "sigqueue"))
        sigqueue(getpid(), SIGBUS, value);
    else if (!strcmp(argv[2], "thread"))
        syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), number, &info);
    else if (!strcmp(argv[2], "fault") || !strcmp(argv[2], "resent"))
        *(volatile int *)16 = 1;
    else if (!strcmp(argv[2], "forbidden"))
        forbid(SYS_getppid);
    else if (!strcmp(argv[2], "filtered"))
        forbid(SYS_rt_tgsigqueueinfo);
    else
        syscall(SYS_rt_sigqueueinfo, getpid(), number, &info);
    check(0, "still alive");
}

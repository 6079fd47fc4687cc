// send FILE MODE: a SIGBUS without any fault, to itself: tgkill, sigqueue, or forged to look like
// a fault, of poisoned memory (`poison`) perhaps.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/syscall.h>

#include "common.h"

int main(int argc, char **argv) {
    check(argc > 2, "usage: send FILE MODE");
    siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_ADRERR, .si_addr = &info};
    if (!strcmp(argv[2], "poison"))
        info.si_code = BUS_MCEERR_AR;
    union sigval value = {.sival_int = 1};
    if (!strcmp(argv[2], "tgkill"))
        syscall(SYS_tgkill, getpid(), gettid(), SIGBUS);
    else if (!strcmp(argv[2], "sigqueue"))
        sigqueue(getpid(), SIGBUS, value);
    else
        syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info);
    check(0, "still alive");
}

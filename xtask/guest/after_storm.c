// after_storm FILE [SECONDS]: lives through more bus errors than are told one by one, and long after them sends itself what looks
// like another.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <sys/syscall.h>

#include "common.h"

static sigjmp_buf back;

static void recover(int signal) {
    (void)signal;
    siglongjmp(back, 1);
}

int main(int argc, char **argv) {
    check(argc > 1, "usage: after_storm FILE");
    int fd = open(argv[1], O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(fd >= 0, argv[1]);
    volatile char *p = map(fd, 4096);
    signal(SIGBUS, recover);
    for (volatile int i = 0; i < 40; i++)
        if (sigsetjmp(back, 1) == 0)
            (void)p[0];
    signal(SIGBUS, SIG_DFL);
    usleep(argc > 2 ? atof(argv[2]) * 1e6 : 3e6);
    siginfo_t info = {.si_signo = SIGBUS, .si_code = BUS_ADRERR, .si_addr = &info};
    syscall(SYS_rt_sigqueueinfo, getpid(), SIGBUS, &info);
    check(0, "still alive");
}

// driver FILE [live]: writes to the data pages of a perf event's ring, which only the kernel may write;
// with `live` a handler takes the signal, and it lives on for a while. FILE only tells whose it is.
#include <linux/perf_event.h>
#include <signal.h>
#include <sys/syscall.h>

#include "common.h"

static void live(int signal) {
    (void)signal;
    sleep(3);
    _exit(0);
}

int main(int argc, char **argv) {
    (void)argv;
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_DUMMY};
    int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    check(fd >= 0, "perf_event_open");
    long page = sysconf(_SC_PAGESIZE);
    char *p = mmap(0, 5 * page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    if (argc > 2)
        signal(SIGBUS, live);
    p[page + 5] = 1;
    return 99;
}

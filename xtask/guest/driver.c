// driver FILE: writes to the data pages of a perf event's ring, which only the kernel may write.
// FILE only tells whose it is.
#include <linux/perf_event.h>
#include <sys/syscall.h>

#include "common.h"

int main(void) {
    struct perf_event_attr attr = {
        .type = PERF_TYPE_SOFTWARE, .size = sizeof attr, .config = PERF_COUNT_SW_DUMMY};
    int fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, 0);
    check(fd >= 0, "perf_event_open");
    char *p = mmap(0, 5 * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    p[4096 + 5] = 1;
    return 99;
}

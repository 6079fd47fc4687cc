// uffd LABEL [shared]: touches a page registered with userfaultfd and UFFD_FEATURE_SIGBUS; of memory of its own, or
// of shared memory.
#define _GNU_SOURCE
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

#include "common.h"

int main(int argc, char **argv) {
    (void)argv;
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS};
    check(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0, "userfaultfd");
    int memory = -1, flags = MAP_PRIVATE | MAP_ANONYMOUS;
    if (argc > 2) {
        memory = memfd_create("frames", 0);
        check(memory >= 0 && ftruncate(memory, 65536) == 0, "memfd_create");
        flags = MAP_SHARED;
    }
    volatile char *p = mmap(0, 65536, PROT_READ | PROT_WRITE, flags, memory, 0);
    check(p != MAP_FAILED, "mmap");
    struct uffdio_register range = {
        .range = {.start = (unsigned long)p, .len = 65536},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };
    check(ioctl(fd, UFFDIO_REGISTER, &range) == 0, "UFFDIO_REGISTER");
    p[7] = 1;
    return 0;
}

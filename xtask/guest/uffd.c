// uffd LABEL: touches a page registered with userfaultfd and UFFD_FEATURE_SIGBUS.
#include "common.h"
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>

int main(void) {
    int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_SIGBUS};
    check(fd >= 0 && ioctl(fd, UFFDIO_API, &api) == 0, "userfaultfd");
    volatile char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(p != MAP_FAILED, "mmap");
    struct uffdio_register range = {
        .range = {.start = (unsigned long)p, .len = 4096},
        .mode = UFFDIO_REGISTER_MODE_MISSING,
    };
    check(ioctl(fd, UFFDIO_REGISTER, &range) == 0, "UFFDIO_REGISTER");
    p[7] = 1;
    return 0;
}

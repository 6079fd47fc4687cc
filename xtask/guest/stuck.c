// stuck FILE [ARGUMENTS [UID]]: puts its arguments, unless ARGUMENTS is -, where whoever reads them waits for a page that nobody gives: a
// userfaultfd, which fails whoever asks by /proc, or the file ARGUMENTS, whose server may let them wait. Then
// reads past the end of FILE, which is empty, as UID if that is given. Lives on after that.
#include <linux/userfaultfd.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "common.h"

static void stay(int signal) {
    (void)signal;
    for (;;)
        pause();
}

static unsigned long of_userfaultfd(void) {
    int uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
    struct uffdio_api api = {.api = UFFD_API};
    check(uffd >= 0 && ioctl(uffd, UFFDIO_API, &api) == 0, "userfaultfd");
    char *args = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(args != MAP_FAILED, "mmap");
    unsigned long start = (unsigned long)args;
    struct uffdio_register range = {.range = {.start = start, .len = 65536},
                                    .mode = UFFDIO_REGISTER_MODE_MISSING};
    check(ioctl(uffd, UFFDIO_REGISTER, &range) == 0, "UFFDIO_REGISTER");
    return start;
}

static unsigned long of_file(const char *name) {
    int fd = open(name, O_RDONLY);
    check(fd >= 0, name);
    return (unsigned long)map(fd, 4096);
}

int main(int argc, char **argv) {
    check(argc > 1, "usage: stuck FILE");
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0, argv[1]);
    volatile char *p = map(fd, 4096);

    if (argc < 3 || strcmp(argv[2], "-")) {
        unsigned long start = argc > 2 ? of_file(argv[2]) : of_userfaultfd();
        // The start first: the stack, where it was, is above.
        check(prctl(PR_SET_MM, PR_SET_MM_ARG_START, start, 0, 0) == 0, "PR_SET_MM_ARG_START");
        check(prctl(PR_SET_MM, PR_SET_MM_ARG_END, start + 100, 0, 0) == 0, "PR_SET_MM_ARG_END");
    }
    check(argc < 4 || setuid(atoi(argv[3])) == 0, "setuid");
    signal(SIGBUS, stay);
    (void)p[5];
    return 99;
}

// bench WORKLOAD DIR: prints guest instructions per operation (the CPU's clock counts instructions under
// -icount: each takes one ns), the least of several rounds: what a timer interrupt adds is not ours.
#include "common.h"
#include <signal.h>
#include <stdint.h>
#include <sys/wait.h>
#ifdef __x86_64__
#include <x86intrin.h>
#endif

enum { PAGE = 4096, PAGES = 2048, ROUNDS = 9 };

static uint64_t instructions(void) {
#ifdef __x86_64__
    return __rdtsc();
#else
    uint64_t ticks, hz;
    __asm__ volatile("isb; mrs %0, cntvct_el0; mrs %1, cntfrq_el0" : "=r"(ticks), "=r"(hz));
    return ticks * (1000000000 / hz);
#endif
}

static int file(const char *dir) {
    char name[4096];
    snprintf(name, sizeof name, "%s/bench", dir);
    int fd = open(name, O_RDWR | O_CREAT, 0644);
    check(fd >= 0, name);
    static char page[PAGE] = {1};
    for (int i = 0; i < PAGES; i++)
        check(pwrite(fd, page, PAGE, (off_t)i * PAGE) == PAGE, "pwrite");
    return fd;
}

// One page at a time: every first write to a private mapping is one call of the fault handler.
static double faults(int fd, int prot, int flags, int write) {
    volatile char *p = mmap(0, (size_t)PAGES * PAGE, prot, flags, fd, 0);
    check(p != MAP_FAILED, "mmap");
    madvise((void *)p, (size_t)PAGES * PAGE, MADV_NOHUGEPAGE);
    uint64_t start = instructions();
    for (int i = 0; i < PAGES; i++) {
        if (write)
            p[(size_t)i * PAGE] = 2;
        else
            (void)p[(size_t)i * PAGE];
    }
    uint64_t took = instructions() - start;
    munmap((void *)p, (size_t)PAGES * PAGE);
    return (double)took / PAGES;
}

static double chmods(int fd) {
    uint64_t start = instructions();
    for (int i = 0; i < PAGES; i++)
        check(fchmod(fd, i & 1 ? 0644 : 0600) == 0, "fchmod");
    return (double)(instructions() - start) / PAGES;
}

static double shrinks(int fd, int mapped) {
    volatile char *p = mapped ? map(fd, PAGE) : 0;
    uint64_t took = 0;
    for (int i = 0; i < 64; i++) {
        check(ftruncate(fd, 2 * PAGE) == 0, "ftruncate");
        uint64_t start = instructions();
        check(ftruncate(fd, PAGE) == 0, "ftruncate");
        took += instructions() - start;
    }
    if (mapped)
        munmap((void *)p, PAGE);
    return (double)took / 64;
}

static void nothing(int signal) { (void)signal; }

static double signals(void) {
    uint64_t start = instructions();
    for (int i = 0; i < PAGES; i++)
        kill(getpid(), SIGUSR1);
    return (double)(instructions() - start) / PAGES;
}

static double forks(void) {
    enum { N = 64 };
    uint64_t start = instructions();
    for (int i = 0; i < N; i++) {
        pid_t child = fork();
        if (child == 0)
            _exit(0);
        waitpid(child, 0, 0);
    }
    return (double)(instructions() - start) / N;
}

// What a busy host does all day, in one piece: a process that is started and ends, files that are
// opened and looked at, mapped and read, a signal now and then.
static double mix(const char *self, const char *dir, int fd) {
    enum { N = 8 };
    char name[4096];
    struct stat st;
    snprintf(name, sizeof name, "%s/bench", dir);
    signal(SIGUSR1, nothing);
    uint64_t start = instructions();
    for (int i = 0; i < N; i++) {
        pid_t child = fork();
        if (child == 0) {
            execl(self, self, (char *)0);
            _exit(1);
        }
        waitpid(child, 0, 0);
        for (int j = 0; j < 32; j++) {
            int other = open(name, O_RDONLY);
            check(other >= 0 && fstat(other, &st) == 0 && stat(name, &st) == 0, name);
            close(other);
        }
        for (int j = 0; j < 4; j++)
            check(fchmod(fd, j & 1 ? 0644 : 0600) == 0, "fchmod");
        for (int j = 0; j < 16; j++) {
            volatile char *p = mmap(0, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
            check(p != MAP_FAILED, "mmap");
            for (int k = 0; k < 16; k++)
                k % 8 ? (void)p[k * PAGE] : (void)(p[k * PAGE] = 1);
            munmap((void *)p, 16 * PAGE);
        }
        for (int j = 0; j < 4; j++)
            kill(getpid(), SIGUSR1);
    }
    return (double)(instructions() - start) / N;
}

int main(int argc, char **argv) {
    if (argc == 1)
        return 0;
    check(argc > 2, "usage: bench WORKLOAD DIR");
    const char *what = argv[1];
    int fd = file(argv[2]);
    double least = 1e18;
    for (int round = 0; round < ROUNDS; round++) {
        double now;
        if (!strcmp(what, "private-write"))
            now = faults(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, 1);
        else if (!strcmp(what, "fault-around"))
            now = faults(fd, PROT_READ, MAP_SHARED, 0);
        else if (!strcmp(what, "anonymous"))
            now = faults(-1, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, 1);
        else if (!strcmp(what, "chmod"))
            now = chmods(fd);
        else if (!strcmp(what, "shrink-unmapped"))
            now = shrinks(fd, 0);
        else if (!strcmp(what, "shrink-mapped"))
            now = shrinks(fd, 1);
        else if (!strcmp(what, "signal-ignored")) {
            signal(SIGUSR1, SIG_IGN);
            now = signals();
        } else if (!strcmp(what, "signal-handled")) {
            signal(SIGUSR1, nothing);
            now = signals();
        } else if (!strcmp(what, "fork-exit"))
            now = forks();
        else if (!strcmp(what, "idle"))
            now = 0;
        else if (!strcmp(what, "mix"))
            now = mix("/proc/self/exe", argv[2], fd);
        else
            return 2;
        if (now < least)
            least = now;
    }
    printf("%.2f\n", least);
    return 0;
}

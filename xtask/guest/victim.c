// victim HOW: does one thing as soon as it runs.
//   segv      reads at address 0
//   bus FILE  reads past the end of FILE, which it maps
//   exit      exits with status 3
//   hog       takes memory until that is all
//   spin      uses the CPU
//   deaf      ignores SIGTERM and waits
//   wait      waits
//   drain     waits; three seconds after SIGTERM it exits with status 1
//   interrupt waits; of SIGINT it exits with status 130
#include "common.h"
#include <signal.h>

static void drain(int signal) {
    (void)signal;
    sleep(3);
    _exit(1);
}

static void interrupted(int signal) {
    _exit(128 + signal);
}

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    if (!strcmp(how, "segv"))
        (void)*(volatile char *)0;
    if (!strcmp(how, "bus")) {
        int fd = open(argv[2], O_RDONLY);
        check(fd >= 0, argv[2]);
        (void)map(fd, 65536)[40000];
    }
    if (!strcmp(how, "exit"))
        exit(3);
    while (!strcmp(how, "hog")) {
        char *block = malloc(1 << 20);
        if (block)
            memset(block, 1, 1 << 20);
        usleep(1000);
    }
    for (volatile int spins = !strcmp(how, "spin"); spins;) {
    }
    if (!strcmp(how, "deaf"))
        signal(SIGTERM, SIG_IGN);
    if (!strcmp(how, "drain"))
        signal(SIGTERM, drain);
    if (!strcmp(how, "interrupt"))
        signal(SIGINT, interrupted);
    while (strcmp(how, "deaf") == 0 || strcmp(how, "wait") == 0 || strcmp(how, "drain") == 0 || strcmp(how, "interrupt") == 0)
        pause();
    return 99;
}

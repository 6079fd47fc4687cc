// looper FILE SECONDS: a handler that returns without mending the mapping: the fault comes again at
// once. Leaves the number of signals in FILE.count and ends with status 3.
#include "common.h"
#include <signal.h>
#include <time.h>

static volatile unsigned long count;
static time_t until;
static const char *file;

static void again(int signal) {
    (void)signal;
    count++;
    if (time(0) < until)
        return;
    char name[4096];
    snprintf(name, sizeof name, "%s.count", file);
    FILE *out = fopen(name, "w");
    fprintf(out, "%lu\n", count);
    fclose(out);
    _exit(3);
}

int main(int argc, char **argv) {
    (void)argc;
    file = argv[1];
    until = time(0) + atol(argv[2]);
    signal(SIGBUS, again);
    int fd = open(file, O_RDWR | O_CREAT | O_TRUNC, 0644);
    check(fd >= 0, file);
    volatile char *p = map(fd, 4096);
    (void)p[0];
    return 0;
}

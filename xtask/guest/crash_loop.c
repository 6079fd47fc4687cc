// crash_loop SECONDS FILE: as nobody, lets children abort as fast as they can be forked, each under one of seven names.
// Writes into FILE how many.
#define _GNU_SOURCE
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "common.h"

int main(int argc, char **argv) {
    check(argc > 2, "usage: crash_loop SECONDS FILE");
    FILE *file = fopen(argv[2], "w");
    check(file != NULL, argv[2]);
    check(setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0, "setresuid");
    time_t end = time(NULL) + atoi(argv[1]);
    unsigned long count = 0;
    for (; time(NULL) < end; count++) {
        pid_t child = fork();
        check(child >= 0, "fork");
        if (child == 0) {
            char name[16];
            snprintf(name, sizeof name, "loop-%lu", count % 7);
            prctl(PR_SET_NAME, name);
            abort();
        }
        check(waitpid(child, NULL, 0) == child, "waitpid");
    }
    fprintf(file, "%lu\n", count);
    return fclose(file);
}

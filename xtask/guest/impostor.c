// impostor FILE: takes another's name wherever a process may, and empties FILE. Called ./evil FILE, it is told as nginx: work.
#include <sys/prctl.h>

#include "common.h"

int main(int argc, char **argv) {
    char file[4096];
    check(argc == 2 && snprintf(file, sizeof file, "%s", argv[1]) > 0, "usage: impostor FILE");
    check(prctl(PR_SET_NAME, "nginx") == 0, "PR_SET_NAME");
    memcpy(argv[0], "nginx:", strnlen(argv[0], 6));
    memcpy(argv[1], "work", strnlen(argv[1], 4));
    check(truncate(file, 0) == 0, file);
    return 0;
}

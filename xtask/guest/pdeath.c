// pdeath FILE: ends; its child has asked for a SIGBUS when it does.
#include <sys/prctl.h>

#include "common.h"

int main(int argc, char **argv) {
    check(argc > 1, "usage: pdeath FILE");
    if (fork() == 0) {
        check(prctl(PR_SET_PDEATHSIG, 7) == 0, "prctl");
        check(prctl(PR_SET_NAME, "orphan") == 0, "prctl");
        say(argv[1], "ready");
        for (;;)
            pause();
    }
    await(argv[1], "ready");
    return 0;
}

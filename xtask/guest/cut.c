// cut [-u] FILE [PROGRAM ARGUMENTS]: cuts a file short and is gone, or runs a program at once. With -u it unlinks
// its own executable first. cut -s only sleeps.
#include "common.h"

int main(int argc, char **argv) {
    char **file = argv + 1;
    check(argc > 1, "usage: cut FILE");
    if (!strcmp(*file, "-s"))
        return sleep(1);
    if (!strcmp(*file, "-u")) {
        check(unlink(argv[0]) == 0, argv[0]);
        file++;
    }
    check(*file && truncate(*file, 4096) == 0, *file);
    if (file[1])
        execv(file[1], file + 1);
    return 0;
}

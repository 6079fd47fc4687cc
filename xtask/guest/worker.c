// worker HOW: lives a little, then ends: by `exit`, `abort`, or by taking memory until that is all
// (`hog`; `gorge`, as fast as it can); `wait` waits to be killed.
#include "common.h"

int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    usleep(300000);
    if (!strcmp(how, "exit"))
        exit(1);
    if (!strcmp(how, "abort"))
        abort();
    while (!strcmp(how, "hog") || !strcmp(how, "gorge")) {
        char *block = malloc(1 << 20);
        if (block)
            memset(block, 1, 1 << 20);
        if (how[0] == 'h')
            usleep(2000);
    }
    while (!strcmp(how, "wait"))
        pause();
    return 99;
}

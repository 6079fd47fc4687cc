// self_thread FILE: one thread reads, another shrinks the file.
#include "common.h"
#include <pthread.h>

static const char *file;

static void *shrink(void *unused) {
    (void)unused;
    check(truncate(file, 4096) == 0, "truncate");
    say(file, "go");
    pause();
    return 0;
}

int main(int argc, char **argv) {
    (void)argc;
    file = argv[1];
    int fd = open(file, O_RDONLY);
    check(fd >= 0, file);
    volatile char *p = map(fd, size_of(fd));
    (void)p[80000];
    pthread_t thread;
    pthread_create(&thread, 0, shrink, 0);
    await(file, "go");
    (void)p[80000];
    return 0;
}

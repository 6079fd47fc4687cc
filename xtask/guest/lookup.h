// PROGRAM FILE OFFSET: copies from a mapped file as a reader of a database does, in functions whose names an answer must have.
#include "common.h"

static char row[65536];

__attribute__((always_inline)) static inline void copy_row(const char *from) {
    memcpy(row, from, sizeof row);
}

__attribute__((noinline)) static long geo_lookup(const char *database, long offset) {
    copy_row(database + offset);
    // No tail call: its frame is there.
    asm volatile("" ::: "memory");
    return row[1];
}

__attribute__((noinline)) static long serve(const char *database, long offset) {
    return geo_lookup(database, offset) + row[2];
}

int main(int argc, char **argv) {
    int fd = open(argv[1], O_RDONLY);
    check(fd >= 0 && argc == 3, argv[1]);
    const char *database = (const char *)map(fd, size_of(fd));
    long sum = serve(database, atol(argv[2]));
    say(argv[1], "ready");
    for (;;) {
        sum += serve(database, atol(argv[2]));
        usleep(1000 + (sum & 1));
    }
}

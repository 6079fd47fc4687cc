// What the programs under test share: they say when they are ready and wait to be told to go on.
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void check(int ok, const char *what) {
    if (!ok) {
        perror(what);
        exit(99);
    }
}

// Creates FILE.SUFFIX.
static inline void say(const char *file, const char *suffix) {
    char name[4096];
    snprintf(name, sizeof name, "%s.%s", file, suffix);
    int fd = open(name, O_WRONLY | O_CREAT, 0644);
    check(fd >= 0, name);
    close(fd);
}

// Waits for FILE.SUFFIX.
static inline void await(const char *file, const char *suffix) {
    char name[4096];
    struct stat st;
    snprintf(name, sizeof name, "%s.%s", file, suffix);
    while (stat(name, &st) != 0)
        usleep(2000);
}

// Of a block device, too.
static inline size_t size_of(int fd) {
    off_t size = lseek(fd, 0, SEEK_END);
    check(size >= 0, "lseek");
    return size;
}

static inline volatile char *map(int fd, size_t size) {
    void *p = mmap(0, size, PROT_READ, MAP_SHARED, fd, 0);
    check(p != MAP_FAILED, "mmap");
    return p;
}

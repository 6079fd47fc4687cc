//: c-dynamic sort -O2
//: c-no-pie sort -O2 -no-pie
//: c-tables sort -O2 -g -static
//: c-pointers copy -O2 -g -static -fno-omit-frame-pointer -fno-asynchronous-unwind-tables
//: c-lto copy -O2 -flto -g
//: c-debug copy separate -O2 -g
//: c-elsewhere sort elsewhere -O2 -g
//: c-bare copy stripped -O2
//: c-own-stack handler -O2 -g
// PROGRAM read FILE OFFSET HOW: maps a database and reads it there, until somebody has cut it short.
// PROGRAM cut FILE: is who does.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct row {
    unsigned network, mask;
    char country[8];
};

static struct row copy[64];
static long found;

// Called by qsort(3), from the middle of the C library.
static int by_network(const void *a, const void *b) {
    const struct row *left = a, *right = b;
    return left->network < right->network ? -1 : left->network > right->network;
}

__attribute__((always_inline)) static inline void copy_rows(const struct row *from) {
    memcpy(copy, from, sizeof copy);
}

__attribute__((noinline)) static void sort_rows(struct row *rows) {
    qsort(rows, 64, sizeof *rows, by_network);
    found += rows->network;
}

// Once for each bit of an address, as the search tree of a database is walked.
__attribute__((noinline)) static long walk_tree(const char *database, long offset, int bit, char how) {
    if (bit < 8)
        return walk_tree(database, offset, bit + 1, how) + bit;
    if (how == 's')
        sort_rows((struct row *)(database + offset));
    else
        copy_rows((const struct row *)(database + offset));
    asm volatile("" ::: "memory");
    return copy[1].network;
}

// A tail call: its frame is gone when the next function runs.
__attribute__((noinline)) static long look_up(const char *database, long offset, char how) {
    return walk_tree(database, offset, 5, how);
}

static void gives_up(int signal) {
    (void)signal;
    static const char told[] = "the database is gone\n";
    if (write(2, told, sizeof told - 1) < 0 || found != -1)
        abort();
}

static void has_a_stack_of_its_own(void) {
    stack_t stack = {.ss_sp = malloc(65536), .ss_size = 65536};
    struct sigaction action = {.sa_handler = gives_up, .sa_flags = SA_ONSTACK};
    sigaltstack(&stack, NULL);
    sigaction(SIGBUS, &action, NULL);
}

__attribute__((noinline)) static int cut_short(const char *path) {
    int fd = open(path, O_RDWR);
    int failed = fd < 0 || ftruncate(fd, 4096) != 0;
    asm volatile("" ::: "memory");
    return failed;
}

int main(int argc, char **argv) {
    if (argc == 3)
        return cut_short(argv[2]);
    if (argc != 5)
        return 98;
    struct stat st;
    int fd = open(argv[2], O_RDWR);
    if (fd < 0 || fstat(fd, &st) != 0)
        return 99;
    char *database = mmap(0, st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    if (database == MAP_FAILED)
        return 99;
    char ready[4096];
    snprintf(ready, sizeof ready, "%s.ready", argv[2]);
    if (argv[4][0] == 'h')
        has_a_stack_of_its_own();
    close(open(ready, O_WRONLY | O_CREAT, 0644));
    for (;;) {
        found += look_up(database, atol(argv[3]), argv[4][0]);
        usleep(1000);
    }
}

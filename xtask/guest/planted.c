// planted NUMBER bus|segv|abort FILE …: dies with secrets on its stack, on its heap and in its registers. FILE is what the
// bus error is of. None of them is a constant of the program: `NUMBERstack`, …, each behind the same beginning.
#include <stdint.h>

#include "common.h"

// secret(to, number, kind): 24 bytes.
static void secret(char *to, const char *number, const char *kind) {
    snprintf(to, 24, "%s%s%s%s", "Zq7", "pl4nt3d", number, kind);
}

__attribute__((noinline)) static void die(const char *how, volatile char *file) {
    if (!strcmp(how, "abort"))
        abort();
    if (!strcmp(how, "segv"))
        file = (volatile char *)8;
    (void)*file;
}

__attribute__((noinline)) static void with_registers(const char *number, const char *how, volatile char *file) {
    char held[24];
    secret(held, number, "held");
    uint64_t words[2];
    memcpy(words, held, sizeof words);
#if defined(__x86_64__)
    register uint64_t first asm("r12") = words[0];
    register uint64_t second asm("r13") = words[1];
#else
    register uint64_t first asm("x19") = words[0];
    register uint64_t second asm("x20") = words[1];
#endif
    asm volatile("" : "+r"(first), "+r"(second));
    die(how, file);
    asm volatile("" : : "r"(first), "r"(second), "r"(held) : "memory");
}

int main(int argc, char **argv) {
    check(argc > 3, "planted NUMBER HOW FILE");
    char stack[24];
    secret(stack, argv[1], "stack");
    char *heap = malloc(4096);
    secret(heap, argv[1], "heap");
    volatile char *file = 0;
    if (!strcmp(argv[2], "bus")) {
        int fd = open(argv[3], O_RDONLY);
        check(fd >= 0, argv[3]);
        file = map(fd, size_of(fd));
        say(argv[3], "ready");
        await(argv[3], "go");
    }
    asm volatile("" : : "r"(stack), "r"(heap) : "memory");
    with_registers(argv[1], argv[2], file);
    asm volatile("" : : "r"(stack), "r"(heap) : "memory");
    return 0;
}

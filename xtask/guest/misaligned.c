// misaligned FILE anonymous|file
// misaligned DEVICE device FILE: an exclusive load, as locks make one, across a border of 16 bytes. No arm64 processor does
// that, and the emulator refuses it in any memory. A device's is mapped from the start of DEVICE; FILE only tells whose it is.
#include "common.h"

int main(int argc, char **argv) {
    (void)argc;
    int anonymous = !strcmp(argv[2], "anonymous"), device = !strcmp(argv[2], "device");
    int fd = anonymous ? -1 : open(argv[1], O_RDWR | (device ? O_SYNC : 0));
    check(fd >= 0 || anonymous, argv[1]);
    int flags = anonymous ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    volatile char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, flags, fd, 0);
    check(p != MAP_FAILED, "mmap");
    (void)p[13];
#ifdef __aarch64__
    unsigned long value;
    __asm__ volatile("ldxr %0, [%1]" : "=r"(value) : "r"(p + 13) : "memory");
#endif
    return 99;
}

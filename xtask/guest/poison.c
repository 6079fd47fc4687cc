// poison LABEL: touches a page after its memory was declared bad.
#define _GNU_SOURCE
#include "common.h"

int main(void) {
    volatile char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    check(p != MAP_FAILED, "mmap");
    p[0] = 1;
    check(madvise((void *)p, 4096, MADV_HWPOISON) == 0, "MADV_HWPOISON");
    (void)p[9];
    return 0;
}

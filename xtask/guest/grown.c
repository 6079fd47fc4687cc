// grown FILE: shared anonymous memory that mremap made longer than the object behind it. FILE only
// tells whose it is.
#define _GNU_SOURCE
#include "common.h"

int main(void) {
    char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(p != MAP_FAILED, "mmap");
    p = mremap(p, 4096, 4 * 4096, MREMAP_MAYMOVE);
    check(p != MAP_FAILED, "mremap");
    p[3 * 4096 + 5] = 1;
    return 99;
}

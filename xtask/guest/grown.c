// grown FILE: shared anonymous memory that mremap made longer than the object behind it. FILE only
// tells whose it is.
#define _GNU_SOURCE
#include "common.h"

int main(void) {
    char *p = mmap(0, 65536, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(p != MAP_FAILED, "mmap");
    p = mremap(p, 65536, 4 * 65536, MREMAP_MAYMOVE);
    check(p != MAP_FAILED, "mremap");
    p[3 * 65536 + 5] = 1;
    return 99;
}

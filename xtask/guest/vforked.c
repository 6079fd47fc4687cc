// vforked LABEL: a child that shares its parent's memory (vfork(2)) takes all it can get.
#include "common.h"

int main(void) {
    if (vfork() == 0) {
        for (;;) {
            char *block = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
            if (block == MAP_FAILED)
                _exit(99);
            memset(block, 1, 1 << 20);
            usleep(2000);
        }
    }
    return 99;
}

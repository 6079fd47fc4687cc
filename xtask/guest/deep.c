// deep FILE: calls itself until its stack is used up. FILE only tells whose it is.
#include "common.h"

static volatile int end;

static __attribute__((noinline)) int deeper(int depth) {
    volatile char frame[512];
    frame[depth & 511] = (char)depth;
    return end ? 0 : deeper(depth + 1) + frame[0];
}

int main(void) {
    return deeper(0);
}

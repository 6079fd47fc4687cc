// dynamic: refused FILE HOW: executes what the CPU refuses, at addresses where no 32-bit code can lie: before 5.15 the
// kernel tells no registers. FILE only tells whose it is.
#include "common.h"

int main(int argc, char **argv) {
    const char *how = argc > 2 ? argv[2] : "";
#ifdef __aarch64__
    if (!strcmp(how, "trap"))
        __asm__ volatile("udf #0");
    if (!strcmp(how, "breakpoint"))
        __asm__ volatile("brk #0");
    if (!strcmp(how, "privileged"))
        __asm__ volatile("msr daifset, #2");
    if (!strcmp(how, "pointer"))
        __asm__ volatile("ldr x0, [%0, #16]" ::"r"(0x4141414141414141) : "x0");
    if (!strcmp(how, "call"))
        __asm__ volatile("blr %0" ::"r"(0x4242424242424240) : "x30");
#else
    if (!strcmp(how, "trap"))
        __builtin_trap();
    if (!strcmp(how, "breakpoint"))
        __asm__ volatile("int3");
    if (!strcmp(how, "privileged"))
        __asm__ volatile("cli");
    if (!strcmp(how, "pointer"))
        __asm__ volatile("mov 16(%0), %%rax" ::"r"(0x4141414141414141) : "rax");
    if (!strcmp(how, "call"))
        __asm__ volatile("call *%0" ::"r"(0x4242424242424242));
    if (!strcmp(how, "divide"))
        __asm__ volatile("cltd; idiv %1" : : "a"(-2147483647 - 1), "r"(-1) : "edx");
    if (!strcmp(how, "stack"))
        __asm__ volatile("mov %0, %%rsp; ret" ::"r"(0x414141410));
    if (!strcmp(how, "avx512"))
        __asm__ volatile("vmovaps %zmm0, %zmm1");
#endif
    return 99;
}

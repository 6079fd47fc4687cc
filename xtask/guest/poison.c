// poison LABEL: touches a page after its memory was declared bad.
// poison LABEL early: a child has asked to hear of it before it touches the page.
#define _GNU_SOURCE
#include <sys/prctl.h>
#include <sys/wait.h>

#include "common.h"

int main(int argc, char **argv) {
    volatile char *p = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    check(p != MAP_FAILED, "mmap");
    p[0] = 1;
    pid_t child = argc > 2 ? fork() : 0;
    if (argc > 2 && child == 0) {
        check(p[0] == 1, "the page");
        check(prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0, "PR_MCE_KILL");
        say(argv[1], "ready");
        for (;;)
            pause();
    }
    if (child != 0)
        await(argv[1], "ready");
    check(madvise((void *)p, 4096, MADV_HWPOISON) == 0, "MADV_HWPOISON");
    if (child != 0)
        check(waitpid(child, NULL, 0) == child, "waitpid");
    (void)p[9];
    return 0;
}

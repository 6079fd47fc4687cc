// vvar LABEL: reads every page of the mappings the kernel made for its clocks; some have nothing
// to show for.
#include "common.h"

int main(void) {
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[512];
    check(maps != 0, "/proc/self/maps");
    while (fgets(line, sizeof line, maps)) {
        unsigned long start, end;
        if (!strstr(line, "[vvar") || sscanf(line, "%lx-%lx", &start, &end) != 2)
            continue;
        for (; start < end; start += 4096)
            (void)*(volatile char *)start;
    }
    return 0;
}

// kretprobe FUNCTION: an empty BPF program on the return of a kernel function, for comparison;
// prints `ready` and stays.
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

static long number(const char *path, const char *skip) {
    char text[64] = {0};
    FILE *file = fopen(path, "r");
    if (!file || !fgets(text, sizeof text, file)) {
        perror(path);
        exit(99);
    }
    return atol(text + strlen(skip));
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 2;
    struct bpf_insn program[] = {
        {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
        {.code = BPF_JMP | BPF_EXIT},
    };
    union bpf_attr load = {
        .prog_type = BPF_PROG_TYPE_KPROBE,
        .insns = (uintptr_t)program,
        .insn_cnt = 2,
        .license = (uintptr_t) "GPL",
    };
    int prog = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof load);
    struct perf_event_attr attr = {
        .size = sizeof attr,
        .type = number("/sys/bus/event_source/devices/kprobe/type", ""),
        .config = 1ull << number("/sys/bus/event_source/devices/kprobe/format/retprobe", "config:"),
        .config1 = (uintptr_t)argv[1],
    };
    int event = syscall(SYS_perf_event_open, &attr, -1, 0, -1, PERF_FLAG_FD_CLOEXEC);
    if (prog < 0 || event < 0 || ioctl(event, PERF_EVENT_IOC_SET_BPF, prog) < 0 ||
        ioctl(event, PERF_EVENT_IOC_ENABLE, 0) < 0) {
        perror("kretprobe");
        return 99;
    }
    puts("ready");
    fflush(stdout);
    pause();
    return 0;
}
